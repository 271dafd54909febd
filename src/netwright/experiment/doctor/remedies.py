"""From findings to what is worth an attempt, the likeliest first.

What a rule reads off the config comes before what a probe eased: a probe shows what helps, and a larger learning rate
also helps where a setting swallows the gradients. Where nothing else held, the last attempt takes all settings back to
what is usual.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from netwright.doctor import Finding
from netwright.doctor.check.fix import apply_fixes
from netwright.experiment.doctor.patches import Patch, Values, patch_for
from netwright.experiment.doctor.unusual import UNUSUAL

__all__ = ["Remedy", "patched", "remedies"]

_NOTEWORTHY = 0.15  # share of what is unexplained that a suspicion's remedy must have taken away in its probe
_CHANGING_NETWORK = ("data", "model", "task")
_MEASURED = {"slow-convergence"}  # against a plain network, so that a suspicion of it is strong
_CHEAP = {"lr-too-high", "lr-too-low"}  # suspected where no probe has had its say: an attempt will tell
_ELSEWHERE = {  # faults whose remedy is in the data, or that the best checkpoint has cured already
    "class-imbalance", "input-degenerate", "invalid-values", "labels-corrupted", "leakage", "overfitting",
    "preprocessing-mismatch",
}  # fmt: skip
_STYLE = {"bias-before-norm", "dense-parameter-explosion", "redundant-activation"}  # as warnings: waste, or a risk
_OF_SETTINGS = {"invalid-setting", "over-regularized"}  # static rules that read one setting each

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
    "undertrained": ("lr*10", "longer"),
    "vanishing-gradient": ("relu", "normalised"),
    "wrong-loss": ("loss",),
    "wrong-optimizer": ("adam",),
}


@dataclass(frozen=True)
class Remedy:
    """What to do about `fault`: `change` names a probe's change ("fix" of a static rule, "settings" of several), and
    `patch` says it.
    """

    fault: str
    change: str
    patch: Patch

    @property
    def keeps_network(self) -> bool:
        """Whether weights of the run before still fit, and still mean the same."""
        return not any(path.partition(".")[0].partition("[")[0] in _CHANGING_NETWORK for path in self.patch)


def remedies(
    findings: Sequence[Finding], values: Values, probes: Mapping[str, float], left: int = 3, again: bool = False
) -> list[Remedy]:
    """What is worth an attempt; nothing where nothing is proved or strongly suspected.

    Args:
        values: the run's resolved config.
        probes: what every probe left unexplained; the best ones come after the findings' own.
        left: attempts that there may still be; the last is for all the usual settings together.
        again: these are findings of a run that was mended already, whose record may say that it was too short.
    """
    grave = [finding for finding in findings if _is_grave(finding) or (again and finding.fault == "undertrained")]
    if not grave:
        return []
    found = [*_settings(grave, values), *(made for finding in grave for made in _first_of(finding, values))]
    best = sorted(probes, key=lambda name: probes[name])
    found += [made for name in best[:4] if (made := _made(grave[0].fault, name, values)) is not None]
    found += [made for finding in grave for made in _others_of(finding, values)]
    kept = _distinct(found)
    if (usual := _made(grave[0].fault, "usual", values)) is not None and any(map(_is_grave, grave)):
        kept.insert(min(len(kept), max(left - 1, 1)), usual)
    return _distinct(kept)


def patched(text: str, patch: Patch, name: str = "config.yaml") -> tuple[str, str]:
    """A config's text with a patch applied, and the unified diff (empty where nothing has changed)."""
    carrier = Finding("", "", "note", "", "", "", "", fix=patch)
    return apply_fixes(text, [carrier], name)


def _is_grave(finding: Finding) -> bool:
    if finding.fault in _ELSEWHERE and not finding.fix:
        return False
    if finding.severity == "error":
        return True
    if finding.severity != "warning" or finding.fault in _STYLE:
        return False
    strong = finding.proven or (finding.effect or 0.0) >= _NOTEWORTHY
    untried = finding.fault in _CHEAP and finding.probe is None
    return strong or untried or bool(finding.fix) or finding.fault in _MEASURED


def _settings(grave: Sequence[Finding], values: Values) -> list[Remedy]:
    """One remedy of all that can be read off the config: each of these settings is wrong by itself."""
    plain = [finding for finding in grave if finding.fix and not finding.of_run and _is_plain(finding)]
    made = [remedy for finding in plain for remedy in _first_of(finding, values)]
    together: Patch = {}
    for remedy in made:
        together |= {path: value for path, value in remedy.patch.items() if not _overlaps(path, together)}
    if not made:
        return []
    return [Remedy(made[0].fault, "settings" if len(together) > 1 else made[0].change, together)]


def _is_plain(finding: Finding) -> bool:
    return finding.code == UNUSUAL or finding.severity == "error" or finding.fault in _OF_SETTINGS


def _overlaps(path: str, others: Patch) -> bool:
    return any(f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}.") for other in others)


def _first_of(finding: Finding, values: Values) -> list[Remedy]:
    """A finding's own remedy: the fix of a static rule, what the probe changed, or what is usual for its fault."""
    still = finding.fault == "invalid-setting" and finding.where == "optimizer.lr"
    if still and (freed := patch_for("unfrozen", values)) is not None:  # a rate of 0 that a scale has made
        return [Remedy(finding.fault, "unfrozen", freed)]
    if finding.fix:
        return [Remedy(finding.fault, "fix", dict(finding.fix))]
    named = _BY_FAULT.get(finding.fault, ())
    if finding.probe is not None and finding.fault != "undertrained":  # of which a larger rate may do for less
        named = (finding.probe.change,)
    made = [made for name in named if (made := _made(finding.fault, name, values)) is not None]
    return made[:1]


def _others_of(finding: Finding, values: Values) -> list[Remedy]:
    names = _BY_FAULT.get(finding.fault, ())
    return [made for name in names if (made := _made(finding.fault, name, values)) is not None]


def _made(fault: str, change: str, values: Values) -> Remedy | None:
    patch = patch_for(change, values)
    return Remedy(fault, change, patch) if patch is not None else None


def _distinct(found: Sequence[Remedy]) -> list[Remedy]:
    kept: list[Remedy] = []
    for made in found:
        if all(made.patch != other.patch for other in kept):
            kept.append(made)
    return kept
