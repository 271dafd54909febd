"""A skorch callback.

net = NeuralNetClassifier(module, callbacks=[("doctor", SkorchDoctor())])
net.fit(X, y)
print(dict(net.callbacks_)["doctor"].findings)
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from netwright.core.errors import need
from netwright.doctor.callbacks.attending import Attending
from netwright.doctor.callbacks.rerun import Rerun
from netwright.doctor.findings import Finding

need("skorch", "skorch")

# isort: split
from skorch import NeuralNetClassifier  # noqa: E402
from skorch.callbacks import Callback  # noqa: E402

__all__ = ["SkorchDoctor"]


class SkorchDoctor(Callback):
    """Watches `fit` and `partial_fit`; `findings` may be read at any time. See `netwright.watch`.

    As a context manager it takes its hooks off whatever happens within. Alone, it does so at the end of training and of
    every epoch (so that checkpoints can be pickled); when the module's forward pass raises, it stops watching.

    Args:
        every: the watch's hooks are on for one step in so many.
        path: a findings.jsonl to be written.
        diagnose: seconds for `netwright.diagnose` on the first batches, at the end or as soon as the loss is not a
            number; 0 for none. It costs a copy of the module and the optimizer at the start.
    """

    def __init__(self, every: int = 10, path: str | Path | None = None, diagnose: float = 0.0) -> None:
        self.every, self.path, self.diagnose = every, path, diagnose

    def initialize(self) -> Self:
        """Skorch sets parameters until here."""
        self.attending_ = Attending(self.every, self.path, self.diagnose)
        self.new_: list[str] = []
        self.guard_: RemovableHandle | None = None
        return self

    @property
    def findings(self) -> list[Finding]:
        """What is known so far, worst first; nothing before `fit`."""
        return self.attending_.findings if hasattr(self, "attending_") else []

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **given: Any) -> None:
        """Attach to the module and every optimizer."""
        names = getattr(net, "_optimizers", ["optimizer"])
        optimizers: list[Optimizer] = [getattr(net, f"{name}_") for name in names]
        self.first_, self.loss_ = True, _loss(net)
        rerun = Rerun(net.module_, optimizers[0], self.loss_) if self.diagnose and len(optimizers) == 1 else None
        self.attending_.begin(net.module_, optimizers, rerun, lambda finding: self.new_.append(finding.fault))

    def on_epoch_begin(self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **given: Any) -> None:
        """Hooks on."""
        self._guard(net.module_)
        self.attending_.resume()

    def on_batch_begin(self, net: Any, batch: Any = None, training: bool | None = None, **given: Any) -> None:
        """Look at the first batch before anything is changed by it."""
        if not training or not self._is_pair(batch) or not (self.first_ or self.attending_.wants_batches):
            return
        place = next(net.module_.parameters()).device
        inputs, targets = batch[0].to(place), batch[1].to(place)
        if self.first_:
            self.first_ = False
            self.attending_.examine(net.module_, inputs, targets, self.loss_)
        self.attending_.keep((inputs, targets))

    def on_batch_end(
        self, net: Any, batch: Any = None, training: bool | None = None, loss: Any = None, **given: Any
    ) -> None:
        """One batch is done."""
        if training and loss is not None:
            self.attending_.passed(loss)
            self.attending_.done(batch[1] if self._is_pair(batch) else None)

    def on_epoch_end(self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **given: Any) -> None:
        """Hooks off; what is new stands in the history, as `event_doctor` (a + in the printed table) and `doctor`."""
        self.attending_.pause()
        self._unguard()
        net.history.record("event_doctor", bool(self.new_))
        if self.new_:
            net.history[-1]["doctor"] = self.new_
            self.new_ = []

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **given: Any) -> None:
        """The last look."""
        self.attending_.end()
        self.close()

    def close(self) -> None:
        """Take every hook off."""
        if hasattr(self, "attending_"):
            self.attending_.close()
            self._unguard()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "attending_"):
            self.attending_.end(broken=True)
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        """What is alive is not pickled; the settings are."""
        return {"every": self.every, "path": self.path, "diagnose": self.diagnose}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.initialize()

    def _guard(self, module: nn.Module) -> None:
        def broken(*given: Any) -> None:
            if given[-1] is None:  # the forward pass has raised; skorch tells its callbacks nothing of it
                self.attending_.end(broken=True)  # this hook itself cannot be taken off from within

        self._unguard()
        self.guard_ = module.register_forward_hook(broken, always_call=True)

    def _unguard(self) -> None:
        if self.guard_ is not None:
            self.guard_.remove()
            self.guard_ = None

    def _is_pair(self, batch: Any) -> bool:
        return isinstance(batch, list | tuple) and len(batch) == 2 and all(isinstance(part, Tensor) for part in batch)


def _loss(net: Any) -> Callable[..., Tensor]:
    """The criterion as skorch's own classifier calls it: NLL takes the logarithm of probabilities there."""
    criterion = net.criterion_
    if isinstance(net, NeuralNetClassifier) and isinstance(criterion, nn.NLLLoss):

        def of_probabilities(output: Tensor, targets: Tensor) -> Tensor:
            value: Tensor = criterion(torch.log(output + torch.finfo(output.dtype).eps), targets)
            return value

        return of_probabilities
    loss: Callable[..., Tensor] = criterion
    return loss
