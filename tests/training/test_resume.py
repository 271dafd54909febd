"""A run that left in the middle of an epoch and was resumed ends with the same bits, for every kind of training."""

from pathlib import Path
from typing import Any

import pytest
import torch

from netwright.core.errors import DivergedError, Preempted
from netwright.experiment import assemble as assembly
from netwright.experiment.config import load_config
from netwright.experiment.model_folder import weights_hash
from netwright.tasks.base import StepOutput
from netwright.training import loop
from netwright.training.hooks.base import Hook
from netwright.training.session import Session

CONFIGS: dict[str, dict[str, Any]] = {
    "classification": {
        "data": "digits",
        "model": {"name": "mlp", "hidden": [16], "dropout": 0.3, "norm": "batch"},
        "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "schedule": "plateau", "average": "swa"},
        "augment": [{"noise": {"std": 0.1}}, "cutmix"],
        "train": {"epochs": 2, "batch_size": 64, "early_stop": {"patience": 3}, "accumulate": 3},
    },
    "convolution": {  # channels-last weights, whose optimizer state a checkpoint holds contiguous
        "data": "fashion-mnist-small",
        "model": {"name": "lenet5", "norm": "batch"},
        "optimizer": {"name": "adamw", "lr": 0.01, "average": "ema"},
        "augment": ["flip"],
        "train": {"epochs": 1, "batch_size": 32, "steps": 25, "accumulate": 2},
    },
    "regression": {
        "data": "diabetes",
        "model": {"name": "mlp", "hidden": [8], "dropout": 0.1},
        "optimizer": {"name": "lamb", "lr": 0.01, "schedule": "one-cycle"},
        "train": {"epochs": 3, "batch_size": 32},
    },
    "language": {
        "data": "glosses",
        "model": {"name": "gpt", "context": 16, "num_layers": 1, "num_heads": 2, "hidden_size": 16},
        "train": {"epochs": 1, "batch_size": 16, "steps": 25},
    },
    "two phases": {
        "task": {"name": "gan"},
        "data": "fashion-mnist-small",
        "model": {"name": "gan", "generator_hidden": [16], "discriminator_hidden": [16]},
        "optimizer": {"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999], "average": "ema"},
        "train": {"epochs": 1, "batch_size": 64, "steps": 25},
    },
    "acting": {
        "data": {
            "environment": "CartPole-v1", "learning_starts": 100, "collect": 32, "updates": 8, "steps_per_epoch": 16,
        },
        "model": {"name": "dqn", "hidden": [16]},
        "train": {"epochs": 2, "batch_size": 16},
    },
    "playing whole episodes": {
        "task": "policy-gradient",
        "data": {"environment": "CartPole-v1", "environments": 2, "rollouts_per_epoch": 12},
        "model": {"name": "actor_critic", "hidden": [8]},
        "train": {"epochs": 2},
    },
    "playing in passes": {
        "task": {"name": "actor-critic", "passes": 2},
        "data": {"environment": "Pendulum-v1", "environments": 2, "rollout_steps": 25, "rollouts_per_epoch": 3},
        "model": {"name": "actor_critic", "hidden": [8], "trunks": "shared"},
        "train": {"epochs": 2, "batch_size": 16},
    },
}  # fmt: skip


class Leave(Hook):
    """Asks the run to save and leave after a number of steps, as SIGTERM does."""

    name = "leave"
    stride = 1

    def __init__(self, step: int) -> None:
        self._step = step

    def step_end(self, run: Session, out: StepOutput) -> None:
        if run.progress.step == self._step:
            run.leave = lambda: Preempted("left")


def session(config: dict[str, Any], folder: Path) -> Session:
    folder.mkdir(parents=True, exist_ok=True)
    return assembly.assemble(load_config(config), folder, quiet=True).session


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("step", [1, 7, 16])
def test_a_resumed_run_ends_with_the_same_bits(kind: str, step: int, tmp_path: Path) -> None:
    whole = session(CONFIGS[kind], tmp_path / "whole")
    loop.train(whole)
    left = session(CONFIGS[kind], tmp_path / "left")
    left.hooks.append(Leave(step))
    left._steppers.append(left.hooks[-1])
    with pytest.raises(Preempted):
        loop.train(left)
    torch.rand(7)  # somebody else used the generator between
    resumed = session(CONFIGS[kind], tmp_path / "left")
    assert resumed.restore() and resumed.progress.step == step
    loop.train(resumed)
    assert resumed.progress.step == whole.progress.step
    assert weights_hash(resumed.model) == weights_hash(whole.model)
    assert resumed.last_metrics == whole.last_metrics
    assert str(whole.engine.state()) == str(resumed.engine.state())


def test_a_loss_that_is_not_a_number_never_reaches_the_weights(tmp_path: Path) -> None:
    run = session({**CONFIGS["classification"], "optimizer": {"name": "sgd", "lr": 0.1}}, tmp_path)
    step = run.task.training_step

    def poisoned(*args: Any) -> StepOutput:
        out = step(*args)
        return out._replace(loss=out.loss * float("nan")) if run.progress.step == 4 else out

    run.task.training_step = poisoned  # type: ignore[method-assign]
    before = {}

    class Watch(Hook):
        name, stride = "watch", 1

        def step_end(self, run: Session, out: StepOutput) -> None:
            before["hash"] = [p.detach().clone() for p in run.model.parameters()]

    run._steppers.append(Watch())
    with pytest.raises(DivergedError, match="loss is nan"):
        loop.train(run)
    assert all(torch.equal(a, b) for a, b in zip(before["hash"], run.model.parameters(), strict=True))
