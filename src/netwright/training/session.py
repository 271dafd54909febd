"""A training session: the objects of one run and where it stands, with the verbs the loop needs.

The session owns progress (`epoch`, `step`), says what is due, tells the hooks, and saves and restores everything that
decides the next bit: network, engine, batch source, task, hooks, random generators, thread count.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from netwright.core import seeds
from netwright.core.errors import CheckpointError, NetwrightError, because
from netwright.core.messages import say
from netwright.core.schemas import Size
from netwright.data.batching import Batch, BatchSource
from netwright.tasks.base import StepOutput, Task
from netwright.training import checkpoints
from netwright.training.engine import Engine
from netwright.training.evaluation import evaluate
from netwright.training.hooks.base import Hook

__all__ = ["Every", "Plan", "Progress", "Session"]

_LEAST_SECONDS = 1.0  # between two checkpoints at ends of epochs: flushing to the disk takes longer than a short epoch
Due = Literal["validate", "checkpoint"]
Every = Literal["epoch"] | Size


@dataclass(frozen=True)
class Plan:
    """How long to train, and how often to look and to save (`"epoch"` or a number of steps)."""

    epochs: int
    validate_every: Every = "epoch"
    checkpoint_every: Every = "epoch"
    steps: int | None = None

    def last_step(self, steps_per_epoch: int) -> int:
        """The step that the run ends with."""
        total = self.epochs * steps_per_epoch
        return total if self.steps is None else min(total, self.steps)


@dataclass
class Progress:
    """Where the run stands; `batch` counts within the epoch, `step` over all epochs."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    seconds: float = 0.0
    best: float | None = None
    best_step: int = 0
    best_epoch: int = 0


