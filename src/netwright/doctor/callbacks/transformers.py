"""A callback for Hugging Face's Trainer.

    doctor = TransformersDoctor()
    trainer = Trainer(..., callbacks=[doctor])
    trainer.train()
    print(doctor.findings)

The Trainer shows its callbacks no loss; it is taken from the model's own output. Where the Trainer computes it
elsewhere (label smoothing, `compute_loss_func`, a subclass), say `TransformersDoctor().attach(trainer)` instead.
"""

import functools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from netwright.core.errors import need
from netwright.core.messages import say
from netwright.doctor.callbacks.attending import Attending
from netwright.doctor.callbacks.own_loss import Answers, known_loss, named, unpatched
from netwright.doctor.callbacks.rerun import Rerun
from netwright.doctor.findings import Finding
from netwright.metrics import torchvision_guard  # noqa: F401 - transformers imports torchvision with its models
from netwright.metrics.architecture import private_copy

need("transformers", "transformers")

# isort: split
from transformers import TrainerCallback  # noqa: E402

__all__ = ["TransformersDoctor"]

_log = logging.getLogger("netwright")
_BLIND = 20  # steps without a loss, after which that is said


class TransformersDoctor(TrainerCallback):
    """Watches `Trainer.train`; `findings` may be read at any time. See `netwright.watch`.

    As a context manager it takes its hooks off whatever happens within. Alone, it does so at the end of training; when
    the model's forward pass raises, it stops watching.

    Args:
        every: the watch's hooks are on for one step in so many.
        path: a findings.jsonl to be written.
        diagnose: seconds for `netwright.diagnose` on the first batches, at the end or as soon as the loss is not a
            number; 0 for none. It costs a copy of the model and the optimizer at the start.
    """

    def __init__(self, every: int = 10, path: str | Path | None = None, diagnose: float = 0.0) -> None:
        self._attending = Attending(every, path, diagnose)
        self._diagnoses = diagnose > 0
        self._handles: list[RemovableHandle] = []
        self._attached = False
        self._labels: Tensor | None = None

    @property
    def findings(self) -> list[Finding]:
        """What is known so far, worst first."""
        return self._attending.findings

    def attach(self, trainer: Any) -> Self:
        """Join a Trainer, reading the loss that its `training_step` returns; exact for every way of computing it."""
        self._attached = True
        if self not in trainer.callback_handler.callbacks:
            trainer.add_callback(self)
        trainer.train = _guarded(trainer.train, self.close)
        inner = trainer.training_step

        @functools.wraps(inner)
        def training_step(model: nn.Module, inputs: Any, *rest: Any, **named: Any) -> Tensor:
            if self._attending.running:
                self._see_inputs(inputs)
            loss: Tensor = inner(model, inputs, *rest, **named)
            self._hear(loss, total=True)
            return loss

        trainer.training_step = training_step
        return self

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Attach to the model and the optimizer inside accelerate's wrapper."""
        self.close()
        self._model, optimizer = given["model"], given["optimizer"]
        self._optimizer: Optimizer = getattr(optimizer, "optimizer", optimizer)
        self._clip, self._first, self._total, self._silent = float(args.max_grad_norm or 0.0), True, False, 0
        self._rerun = None
        if self._diagnoses and state.is_world_process_zero:
            self._rerun = Rerun(Answers(self._model), self._optimizer)
        self._attending.begin(
            self._model, [self._optimizer], self._rerun, _logs_to(state), state.is_world_process_zero
        )  # fmt: skip
        if not self._attached:
            self._handles = [
                self._model.register_forward_pre_hook(self._before, with_kwargs=True),
                self._model.register_forward_hook(self._after, with_kwargs=True, always_call=True),
            ]

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """The optimizer has stepped; gradients are still there and the schedule has not moved on."""
        seen = self._attending.steps
        self._attending.done(self._labels, total=self._total)
        self._silent += self._attending.steps == seen
        if self._silent == _BLIND and seen == 0:
            template = "No loss was seen in the model's output; call TransformersDoctor().attach(trainer) instead"
            _log.warning(say(template))

    def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """The last look."""
        self._attending.end()
        self.close()

    def close(self) -> None:
        """Take every hook off."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._attending.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._attending.end(broken=True)
        self.close()

    def _before(self, model: nn.Module, args: tuple[Any, ...], given: dict[str, Any]) -> None:
        if torch.is_grad_enabled() and model.training:
            self._see_inputs(given)

    def _after(self, model: nn.Module, args: tuple[Any, ...], given: dict[str, Any], output: Any) -> None:
        if output is None:  # the forward pass has raised
            self._attending.end(broken=True)  # this hook itself cannot be taken off from within
        elif torch.is_grad_enabled() and model.training:
            loss = named(output, "loss")
            if isinstance(loss, Tensor):
                self._hear(loss, total=given.get("num_items_in_batch") is not None)

    def _hear(self, loss: Tensor, total: bool) -> None:
        self._total = total
        self._attending.passed(loss)

    def _see_inputs(self, inputs: Any) -> None:
        """The labels of this batch; of the first one, what the loss is."""
        given = {key: value for key, value in dict(inputs).items() if key not in ("labels", "num_items_in_batch")}
        labels = dict(inputs).get("labels")
        self._labels = labels if isinstance(labels, Tensor) else None
        if self._labels is None:
            return
        if self._first:
            self._first = False
            loss = known_loss(self._model, given, self._labels)
            if loss is not None:
                self._attending.examine(_answers(self._model), given, self._labels, loss)
            if self._rerun is not None:
                self._rerun.loss, self._rerun.step = loss, _step(loss, self._clip) if loss is not None else None
        if self._attending.wants_batches:
            self._attending.keep((given, self._labels))


def _answers(model: nn.Module) -> Answers:
    """The model itself, or a copy where accelerate has replaced its `forward` by one that no copy could run alone."""
    patched = any("_original_forward" in vars(module) for module in model.modules())
    return Answers(unpatched(private_copy(model)) if patched else model)


def _step(loss: Callable[..., Tensor], clip: float) -> Callable[..., Tensor]:
    """An optimization step of a copy, clipped as the Trainer does."""

    def step(net: nn.Module, optimizer: Optimizer, batch: Any) -> Tensor:
        optimizer.zero_grad()
        value = loss(net(batch[0]), batch[1])
        value.backward()  # type: ignore[no-untyped-call]
        if clip > 0:
            torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
        optimizer.step()
        return value

    return step


def _guarded(train: Callable[..., Any], close: Callable[[], None]) -> Callable[..., Any]:
    """`train`, with every hook off behind it."""

    @functools.wraps(train)
    def guarded(*given: Any, **named: Any) -> Any:
        try:
            return train(*given, **named)
        finally:
            close()

    return guarded


def _logs_to(state: Any) -> Callable[[Finding], None]:
    """The Trainer's own history, which its checkpoints hold too."""

    def tell(finding: Finding) -> None:
        state.log_history.append({f"doctor/{finding.fault}": str(finding), "step": state.global_step})

    return tell
