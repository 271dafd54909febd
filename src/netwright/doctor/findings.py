"""What the doctor says: a finding names a fault, shows its evidence, and tells the remedy."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from netwright.core.messages import say

__all__ = ["FAULTS", "RANK", "Finding", "Probe", "Severity", "ranked"]

Severity = Literal["error", "warning", "note"]

# The vocabulary, and when a fault can be seen: before the first step, or only from the run.
FAULTS: dict[str, str] = {
    "shape-mismatch": "static",
    "head-size-mismatch": "static",
    "double-softmax": "static",
    "missing-output-activation": "static",
    "single-unit-softmax": "static",
    "wrong-loss": "static/live",
    "output-range": "static",
    "multilabel-as-multiclass": "static",
    "broadcast-loss": "static",
    "missing-nonlinearity": "static",
    "redundant-activation": "static",
    "bias-before-norm": "static",
    "dropout-misuse": "static",
    "missing-normalization": "static/live",
    "dense-parameter-explosion": "static",
    "capacity-too-small": "live",
    "symmetric-init": "static",
    "bad-init-scale": "static",
    "input-not-normalized": "static",
    "input-degenerate": "static",
    "target-not-normalized": "static",
    "invalid-values": "static",
    "preprocessing-mismatch": "static",
    "labels-corrupted": "live",
    "leakage": "static",
    "class-imbalance": "static",
    "not-shuffled": "static",
    "lr-too-high": "live",
    "lr-too-low": "live",
    "schedule-collapsed": "live",
    "slow-convergence": "live",
    "oscillation": "live",
    "vanishing-gradient": "live",
    "exploding-gradient": "live",
    "dead-relu": "live",
    "saturation": "live",
    "non-finite": "live",
    "overfitting": "live",
    "undertrained": "live",
    "batch-too-large": "static/live",
    "batch-too-small": "static/live",
    "over-regularized": "static/live",
    "wrong-optimizer": "live",
    "missing-zero-grad": "live",
    "wrong-mode": "static/live",
    "frozen-parameters": "static",
    "invalid-setting": "static",
    "batch-mixing": "static",
}

RANK: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True)
class Probe:
    """The experiment behind a finding: `change` names what was changed (a key of `doctor.words.CHANGED`),
    `words` say it. The two curves hold the losses of the unchanged twin and of the changed one, over the same `steps`,
    thinned to `points` means or fewer.
    """

    change: str
    words: str
    steps: int
    unchanged: list[float]
    changed: list[float]
    points: ClassVar[int] = 60

    @classmethod
    def of(cls, change: str, words: str, unchanged: Sequence[float], changed: Sequence[float]) -> "Probe":
        """Thin the losses of two runs."""
        steps = max(len(unchanged), len(changed))
        width = max(1, math.ceil(steps / cls.points))  # of both, so that a curve that ends early ends early on paper
        return cls(change, words, steps, _thinned(unchanged, width), _thinned(changed, width))


@dataclass(frozen=True, repr=False)
class Finding:
    """One fault found.

    `where` is a module's path, a config key or a part of the data. `evidence` holds the numbers. `effect` is the
    effect of the remedy that a probe measured; `proven` says that the fault was shown by measurement, not only
    suspected. `fix` is a patch of the config: dotted path to new value, where None deletes a list's item. `probe` is
    the experiment that showed it, where there was one.
    """

    code: str
    fault: str
    severity: Severity
    where: str
    evidence: str
    why: str
    remedy: str
    effect: float | None = None
    proven: bool = False
    fix: dict[str, Any] | None = None
    probe: Probe | None = None

    @property
    def of_run(self) -> bool:
        """Whether steps were taken to see it; the codes of static rules are lower."""
        return self.code >= "NW2"

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Finding":
        """Undo of `to_dict`; keys of a later version are ignored."""
        known = {key: value for key, value in data.items() if key in cls.__dataclass_fields__}
        if known.get("probe") is not None:
            known["probe"] = Probe(**known["probe"])
        return cls(**known)

    def __repr__(self) -> str:
        return f"<{self}>"

    def __str__(self) -> str:
        head = f"{self.code} {say(self.severity)} {self.fault} [{self.where}]"
        told = {"evidence": self.evidence, "why": self.why, "remedy": self.remedy}
        return say("{head}: {evidence} {why} Do: {remedy}", head=head, **told)


def ranked(findings: Iterable[Finding]) -> list[Finding]:
    """Worst first: errors, warnings, notes; proven before suspected; then by code and place."""
    return sorted(findings, key=lambda f: (RANK[f.severity], not f.proven, f.code, f.where))


def _thinned(losses: Sequence[float], width: int) -> list[float]:
    """Means of stretches of `width`; a curve that ends in NaN or infinity ends before it, as JSON knows neither."""
    finite = [value for value in losses if math.isfinite(value)]
    return [sum(part := finite[at : at + width]) / len(part) for at in range(0, len(finite), width)]
