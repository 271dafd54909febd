"""`watch`: signals from anybody's loop.

    with nw.watch(net, opt) as doctor:
        for x, y in loader:
            ...; doctor.step(loss)
    print(doctor.findings)

Nothing is written to: no weight, gradient, buffer or random state. Losses stay on the device until somebody asks. On
every `every`-th step (and the first few) hooks look at activations, gradients and the update; between those, a step
costs a list's append.
"""

import contextlib
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from netwright.doctor.findings import Finding, ranked
from netwright.doctor.watch.activations import Activations
from netwright.doctor.watch.signals import Signals, listed
from netwright.doctor.watch.suspicions import suspicions

__all__ = ["Watch", "watch"]

_EARLY = {0, 1, 2, 4, 7}
_THINNED = 25  # of the steps so far, one such part passes between two looks: a long run changes slowly
_FOLD = 512  # losses that are kept one by one
_DROPPING = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)


def watch(net: nn.Module, optimizer: Optimizer | None = None, every: int = 10) -> "Watch":
    """A watch over a loop; call its `step(loss)` once after each optimization step.

    Args:
        every: hooks are on for one step in so many, and for fewer as the run grows long.
    """
    return Watch(net, optimizer, every)


class Watch:
    """See `watch`. `findings` may be read at any time; reading is what synchronises."""

    def __init__(self, net: nn.Module, optimizer: Optimizer | None = None, every: int = 10) -> None:
        self._net, self._optimizer, self._every = net, optimizer, max(1, every)
        self._named = [(name, p) for name, p in net.named_parameters() if p.requires_grad]
        self._weights = [(name, p) for name, p in self._named if p.dim() > 1]
        self._start = [p.detach().clone() for _, p in self._named]
        self._count, self._due = 0, self._every
        self._losses: list[Tensor] = []
        self._folded: list[Tensor] = []
        self._rates: list[float] = []
        self._rows: list[tuple[str, int, Tensor, Tensor]] = []
        self._activations = Activations(net)
        self._signals = Signals(mode_matters=_mode_matters(net))
        self._inputs: list[Tensor] = []
        self._labels: list[Tensor] = []
        self._handles: list[RemovableHandle] = []
        self._before: list[Tensor] = []
        self._piled: list[Tensor] = []
        self._root: RemovableHandle | None = None
        self._paused = False

    def __enter__(self) -> "Watch":
        if self._root is None:
            self._root = self._net.register_forward_pre_hook(self._see_call)
            self._attach()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Take every hook off."""
        self._detach()
        if self._root is not None:
            self._root.remove()
            self._root = None

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
        if self._root is None:
            self.__enter__()
        self._losses.append(loss.detach() if isinstance(loss, Tensor) else torch.tensor(float(loss)))
        if len(self._losses) >= _FOLD:
            self._folded.append(torch.stack([value.reshape(-1)[0].float() for value in self._losses]))
            self._losses = []
        if self._optimizer is not None:
            rate = self._optimizer.param_groups[0]["lr"]
            self._rates.append(rate if isinstance(rate, float) else float(rate))
        if self._handles:
            if targets is not None and not targets.is_floating_point() and targets.numel() > 1:
                self._labels.append(targets.min() == targets.max())
            self._detach()
        self._count += 1
        if self._count in _EARLY or self._count >= self._due:
            self._attach()
        if self._count >= self._due:
            self._due = self._count + max(self._every, self._count // _THINNED)

    @property
    def findings(self) -> list[Finding]:
        """What the signals make one suspect, worst first."""
        return ranked(suspicions(self.signals()))

    def signals(self) -> Signals:
        """Everything gathered so far, as numbers."""
        told = self._signals
        flat = [value.reshape(-1)[0].float().cpu() for value in self._losses]
        told.losses = (
            torch.cat([*(part.cpu() for part in self._folded), *(v[None] for v in flat)]).tolist()
            if (flat or self._folded)
            else []
        )
        told.rates = list(self._rates)
        self._read_rows(told)
        told.layers = self._activations.layers()
        told.sizes = {name: float(p.detach().norm()) for name, p in self._weights}
        moved = [one.equal(p.detach()) for one, (_, p) in zip(self._start, self._named, strict=True)]
        told.unchanged = [name for still, (name, _) in zip(moved, self._named, strict=True) if still]
        piled = listed(self._piled)
        told.piled, told.fresh = sum(value > 0 for value in piled), sum(value == 0 for value in piled)
        told.sampled_inputs = len(self._inputs)
        told.constant_inputs = sum(bool(flat) for flat in self._inputs)
        told.labelled, told.one_label = len(self._labels), sum(bool(label) for label in self._labels)
        return told

    def _read_rows(self, told: Signals) -> None:
        told.updates, told.gradients = {}, {}
        for kind, step, norms, sizes in self._rows:
            table = told.updates if kind == "update" else told.gradients
            for (name, _), norm, size in zip(self._weights, norms.tolist(), sizes.tolist(), strict=True):
                if kind == "update" and size > 0:
                    table.setdefault(name, []).append((step, norm / size))
                elif kind == "gradient":
                    table.setdefault(name, []).append((step, norm))
        told.bad_gradients = [name for name, rows in told.gradients.items() if rows and rows[-1][1] != rows[-1][1]]

    def _attach(self) -> None:
        self._handles = self._activations.attach()
        if self._optimizer is not None:
            self._handles.append(self._optimizer.register_step_pre_hook(self._before_step))
            self._handles.append(self._optimizer.register_step_post_hook(self._after_step))
        self._handles += self._watch_piling()

    def _detach(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles, self._before = [], []

    def _watch_piling(self) -> list[RemovableHandle]:
        """Of the smallest parameter: the gradient that comes in against the one that then lies there."""
        if not self._named:
            return []
        parameter = min((p for _, p in self._named), key=Tensor.numel)
        seen: dict[str, Tensor] = {}

        def arrives(gradient: Tensor) -> None:
            seen["in"] = gradient.detach().clone()

        def lies(leaf: Tensor) -> None:
            if "in" in seen and leaf.grad is not None and leaf.grad.layout == torch.strided:
                self._piled.append((leaf.grad.detach() - seen.pop("in")).abs().sum())

        return [parameter.register_hook(arrives), parameter.register_post_accumulate_grad_hook(lies)]

    def _before_step(self, *_: object) -> None:
        self._signals.stepped += 1
        with torch.no_grad():
            weights = [p.detach() for _, p in self._weights]
            self._before = [weight.clone() for weight in weights]
            gradients = [p.grad.detach() if _dense(p) else torch.zeros((), device=p.device) for _, p in self._weights]  # type: ignore[union-attr]
            self._keep("gradient", gradients, gradients)

    def _after_step(self, *_: object) -> None:
        if self._before:
            with torch.no_grad():
                now = [p.detach() for _, p in self._weights]
                self._keep("update", torch._foreach_sub(now, self._before), self._before)
            self._before = []

    def _keep(self, kind: str, values: Any, sizes: Any) -> None:
        if len(values):
            norms = torch.stack([norm.float() for norm in torch._foreach_norm(values)])
            other = norms if sizes is values else torch.stack([norm.float() for norm in torch._foreach_norm(sizes)])
            self._rows.append((kind, self._count, norms, other))

    def _see_call(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if self._paused:
            return
        told = self._signals
        if torch.is_grad_enabled():
            told.trained_awake += module.training
            told.trained_asleep += not module.training
        else:
            told.tested_awake += module.training
            told.tested_asleep += not module.training
        if self._handles and args and isinstance(args[0], Tensor) and args[0].dim() > 1 and args[0].shape[0] > 1:
            given = args[0].detach()
            self._inputs.append((given == given[:1]).all())


def _dense(parameter: Tensor) -> bool:
    return parameter.grad is not None and parameter.grad.layout == torch.strided


def _mode_matters(net: nn.Module) -> bool:
    def differs(module: nn.Module) -> bool:
        if isinstance(module, _DROPPING):
            return module.p > 0
        norm = isinstance(module, nn.modules.batchnorm._BatchNorm)
        return norm and any(p.requires_grad for p in module.parameters())

    return any(differs(module) for module in net.modules())
