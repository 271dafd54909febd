"""The benchmark's programs: each builds and takes a step; faulty ones are worse than their twins."""

import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

HERE = Path(__file__).resolve().parents[2] / "benchmarks" / "doctor"
sys.path.insert(0, str(HERE))

from cases import FAULTY, HEALTHY, HELD_OUT, STYLE, seen_before_a_step  # noqa: E402
from figures import figure  # noqa: E402
from mending import changed, reached  # noqa: E402
from page import page  # noqa: E402
from programs import BY_HAND, build  # noqa: E402

from netwright.doctor import FAULTS  # noqa: E402
from netwright.doctor.probe.fork import plain_step  # noqa: E402

CRASHES = {"shape-mismatch", "head-size-mismatch", "missing-output-activation", "output-range", "invalid-values"}
EVERY = [*FAULTY, *STYLE, *((family, "", dials, dials) for family, dials in HEALTHY)]


def _name(value: Any) -> str:
    return value if isinstance(value, str) else "-".join(f"{key}={one}" for key, one in value.items())


def _stepped(family: str, dials: dict[str, Any]) -> float:
    built = build(family, **dials)
    batch = next(iter(built.train))
    inputs = batch[0] if len(batch) == 2 else tuple(batch[:-1])
    step = built.step or plain_step(built.loss)
    return float(step(built.net, built.opt, (inputs, batch[-1])).detach())


@pytest.mark.parametrize(("family", "fault", "dials", "twin"), EVERY, ids=_name)
def test_takes_a_step(family: str, fault: str, dials: dict[str, Any], twin: dict[str, Any]) -> None:
    assert math.isfinite(_stepped(family, twin))
    if fault in CRASHES:
        try:
            _stepped(family, dials)
        except (RuntimeError, ValueError, IndexError):
            return
    elif dials != twin:
        _stepped(family, dials)


def test_every_row_of_the_vocabulary_that_is_static_is_there() -> None:
    """Once at least, and in two families where it is more than one program's own."""
    families: dict[str, set[str]] = {}
    for family, fault, dials, _ in (*FAULTY, *STYLE):
        assert fault in FAULTS
        if seen_before_a_step(fault, dials):
            families.setdefault(fault, set()).add(family)
    wanted = {fault for fault, stage in FAULTS.items() if stage == "static"}
    assert wanted - set(families) == set()
    single = {fault for fault, where in families.items() if len(where) < 2}
    assert single <= {"dense-parameter-explosion"}


def test_enough_of_each_and_whole_families_held_out() -> None:
    faulty, healthy = {row[0] for row in FAULTY}, {row[0] for row in HEALTHY}
    assert len(FAULTY) >= 80
    assert len(HEALTHY) >= 60
    assert set(BY_HAND) - {row[0] for row in STYLE} <= HELD_OUT
    assert len(HELD_OUT & faulty) >= 10
    assert len((faulty | healthy) - HELD_OUT) >= 6


def test_no_two_cases_are_the_same() -> None:
    seen = [(family, _name(dials)) for family, _, dials, _ in FAULTY]
    assert len(seen) == len(set(seen))


def test_figures() -> None:
    scores, labels = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]]), torch.tensor([0, 1, 1])
    assert figure("class", scores, labels) == pytest.approx(2 / 3)
    assert figure("balanced", scores, labels) == pytest.approx(0.75)
    assert figure("number", torch.tensor([[1.0], [3.0]]), torch.tensor([1.0, 3.0])) == pytest.approx(1.0)
    assert figure("marks", torch.tensor([[0.1], [0.4], [0.9]]), torch.tensor([[0.0], [1.0], [1.0]])) == 1.0
    assert figure("class", scores * math.nan, labels) == 0.0


def test_a_proved_change_repairs_a_program() -> None:
    got = changed(build("mlp", lr=0.5), "lr/100")
    assert got is not None
    assert reached(0.1, 0.95, got)


def test_page_names_both_halves_and_every_alarm() -> None:
    common: dict[str, Any] = {"style": False, "problem": "", "static": None, "seconds": 1.0, "proved": False}
    rows = [
        common | {"family": "mlp", "fault": "lr-too-low", "dials": {"lr": 1e-6}, "detected": True, "first": True,
                  "three": True, "error": True, "said": [("lr-too-low", "error", True, "")]},
        common | {"family": "lenet", "fault": "lr-too-low", "dials": {}, "detected": False, "first": False,
                  "three": False, "error": False, "said": []},
        common | {"family": "gan", "fault": "", "dials": {}, "detected": True, "first": False, "three": False,
                  "error": True, "said": [("lr-too-high", "error", True, "")]},
    ]  # fmt: skip
    told = page(rows, HELD_OUT, "a machine", 20.0, 60.0, [])
    assert "| tuned on | 1 | 1.00 | 1.00 |" in told
    assert "| held out | 1 | 0.00 | 0.00 |" in told
    assert "- gan as it is: lr-too-high (error)" in told


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "fault", "dials", "twin"), [r for r in FAULTY if r[0] in {"mlp", "judge", "ear", "curve"}], ids=_name
)
def test_faulty_is_worse(family: str, fault: str, dials: dict[str, Any], twin: dict[str, Any]) -> None:
    from one_case import verified

    assert verified(family, dials, twin)[0]
