"""`fit`: anybody's network on anybody's data, through the same assembly, loop and run folder as a config."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from netwright.core.errors import ConfigError
from netwright.data import load_data
from netwright.experiment.assemble import Given
from netwright.experiment.run import Run, train

__all__ = ["fit"]


_TARGETS: dict[str, Literal["class", "number"]] = {
    "image-classification": "class", "tabular-classification": "class", "regression": "number",
}  # fmt: skip


def fit(
    module: nn.Module,
    train_data: Any,
    validation: Any = None,
    task: str | Mapping[str, Any] | None = None,
    loss: str | Mapping[str, Any] | Callable[..., Tensor] | None = None,
    optimizer: str | Mapping[str, Any] | torch.optim.Optimizer | None = None,
    epochs: int = 10,
    batch_size: int = 128,
    doctor: Literal["off", "advise", "repair"] = "advise",
    out: str | Path | None = None,
    test: Any = 0.0,
    resume: bool = False,
    quiet: bool = False,
    **settings: Any,
) -> Run:
    """Train a network of your own; `module` holds the best weights afterwards.

    Args:
        train_data: (x, y) arrays or tensors, a built-in name, a path, a Dataset or a DataLoader (whose data set is taken).
        validation: like `train_data`, or the share to hold out (0.1 by default); `test` likewise (none by default).
        task: inferred from the targets where it is not given.
        loss: a name, a section, or any callable `loss(outputs, targets)`.
        optimizer: a name, a section (`{"name": "adam", "lr": 1e-3}`), or a torch optimizer over the module's parameters.
        out: the run folder; by default a new one below `runs/`. With `resume`, the run in it goes on.
        settings: more of the config's `train:` section (`seed`, `precision`, `early_stop`, …), or `augment`, `metrics`.

    Raises:
        NetwrightError: see `core.errors`.
    """
    kind = _TARGETS.get(str(task["name"] if isinstance(task, Mapping) else task))
    bundle = load_data(train_data, validation=validation, test=test, target_kind=kind)
    sections: dict[str, Any] = {name: settings.pop(name) for name in ("augment", "metrics", "expect") if name in settings}
    sections |= {
        "data": {"python": bundle.name}, "task": task, "doctor": doctor,
        "loss": loss if loss is None or isinstance(loss, str | Mapping) else None,
        "optimizer": optimizer if optimizer is None or isinstance(optimizer, str | Mapping) else None,
        "train": {"epochs": epochs, "batch_size": min(batch_size, max(len(bundle.train), 1)), **settings},
    }  # fmt: skip
    given = Given(
        module,
        loss if callable(loss) else None,
        optimizer if isinstance(optimizer, torch.optim.Optimizer) else None,
        bundle,
    )
    if resume:
        if out is None:
            raise ConfigError("resume=True needs out=, the folder of the run to go on with")
        return train(resume=out, quiet=quiet, given=given)
    return train({key: value for key, value in sections.items() if value is not None}, out, quiet=quiet, given=given)
