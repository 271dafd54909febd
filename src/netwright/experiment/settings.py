"""The sections of a config that belong to the run itself; each signature is its section's schema."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from netwright.core import schemas
from netwright.core.schemas import Count, Fraction, NonNegative, Positive, Size
from netwright.training.hooks.trackers import TrackerName
from netwright.training.session import Every

__all__ = ["DistillSettings", "EarlyStopSettings", "Sections", "TrainSettings"]

Threads = Annotated[int, Field(gt=0, le=1024)]  # more than any machine has, and few enough to be started
Seed = Annotated[int, Field(ge=0, lt=2**63)]


@dataclass(frozen=True)
class EarlyStopSettings:
    """The run ends after `patience` validations without an improvement above `min_delta`."""

    patience: Size
    min_delta: NonNegative = 0.0


@dataclass(frozen=True)
class TrainSettings:
    """What the loop does.

    Args:
        steps: batches after which the run ends, if that is before its epochs are over.
        batch_tokens: fills batches of texts up to that many tokens, padding included, instead of a number of examples.
        accumulate: batches whose gradients are averaged for one update.
        precision: `auto` takes bf16 where that pays on this machine.
        device: auto, cpu, cuda, cuda:1 or mps.
        seed: of the first weights and of all chance in training; the split has its own (`data.split.seed`).
        early_stop: see below; the best weights are kept with or without it.
        validate_every, checkpoint_every: `epoch`, or a number of steps.
        workers: above 0, files are read in that many processes.
        threads: of the processor; by default what PyTorch takes.
        per_class: makes batches of that many examples of each of their classes.
        track: `tensorboard`, `mlflow` or both, beside the run folder.
    """

    epochs: Size = 10
    steps: Size | None = None
    batch_size: Size = 128
    batch_tokens: Size | None = None
    accumulate: Size = 1
    precision: Literal["auto", "float32", "bf16"] = "auto"
    device: str = "auto"
    seed: Seed = 0
    early_stop: dict[str, Any] | None = None
    validate_every: Every = "epoch"
    checkpoint_every: Every = "epoch"
    workers: Count = 0
    threads: Threads | None = None
    per_class: Size | None = None
    track: list[TrackerName] = field(default_factory=list)

    @property
    def early_stopping(self) -> EarlyStopSettings | None:
        """The checked `early_stop` section."""
        if self.early_stop is None:
            return None
        checked: EarlyStopSettings = schemas.build(EarlyStopSettings, self.early_stop, "train.early_stop")
        return checked


@dataclass(frozen=True)
class DistillSettings:
    """A teacher beside the targets (Hinton, Vinyals & Dean, 2015).

    Args:
        teacher: a run or model folder, or an example whose run is there.
        temperature: softens what the teacher says.
        alpha: the share of the teacher in the loss.
    """

    teacher: str
    temperature: Positive = 4.0
    alpha: Fraction = 0.7


@dataclass(frozen=True)
class Sections:
    """A whole config. What is left out is chosen from the data and written into the run's resolved config."""

    data: Any
    task: str | dict[str, Any] | None = None
    model: str | dict[str, Any] | None = None
    loss: str | dict[str, Any] | None = None
    optimizer: str | dict[str, Any] | None = None
    train: dict[str, Any] = field(default_factory=dict)
    augment: list[Any] = field(default_factory=list)
    metrics: list[str] | None = None
    distill: dict[str, Any] | None = None
    tune: dict[str, Any] | None = None
    doctor: Literal["off", "advise", "repair"] = "advise"
    expect: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = field(default_factory=dict)
