"""NW126: batch norm on so few examples that its statistics are noise."""

from collections.abc import Iterator

from torch import nn

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.findings import Finding

CODE, FAULT = "NW126", "batch-too-small"

_FEW = 4


def rule(case: Case) -> Iterator[Finding]:
    """The configured batch size where there is one, else the batch given; and the last, short batch of an epoch."""
    norms = [
        (path, m) for path, m in case.modules(nn.modules.batchnorm._BatchNorm) if m.training or not case.net.training
    ]
    if not norms or case.main_input is None or not case.main_input.dim():
        return
    where = norms[0][0]
    if case.trouble is not None and case.trouble.reason == "single-value":
        evidence = say("{where} sees one value a channel in training.", where=where)
        why = say("The variance of one value is zero, so a batch norm refuses it.")
        yield Finding(
            CODE,
            FAULT,
            "error",
            where,
            evidence,
            why,
            say("Use batches of 16 or more, or a layer or group norm."),
            proven=True,
        )
        return
    option = case.option("train.batch_size")
    size = (
        option[1] if option is not None and isinstance(option[1], int) else case.batch_size or case.main_input.shape[0]
    )
    frozen = all(not p.requires_grad for _, m in norms for p in m.parameters())
    if size < _FEW and not frozen:
        evidence = say("{count} batch norm(s) on batches of {size}.", count=len(norms), size=size)
        why = say(
            "Mean and variance of {size} example(s) say little about the "
            "data, and differ from the running ones used in evaluation.",
            size=size,
        )
        remedy = say("Use batches of 16 or more, or a group or layer norm.")
        yield Finding(
            CODE,
            FAULT,
            "warning",
            where,
            evidence,
            why,
            remedy,
            fix=case.patch("train.batch_size", 16) if option else None,
        )
    elif case.examples and option is not None and case.examples % size == 1 and not _drops(case):
        evidence = say("{examples} examples in batches of {size} leave one over.", examples=case.examples, size=size)
        why = say("Batch norm fails on a batch of one, or learns noise from it.")
        fix = case.patch("train.batch_size", size + 1)
        yield Finding(
            CODE,
            FAULT,
            "warning",
            where,
            evidence,
            why,
            say("Drop the last batch, or use batches of {size}.", size=size + 1),
            fix=fix,
        )


def _drops(case: Case) -> bool:
    found = case.option("train.drop_last")
    return bool(found and found[1])
