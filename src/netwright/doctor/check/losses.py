"""Which loss this is: by its class, its name, its own word, or by what it does.

What a loss *expects* ("logits", "probabilities", "log-probabilities", "values") decides what the network must end in;
what it is *for* ("class", "binary", "number", "distribution") decides which targets fit. A lambda has neither name
nor class: then it is called on random scores, and its answers are compared with those of the known losses up to a
factor and a constant.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from netwright.doctor.check.loss_probes import likeness

__all__ = ["KINDS", "LossView", "unwrapped", "view_loss"]

# kind -> what it expects of the network, what it is for
KINDS: dict[str, tuple[str, str]] = {
    "cross-entropy": ("logits", "class"),
    "nll": ("log-probabilities", "class"),
    "nll-of-log": ("probabilities", "class"),
    "bce": ("probabilities", "binary"),
    "bce-logits": ("logits", "binary"),
    "mse": ("values", "number"),
    "mae": ("values", "number"),
    "huber": ("values", "number"),
    "distance": ("values", "number"),  # least where the output is the target
    "kl": ("log-probabilities", "distribution"),
    "multi-margin": ("values", "class"),
}
_CLASSES: dict[type[nn.Module], str] = {
    nn.CrossEntropyLoss: "cross-entropy",
    nn.NLLLoss: "nll",
    nn.BCELoss: "bce",
    nn.BCEWithLogitsLoss: "bce-logits",
    nn.MultiLabelSoftMarginLoss: "bce-logits",
    nn.MSELoss: "mse",
    nn.L1Loss: "mae",
    nn.SmoothL1Loss: "huber",
    nn.HuberLoss: "huber",
    nn.KLDivLoss: "kl",
    nn.MultiMarginLoss: "multi-margin",
}
_FUNCTIONS = {
    "cross_entropy": "cross-entropy",
    "nll_loss": "nll",
    "binary_cross_entropy": "bce",
    "binary_cross_entropy_with_logits": "bce-logits",
    "multilabel_soft_margin_loss": "bce-logits",
    "mse_loss": "mse",
    "l1_loss": "mae",
    "smooth_l1_loss": "huber",
    "huber_loss": "huber",
    "kl_div": "kl",
}
_OURS = {
    "CrossEntropy": "cross-entropy",
    "BinaryCrossEntropy": "bce-logits",
    "MeanSquaredError": "mse",
    "MeanAbsoluteError": "mae",
    "Huber": "huber",
}
_TARGET_KINDS = {
    "class": "class",
    "multilabel": "binary",
    "binary": "binary",
    "number": "number",
    "distribution": "distribution",
}
_WEIGHTS = ("weight", "pos_weight", "alpha", "gamma", "class_weights", "weights")


@dataclass(frozen=True)
class LossView:
    """A loss and what is known of it. `inside`: an activation applied within, before the loss proper. `sign` is -1
    where it is turned round.
    """

    function: Callable[..., Any]
    name: str
    kind: str | None
    expects: str | None
    target_kind: str | None
    how: str
    weighted: bool = False
    sign: int = 1
    inside: str = ""
    onehot: bool = False


def view_loss(
    loss: Callable[..., Any] | str,
    scores: Tensor | None = None,
    targets: Tensor | None = None,
    through: Callable[..., Any] | None = None,
) -> LossView:
    """Recognise `loss`; `scores` and `targets` of a batch are needed only for one that must be tried out, which is
    called as `through` where it takes more than scores.
    """
    if isinstance(loss, str):
        kind = loss if loss in KINDS else _FUNCTIONS.get(loss.replace("-", "_"))
        return _known(_named_loss(kind), kind, loss, "name")
    inner, options = unwrapped(loss)
    name = getattr(inner, "__name__", type(inner).__name__)
    weighted = any(_given(getattr(inner, key, options.get(key))) for key in _WEIGHTS)
    for kind_class, kind in _CLASSES.items():
        if type(inner) is kind_class:
            return _known(loss, kind, name, "class", weighted)
    if name in _FUNCTIONS and getattr(inner, "__module__", "").startswith("torch"):
        return _known(loss, _FUNCTIONS[name], name, "name", weighted)
    if getattr(inner, "expects", None) in {"logits", "probabilities", "log-probabilities", "values"}:
        return _self_described(loss, inner, name, weighted)
    for kind_class, kind in _CLASSES.items():  # a subclass may have changed anything: try it out before believing it
        if isinstance(inner, kind_class) and type(inner).forward is kind_class.forward:
            return _known(loss, kind, name, "class", weighted)
    return _tried(loss, name, scores, targets, weighted, through or loss)


def _named_loss(kind: str | None) -> Callable[..., Any]:
    function = next((name for name, value in _FUNCTIONS.items() if value == kind), "mse_loss")
    known: Callable[..., Any] = getattr(F, function)
    return known


def unwrapped(loss: Any) -> tuple[Any, dict[str, Any]]:
    """The function inside `functools.partial`, with the options given there."""
    options: dict[str, Any] = {}
    while isinstance(loss, functools.partial):
        options = {**loss.keywords, **options}
        loss = loss.func
    return loss, options


def _given(value: Any) -> bool:
    return (
        isinstance(value, Tensor)
        or (isinstance(value, int | float) and not isinstance(value, bool))
        or isinstance(value, list)
    )


def _known(loss: Any, kind: str | None, name: str, how: str, weighted: bool = False) -> LossView:
    expects, target_kind = KINDS.get(kind or "", (None, None))
    return LossView(loss, name, kind, expects, target_kind, how, weighted)


def _self_described(loss: Any, inner: Any, name: str, weighted: bool) -> LossView:
    """A loss that states `expects` and `target_kind`, as ours do; a proper kind only where the class says which
    formula it is.
    """
    target_kind = _TARGET_KINDS.get(getattr(inner, "target_kind", None) or "")
    kind = _OURS.get(type(inner).__name__)
    if kind is not None and KINDS[kind] != (inner.expects, target_kind):
        kind = None
    return LossView(loss, name, kind, inner.expects, target_kind, "attribute", weighted)


def _tried(
    loss: Any, name: str, scores: Tensor | None, targets: Tensor | None, weighted: bool, through: Callable[..., Any]
) -> LossView:
    unknown = LossView(loss, name, None, None, None, "unknown", weighted)
    if scores is None or targets is None or scores.dim() < 1 or scores.shape[0] < 2 or not scores.is_floating_point():
        return unknown
    like = likeness(through, scores, targets)
    if like is None:
        return unknown
    expects, target_kind = KINDS[like.kind]
    return LossView(
        loss, name, like.kind, expects, target_kind, "behaviour", weighted, like.sign, like.inside, like.onehot
    )
