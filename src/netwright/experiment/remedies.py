"""From a finding to a patch of the config: what a probe changed on a copy, written down for a run.

A patch maps dotted paths to new values, None meaning that the setting goes. Where nothing in a config says what a probe
changed, there is no patch, and the finding's own words are all that is left.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from netwright import models
from netwright.core import schemas
from netwright.core.errors import NetwrightError
from netwright.doctor import Finding
from netwright.doctor.check.fix import apply_fixes
from netwright.experiment import layer_patches
from netwright.optim import split_spec
from netwright.tasks import TASKS

__all__ = ["Patch", "Remedy", "patch_for", "patched", "remedies"]

Patch = dict[str, Any]
Values = Mapping[str, Any]

_NOTEWORTHY = 0.3  # share of what is unexplained that a suspicion's remedy must have taken away in its probe
_CHANGING_NETWORK = ("model",)
_MEASURED = {"slow-convergence"}  # against a plain network, so that a suspicion of it is strong
_ELSEWHERE = {  # faults whose remedy is in the data, or that the best checkpoint has cured already
    "class-imbalance", "input-degenerate", "invalid-values", "labels-corrupted", "leakage", "overfitting",
    "preprocessing-mismatch", "undertrained",
}  # fmt: skip

# What to try for a fault that no probe has shown a remedy of.
_BY_FAULT: dict[str, tuple[str, ...]] = {
    "bad-init-scale": ("normalised", "fresh"),
    "batch-too-large": ("smaller-batches",),
    "batch-too-small": ("larger-batches",),
    "capacity-too-small": ("wider",),
    "dead-relu": ("lr/10", "leaky"),
    "double-softmax": ("raw-scores",),
    "dropout-misuse": ("no-dropout",),
    "exploding-gradient": ("clipped", "lr/10"),
    "frozen-parameters": ("unfrozen",),
    "input-not-normalized": ("inputs",),
    "lr-too-high": ("lr/10", "lr/100", "clipped"),
    "lr-too-low": ("lr*10", "lr*100"),
    "missing-nonlinearity": ("nonlinear",),
    "missing-normalization": ("normalised", "relu"),
    "non-finite": ("lr/10", "clipped"),
    "oscillation": ("less-momentum", "lr/10"),
    "output-range": ("raw-scores",),
    "over-regularized": ("no-decay", "no-dropout", "plain-loss"),
    "redundant-activation": ("raw-scores",),
    "saturation": ("relu", "normalised"),
    "schedule-collapsed": ("constant-rate",),
    "slow-convergence": ("every-batch", "adam", "lr*10", "normalised"),
    "vanishing-gradient": ("relu", "normalised"),
    "wrong-loss": ("loss",),
    "wrong-optimizer": ("adam",),
}


@dataclass(frozen=True)
class Remedy:
    """What to do about `fault`: `change` names a probe's change (or "fix", of a static rule), `patch` says it."""

    fault: str
    change: str
    patch: Patch

    @property
    def keeps_network(self) -> bool:
        """Whether weights of the run before still fit, and still mean the same."""
        return not any(path.partition(".")[0].partition("[")[0] in _CHANGING_NETWORK for path in self.patch)


def remedies(findings: Sequence[Finding], values: Values, probes: Mapping[str, float]) -> list[Remedy]:
    """What is worth an attempt, the likeliest first; nothing where nothing is proved or strongly suspected.

    Args:
        values: the run's resolved config.
        probes: what every probe left unexplained; the best ones come after the findings' own.
    """
    grave = [finding for finding in findings if _is_grave(finding) and (finding.fix or finding.fault not in _ELSEWHERE)]
    if not grave:
        return []
    found = [made for finding in grave for made in _first_of(finding, values)]
    best = sorted(probes, key=lambda name: probes[name])
    found += [made for name in best[:4] if (made := _made(grave[0].fault, name, values)) is not None]
    found += [made for finding in grave for made in _others_of(finding, values)]
    kept: list[Remedy] = []
    for made in found:
        if all(made.patch != other.patch for other in kept):
            kept.append(made)
    return kept


def patch_for(change: str, values: Values) -> Patch | None:
    """The patch that does in a config what the probe `change` did; None where there is none, or it changes nothing."""
    make = _PATCHES.get(change)
    made = make(values) if make is not None else None
    return made or None


def patched(text: str, patch: Patch, name: str = "config.yaml") -> tuple[str, str]:
    """A config's text with a patch applied, and the unified diff (empty where nothing has changed)."""
    carrier = Finding("", "", "note", "", "", "", "", fix=patch)
    return apply_fixes(text, [carrier], name)


def _is_grave(finding: Finding) -> bool:
    if finding.severity == "error":
        return True
    if finding.severity != "warning":
        return False
    strong = finding.proven or (finding.effect or 0.0) >= _NOTEWORTHY
    return strong or bool(finding.fix) or finding.fault in _MEASURED


def _first_of(finding: Finding, values: Values) -> list[Remedy]:
    """A finding's own remedy: the fix of a static rule, what the probe changed, or what is usual for its fault."""
    if finding.fault == "invalid-setting" and (freed := patch_for("unfrozen", values)) is not None:
        return [Remedy(finding.fault, "unfrozen", freed)]  # a rate of 0 that a scale has made of a good one
    if finding.fix:
        return [Remedy(finding.fault, "fix", dict(finding.fix))]
    named = [finding.probe.change] if finding.probe is not None else _BY_FAULT.get(finding.fault, ())
    made = [made for name in named if (made := _made(finding.fault, name, values)) is not None]
    return made[:1]


def _others_of(finding: Finding, values: Values) -> list[Remedy]:
    names = _BY_FAULT.get(finding.fault, ())
    return [made for name in names if (made := _made(finding.fault, name, values)) is not None]


def _made(fault: str, change: str, values: Values) -> Remedy | None:
    patch = patch_for(change, values)
    return Remedy(fault, change, patch) if patch is not None else None


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
    usual = getattr(TASKS.load(task), "default_loss", None) if isinstance(task, str) else None
    given = _section(values, "loss").get("name")
    return {"loss": usual} if usual is not None and given is not None and given != usual else None


def _plain_loss(values: Values) -> Patch:
    """No penalty, no clipping, no smoothing: the loss alone."""
    return {
        **_gone(values, "optimizer", "l1", "clip", "clip_value"),
        **_gone(values, "loss", "label_smoothing"),
    }


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
    "loss": _loss,
    "lr*10": _rate(10),
    "lr*100": _rate(100),
    "lr*1000": _rate(1000),
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
    "wider": _wider,
}
