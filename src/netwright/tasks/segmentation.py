"""A class for every pixel: the loss over whole masks, the overlap of areas, and the pictures that went worst.

Pixels whose truth is not known (`masks.IGNORED`) count neither in the loss nor in the figures.
Letters: B batch, C channels, H height, W width, K classes.
"""

from pathlib import Path
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.core.errors import ConfigError
from netwright.core.messages import say
from netwright.data.batching import Batch, BatchSource
from netwright.data.masks import IGNORED, colours
from netwright.data.preprocess import Preprocessor
from netwright.data.schema import Schema
from netwright.losses import LossFunction
from netwright.losses.base import refuse_one_score
from netwright.metrics.overlap import Overlap, areas, predicted_codes
from netwright.metrics.sets import MetricSet
from netwright.tasks.base import Phase, StepOutput, Task
from netwright.tasks.looking import looking
from netwright.tasks.pictures import pixels_of, write_png

__all__ = ["Segmentation"]

_WORST = 8
_SIDE = 480  # pixels that a row of three pictures has at least
_TINT = 0.55
_SURE = 30.0  # a score with which a sigmoid is 0 or 1
_OVERLAP = ("dice", "iou", "accuracy")


@final
class Segmentation(Task):
    """Cross-entropy, Dice, focal, or any loss of (logits_BKHW, codes_BHW).

    Args:
        metrics: the figures of an evaluation, in place of the usual ones.
        background: whether class 0 counts in the means of Dice and IoU; each class has its own figures besides.

    Shapes: the network gives (B, K, H, W), or (B, 1, H, W) for two classes, and the loss then takes masks of this very
        shape, 0 and 1 as floats; scores of the middle of a picture only, as of convolutions without padding, are held
        against the middle of its mask.
    """

    monitor = "dice"
    sense = "max"
    default_loss = "cross-entropy"
    default_metrics = _OVERLAP
    data_kinds = ("image", "array")
    target_kinds = ("mask",)
    usual_model = {"name": "unet", "width": 16, "norm": "batch"}
    answers_targets = True

    def __init__(
        self,
        schema: Schema,
        preprocess: Preprocessor | None = None,
        loss: LossFunction | None = None,
        metrics: list[str] | None = None,
        background: bool = True,
    ) -> None:
        self._schema, self._preprocess, self._background = schema, preprocess, background
        self._classes = schema.target.classes
        self._loss = self.chosen_loss(loss, ignore_index=IGNORED)
        self._ignored_by_loss = getattr(self._loss, "ignore_index", None)
        self._metrics = list(self.default_metrics if metrics is None else metrics)
        MetricSet(self._metrics, "segmentation")  # an unknown metric is refused now, not after the first epoch

    def training_step(self, model: nn.Module, batch: Batch, phase: Phase) -> StepOutput:
        """The loss of one batch."""
        logits = model(batch.inputs)
        return StepOutput(self._loss_of(logits, batch.targets), predictions=logits)

    def evaluation_step(self, model: nn.Module, batch: Batch) -> StepOutput:
        """Loss and logits."""
        logits = model(batch.inputs).float()
        return StepOutput(self._loss_of(logits, batch.targets), predictions=logits)

    def loss_targets(self, model: nn.Module, batch: Batch) -> Any:
        """Masks as the loss takes them, cut to what the network gives for them; those of one score a pixel are answers
        of yes and no to the doctor, which knows of no others.
        """
        try:
            with looking(model):
                logits, masks = model(batch.inputs[:1]), batch.targets
                assert masks is not None
                if logits.shape[1] == 1:
                    masks = masks.where(masks != IGNORED, 0)
                return self._for_loss(logits, masks)
        except Exception:  # what is wrong with the network is what the doctor is asked for
            return batch.targets

    def measure(self) -> "_Figures":
        """The figures, fresh."""
        others = [name for name in self._metrics if name not in _OVERLAP]
        overlap = Overlap(self._classes, self._background, IGNORED)
        return _Figures(overlap, MetricSet(others, "segmentation", ignore_index=IGNORED), set(self._metrics))

    def exhibits(self, model: nn.Module, source: BatchSource, folder: Path) -> list[dict[str, Any]]:
        """Which classes are taken for which, a table of them, and the pictures with the least overlap."""
        overlap, worst = self._watch(model, source)
        matrix = overlap.matrix
        if not int(matrix.sum()):
            return []
        title = say("Confusion matrix of pixels")
        labels = list(self._labels(matrix))
        shown = {"kind": "confusion", "of": "pixels", "title": title, "labels": labels, "matrix": matrix.tolist()}
        return [shown, self._table(matrix), *self._overlays(worst, folder)]

    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """The share of pixels that each class has, and the mask: an array (H, W) of class codes, uint8.

        Where the network says nothing of the border, the mask holds 255 there.
        """
        height, width = self._schema.input_shape[-2:]
        told = []
        for codes in predicted_codes(outputs.float()).cpu():
            counts = torch.bincount(codes.flatten(), minlength=len(self._classes)) / max(1, codes.numel())
            shares = dict(zip(self._labels(counts), [round(share, 6) for share in counts.tolist()], strict=True))
            told.append({"shares": shares, "mask": _framed(codes, height, width).to(torch.uint8).numpy()})
        return told

    def _loss_of(self, logits: Tensor, masks: Any) -> Tensor:
        """The loss; one that cannot leave pixels out is shown a sure and right answer where the truth is not known."""
        targets = self._for_loss(logits, masks)
        if self._ignored_by_loss is None and logits.shape[1] == 1:
            counted = targets != IGNORED
            logits, targets = logits.where(counted, -_SURE), targets.where(counted, 0.0)
        value: Tensor = self._loss(logits, targets)
        return value

    def _for_loss(self, logits: Tensor, masks: Any) -> Tensor:
        """Masks of the size of the scores, with the loss's own number for pixels that do not count.

        Shapes: (B, H, W) codes; of one score a pixel (B, 1, H, W) floats, as losses of a single area want them.
        """
        cut = _middle(masks, logits)
        if self._ignored_by_loss not in (None, IGNORED):
            cut = cut.where(cut != IGNORED, self._ignored_by_loss)
        if logits.shape[1] > 1:
            return cut
        if isinstance(self._loss, nn.CrossEntropyLoss):
            refuse_one_score()
        return cut[:, None].float()

    def _watch(self, model: nn.Module, source: BatchSource) -> tuple[Overlap, list["_Seen"]]:
        """Run the network over the source; of the pictures only the worst so far are kept."""
        overlap, kept, first = Overlap(self._classes, self._background, IGNORED), list[_Seen](), 0
        with looking(model):
            for batch in source.epoch(0):
                assert isinstance(batch.inputs, Tensor) and batch.targets is not None
                logits = model(batch.inputs).float()
                masks = _middle(batch.targets, logits)
                overlap.update(logits, masks)
                rows_B = batch.rows(first)
                for row, codes in enumerate(predicted_codes(logits)):
                    own = Overlap(self._classes, self._background, IGNORED)
                    own.update(F.one_hot(codes[None], len(self._classes)).movedim(3, 1), masks[row][None])
                    kept.append(_Seen(own.compute()["dice"], int(rows_B[row]), batch.inputs[row], masks[row], codes))
                kept = sorted(kept, key=lambda seen: (seen.dice != seen.dice, seen.dice, seen.row))[:_WORST]
                first += len(masks)
        return overlap, [seen for seen in kept if seen.dice < 1]

    def _table(self, matrix: Tensor) -> dict[str, Any]:
        """One line a class."""
        each, share = areas(matrix), matrix.sum(1) / max(1, int(matrix.sum()))
        columns = [say("class"), "Dice", "IoU", say("precision"), say("recall"), say("share of pixels")]
        figures = torch.stack([each["dice"], each["iou"], each["precision"], each["recall"], share.double()], 1)
        rows = [
            [label, *(None if value != value else round(value, 4) for value in line)]
            for label, line in zip(self._labels(matrix), figures.tolist(), strict=True)
        ]
        return {"kind": "table", "title": say("Classes"), "columns": columns, "rows": rows}

    def _overlays(self, worst: list["_Seen"], folder: Path) -> list[dict[str, Any]]:
        """Picture, truth and prediction side by side."""
        items = []
        for place, seen in enumerate(worst, start=1):
            file, grey = f"exhibits/overlay-{place:02d}.png", self._grey(seen)
            gap = torch.ones(3, grey.shape[1], 2)
            both = [_tinted(grey, codes.cpu()) for codes in (seen.truth, seen.said)]
            write_png(torch.cat([grey, gap, both[0], gap, both[1]], 2), folder / file, _SIDE)
            words = say("example {row}: Dice {dice:.3f}; picture, truth, prediction", row=seen.row, dice=seen.dice)
            items.append({"file": file, "caption": words})
        return [{"kind": "pictures", "title": say("Worst overlaps"), "items": items}] if items else []

    def _grey(self, seen: "_Seen") -> Tensor:
        """The picture as three channels, cut to the size of the mask. Shapes: -> (3, H, W) in [0, 1]."""
        channels = seen.inputs[None] if len(seen.inputs) in (1, 3) else seen.inputs[None, :1]
        if self._preprocess is not None and self._schema.kind == "image":
            pixels = pixels_of(channels, self._preprocess)
        else:
            low, high = channels.aminmax()
            pixels = ((channels - low) / (high - low).clamp_min(1e-6)).float().cpu()
        return _middle(pixels[0], seen.truth).expand(3, -1, -1)

    def _labels(self, of: Tensor) -> tuple[str, ...]:
        """Names of as many classes as there are figures; a network may have more outputs than the data have classes."""
        return (*self._classes, *(str(code) for code in range(len(self._classes), len(of))))


