"""Label smoothing, by its setting or by behaviour: how much of a cross-entropy asks for equal odds."""

import contextlib

import torch
from torch import Tensor, nn

from netwright.doctor.check.case import Case
from netwright.doctor.check.losses import unwrapped

__all__ = ["smoothing_of"]

_PROBES = 8
_FITS = 2e-3  # of the answers' spread


def smoothing_of(case: Case) -> float:
    """The share of the labels' weight that is spread over all classes, 0 where it cannot be told."""
    loss = case.loss
    if loss is None or loss.kind != "cross-entropy" or loss.inside or loss.onehot:
        return 0.0
    inner, options = unwrapped(loss.function)
    told = options.get("label_smoothing", getattr(inner, "label_smoothing", None))
    if isinstance(told, int | float):
        return float(told)
    return _measured(case) if loss.how == "behaviour" and not loss.weighted else 0.0


def _measured(case: Case) -> float:
    """The loss of random scores as a sum of the labels' surprise and that of all classes: the weight of the latter."""
    output, targets = case.output, case.few_targets
    if output is None or output.dim() < 2 or not isinstance(targets, Tensor) or targets.is_floating_point():
        return 0.0
    axis, labels = case.class_axis, targets.reshape(-1)
    count = output.shape[axis]
    if labels.numel() != output.numel() // count or int(labels.min()) < 0 or int(labels.max()) >= count:
        return 0.0
    rows, answers = [], []
    with contextlib.suppress(Exception), torch.no_grad():  # the user's code, on scores it was not written for
        for seed in range(_PROBES):
            scores = torch.randn(output.shape, generator=torch.Generator().manual_seed(seed)).to(output)
            odds = scores.movedim(axis, -1).reshape(-1, count).double().log_softmax(1)
            own = nn.functional.nll_loss(odds, labels.long())
            rows.append(torch.stack([own, -odds.mean(), torch.ones_like(own)]))
            answers.append(float(case.score_loss(scores, targets).double().mean()) if case.score_loss else 0.0)
    return _share(torch.stack(rows), torch.tensor(answers, dtype=torch.float64)) if len(answers) == _PROBES else 0.0


def _share(parts: Tensor, answers: Tensor) -> float:
    found = torch.linalg.lstsq(parts.cpu(), answers[:, None]).solution[:, 0]
    rest = float((parts.cpu() @ found - answers).norm())
    whole, total = float((answers - answers.mean()).norm()), float(found[0] + found[1])
    if rest > _FITS * whole or abs(total) < 1e-9:
        return 0.0
    return min(1.0, max(0.0, float(found[1]) / total))
