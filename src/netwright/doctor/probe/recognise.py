"""Whether a step whose loss nobody gave has the targets predicted: its losses go with those of the loss that would fit.

The second part of a batch may as well be actions, returns or noise; then nothing may be said of the network's answers.
"""

import torch

from netwright.doctor.probe.batches import Batches
from netwright.doctor.probe.fitting import FITTING
from netwright.doctor.probe.fork import Program, call
from netwright.doctor.probe.surgery import scale_rate
from netwright.metrics.architecture import main_tensor, tensors_in

__all__ = ["agreement"]

_LOOKED, _AKIN, _SAME = 8, 0.9, 0.005
_ADDED = 0.1  # to the fitting loss: what a penalty adds at least


def agreement(program: Program, batches: Batches, kind: str) -> str:
    """Whether the losses are the "same" as those of the fitting loss up to a factor, or more by a "penalty" that is
    the same for every batch; or "akin", rising and falling with them; "" otherwise.
    """
    try:
        if _penalised(torch.tensor(_pairs(program, batches, kind, hold=True), dtype=torch.float64)):
            return "penalty"
        pairs = torch.tensor(_pairs(program, batches, kind), dtype=torch.float64)
    except Exception:  # the user's step, or a network that is called in another way
        return ""
    pairs = pairs[torch.isfinite(pairs).all(1)]
    if len(pairs) < 3:
        return ""
    ratio = pairs[:, 0] / pairs[:, 1].clamp(min=1e-12)
    if bool((ratio > 0).all()) and float(ratio.max() / ratio.min()) < 1 + _SAME:
        return "same"
    spread = pairs - pairs.mean(0)
    along = float((spread[:, 0] * spread[:, 1]).sum() / spread.norm(dim=0).prod().clamp(min=1e-12))
    return "akin" if along > _AKIN else ""


def _penalised(pairs: torch.Tensor) -> bool:
    """Of weights that stay the same: the penalty is a constant then."""
    if len(pairs) < 3 or not bool(torch.isfinite(pairs).all()):
        return False
    more = pairs[:, 0] - pairs[:, 1]
    return float(more.mean()) > _ADDED * float(pairs[:, 1].mean()) and float(more.std()) < _SAME * float(
        pairs[:, 1].std()
    )


def _pairs(program: Program, batches: Batches, kind: str, hold: bool = False) -> list[tuple[float, float]]:
    """(the step's loss, the fitting loss on the same batch just before the step, with the same random numbers); with
    `hold` the weights stay.
    """
    fork, pairs = program.fork(), []
    if hold:
        scale_rate(fork, 0.0)
    for count, batch in enumerate(batches.sequence(_LOOKED)):
        inputs, targets = batch
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(count)
            output = main_tensor(call(fork.net, inputs))
            assert output is not None
            fitting = float(FITTING[kind](output.float(), targets))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(count)
            told = next(tensors_in(value := fork.advance(batch)), None)
        pairs.append((float(told.detach().mean()) if told is not None else float(value), fitting))
    return pairs