class _Seen(NamedTuple):
    """A picture of which the network did badly. Shapes: inputs (C, H, W), truth and said (H, W)."""

    dice: float
    row: int
    inputs: Tensor
    truth: Tensor
    said: Tensor


class _Figures:
    """The overlap, and further metrics of single pixels where they are asked for."""

    def __init__(self, overlap: Overlap, others: MetricSet, wanted: set[str]) -> None:
        self._overlap, self._others, self._wanted = overlap, others, wanted | {Segmentation.monitor}

    def update(self, predictions: Tensor, targets: Tensor) -> None:
        """Take one batch in."""
        targets = _middle(targets, predictions)
        self._overlap.update(predictions, targets)
        if self._others.names:
            self._others.update(predictions, targets)

    def compute(self) -> dict[str, float]:
        """All figures; those of single classes belong to the means that are wanted."""
        found = self._overlap.compute()
        kept = {name: value for name, value in found.items() if name.split("_")[0] in self._wanted}
        return {**kept, **(self._others.compute() if self._others.names else {})}


def _middle(masks: Tensor, like: Tensor) -> Tensor:
    """The middle of masks (…, H, W) that scores (…, h, w) are of.

    Raises:
        ConfigError: the scores are larger than the picture, or so much smaller that a middle was not meant.
    """
    (height, width), (h, w) = masks.shape[-2:], like.shape[-2:]
    if (height, width) == (h, w):
        return masks
    if like.dim() not in (2, 4) or h > height or w > width or (height - h) != (width - w) or 4 * h < height:
        template = "the network gives {got} for masks of {wanted} pixels; use one that gives [K, H, W], such as unet"
        got, wanted = "x".join(map(str, like.shape[1:])), f"{height}x{width}"
        raise ConfigError(template, path="model", got=got, wanted=wanted)
    top, left = (height - h) // 2, (width - w) // 2
    return masks[..., top : top + h, left : left + w]


def _framed(codes_HW: Tensor, height: int, width: int) -> Tensor:
    """The codes of the middle of a picture, with a frame of ignored pixels up to its size."""
    below, right = height - codes_HW.shape[0], width - codes_HW.shape[1]
    frame = (right // 2, right - right // 2, below // 2, below - below // 2)
    return F.pad(codes_HW, frame, value=IGNORED) if below > 0 or right > 0 else codes_HW


def _tinted(grey_3HW: Tensor, codes_HW: Tensor) -> Tensor:
    """The picture with each class but the first in its colour; ignored pixels are white."""
    palette = torch.tensor([*colours(IGNORED), (255, 255, 255)]) / 255
    colour_3HW = palette[codes_HW.clamp(0, IGNORED)].movedim(2, 0)
    return torch.where(codes_HW > 0, (1 - _TINT) * grey_3HW + _TINT * colour_3HW, grey_3HW)
