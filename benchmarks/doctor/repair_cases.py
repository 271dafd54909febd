"""Configs for `repairs.py`: healthy ones, and the same with one thing turned so far that the run is really worse."""

from typing import Any

__all__ = ["FAULTY", "HEALTHY"]

Section = dict[str, Any]

_DIGITS: Section = {
    "data": "digits", "model": {"name": "mlp", "hidden": [64, 32]},
    "optimizer": {"name": "adam", "lr": 2e-3}, "train": {"epochs": 10, "batch_size": 64},
}  # fmt: skip
_DIGITS_SGD: Section = {
    "data": "digits", "model": {"name": "mlp", "hidden": [64, 32]},
    "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9}, "train": {"epochs": 10, "batch_size": 64},
}  # fmt: skip
_CONV: list[Any] = [{"conv": 8, "kernel": 3}, "relu", {"pool": "max"}, "flatten", {"linear": 64}, "relu", "linear"]
_LAYERS: Section = {
    "data": "digits", "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
    "train": {"epochs": 8, "batch_size": 64},
    "model": {"layers": _CONV},
}  # fmt: skip
_CANCER: Section = {
    "data": "breast-cancer", "model": {"name": "mlp", "hidden": [32, 16]},
    "optimizer": {"name": "adamw", "lr": 3e-3}, "train": {"epochs": 25, "batch_size": 32},
}  # fmt: skip
_WINE: Section = {
    "data": "wine", "model": {"name": "mlp", "hidden": [32]},
    "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9}, "train": {"epochs": 30, "batch_size": 16},
}  # fmt: skip
_DIABETES: Section = {
    "data": "diabetes", "model": {"name": "mlp", "hidden": [32]},
    "optimizer": {"name": "adam", "lr": 3e-3}, "train": {"epochs": 30, "batch_size": 32},
}  # fmt: skip
_DIABETES_SGD: Section = {
    "data": "diabetes", "model": {"name": "mlp", "hidden": [32]},
    "optimizer": {"name": "sgd", "lr": 0.02, "momentum": 0.9}, "train": {"epochs": 30, "batch_size": 32},
}  # fmt: skip
_FASHION: Section = {
    "data": "fashion-mnist", "model": {"name": "mlp", "hidden": [64]},
    "optimizer": {"name": "adam", "lr": 1e-3}, "train": {"epochs": 4, "batch_size": 128},
}  # fmt: skip
_LENET: Section = {
    "data": "fashion-mnist", "model": {"name": "lenet5"},
    "optimizer": {"name": "adam", "lr": 2e-3}, "train": {"epochs": 3, "batch_size": 128},
}  # fmt: skip


def _with(base: Section, **changes: Section) -> Section:
    """Whole settings within sections changed; `model` is replaced where it has layers."""
    made = {**base}
    for section, values in changes.items():
        whole = section in ("loss",) or "layers" in values or "name" in values
        made[section] = values if whole else {**made.get(section, {}), **values}
    return made


_NARROW = _with(_DIGITS_SGD, model={"hidden": [4, 32]})


def _deep(activation: str, count: int, units: int = 32) -> list[Any]:
    hidden = [part for _ in range(count) for part in ({"linear": units}, activation)]
    return ["flatten", *hidden, "linear"]


