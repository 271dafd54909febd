"""A Lightning callback.

    doctor = LightningDoctor()
    L.Trainer(callbacks=[doctor]).fit(module, loader)
    print(doctor.findings)

`training_step` is opaque, so the static rules are asked only where `loss_fn` says what the loss is of.
"""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from netwright.core.errors import need
from netwright.doctor.callbacks.attending import Attending
from netwright.doctor.callbacks.rerun import Rerun
from netwright.doctor.findings import Finding
from netwright.metrics import torchvision_guard  # noqa: F401 - before torchmetrics, which Lightning imports

need("lightning.pytorch", "lightning")

# isort: split
from lightning.pytorch import LightningModule  # noqa: E402
from lightning.pytorch.callbacks import Callback  # noqa: E402

__all__ = ["LightningDoctor"]


class LightningDoctor(Callback):
    """Watches `Trainer.fit`; `findings` may be read at any time. See `netwright.watch`.

    Args:
        every: the watch's hooks are on for one step in so many.
        path: a findings.jsonl to be written.
        diagnose: seconds for `netwright.diagnose` on the first batches, at the end or as soon as the loss is not a
            number; 0 for none. It costs a copy of the network and the optimizer at the start.
        loss_fn: of (output, targets), where your batches are (inputs, targets) and the network is called on inputs;
            lets the static rules look at the first batch, and a diagnosis see more.
        net: the network to watch; by default the module's only child with parameters, or the module itself.
    """

    def __init__(
        self, every: int = 10, path: str | Path | None = None, diagnose: float = 0.0,
        loss_fn: Callable[..., Any] | None = None, net: nn.Module | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._attending = Attending(every, path, diagnose)
        self._loss_fn, self._given, self._diagnoses = loss_fn, net, diagnose > 0
        self._first = True

    @property
    def findings(self) -> list[Finding]:
        """What is known so far, worst first."""
        return self._attending.findings

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Attach to network and optimizers, which by now are on their device and restored."""
        self._net = self._given if self._given is not None else _network(pl_module)
        self._first = True
        optimizers = list(trainer.optimizers)
        one = self._diagnoses and len(optimizers) == 1
        rerun = self._rerun(pl_module, optimizers[0], trainer) if one else None
        self._attending.begin(self._net, optimizers, rerun, _logs_to(trainer), trainer.is_global_zero)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Look at the first batch before anything is changed by it."""
        pair = _is_pair(batch)
        if self._first and pair and self._loss_fn is not None:
            self._attending.examine(self._net, batch[0], batch[1], self._loss_fn)
        self._first = False
        if pair and self._attending.wants_batches:
            self._attending.keep((batch[0], batch[1]))

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Tensor) -> None:
        """Where the loop is written by hand, this is the only place that sees its losses."""
        if not pl_module.automatic_optimization:
            scaler = getattr(trainer.precision_plugin, "scaler", None)
            self._attending.passed(loss.detach() / scaler.get_scale() if scaler is not None else loss)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """One batch is done; Lightning has divided its loss by the batches that are accumulated."""
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if pl_module.automatic_optimization and isinstance(loss, Tensor):
            parts = trainer.accumulate_grad_batches
            self._attending.passed(loss.detach() * parts if parts > 1 else loss)
        pair = _is_pair(batch)
        self._attending.done(batch[1] if pair else None, total=not pl_module.automatic_optimization)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """The last look."""
        self._attending.end()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """What was seen until then is told."""
        self._attending.end(broken=True)

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """No hook stays behind."""
        self._attending.close()

    def _rerun(self, module: nn.Module, optimizer: Optimizer, trainer: Any) -> Rerun | None:
        """With a known loss the network alone is run again, without one the module's `training_step`."""
        if type(self._net).forward in (nn.Module.forward, LightningModule.forward):
            return None
        if self._loss_fn is not None:
            return Rerun(self._net, optimizer, self._loss_fn)
        return Rerun(self._net, optimizer, step=_step(module, trainer.gradient_clip_val), whole=module)


def _is_pair(batch: Any) -> bool:
    return isinstance(batch, list | tuple) and len(batch) == 2


def _network(module: Any) -> nn.Module:
    """The one child that holds all parameters: a `training_step` calls it, and seldom the module itself."""
    holders = [child for child in module.children() if next(child.parameters(), None) is not None]
    own = next(module.parameters(recurse=False), None)
    found: nn.Module = holders[0] if len(holders) == 1 and own is None else module
    return found


def _step(module: Any, clip: float | None) -> Callable[..., Tensor]:
    """An optimization step, given a copy of the module."""
    wanted = len(inspect.signature(module.training_step).parameters)

    def step(twin: Any, _: nn.Module, optimizer: Optimizer, batch: Any) -> Tensor:
        optimizer.zero_grad()
        out = twin.training_step(batch, 0) if wanted > 1 else twin.training_step(batch)
        loss: Tensor = out["loss"] if isinstance(out, Mapping) else out
        loss.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(twin.parameters(), clip)
        optimizer.step()
        return loss

    return step


def _logs_to(trainer: Any) -> Callable[[Finding], None]:
    """Every logger gets a mark at the step where a finding was told; those that take text get its words."""

    def tell(finding: Finding) -> None:
        for logger in trainer.loggers:
            logger.log_metrics({f"doctor/{finding.fault}": 1.0}, step=trainer.global_step)
            add_text = getattr(logger.experiment, "add_text", None)
            if add_text is not None:
                add_text("doctor", str(finding), trainer.global_step)

    return tell
