"""`watch`: signals from anybody's loop.

    with nw.watch(net, opt) as doctor:
        for x, y in loader:
            ...; doctor.step(loss)
    print(doctor.findings)

Nothing is written to: no weight, gradient, buffer or random state. On an accelerator losses stay there until somebody
asks. The first few steps, and then fewer and fewer, are sampled: hooks look at activations, gradients and the update.
Between those a step costs a few microseconds.
"""

import contextlib
import math
from array import array
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from netwright.doctor.findings import Finding, ranked
from netwright.doctor.watch.activations import Activations
from netwright.doctor.watch.copies import Quiet
from netwright.doctor.watch.guard import Guard
from netwright.doctor.watch.losses import Losses
from netwright.doctor.watch.sampling import Samples
from netwright.doctor.watch.signals import Signals
from netwright.doctor.watch.suspicions import suspicions

__all__ = ["Watch", "watch"]

_EARLY = (0, 1, 2, 4, 7)
_THINNED = 12  # of the steps so far, one such part passes between two looks: a long run changes slowly
_WHOLE = 6  # samples that look at everything; later ones take turns


def watch(net: nn.Module, optimizer: Optimizer | None = None, every: int = 10) -> "Watch":
    """A watch over a loop; call its `step(loss)` once after each optimization step.

    Args:
        every: one step in so many is sampled, and fewer as the run grows long.
    """
    return Watch(net, optimizer, every)


