"""Every regulariser from a config: two epochs of a small network with it and without, and what it must have changed.

That a run ends says nothing: each is held to the effect it is for, on weights, outputs or figures.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from netwright.experiment.assemble import assemble
from netwright.experiment.config import load_config
from netwright.tasks.base import StepOutput
from netwright.training import loop
from netwright.training.hooks.base import Hook
from netwright.training.session import Session

BASE: dict[str, Any] = {
    "data": "digits",
    "model": {"name": "mlp", "hidden": [32]},
    "loss": {"name": "cross-entropy"},
    "optimizer": {"name": "adamw", "lr": 5e-3, "weight_decay": 0.0},
    "train": {"epochs": 2, "batch_size": 64, "threads": 1, "seed": 3},
}
RESIDUAL = [
    {"conv": 8, "padding": "same"}, "relu", {"residual": [{"conv": 8, "padding": "same"}, "relu"]}, "flatten",
    {"linear": 10},
]  # fmt: skip
DROP_PATH = [*RESIDUAL[:2], {"residual": [*RESIDUAL[2]["residual"], {"drop-path": 0.6}]}, *RESIDUAL[3:]]


class Trace(Hook):
    """All weights after every step, and the loss of every step."""

    name, stride = "trace", 1

    def __init__(self) -> None:
        self.weights: list[list[Tensor]] = []
        self.losses: list[float] = []

    def step_end(self, run: Session, out: StepOutput) -> None:
        self.weights.append([p.detach().clone() for p in run.model.parameters()])
        self.losses.append(out.loss.item())


class Trained(NamedTuple):
    """A finished run: its steps, weights before and after, a batch of its training data, its scores in both modes."""

    session: Session
    trace: Trace
    start: list[Tensor]
    weights: list[Tensor]
    evaluated: Tensor
    trained: Tensor
    targets: Tensor

    @property
    def sure(self) -> float:
        """Mean probability of the likeliest class."""
        return self.evaluated.softmax(1).amax(1).mean().item()

    @property
    def size(self) -> float:
        """The norm of the layers' weights, biases left out."""
        return sum(w.square().sum().item() for w in self.weights if w.dim() > 1) ** 0.5


def trained(folder: Path, **changes: Any) -> Trained:
    """Two epochs of the small network, with changes to whole sections of its config."""
    folder.mkdir()
    made = assemble(load_config({**BASE, **changes}), folder, quiet=True)
    session, trace = made.session, Trace()
    session.hooks.append(trace)
    session._steppers.append(trace)
    start = [p.detach().clone() for p in session.model.parameters()]
    loop.train(session)
    weights = [p.detach().clone() for p in session.model.parameters()]
    batch = next(iter(made.sources.measuring(made.bundle.train).epoch(0)))
    with torch.no_grad():
        evaluated, in_training = session.model.eval()(batch.inputs), session.model.train()(batch.inputs)
    return Trained(session, trace, start, weights, evaluated, in_training, batch.targets)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Trained]:
    """Runs without the regulariser, each made once."""
    made: dict[str, Trained] = {}

    def run(**changes: Any) -> Trained:
        if str(changes) not in made:
            made[str(changes)] = trained(tmp_path_factory.mktemp("plain") / "run", **changes)
        return made[str(changes)]

    return run


def adam(name: str = "adamw", **settings: Any) -> dict[str, Any]:
    return {"optimizer": {**BASE["optimizer"], "name": name, **settings}}


def noisy(bare: Trained, run: Trained) -> bool:
    """Chance in training only, and so a greater loss where it learns than where it is measured."""
    loss = torch.nn.functional.cross_entropy
    return bool(loss(run.trained, run.targets) > 1.05 * loss(run.evaluated, run.targets))


def less_sure(bare: Trained, run: Trained) -> bool:
    """It knows the classes, and says so with less certainty."""
    right = (run.evaluated.argmax(1) == run.targets).float().mean().item()
    return right > 0.8 and run.sure < bare.sure - 0.02


def smaller(bare: Trained, run: Trained) -> bool:
    return run.size < 0.97 * bare.size


