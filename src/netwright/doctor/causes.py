"""Suspects: which fault which probe would prove, and how likely the signals make it before any probe.

A prior of None: the signals rule it out, or it does not apply. The others only order the suspects and settle near-ties
between remedies that all help; what is an error is decided by the probes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor, nn

from netwright.doctor.check.losses import view_loss
from netwright.doctor.probe.passage import Passage
from netwright.doctor.probe.scene import Scene
from netwright.doctor.watch.signals import Signals

__all__ = ["CAUSES", "Cause", "Evidence"]

_PUSHED = 0.01  # of the weights' size, in two steps
_FAR = 5.0  # from the size that a layer's own initialisation gives
_NAMED = 0.8  # by a static rule: what else helps is a symptom of it
_IDLE, _MUCH = 0.2, 0.5  # of the parameters; unexplained: a frozen part is usual where the rest learns
_ALL = 0.9  # of a layer's units
_STACK = 4  # weighted layers that may fade or blow up a signal


@dataclass(frozen=True)
class Evidence:
    """What is known before the probes: the watched run's signals and the faults that the static rules named."""

    seen: Signals
    static: frozenset[str]
    scene: Scene
    diverged: bool
    unexplained: float
    penalty: float = 0.0  # what the step adds to the loss, over the loss
    passage: Passage = field(default_factory=Passage)  # what becomes of gradients


@dataclass(frozen=True)
class Cause:
    """`gate`: an error only where the run has come less than this share of the way that the best probe came."""

    fault: str
    changes: tuple[str, ...]
    where: str
    prior: Callable[[Evidence], float | None]
    gate: float = 0.5


def _piled(known: Evidence) -> float | None:
    return 1.0 if known.passage.piled else None


def _asleep(known: Evidence) -> float | None:
    seen = known.seen
    return 0.8 if seen.trained_asleep and not seen.trained_awake and seen.mode_matters else None


def _frozen(known: Evidence) -> float | None:
    if "frozen-parameters" in known.static or known.seen.unchanged:
        return 0.5
    net, optimizer = known.scene.program.net, known.scene.program.optimizer
    held = {id(p) for group in optimizer.param_groups for p in group["params"] if p.requires_grad}
    share = sum(p.numel() for p in net.parameters() if id(p) not in held) / max(
        1, sum(p.numel() for p in net.parameters())
    )
    return -0.3 if share > _IDLE and known.unexplained > _MUCH else None


def _too_high(known: Evidence) -> float | None:
    seen = known.seen
    wild = known.diverged or seen.largest_update() > 0.5 or seen.peak > 3 or seen.trend > 1.05
    return 0.4 if wild else 0.1 if seen.update() > 0.02 else -0.2


def _too_low(known: Evidence) -> float | None:
    update = known.seen.update()
    if known.diverged:
        return None
    return 0.3 if update < 1e-4 else 0.0 if update < 1e-3 else -0.3


def _scheduled(known: Evidence) -> float | None:
    rates = known.seen.rates
    changing = bool(rates) and min(rates) < 0.3 * max(rates)
    return 0.4 if changing else None


def _inputs(known: Evidence) -> float | None:
    given = known.scene.inputs
    if given is None or not given.is_floating_point() or given.dim() < 2:
        return None
    flat = given.float().reshape(len(given), -1)
    spread = flat.std(0)
    spread = spread[spread > 0]
    rms = float(flat.square().mean().sqrt())
    uneven = float(spread.max() / spread.median()) if len(spread) else 1.0
    if "input-not-normalized" in known.static:
        return _NAMED
    return 0.4 if rms > 10 or rms < 0.03 or uneven > 100 else -0.4


def _targets(known: Evidence) -> float | None:
    targets = known.scene.targets
    if known.scene.kind != "numbers" or not isinstance(targets, Tensor):
        return None
    rms = float(targets.float().square().mean().sqrt())
    if "target-not-normalized" in known.static:
        return _NAMED
    return 0.4 if rms > 10 or rms < 0.03 else -0.4


def _softmax(known: Evidence) -> float | None:
    return _NAMED if "double-softmax" in known.static else 0.3


def _loss(known: Evidence) -> float | None:
    scene = known.scene
    if scene.program.loss is None or not scene.kind:
        return None
    fitting = {"classes": {"cross-entropy"}, "soft": {"cross-entropy"}, "marks": {"bce-logits", "bce"},
               "numbers": {"mse", "mae", "huber"}}[scene.kind]  # fmt: skip
    kind = view_loss(scene.program.loss).kind
    if scene.kind == "numbers" and kind in {"bce", "bce-logits"} and _shares(scene.targets):
        return None  # of a picture's grey, for one
    if kind in fitting or (kind is None and not scene.kind):
        return None
    return _NAMED if "wrong-loss" in known.static else -0.1


def _shares(targets: Tensor) -> bool:
    return bool(((targets >= 0) & (targets <= 1)).all())


def _weights(known: Evidence) -> float | None:
    fork = known.scene.program.fork()
    worst = 1.0
    for module in fork.net.modules():
        weight = getattr(module, "weight", None)
        reset = getattr(module, "reset_parameters", None)
        if isinstance(module, nn.Linear | nn.modules.conv._ConvNd) and isinstance(weight, Tensor) and callable(reset):
            before = float(weight.detach().square().mean().sqrt())
            reset()
            after = float(module.weight.detach().square().mean().sqrt())
            ratio = before / max(after, 1e-12)
            worst = max(worst, ratio, 1 / max(ratio, 1e-9))
    if "bad-init-scale" in known.static or worst > _FAR:
        return 0.6
    return -0.5


