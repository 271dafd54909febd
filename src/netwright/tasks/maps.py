"""What there is to see of numbers that lie on a grid, such as the pictures of a network that removes noise.

Of so many numbers a spread is kept for the charts, and the examples that went worst as a whole.
Letters: B batch, C channels, H height, W width, N numbers kept.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.core.messages import say
from netwright.data.batching import BatchSource
from netwright.tasks.looking import looking
from netwright.tasks.pictures import SIDE, write_png

__all__ = ["Maps", "watch_maps", "worst_maps"]

_KEPT = 2000  # numbers for the charts
_WORST = 8


class Maps(NamedTuple):
    """A look at all examples: predicted and true numbers (N,), and the worst examples, the worst first."""

    said_N: Tensor
    true_N: Tensor
    worst: list["_Seen"]


class _Seen(NamedTuple):
    """An example that went badly, with its input where there is a single one. Shapes: without a batch dimension."""

    rmse: float
    row: int
    inputs: Tensor | None
    said: Tensor
    true: Tensor


def watch_maps(
    model: nn.Module, source: BatchSource, predict: Callable[[nn.Module, Any], tuple[Tensor, Tensor]]
) -> Maps:
    """Run the network over a source.

    Args:
        predict: of the network and a batch, predictions and truths in their own unit. Shapes: both (B, …).
    """
    said, true, worst, first = [torch.zeros(0)], [torch.zeros(0)], list[_Seen](), 0
    with looking(model):
        for batch in source.epoch(0):
            out, wanted = (part.float().cpu() for part in predict(model, batch))
            share = max(1, _KEPT * len(out) // max(1, source.examples))
            places = torch.linspace(0, out.numel() - 1, min(share, out.numel()), dtype=torch.float64).long()
            said.append(out.flatten()[places])
            true.append(wanted.flatten()[places])
            rmse_B = (out - wanted).flatten(1).square().mean(1).sqrt()
            rows_B = batch.rows(first)
            for row in rmse_B.topk(min(_WORST, len(rmse_B))).indices.tolist():
                inputs = batch.inputs[row].clone() if isinstance(batch.inputs, Tensor) else None
                worst.append(_Seen(rmse_B[row].item(), int(rows_B[row]), inputs, out[row].clone(), wanted[row].clone()))
            worst = sorted(worst, key=lambda seen: (-seen.rmse, seen.row))[:_WORST]
            first += len(out)
    return Maps(torch.cat(said), torch.cat(true), worst)


def worst_maps(worst: list[_Seen], folder: Path) -> dict[str, Any]:
    """The worst examples: as pictures of input, truth and prediction where they are pictures, else as a table."""
    title = say("Worst examples")
    if not all(seen.inputs is not None and seen.inputs.dim() == seen.true.dim() == 3 for seen in worst):
        rows = [[seen.row, round(seen.rmse, 6)] for seen in worst]
        return {"kind": "table", "title": title, "columns": [say("row"), "RMSE"], "rows": rows}
    items = []
    for place, seen in enumerate(worst, start=1):
        file = f"exhibits/worst-{place:02d}.png"
        _write_row(seen, folder / file)
        words = say("example {row}: RMSE {rmse:.4g}; input, truth, prediction", row=seen.row, rmse=seen.rmse)
        items.append({"file": file, "caption": words})
    return {"kind": "pictures", "title": title, "items": items}


def _write_row(seen: _Seen, path: Path) -> None:
    """Input, truth and prediction side by side; the two last are in one range, that of the truth."""
    assert seen.inputs is not None
    given = seen.inputs.float().cpu()
    shown = [_pixels(given, given), _pixels(seen.true, seen.true), _pixels(seen.said, seen.true)]
    height, width = seen.true.shape[-2:]
    gap = torch.ones(3, height, max(1, width // 14))
    first, *others = (F.interpolate(pixels[None], (height, width))[0] for pixels in shown)
    row = torch.cat([first, *(part for other in others for part in (gap, other))], 2)
    write_png(row, path, 3 * SIDE)


def _pixels(values_CHW: Tensor, like_CHW: Tensor) -> Tensor:
    """As three channels in [0, 1]: values are taken as they are if `like` is within [0, 1], else by its range."""
    low, high = (float(end) for end in like_CHW.aminmax())
    low, high = (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)
    channels = values_CHW if len(values_CHW) in (1, 3) else values_CHW[:1]
    return ((channels - low) / max(high - low, 1e-6)).clamp(0, 1).expand(3, -1, -1)
