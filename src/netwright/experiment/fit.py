"""`fit`: anybody's network on anybody's data, through the same assembly, loop and run folder as a config."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from netwright.core.errors import ConfigError
from netwright.core.messages import say
from netwright.data import load_data
from netwright.experiment.assemble import Given
from netwright.experiment.folders import Run
from netwright.experiment.run import train
from netwright.tasks import TASKS, task_class

__all__ = ["fit"]

_READ_AS: dict[str, Literal["class", "number"]] = {"class": "class", "mask": "class", "number": "number"}


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
        train_data: (x, y) arrays or tensors, a built-in name, a path, a Dataset or a DataLoader (whose data set is
        taken).
        validation: like `train_data`, or the share to hold out (0.1 by default); `test` likewise (none by default).
        task: inferred from the targets where it is not given.
        loss: a name, a section, or any callable `loss(outputs, targets)`.
        optimizer: a name, a section (`{"name": "adam", "lr": 1e-3}`), or a torch optimizer over the module's
        parameters.
        out: the run folder; by default a new one below `runs/`. With `resume`, the run in it goes on.
        settings: more of the config's `train:` section (`seed`, `precision`, `early_stop`, …), or `augment`, `metrics`,
            `distill`.

    Raises:
        NetwrightError: see `core.errors`.
    """
    _check(module, loss, optimizer)
    bundle = load_data(train_data, validation=validation, test=test, target_kind=_target_kind(task))
    sections: dict[str, Any] = {
        name: settings.pop(name) for name in ("augment", "metrics", "expect", "distill") if name in settings
    }
    sections |= {
        "data": {"python": bundle.name}, "task": task, "doctor": doctor,
        "loss": loss if loss is None or isinstance(loss, str | Mapping) else None,
        "optimizer": optimizer if optimizer is None or isinstance(optimizer, str | Mapping) else None,
        "train": {"epochs": epochs, "batch_size": _at_most(batch_size, len(bundle.train)), **settings},
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


def _target_kind(task: str | Mapping[str, Any] | None) -> Literal["class", "number"] | None:
    """How targets are to be read for the task that is asked for; None: as they look."""
    name = str(task.get("name") if isinstance(task, Mapping) else task)
    wanted = task_class(name).target_kinds if name in TASKS else ()
    return _READ_AS.get(wanted[0]) if wanted else None


def _check(module: object, loss: object, optimizer: object) -> None:
    """What is given as an object is one of the kind."""
    if not isinstance(module, nn.Module):
        got = say("the class {name}", name=module.__name__) if isinstance(module, type) else f"{module!r:.60}"
        template = "the module is {got}; expected an instance of nn.Module (train takes networks by name)"
        raise ConfigError(template, path="model", got=got)
    if loss is not None and not isinstance(loss, str | Mapping) and not callable(loss):
        template = "loss={got!r} does not fit; expected a name, a section or a callable"
        raise ConfigError(template, path="loss", got=loss)
    if optimizer is not None and not isinstance(optimizer, str | Mapping | torch.optim.Optimizer):
        template = "optimizer={got!r} does not fit; expected a name, a section or a torch optimizer"
        raise ConfigError(template, path="optimizer", got=optimizer)
    if isinstance(optimizer, torch.optim.LBFGS):
        template = "the optimizer LBFGS evaluates a step many times, which this loop does not; use another one"
        raise ConfigError(template, path="optimizer")
    if isinstance(optimizer, torch.optim.Optimizer):
        mine = set(map(id, module.parameters()))
        if not any(id(weight) in mine for group in optimizer.param_groups for weight in group["params"]):
            template = "the optimizer holds no parameters of this module; make it from module.parameters()"
            raise ConfigError(template, path="optimizer")


def _at_most(batch_size: object, examples: int) -> object:
    """The batch size, cut to small data; what is no number is left for the check of the section."""
    return min(batch_size, max(examples, 1)) if isinstance(batch_size, int) else batch_size