def _symmetric(known: Evidence) -> float | None:
    return 0.8 if "symmetric-init" in known.static else None


def _unnormalised(known: Evidence) -> float | None:
    deep = sum(isinstance(m, nn.Linear | nn.modules.conv._ConvNd) for m in known.scene.program.net.modules())
    if "missing-normalization" in known.static:
        return 0.4
    deep_enough = None if deep < _STACK else -0.2
    return 0.1 if deep >= 2 * _STACK and not _all_dead(known) else deep_enough


def _vanishing(known: Evidence) -> float | None:
    ratio = known.seen.gradient_ratio()
    if ratio is None or ratio > 0.03:
        return None
    return 0.0 if _all_dead(known) else 0.5 if ratio < 1e-3 else 0.3


def _exploding(known: Evidence) -> float | None:
    peak = known.seen.gradient_peak()
    recurrent = any(isinstance(m, nn.RNNBase) for m in known.scene.program.net.modules())
    return (0.2 if peak > 30 else -0.3) + 0.2 * recurrent


def _dead(known: Evidence) -> float | None:
    dead = max((layer.dead for layer in known.seen.layers.values()), default=0.0)
    first = max((layer.first_dead for layer in known.seen.layers.values()), default=0.0)
    return None if dead < 0.5 else 0.5 if first > 0.5 else 0.0


def _all_dead(known: Evidence) -> bool:
    """Whether nothing passes some layer: then no gradient does, and what revives its units is no proof of depth."""
    return any(layer.dead > _ALL and layer.first_dead > _ALL for layer in known.seen.layers.values())


def _saturated(known: Evidence) -> float | None:
    return 0.3 if any(layer.saturated > 0.5 for layer in known.seen.layers.values()) else None


def _regularised(known: Evidence) -> float | None:
    net = known.scene.program.net
    rates = [float(m.p) for m in net.modules() if isinstance(m, nn.modules.dropout._DropoutNd)]
    strong = max(rates, default=0.0) >= 0.7 or known.seen.gradients_alike() or known.penalty > 0.5 or _decayed(known)
    strong = strong or known.passage.pushed > _PUSHED
    return 0.6 if strong or known.static & {"over-regularized", "dropout-misuse"} else 0.0


def _decayed(known: Evidence) -> bool:
    """Whether the decay alone takes a hundredth of every weight in a step, or pulls like a gradient of its size."""
    groups = known.scene.program.optimizer.param_groups
    return any(
        (decay := float(group.get("weight_decay") or 0)) >= 1 or float(group["lr"]) * decay > 0.01 for group in groups
    )


def _optimizer(known: Evidence) -> float | None:
    return 0.1 if type(known.scene.program.optimizer).__name__ in {"Adadelta", "Rprop", "Adagrad", "ASGD"} else -0.3


def _large(known: Evidence) -> float | None:
    per_epoch = known.scene.batches.per_epoch
    return None if per_epoch > 4 else 0.3 if per_epoch <= 2 else 0.0


def _small(known: Evidence) -> float | None:
    size = known.scene.batches.size
    norms = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in known.scene.program.net.modules())
    return None if size > 4 else 0.1 + 0.4 * norms if size <= 2 else -0.2 + 0.3 * norms


def _order(known: Evidence) -> float | None:
    return _NAMED if "not-shuffled" in known.static else 0.0


def _swinging(known: Evidence) -> float | None:
    return 0.3


CAUSES: tuple[Cause, ...] = (
    Cause("missing-zero-grad", ("cleared",), "loop", _piled, 2.0),
    Cause("wrong-mode", ("awake",), "loop", _asleep, 2.0),
    Cause("frozen-parameters", ("unfrozen",), "optimizer", _frozen),
    Cause("symmetric-init", ("fresh",), "weights", _symmetric),
    Cause("double-softmax", ("raw-scores",), "output", _softmax, 0.8),
    Cause("wrong-loss", ("loss",), "loss", _loss),
    Cause("not-shuffled", ("shuffled",), "data", _order, 0.9),
    Cause("input-not-normalized", ("inputs",), "inputs", _inputs),
    Cause("target-not-normalized", ("targets",), "targets", _targets),
    Cause("lr-too-high", ("lr/10", "lr/100", "lr/1000"), "optimizer.lr", _too_high),
    Cause("lr-too-low", ("lr*10", "lr*100", "lr*1000", "lr*10000", "lr*100000"), "optimizer.lr", _too_low, 0.3),
    Cause("schedule-collapsed", ("constant-rate",), "optimizer.lr", _scheduled),
    Cause("bad-init-scale", ("fresh",), "weights", _weights),
    Cause("dead-relu", ("leaky", "fresh"), "activations", _dead),
    Cause("saturation", ("relu",), "activations", _saturated),
    Cause("vanishing-gradient", ("relu", "normalised"), "layers", _vanishing),
    Cause("missing-normalization", ("normalised",), "layers", _unnormalised),
    Cause("exploding-gradient", ("clipped",), "gradients", _exploding),
    Cause(
        "over-regularized",
        ("no-decay", "no-dropout", "unclipped", "plain-loss", "unpushed"),
        "regularisation",
        _regularised,
        0.7,
    ),
    Cause("oscillation", ("less-momentum",), "optimizer", _swinging),
    Cause("batch-too-large", ("smaller-batches",), "batches", _large, 0.4),
    Cause("batch-too-small", ("larger-batches",), "batches", _small, 0.4),
    Cause("wrong-optimizer", ("adam",), "optimizer", _optimizer, 0.3),
)
