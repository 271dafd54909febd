"""What a probe's change is in the words of a config: a patch of dotted paths, where None means that the setting goes.

Where nothing in a config says what a probe changed, or it says so already, there is no patch.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, get_args

from netwright import models
from netwright.core import schemas
from netwright.core.errors import NetwrightError
from netwright.experiment.doctor import layer_patches
from netwright.optim import split_spec
from netwright.tasks import task_class

__all__ = ["Patch", "Values", "longer", "patch_for"]

Patch = dict[str, Any]
Values = Mapping[str, Any]


def patch_for(change: str, values: Values) -> Patch | None:
    """The patch that does in a config what the probe `change` did; None where there is none, or it changes nothing."""
    make = _PATCHES.get(change)
    made = make(values) if make is not None else None
    return made or None


def _section(values: Values, name: str) -> dict[str, Any]:
    value = values.get(name)
    return {"name": value} if isinstance(value, str) else dict(value) if isinstance(value, Mapping) else {}


def _rate(factor: float) -> Callable[[Values], Patch | None]:
    def make(values: Values) -> Patch | None:
        if values.get("optimizer") is None:
            return None
        return {"optimizer.lr": float(f"{split_spec(values['optimizer']).lr * factor:.3g}")}

    return make


def _gone(values: Values, section: str, *names: str) -> Patch:
    """Settings of a section that are there and have a value, to be taken out."""
    there = _section(values, section)
    return {f"{section}.{name}": None for name in names if there.get(name)}


def _constant(values: Values) -> Patch:
    steady = _section(values, "optimizer").get("schedule") == "constant"
    return _gone(values, "optimizer", *(["warmup"] if steady else ["schedule", "warmup"]))


def _every_batch(values: Values) -> Patch | None:
    """An update a batch."""
    return {"train.accumulate": None} if int(_section(values, "train").get("accumulate") or 1) > 1 else None


def _unfrozen(values: Values) -> Patch:
    return {**_gone(values, "optimizer", "freeze", "lr_scale", "layer_decay"), **_gone(values, "model", "freeze")}


def _adam(values: Values) -> Patch | None:
    given = _section(values, "optimizer")
    if given.get("name") in (None, "adam", "adamw"):
        return None
    return {"optimizer": {"name": "adam", "lr": 1e-3}}


def _batches(smaller: bool) -> Callable[[Values], Patch | None]:
    def make(values: Values) -> Patch | None:
        train = _section(values, "train")
        size = int(train.get("batch_size") or 128)
        if smaller:
            fewer = _every_batch(values) or {}
            return ({"train.batch_size": max(8, size // 8)} if size > 8 else {}) | fewer
        return {"train.batch_size": max(16, size * 8)} if size <= 8 else None

    return make


def _momentum(values: Values) -> Patch | None:
    given = _section(values, "optimizer")
    return {"optimizer.momentum": 0.9} if float(given.get("momentum") or 0) > 0.9 else None


def _loss(values: Values) -> Patch | None:
    """The task's usual loss, where another one is named."""
    task = _section(values, "task").get("name")
    usual = task_class(task).default_loss if isinstance(task, str) else None
    given = _section(values, "loss").get("name")
    return {"loss": usual} if usual is not None and given is not None and given != usual else None


def _plain_loss(values: Values) -> Patch:
    """No penalty, no clipping, no smoothing: the loss alone."""
    return {
        **_gone(values, "optimizer", "l1", "clip", "clip_value"),
        **_gone(values, "loss", "label_smoothing"),
    }


def _usual(values: Values) -> Patch:
    """All at what trains most networks: Adam, the task's own loss, no augmentation, dropout or squashing."""
    patch: Patch = {} if values.get("optimizer") is None else {"optimizer": dict(_PLAIN_OPTIMIZER)}
    if values.get("optimizer") == _PLAIN_OPTIMIZER:
        patch = {}
    task = _section(values, "task").get("name")
    usual = task_class(task).default_loss if isinstance(task, str) else None
    if usual is not None and _section(values, "loss") not in ({}, {"name": usual}):
        patch["loss"] = usual
    train = _section(values, "train")
    patch |= {f"train.{name}": None for name in ("accumulate", "early_stop", "per_class") if train.get(name)}
    if int(train.get("batch_size") or 128) not in range(8, 257):
        patch["train.batch_size"] = 32
    return patch | ({"augment": None} if values.get("augment") else {}) | (_plain_network(values) or {})


def _plain_network(values: Values) -> Patch | None:
    layers = _section(values, "model").get("layers")
    if not isinstance(layers, Sequence) or isinstance(layers, str):
        options = (_undropped, _option("activation", ("relu",), _NO_SQUASH))
        return {path: value for option in options for path, value in (option(values) or {}).items()}
    made: Sequence[Any] = layers
    for change in (layer_patches.without_last_softmax, layer_patches.without_dropout, layer_patches.with_nonlinearities,
                   partial(layer_patches.with_activations, other="relu")):  # fmt: skip
        made = change(made) or made
    return {"model.layers": list(made)} if made != layers else None


