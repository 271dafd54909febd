"""One case measured: what `check` and `diagnose` say of the program, and what becomes of it when it is repaired."""

import time
import traceback
from typing import Any

from cases import seen_before_a_step
from figures import trained
from mending import changed, random_search, reached
from programs import Built, build

import netwright as nw
from netwright.doctor.causes import CAUSES
from netwright.doctor.findings import Finding
from netwright.doctor.probe import collect

__all__ = ["measured", "verified"]

ALSO = {  # names that say the same of these programs
    "over-regularized": {"dropout-misuse"},
    "dropout-misuse": {"over-regularized"},
    "missing-normalization": {"vanishing-gradient"},
    "vanishing-gradient": {"missing-normalization", "saturation"},
    "wrong-optimizer": {"lr-too-low"},
    "oscillation": {"lr-too-high"},
    "invalid-values": {"non-finite"},
    "saturation": {"bad-init-scale", "input-not-normalized", "vanishing-gradient"},
    "input-degenerate": {"input-not-normalized"},
}
REPAIRABLE = {cause.fault for cause in CAUSES}  # for the others somebody must edit code or data
_TWINS: dict[str, list[float]] = {}  # figures of those measured already; many cases share a twin
_GAP = 0.03  # between the figures of twin and faulty program: less is not worth a repair


def verified(family: str, dials: dict[str, Any], twin: dict[str, Any], seeds: int = 3) -> tuple[bool, float, float]:
    """Whether it is worse than its twin on every seed; the mean figures of both."""
    worse, key = [trained(build(family, seed, **dials)) for seed in range(seeds)], f"{family} {twin} {seeds}"
    if key not in _TWINS:
        _TWINS[key] = [trained(build(family, seed, **twin)) for seed in range(seeds)]
    better = _TWINS[key]
    means = sum(worse) / seeds, sum(better) / seeds
    return max(worse) < min(better) and means[1] - means[0] > _GAP, *means


def measured(
    family: str, fault: str, dials: dict[str, Any], twin: dict[str, Any], style: bool, budget: float, repair: bool
) -> dict[str, Any]:
    """The row of one case; a program that makes our own code fail is told under `problem`."""
    row: dict[str, Any] = {"family": family, "fault": fault, "dials": dials, "style": style, "problem": ""}
    try:
        built = build(family, **dials)
        row |= _checked(built, fault, dials, style)
        begun = time.monotonic()
        told = _diagnosed(built, budget)
        row |= _named(told, fault, style) | {"seconds": time.monotonic() - begun}
        if repair and built.kind:
            row |= _repaired(family, fault, dials, twin, told, style)
    except Exception:  # one broken case must not end a table of two hundred
        row["problem"] = traceback.format_exc(limit=-3)
    return row


def _checked(built: Built, fault: str, dials: dict[str, Any], style: bool) -> dict[str, Any]:
    """What is found before any step. `static`: whether the fault was, where it can be seen there."""
    batches = collect(built.train, built.net, 10_000, 32)
    inputs, targets = batches.pool if batches.pool is not None else batches.epochs[0][0]
    begun = time.monotonic()
    found = nw.check(built.net, inputs, targets, loss=built.loss, optimizer=built.opt, validation=built.validation,
                     examples=batches.examples)  # fmt: skip
    names = {finding.fault for finding in found if finding.severity != "note" or style}
    visible = bool(fault) and seen_before_a_step(fault, dials)
    return {
        "visible": visible, "static": bool(names & {fault, *ALSO.get(fault, set())}) if visible else None,
        "checked": [(f.fault, f.severity) for f in found], "check_seconds": time.monotonic() - begun,
    }  # fmt: skip


def _diagnosed(built: Built, budget: float) -> Any:
    return nw.diagnose(
        built.net, built.opt, built.loss, train=built.train, validation=built.validation, step=built.step,
        epochs=built.epochs, budget_seconds=budget,
    )  # fmt: skip


def _named(told: Any, fault: str, style: bool) -> dict[str, Any]:
    every = [(f.fault, f.severity, f.proven, f.probe.change if f.probe else "") for f in told.findings]
    said = [one for one in every if one[1] != "note" or (style and one[0] == fault)]
    names, good = [one[0] for one in said], {fault, *ALSO.get(fault, set())}
    return {
        "said": said, "detected": bool(said), "first": bool(names) and names[0] in good,
        "three": bool(good & set(names[:3])),
        "proved": any(name in good and severity == "error" and proven for name, severity, proven, _ in said),
        "error": any(one[1] == "error" for one in said), "progress": told.progress, "unexplained": told.unexplained,
        "verdict": told.verdict,
    }  # fmt: skip


def _cure(findings: list[Finding]) -> str:
    return next((f.probe.change for f in findings if f.proven and f.probe is not None), "")


def _repaired(
    family: str, fault: str, dials: dict[str, Any], twin: dict[str, Any], told: Any, style: bool
) -> dict[str, Any]:
    """`repaired`: by the change that the diagnosis proved, at the price of `cost` runs; `in_three`: with a diagnosis
    that may take two runs' time; `random` and `random_three`: by random search in the same time, and in three runs.
    """
    cure = _cure(told.findings)
    if not fault:
        if not cure:
            return {"cure": ""}
        own, got = trained(build(family, **dials)), changed(build(family, **dials), cure)
        return {"cure": cure, "own": own, "after": got, "made_worse": got is not None and got < own - _GAP}
    if style or fault not in REPAIRABLE:
        return {}
    begun = time.monotonic()
    own = trained(build(family, **dials))
    once = max(time.monotonic() - begun, 1e-3)
    better = trained(build(family, **twin))
    if better - own < _GAP:
        return {"own": own, "better": better}
    got = changed(build(family, **dials), cure) if cure else None
    brief = _diagnosed(build(family, **dials), 2 * once)
    short = _cure(brief.findings)
    soon = got if short == cure else changed(build(family, **dials), short) if short else None
    tries = random_search(build(family, **dials), told.seconds + once, 3)
    return {
        "cure": cure, "own": own, "better": better, "after": got, "cost": told.seconds / once + 1,
        "repaired": got is not None and reached(own, better, got),
        "in_three": soon is not None and reached(own, better, soon), "short_cost": brief.seconds / once + 1,
        "random": any(reached(own, better, each) for _, each in tries), "tries": len(tries),
        "random_three": any(reached(own, better, each) for _, each in tries[:3]),
    }  # fmt: skip