class Session:
    """See the module's text. `monitor` is the metric that chooses the best weights and `sense` its direction."""

    def __init__(
        self,
        folder: Path,
        model: nn.Module,
        task: Task,
        engine: Engine,
        train: BatchSource,
        validation: BatchSource | None,
        plan: Plan,
        monitor: tuple[str, Literal["min", "max"]],
        hooks: list[Hook],
    ) -> None:
        self.folder, self.model, self.task, self.engine = folder, model, task, engine
        self.train_source, self.validation_source = train, validation
        self.plan, self.monitor, self.hooks = plan, monitor, hooks
        self.progress = Progress()
        self.last_metrics: dict[str, float] = {}
        self.stop_reason: str | None = None  # set by hooks to end after the current step
        self.leave: Callable[[], NetwrightError] | None = None  # set by signal handlers: save, then raise what it gives
        self.over = False  # the last step is done and saved
        self._steps_per_epoch = train.steps_per_epoch
        self._last_step = plan.last_step(self._steps_per_epoch)
        self._steppers = [hook for hook in hooks if hook.stride]
        self._clock = self._saved = time.monotonic()

    @property
    def total_steps(self) -> int:
        """Steps of the whole plan."""
        return self._last_step

    @property
    def epoch_is_over(self) -> bool:
        """Whether the last step was the last of its epoch (or of the run)."""
        return self.progress.batch == self._steps_per_epoch or self.progress.step == self._last_step

    def batches(self) -> Iterator[Batch]:
        """All batches that are left, in order; a resumed run goes on in the middle of its epoch."""
        progress = self.progress
        self._saved = time.monotonic()
        self._clock = self._saved - progress.seconds
        self.model.train()
        while progress.step < self._last_step and self.stop_reason is None:
            if progress.batch == self._steps_per_epoch:
                progress.epoch, progress.batch = progress.epoch + 1, 0
            for batch in self.train_source.epoch(progress.epoch, progress.batch):
                progress.batch += 1
                progress.step += 1
                yield batch
                if self.leave is not None:
                    self.save()
                    raise self.leave()
                if self.stop_reason is not None or progress.step == self._last_step:
                    return

    def step_end(self, out: StepOutput) -> None:
        """Tell the hooks whose stride has come round; most look at figures, so the device is waited for anyhow.

        Raises:
            DivergedError: an update was held back on the device since the last look.
        """
        step = self.progress.step
        for hook in self._steppers:
            if step % hook.stride == 0:
                if hook.looks_at_figures:
                    self.engine.check()
                hook.step_end(self, out)

    def notify(self, event: Literal["start", "validation_end", "saved", "end"]) -> None:
        """Tell every hook of an event."""
        if event != "start":
            self.progress.seconds = self.elapsed()
        if event == "end":
            self.over = True
            if self.leave is not None:  # it came after the last step was looked at
                raise self.leave()
        for hook in self.hooks:
            getattr(hook, event)(self)

    def close(self) -> None:
        """Let the hooks give back what they hold, however the run ended."""
        for hook in self.hooks:
            hook.close(self)

    def elapsed(self) -> float:
        """Seconds of work on this run so far, over all its resumes."""
        return time.monotonic() - self._clock

    def due(self, what: Due) -> bool:
        """Whether it is time to validate or to save."""
        if what == "validate" and self.validation_source is None:
            return False
        if self.progress.step == self._last_step or self.stop_reason is not None:
            return True
        every = self.plan.validate_every if what == "validate" else self.plan.checkpoint_every
        if every != "epoch":
            return self.progress.step % every == 0
        soon = what == "checkpoint" and time.monotonic() - self._saved < _LEAST_SECONDS
        return self.epoch_is_over and not soon

    def validate(self) -> None:
        """Measure on the validation set, with the averaged weights where there are any; the best weights are saved."""
        assert self.validation_source is not None
        self.last_metrics = self.measure(self.validation_source)
        value = self.last_metrics[self.monitor[0]]
        self.engine.observe(value, self.monitor[1])
        improved = self._improves(value)
        if improved:
            progress = self.progress
            progress.best, progress.best_step, progress.best_epoch = value, progress.step, progress.epoch
        self.notify("validation_end")
        if improved and not self.due("checkpoint"):
            self.save()

    def measure(self, source: BatchSource) -> dict[str, float]:
        """The task's figures on a source."""
        return evaluate(self.model, self.task, self.engine, source)

    def save(self) -> None:
        """Commit a checkpoint; from here a resume gives the same bits.

        Raises:
            DivergedError: the weights are no finite numbers; the checkpoint before stays the newest.
            ResourceError: disk full, or the folder cannot be written.
        """
        self.engine.check(weights=True)
        self.progress.seconds = self.elapsed()
        self._commit(self.state())
        self._saved = time.monotonic()
        self.notify("saved")

    def restore(self) -> bool:
        """Go back to the newest whole checkpoint; False where there is none.

        Raises:
            CheckpointError: all are damaged, or of another network or config.
        """
        state = checkpoints.newest(self.folder / "checkpoints")
        if state is None:
            return False
        try:
            self.load_state(state)
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise CheckpointError(
                "the checkpoint of {folder} does not fit its config ({reason}); resume with the config it began with",
                folder=self.folder,
                reason=because(error),
            ) from error
        if self.progress.step > self._last_step:
            raise CheckpointError(
                "{folder} stands at step {step} already, and its config ends at step {last}; raise train.epochs or "
                "train.steps, or start anew with another --out",
                folder=self.folder, step=self.progress.step, last=self._last_step,
            )  # fmt: skip
        self._commit(state)  # a kill between a save and its links would leave `best` behind
        return True

    def state(self) -> dict[str, Any]:
        """Everything that decides the next bit."""
        return {
            "model": self.model.state_dict(),
            "engine": self.engine.state(),
            "source": self.train_source.state(),
            "task": self.task.state(),
            "hooks": {hook.name: hook.state() for hook in self.hooks},
            "progress": asdict(self.progress),
            "rng": seeds.rng_state(),
            "threads": torch.get_num_threads(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Undo of `state`."""
        torch.set_num_threads(state["threads"])
        try:
            self.model.load_state_dict(state["model"])
        except RuntimeError as error:
            raise ValueError(say("its weights are those of another network")) from error
        self.progress = Progress(**state["progress"])
        self.engine.load_state(state["engine"])
        self.task.load_state(state["task"])
        self.train_source.load_state(state["source"])
        for hook in self.hooks:
            if hook.name in state["hooks"]:
                hook.load_state(self, state["hooks"][hook.name])
        seeds.set_rng_state(state["rng"])

    def load_best(self) -> None:
        """Put the best weights into the network (the averaged ones where there is an average)."""
        state = checkpoints.best(self.folder / "checkpoints")
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        if (averaging := self.engine.averaging) is not None:
            averaging.load_state(state["engine"]["averaging"])
            self.model.load_state_dict({**self.model.state_dict(), **averaging.tensors()})

    def _improves(self, value: float) -> bool:
        best = self.progress.best
        if value != value:  # NaN is never better
            return False
        return best is None or (value > best if self.monitor[1] == "max" else value < best)

    def _commit(self, state: dict[str, Any]) -> None:
        best = self.progress.best_step == self.progress.step or self.validation_source is None
        checkpoints.commit(self.folder / "checkpoints", self.progress.step, state, best=best)
