"""Which loss this is: by its class, its name, its own word, or by what it does.

What a loss *expects* ("logits", "probabilities", "log-probabilities", "values") decides what the network must end in;
what it is *for* ("class", "binary", "number", "distribution") decides which targets fit. A lambda has neither name
nor class: then it is called on random scores, and its answers are compared with those of the known losses up to a
factor and a constant.
"""

import copy
import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["KINDS", "LossView", "view_loss"]

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


def view_loss(loss: Callable[..., Any] | str, scores: Tensor | None = None, targets: Tensor | None = None) -> LossView:
    """Recognise `loss`; `scores` and `targets` of a batch are needed only for one that must be tried out."""
    if isinstance(loss, str):
        kind = loss if loss in KINDS else _FUNCTIONS.get(loss.replace("-", "_"))
        return _known(_named_loss(kind), kind, loss, "name")
    inner, options = _unwrapped(loss)
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
    return _tried(loss, name, scores, targets, weighted)


def _named_loss(kind: str | None) -> Callable[..., Any]:
    function = next((name for name, value in _FUNCTIONS.items() if value == kind), "mse_loss")
    known: Callable[..., Any] = getattr(F, function)
    return known


def _unwrapped(loss: Any) -> tuple[Any, dict[str, Any]]:
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


def _tried(loss: Any, name: str, scores: Tensor | None, targets: Tensor | None, weighted: bool) -> LossView:
    unknown = LossView(loss, name, None, None, None, "unknown", weighted)
    if scores is None or targets is None or scores.dim() < 1 or scores.shape[0] < 2 or not scores.is_floating_point():
        return unknown
    rows = min(16, scores.shape[0], targets.shape[0] if targets.dim() else 1)
    scores, targets = scores.detach()[:rows], targets.detach()[:rows]
    function = copy.deepcopy(loss) if isinstance(loss, nn.Module) else loss
    probes = [_probe(scores, seed) for seed in range(6)]
    answers = _answers(function, probes, targets)
    if answers is None:
        return unknown
    wide = [6 * probe - 3 for probe in probes]
    wide_answers = _answers(function, wide, targets)
    for kind, inside, onehot, candidate in _candidates(scores, targets):
        slope = _slope(candidate, probes, answers)
        if slope and kind not in {"bce", "nll-of-log"} and wide_answers is not None:
            slope = slope if _slope(candidate, wide, wide_answers) else 0.0  # |x - 1| is a line between 0 and 1
        if slope:
            expects, target_kind = KINDS[kind]
            sign = 1 if slope > 0 else -1
            return LossView(loss, name, kind, expects, target_kind, "behaviour", weighted, sign, inside, onehot)
    return _by_invariance(unknown, function, probes, targets, answers)


def _probe(scores: Tensor, seed: int) -> Tensor:
    """Random scores in (0, 1), which is a legal value for every loss."""
    noise = torch.rand(scores.shape, generator=torch.Generator().manual_seed(seed))
    return (0.03 + 0.94 * noise).to(scores.device, scores.dtype)


def _answers(function: Callable[..., Any], probes: list[Tensor], targets: Tensor) -> list[float] | None:
    """What the loss says of each probe; None where it fails or gives no number."""
    try:
        answers = [_scalar(function(probe, targets)) for probe in probes]
    except Exception:  # the user's code, on input it was not written for
        return None
    return answers if all(math.isfinite(answer) for answer in answers) else None


def _scalar(value: Any) -> float:
    return float(value.detach().double().mean()) if isinstance(value, Tensor) else float(value)


def _slope(candidate: Callable[[Tensor], Tensor], probes: list[Tensor], answers: list[float]) -> float:
    """The factor a in answer = a * candidate + b; 0 where no such line fits."""
    try:
        guesses = [_scalar(candidate(probe)) for probe in probes]
    except Exception:  # shapes that this candidate does not take
        return 0.0
    x, y = torch.tensor(guesses, dtype=torch.float64), torch.tensor(answers, dtype=torch.float64)
    x, y = x - x.mean(), y - y.mean()
    if float(x.norm()) < 1e-9 or float(y.norm()) < 1e-9:
        return 0.0
    slope = float((x @ y) / (x @ x))
    return slope if float((y - slope * x).norm() / y.norm()) < 2e-3 else 0.0


