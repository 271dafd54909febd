"""NW133: batches so large that a run has only a few updates."""

from collections.abc import Iterator

import torch

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.findings import Finding

CODE, FAULT = "NW133", "batch-too-large"

_FEW_UPDATES = 100  # of a whole run
_BATCH = 32
_LARGE, _AN_EPOCH, _FEW = 512, 2, 4  # examples a batch; updates an epoch, where its number is not known, and is


def rule(case: Case) -> Iterator[Finding]:
    """Updates in the whole run, where its length and the batch are known; else those of an epoch."""
    size, epochs = _whole(case, "train.batch_size", case.batch_size), _whole(case, "train.epochs", case.epochs)
    examples = case.examples or (len(case.main_input) if case.batched and case.main_input is not None else None)
    if examples is None or case.option("train.steps", "train.max_steps") is not None:
        return
    if size is None or not _BATCH < size <= examples or isinstance(case.optimizer, torch.optim.LBFGS):
        return
    each = -(-examples // size)
    if epochs is None:
        few = case.config is None and size >= _LARGE and each <= _AN_EPOCH
        evidence = say("Batches of {size} from {examples} examples make {updates} update(s) an epoch.",
                       size=size, examples=examples, updates=each)  # fmt: skip
    else:
        few = each * epochs < _FEW_UPDATES and examples // _BATCH > 2 * each
        few = few and (case.config is not None or each <= _FEW)
        evidence = say("Batches of {size} from {examples} examples make {updates} updates in the whole run.",
                       size=size, examples=examples, updates=each * epochs)  # fmt: skip
    if few:
        yield _finding(case, evidence)


def _finding(case: Case, evidence: str) -> Finding:
    why = say("Each update moves the weights a little, whatever the batch. With so few the run ends before it learned.")
    remedy = say("Use batches of {size} or so, or more epochs.", size=_BATCH)
    fix = case.patch("train.batch_size", _BATCH)
    return Finding(CODE, FAULT, "warning", "train.batch_size", evidence, why, remedy, fix=fix)


def _whole(case: Case, path: str, given: int | None) -> int | None:
    found = case.option(path)
    value = found[1] if found is not None else given
    return value if type(value) is int and value > 0 else None
