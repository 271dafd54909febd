"""Programs of unusual shape: `check` works on them, or refuses them in one clear line; and it leaves no trace."""

import copy
import random
import time
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch
import torch.nn.functional as F
from healthy import Program, classifier, labels, mlp, numbers
from torch import Tensor, nn

from netwright.core.errors import ConfigError
from netwright.doctor.check import check


class TwoHeads(nn.Module):
    """Returns a dict, a tuple or a list."""

    def __init__(self, wrap: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.body, self.head, self.other = nn.Linear(20, 32), nn.Linear(32, 5), nn.Linear(32, 1)
        self.wrap = wrap

    def forward(self, x: Tensor) -> Any:
        hidden = F.relu(self.body(x))
        return self.wrap(self.head(hidden), self.other(hidden))


class Named(nn.Module):
    """Takes its inputs by name, as the networks of transformers do."""

    def __init__(self) -> None:
        super().__init__()
        self.number, self.table, self.head = nn.Linear(20, 16), nn.Embedding(9, 16), nn.Linear(16, 5)

    def forward(self, kinds: Tensor | None = None, values: Tensor | None = None, more: Tensor | None = None) -> Tensor:
        return self.head(F.relu(self.number(values) + self.table(kinds)))


class OneDict(Named):
    def forward(self, batch: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        return super().forward(**batch)


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = mlp(20, 32, 5)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.body(a + b)


def named() -> dict[str, Tensor]:
    return {"kinds": labels(64, 9), "values": numbers(64, 20)}


def several(wrap: Callable[[Tensor, Tensor], Any], first: Callable[[Any], Tensor]) -> Program:
    return classifier(TwoHeads(wrap), numbers(64, 20), loss=lambda out, y: F.cross_entropy(first(out), y))


def lazy() -> Program:
    net = nn.Sequential(nn.LazyLinear(32), nn.ReLU(), nn.LazyLinear(5))
    return {"net": net, "inputs": numbers(64, 20), "targets": labels(64, 5), "loss": nn.CrossEntropyLoss()}


def half() -> Program:
    return classifier(mlp().to(torch.bfloat16), numbers(64, 20).to(torch.bfloat16))


def without_targets() -> Program:
    return {"net": mlp(), "inputs": numbers(64, 20), "loss": lambda out: -out.mean()}


def nothing_to_learn() -> Program:
    return {"net": nn.Identity(), "inputs": numbers(64, 5), "targets": labels(64, 5), "loss": nn.CrossEntropyLoss()}


ODD: dict[str, Callable[[], Program]] = {
    "dict out": lambda: several(lambda a, b: {"scores": a, "value": b}, lambda out: out["scores"]),
    "tuple out": lambda: several(lambda a, b: (a, b), lambda out: out[0]),
    "list out": lambda: several(lambda a, b: [a, b], lambda out: out[0]),
    "inputs by name": lambda: classifier(Named(), numbers(64, 20), inputs=named()),
    "one dict": lambda: classifier(OneDict(), numbers(64, 20), inputs=named()),
    "list of inputs": lambda: classifier(TwoInputs(), numbers(64, 20), inputs=[numbers(64, 20), numbers(64, 20)]),
    "arrays": lambda: classifier(mlp(), numbers(64, 20), inputs=numbers(64, 20).double().numpy()),
    "lazy layers": lazy,
    "half precision": half,
    "a loss of the output alone": without_targets,
    "nothing to learn": nothing_to_learn,
    "one example": lambda: classifier(mlp(), numbers(1, 20)),
    "no loss": lambda: {"net": mlp(), "inputs": numbers(64, 20)},
    "a loss by name": lambda: classifier(mlp(), numbers(64, 20), loss="cross-entropy"),
    "dict targets": lambda: {
        "net": TwoHeads(lambda a, b: (a, b)),
        "inputs": numbers(64, 20),
        "targets": {"kind": labels(64, 5), "value": numbers(64, 1)},
        "loss": lambda out, t: F.cross_entropy(out[0], t["kind"]) + F.mse_loss(out[1], t["value"]),
    },
}


@pytest.mark.parametrize("name", ODD)
def test_odd_programs_are_checked(name: str) -> None:
    torch.manual_seed(0)
    assert not [str(f) for f in check(**ODD[name]()) if f.severity == "error" or f.fault == "internal"]


@pytest.mark.parametrize("wrap", [lambda a, b: {"scores": a, "value": b}, lambda a, b: (a, b)])
def test_faults_are_seen_through_dicts_and_tuples(wrap: Callable[[Tensor, Tensor], Any]) -> None:
    first = lambda out: out["scores"] if isinstance(out, dict) else out[0]  # noqa: E731
    program = several(lambda a, b: wrap(a.softmax(1), b), first)
    assert "double-softmax" in [f.fault for f in check(**program) if f.severity == "error"]


class Broken(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise KeyError("no such thing")


REFUSED: dict[str, tuple[Callable[[], Program], str]] = {
    "two inputs for one": (lambda: {"net": mlp(), "inputs": (numbers(4, 20), numbers(4, 20))}, "2 input"),
    "one input for two": (lambda: {"net": TwoInputs(), "inputs": numbers(4, 20)}, "1 input"),
    "a loss of three": (lambda: classifier(mlp(), numbers(64, 20), loss=lambda out, y, w: out.mean()), "refuses"),
    "no loss at all": (lambda: classifier(mlp(), numbers(64, 20), loss=3), "cannot be called"),
    "meta device": (lambda: {"net": mlp().to("meta"), "inputs": numbers(4, 20)}, "meta device"),
    "another error": (lambda: {"net": Broken(), "inputs": numbers(4, 20)}, "KeyError"),
    "no forward": (lambda: {"net": nn.Module(), "inputs": numbers(4, 20)}, "forward"),
    "a dict into a loss": (
        lambda: classifier(TwoHeads(lambda a, b: {"a": a, "b": b}), numbers(64, 20)), "the loss raised TypeError"
    ),
    "no pair": (lambda: classifier(mlp(), numbers(64, 20), validation=numbers(64, 20)), "no pair"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_called_is_one_clear_line(name: str) -> None:
    make, words = REFUSED[name]
    with pytest.raises(ConfigError) as error:
        check(**make())
    assert words in str(error.value) and "\n" not in str(error.value)


def _state(program: Program) -> list[Any]:
    net, optimizer = program["net"], program.get("optimizer")
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in net.modules()]
    return [
        copy.deepcopy(net.state_dict()),
        [None if p.grad is None else p.grad.clone() for p in net.parameters()],
        [m.training for m in net.modules()], hooks, str(optimizer.state_dict()) if optimizer else "",
        torch.get_rng_state().tolist(), random.getstate(), numpy.random.get_state()[1].tolist(),
        torch.is_grad_enabled(),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["dict out", "inputs by name", "half precision", "arrays", "no loss"])
def test_no_trace_is_left(name: str) -> None:
    program = ODD[name]()
    program["net"][0].eval() if isinstance(program["net"], nn.Sequential) else None
    before = _state(program)
    check(**program)
    after = _state(program)
    for old, new in zip(before[0].values(), after[0].values(), strict=True):
        assert torch.equal(old, new)
    assert str(before[1:]) == str(after[1:])


def test_ten_million_parameters_take_seconds() -> None:
    """Two seconds are the mark; twice that of this process's own time leaves room for a slow machine."""
    net = nn.Sequential(nn.Linear(20, 2200), nn.ReLU(), nn.Linear(2200, 2200), nn.ReLU(), nn.Linear(2200, 2200),
                        nn.ReLU(), nn.Linear(2200, 5))  # fmt: skip
    assert sum(p.numel() for p in net.parameters()) > 9_500_000
    program, before = classifier(net, numbers(64, 20)), time.process_time()
    check(**program)
    assert time.process_time() - before < 4
