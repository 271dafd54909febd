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
_CHANGES = {cause.fault: cause.changes for cause in CAUSES}
REPAIRABLE = set(_CHANGES)  # for the others somebody must edit code or data
_TRIES = 3  # whole runs, as a repair of a run may make
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


def _cures(told: Any) -> list[str]:
    """What a repair would try, the likeliest first: what proved findings were proved by; where a rule read the fault
    off the program, what a probe of that fault changes; then the probes that explained most. Nothing for notes.
    """
    grave: list[Finding] = [finding for finding in told.findings if finding.severity != "note"]
    if not grave:
        return []
    named = [f.probe.change if f.probe is not None else next(iter(_CHANGES.get(f.fault, ())), "") for f in grave]
    others = [change for f in grave for change in _CHANGES.get(f.fault, ())]
    return [change for change in dict.fromkeys([*named, *sorted(told.probes, key=told.probes.get), *others]) if change]


def _tried(family: str, dials: dict[str, Any], cures: list[str], most: int = _TRIES) -> list[tuple[str, float]]:
    """(change, figure after a whole run) of the first that can be made."""
    got: list[tuple[str, float]] = []
    for cure in cures:
        figure = changed(build(family, **dials), cure) if len(got) < most else None
        got += [(cure, figure)] if figure is not None else []
    return got


def _repaired(
    family: str, fault: str, dials: dict[str, Any], twin: dict[str, Any], told: Any, style: bool
) -> dict[str, Any]:
    """`repaired`: by one of the first three changes that follow from the diagnosis, each for a whole run; `random`: by
    random search in the time of that diagnosis and as many runs, `random_three`: in three runs; `in_three`: by the
    first change of a diagnosis that may take two runs' time.
    """
    cures = _cures(told)
    if not fault:
        return _of_healthy(family, dials, cures)
    if style or fault not in REPAIRABLE:
        return {}
    begun = time.monotonic()
    own = trained(build(family, **dials))
    once = max(time.monotonic() - begun, 1e-3)
    better = trained(build(family, **twin))
    if better - own < _GAP:
        return {"own": own, "better": better}
    got = _tried(family, dials, cures)
    brief = _diagnosed(build(family, **dials), 2 * once)
    soon = _tried(family, dials, _cures(brief), 1)
    runs = max(1, len(got))
    tries = random_search(build(family, **dials), told.seconds + runs * once, _TRIES)
    hits = [reached(own, better, each) for _, each in tries]
    return {
        "cure": " ".join(cure for cure, _ in got), "own": own, "better": better, "tried": got, "tries": len(tries),
        "cost": told.seconds / once + runs, "repaired": any(reached(own, better, each) for _, each in got),
        "in_three": any(reached(own, better, each) for _, each in soon), "short_cost": brief.seconds / once + 1,
        "random": any(hits), "random_three": any(hits[:_TRIES]),
    }  # fmt: skip


def _of_healthy(family: str, dials: dict[str, Any], cures: list[str]) -> dict[str, Any]:
    """What the first change makes of it, without the comparison with the program itself that a repair would make."""
    got = _tried(family, dials, cures, 1)
    if not got:
        return {"cure": ""}
    own, (cure, after) = trained(build(family, **dials)), got[0]
    return {"cure": cure, "own": own, "after": after, "made_worse": after < own - _GAP}
