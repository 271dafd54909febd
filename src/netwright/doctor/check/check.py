"""`check`: run the static rules over a network, its loss, its optimizer and one batch."""

import importlib
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from netwright.core.errors import ConfigError
from netwright.core.messages import say
from netwright.core.seeds import undisturbed
from netwright.doctor.check.case import Case
from netwright.doctor.check.given import callable_loss, held_out, materialised, positional, to_tensors
from netwright.doctor.check.losses import view_loss
from netwright.doctor.check.order import causes_first
from netwright.doctor.check.reading import is_source, read
from netwright.doctor.check.rules import RULES
from netwright.doctor.check.run import examine
from netwright.doctor.findings import Finding
from netwright.metrics.architecture import tensors_in

__all__ = ["check"]


def check(
    net: nn.Module,
    inputs: Any,
    targets: Any = None,
    loss: Callable[..., Any] | str | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    config: Mapping[str, Any] | None = None,
    schema: Any = None,
    validation: Any = None,
    examples: int | None = None,
    metrics: Iterable[str] = (),
    batch_size: int | None = None,
    epochs: int | None = None,
) -> list[Finding]:
    """Findings about a network before it is trained, worst first; an empty list when nothing is to be said.

    Nothing given is changed: passes run on private copies, with random states restored.

    Args:
        inputs: a batch as the network takes it (a tuple for several inputs, a dict for those that go by name), or all
            training inputs: rules about data look at everything, the network runs on some. Or a loader or dataset of
            (inputs, targets).
        targets: what the loss takes beside the output. Without them and a loss, the rules about both are silent.
        loss: any callable of (output, targets), or the name of a known one.
        config: the run's config; fixes are patches of it.
        schema: a `data.Schema`; makes sure what kind of target is meant.
        validation: (inputs, targets) to compare the training data with, or a loader or dataset of such pairs; one that
            gives other numbers when it is read again is told.
        examples: the size of the training set, where `inputs` is only a batch of it.
        metrics: names of the metrics that will be watched.
        batch_size, epochs: of the run, where you know them and `inputs` is no batch.

    Raises:
        ConfigError: network, loss and batch cannot be called together, for a reason that is no fault of training.
    """
    notes: list[Finding] = []
    with undisturbed():
        if targets is None and is_source(inputs):
            inputs, targets = read(inputs)
        own = _unwrapped(net)
        case = _gathered(own, inputs, targets, callable_loss(loss, targets))
        case.optimizer = optimizer if case.net is own else None  # another network holds other tensors
        case.config, case.schema, case.examples, case.metrics = config, schema, examples, tuple(metrics)
        case.batch_size, case.epochs = batch_size, epochs
        case.validation, case.varied = held_out(validation, case.net)
        if all(tensor.numel() for tensor in tensors_in(case.inputs)):
            notes += _guarded("NW100", partial(_examine, case))
        for code, name in RULES.items():
            notes += _guarded(code, partial(_found, name, case))
    return causes_first(replace(found, where=case.layer_key(found.where) or found.where) for found in notes)


def _gathered(net: nn.Module, inputs: Any, targets: Any, loss: Any) -> Case:
    given = positional(net, to_tensors(inputs, net))
    net = materialised(net, given)
    wanted = to_tensors(targets, net) if targets is not None else None
    return Case(net, given, wanted, given, wanted, view_loss(loss) if loss is not None else None)


def _unwrapped(net: nn.Module) -> nn.Module:
    """The network inside `torch.compile` or a data-parallel wrapper; its parameters are the same."""
    inner = getattr(net, "_orig_mod", net)
    if isinstance(inner, nn.DataParallel | nn.parallel.DistributedDataParallel):
        inner = inner.module
    return inner if isinstance(inner, nn.Module) else net


def _found(name: str, case: Case) -> list[Finding]:
    module = importlib.import_module(f"netwright.doctor.check.rules.{name}")
    return list(module.rule(case))


def _examine(case: Case) -> list[Finding]:
    examine(case)
    return []


def _guarded(code: str, work: Callable[[], list[Finding]]) -> list[Finding]:
    """A rule that fails is our mistake: it is told in a note, and the other rules still speak."""
    try:
        return work()
    except ConfigError:  # the user's: this batch, network and loss cannot be called together
        raise
    except Exception as error:  # by definition we do not know which
        last = traceback.extract_tb(error.__traceback__)[-1]
        evidence = say("{code} raised {kind}: {error}", code=code, kind=type(error).__name__, error=str(error)[:200])
        why = say("This is a bug of netwright, not of your network. The other rules were not affected.")
        remedy = say("Report it with this line, please.")
        return [
            Finding(
                "NW100", "internal", "note", f"{last.filename.rsplit('/', 1)[-1]}:{last.lineno}", evidence, why, remedy
            )
        ]
