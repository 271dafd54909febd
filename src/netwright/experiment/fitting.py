"""Whether network, loss, data and figures go together: one small batch, before anything is written or learnt.

What does not fit is the user's mistake, so it must end in a sentence; deep inside torch it would end in a traceback.
"""

import copy
import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from netwright import models
from netwright.core import seeds
from netwright.core.errors import ConfigError, NetwrightError, Problem, ResourceError, suggest
from netwright.core.messages import say
from netwright.data.augment import Geometric, Mixing
from netwright.data.batching import first_of
from netwright.doctor.findings import Finding
from netwright.experiment.assemble import Assembly
from netwright.experiment.compatible import networks_for
from netwright.experiment.reading import located
from netwright.metrics import MetricSet

__all__ = ["check_fit"]

_EXAMPLES = 8
_LONGEST = 110  # characters of a reason that is not in our words
_ARGUMENTS = {  # of networks that read texts, by the kind of target
    "class": ("tokens", "mask=None", "segments=None"), "text": ("source", "target", "source_mask=None"),
}  # fmt: skip


def check_fit(made: Assembly, findings: Sequence[Finding] = ()) -> None:
    """Evaluate a few examples as the run will. Weights, buffers and random generators are left as they were.

    Args:
        findings: of the doctor, whose remedy is better than torch's complaint.

    Raises:
        ConfigError: the network does not take these data, the loss not its outputs, or `expect` names no figure.
    """
    chance = seeds.rng_state()
    training = made.model.training
    try:
        _try(made)
    except Exception as error:  # whatever a network of anybody's says to inputs that are not for it
        if isinstance(error, MemoryError | ResourceError) or "memory" in str(error):
            raise
        raise _misfit(made, error, findings) from error
    finally:
        made.model.train(training)
        seeds.set_rng_state(chance)
    _check_expected(made)


def _try(made: Assembly) -> None:
    task, engine = made.session.task, made.session.engine
    made.model.eval()
    _check_mixed(made)
    _check_batch(made)
    if made.preprocess is None:
        _try_actions(made)
        return
    few = first_of(next(iter(made.sources.measuring(made.bundle.train).epoch(0))), _EXAMPLES)
    inputs, targets = few.inputs, few.targets
    _check_moved(made, targets)
    with torch.inference_mode(), engine.autocast():
        try:
            out = task.evaluation_step(made.model, few)
        except TypeError:
            _check_arguments(made, inputs)
            raise
        measure = task.measure()
        look: Callable[[Any, Any], None] = measure.fits if isinstance(measure, MetricSet) else measure.update
        look(out.predictions, targets)
    if made.config.train.batch_size == 1 and len(task.phases) == 1 and isinstance(inputs, Tensor):
        _check_lone(made, inputs[:1])


def _check_arguments(made: Assembly, inputs: Any) -> None:
    """A batch of texts is several arguments, of which a network of anybody's may know the first only."""
    if not isinstance(inputs, tuple):
        return
    try:
        inspect.signature(made.model.forward).bind(*inputs)
    except TypeError as error:
        if made.bundle.schema.kind == "graph":
            template = (
                "forward of model {name} cannot be called with the {count} tensors that a batch of graphs is; write "
                "forward(self, nodes, edges, edge_attr=None, graph_index=None), or use {fitting}"
            )
            fitting = ", ".join(networks_for(made.config.named("task")[0]))
            values = {"name": type(made.model).__name__, "count": len(inputs), "fitting": fitting}
            raise ConfigError(template, path="model", **values) from error
        names = _ARGUMENTS.get(made.bundle.schema.target.kind, _ARGUMENTS["class"])[: len(inputs)]
        template = (
            "forward of model {name} cannot be called with the {count} tensors that a batch of texts is; write "
            "forward(self, {names}), where a mask is True for tokens and False for what fills short texts up"
        )
        name = type(made.model).__name__
        raise ConfigError(template, path="model", name=name, count=len(inputs), names=", ".join(names)) from error
    except ValueError:  # of a function of C nobody knows what it takes
        return


