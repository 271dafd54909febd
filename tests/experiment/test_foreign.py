"""Networks, losses and optimizers of anybody's: trained where they can be, refused in a sentence where not."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.core.errors import CheckpointError, ConfigError
from netwright.experiment.config import load_config
from netwright.experiment.fit import fit
from netwright.experiment.predictor import load
from netwright.experiment.run import train

X = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


def _net() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))


def _fit(module: nn.Module, out: Path, **how: Any) -> Any:
    return fit(module, (X, Y), out=out, **{"epochs": 1, "batch_size": 32, "quiet": True, **how})


class _Shared(nn.Module):
    """Buffers that share memory: with a weight, and with themselves."""

    def __init__(self) -> None:
        super().__init__()
        weight = torch.randn(4, 6)
        self.weight = nn.Parameter(weight)
        self.register_buffer("part", weight[:2])
        self.register_buffer("same", torch.zeros(1).expand(3))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight[:2])


class _Stateful(nn.Linear):
    def get_extra_state(self) -> dict[str, int]:
        return {"calls": 1}

    def set_extra_state(self, state: object) -> None:
        pass


class _Wide(nn.Linear):
    def __init__(self) -> None:
        super().__init__(6, 2)
        self.register_buffer("wide", torch.zeros(1, dtype=torch.complex128))


class _Locked(nn.Linear):
    def __init__(self) -> None:
        super().__init__(6, 2)
        self.lock = threading.Lock()


@pytest.mark.parametrize(
    "make",
    [lambda: nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.LazyLinear(2)), _Shared, lambda: torch.jit.script(_net())],
    ids=["lazy", "shared memory", "scripted"],
)
def test_odd_networks_are_trained_and_load_again(make: Callable[[], nn.Module], tmp_path: Path) -> None:
    module = make()
    _fit(module, tmp_path / "r")
    answers = load(tmp_path / "r", network=module)(X[:3])
    assert len(answers) == 3 and answers[0]["label"] in ("0", "1")


@pytest.mark.parametrize(
    ("make", "pattern"),
    [
        (lambda: _Stateful(6, 2), r"keeps _extra_state as a dict"),
        (_Wide, r"torch\.complex128, which no model file can hold"),
        (lambda: _net().to("meta"), r"meta device"),
        (lambda: nn.Sequential(nn.LazyConv2d(2, 3)), r"lazy layers of model Sequential cannot be made"),
    ],
    ids=["extra state", "complex128", "meta", "lazy misfit"],
)
def test_what_no_model_folder_holds_is_refused_before_training(
    make: Callable[[], nn.Module], pattern: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=pattern):
        _fit(make(), tmp_path / "r")
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("loss", "pattern"),
    [
        (lambda out, y: F.cross_entropy(out, y, reduction="none"), r"gives \[32\] numbers"),
        (lambda out, y: 1.0, r"gives float"),
        (lambda out, y: F.cross_entropy(out, y).detach(), r"a number without a gradient"),
    ],
    ids=["several", "no tensor", "no gradient"],
)
def test_a_loss_must_be_one_number_with_a_gradient(loss: Any, pattern: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=pattern):
        _fit(_net(), tmp_path / "r", loss=loss, doctor="off")


def test_an_optimizer_with_a_closure_is_refused(tmp_path: Path) -> None:
    net = _net()
    with pytest.raises(ConfigError, match="LBFGS"):
        _fit(net, tmp_path / "r", optimizer=torch.optim.LBFGS(net.parameters()))


def test_a_network_that_cannot_be_copied_is_not_repaired(tmp_path: Path) -> None:
    assert _fit(_Locked(), tmp_path / "r", doctor="repair").metrics["train"]


def test_what_a_resumed_run_is_told_counts(tmp_path: Path) -> None:
    config = {"data": "iris", "optimizer": {"name": "sgd", "lr": 0.1}, "train": {"epochs": 2}, "doctor": "off"}
    train(config, out=tmp_path / "r", quiet=True)
    train(resume=tmp_path / "r", overrides=["train.epochs=4", "optimizer.lr=0.02"], quiet=True)
    assert '"lr": 0.02' in (tmp_path / "r" / "metrics.jsonl").read_text()
    for change, pattern in (
        ("optimizer.name=adam", "optimizer is another one"),
        ("train.epochs=1", "raise train.epochs"),
    ):
        with pytest.raises(CheckpointError, match=pattern):
            train(resume=tmp_path / "r", overrides=["train.epochs=9", change], quiet=True)
    (tmp_path / "r" / "environment.json").write_text("[]")
    train(resume=tmp_path / "r", overrides=["train.epochs=5"], quiet=True)


def test_settings_may_be_given_by_their_path() -> None:
    config = load_config(
        {"data": "iris", "train": {"epochs": 3, "seed": 1}}, **{"train.epochs": 2, "model.name": "mlp"}
    )
    assert (config.train.epochs, config.train.seed, config.named("model")[0]) == (2, 1, "mlp")


@pytest.mark.parametrize(("name", "home"), [("epochs", "train"), ("lr", "optimizer"), ("target", "data")])
def test_a_setting_outside_its_section_is_sent_home(name: str, home: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name} is no section; it belongs into one: {home}\.{name}"):
        load_config({"data": "iris", name: 3})


def test_aliases_of_aliases_are_refused_in_time(tmp_path: Path) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    (tmp_path / "c.yaml").write_text("\n".join([*lines, "data: iris"]))
    with pytest.raises(ConfigError, match="repeats its aliases too often"):
        load_config(tmp_path / "c.yaml")


def test_two_runs_of_one_config_get_folders_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from netwright.core.records import RunLock

    monkeypatch.chdir(tmp_path)
    taken, held = list[Path](), list[RunLock]()
    exists = Path.exists

    def late(path: Path, **how: bool) -> bool:
        """The other run takes the folder after this one has found it free."""
        if path == Path("runs/run-1") and not taken:
            taken.append(path)
            held.append(RunLock(path))
            return False
        return exists(path, **how)

    monkeypatch.setattr(Path, "exists", late)
    run = train({"data": "iris", "train": {"epochs": 1}, "doctor": "off"}, quiet=True)
    assert run.folder == Path("runs/run-2")


class _Plain(nn.Module):
    """Reads tokens and knows of no mask."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.head = nn.Embedding(300, 4), nn.Linear(4, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.tokens(tokens).mean(1))  # type: ignore[no-any-return]


def test_a_network_of_texts_without_a_mask_is_told_what_to_take(tmp_path: Path) -> None:
    texts, labels = ["a cat", "the dog sees a cow"] * 20, ["cat", "dog"] * 20
    with pytest.raises(ConfigError) as told:
        fit(_Plain(), (texts, labels), out=tmp_path / "r", epochs=1, quiet=True)
    assert "forward of model _Plain cannot be called with the 2 tensors" in str(told.value)
    assert "write forward(self, tokens, mask=None), where a mask is True" in str(told.value)
    assert len(str(told.value).splitlines()) == 1 and not (tmp_path / "r").exists()
    tokens = torch.randint(300, (40, 6))
    assert fit(_Plain(), (tokens, torch.arange(40) % 2), out=tmp_path / "r", epochs=1, quiet=True).metrics["train"]
