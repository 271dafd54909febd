"""The doctor: what is wrong with a network, its loss, its optimizer, its data or its run, and what to do about it.

It knows networks, optimizers, steps and batches and nothing of our loop, so it serves any PyTorch loop. It looks at
private copies: weights, buffers, gradients, mode and random state of what it examines stay bit for bit as they were.

Where a threshold follows from a formula or from a default, that stands beside it. The others are measured: set on the
families of programs, faulty and healthy, that `benchmarks/doctor` tunes on, and judged on those held out
(docs/bench-doctor.md).
"""

from netwright.doctor.check import check
from netwright.doctor.diagnose import Diagnosis, diagnose
from netwright.doctor.findings import FAULTS, Finding, Severity, ranked
from netwright.doctor.watch import Watch, watch

__all__ = ["FAULTS", "Diagnosis", "Finding", "Severity", "Watch", "check", "diagnose", "ranked", "watch"]