def longer(values: Values, times: int) -> Patch:
    """So many times the epochs, and steps where they end the run before."""
    train = _section(values, "train")
    epochs, steps = int(train.get("epochs") or 10), train.get("steps")
    return {"train.epochs": times * epochs} | ({"train.steps": times * int(steps)} if steps else {})


def _layers(change: Callable[[Sequence[Any]], list[Any] | None]) -> Callable[[Values], Patch | None]:
    def make(values: Values) -> Patch | None:
        layers = _section(values, "model").get("layers")
        made = change(layers) if isinstance(layers, Sequence) and not isinstance(layers, str) else None
        return {"model.layers": made} if made is not None else None

    return make


def _option(name: str, wanted: Sequence[str], but: Sequence[str] = ()) -> Callable[[Values], Patch | None]:
    """The first of `wanted` that the network takes for its option `name`, unless it has one of `but`."""

    def make(values: Values) -> Patch | None:
        model = _section(values, "model")
        parameter = _signature(model).get(name)
        if parameter is None or "layers" in model:
            return None
        allowed = [str(item) for item in get_args(parameter.annotation)]
        value = str(model.get(name, parameter.default))
        if value in (*wanted, *but):
            return None
        return next(({f"model.{name}": other} for other in wanted if not allowed or other in allowed), None)

    return make


def _undropped(values: Values) -> Patch | None:
    """Dropout and its kin at 0, in the options of a network or in its list of layers."""
    model = _section(values, "model")
    if "layers" in model:
        return _layers(layer_patches.without_dropout)(values)
    options = {key: parameter for key, parameter in _signature(model).items() if "drop" in key}
    rates = {key: model.get(key, parameter.default) for key, parameter in options.items()}
    return {f"model.{key}": 0.0 for key, rate in rates.items() if isinstance(rate, int | float) and rate > 0}


def _wider(values: Values) -> Patch | None:
    hidden = _section(values, "model").get("hidden")
    if isinstance(hidden, Sequence) and any(isinstance(size, int) and size < 64 for size in hidden):
        return {"model.hidden": [max(64, size) for size in hidden]}
    return _layers(layer_patches.wider)(values)


def _signature(model: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return schemas.parameters(models.catalog().load(str(model["name"])))
    except (KeyError, NetwrightError):
        return {}


def _either(*makers: Callable[[Values], Patch | None]) -> Callable[[Values], Patch | None]:
    def make(values: Values) -> Patch | None:
        return next((made for maker in makers if (made := maker(values))), None)

    return make


_PLAIN_OPTIMIZER: Patch = {"name": "adam", "lr": 2e-3}
_NO_SQUASH = ("relu", "gelu", "silu", "leaky-relu", "elu", "selu", "mish", "hardswish", "relu6", "softplus")
_PATCHES: dict[str, Callable[[Values], Patch | None]] = {
    "adam": _adam,
    "clipped": lambda values: None if _section(values, "optimizer").get("clip") == 1.0 else {"optimizer.clip": 1.0},
    "constant-rate": _constant,
    "every-batch": _every_batch,
    "fresh": lambda values: {"train.seed": int(_section(values, "train").get("seed") or 0) + 1},
    "inputs": _layers(layer_patches.with_scaled_inputs),
    "larger-batches": _batches(smaller=False),
    "leaky": _either(
        _option("activation", ("leaky-relu",), tuple(name for name in _NO_SQUASH if name not in ("relu", "relu6"))),
        _layers(lambda layers: layer_patches.with_activations(layers, "leaky-relu")),
    ),
    "less-momentum": _momentum,
    "longer": lambda values: longer(values, 2),
    "loss": _loss,
    "lr*10": _rate(10),
    "lr*100": _rate(100),
    "lr*1000": _rate(1000),
    "lr*10000": _rate(10_000),
    "lr*100000": _rate(100_000),
    "lr/10": _rate(0.1),
    "lr/100": _rate(0.01),
    "lr/1000": _rate(0.001),
    "no-decay": lambda values: {"optimizer.weight_decay": 0.0} if values.get("optimizer") is not None else None,
    "no-dropout": _undropped,
    "nonlinear": _either(_option("activation", ("relu",), _NO_SQUASH), _layers(layer_patches.with_nonlinearities)),
    "normalised": _either(
        _option("norm", ("batch", "layer"), ("batch", "layer", "group", "instance")),
        _layers(layer_patches.with_norms),
    ),
    "plain-loss": _plain_loss,
    "raw-scores": _layers(layer_patches.without_last_softmax),
    "relu": _either(
        _option("activation", ("relu",), _NO_SQUASH),
        _layers(lambda layers: layer_patches.with_activations(layers, "relu")),
    ),
    "smaller-batches": _batches(smaller=True),
    "unclipped": lambda values: _gone(values, "optimizer", "clip", "clip_value"),
    "unfrozen": _unfrozen,
    "usual": _usual,
    "wider": _wider,
}
