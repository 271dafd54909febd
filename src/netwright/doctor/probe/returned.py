"""What the loss that a step returns is made of: compared, on batches with weights that stay, with known forms of the
network's own answers. A form counts where it fits on every batch, up to one factor.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from netwright.core.messages import say
from netwright.doctor.check.losses import view_loss
from netwright.doctor.check.reading import rows
from netwright.doctor.probe.batches import size_of
from netwright.doctor.probe.fitting import FITTING
from netwright.doctor.probe.looks import Look, answers_by_lot, look_at
from netwright.doctor.probe.scene import Scene

__all__ = ["Returned", "returned"]

_BATCHES, _PAIRED = 5, 1024  # batches looked at; examples of one at most, where each is paired with each
_FEW = 4  # batches of one class
_LOOKS, _SPENT = 22, 0.1  # steps taken at most; of the time that is left, for them
_SAME = 0.02  # of a form's spread over batches
_ALTERED, _FAR = 0.5, 0.3  # of the inputs' spread; of what is unexplained
_MORE = 0.1  # of the plain loss
_SCORED = {"cross-entropy", "bce-logits"}  # losses with a softmax or sigmoid of their own

Loss = Callable[..., Tensor]
Form = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Returned:
    """`fault`: what the form proves; "over-regularized" or "wrong-loss" where it only is more than the plain loss, or
    another one (`form` False then); "" where it is the plain loss, or nothing is known of it.
    `sure`: of such a one, whether a plain step that does much better proves it; `apart`: what it has to take away.
    """

    fault: str = ""
    form: bool = True
    evidence: str = ""
    sure: bool = True
    apart: float = 0.06  # of what is unexplained
    drawn: bool = False  # the network answers by lot, and what its step adds is meant to hold that together


def returned(scene: Scene) -> Returned:
    """What the user's step returns, next to what a plain one would; of plain steps and unknown targets, nothing."""
    if scene.program.step is None or not scene.kind or not isinstance(scene.targets, Tensor):
        return Returned()
    whole = [batch for batch in scene.batches.sequence(2 * _BATCHES) if size_of(batch) == scene.batches.size]
    try:
        begun = time.monotonic()
        looks = [look_at(scene, batch) for batch in whole[:1]]
        if _LOOKS * (time.monotonic() - begun) > _SPENT * scene.left:
            return Returned()
        looks += [look_at(scene, batch) for batch in whole[1:_BATCHES]]
        losses = _losses(scene)
        return _read(scene, looks, losses) if len(looks) >= 3 and losses else Returned()
    except Exception:  # the user's step or loss, on a network that is called in another way
        return Returned()


def _losses(scene: Scene) -> list[Loss]:
    given = scene.program.loss
    return [FITTING[scene.kind]] if given is None else [given, FITTING[scene.kind]]


def _read(scene: Scene, looks: list[Look], losses: list[Loss]) -> Returned:
    plain = next((loss for loss in losses if _fits(looks, loss)), None)
    if plain is not None:
        return _asked(scene, looks)
    if any(_fits(looks, form) for form in _over_pairs(scene, looks, losses)):
        return Returned("broadcast-loss", evidence=say(
            "The loss that the step returns is the mean over all pairs of an output and a target: their shapes differ."
        ))  # fmt: skip
    if any(_fits(looks, form) for form in _squashed(scene, losses)):
        return Returned("double-softmax", evidence=say(
            "The step's loss is that of a softmax or sigmoid of the outputs, and applies its own to them once more."
        ))  # fmt: skip
    if _targets_strewn(scene, looks[0], losses):
        return Returned("labels-corrupted", evidence=say(
            "The step takes the targets of a batch in another order than its inputs: its loss is the plain one only "
            "where all targets of a batch are the same."
        ))  # fmt: skip
    return _unlike(scene, looks)


def _fits(looks: list[Look], form: Form) -> bool:
    """Whether the returned values are those of the form, up to one factor."""
    with torch.no_grad():
        try:
            wanted = torch.tensor([float(form(look.output, look.batch[1]).mean()) for look in looks])
        except (RuntimeError, ValueError, IndexError, TypeError):
            return False
    values = torch.tensor([look.value for look in looks])
    spread = float(wanted.std())
    finite = bool(torch.isfinite(values).all() & torch.isfinite(wanted).all())
    if not finite or spread < 1e-5 * float(wanted.abs().max()):
        return False
    factor = float((values * wanted).sum() / wanted.square().sum())
    return factor > 0 and float((values / factor - wanted).abs().max()) < _SAME * spread


def _asked(scene: Scene, looks: list[Look]) -> Returned:
    """The plain loss of what the network answered; but was it asked what the batch holds, in the targets' order?"""
    if all(look.reordered for look in looks):
        return Returned("labels-corrupted", evidence=say(
            "Inside the step the network is given the inputs of a batch in another order than its targets."
        ))  # fmt: skip
    shares = [look.altered for look in looks]
    if scene.kind == "numbers" or min(shares) < _ALTERED:  # what is to be restored may well be disturbed first
        return Returned()
    evidence = say("The step changes the inputs before the network gets them, by {share:.0%} of their spread.",
                   share=min(shares))  # fmt: skip
    return Returned("over-regularized", form=False, evidence=evidence, sure=False, apart=_FAR)


