"""The table: faulty programs by what is turned, with their repaired twins, and healthy ones that look odd.

Here are the families that are tuned on; the held-out ones stand in `held_cases.py` and are joined at the end. `STYLE`
are faults that are waste or risk, and need not make a program worse.
"""

from typing import Any

import held_cases
from held_cases import HELD_OUT, Row

__all__ = ["FAULTY", "HEALTHY", "HELD_OUT", "STYLE", "seen_before_a_step"]

_SGD: dict[str, Any] = {"optimizer": "sgd"}
_SGD5: dict[str, Any] = {"optimizer": "sgd", "lr": 0.05}


def _set(family: str, fault: str, **dials: Any) -> Row:
    """The twin leaves all dials at their defaults."""
    return family, fault, dials, {}


TUNED: list[Row] = [  # family, fault, dials, the twin's dials
    _set("mlp", "lr-too-high", lr=0.5),
    ("mlp", "lr-too-high", _SGD | {"lr": 3.0}, _SGD5),
    _set("mlp", "lr-too-low", lr=1e-6),
    _set("mlp", "missing-zero-grad", loop="no-zero-grad"),
    _set("mlp", "schedule-collapsed", schedule="collapse"),
    _set("mlp", "labels-corrupted", labels="shuffled"),
    _set("mlp", "bad-init-scale", init=3.0),
    ("mlp", "vanishing-gradient", {"act": "sigmoid", "depth": 8}, {"depth": 3}),
    _set("mlp", "dead-relu", bias=-8.0),
    _set("mlp", "over-regularized", dropout=0.95),
    _set("mlp", "over-regularized", l1=0.05),
    _set("mlp", "wrong-optimizer", optimizer="adadelta", lr=1e-3),
    _set("mlp", "capacity-too-small", width=1),
    _set("mlp", "not-shuffled", shuffle=False),
    _set("mlp", "frozen-parameters", loop="no-step"),
    _set("mlp", "wrong-loss", loss="negative"),
    ("mlp", "missing-normalization", {"depth": 24}, {"depth": 3}),
    ("mlp", "saturation", {"act": "tanh", "scale": 200.0, **_SGD5}, {"act": "tanh", **_SGD5}),
    ("mlp", "undertrained", {"epochs": 1, "lr": 3e-4}, {"epochs": 12, "lr": 3e-4}),
    _set("mlp", "symmetric-init", fill=0.01),
    _set("mlp", "head-size-mismatch", head=9),
    _set("mlp", "shape-mismatch", gap=6),
    (
        "mlp",
        "class-imbalance",
        {"rare": 8, "epochs": 8, **_SGD5},
        {"rare": 8, "epochs": 8, "loss": "weighted", **_SGD5},
    ),
    _set("mlp", "invalid-setting", lr=0.0),
    ("mlp", "invalid-setting", _SGD5 | {"maximize": True}, _SGD5),
    _set("mlp", "invalid-values", holes=True),
    _set("mlp", "invalid-values", double=True),
    _set("mlp", "missing-output-activation", loss="nll"),
    _set("mlp", "preprocessing-mismatch", held_scale=6.0),
    _set("mlp", "leakage", leak="column"),
    ("mlp", "input-degenerate", {"scale": 1e-5, **_SGD5}, _SGD5),
    ("mlp", "frozen-parameters", {"last_only": True, "width": 12, "lr": 1e-3}, {"width": 12, "lr": 1e-3}),
    _set("yesno", "single-unit-softmax", end="softmax", loss="bce"),
    _set("yesno", "missing-output-activation", loss="bce"),
    _set("yesno", "output-range", end="tanh", loss="bce"),
    _set("yesno", "lr-too-high", lr=1.0),
    _set("marks", "multilabel-as-multiclass", loss="compete"),
    _set("marks", "lr-too-low", lr=1e-6),
    _set("cnn", "lr-too-high", lr=0.2),
    ("cnn", "lr-too-low", _SGD | {"lr": 1e-5}, _SGD5),
    _set("cnn", "over-regularized", decay=1.0),
    ("cnn", "over-regularized", _SGD5 | {"clip": 1e-3}, _SGD5),
    _set("cnn", "input-not-normalized", scale=2000.0),
    _set("cnn", "non-finite", loss="log-of-probability"),
    ("cnn", "double-softmax", _SGD5 | {"softmax": True}, _SGD5),
    ("cnn", "missing-zero-grad", _SGD5 | {"loop": "no-zero-grad"}, _SGD5),
    _set("cnn", "shape-mismatch", gap=3),
    ("cnn", "symmetric-init", {"fill": 0.02, **_SGD5}, _SGD5),
    _set("cnn", "wrong-loss", loss="mae-on-labels"),
    ("cnn", "batch-too-large", {"batch": 2000, "lr": 1e-3}, {"lr": 1e-3}),
    ("cnn", "overfitting", {"few": 96, "epochs": 100, "labels": "noisy"}, {"labels": "noisy"}),
    _set("lstm", "lr-too-high", lr=1.0),
    _set("lstm", "lr-too-low", lr=3e-6),
    _set("lstm", "over-regularized", decay=0.5),
    _set("lstm", "schedule-collapsed", schedule="collapse"),
    _set("lstm", "labels-corrupted", labels="shuffled"),
    _set("lstm", "batch-mixing", time_first=True),
    _set("lstm", "double-softmax", end="softmax"),
    _set("transformer", "lr-too-high", lr=0.3),
    _set("transformer", "lr-too-low", lr=1e-6),
    _set("transformer", "missing-zero-grad", loop="no-zero-grad"),
    ("regression", "lr-too-high", _SGD | {"lr": 1.5}, _SGD | {"lr": 0.02}),
    _set("regression", "target-not-normalized", target_scale=5000.0, target_shift=20000.0),
    _set("regression", "input-not-normalized", uneven=True),
    _set("regression", "labels-corrupted", labels="shuffled"),
    _set("regression", "capacity-too-small", width=1),
    ("regression", "oscillation", _SGD | {"lr": 0.1, "momentum": 0.995}, _SGD | {"lr": 0.02}),
    _set("regression", "broadcast-loss", flat=True),
    _set("regression", "output-range", end="sigmoid"),
    _set("regression", "missing-nonlinearity", act="none"),
    _set("regression", "wrong-loss", loss="bce-logits"),
]

