"""What there is to see and to say of networks that make their inputs again out of a code.

Letters: B batch, N examples, Z numbers of the code, C channels, H height, W width.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from netwright.core.errors import ConfigError
from netwright.core.messages import say
from netwright.data.batching import Batch, BatchSource
from netwright.data.preprocess import Preprocessor
from netwright.data.schema import Schema
from netwright.tasks.looking import looking
from netwright.tasks.pictures import pixels_of, write_grid
from netwright.tasks.retrieval import maps

__all__ = ["Again", "code_map", "code_of", "needs", "picture_rows", "same_shape", "told", "worst_again"]

COLUMNS = 10
_AT_ONCE = 256
_LEAST = 3  # points of a map
Say = Callable[[nn.Module, Tensor], Tensor]


class Again(NamedTuple):
    """An example beside what the network made of it. Shapes: given (spoilt, or as it is), wanted and said alike."""

    error: float
    given: Tensor
    wanted: Tensor
    said: Tensor


def same_shape(said: Tensor, wanted: Tensor) -> Tensor:
    """A reconstruction, if it is one.

    Raises:
        ConfigError: the network gives something else than what it was given.
    """
    if said.shape != wanted.shape:
        template = "the network gives {got} for inputs of {wanted}; an autoencoder must give back the shape it is given"
        raise ConfigError(template, path="model", got=tuple(said.shape[1:]), wanted=tuple(wanted.shape[1:]))
    return said


def needs(model: nn.Module, *parts: str, why: str) -> None:
    """Refuse a network that lacks methods which a setting is about.

    Raises:
        ConfigError: it lacks one.
    """
    if missing := [part for part in parts if not hasattr(model, part)]:
        template = "the network has no {missing}, which {why} needs; give it these methods, or choose another model"
        raise ConfigError(template, path="model", missing=", ".join(missing), why=why)


def code_of(model: nn.Module, x: Tensor) -> Tensor | None:
    """The code of a batch (of a variational one its mean), flat; None where the network does not show it."""
    encode: Any = getattr(model, "encode", None)
    made = encode(x) if encode is not None else None
    code = made[0] if isinstance(made, tuple) else made
    return code.flatten(1).float() if isinstance(code, Tensor) and code.dim() > 1 else None


def told(
    model: nn.Module, inputs: Sequence[Any], preprocess: Preprocessor, schema: Schema, values: Say
) -> list[dict[str, Any]]:
    """Of each input of a user's the mean squared error of its reconstruction, the code, and the reconstruction itself.

    That is an array in the inputs' own unit (pictures in [0, 1]); there is none of the rows of a table, whose columns
    became other numbers.
    """
    answers: list[dict[str, Any]] = []
    for first in range(0, len(inputs), _AT_ONCE):
        x = preprocess.batch(inputs[first : first + _AT_ONCE])
        assert isinstance(x, Tensor)
        said, code = same_shape(values(model, x), x), code_of(model, x)
        errors = (said - x).flatten(1).square().mean(1).tolist()
        some: list[dict[str, Any]] = [{"error": error} for error in errors]
        if code is not None:
            some = [{**answer, "code": row} for answer, row in zip(some, code.tolist(), strict=True)]
        if schema.kind != "table":
            own = _own_unit(said, preprocess).cpu().numpy()
            some = [{**answer, "reconstruction": array} for answer, array in zip(some, own, strict=True)]
        answers += some
    return answers


def code_map(model: nn.Module, source: BatchSource, schema: Schema, seed: int) -> list[dict[str, Any]]:
    """Maps of the codes of a source that has its own targets, which tell the points apart where they are classes."""
    codes, labels = [], []
    with looking(model):
        for batch in source.epoch(0):
            assert isinstance(batch.inputs, Tensor)
            code_BZ = code_of(model, batch.inputs)
            if code_BZ is None:
                return []
            codes.append(code_BZ.cpu())
            labels += _labels(batch, schema)
    return maps(torch.cat(codes), labels, seed) if len(labels) >= _LEAST else []


def worst_again(batches: BatchSource, model: nn.Module, values: Say) -> tuple[list[Again], list[Again]]:
    """The first examples of a source, and those with the largest errors, the worst first."""
    first, worst = list[Again](), list[Again]()
    with looking(model):
        for batch in batches.epoch(0):
            assert isinstance(batch.inputs, Tensor) and batch.targets is not None
            said = values(model, batch.inputs)
            error_B = (said - batch.targets).flatten(1).square().mean(1)
            first += [_again(batch, said, error_B, row) for row in range(min(COLUMNS - len(first), len(said)))]
            rows = error_B.topk(min(COLUMNS, len(said))).indices.tolist()
            worst += [_again(batch, said, error_B, row) for row in rows]
            worst = sorted(worst, key=lambda one: -one.error)[:COLUMNS]
    return first, worst


def _again(batch: Batch, said: Tensor, error_B: Tensor, row: int) -> Again:
    assert isinstance(batch.inputs, Tensor) and batch.targets is not None
    return Again(float(error_B[row]), batch.inputs[row].clone(), batch.targets[row].clone(), said[row].clone())


def picture_rows(
    examples: Sequence[Again], title: str, file: str, preprocess: Preprocessor, folder: Path, spoilt: bool
) -> list[dict[str, Any]]:
    """Originals over what the network made of them; between them what it was given, where that is `spoilt`."""
    if not examples or examples[0].wanted.dim() != 3:
        return []
    rows = [[one.wanted for one in examples], [one.said for one in examples]]
    caption = say("above the originals, below what the network made of them")
    if spoilt:
        rows.insert(1, [one.given for one in examples])
        caption = say("from above: the originals, what the network was given, what it made of that")
    path = f"exhibits/{file}.png"
    pixels = torch.cat([pixels_of(torch.stack(row), preprocess) for row in rows])
    write_grid(pixels, folder / path, len(examples))
    return [{"kind": "pictures", "title": title, "items": [{"file": path, "caption": caption}]}]


def _labels(batch: Batch, schema: Schema) -> list[str]:
    classes, count = schema.target.classes, len(batch.inputs)
    if schema.target.kind != "class" or batch.targets is None:
        return [say("examples")] * count
    return [classes[code] for code in batch.targets.tolist()]


def _own_unit(said: Tensor, preprocess: Preprocessor) -> Tensor:
    """Normalisation is an affine map, so what it makes of 0 and of 1 is enough to turn it round."""
    low, high = (preprocess.normalise(torch.full_like(said[:1], value)) for value in (0.0, 1.0))
    return (said - low) / (high - low)
