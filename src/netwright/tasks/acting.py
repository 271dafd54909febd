"""What tasks share that learn to act: they are measured by the returns of whole episodes.

Letters: B batch, A actions, or numbers of one.
"""

from abc import ABC
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from netwright.core.errors import ConfigError
from netwright.core.messages import say
from netwright.data.batching import Batch, BatchSource
from netwright.data.environments import consult
from netwright.data.schema import Schema
from netwright.metrics.running import Returns
from netwright.tasks.base import StepOutput, Task

__all__ = ["Acting", "judged", "policy_outputs", "policy_words", "require_actions", "stated"]


class Acting(Task, ABC):
    """A task whose evaluation batches are episodes that were played, see `EpisodeSource`."""

    monitor = "return_mean"
    sense = "max"

    def evaluation_step(self, model: nn.Module, batch: Batch) -> StepOutput:
        """Episodes have been played already; the loss of playing is minus the return."""
        assert isinstance(batch.inputs, Tensor) and batch.targets is not None
        return StepOutput(-batch.targets.mean(), {}, batch.inputs)

    def measure(self) -> Returns:
        """Returns of whole episodes."""
        return Returns()

    def exhibits(self, model: nn.Module, source: BatchSource, folder: Path) -> list[dict[str, Any]]:
        """How the returns are spread over the episodes."""
        source.bind(model)
        returns = [value for batch in source.epoch(0) if batch.targets is not None for value in batch.targets.tolist()]
        return [{"kind": "histogram", "title": say("Returns of {count} episodes", count=len(returns)),
                 "values": returns, "label": say("return")}]  # fmt: skip


def require_actions(got: int, schema: Schema) -> None:
    """Refuse a network for another number of actions than the environment has.

    Raises:
        ConfigError: says that it need not be given.
    """
    wanted = len(schema.target.classes or schema.target.names)
    if got != wanted:
        template = "model.num_actions={got} is not the {wanted} of the environment; leave it out: that decides it"
        raise ConfigError(template, path="model.num_actions", got=got, wanted=wanted)


def stated(
    model: nn.Module, observation: Tensor, schema: Schema, valued: bool = False
) -> tuple[Distribution, Tensor | None]:
    """A network's distribution over the actions of an environment, and its value of the state where it gives one.

    Args:
        valued: the task needs the value.

    Raises:
        ConfigError: it gives something else, or a distribution over other actions.
    """
    policy, value_B = consult(model, observation)
    template = "the task needs a network that gives a distribution over {kind}, and this one gives {got}; {do}"
    numbers = schema.target.kind == "control"
    if not isinstance(policy, Distribution) or numbers != bool(policy.event_shape):
        kind = say("numbers") if numbers else say("a fixed set of actions")
        do = say("use model: {name}, and leave model.actions out", name="actor_critic")
        raise ConfigError(template, path="model", kind=kind, got=type(policy).__name__, do=do)
    if valued and value_B is None:
        template = "the task needs a network that gives the value of a state, too; use model: actor_critic"
        raise ConfigError(template, path="model")
    return policy, value_B


def policy_outputs(model: nn.Module, observation: Tensor, schema: Schema, valued: bool = False) -> Tensor:
    """The probabilities of the actions (or the numbers in their middle), and the state's value where there is one.

    Shapes: (B, O) -> (B, A) or (B, A + 1)

    Raises:
        ConfigError: see `stated` and `require_actions`.
    """
    policy, value_B = stated(model, observation, schema, valued)
    said: Any = policy
    outputs_BA: Tensor = said.mean if schema.target.kind == "control" else said.probs
    require_actions(outputs_BA.shape[1], schema)
    return outputs_BA if value_B is None else torch.cat([outputs_BA, value_B[:, None]], 1)


def policy_words(outputs: Tensor, schema: Schema) -> list[dict[str, Any]]:
    """What `policy_outputs` gave, in words: what to do, and what return to expect."""
    target, count = schema.target, len(schema.target.classes or schema.target.names)
    told = []
    for row in outputs.tolist():
        said, value = row[:count], row[count:]
        if target.kind == "control":
            bounds = zip(said, target.low, target.high, strict=True)
            answer: dict[str, Any] = {"action": [min(max(number, low), high) for number, low, high in bounds]}
        else:
            place = said.index(max(said))
            answer = {"action": target.classes[place], "probabilities": dict(zip(target.classes, said, strict=True))}
        told.append({**answer, "value": value[0]} if value else answer)
    return told


def judged(return_B: Tensor, value_B: Tensor) -> Tensor:
    """The share of the returns' variance that values explain: 1 for perfect ones, 0 for none. Shapes: () out."""
    return 1 - (return_B - value_B).var(correction=0) / return_B.var(correction=0).clamp_min(1e-8)
