"""Connectionist temporal classification: the likelihood of a label sequence under all its alignments with the frames.

Graves et al., 2006. Letters: B batch, T frames, S labels, V symbols (blank among them).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.core.schemas import Count
from netwright.losses.base import Loss, Reduction, demand, wide

__all__ = ["CTC"]


class CTC(Loss):
    """CTC of raw scores.

    Args:
        blank: the symbol that says nothing.
        zero_infinity: count a target that is too long for its frames as 0 instead of infinity.
        reduction: `mean` divides each sequence's loss by its length first, as torch does.

    Shapes:
        prediction (B, T, V) raw scores; target (B, S) symbols, negative where there is none, or a tuple
        (symbols_BS, lengths_B) or (symbols_BS, lengths_B, frames_B).
    """

    expects = "logits"
    target_kind = "sequence"

    def __init__(self, *, blank: Count = 0, zero_infinity: bool = True, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.blank = blank
        self.zero_infinity = zero_infinity

    def forward(self, prediction: Tensor, target: Tensor | tuple[Tensor, ...]) -> Tensor:
        """The loss of a batch; `none` gives a value a sequence."""
        symbols_BS, *sizes = target if isinstance(target, tuple) else (target,)
        fits = prediction.dim() == 3 and symbols_BS.dim() == 2 and not symbols_BS.is_floating_point()
        demand(fits, "ctc", "scores (B, T, V) and symbols (B, S)", prediction, symbols_BS)
        lengths_B = sizes[0] if sizes else (symbols_BS >= 0).sum(1)
        full = torch.full((len(prediction),), prediction.shape[1], dtype=torch.long, device=prediction.device)
        frames_B = sizes[1] if len(sizes) > 1 else full
        log_TBV = F.log_softmax(wide(prediction), 2).transpose(0, 1)
        return F.ctc_loss(
            log_TBV, symbols_BS.clamp_min(0), frames_B, lengths_B, self.blank, self.reduction, self.zero_infinity
        )