def sparser(bare: Trained, run: Trained) -> bool:
    """More of the first layer's weights are as good as nothing, and not merely all weights smaller."""
    share = [(w.abs() < 0.05 * w.abs().max()).float().mean().item() for w in (bare.weights[0], run.weights[0])]
    return share[1] > share[0] + 0.05 and sum(w.abs().sum() for w in run.weights) < sum(
        w.abs().sum() for w in bare.weights
    )


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], Callable[[Trained, Trained], bool]]] = {
    "dropout": ({}, {"model": {"name": "mlp", "hidden": [32], "dropout": 0.5}}, noisy),
    "drop path": ({"model": {"layers": RESIDUAL}}, {"model": {"layers": DROP_PATH}}, noisy),
    "label smoothing": ({}, {"loss": {"name": "cross-entropy", "label_smoothing": 0.2}}, less_sure),
    "mixup": ({}, {"augment": [{"mixup": 1.0}]}, less_sure),
    "cutmix": ({}, {"augment": ["cutmix"]}, less_sure),
    "l1": ({}, adam(l1=2e-3), sparser),
    "l2": (adam("adam"), adam("adam", weight_decay=0.05), smaller),
    "decoupled decay": ({}, adam("adamw", weight_decay=1.0), smaller),
}


@pytest.mark.parametrize("name", CASES)
def test_a_regulariser_has_its_effect(name: str, plain: Callable[..., Trained], tmp_path: Path) -> None:
    without, with_it, effect = CASES[name]
    bare, run = plain(**without), trained(tmp_path / "run", **with_it)
    assert len(bare.trace.losses) == len(run.trace.losses) == 2 * run.session.train_source.steps_per_epoch
    assert effect(bare, run)
    assert not effect(bare, bare), "the test can fail"


def test_the_two_decays_are_two_things(tmp_path: Path) -> None:
    """Decoupled decay takes lr * decay * weight whatever the gradient; Adam scales L2's pull away with the gradient's
    own size (Loshchilov & Hutter, 2019).
    """
    short = {"train": {**BASE["train"], "steps": 1}}
    free = trained(tmp_path / "free", **short, **adam("adam"))
    pulled = {}
    for name in ("adam", "adamw"):
        run = trained(tmp_path / name, **short, **adam(name, weight_decay=0.5))
        pulled[name] = free.weights[0] - run.weights[0]
    assert torch.allclose(pulled["adamw"], 5e-3 * 0.5 * free.start[0], atol=1e-7)
    assert not torch.allclose(pulled["adam"], 5e-3 * 0.5 * free.start[0], atol=1e-4)
    assert pulled["adam"].median().abs() < 1e-6 < pulled["adamw"].abs().median()


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_decay_spares_norms_and_biases(norm: str, plain: Callable[..., Trained], tmp_path: Path) -> None:
    """After one step from the same start, only weights of layers differ by what decay took: lr * decay * weight."""
    model, short = {"name": "mlp", "hidden": [32], "norm": norm}, {"train": {**BASE["train"], "steps": 1}}
    bare = trained(tmp_path / "bare", model=model, **short)
    run = trained(tmp_path / "run", model=model, **short, **adam("adamw", weight_decay=1.0))
    for before, after in zip(bare.weights, run.weights, strict=True):
        assert torch.equal(before, after) == (before.dim() == 1)


def test_ema_is_the_running_average_and_is_what_is_measured(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", **adam(average={"name": "ema", "decay": 0.9}))
    mean = [w.clone() for w in run.trace.weights[0]]
    for seen, weights in enumerate(run.trace.weights[1:], start=1):
        decay = min(0.9, (1 + seen) / (10 + seen))
        mean = [decay * a + (1 - decay) * w for a, w in zip(mean, weights, strict=True)]
    _measured_with(run, mean)


def test_swa_is_the_mean_of_the_last_quarter_and_is_what_is_measured(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", **adam(average={"name": "swa", "start": 0.75}))
    steps = len(run.trace.weights)
    late = run.trace.weights[int(0.75 * steps) :]
    assert 0 < len(late) < 0.3 * steps
    _measured_with(run, [torch.stack(several).mean(0) for several in zip(*late, strict=True)])


def _measured_with(run: Trained, mean: list[Tensor]) -> None:
    """The run's last figures are those of a network with these weights, and not of the network that was trained."""
    session = run.session
    averaged = session.engine.averaging
    assert averaged is not None and session.validation_source is not None
    names = [name for name, _ in session.model.named_parameters()]
    for name, value in zip(names, mean, strict=True):
        assert torch.allclose(averaged.tensors()[name], value, atol=1e-6), name
    session.engine.averaging = None
    raw = session.measure(session.validation_source)["loss"]
    with torch.no_grad():
        for parameter, value in zip(session.model.parameters(), mean, strict=True):
            parameter.copy_(value)
    assert session.measure(session.validation_source)["loss"] == pytest.approx(session.last_metrics["loss"], rel=1e-4)
    assert abs(raw - session.last_metrics["loss"]) > 1e-3
