"""Several metrics over the batches of one evaluation.

Batches only add to running sums on their own device; nothing is read back before `compute`. The kind of the predictions
says how they are read, see `layout.Layout`.
"""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

import torch
from torch import Tensor

from netwright.core.errors import ConfigError, suggest
from netwright.metrics.catalog import DEFAULTS, METRICS, Kind, View, card, catalog, fitting
from netwright.metrics.layout import Layout

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

__all__ = ["MetricSet", "build_metrics"]


class MetricSet:
    """The named metrics of one evaluation; a `tasks.base.Measure`.

    Classification takes logits, never probabilities, and targets as codes or shares of classes (the greatest counts).

    Args:
        names: of metrics that fit the kind; the figures come under these names, in this order.
        kind: how predictions are read.
        num_classes: how many scores (or numbers) an example should get; more are let pass.
        ignore_index: of segmentation, the target that is not counted (PyTorch's losses have the same default).

    Shapes: see `Layout`.

    Raises:
        ConfigError: an unknown metric or one that does not fit (path `metrics`); in `update`, too few scores (`model`).
    """

    def __init__(
        self, names: Sequence[str], kind: Kind, num_classes: int | None = None, ignore_index: int = -100
    ) -> None:
        self.names = tuple(dict.fromkeys(names))
        self.kind = kind
        _check(self.names, kind)
        self._num_classes, self._ignore_index = num_classes, ignore_index
        self._layout: Layout | None = None
        self._views: dict[View, MetricCollection] = {}

    @torch.no_grad()
    def update(self, predictions: Tensor, targets: Tensor) -> None:
        """Take one batch in."""
        if not len(predictions):
            return
        layout = self._layout or self._begin(predictions)
        for name, metrics in self._views.items():
            metrics.update(*layout.view(name, predictions, targets))

    def fits(self, predictions: Tensor, targets: Tensor) -> None:
        """Whether a batch can be read, tried without torchmetrics, whose import takes a second or more.

        Raises:
            ConfigError: too few scores (`model`).
        """
        layout = self._read(predictions)
        for name in self.names:
            layout.view(card(name).sees, predictions, targets)
        if not set(self.names) <= set(METRICS):  # a metric of the user's has to be tried itself
            self.update(predictions, targets)

    def compute(self) -> dict[str, float]:
        """The figures over all batches; NaN where there is none, or no meaning (AUROC of a single class)."""
        if self._layout is None:
            return dict.fromkeys(self.names, float("nan"))
        figures: dict[str, Tensor] = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torchmetrics warns of classes without examples: ours leave them out
            for metrics in self._views.values():
                figures |= metrics.compute()
        return {name: float(figures[_key(name)]) for name in self.names}

    def reset(self) -> None:
        """Forget all batches."""
        self._layout, self._views = None, {}

    def _read(self, predictions: Tensor) -> Layout:
        layout = Layout.of(self.kind, predictions, self._ignore_index if self.kind == "segmentation" else None)
        if self.kind != "binary" and layout.width < (self._num_classes or 0):
            template = "the network gives {got} numbers an example, not {wanted}; give its last layer {wanted} units"
            raise ConfigError(template, path="model", got=layout.width, wanted=self._num_classes)
        return layout

    def _begin(self, predictions: Tensor) -> Layout:
        """Make the metrics, now that the width and the device are known."""
        layout = self._read(predictions)
        for name in self.names:
            self._views.setdefault(card(name).sees, _collection(self.names, card(name).sees, layout))
        device = predictions.device
        for view, metrics in self._views.items():
            metrics.to("cpu" if view == "values" and device.type == "mps" else device)
        self._layout = layout
        return layout


def build_metrics(
    names: Sequence[str] | None, kind: Kind, num_classes: int | None = None, ignore_index: int = -100
) -> MetricSet:
    """The named metrics, or the usual ones of the kind; see `MetricSet`."""
    return MetricSet(DEFAULTS[kind] if names is None else names, kind, num_classes, ignore_index)


def _check(names: Sequence[str], kind: Kind) -> None:
    """Every metric is known and fits; imports no metric of ours."""
    if kind not in get_args(Kind):
        raise ValueError(f"kind={kind!r} is none of {', '.join(get_args(Kind))}")
    known = catalog()
    for name in names:
        if name not in known and ":" not in name:
            near = suggest(name, fitting(kind))
            raise ConfigError("unknown metric {name!r}{near}", path="metrics", name=name, near=near)
        if kind not in card(name).kinds:
            template = "metric {name!r} does not fit {kind} predictions; use one of {fitting}"
            raise ConfigError(template, path="metrics", name=name, kind=kind, fitting=", ".join(fitting(kind)))


def _collection(names: Sequence[str], view: View, layout: Layout) -> "MetricCollection":
    from netwright.metrics import torchvision_guard  # noqa: F401 - before torchmetrics

    # isort: split
    from torchmetrics import Metric, MetricCollection

    made: dict[str, Metric | MetricCollection] = {}
    groups: dict[str, list[str]] = {}
    for name in names:
        entry = card(name)
        if entry.sees == view:
            metric = catalog().load(name)(layout)
            made[_key(name)] = metric.set_dtype(torch.float64) if view == "values" else metric
            groups.setdefault(entry.states or name, []).append(_key(name))
    # Which metrics share their sums is said, not found out: torchmetrics would compare all sums on the first batch.
    return MetricCollection(made, compute_groups=list(groups.values()))


def _key(name: str) -> str:
    """As the name of a submodule, which must have no dot; ours have none."""
    return name if name in METRICS else name.replace(".", "/")