def _over_pairs(scene: Scene, looks: list[Look], losses: list[Loss]) -> Iterator[Form]:
    """Each output against each target, as (N,) against (N, 1) broadcasts."""
    output, targets = looks[0].output, looks[0].batch[1]
    single = output.numel() == len(output) == targets.numel() <= _PAIRED
    if not single or scene.kind not in {"numbers", "marks"}:
        return
    for loss in (*losses, F.l1_loss, F.smooth_l1_loss):

        def form(made: Tensor, wanted: Tensor, loss: Loss = loss) -> Tensor:
            count = len(made)
            return loss(made.reshape(1, -1).expand(count, count), wanted.float().reshape(-1, 1).expand(count, count))

        yield form


def _squashed(scene: Scene, losses: list[Loss]) -> Iterator[Form]:
    """A loss of scores, given what a softmax or sigmoid has made of them."""
    given = scene.program.loss
    known = given is not None and view_loss(given).kind in _SCORED
    if scene.kind == "marks":
        yield lambda made, wanted: F.binary_cross_entropy_with_logits(
            made.sigmoid().reshape(len(made), -1), wanted.float().reshape(len(made), -1)
        )
    squashes: tuple[Callable[[Tensor], Tensor], ...] = (lambda s: s.softmax(1), lambda s: s.softmax(-1), torch.sigmoid)
    for squash in squashes if scene.kind != "numbers" else ():
        if known:
            yield _after(squash, losses[0])
        if scene.kind != "marks":  # a shift changes no cross-entropy, and keeps it from reading probabilities as such
            yield _after(squash, losses[-1], 2.0)


def _after(squash: Callable[[Tensor], Tensor], loss: Loss, shift: float = 0.0) -> Form:
    return lambda made, wanted: loss(squash(made) + shift, wanted)


def _targets_strewn(scene: Scene, look: Look, losses: list[Loss]) -> bool:
    """Whether, of unchanged inputs, the loss differs from call to call, and does not where all targets are alike."""
    other = look_at(scene, look.batch, seed=1)
    if look.given is None or other.given is None or not torch.equal(look.output, other.output):
        return False
    if not torch.equal(look.given, other.given) or abs(look.value - other.value) < 1e-4 * abs(look.value):
        return False
    inputs, targets = look.batch
    alike = [
        look_at(scene, (inputs, targets[at : at + 1].expand_as(targets).clone())) for at in range(len(targets))[:8]
    ]
    return any(_fits(alike, loss) for loss in losses)


def _unlike(scene: Scene, looks: list[Look]) -> Returned:
    """More than the given loss, or another one altogether; of answers by lot and of other inputs nothing is said."""
    given = scene.program.loss
    if given is None or answers_by_lot(scene, looks[0].batch):
        return Returned(drawn=given is not None)
    if scene.kind in {"classes", "marks"} and _by_class(scene, looks):
        return Returned()
    for look in looks:
        asked = look.batch[0]
        if look.given is not None and not (isinstance(asked, Tensor) and torch.equal(asked, look.given)):
            return Returned()
    with torch.no_grad():
        pairs = [(look.value, float(given(look.output, look.batch[1]).mean())) for look in looks]
    own, plain = (sum(part) / len(looks) for part in zip(*pairs, strict=True))
    if all(value > (1 + _MORE) * wanted for value, wanted in pairs):
        evidence = say("On the same outputs the given loss is {plain:.3g}, and the step's own {own:.3g}.",
                       plain=plain, own=own)  # fmt: skip
        return Returned("over-regularized", form=False, evidence=evidence)
    if all(abs(value - wanted) < _MORE * abs(wanted) for value, wanted in pairs):
        return Returned()
    evidence = say("The step's loss is not the given one: {own:.3g} where that is {plain:.3g}.", own=own, plain=plain)
    return Returned("wrong-loss", form=False, evidence=evidence, sure=False)


def _by_class(scene: Scene, looks: list[Look]) -> bool:
    """Whether the loss only gives classes weights: of examples of one class it is the given one, up to a factor."""
    given, labels = scene.program.loss, torch.cat([look.batch[1] for look in looks]).flatten()
    if given is None or labels.numel() != sum(len(look.batch[1]) for look in looks):
        return False
    for label in labels.unique(return_counts=True)[1].topk(2).indices:
        alike = []
        for inputs, targets in (look.batch for look in looks[:_FEW]):
            index = (targets.flatten() == labels.unique()[label]).nonzero().flatten()
            if len(index) > 1:
                alike.append(look_at(scene, (rows(inputs, index), targets[index])))
        if len(alike) < _FEW or not _fits(alike, given):
            return False
    return True
