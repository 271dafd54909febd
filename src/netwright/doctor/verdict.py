"""What of the static and the live findings is told, how gravely, and in which order: the likeliest cause first."""

from collections.abc import Collection
from dataclasses import replace

from netwright.core.messages import say
from netwright.doctor.causes import CAUSES
from netwright.doctor.check.order import followers_last
from netwright.doctor.findings import RANK, Finding
from netwright.doctor.proofs import backed
from netwright.doctor.trials import Trials

__all__ = ["in_order", "settled", "verdict"]

_PLAIN = {"double-softmax", "not-shuffled", "symmetric-init", "wrong-loss"}  # facts, however well a run may go
_STRUCTURE = ("shape-mismatch", "batch-mixing", "head-size-mismatch", "broadcast-loss", "invalid-values")
_WELL, _HALFWAY = 0.8, 0.5  # of the way that the best probe came
_A_LITTLE = 0.5  # of what was unexplained

# Live faults that a static one among the second set explains as well, so that they are told behind it.
_OF_LENGTH = {"undertrained", "slow-convergence"}  # behind any: a fault may be what makes a run slow
_OF_SPLITS = {"preprocessing-mismatch", "not-shuffled"}  # ahead of a validation curve that turns
_OF_STEPS, _OF_SIGNALS = (
    {"wrong-optimizer", "lr-too-low"},  # an optimizer makes a little of a signal that layers lose
    {"bad-init-scale", "input-not-normalized", "missing-normalization", "symmetric-init"},
)
_OF_ENDS = {  # ahead of a lack of capacity: an end that cannot say what is wanted
    "double-softmax", "missing-output-activation", "output-range", "redundant-activation",
}  # fmt: skip


def settled(static: list[Finding], trials: Trials, live: list[Finding]) -> list[Finding]:
    """Static warnings that a probe has refuted become notes; those that it has proved are told by the probe. A network
    whose own step runs has no mismatch, whatever a plain pass over it says.
    """
    probed = {cause.fault for cause in CAUSES}
    proved = {finding.fault for finding in live if finding.severity == "error"}
    runs = trials.scene.program.step is not None
    kept = []
    for finding in static:
        if finding.fault == "shape-mismatch" and runs:
            kept.append(replace(finding, severity="note", proven=False))
        elif finding.severity != "warning" or finding.fault not in probed:
            kept.append(backed(trials, finding))
        elif finding.fault not in proved:
            kept.append(replace(finding, severity="note") if _refuted(finding, trials) else backed(trials, finding))
    return kept


def _refuted(finding: Finding, trials: Trials) -> bool:
    well = trials.progress > _WELL or (trials.refuted(finding.fault) and trials.progress > _HALFWAY)
    return well and finding.fault not in _PLAIN and backed(trials, finding) is finding


def in_order(static: list[Finding], live: list[Finding]) -> list[Finding]:
    """Errors, warnings, notes; in each the first of a fault before those that repeat it, and facts that were read off
    before what a probe makes only likely (what it proved is an error, and so before them).
    """
    named = {finding.fault for finding in static if _tells(finding, live)}
    live = [_behind(finding, static) for finding in live if finding.fault not in named]
    errors = followers_last(sorted((f for f in static if f.severity == "error"), key=_structure))
    both = [*errors, *(f for f in static if f.severity != "error"), *live]
    faults = [finding.fault for finding in both]
    repeats = [faults.index(fault) < at for at, fault in enumerate(faults)]
    order = sorted(range(len(both)), key=lambda at: (RANK[both[at].severity], repeats[at]))
    return [both[at] for at in order]


def verdict(findings: Collection[Finding], failure: str = "") -> str:
    """One sentence about findings in their order.

    Args:
        failure: what to say where nothing was found because the program does not run.
    """
    worst = next((finding for finding in findings if finding.severity != "note"), None)
    if worst is None:
        return failure or say("Nothing stands out: no fault was seen, and no probe did much better than your run.")
    if worst.severity == "error":
        return say("The likeliest cause is {fault}, proved.", fault=worst.fault)
    return say("{fault} is suspected; nothing could be proved.", fault=worst.fault)


def _tells(fact: Finding, live: list[Finding]) -> bool:
    """Whether nothing of the same fault that the run showed needs to be told beside it."""
    if fact.severity == "error" or fact.probe is not None:
        return True
    shown = any(f.fault == fact.fault and (f.severity == "error" or f.probe is not None) for f in live)
    return fact.severity == "warning" and not shown


def _behind(finding: Finding, static: list[Finding]) -> Finding:
    """No error any more, where a static fault explains it as well."""
    loud = {fact.fault for fact in static if fact.severity != "note"}
    explained: set[str] = set()
    if finding.fault in _OF_STEPS and (finding.effect or 0.0) < _A_LITTLE:
        explained = loud & _OF_SIGNALS
    elif finding.fault == "capacity-too-small":
        explained = loud & _OF_ENDS
    elif finding.fault == "overfitting":
        explained = loud & _OF_SPLITS
    elif finding.fault in _OF_LENGTH:
        explained = loud
    return replace(finding, severity="warning", proven=False) if explained and finding.severity == "error" else finding


def _structure(finding: Finding) -> int:
    """Where the parts do not fit, what the outputs mean is a later question."""
    return _STRUCTURE.index(finding.fault) if finding.fault in _STRUCTURE else len(_STRUCTURE)
