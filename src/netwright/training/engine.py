"""The engine under the loop: precision, accumulation, clipping, the update, and the guard before it.

The guard: a loss that is not a number never reaches the optimizer. On a CPU the loss is looked at on every step, which
costs a microsecond; on an accelerator that would wait for the device, so there the fused optimizers are told
(`found_inf`, the mechanism of loss scaling) to skip the update, and the flag is read when the run next logs or saves
(`check`).
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from netwright.core.devices import Precision
from netwright.core.errors import ConfigError, DivergedError
from netwright.core.messages import say
from netwright.optim import Schedule, add_l1, gradient_norm
from netwright.optim.averaging import Average
from netwright.tasks.base import Phase

__all__ = ["Engine", "UpdateNorms", "Updater"]


Watched = Literal["loss", "gradient norm", "loss or gradient norm"]  # put into words only when it has gone wrong


@dataclass
class UpdateNorms:
    """What a sampled update looked like: norms over all weights of the phase."""

    grad_norm: float
    update_ratio: float


@dataclass
class Updater:
    """What one phase updates, and how."""

    optimizer: torch.optim.Optimizer
    schedule: Schedule
    clip: Callable[[Sequence[Tensor]], Tensor] | None = None
    l1: float = 0.0
    parameters: list[nn.Parameter] = field(init=False)

    def __post_init__(self) -> None:
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]

    @property
    def lr(self) -> float:
        """The learning rate in force, of the first group."""
        return float(self.optimizer.param_groups[0]["lr"])


class Engine:
    """Turns losses into updates; one `Updater` a phase, one precision, one averaging for the whole network."""

    def __init__(
        self,
        updaters: Mapping[str, Updater],
        device: torch.device,
        precision: Precision,
        accumulate: int = 1,
        averaging: Average | None = None,
    ) -> None:
        self.updaters = dict(updaters)
        self.device = device
        self.precision = precision
        self.accumulate = accumulate
        self.averaging = averaging
        self.signals: dict[str, UpdateNorms] = {}
        self.updates = 0
        self._pending = dict.fromkeys(updaters, 0)
        self._held_back: dict[str, Tensor] = {}  # on an accelerator: whether a phase's update was skipped, 1 for yes
        self._measuring = False
        self._waits_for_device = device.type != "cpu"
        self._alone = len(self.updaters) == 1

    def autocast(self) -> AbstractContextManager[Any]:
        """The context that forward passes run in."""
        if self.precision.dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, self.precision.dtype)

    def measure_next(self) -> None:
        """Collect `signals` at the next update of each phase: gradient norm, size of the update against the weights."""
        self._measuring = True
        self.signals = {}

    def backward(self, loss: Tensor, phase: Phase) -> None:
        """Gradients of the phase's own weights, averaged over the accumulated batches.

        Raises:
            ConfigError: the loss (of the user's own) is not one number that follows from the network's outputs.
            DivergedError: the loss is not a finite number; no weight has been touched.
        """
        if not isinstance(loss, Tensor) or loss.numel() != 1 or not loss.requires_grad:
            raise _no_loss(loss)
        self._guard("loss", loss, phase.name)
        if self.accumulate > 1:
            loss = loss / self.accumulate
        if self._alone:
            loss.backward()
        else:  # the other phases' weights take part in the forward pass, but must not collect gradients from this loss
            loss.backward(inputs=self.updaters[phase.name].parameters)
        self._pending[phase.name] += 1

    def update_if_due(self, phase: Phase) -> bool:
        """Clip, update the weights and advance the schedule once enough batches are in; says whether it did."""
        if self._pending[phase.name] < self.accumulate:
            return False
        self._pending[phase.name] = 0
        updater = self.updaters[phase.name]
        if updater.l1:
            add_l1(updater.parameters, updater.l1)
        norm = updater.clip(updater.parameters) if updater.clip is not None else None
        if norm is not None:
            self._guard("gradient norm", norm, phase.name)
        if self._measuring:
            self._measured_step(updater, phase, norm)
        else:
            updater.optimizer.step()
        updater.optimizer.zero_grad(set_to_none=True)
        updater.schedule.advance()
        self.updates += 1
        if self.averaging is not None:
            self.averaging.update()
        return True

    def check(self, weights: bool = False) -> None:
        """Look whether updates were held back on the device, and at the weights themselves where asked to.

        Raises:
            DivergedError: an update had no finite number to follow, or a weight is none.
        """
        for name, flag in self._held_back.items():
            if flag.item():
                raise self._diverged("loss or gradient norm", math.nan, name)
        healthy = [torch.isfinite(p).all() for u in self.updaters.values() for p in u.parameters] if weights else []
        if healthy and not torch.stack(healthy).all().item():
            raise DivergedError(
                "weights stopped being numbers by update {update}; the last checkpoint is healthy; "
                "lower optimizer.lr, or set optimizer.clip: 1.0",
                update=self.updates,
            )

    def observe(self, value: float, sense: Literal["min", "max"]) -> None:
        """Tell the schedules a validation result; only plateau listens."""
        for updater in self.updaters.values():
            updater.schedule.observe(value, sense)

    def state(self) -> dict[str, Any]:
        """Everything that decides the next update, as tensors and JSON scalars."""
        return {
            "updates": self.updates,
            "measuring": self._measuring,
            "signals": {name: asdict(signals) for name, signals in self.signals.items()},
            "averaging": None if self.averaging is None else self.averaging.state(),
            "phases": {name: self._phase_state(name, updater) for name, updater in self.updaters.items()},
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Undo of `state`."""
        self.updates, self._measuring = state["updates"], state["measuring"]
        self.signals = {name: UpdateNorms(**values) for name, values in state["signals"].items()}
        if self.averaging is not None:
            self.averaging.load_state(state["averaging"])
        for name, updater in self.updaters.items():
            phase = state["phases"][name]
            _restore(updater.optimizer, phase["optimizer"])
            _lay_out(updater.optimizer)
            updater.schedule.load_state(phase["schedule"])
            self._pending[name] = phase["pending"]
            for parameter, gradient in zip(updater.parameters, phase["gradients"] or (), strict=False):
                parameter.grad = _laid_like(parameter, gradient) if gradient is not None else None

    def _guard(self, what: Watched, value: Tensor, phase: str) -> None:
        """No update may follow from `value` if it is not finite."""
        optimizer = self.updaters[phase].optimizer
        skips = self._waits_for_device and getattr(optimizer, "_step_supports_amp_scaling", False)
        if not (skips and optimizer.defaults.get("fused")):
            if not math.isfinite(value.item()):
                raise self._diverged(what, value.item(), phase)
            return
        bad = (~torch.isfinite(value.detach())).float()
        before = self._held_back.get(phase)  # once bad, no later batch may make it good
        self._held_back[phase] = bad if before is None else torch.maximum(before, bad)
        optimizer.found_inf = self._held_back[phase]  # type: ignore[attr-defined]

    def _diverged(self, what: Watched, value: float, phase: str) -> DivergedError:
        words = {"loss": say("loss"), "gradient norm": say("gradient norm")}
        return DivergedError(
            "{what} is {value} at update {update} (lr {lr:.3g}); the weights are those of the step before; "
            "lower optimizer.lr, set optimizer.clip: 1.0, or look at the data with: netwright check",
            what=words.get(what, say("loss or gradient norm")),
            value=value,
            update=self.updates,
            lr=self.updaters[phase].lr,
        )

    def _measured_step(self, updater: Updater, phase: Phase, norm: Tensor | None) -> None:
        """One update between two looks at the weights; a copy of them, so only on sampled steps."""
        weights = [p.detach() for p in updater.parameters if p.grad is not None]
        before = [w.clone() for w in weights]
        if norm is None:
            norm = gradient_norm(updater.parameters)
        updater.optimizer.step()
        moved = _norm(torch._foreach_sub(weights, before))
        size = _norm(before)
        self.signals[phase.name] = UpdateNorms(norm.item(), (moved / size.clamp_min(1e-12)).item())
        if len(self.signals) == len(self.updaters):
            self._measuring = False

    def _phase_state(self, name: str, updater: Updater) -> dict[str, Any]:
        return {
            "optimizer": updater.optimizer.state_dict(),
            "schedule": updater.schedule.state(),
            "pending": self._pending[name],
            "gradients": [p.grad for p in updater.parameters] if self._pending[name] else None,
        }


def _no_loss(loss: object) -> ConfigError:
    if not isinstance(loss, Tensor):
        got = type(loss).__name__
    else:
        several = loss.numel() != 1
        got = say("{shape} numbers", shape=list(loss.shape)) if several else say("a number without a gradient")
    template = "the loss gives {got}; expected one number, as a tensor that follows from the outputs of the network"
    return ConfigError(template, path="loss", got=got)


def _restore(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """What an optimizer has gathered goes on; its settings are those of now, which the config may have got since.

    Of a class of the user's own nobody can tell settings from what it gathers: there all goes on.

    Raises:
        ValueError: the state of another optimizer.
    """
    groups = optimizer.param_groups
    settings = [{name: value for name, value in group.items() if name != "params"} for group in groups]
    if any(saved.keys() - group.keys() for saved, group in zip(state["param_groups"], groups, strict=True)):
        raise ValueError(say("its optimizer is another one"))
    optimizer.load_state_dict(dict(state))
    if type(optimizer).__module__.startswith(("torch.optim.", "netwright.")):
        for group, values in zip(optimizer.param_groups, settings, strict=True):
            group.update(values)


def _lay_out(optimizer: torch.optim.Optimizer) -> None:
    """Fused updates walk through memory: what they keep for a weight must lie there as the weight does.

    Checkpoints hold everything contiguous, and the weights of convolutions may be channels-last.
    """
    for weight, kept in optimizer.state.items():
        for name, value in kept.items():
            if isinstance(value, Tensor) and value.shape == weight.shape:
                kept[name] = _laid_like(weight, value)


def _laid_like(weight: Tensor, value: Tensor) -> Tensor:
    if value.stride() == weight.stride():
        return value
    return torch.empty_like(weight, dtype=value.dtype, device=value.device, requires_grad=False).copy_(value)


def _norm(tensors: Iterable[Tensor]) -> Tensor:
    """The Euclidean norm over several tensors, without leaving the device."""
    norms = torch._foreach_norm(list(tensors))
    return torch.stack([n.float() for n in norms]).norm() if norms else torch.zeros(())
