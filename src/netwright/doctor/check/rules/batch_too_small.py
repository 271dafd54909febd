"""NW126: batch norm on so few examples that its statistics are noise."""

from collections.abc import Iterator

from torch import nn

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.findings import Finding, Severity

CODE, FAULT = "NW126", "batch-too-small"

_FEW = 4


def rule(case: Case) -> Iterator[Finding]:
    """The configured batch size where there is one, else the batch given; and the last, short batch of an epoch."""
    norms = [
        (path, m) for path, m in case.modules(nn.modules.batchnorm._BatchNorm) if m.training or not case.net.training
    ]
    if not norms or case.main_input is None or not case.main_input.dim():
        return
    where, option = norms[0][0], case.option("train.batch_size")
    if case.trouble is not None and case.trouble.reason == "single-value":
        yield _of_one(where)
        return
    size = option[1] if option and isinstance(option[1], int) else case.batch_size or case.main_input.shape[0]
    if size < _FEW and any(p.requires_grad for _, m in norms for p in m.parameters()):
        yield _of_few(case, where, len(norms), size)
    elif case.examples and option is not None and case.examples % size == 1 and not _drops(case):
        yield _left_over(case, where, case.examples, size)


def _of_one(where: str) -> Finding:
    evidence = say("{where} sees one value a channel in training.", where=where)
    why = say("The variance of one value is zero, so a batch norm refuses it.")
    remedy = say("Use batches of 16 or more, or a layer or group norm.")
    return _finding("error", where, evidence, why, remedy)


def _of_few(case: Case, where: str, count: int, size: int) -> Finding:
    evidence = say("{count} batch norm(s) on batches of {size}.", count=count, size=size)
    why = say(
        "Mean and variance of {size} example(s) say little about the "
        "data, and differ from the running ones used in evaluation.",
        size=size,
    )
    remedy = say("Use batches of 16 or more, or a group or layer norm.")
    return _finding("warning", where, evidence, why, remedy, case.changed("train.batch_size", 16))


def _left_over(case: Case, where: str, examples: int, size: int) -> Finding:
    evidence = say("{examples} examples in batches of {size} leave one over.", examples=examples, size=size)
    why = say("Batch norm fails on a batch of one, or learns noise from it.")
    remedy = say("Drop the last batch, or use batches of {size}.", size=size + 1)
    return _finding("warning", where, evidence, why, remedy, case.patch("train.batch_size", size + 1))


def _finding(
    severity: Severity, where: str, evidence: str, why: str, remedy: str, fix: dict[str, object] | None = None
) -> Finding:
    return Finding(CODE, FAULT, severity, where, evidence, why, remedy, proven=severity == "error", fix=fix)


def _drops(case: Case) -> bool:
    found = case.option("train.drop_last")
    return bool(found and found[1])
