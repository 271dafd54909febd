"""The search space of a config that tells none: what usually decides whether its network learns well.

Learning rate, weight decay, schedule and optimizer; batch size as powers of two that leave an epoch enough steps; and
of the network what its signature calls dropout, width or depth. Networks that start from published weights keep their
structure, and search lower learning rates.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from netwright.core.schemas import parameters
from netwright.optim.catalog import OPTIMIZERS
from netwright.tuning.space import Choices, Range, Space

__all__ = ["usual_space"]

_FRESH, _TUNED = (0.01, 30.0), (0.001, 3.0)  # times the optimizer's usual learning rate
_RIVALS = ("adamw", "sgd")
_SCHEDULES = ("constant", "cosine", "one-cycle")
_DECAY = (1e-6, 0.1)
_LEAST_STEPS = 8  # of an epoch
_SMALLEST, _TIMES = 8, 4  # of batch sizes: the smallest, and how far they go from the config's
_DROPOUT, _DROP_PATH = 0.5, 0.3
_WIDTHS, _DEPTHS = ("growth_rate", "hidden_size", "width"), ("num_layers",)


def usual_space(
    values: Mapping[str, Any], factory: Callable[..., Any] | None, arguments: Mapping[str, Any], examples: int
) -> Space:
    """The space of a complete config.

    Args:
        values: the config's mapping, with nothing left out.
        factory: what makes the network, where it is one of the catalog; `arguments` are those it is made with.
        examples: in the training part.
    """
    model = values.get("model")
    tuned = isinstance(model, Mapping) and model.get("weights") is not None
    space = _of_optimizer(values.get("optimizer"), tuned) | _of_batches(values.get("train") or {}, examples)
    return space | (_of_network(factory, arguments, tuned) if factory is not None else {})


def _of_optimizer(section: Any, tuned: bool) -> Space:
    told: dict[str, Any] = {"name": section} if isinstance(section, str) else dict(section or {})
    name = told.get("name", "adamw")
    if name not in OPTIMIZERS:  # of one of the user's own nothing but the rate is known
        return {"optimizer.lr": Range(told["lr"] / 30, told["lr"] * 30, "log")} if told.get("lr") else {}
    space: Space = {
        "optimizer.name": Choices(tuple(dict.fromkeys((name, *_RIVALS)))),
        "optimizer.lr": Range(*(_TUNED if tuned else _FRESH), "usual"),
        "optimizer.weight_decay": Range(*_DECAY, "log"),
    }
    schedule = told.get("schedule", "constant")
    if isinstance(schedule, str):
        space["optimizer.schedule"] = Choices(tuple(dict.fromkeys((schedule, *_SCHEDULES))))
    return space


def _of_batches(section: Mapping[str, Any], examples: int) -> Space:
    if section.get("batch_tokens") or section.get("per_class"):
        return {}
    own = int(section.get("batch_size", 128))
    sizes = [2**power for power in range(3, 13)]
    fitting = [
        size for size in sizes
        if max(_SMALLEST, own / _TIMES) <= size <= min(own * _TIMES, max(own, examples / _LEAST_STEPS))
    ]  # fmt: skip
    chosen = sorted({own, *fitting})
    return {"train.batch_size": Choices(tuple(chosen))} if len(chosen) > 1 else {}


def _of_network(factory: Callable[..., Any], arguments: Mapping[str, Any], tuned: bool) -> Space:
    space: Space = {}
    known = {name: parameter.default for name, parameter in parameters(factory).items()} | dict(arguments)
    for name in parameters(factory):
        if name == "dropout" or name.endswith("_dropout"):
            space[f"model.{name}"] = Range(0.0, _DROPOUT)
        elif name == "drop_path":
            space[f"model.{name}"] = Range(0.0, _DROP_PATH)
        elif not tuned and (choices := _sizes(name, known[name], known)):
            space[f"model.{name}"] = Choices(tuple(choices))
    return space


def _sizes(name: str, own: Any, known: Mapping[str, Any]) -> Sequence[Any]:
    """Half and twice of a width, fewer and more layers; of a list of widths both. Empty for what is no size."""
    if name == "hidden" and isinstance(own, list | tuple) and own:
        layers = list(own)
        shapes = [[max(1, size // 2) for size in layers], layers, [2 * size for size in layers], [*layers, layers[-1]]]
        return shapes if len(layers) == 1 else [layers[:-1], *shapes]
    if not isinstance(own, int) or isinstance(own, bool):
        return ()
    heads = known.get("num_heads") or 1
    if name in _WIDTHS and isinstance(heads, int):  # where each stage has its own, none is sure to divide another width
        return [own // 2, own, 2 * own] if own % (4 * heads) == 0 else [own, 2 * own]
    if name in _DEPTHS:
        more = max(1, own // 2)
        return sorted({max(1, own - more), own, own + more})
    return ()
