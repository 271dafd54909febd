"""What there is to see of embeddings: where the classes lie, and which examples have the wrong neighbours.

t-SNE: van der Maaten & Hinton, "Visualizing data using t-SNE", 2008; it keeps neighbours together, and distances
between groups mean nothing. Letters: N examples, D width of the embedding, C channels, H height, W width.
"""

import importlib.util
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.core.messages import say
from netwright.core.seeds import generator
from netwright.data.batching import BatchSource
from netwright.data.preprocess import Preprocessor
from netwright.metrics.neighbours import likeness
from netwright.tasks.looking import looking
from netwright.tasks.pictures import SIDE, pixels_of, write_png

__all__ = ["Embeddings", "maps", "worst_queries"]

log = logging.getLogger("netwright")
_POINTS = 1000  # of a map: t-SNE of more takes longer than they add to the picture
_LEAST = 10  # points that t-SNE makes something of
_WORST, _NEAREST = 8, 5
_AT_ONCE = 512
_MAP = 0xA7145  # keeps the choice of points apart from other chances


@dataclass
class Embeddings:
    """All examples of a source as the network sees them: unit vectors (N, D), classes (N,), rows of the data (N,)."""

    unit_ND: Tensor
    class_N: Tensor
    row_N: Tensor

    @classmethod
    def of(cls, source: BatchSource, embed: Callable[[Any], Tensor], model: nn.Module) -> "Embeddings | None":
        """Embed a whole source in evaluation mode; the mode is put back. None where it is empty."""
        units, classes, rows, first = [], [], [], 0
        with looking(model):
            for batch in source.epoch(0):
                units.append(embed(batch.inputs).cpu())
                assert batch.targets is not None
                classes.append(batch.targets.cpu())
                rows.append(batch.rows(first).cpu())
                first += len(units[-1])
        return cls(torch.cat(units), torch.cat(classes), torch.cat(rows)) if units else None


def maps(unit_ND: Tensor, names: Sequence[str], seed: int) -> list[dict[str, Any]]:
    """At most a thousand embeddings in two dimensions: their first two principal components, and t-SNE.

    Args:
        names: the class of each, by which the points are told apart.
    """
    chosen = torch.randperm(len(unit_ND), generator=generator(seed, _MAP))[:_POINTS].sort().values
    groups, points = [names[row] for row in chosen.tolist()], unit_ND[chosen].double()
    wide, share = _principal(points)
    labels = [say("component {number} ({share:.0%})", number=number + 1, share=share[number]) for number in (0, 1)]
    shown = [_map(say("Embeddings, seen from their widest side (PCA)"), wide, groups, labels)]
    if (close := _neighbourly(points, seed)) is not None:
        shown.append(_map(say("Embeddings, neighbours kept together (t-SNE)"), close, groups, ["", ""]))
    return shown


def _map(title: str, flat_N2: Tensor, groups: list[str], labels: Sequence[str]) -> dict[str, Any]:
    x, y = ([round(value, 4) for value in column.tolist()] for column in flat_N2.T)
    return {"kind": "scatter", "title": title, "x": x, "y": y, "groups": groups,
            "x_label": labels[0], "y_label": labels[1]}  # fmt: skip


def _principal(points_ND: Tensor) -> tuple[Tensor, list[float]]:
    """The first two principal components and their shares of the variance; each begins on its heavier side."""
    left_NR, size_R, _ = torch.linalg.svd(points_ND - points_ND.mean(0), full_matrices=False)
    flat_NR = F.pad(left_NR * size_R, (0, max(0, 2 - len(size_R))))[:, :2]
    heaviest = flat_NR.gather(0, flat_NR.abs().argmax(0, keepdim=True))
    variance_R = F.pad(size_R.square(), (0, max(0, 2 - len(size_R))))
    share = (variance_R[:2] / variance_R.sum().clamp_min(1e-300)).tolist()
    return flat_NR * torch.where(heaviest < 0, -1.0, 1.0), share


