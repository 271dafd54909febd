"""The sections of a config that belong to the run itself; each signature is its section's schema."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from netwright.core import schemas
from netwright.core.schemas import Count, Fraction, NonNegative, Positive, Size

__all__ = ["DistillSettings", "EarlyStopSettings", "Sections", "TrainSettings"]

Every = Literal["epoch"] | Size
Threads = Annotated[int, Field(gt=0, le=1024)]  # more than any machine has, and few enough to be started
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Tracker = Literal["tensorboard", "mlflow"]


@dataclass(frozen=True)
class EarlyStopSettings:
    """`train.early_stop`: validations without an improvement above `min_delta` that end the run."""

    patience: Size
    min_delta: NonNegative = 0.0


@dataclass(frozen=True)
class TrainSettings:
    """`train:`. `steps` ends a run before its epochs do; `batch_tokens` fills batches of texts up to that many tokens,
    padding included, instead of a number of examples; `workers` above 0 reads files in that many processes;
    `per_class` makes batches of that many examples of each of their classes.
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
    track: list[Tracker] = field(default_factory=list)

    @property
    def early_stopping(self) -> EarlyStopSettings | None:
        """The checked `early_stop` section."""
        if self.early_stop is None:
            return None
        checked: EarlyStopSettings = schemas.build(EarlyStopSettings, self.early_stop, "train.early_stop")
        return checked


@dataclass(frozen=True)
class DistillSettings:
    """`distill:`. `teacher` is a run or model folder, or an example whose run is there; see `tasks.distillation`."""

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
    doctor: Literal["off", "advise", "repair"] = "advise"
    expect: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = field(default_factory=dict)
