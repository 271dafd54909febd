"""Learning from a teacher: the student follows the labels and, softened by a temperature, what the teacher says.

Hinton, Vinyals & Dean, "Distilling the knowledge in a neural network", 2015: with teacher scores v, student scores z
and temperature T, the loss is `alpha * T² * KL(softmax(v / T) || softmax(z / T)) + (1 - alpha) * the usual loss`.
Letters: B batch, K classes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from netwright.core.errors import CheckpointError
from netwright.core.messages import say
from netwright.data.batching import Batch, BatchSource, forward
from netwright.losses.kl import KLDivergence
from netwright.tasks.base import Measure, Phase, StepOutput, Task
from netwright.tasks.looking import looking

__all__ = ["Distillation", "Teacher"]


@dataclass(frozen=True)
class Teacher:
    """A trained network that is asked and never changed.

    `name` is what the report calls it; `adapt` turns the student's inputs into the teacher's own; `order` puts its
    classes into the student's order (None: they are); `hash` tells its weights from others.
    """

    network: nn.Module
    name: str
    hash: str
    adapt: Callable[[Tensor], Tensor] | None = None
    order: Tensor | None = None

    @torch.no_grad()
    def scores(self, inputs: Tensor | tuple[Tensor, ...]) -> Tensor:
        """What it says of the student's inputs, in the student's order of the classes. Shapes: (B, …) -> (B, K)."""
        adapted = self.adapt(inputs) if self.adapt is not None and isinstance(inputs, Tensor) else inputs
        said_BK: Tensor = forward(self.network, adapted).float()
        return said_BK if self.order is None else said_BK.index_select(1, self.order)


@final
class Distillation(Task):
    """Another task of classes, with a teacher beside the labels; measured and shown as that task is.

    The teacher sees the very batch that the student sees, augmented and mixed. It belongs to no checkpoint and no model
    folder; a resume makes sure that it is still the same.

    Args:
        student: the task that knows the labels; gives a step's scores as `predictions`.
        temperature: T.
        alpha: the share of the teacher.

    Shapes: both networks give (B, K).
    """

    def __init__(self, student: Task, teacher: Teacher, temperature: float = 4.0, alpha: float = 0.7) -> None:
        self._student, self._teacher, self._alpha = student, teacher, alpha
        self._soft = KLDivergence(targets="logits", temperature=temperature)
        self.phases, self.monitor, self.sense = student.phases, student.monitor, student.sense

    def training_step(self, model: nn.Module, batch: Batch, phase: Phase) -> StepOutput:
        """The loss of one batch; its two parts are logged as `hard_loss` and `soft_loss`."""
        out = self._student.training_step(model, batch, phase)
        soft = self._soft(out.predictions, self._teacher.scores(batch.inputs))
        loss = self._alpha * soft + (1 - self._alpha) * out.loss
        logs = {**out.logs, "hard_loss": out.loss.detach(), "soft_loss": soft.detach()}
        return StepOutput(loss, logs, out.predictions)

    def evaluation_step(self, model: nn.Module, batch: Batch) -> StepOutput:
        """The student's loss by the labels alone, and its scores."""
        return self._student.evaluation_step(model, batch)

    def measure(self) -> Measure:
        """The student's metrics."""
        return self._student.measure()

    def after_update(self, model: nn.Module, updates: int) -> None:
        """What the student's task does."""
        self._student.after_update(model, updates)

    def state(self) -> dict[str, Any]:
        """Which teacher it was, beside what the student's task keeps."""
        return {"teacher": self._teacher.hash, "student": self._student.state()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Undo of `state`.

        Raises:
            CheckpointError: the teacher's weights are not those that the run began with.
        """
        if state["teacher"] != self._teacher.hash:
            template = "teacher {name} is not the one that the run began with; put its model back or start again"
            raise CheckpointError(template, name=self._teacher.name)
        self._student.load_state(state["student"])

    def exhibits(self, model: nn.Module, source: BatchSource, folder: Path) -> list[dict[str, Any]]:
        """Teacher and student on the same examples, then what the student's task shows."""
        table = self._compared(model, source)
        return [*([table] if table else []), *self._student.exhibits(model, source, folder)]

    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """As the student's task says them."""
        return self._student.answers(outputs)

    def _compared(self, model: nn.Module, source: BatchSource) -> dict[str, Any] | None:
        """Accuracy of both, and how often they say the same."""
        right, same, count = torch.zeros(2, dtype=torch.int64), 0, 0
        with looking(model):
            for batch in source.epoch(0):
                assert batch.targets is not None
                truth_B = batch.targets.argmax(1) if batch.targets.dim() == 2 else batch.targets
                both = self._teacher.scores(batch.inputs), forward(model, batch.inputs)
                said = [scores.argmax(1) for scores in both]
                right += torch.stack([(one == truth_B).sum() for one in said]).cpu()
                same, count = same + int((said[0] == said[1]).sum()), count + len(truth_B)
        if not count:
            return None
        networks = ((say("teacher {name}", name=self._teacher.name), self._teacher.network), (say("student"), model))
        rows = [
            [label, sum(p.numel() for p in network.parameters()), round(int(hits) / count, 4), round(same / count, 4)]
            for (label, network), hits in zip(networks, right, strict=True)
        ]
        columns = [say("network"), say("parameters"), say("accuracy"), say("share on which both agree")]
        return {"kind": "table", "title": say("Teacher and student"), "columns": columns, "rows": rows}
