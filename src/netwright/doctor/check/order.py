"""Causes before their consequences, among findings of one pass."""

import itertools
from collections.abc import Iterable

from netwright.doctor.findings import Finding, ranked

__all__ = ["causes_first", "followers_last"]

# Where a key is found, these follow from it: the sizes, ranges and kinds that it makes, not faults of their own.
_FOLLOWS: dict[str, frozenset[str]] = {
    "invalid-values": frozenset({"bad-init-scale", "input-not-normalized", "missing-normalization", "output-range",
                                 "preprocessing-mismatch", "target-not-normalized", "missing-output-activation"}),
    "batch-mixing": frozenset({"missing-output-activation", "double-softmax", "broadcast-loss"}),
    "single-unit-softmax": frozenset({"double-softmax", "missing-output-activation", "output-range", "wrong-loss",
                                      "multilabel-as-multiclass"}),
    "shape-mismatch": frozenset({"dense-parameter-explosion", "frozen-parameters", "missing-nonlinearity"}),
    "head-size-mismatch": frozenset({"broadcast-loss", "shape-mismatch", "wrong-loss"}),
    "multilabel-as-multiclass": frozenset({"double-softmax", "output-range", "wrong-loss"}),
    "wrong-loss": frozenset({"output-range", "target-not-normalized"}),
    "input-not-normalized": frozenset({"bad-init-scale", "lr-too-high", "missing-normalization"}),
    "target-not-normalized": frozenset({"lr-too-high", "output-range"}),
    "input-degenerate": frozenset({"bad-init-scale", "missing-normalization"}),
    "symmetric-init": frozenset({"bad-init-scale", "frozen-parameters", "missing-normalization", "lr-too-high"}),
    "bad-init-scale": frozenset({"lr-too-high", "missing-normalization", "over-regularized"}),
    "double-softmax": frozenset({"lr-too-high", "output-range"}),
    "wrong-mode": frozenset({"batch-mixing"}),
    "invalid-setting": frozenset({"lr-too-high", "over-regularized"}),
}  # fmt: skip


def causes_first(findings: Iterable[Finding]) -> list[Finding]:
    """Worst first, and within one severity no consequence before a cause that is found with it."""
    levels = itertools.groupby(ranked(findings), key=lambda finding: finding.severity)
    return [finding for _, level in levels for finding in followers_last(level)]


def followers_last(findings: Iterable[Finding]) -> list[Finding]:
    """The order given, with what follows from another of the findings put behind."""
    kept = list(findings)
    follows = {fault for finding in kept for fault in _FOLLOWS.get(finding.fault, ())}
    return sorted(kept, key=lambda finding: finding.fault in follows)
