"""Whether data, task and network go together: what can be said before anything is built."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from netwright import models
from netwright.core import schemas
from netwright.core.errors import ConfigError, NetwrightError
from netwright.core.messages import few, say
from netwright.data.schema import Schema
from netwright.tasks import task_class

__all__ = ["check_sizes", "check_task", "construct", "default_model", "networks_for", "part_of"]

_SIZES = (
    "image_shape", "in_channels", "image_size", "in_features", "vocab_size", "num_actions", "num_classes", "level",
)  # fmt: skip
_TARGETS = {
    "action": "an environment with a fixed set of actions", "class": "classes",
    "control": "an environment whose actions are numbers", "multilabel": "several labels an example",
    "next-token": "text", "mask": "masks", "none": "no target", "number": "numbers",
    "forecast": "a time series", "span": "answers to questions", "text": "pairs of texts",
}  # fmt: skip
_KINDS = {
    "array": "arrays", "environment": "an environment", "graph": "graphs", "image": "pictures",
    "series": "a time series", "table": "a table", "text": "a text",
}  # fmt: skip


def networks_for(task: str | None) -> dict[str, models.ModelCard]:
    """The cards of the catalog's networks that are for the task; all of them for None."""
    if task is None:
        return dict(models.MODELS)
    wanted = {*(task_class(task).like_tasks or (task,))}
    return {name: card for name, card in models.MODELS.items() if not wanted.isdisjoint(card.tasks)}


def default_model(task: str, schema: Schema) -> str | dict[str, Any]:
    """The network, or the section of one, that a config gets which names none."""
    if task == "image-classification":  # its class serves tables and texts as well
        return "lenet5"
    return task_class(task).usual_model or {"text": "lstm", "graph": "gcn"}.get(schema.kind, "mlp")


def check_task(name: str, schema: Schema) -> None:
    """Whether a task can learn from the data.

    Raises:
        ConfigError: other data or another target than it needs; says which task fits.
    """
    kind = task_class(name)
    kinds, targets = kind.data_kinds, kind.target_kinds
    if kinds and schema.kind not in kinds:
        wanted, got = say(_KINDS[kinds[0]]), say(_KINDS[schema.kind])
    elif targets and schema.target.kind not in targets:
        wanted, got = say(_TARGETS[targets[0]]), say(_TARGETS[schema.target.kind])
    else:
        return
    template = "task {task} needs {wanted}, and the data have {got}; {do}"
    raise ConfigError(template, path="task", task=name, wanted=wanted, got=got, do=_remedy(schema, targets))


def _remedy(schema: Schema, targets: tuple[str, ...]) -> str:
    if schema.target.kind == "none":
        return say("set data.target")
    use = say("use task: {task}", task=schema.default_task())
    if {schema.target.kind, *targets} == {"class", "number"}:
        return say("set data.target_kind: {kind}, or {use}", kind=targets[0], use=use)
    return use


def check_sizes(name: str, sizes: Mapping[str, Any], task: str | None) -> None:
    """Whether the data (or the user) decide every size that a network of the catalog takes from them.

    Raises:
        ConfigError: the network is for other data; says which ones fit.
    """
    lacking = _lacking(name, sizes)
    if not lacking:
        return
    kins: dict[str, str] = {}  # the smallest network of each, the small ones first
    for other, card in sorted(networks_for(task).items(), key=lambda item: item[1].parameters or 0):
        if not _lacking(other, sizes):
            kins.setdefault(card.kin, other)
    do = say("use {names}, or model.layers", names=few([*kins.values()], 60)) if kins else say("use model.layers")
    template = "model {name} is for other data: nothing here decides its {lacking}; {do}"
    raise ConfigError(template, path="model", name=name, lacking=", ".join(lacking), do=do)


def construct(factory: Callable[..., Any], arguments: Mapping[str, Any], name: str | None) -> nn.Module:
    """Call a network's constructor, which may be anybody's.

    Raises:
        ConfigError: it fails, or gives something else than a network.
    """
    try:
        made = factory(**arguments)
    except (NetwrightError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if "memory" in str(error):
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        template = "model {name} cannot be built ({reason}); check its arguments"
        raise ConfigError(template, path="model", name=name, reason=reason) from error
    if not isinstance(made, nn.Module):
        template = "model {name} gives a {got}; expected an nn.Module"
        raise ConfigError(template, path="model", name=name, got=type(made).__name__)
    return made


def part_of(model: nn.Module, part: str, task: str | None) -> nn.Module:
    """The part of a network that a phase of a task trains; all of it for `""`.

    Raises:
        ConfigError: the network has no such part.
    """
    if not part:
        return model
    try:
        return model.get_submodule(part)
    except AttributeError as error:
        fitting = ", ".join(networks_for(task)) or say("a network with it")
        template = "task {task} trains the {part} of a network, and the model has none; use {fitting}"
        raise ConfigError(template, path="model", task=task, part=part, fitting=fitting) from error


def _lacking(name: str, sizes: Mapping[str, Any]) -> list[str]:
    """Sizes that a network of ours takes from the data and these do not decide; a user's own has its own defaults."""
    if name not in models.MODELS:
        return []
    known = schemas.parameters(models.catalog().load(name))
    return [size for size in _SIZES if size in known and size not in sizes and known[size].default is not None]