def _candidates(scores: Tensor, targets: Tensor) -> Iterator[tuple[str, str, bool, Callable[[Tensor], Tensor]]]:
    """(kind, activation inside, one-hot targets, function of scores)."""
    integer = not targets.is_floating_point()
    if scores.dim() >= 2 and integer and targets.dim() == scores.dim() - 1:
        yield from _class_candidates(scores, targets.long())
    if scores.numel() == targets.numel():
        yield from _aligned_candidates(targets.reshape(scores.shape).to(scores.dtype))
    if scores.dim() == 2 and scores.shape == targets.shape and not integer:
        yield "cross-entropy", "", False, lambda p: F.cross_entropy(p, targets)
        yield "cross-entropy", "softmax", False, lambda p: F.cross_entropy(p.softmax(1), targets)
        if bool((targets >= 0).all()):
            yield "kl", "", False, lambda p: F.kl_div(p, targets, reduction="batchmean")
    if scores.dim() == 2 and targets.dim() == 2 and scores.shape == targets.shape:
        yield "cross-entropy", "", True, lambda p: F.cross_entropy(p, targets.argmax(1))


def _class_candidates(scores: Tensor, labels: Tensor) -> Iterator[tuple[str, str, bool, Callable[[Tensor], Tensor]]]:
    for axis in {1, scores.dim() - 1}:
        count = scores.shape[axis]
        if int(labels.max()) >= count or int(labels.min()) < 0:
            continue
        flat = labels.reshape(-1)
        onehot = F.one_hot(flat, count).to(scores.dtype)

        def rows(p: Tensor, axis: int = axis, count: int = count) -> Tensor:
            return p.movedim(axis, -1).reshape(-1, count)

        yield "cross-entropy", "", False, lambda p, r=rows, t=flat: F.cross_entropy(r(p), t)  # type: ignore[misc]
        yield "nll", "", False, lambda p, r=rows, t=flat: F.nll_loss(r(p), t)  # type: ignore[misc]
        yield "nll-of-log", "", False, lambda p, r=rows, t=flat: F.nll_loss(r(p).log(), t)  # type: ignore[misc]
        yield "cross-entropy", "softmax", False, lambda p, r=rows, t=flat: F.cross_entropy(r(p).softmax(1), t)  # type: ignore[misc]
        yield "cross-entropy", "sigmoid", False, lambda p, r=rows, t=flat: F.cross_entropy(r(p).sigmoid(), t)  # type: ignore[misc]
        for kind, inside, _, function in _aligned_candidates(onehot):
            yield kind, inside, True, lambda p, r=rows, f=function: f(r(p))  # type: ignore[misc]
        yield "mse", "softmax", True, lambda p, r=rows, t=onehot: F.mse_loss(r(p).softmax(1), t)  # type: ignore[misc]
        yield "mae", "softmax", True, lambda p, r=rows, t=onehot: F.l1_loss(r(p).softmax(1), t)  # type: ignore[misc]


def _aligned_candidates(targets: Tensor) -> Iterator[tuple[str, str, bool, Callable[[Tensor], Tensor]]]:
    yield "mse", "", False, lambda p: F.mse_loss(p, targets)
    yield "mae", "", False, lambda p: F.l1_loss(p, targets)
    yield "huber", "", False, lambda p: F.smooth_l1_loss(p, targets)
    yield "bce-logits", "", False, lambda p: F.binary_cross_entropy_with_logits(p, targets)
    yield "bce-logits", "sigmoid", False, lambda p: F.binary_cross_entropy_with_logits(p.sigmoid(), targets)
    yield "mse", "sigmoid", False, lambda p: F.mse_loss(p.sigmoid(), targets)
    # Last: torch refuses targets outside [0, 1] here, so the formula is written out.
    yield "bce", "", False, lambda p: -(targets * p.log() + (1 - targets) * (1 - p).log()).mean()


def _by_invariance(
    unknown: LossView, function: Callable[..., Any], probes: list[Tensor], targets: Tensor, answers: list[float]
) -> LossView:
    """A loss of classes that does not change when a constant is added to all scores of an example has its own
    softmax.
    """
    if probes[0].dim() < 2 or probes[0].shape[1] < 2 or targets.is_floating_point():
        return unknown
    rows = torch.linspace(-0.3, 1, len(probes[0])).to(probes[0]).view(-1, *[1] * (probes[0].dim() - 1))
    moved = _answers(function, [probe + rows for probe in probes], targets)
    if moved is None:
        return unknown
    scale = max(abs(a - answers[0]) for a in answers)
    if scale > 0 and all(abs(a - b) < 1e-4 * scale for a, b in zip(moved, answers, strict=True)):
        expects, target_kind = KINDS["cross-entropy"]
        return LossView(
            unknown.function, unknown.name, "cross-entropy", expects, target_kind, "behaviour", unknown.weighted
        )
    return unknown