STYLE: list[Row] = [
    ("mlp", "bias-before-norm", {"norm": True}, {}),
    ("mlp", "redundant-activation", {"act": "twice"}, {"act": "sigmoid"}),
    ("mlp", "dropout-misuse", {"norm": True, "early_dropout": 0.5}, {"norm": True}),
    ("mlp", "leakage", {"leak": "shared"}, {}),
    ("mlp", "head-size-mismatch", {"head": 300}, {}),
    ("mlp", "batch-too-small", {"norm": True, "batch": 2, "few": 300}, {"norm": True, "few": 300}),
    ("cnn", "dense-parameter-explosion", {"dense": 6200, "few": 200, "epochs": 1}, {"few": 200, "epochs": 1}),
    ("cnn", "redundant-activation", {"act": "twice"}, {"act": "sigmoid"}),
    ("mlp", "batch-mixing", {"end": "over-batch", "loss": "nll"}, {}),
    ("mlp", "dropout-misuse", {"end": "dropout"}, {}),
    ("cnn", "wrong-mode", {"norm": True, "loop": "eval"}, {"norm": True}),
    ("cnn", "missing-nonlinearity", {"act": "none"}, {}),
    *held_cases.STYLE,
]

HEALTHY: list[tuple[str, dict[str, Any]]] = [
    ("mlp", {}),
    ("mlp", _SGD5),
    ("mlp", {"norm": True, "optimizer": "sgd", "lr": 0.1}),
    ("mlp", {"schedule": "cosine"}),
    ("mlp", {"schedule": "warmup"}),
    ("mlp", {"schedule": "restarts"}),
    ("mlp", {"smoothing": 0.1}),
    ("mlp", {"accumulate": 4, "batch": 16}),
    ("mlp", {"loss": "sum", "optimizer": "sgd", "lr": 1e-3}),
    ("mlp", {"dropout": 0.3}),
    ("mlp", {"few": 32, "epochs": 100}),
    ("mlp", {"act": "tanh", "lr": 1e-3}),
    ("mlp", {"end": "log-softmax", "loss": "nll"}),
    ("mlp", {"rare": 20, "loss": "weighted"}),
    ("yesno", {}),
    ("yesno", {"end": "sigmoid", "loss": "bce"}),
    ("marks", {}),
    ("cnn", {}),
    ("cnn", {"norm": True}),
    ("cnn", {"optimizer": "adamw", "decay": 0.05, "clip": 1.0}),
    ("cnn", {"act": "gelu", "dropout": 0.2}),
    ("cnn", {"frozen": 2}),
    ("lstm", {}),
    ("lstm", {"clip": 1.0, "lr": 1e-2}),
    ("transformer", {}),
    ("transformer", {"schedule": "warmup", "dropout": 0.1}),
    ("regression", {}),
    ("regression", {"optimizer": "sgd", "lr": 0.02}),
    ("regression", {"loss": "huber"}),
    ("regression", {"act": "sigmoid", "lr": 0.01, "depth": 1}),
    *held_cases.HEALTHY,
]

FAULTY: list[Row] = [*TUNED, *held_cases.FAULTY]

_STATIC = {  # the rows of FAULTS.md that can be seen before a step, where the program shows them there
    "shape-mismatch", "head-size-mismatch", "double-softmax", "missing-output-activation", "single-unit-softmax",
    "wrong-loss", "output-range", "multilabel-as-multiclass", "broadcast-loss", "missing-nonlinearity",
    "redundant-activation", "bias-before-norm", "dropout-misuse", "missing-normalization",
    "dense-parameter-explosion", "symmetric-init", "bad-init-scale", "input-not-normalized", "input-degenerate",
    "target-not-normalized", "invalid-values", "preprocessing-mismatch", "leakage", "class-imbalance", "not-shuffled",
    "batch-too-small", "over-regularized", "wrong-mode", "frozen-parameters", "invalid-setting", "batch-mixing",
}  # fmt: skip
_IN_THE_STEP = {("loop", "no-step"), ("loop", "eval"), ("bug", "frozen-step"), ("bug", "no-step"), ("bug", "asleep"),
                ("bug", "clipped-away"), ("bug", "penalised")}  # fmt: skip


def seen_before_a_step(fault: str, dials: dict[str, Any]) -> bool:
    """Whether the fault lies in network, loss, optimizer or data, and not in what only the step does."""
    hidden = {"l1", "clip"} & set(dials) or any(
        (key, dials[key]) in _IN_THE_STEP for key in ("loop", "bug") if key in dials
    )
    return fault in _STATIC and not hidden