def _check_mixed(made: Assembly) -> None:
    """Mixup and cutmix give shares of the classes, which not every loss takes; the first step would find it out."""
    augment, kind = made.sources.augment, made.bundle.schema.target.kind
    if augment is None or not augment.mixing or kind != "class" or getattr(made.loss, "soft_targets", True):
        return
    template = "mixup and cutmix blend classes, which loss {name} cannot take; leave them out, or use cross-entropy"
    raise ConfigError(template, path="augment", name=made.config.named("loss")[0] or type(made.loss).__name__)


def _check_moved(made: Assembly, targets: Any) -> None:
    """Numbers on a grid, such as pictures to be made of pictures, would stay where they are when their inputs move."""
    augment = made.sources.augment
    if augment is None or made.bundle.schema.target.kind != "number" or targets.dim() < 3:
        return
    for one in (*augment.pictures, *(way for way in augment.mixing if way.needs_images)):
        if isinstance(one, Geometric | Mixing):
            template = "augment: {name} moves the inputs and not their targets; leave it out, or change both beforehand"
            raise ConfigError(template, path="augment", name=type(one).__name__)


def _check_batch(made: Assembly) -> None:
    """A task may need several examples in a batch, as one does that compares them."""
    least, got = made.session.task.least_batch, made.config.train.batch_size
    if got < least:
        template = "train.batch_size={got} leaves nothing to compare within a batch; use {least} or more"
        raise ConfigError(template, path="train.batch_size", got=got, least=least)


def _try_actions(made: Assembly) -> None:
    """A network that acts says something of every action, in the form that the task learns from."""
    nothing = torch.zeros(1, *made.bundle.schema.input_shape, device=made.session.engine.device)
    with torch.inference_mode():
        made.session.task.predict(made.model, nothing)


def _check_lone(made: Assembly, example: Tensor) -> None:
    """Batch norm has no variance over a single vector, and learning would end at the first step."""
    try:
        with torch.no_grad():
            copy.deepcopy(made.model).train()(example)
    except ValueError as error:
        template = "train.batch_size=1 is too small for batch norm; use 2 or more, or another norm"
        raise ConfigError(template, path="train.batch_size") from error


def _misfit(made: Assembly, error: Exception, findings: Sequence[Finding]) -> NetwrightError:
    """The best explanation there is: the doctor's of a wrong loss, ours, the catalog's, the doctor's, torch's."""
    found = next((finding for finding in findings if finding.severity == "error"), None)
    recipe, task = made.recipe["model"], made.config.named("task")[0]
    own = "python" in recipe or ":" in recipe.get("name", "")
    name = str(recipe.get("name") or recipe["python"]).rpartition(":")[2]
    reason = _short(f"{type(error).__name__}: {error}")
    if found is not None and found.fault == "wrong-loss":
        return _told("loss", made.config.named("loss")[0] or "", made, found)
    if isinstance(error, ConfigError):
        problems = [located(problem, made.config.values) for problem in error.problems]
        return ConfigError.of(replace(problem, path=problem.path or "model") for problem in problems)
    if isinstance(error, NetwrightError):
        return error
    if name in models.MODELS and name not in networks_for(task):
        template = "model {name} is for {tasks}, and the task is {task}; choose a model for that"
        return ConfigError(template, path="model", name=name, tasks=", ".join(models.card(name).tasks), task=task)
    if found is not None:
        return _told("model", name, made, found, f" ({reason})" if own and not isinstance(error, RuntimeError) else "")
    template = "model {name} cannot be trained on {data} ({reason}); check its sizes, the loss and the task"
    return ConfigError(template, path="model", name=name, data=made.bundle.name, reason=reason)


def _told(what: str, name: str, made: Assembly, found: Finding, more: str = "") -> ConfigError:
    template = "{what} {name} and {data} do not fit: {why} {remedy}{more}"
    why, remedy, data = _short(found.why), _short(found.remedy), made.bundle.name
    return ConfigError(template, path=what, what=what, name=name, data=data, why=why, remedy=remedy, more=more)


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]}…"


def _check_expected(made: Assembly) -> None:
    """Every figure that `expect` names will be measured: not to be found out after hours of training."""
    known = ["loss", *made.session.task.measure().compute()]
    problems = []
    for name in made.config.sections.expect:
        if name not in known:
            path, near = f"expect.{name}", suggest(name, known)
            problems.append(Problem(path, say("{path} is not measured by this task{near}", path=path, near=near)))
    if problems:
        raise ConfigError.of(problems)
