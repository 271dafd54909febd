"""What a search tells: its best trial, whether that holds, and the page of it."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from netwright.core.errors import CheckpointError
from netwright.experiment.tuning.outcome import verdict
from netwright.reports import write_report
from netwright.tuning.results import Again, Sense, Trial, Tuning, best_of

TRIALS = [
    Trial(0, "finished", 0.80),
    Trial(1, "pruned", 0.99, {"optimizer.lr": 0.1, "optimizer.name": "sgd"}),
    Trial(2, "finished", 0.90, {"optimizer.lr": 0.01, "optimizer.name": "<b>adam</b>"}),
    Trial(3, "failed", None, {"optimizer.lr": 1e9, "optimizer.name": "sgd"}, reason="it blew up"),
    Trial(4, "cut", 0.85, {"optimizer.lr": 0.02, "optimizer.name": "sgd"}),
]


def tuning(folder: Path = Path("x"), sense: Sense = "max", again: Again | None = None) -> Tuning:
    space = {"optimizer.lr": [0.001, 0.1, "log"], "optimizer.name": ["sgd", "<b>adam</b>"]}
    best = best_of(TRIALS, sense)
    made = Tuning(folder, None, "accuracy", sense, TRIALS, best, TRIALS[0], space, "best", again, {"optimizer.lr": 0.7})
    made.verdict = verdict(made)
    return made


def test_only_trials_that_came_to_their_end_or_to_the_deadline_may_win() -> None:
    best = best_of(TRIALS, "max")
    assert best is not None and best.number == 2
    lowest = best_of(TRIALS, "min")
    assert lowest is not None and lowest.number == 0
    assert best_of([TRIALS[1], TRIALS[3]], "max") is None
    tied = best_of([TRIALS[2], replace(TRIALS[2], number=9)], "max")
    assert tied is not None and tied.number == 2


def test_a_gain_holds_beyond_chance_only() -> None:
    assert Again([1, 2], [0.80, 0.81], [0.90, 0.92], "max").holds
    assert not Again([1, 2], [0.80, 0.80], [0.90, 0.72], "max").holds  # better on average, and by chance
    assert not Again([1], [0.9], [0.8], "max").holds and Again([1], [0.9], [0.8], "min").holds
    assert Again([1, 2], [3.0, 5.0], [2.0, 3.0], "min").gain == pytest.approx(1.5)


def test_the_verdict_says_what_is_known() -> None:
    assert "neither was trained again" in tuning().verdict
    assert tuning(again=Again([1, 2], [0.8, 0.8], [0.9, 0.9], "max")).verdict.endswith("the gain holds")
    assert "no gain beyond chance" in tuning(again=Again([1], [0.8], [0.7], "max")).verdict
    assert "none of 5 trials was better" in tuning(sense="min").verdict
    assert tuning().gain == pytest.approx(0.1)


def test_the_page_shows_settings_and_escapes_them(tmp_path: Path) -> None:
    record = json.dumps(tuning(tmp_path).to_dict())
    (tmp_path / "tuning.json").write_text(record, "utf-8")
    page = write_report(tmp_path).read_text("utf-8")
    assert "<b>adam</b>" not in page and "&lt;b&gt;adam&lt;/b&gt;" in page
    for words in ("it blew up", "70 %", "0.001 to 0.1", "ended early", "cut short", "Trial 2 is the best of 5"):
        assert words in page, words


def test_a_search_that_has_just_begun_has_a_page(tmp_path: Path) -> None:
    told = {**tuning(tmp_path).to_dict(), "trials": [asdict(TRIALS[0])], "best": None, "verdict": "", "importance": {}}
    (tmp_path / "tuning.json").write_text(json.dumps(told), "utf-8")
    assert "The search is not finished." in write_report(tmp_path).read_text("utf-8")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"trials": 3, "metric": "loss"}'])
def test_a_damaged_record_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "tuning.json").write_text(text, "utf-8")
    with pytest.raises(CheckpointError, match="is damaged"):
        write_report(tmp_path)