# name, healthy twin, faulty config
FAULTY: list[tuple[str, Section, Section]] = [
    ("lr x100, adam", _DIGITS, _with(_DIGITS, optimizer={"lr": 0.2})),
    ("lr x100, sgd", _DIGITS_SGD, _with(_DIGITS_SGD, optimizer={"lr": 10.0})),
    ("lr /1000, adam", _DIGITS, _with(_DIGITS, optimizer={"lr": 2e-6})),
    ("lr /1000, sgd", _DIGITS_SGD, _with(_DIGITS_SGD, optimizer={"lr": 1e-4})),
    ("decay 1.0, sgd", _DIGITS_SGD, _with(_DIGITS_SGD, optimizer={"weight_decay": 1.0})),
    ("decay 50, adamw", _CANCER, _with(_CANCER, optimizer={"weight_decay": 50.0})),
    ("dropout .95", _DIGITS, _with(_DIGITS, model={"dropout": 0.95})),
    (
        "dropout .95 in layers",
        _LAYERS,
        _with(_LAYERS, model={"layers": [*_LAYERS["model"]["layers"][:-1], {"dropout": 0.95}, "linear"]}),
    ),
    ("clip 1e-4", _DIGITS_SGD, _with(_DIGITS_SGD, optimizer={"clip": 1e-4})),
    ("clip value 1e-6", _WINE, _with(_WINE, optimizer={"clip_value": 1e-6})),
    (
        "schedule collapsed",
        _DIGITS_SGD,
        _with(_DIGITS_SGD, optimizer={"lr": 0.02, "schedule": {"name": "step", "milestones": [0.02], "gamma": 1e-4}}),
    ),
    ("warm-up without end", _DIGITS_SGD, _with(_DIGITS_SGD, optimizer={"lr": 2e-3, "momentum": 0.0, "warmup": 200})),
    (
        "softmax in layers",
        _LAYERS,
        _with(_LAYERS, model={"layers": [*_LAYERS["model"]["layers"], "softmax"]}, optimizer={"lr": 0.03}),
    ),
    ("deep sigmoid layers", _DIGITS, _with(_DIGITS, model={"layers": _deep("sigmoid", 6)})),
    (
        "deep sigmoid network",
        _CANCER,
        _with(_CANCER, model={"hidden": [32] * 8, "activation": "sigmoid"}, optimizer={"lr": 3e-4}),
    ),
    (
        "deep tanh, rate too high",
        _DIGITS_SGD,
        _with(_DIGITS_SGD, model={"layers": _deep("tanh", 10)}, optimizer={"lr": 1.0}),
    ),
    ("all in one batch", _DIGITS_SGD, _with(_DIGITS_SGD, train={"batch_size": 1400}, optimizer={"lr": 0.02})),
    ("all in one batch, adam", _CANCER, _with(_CANCER, train={"batch_size": 400, "epochs": 8}, optimizer={"lr": 1e-3})),
    ("batch of one, rate of a large one", _DIGITS_SGD, _with(_DIGITS_SGD, train={"batch_size": 1, "epochs": 2})),
    ("one hidden unit", _DIGITS, _with(_DIGITS, model={"hidden": [1]})),
    (
        "no activation",
        _DIGITS,
        _with(_DIGITS, model={"layers": ["flatten", {"linear": 64}, {"linear": 3}, {"linear": 64}, "linear"]}),
    ),
    ("l1 0.1", _DIGITS_SGD, _with(_DIGITS_SGD, optimizer={"l1": 0.1})),
    ("momentum .999", _DIABETES_SGD, _with(_DIABETES_SGD, optimizer={"momentum": 0.999})),
    ("lr x100, numbers", _DIABETES_SGD, _with(_DIABETES_SGD, optimizer={"lr": 2.0})),
    ("lr /1000, numbers", _DIABETES, _with(_DIABETES, optimizer={"lr": 3e-6})),
    ("dropout .95, numbers", _DIABETES, _with(_DIABETES, model={"dropout": 0.95})),
    ("decay 3, numbers", _DIABETES_SGD, _with(_DIABETES_SGD, optimizer={"weight_decay": 3.0})),
    ("a part frozen by a rate of 0", _NARROW, _with(_NARROW, optimizer={"lr_scale": {"trunk": 0.0}})),
    ("adagrad that crawls", _DIGITS, _with(_DIGITS, optimizer={"name": "adagrad", "lr": 1e-5})),
    ("rmsprop that leaps", _CANCER, _with(_CANCER, optimizer={"name": "rmsprop", "lr": 1.0})),
    ("lr x300, pictures", _FASHION, _with(_FASHION, optimizer={"lr": 0.3})),
    ("lr /1000, pictures", _FASHION, _with(_FASHION, optimizer={"lr": 1e-6})),
    ("lr x100, LeNet-5", _LENET, _with(_LENET, optimizer={"lr": 0.2})),
    ("updates too rare", _DIGITS_SGD, _with(_DIGITS_SGD, train={"accumulate": 64}, optimizer={"lr": 0.02})),
]  # fmt: skip

HEALTHY: list[tuple[str, Section]] = [
    ("digits", _DIGITS),
    ("digits, sgd", _DIGITS_SGD),
    ("digits, layers", _LAYERS),
    ("breast cancer", _CANCER),
    ("wine", _WINE),
    ("diabetes", _DIABETES),
    ("diabetes, sgd", _DIABETES_SGD),
    ("fashion", _FASHION),
    ("LeNet-5", _LENET),
    (
        "dropout, decay, cosine",
        _with(_DIGITS, model={"dropout": 0.2}, optimizer={"weight_decay": 1e-2, "schedule": "cosine"}),
    ),
    ("linear regression", _with(_DIABETES, model={"hidden": []}, optimizer={"lr": 0.02})),
    ("tanh", _with(_CANCER, model={"activation": "tanh"})),
]  # fmt: skip
