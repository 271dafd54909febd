"""The finding, its table of faults, the table of rules, and what happens when a rule fails."""

import importlib
import re
from pathlib import Path

import pytest
import torch
from healthy import classifier, mlp, numbers
from torch import nn

from netwright.core.errors import ConfigError
from netwright.core.messages import set_language
from netwright.doctor import FAULTS, Finding, ranked
from netwright.doctor.check import check
from netwright.doctor.check.losses import view_loss
from netwright.doctor.check.rules import RULES


def test_findings_survive_json_and_rank_worst_first() -> None:
    a = Finding("NW112", "bias-before-norm", "note", "a", "e", "w", "r")
    b = Finding(
        "NW101", "shape-mismatch", "error", "b", "e", "w", "r", effect=0.5, proven=True, fix={"loss.name": "mse"}
    )
    c = Finding("NW122", "class-imbalance", "warning", "c", "e", "w", "r")
    assert [f.where for f in ranked([a, c, b])] == ["b", "c", "a"]
    assert Finding.from_dict(b.to_dict() | {"later": 1}) == b


def test_every_rule_has_a_file_a_code_and_a_fault_of_the_table() -> None:
    folder = Path(importlib.import_module("netwright.doctor.check.rules").__file__ or "").parent
    assert {path.stem for path in folder.glob("*.py")} - {"__init__"} == set(RULES.values())
    for code, name in RULES.items():
        module = importlib.import_module(f"netwright.doctor.check.rules.{name}")
        assert code == module.CODE and module.FAULT in FAULTS, name


def test_a_failing_rule_is_told_and_the_others_still_speak(monkeypatch: pytest.MonkeyPatch) -> None:
    from netwright.doctor.check.rules import bias_before_norm

    monkeypatch.setattr(bias_before_norm, "rule", lambda case: 1 / 0)
    findings = check(**classifier(nn.Sequential(mlp(), nn.Softmax(1)), numbers(32, 20)))
    assert [f.fault for f in findings if f.severity == "error"] == ["double-softmax"]
    ours = next(f for f in findings if f.code == "NW100")
    assert ours.severity == "note" and "ZeroDivisionError" in ours.evidence and "NW112" in ours.evidence


def test_a_network_that_cannot_be_copied_is_checked_and_one_that_cannot_run_refused() -> None:
    class Stubborn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.stream = nn.Linear(20, 5), (i for i in range(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.a(x)

    class Broken(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise KeyError("no such thing")

    assert not [f for f in check(**classifier(Stubborn(), numbers(64, 20))) if f.severity == "error"]
    with pytest.raises(ConfigError, match="KeyError"):
        check(Broken(), numbers(64, 20))


def test_losses_of_our_own_are_recognised_by_their_word() -> None:
    from netwright.losses.cross_entropy import CrossEntropy
    from netwright.losses.regression import MeanSquaredError

    assert view_loss(CrossEntropy()).expects == "logits" and view_loss(CrossEntropy()).target_kind == "class"
    assert view_loss(MeanSquaredError()).kind == "mse"
    program = classifier(nn.Sequential(mlp(), nn.Softmax(1)), numbers(32, 20), loss=CrossEntropy())
    assert [f.fault for f in check(**program) if f.severity == "error"] == ["double-softmax"]


@pytest.mark.parametrize(
    ("kind", "function"),
    [
        ("cross-entropy", lambda s, t: 3 * nn.functional.cross_entropy(s, t) + 1),
        ("cross-entropy", lambda s, t: nn.functional.cross_entropy(s, t, label_smoothing=0.1)),
        ("nll", lambda s, t: -s[torch.arange(len(s)), t].mean()),
        ("mse", lambda s, t: ((s - nn.functional.one_hot(t, 5)) ** 2).sum()),
        (None, lambda s, t: (s.sin() * 3).mean()),
    ],
)
def test_losses_are_recognised_by_what_they_do(kind: str | None, function: object) -> None:
    assert view_loss(function, numbers(16, 5), torch.arange(16) % 5).kind == kind  # type: ignore[arg-type]


def test_fixes_point_at_the_entries_of_a_hand_made_network() -> None:
    class Stack(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 5), nn.Softmax(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layers(x)

    config = {"model": {"layers": [{"linear": 32}, "relu", "linear", "softmax"]}}
    findings = check(**classifier(Stack(), numbers(32, 20), config=config))
    found = next(f for f in findings if f.fault == "double-softmax")
    assert found.fix == {"model.layers[3]": None} and found.where == "model.layers[3]"


def test_every_sentence_goes_through_the_table_of_messages() -> None:
    folder = Path(importlib.import_module("netwright.doctor.check.rules").__file__ or "").parent
    for path in folder.glob("*.py"):
        made = re.findall(r"(?:evidence|why|remedy) (?:\+)?= \(?f?\"", path.read_text("utf-8"))
        assert not made, path.name


def test_chinese_does_not_break_a_check() -> None:
    set_language("zh")
    try:
        assert check(**classifier(nn.Sequential(mlp(), nn.Softmax(1)), numbers(32, 20)))
    finally:
        set_language(None)
