"""Whether a file says what the network says, and how quickly each of them does."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from netwright.core.errors import NetwrightError
from netwright.export.formats import Run

__all__ = ["Latency", "MismatchError", "Proof", "compared", "timed"]

_TOLERANCE = 1e-4  # of the largest output, or of 1 where all are smaller: float32 sums in another order
_RUNS, _SECONDS = 50, 1.0  # each is timed that often, or for so long where that is less


class MismatchError(NetwrightError):
    """An exported file that does not say what the network says; it was not written."""

    exit_code = 1


@dataclass(frozen=True)
class Proof:
    """The largest difference between the file and the network, over batches of these sizes."""

    difference: float
    tolerance: float
    batches: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {"difference": self.difference, "tolerance": self.tolerance, "batches": list(self.batches)}


@dataclass(frozen=True)
class Latency:
    """Medians for a batch of one, in milliseconds."""

    network: float
    file: float
    runs: int
    threads: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {"network_ms": self.network, "file_ms": self.file, "runs": self.runs, "threads": self.threads}


def compared(network: Run, file: Run, batches: Sequence[tuple[Tensor, ...]]) -> Proof:
    """Run both on each batch.

    Raises:
        MismatchError: other shapes, or a difference above what float32 allows.
    """
    worst, allowed = 0.0, 0.0
    for inputs in batches:
        wanted, got = network(inputs), file(inputs)
        if got.shape != wanted.shape:
            template = "the exported file gives {got} where the network gives {wanted}; it was not written"
            raise MismatchError(template, got=tuple(got.shape), wanted=tuple(wanted.shape))
        bound = _TOLERANCE * max(1.0, float(wanted.abs().amax()))
        difference = float((got.double() - wanted.double()).abs().amax())
        if not difference <= bound:  # NaN is above everything
            template = (
                "the exported file differs from the network by {difference:.2g} on a batch of {rows}, and {bound:.2g} "
                "is allowed; it was not written: try the other --format"
            )
            raise MismatchError(template, difference=difference, rows=len(inputs[0]), bound=bound)
        worst, allowed = max(worst, difference), max(allowed, bound)
    return Proof(worst, allowed, tuple(len(inputs[0]) for inputs in batches))


def timed(network: Run, file: Run, inputs: tuple[Tensor, ...]) -> Latency:
    """Both on the same input, by turns, so that whatever else the machine does falls on both."""
    taken: tuple[list[float], list[float]] = ([], [])
    began = time.perf_counter()
    while len(taken[0]) < _RUNS and (not taken[0] or time.perf_counter() - began < _SECONDS):
        for run, times in zip((network, file), taken, strict=True):
            start = time.perf_counter()
            run(inputs)
            times.append(1e3 * (time.perf_counter() - start))
    ours, its = (round(statistics.median(times), 3) for times in taken)
    return Latency(ours, its, len(taken[0]), torch.get_num_threads())