def _neighbourly(points_ND: Tensor, seed: int) -> Tensor | None:
    """t-SNE, begun from the principal components; None without scikit-learn or with very few points."""
    if len(points_ND) < _LEAST:
        return None
    if importlib.util.find_spec("sklearn") is None:
        log.info(say("no t-SNE map in the report: run pip install 'netwright[tables]' for it"))
        return None
    from sklearn.manifold import TSNE

    start_N2 = _principal(points_ND)[0]
    start_N2 = start_N2 / start_N2[:, 0].std().clamp_min(1e-12) * 1e-4  # the scale that scikit-learn itself begins with
    perplexity = min(30.0, (len(points_ND) - 1) / 3)
    made = TSNE(perplexity=perplexity, init=start_N2.numpy(), random_state=seed % (1 << 32))
    return torch.from_numpy(made.fit_transform(points_ND.numpy()))


def worst_queries(
    seen: Embeddings, names: Sequence[str], source: BatchSource, pictured: Preprocessor | None, folder: Path
) -> list[dict[str, Any]]:
    """The examples to which another class is nearest by the most, with their neighbours: pictures, or a table.

    Args:
        pictured: what turns inputs back into pixels, where they are pictures.
    """
    queries = _wrong(seen)
    if not len(queries):
        return []
    near = likeness(seen.unit_ND[queries], seen.unit_ND, queries).topk(min(_NEAREST, len(names) - 1), dim=1).indices
    title = say("Queries with the wrong neighbours")
    told = [", ".join(names[row] for row in rows) for rows in near.tolist()]
    if pictured is None:
        columns = [say("row"), say("true"), say("its nearest")]
        rows = [[int(seen.row_N[at]), names[at], words] for at, words in zip(queries.tolist(), told, strict=True)]
        return [{"kind": "table", "title": title, "columns": columns, "rows": rows}]
    found = _inputs_at(source, {*queries.tolist(), *near.flatten().tolist()})
    items = []
    for number, (query, rows, words) in enumerate(zip(queries.tolist(), near.tolist(), told, strict=True), start=1):
        file = f"exhibits/query-{number:02d}.png"
        _write_row(pixels_of(torch.stack([found[row] for row in (query, *rows)]), pictured), folder / file)
        caption = say("{query}: its nearest are {others}", query=names[query], others=words)
        items.append({"file": file, "caption": caption})
    return [{"kind": "pictures", "title": title, "items": items}]


def _wrong(seen: Embeddings) -> Tensor:
    """The worst of the queries whose nearest neighbour is of another class, though there is one of their own: (Q,)."""
    gaps = []
    for own_Q in torch.arange(len(seen.class_N)).split(_AT_ONCE):
        cosine_QN = likeness(seen.unit_ND[own_Q], seen.unit_ND, own_Q)
        like_QN = seen.class_N[own_Q, None] == seen.class_N
        right_Q = cosine_QN.masked_fill(~like_QN, -torch.inf).amax(1)
        wrong_Q = cosine_QN.masked_fill(like_QN, -torch.inf).amax(1)
        gaps.append(torch.where(right_Q.isinf() | wrong_Q.isinf(), -1.0, wrong_Q - right_Q))
    gap_N = torch.cat(gaps)
    worst = gap_N.topk(min(_WORST, len(gap_N))).indices
    return worst[gap_N[worst] > 0]


def _inputs_at(source: BatchSource, places: set[int]) -> dict[int, Tensor]:
    """The inputs at some places of a source: a second pass keeps a few pictures, where the first would keep all."""
    found: dict[int, Tensor] = {}
    first = 0
    for batch in source.epoch(0):
        assert isinstance(batch.inputs, Tensor)
        inside = [place for place in places if first <= place < first + len(batch.inputs)]
        found |= {place: batch.inputs[place - first].clone() for place in inside}
        first += len(batch.inputs)
    return found


def _write_row(pixels_BCHW: Tensor, path: Path) -> None:
    """The query, a gap, and its neighbours side by side."""
    height, width = pixels_BCHW.shape[-2:]
    gap = max(1, width // 14)
    framed = [F.pad(picture, (0, 4 * gap if at == 0 else gap), value=1.0) for at, picture in enumerate(pixels_BCHW)]
    row = torch.cat(framed, dim=2)[..., :-gap]
    write_png(row, path, round(SIDE * row.shape[2] / max(height, width)))
