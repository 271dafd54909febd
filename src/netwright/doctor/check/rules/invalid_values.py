"""NW121: NaN or infinity in the data or the weights; integers where floats are meant, and the other way round."""

from collections.abc import Iterator

import torch
from torch import Tensor

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.check.trouble import Trouble
from netwright.doctor.findings import Finding
from netwright.metrics.architecture import tensors_in

CODE, FAULT = "NW121", "invalid-values"


def rule(case: Case) -> Iterator[Finding]:
    """Inputs and targets whole, every weight, and what the pass complained of."""
    for number, tensor in enumerate(tensors_in(case.inputs)):
        yield from _not_finite(tensor, "inputs" if len(case.inputs) == 1 else f"inputs[{number}]")
    for tensor in tensors_in(case.targets):
        yield from _not_finite(tensor, "targets")
    for tensor in tensors_in(case.validation):
        yield from _not_finite(tensor, "validation")
    bad = [name for name, p in case.net.named_parameters() if not bool(torch.isfinite(p.detach()).all())]
    if bad:
        evidence = say(
            "{count} parameter tensor(s) hold NaN or infinity, the first: {name}.", count=len(bad), name=bad[0]
        )
        why = say("One such weight makes every output not a number. The initialisation, or the run before, went wrong.")
        yield Finding(
            CODE,
            FAULT,
            "error",
            bad[0],
            evidence,
            why,
            say("Initialise again, or load an older checkpoint."),
            proven=True,
        )
    if case.trouble is not None and case.trouble.reason == "type":
        yield _wrong_type(case, case.trouble)
    elif case.trouble is not None and case.trouble.reason == "index" and case.trouble.stage == "forward":
        yield _out_of_range(case, case.trouble)


def _not_finite(tensor: Tensor, where: str) -> Iterator[Finding]:
    if not tensor.is_floating_point() or not tensor.numel() or bool(torch.isfinite(tensor.sum())):
        return  # a finite sum has no NaN or infinity in it, and is quickly had
    good = torch.isfinite(tensor)
    count = int(tensor.numel() - good.sum())
    if not count:
        return
    nans = int(torch.isnan(tensor).sum())
    rows = int((~good).reshape(tensor.shape[0], -1).any(1).sum()) if tensor.dim() else 1
    evidence = say(
        "{nans} NaN and {infinite} infinite values in {rows} of {all} examples.",
        nans=nans,
        infinite=count - nans,
        rows=rows,
        all=tensor.shape[0] if tensor.dim() else 1,
    )
    why = say("One of them makes the loss of its batch not a number, and the next step destroys all weights.")
    remedy = say(
        "Fill or drop missing values before training, and look for "
        "divisions by zero and logarithms of zero in the preprocessing."
    )
    yield Finding(CODE, FAULT, "error", where, evidence, why, remedy, proven=True)


def _wrong_type(case: Case, trouble: Trouble) -> Finding:
    kinds = ", ".join(str(t.dtype).removeprefix("torch.") for t in tensors_in((case.inputs, case.targets)))
    evidence = say("{error} (given: {kinds}).", error=trouble.message.rstrip("."), kinds=kinds)
    why = say(
        "Layers multiply floats of the weights' own type; class losses "
        "count with int64 labels. The types given do not fit."
    )
    if trouble.stage == "loss" and case.loss is not None and case.loss.target_kind == "class":
        remedy = say("Pass class numbers as int64: targets.long().")
    elif trouble.stage == "loss":
        remedy = say("Pass the targets as floats: targets.float().")
    else:
        remedy = say("Convert the inputs: x.float() (integers belong into an Embedding only).")
    return Finding(
        CODE,
        FAULT,
        "error",
        trouble.path or ("targets" if trouble.stage == "loss" else "inputs"),
        evidence,
        why,
        remedy,
        proven=True,
    )


def _out_of_range(case: Case, trouble: Trouble) -> Finding:
    given = case.main_input
    most = int(given.max()) if given is not None and given.numel() else "?"
    size = getattr(trouble.module, "num_embeddings", "?")
    evidence = say(
        "{error}: the largest index is {most}, the table has {size} rows.", error=trouble.message, most=most, size=size
    )
    why = say(
        "An embedding has one row for each index from 0. The vocabulary "
        "is larger than the table, or indices start elsewhere."
    )
    remedy = say("Give the embedding as many rows as there are indices, or map unknown ones to one of them.")
    return Finding(CODE, FAULT, "error", trouble.path or "inputs", evidence, why, remedy, proven=True)
