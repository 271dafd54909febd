"""What a network is trained to do: the contract between a task and the loop.

A task is the only place that knows what a batch means. It gives the loss of a step, the numbers of an evaluation, and
what there is to look at afterwards. The loop knows nothing of it but these verbs.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from torch import Tensor, nn

from netwright.data.batching import Batch, BatchSource
from netwright.data.batching.skipgram import PairSettings
from netwright.data.environments import RolloutSettings
from netwright.data.schema import TargetKind
from netwright.losses import LossFunction, build_loss

__all__ = ["Measure", "Phase", "StepOutput", "Task", "with_monitor"]


class StepOutput(NamedTuple):
    """Of one step: the loss (scalar tensor), further numbers for the log, and what the network said."""

    loss: Tensor
    logs: dict[str, Tensor] = {}
    predictions: Any = None


@dataclass(frozen=True)
class Phase:
    """One update within a step: its name, and the part of the network it updates (`""`: all of it)."""

    name: str = "train"
    part: str = ""


class Measure(Protocol):
    """Collects an evaluation, batch by batch; `metrics.MetricSet` is one.

    `update` takes what the task's `evaluation_step` gave as predictions; `len` of it is the weight of the batch's loss.
    """

    def update(self, predictions: Any, targets: Any) -> None:
        """Take one batch in."""

    def compute(self) -> dict[str, float]:
        """The figures over all batches, under the field's names."""


class Task(ABC):
    """One kind of training; see the module's text. Subclasses are final.

    `monitor` is the metric that says which weights are best and `sense` its direction; a constructor may set both,
    where they depend on its arguments. `input_range` is the range that pictures must have for this task, None for
    standardised. What stands in the class is known before there are data to build a task for.
    """

    phases: tuple[Phase, ...] = (Phase(),)
    monitor: str = "loss"
    sense: Literal["min", "max"] = "min"
    default_loss: str | None = None  # None: the task makes its own
    default_metrics: tuple[str, ...] = ()
    usual_model: str | dict[str, Any] | None = None  # where the config names none; None: what suits the kind of data
    like_tasks: tuple[str, ...] = ()  # tasks whose networks it trains; none: networks whose cards name the task itself
    head: str | None = None  # which one a network that has several heads is to have
    input_range: tuple[float, float] | None = None
    data_kinds: tuple[str, ...] = ()  # of `Schema.kind` that it can learn from; none: any
    target_kinds: tuple[str, ...] = ()  # of `Target.kind`; none: any, or no target
    own_targets: TargetKind | None = None  # of what its batches ask for, where that is not the data's target
    answers_targets: bool = False  # what its network says can be held against the targets themselves
    least_batch: int = 1  # examples that a batch must hold
    output_name: str = "logits"  # what its network's outputs are called in an exported file

    @staticmethod
    def outputs(values: Mapping[str, Any]) -> int | None:
        """How many numbers the network's head must give, by the settings of `task:`; None where the data decide."""
        return None

    @staticmethod
    def views(values: Mapping[str, Any]) -> int:
        """How many augmented forms of a picture a batch must hold, by the settings of `task:`."""
        return 1

    @staticmethod
    def pairs(values: Mapping[str, Any]) -> PairSettings | None:
        """How batches of words and their neighbours are made, by the settings of `task:`; None for other batches."""
        return None

    @staticmethod
    def rollouts(values: Mapping[str, Any]) -> RolloutSettings | None:
        """What is learnt from that the network does now, by the settings of `task:`; None for a memory of its moves."""
        return None

    @classmethod
    def chosen_loss(cls, loss: LossFunction | None, **bound: Any) -> LossFunction:
        """The loss that is given, or the usual one of the catalog with what the data decide (`bound`)."""
        return loss if loss is not None else build_loss(cls.default_loss, bound=bound)

    @abstractmethod
    def training_step(self, model: nn.Module, batch: Batch, phase: Phase) -> StepOutput:
        """The loss of one batch for one phase; the network is in training mode."""

    @abstractmethod
    def evaluation_step(self, model: nn.Module, batch: Batch) -> StepOutput:
        """Loss and predictions of one batch; the network is in evaluation mode and no gradient is kept."""

    @abstractmethod
    def measure(self) -> Measure:
        """A fresh collector for one evaluation."""

    def batches(self, source: BatchSource, training: bool) -> BatchSource:
        """The batches as this task wants them, where the data alone do not say: with tokens hidden, say."""
        return source

    def loss_targets(self, model: nn.Module, batch: Batch) -> Any:
        """What the loss of a step is given for the targets of a batch; the doctor calls the loss without the task."""
        return batch.targets

    def after_update(self, model: nn.Module, updates: int) -> None:
        """Called after every update of weights (`updates` counts them): targets that follow, weights that are cut."""

    def state(self) -> dict[str, Any]:
        """What must survive a resume, as tensors and JSON scalars."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Undo of `state`."""

    def exhibits(self, model: nn.Module, source: BatchSource, folder: Path) -> list[dict[str, Any]]:
        """What the report shows of the finished network; pictures are written below `folder`."""
        return []

    def predict(self, model: nn.Module, inputs: Tensor) -> Tensor:
        """The network's outputs for new inputs, as `answers` takes them."""
        out: Tensor = model(inputs)
        return out

    def decided(self) -> dict[str, Any]:
        """Settings of `task:` that the loss decided; a model folder holds them, as it holds no loss."""
        return {}

    def exported(self, outputs: Tensor) -> Tensor:
        """What `predict` gives, as an exported file gives it: numbers in their own unit."""
        return outputs

    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """The network's outputs for new inputs in the user's words, a dictionary an input (`predict`)."""
        return [{"output": row.tolist()} for row in outputs]

    def replies(self, model: nn.Module, inputs: Sequence[Any]) -> list[dict[str, Any]] | None:
        """What a network says of inputs that only the task can put to it: texts to go on with, to translate, to search.

        None where `answers` to its outputs will do.
        """
        return None


def with_monitor(metrics: Sequence[str] | None, monitor: str, usual: Sequence[str]) -> list[str]:
    """The wanted metrics, or the usual ones; the one that chooses the best weights is always measured."""
    wanted = list(usual if metrics is None else metrics)
    return wanted if monitor in wanted else [monitor, *wanted]
