"""NW133: batches so large that a run has only a few updates."""

from collections.abc import Iterator

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.findings import Finding

CODE, FAULT = "NW133", "batch-too-large"

_FEW_UPDATES = 100  # of a whole run
_BATCH = 32


def rule(case: Case) -> Iterator[Finding]:
    """Updates in the whole run, where the config tells its length and the batch."""
    size, epochs = _whole(case, "train.batch_size"), _whole(case, "train.epochs")
    if case.examples is None or case.option("train.steps", "train.max_steps") is not None:
        return
    if size is None or epochs is None or not _BATCH < size <= case.examples:
        return
    updates = -(-case.examples // size) * epochs
    if updates >= _FEW_UPDATES or case.examples // _BATCH * epochs <= 2 * updates:
        return
    evidence = say(
        "Batches of {size} from {examples} examples make {updates} updates in the whole run.",
        size=size,
        examples=case.examples,
        updates=updates,
    )
    why = say("Each update moves the weights a little, whatever the batch. With so few the run ends before it learned.")
    remedy = say("Use batches of {size} or so, or more epochs.", size=_BATCH)
    fix = case.patch("train.batch_size", _BATCH)
    yield Finding(CODE, FAULT, "warning", "train.batch_size", evidence, why, remedy, fix=fix)


def _whole(case: Case, path: str) -> int | None:
    found = case.option(path)
    return found[1] if found is not None and type(found[1]) is int and found[1] > 0 else None
