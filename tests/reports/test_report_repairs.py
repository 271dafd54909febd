"""Repairs in the report: attempts with their diffs and figures, and which run was kept."""

import json
from pathlib import Path
from typing import Any

import pytest
import report_runs
from report_runs import RunFolder
from test_report import page

from netwright.core.messages import set_language
from netwright.reports.folder import read_run
from netwright.reports.repairs import repairs

DIFF = """\
--- config.yaml
+++ config.yaml
@@ -5,3 +5,3 @@
 optimizer:
   name: adamw
-  lr: 2.0
+  lr: 0.02
"""


def attempt(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {"number": number, "fault": "lr-too-high", "change": "lr/100", "diff": DIFF, "from_step": 0,
            "before": {"accuracy": 0.1, "loss": 2.31}, "after": {"accuracy": 0.874, "loss": 2.4}, "held": True,
            "seconds": 41.2, "note": "", "folder": f"runs/x/repairs/{number}", **changes}  # fmt: skip


def repaired(tmp_path: Path, kept: Any = 2, *attempts: dict[str, Any]) -> RunFolder:
    tried = attempts or (attempt(1, held=False, after={"accuracy": 0.09, "loss": 2.5}), attempt(2, from_step=1200))
    return report_runs.lenet(tmp_path / "run").json("repairs.json", {"attempts": list(tried), "kept": kept})


def test_attempts_are_told(tmp_path: Path) -> None:
    read = page(repaired(tmp_path))
    assert "repairs" in read.sections and "#repairs" in read.attributes("href")
    for words in ("attempt 1", "attempt 2", "not better", "Attempt 2 was kept: runs/x/repairs/2.", "from the start",
                  "from step 1,200", "41.2 s", "Learning rate too high", "10 %", "87.4 %"):  # fmt: skip
        assert words in read.text


def test_the_diff_is_coloured_line_by_line(tmp_path: Path) -> None:
    run = repaired(tmp_path)
    (view, _) = repairs(read_run(run.path))["attempts"]
    assert [style for style, _ in view["diff"]] == ["file", "file", "hunk", "", "", "del", "add"]
    html = page(run).html
    assert '<span class="add">+  lr: 0.02</span>' in html and '<span class="del">-  lr: 2.0</span>' in html


def test_better_and_worse_follow_the_metric(tmp_path: Path) -> None:
    view = repairs(read_run(repaired(tmp_path, 1, attempt()).path))["attempts"][0]
    assert {row["name"]: row["better"] for row in view["figures"]} == {"accuracy": True, "loss": False}


def test_figures_by_split(tmp_path: Path) -> None:
    told = attempt(before={"validation": {"rmse": 60.0}}, after={"validation": {"rmse": 52.5}})
    view = repairs(read_run(repaired(tmp_path, 1, told).path))["attempts"][0]
    (row,) = view["figures"]
    assert (row["name"], row["after"], row["better"]) == ("RMSE (validation)", "52.5", True)


def test_the_original_may_be_kept(tmp_path: Path) -> None:
    read = page(repaired(tmp_path, "original", attempt(held=False)))
    assert "No attempt was better" in read.text and "was kept: " not in read.text


def test_a_repair_under_way_and_one_that_found_nothing(tmp_path: Path) -> None:
    run = report_runs.lenet(tmp_path / "run").json(
        "repairs.json", {"attempts": [attempt()], "kept": "original", "plan": {}}
    )
    assert "The repair is not finished." in page(run).text
    told = {"attempts": [], "kept": "original", "verdict": "nothing to be repaired"}
    assert "nothing to be repaired" in page(run.json("repairs.json", told)).text


def test_a_run_without_repairs_has_no_section(tmp_path: Path) -> None:
    assert "repairs" not in page(report_runs.lenet(tmp_path / "run")).sections


@pytest.mark.parametrize("odd", [None, [], {}, "text", 3, float("nan"), float("inf"), True, [[1], None], {"a": None}])
def test_wrong_types_in_repairs(tmp_path: Path, odd: Any) -> None:
    run = report_runs.lenet(tmp_path / "run")
    assert page(run.json("repairs.json", odd)).text
    assert page(run.json("repairs.json", {"attempts": odd, "kept": odd})).text
    strange = dict.fromkeys(attempt(), odd)
    read = page(run.json("repairs.json", {"attempts": [strange, odd], "kept": odd}))
    assert "attempt 1" in read.text or odd == 3


def test_a_diff_cannot_become_markup(tmp_path: Path) -> None:
    read = page(repaired(tmp_path, 1, attempt(diff="+ <img src=x onerror=alert(1)>", folder="</script>")))
    assert not [attrs for _, attrs in read.tags if "onerror" in attrs]


def test_repairs_in_chinese(tmp_path: Path) -> None:
    set_language("zh")
    try:
        assert "修复" in page(repaired(tmp_path)).text
    finally:
        set_language(None)


@pytest.mark.parametrize(("from_step", "steps"), [(0, [30, 40]), (20, [10, 20, 30, 40])])
def test_curves_are_those_of_the_run_that_was_kept(tmp_path: Path, from_step: int, steps: list[int]) -> None:
    """Beside the figures of a repaired run nobody looks for the curves of the one that failed."""
    run = repaired(tmp_path, 1, attempt(1, from_step=from_step))
    for folder, own in ((run.path, (10, 20, 30)), (run.path / "repairs" / "1", (30, 40))):
        folder.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps({"kind": "train", "step": step, "loss": float(len(own))}) for step in own]
        (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    record = read_run(run.path)
    assert [line["step"] for line in record.train] == steps and record.train[-1]["loss"] == 2.0
