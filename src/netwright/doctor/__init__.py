"""The doctor: what is wrong with a network, its loss, its optimizer, its data or its run, and what to do about it.

It knows networks, optimizers, steps and batches and nothing of our loop, so it serves any PyTorch loop. It looks at
private copies: weights, buffers, gradients, mode and random state of what it examines stay bit for bit as they were.

Its verbs, `netwright.check`, `diagnose` and `watch`, stand in the modules of these names. Here is only what findings
are made of: reports read `findings`, `words` and `about` without torch.

Where a threshold follows from a formula or from a default, that stands beside it. The others are measured: set on the
families of programs, faulty and healthy, that `benchmarks/doctor` tunes on, and judged on those held out
(docs/bench-doctor.md).
"""

from netwright.doctor.findings import FAULTS, Finding, Severity, ranked

__all__ = ["FAULTS", "Finding", "Severity", "ranked"]
