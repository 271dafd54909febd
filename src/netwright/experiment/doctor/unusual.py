"""NW150: settings of a config so far from what trains networks that no probe is needed to suspect them.

Each rule names one setting, with the patch that takes it back to what is usual. The bounds lie far outside of what
healthy runs use; most settings are measured against the run itself: its updates, its examples, its gradients' way to
the weights.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from netwright.core.messages import say
from netwright.core.schemas import build
from netwright.doctor.findings import Finding
from netwright.experiment.assemble import Assembly
from netwright.optim import OptimizerPlan, split_spec
from netwright.optim.catalog import schedules
from netwright.optim.curves import Plateau, steps_of

__all__ = ["UNUSUAL", "unusual_settings"]

UNUSUAL = "NW150"
Odd = tuple[str, str, Any, dict[str, Any]]  # fault, path, value, patch
_ADAPTIVE = ("adam", "adamw", "nadam", "lamb", "rmsprop", "adagrad")
_FEW = 40  # updates with which hardly anything is learnt
_HELD = {  # an optimizer's own setting -> above what it holds the weights back
    "dampening": 0.98, "initial_accumulator_value": 100.0, "lr_decay": 0.05, "momentum_decay": 0.5,
}  # fmt: skip
_EPS = {"adam": 0.2, "adamw": 0.2, "nadam": 0.2, "lamb": 0.2, "rmsprop": 2.0, "adagrad": 2.0}
_INERT, _L1 = 0.995, 0.03
_CLIP, _CLIP_VALUE = 1e-3, 1e-4
_STEADY, _GONE = 0.6, 0.02  # of the run that warms up; of the rate, for more than half of the run
_LEAST_SCALE, _LAYER_DECAY = 1e-3, 0.2
_SMOOTH, _WEIGHTS, _DELTA, _GAMMA = 0.6, 1000.0, 0.02, 10.0
_BLENDED, _NOISE, _PADDED, _REWRITTEN = 8.0, 0.5, 0.4, 0.6
_WORDS, _LENGTH = 64, 8
_MIN_DELTA = 0.1  # of a share


@dataclass(frozen=True)
class _Setup:
    """What the rules look at."""

    made: Assembly
    values: Mapping[str, Any]
    plan: OptimizerPlan | None

    @property
    def steps(self) -> int:
        return self.made.session.total_steps

    @property
    def updates(self) -> int:
        return max(1, self.steps // self.made.config.train.accumulate)

    def section(self, name: str) -> dict[str, Any]:
        value = self.values.get(name)
        return dict(value) if isinstance(value, Mapping) else {}


def unusual_settings(made: Assembly) -> list[Finding]:
    """A warning for each setting of an assembled run that is far from what is usual."""
    values = made.config.to_dict()
    plan = split_spec(values["optimizer"]) if values.get("optimizer") is not None else None
    setup = _Setup(made, values, plan)
    return [_told(setup, *odd) for rule in _RULES for odd in rule(setup)]


def _told(setup: _Setup, fault: str, path: str, value: Any, patch: dict[str, Any]) -> Finding:
    evidence = say("{path}={value} is far from what trains networks.", path=path, value=_shown(value))
    remedy = say("Take it back to its usual value, or leave it out.")
    if path == "train.batch_size":  # it may be the usual one, and nobody's choice
        evidence = say(
            "Batches of {size} from {examples} examples make {updates} updates in the whole run.",
            size=value, examples=setup.made.session.train_source.examples, updates=setup.updates,
        )  # fmt: skip
        remedy = say("Use batches of {size} or so, or more epochs.", size=patch[path])
    return Finding(UNUSUAL, fault, "warning", path, evidence, _WHY[fault](), remedy, fix=patch)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)[:80]


def _optimizer(setup: _Setup) -> Iterator[Odd]:
    if (plan := setup.plan) is None:
        return
    own = plan.settings
    for name, most in _HELD.items():
        if float(own.get(name) or 0) > most:
            yield "lr-too-low", f"optimizer.{name}", own[name], {f"optimizer.{name}": None}
    if float(own.get("eps") or 0) > _EPS.get(plan.name, float("inf")):
        yield "lr-too-low", "optimizer.eps", own["eps"], {"optimizer.eps": None}
    if float((own.get("betas") or (0.0, 0.0))[0]) >= _INERT:
        yield "oscillation", "optimizer.betas", own["betas"], {"optimizer.betas": None}
    if float(own.get("momentum") or 0) >= _INERT:
        yield "oscillation", "optimizer.momentum", own["momentum"], {"optimizer.momentum": 0.9}


def _restraint(setup: _Setup) -> Iterator[Odd]:
    """Penalties and clipping. What divides by the size of the gradient does not feel its clipping."""
    if (plan := setup.plan) is None:
        return
    if plan.l1 >= _L1:
        yield "over-regularized", "optimizer.l1", plan.l1, {"optimizer.l1": None}
    for name, value, least in (("clip", plan.clip, _CLIP), ("clip_value", plan.clip_value, _CLIP_VALUE)):
        if value is not None and value < least and plan.name not in _ADAPTIVE:
            yield "over-regularized", f"optimizer.{name}", value, {f"optimizer.{name}": None}


def _rate_along_the_run(setup: _Setup) -> Iterator[Odd]:
    if (plan := setup.plan) is None:
        return
    warm = steps_of(plan.warmup, setup.updates)
    if warm > _STEADY * setup.updates and warm > 1:
        yield "schedule-collapsed", "optimizer.warmup", plan.warmup, {"optimizer.warmup": None}
    section = plan.schedule if isinstance(plan.schedule, Mapping) else {"name": plan.schedule}
    curve = build(schedules().load(section["name"]), {k: v for k, v in section.items() if k != "name"}, "schedule")
    if isinstance(curve, Plateau):
        collapsed = curve.threshold > 0.5 and curve.factor < 1
    else:
        left = max(1, setup.updates - warm)
        rates = [curve(step * left // 50, left, plan.lr) for step in range(50)]
        collapsed = median(rates) < _GONE * max(*rates, 1e-30) and setup.updates > _FEW
    if collapsed:
        yield "schedule-collapsed", "optimizer.schedule", section, {"optimizer.schedule": None}


def _average(setup: _Setup) -> Iterator[Odd]:
    """An average that hardly ever takes the weights in is the network as it was at first."""
    average = setup.plan.average if setup.plan is not None else None
    if isinstance(average, Mapping) and int(average.get("every", 1)) > max(2, setup.updates // 4):
        yield "invalid-setting", "optimizer.average", average, {"optimizer.average": None}


def _held_parts(setup: _Setup) -> Iterator[Odd]:
    """Parts of a network that begins from nothing and yet are not to be trained."""
    plan, model = setup.plan, setup.section("model")
    if plan is None or setup.values.get("model") is None or {"weights", "embeddings"} & set(model):
        return
    if plan.freeze:
        yield "frozen-parameters", "optimizer.freeze", list(plan.freeze), {"optimizer.freeze": None}
    if model.get("freeze"):
        yield "frozen-parameters", "model.freeze", model["freeze"], {"model.freeze": None}
    if any(scale < _LEAST_SCALE for scale in plan.lr_scale.values()):
        yield "frozen-parameters", "optimizer.lr_scale", dict(plan.lr_scale), {"optimizer.lr_scale": None}
    if plan.layer_decay < _LAYER_DECAY:
        yield "frozen-parameters", "optimizer.layer_decay", plan.layer_decay, {"optimizer.layer_decay": None}


def _few_updates(setup: _Setup) -> Iterator[Odd]:
    train = setup.made.config.train
    per_epoch = setup.made.session.train_source.steps_per_epoch
    if train.accumulate > 1 and setup.updates < _FEW < setup.steps:
        yield "batch-too-large", "train.accumulate", train.accumulate, {"train.accumulate": None}
    elif per_epoch <= 2 and setup.updates < _FEW and train.batch_size >= 64 and train.batch_tokens is None:
        size = max(8, min(32, setup.made.session.train_source.examples // 20))
        yield "batch-too-large", "train.batch_size", train.batch_size, {"train.batch_size": size}
    if train.batch_tokens is not None and per_epoch <= 2 and setup.updates < _FEW:
        yield "batch-too-large", "train.batch_tokens", train.batch_tokens, {"train.batch_tokens": None}
    stop = train.early_stopping
    if stop is not None and setup.made.session.monitor[1] == "max" and stop.min_delta >= _MIN_DELTA:
        yield "undertrained", "train.early_stop.min_delta", stop.min_delta, {"train.early_stop": None}


def _loss(setup: _Setup) -> Iterator[Odd]:
    loss = setup.section("loss")
    weights = loss.get("class_weights")
    odd = {
        "label_smoothing": float(loss.get("label_smoothing") or 0) > _SMOOTH,
        "class_weights": isinstance(weights, list) and max(weights) > _WEIGHTS * min(weights),
        "ignore_index": setup.made.bundle.schema.target.kind == "class" and int(loss.get("ignore_index", -1)) >= 0,
        "delta": float(loss.get("delta", 1.0)) < _DELTA,
        "gamma": float(loss.get("gamma", 0.0)) > _GAMMA,
    }
    for name, found in odd.items():
        if found:
            yield "wrong-loss", f"loss.{name}", loss[name], {f"loss.{name}": None}


def _augment(setup: _Setup) -> Iterator[Odd]:
    """Changes after which little of an example is left; the whole list goes, for strong ones come together."""
    augment = setup.made.sources.augment
    parts = (*augment.pictures, *augment.mixing, *augment.texts) if augment is not None else ()
    side = max(setup.made.bundle.schema.input_shape, default=1)
    for part in parts:
        strong = (
            getattr(part, "alpha", 0.0) > _BLENDED and getattr(part, "p", 1.0) > 0.5,
            getattr(part, "std", 0.0) >= _NOISE,
            getattr(part, "padding", 0) > _PADDED * side,
            getattr(part, "share", 0.0) >= _REWRITTEN,
        )
        if any(strong):
            yield "over-regularized", "augment", type(part).__name__.lower(), {"augment": None}
            return


def _tokens(setup: _Setup) -> Iterator[Odd]:
    tokens = setup.section("data").get("tokens")
    given = tokens if isinstance(tokens, Mapping) else {}
    if given.get("kind", "bpe") != "characters" and int(given.get("size", _WORDS)) < _WORDS:
        yield "input-degenerate", "data.tokens.size", given["size"], {"data.tokens.size": None}
    if int(given.get("max_length", _LENGTH)) < _LENGTH:
        yield "input-degenerate", "data.tokens.max_length", given["max_length"], {"data.tokens.max_length": None}


_RULES: tuple[Callable[[_Setup], Iterator[Odd]], ...] = (
    _optimizer, _restraint, _rate_along_the_run, _average, _held_parts, _few_updates, _loss, _augment, _tokens,
)  # fmt: skip
_WHY: dict[str, Callable[[], str]] = {
    "batch-too-large": lambda: say("There are too few updates for anything to be learnt."),
    "frozen-parameters": lambda: say("Parts with random weights that do not train let little through."),
    "input-degenerate": lambda: say("Hardly anything of the examples reaches the network."),
    "invalid-setting": lambda: say("The weights that are kept are hardly those that were trained."),
    "lr-too-low": lambda: say("Hardly anything of a gradient reaches the weights."),
    "oscillation": lambda: say("Old gradients outweigh the new ones for too long."),
    "over-regularized": lambda: say("What is done against learning by heart leaves nothing to learn."),
    "schedule-collapsed": lambda: say("For most of the run the learning rate is next to nothing."),
    "undertrained": lambda: say("The run is ended before it has learnt."),
    "wrong-loss": lambda: say("The loss asks for other answers than those of the data."),
}
