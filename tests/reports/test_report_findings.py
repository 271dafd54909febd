"""Findings in the report: their title and page, their effect, and the experiment that showed them."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import report_runs
import torch
from report_runs import RunFolder, finding
from test_report import Page, page
from torch import nn

import netwright as nw
from netwright.core.messages import set_language
from netwright.doctor.findings import Probe
from netwright.reports.findings import probe_view


def probe(change: str = "lr/10", **changes: Any) -> dict[str, Any]:
    falling = [2.3 * 0.95**step for step in range(50)]
    return {"change": change, "words": "the learning rate divided by 10", "steps": 150, "unchanged": [2.5] * 50,
            "changed": falling, **changes}  # fmt: skip


def shown(tmp_path: Path, **changes: Any) -> Page:
    run = RunFolder(tmp_path / "run").summary()
    told = {"code": "NW205", "fault": "lr-too-high", "effect": 0.93, "proven": True, "probe": probe(), **changes}
    return page(run.lines("findings.jsonl", [finding("error", **told)]))


def test_a_finding_is_told_whole(tmp_path: Path) -> None:
    read = shown(tmp_path)
    for words in ("Learning rate too high", "lr-too-high", "NW205", "93 % less error with the remedy",
                  "see docs/doctor/lr-too-high.md", "proven by a probe",
                  "150 steps, unchanged and with the learning rate divided by 10"):  # fmt: skip
        assert words in read.text


def test_findings_lead_the_page(tmp_path: Path) -> None:
    html = page(report_runs.lenet(tmp_path / "run")).html
    assert html.index('id="verdict"') < html.index('id="findings"') < html.index('id="curves"')


def test_both_curves_stand_side_by_side_on_one_scale(tmp_path: Path) -> None:
    view = probe_view(probe())
    assert view is not None
    before, after = view["charts"]
    assert before.y_ticks == after.y_ticks and before.x_ticks == after.x_ticks
    assert [line.name for line in before.lines] == ["unchanged"] and after.lines[-1].name == "changed"
    assert after.hover["lines"][-1]["y"] == pytest.approx([2.3 * 0.95**step for step in range(50)], rel=1e-4)
    assert before.hover["lines"][0]["x"][:2] == [2, 5]  # means of three steps each
    assert shown(tmp_path).html.count('class="chart small') == 2


@pytest.mark.parametrize(("change", "first"), [("loss", 1.0), ("targets", 1.0), ("lr/10", 2.5)])
def test_a_change_of_the_loss_itself_is_drawn_relative(change: str, first: float) -> None:
    view = probe_view(probe(change))
    assert view is not None
    before, after = view["charts"]
    assert before.hover["lines"][0]["y"][0] == first
    assert ("relative" in before.y_label) is ("relative" in after.y_label) is (first == 1.0)


def test_a_run_that_ended_in_nan_says_where(tmp_path: Path) -> None:
    made = Probe.of("lr/10", "words", [2.0, 3.0, 9.0, *[float("nan")] * 297], [1.0] * 300)
    read = shown(tmp_path, probe={**probe(), "unchanged": made.unchanged, "changed": made.changed, "steps": 300})
    assert "ends at step" in read.text


@pytest.mark.parametrize("broken", [None, 3, [], {}, {"unchanged": [1.0]}, probe(unchanged=None), probe(changed=[None]),
                                    probe(changed="text", steps=[])])  # fmt: skip
def test_half_a_probe_is_passed_over(tmp_path: Path, broken: Any) -> None:
    assert "experiment" not in shown(tmp_path, probe=broken).text


@pytest.mark.parametrize("steps", [None, -3, float("inf"), "many"])
def test_a_probe_without_its_length_is_drawn(steps: Any) -> None:
    assert probe_view(probe(steps=steps)) is not None


def test_a_fault_that_is_not_ours_has_no_page(tmp_path: Path) -> None:
    read = shown(tmp_path, fault="my-own-fault", probe=None)
    assert "my-own-fault" in read.text and "docs/doctor/" not in read.text


def test_chinese_titles(tmp_path: Path) -> None:
    set_language("zh")
    try:
        assert "学习率太高" in shown(tmp_path).text
    finally:
        set_language(None)


def test_probe_of_two_curves_has_one_stride() -> None:
    made = Probe.of("lr/10", "words", [1.0] * 10 + [float("inf")] * 290, [1.0] * 300)
    assert (len(made.unchanged), len(made.changed), made.steps) == (2, 60, 300)


def test_a_real_diagnosis_in_the_report_of_a_real_run(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x[:600] / 16, dtype=torch.float32), torch.tensor(y[:600])
    run = nw.fit(_net(), (x, y), task="tabular-classification", optimizer={"name": "adam", "lr": 0.5}, epochs=1,
                 out=tmp_path / "run")  # fmt: skip
    net = _net()
    diagnosis = nw.diagnose(net, torch.optim.Adam(net.parameters(), 0.5), nn.CrossEntropyLoss(), (x, y),
                            epochs=8, budget_seconds=8)  # fmt: skip
    found = next(found for found in diagnosis.findings if found.fault == "lr-too-high" and found.probe)
    folder = RunFolder(Path(run.folder)).lines("findings.jsonl", [each.to_dict() for each in diagnosis.findings])
    read = page(folder)
    assert found.evidence in read.text and f"with {found.probe.words}" in read.text
    drawn = [attrs["d"] for tag, attrs in read.tags if tag == "path" and attrs.get("class") == "line v"]
    assert any(path.count("L") + 1 == len(found.probe.changed) for path in drawn)
    assert all(a is not b for a, b in itertools.pairwise(drawn))


def _net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 10))