class Watch:
    """See `watch`. `findings` may be read at any time; reading is what synchronises."""

    def __init__(self, net: nn.Module, optimizer: Optimizer | None = None, every: int = 10) -> None:
        self._net, self._optimizer, self._every = net, optimizer, max(1, every)
        self._samples, self._activations = Samples(net), Activations(net)
        self._guard = Guard(net, self._samples.named)
        self._guarded = self._guard.on
        self._count, self._looks, self._due, self._next = 0, 0, 0, self._every
        self._losses, self._rates = Losses(), array("d")
        self._signals = Signals(mode_matters=_mode_matters(net))
        self._labels: list[Tensor] = []
        self._handles: list[RemovableHandle] = []  # of a sampled step
        self._standing: list[RemovableHandle] = []
        self._root: list[RemovableHandle] = []  # on sampled steps, and where calls between them tell something
        self._on = False
        self._paused, self._tested = False, -1
        self._awake = self._asleep_since = 0

    def __enter__(self) -> "Watch":
        if not self._on:
            self._on = True
            if self._optimizer is not None:
                self._standing = [self._optimizer.register_step_pre_hook(self._before_step)]
            self._arrange()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Take every hook off."""
        self._detach()
        for handle in [*self._standing, *self._root]:
            handle.remove()
        self._standing, self._root, self._on = [], [], False

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Passes within are somebody's own measurements and not the loop's."""
        self._paused = True
        try:
            yield
        finally:
            self._paused = False

    def step(self, loss: Any, targets: Tensor | None = None) -> None:
        """One optimization step is done; `targets` of its batch let labels be looked at too."""
        if not self._on:
            self.__enter__()
        value = self._losses.keep(loss)
        if self._guarded and value is not None and not math.isfinite(value):
            self._guard.find()
        if self._optimizer is not None:
            rate = self._optimizer.param_groups[0]["lr"]
            self._rates.append(rate if type(rate) is float else self._rate(rate))
        if self._net.training:
            self._awake, self._asleep_since = self._awake + 1, 0
        else:
            self._asleep_since += 1
        self._count += 1
        if self._count >= self._due or self._guard.asks:
            self._turn(targets)

    @property
    def findings(self) -> list[Finding]:
        """What the signals make one suspect, worst first."""
        return ranked(suspicions(self.signals()))

    def signals(self) -> Signals:
        """Everything gathered so far, as numbers."""
        signals = self._signals
        signals.losses, signals.rates = self._losses.read(), self._rates.tolist()
        alone = [low for low, high in (labels.tolist() for labels in self._labels) if low == high]
        signals.labelled, signals.one_label = len(self._labels), len(alone) if len(set(alone)) > 1 else 0
        signals.batch = self._activations.batch
        self._samples.read(signals)
        signals.absent = self._absent()
        signals.layers, signals.classes = self._activations.layers(), self._activations.classes
        signals.answers, same = self._activations.answers(), self._activations.inputs()
        signals.sampled_inputs, signals.constant_inputs = len(same), sum(same)
        signals.where_bad = self._guard.where
        signals.trained_awake, signals.trained_asleep = self._awake, self._count - self._awake
        signals.asleep_since = self._asleep_since
        return signals

    def _rate(self, rate: Any) -> float:
        """A rate on an accelerator is read on sampled steps only."""
        if isinstance(rate, Tensor) and not rate.is_cpu and self._rates and not self._handles:
            return self._rates[-1]
        return float(rate)

    def _turn(self, targets: Tensor | None) -> None:
        """A sampled step is over, or the next one is to be."""
        if self._handles:
            if targets is not None and not targets.is_floating_point() and targets.numel() > 1:
                self._labels.append(torch.stack(torch.aminmax(targets.detach())))
            self._detach()
            self._looks += 1
        self._arrange()
        if self._guard.asks:
            self._hear()

    def _arrange(self) -> None:
        """Attach for the step that begins, if it is to be sampled, and tell when there is something to do again."""
        if self._count in _EARLY or self._count >= self._next:
            self._attach()
        if self._count >= self._next:
            spacing = max(self._every, self._count // _THINNED)
            self._next = self._count + spacing + self._looks % 2  # in step with no accumulation scheme
        early = next((step for step in _EARLY if step > self._count), self._next)
        self._due = self._count + 1 if self._handles else min(early, self._next)

    def _absent(self) -> list[str]:
        if self._optimizer is None:
            return []
        held = {id(p) for group in self._optimizer.param_groups for p in group["params"]}
        return [name for name, p in self._samples.named if id(p) not in held]

    def _attach(self) -> None:
        both = self._looks < _WHOLE
        self._handles = []
        self._moving = both or self._looks % 2 == 0
        if both or not self._moving:
            self._handles += self._activations.attach()
        if self._moving:
            self._handles += self._samples.attach(self._optimizer)
            if self._optimizer is not None:
                self._handles.append(self._optimizer.register_step_post_hook(self._after_step))
        self._hear()

    def _hear(self) -> None:
        if not self._root:
            self._root = [self._net.register_forward_pre_hook(Quiet(self._see_call), with_kwargs=True)]

    def _detach(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._samples.forget()
        self._guard.given = None
        if not (self._signals.mode_matters and self._signals.tested_asleep == 0):
            for handle in self._root:
                handle.remove()
            self._root = []

    def _before_step(self, *_: object) -> None:
        if self._guarded:
            self._guard.look()
        if self._handles and self._moving:
            self._signals.stepped += 1
            self._samples.before(self._count)

    def _after_step(self, *_: object) -> None:
        self._samples.after(self._count)

    def _see_call(self, module: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        if self._paused:
            return
        signals = self._signals
        if torch.is_grad_enabled():
            if self._guarded:
                self._guard.hear(args, named)
            if self._handles and args:
                self._activations.entering(args[0])
        elif module.training:
            signals.tested_awake += 1
            signals.tested_steps += self._tested != self._count
            self._tested = self._count
        else:
            signals.tested_asleep += 1


def _mode_matters(net: nn.Module) -> bool:
    def differs(module: nn.Module) -> bool:
        if isinstance(module, nn.modules.dropout._DropoutNd):
            return module.p > 0
        if isinstance(module, nn.RNNBase):
            return module.dropout > 0 and module.num_layers > 1
        norm = isinstance(module, nn.modules.batchnorm._BatchNorm)
        return norm and any(p.requires_grad for p in module.parameters())

    return any(differs(module) for module in net.modules())
