"""docs/doctor: every fault has a page that says what the tables and the rules say today."""

import ast
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from netwright.core import schemas
from netwright.doctor.about import ABOUT
from netwright.doctor.findings import FAULTS
from netwright.experiment.settings import TrainSettings
from netwright.losses.catalog import LOSSES
from netwright.optim import split_spec

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "doctor"
sys.path.insert(0, str(ROOT / "tools"))

from twins import TWINS  # noqa: E402
from twins.pages import codes, index, page, plot, texts  # noqa: E402
from twins.running import checked  # noqa: E402

RUNS = json.loads((PAGES / "runs.json").read_text("utf-8"))
CHEAP = ("double-softmax", "single-unit-softmax", "broadcast-loss", "class-imbalance", "invalid-values")


def test_every_fault_has_words_a_program_and_a_run() -> None:
    for known in (ABOUT, texts(), TWINS, RUNS):
        assert set(known) == set(FAULTS)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_page_is_what_was_written_and_measured(fault: str) -> None:
    assert (PAGES / f"{fault}.md").read_text("utf-8") == page(fault, RUNS[fault]), "run `make doctor-pages`"
    drawing = (PAGES / "plots" / f"{fault}.svg").read_text("utf-8")
    assert drawing == plot(fault, RUNS[fault]) and len(drawing) < 20_000


def test_the_index_names_every_fault_and_code() -> None:
    text = (PAGES / "README.md").read_text("utf-8")
    assert text == index(RUNS)
    for fault, known in codes().items():
        assert known and f"({fault}.md)" in text
        assert all(code in text and code in (PAGES / f"{fault}.md").read_text("utf-8") for code in known)


def test_every_code_that_a_page_speaks_of_is_its_own() -> None:
    for fault, told in texts().items():
        assert set(re.findall(r"NW\d{3}", json.dumps(told))) <= set(codes()[fault]), fault


@pytest.mark.parametrize("fault", CHEAP)
def test_netwright_still_says_what_the_page_says(fault: str) -> None:
    said = [str(finding) for finding, _ in checked(TWINS[fault]) if finding.fault == fault]
    assert said == [row["text"] for row in RUNS[fault]["findings"] if row["by"] == "check"]
    assert said and all(line in (PAGES / f"{fault}.md").read_text("utf-8") for line in said)


@pytest.mark.parametrize("fault", FAULTS)
def test_snippets_are_python_and_config(fault: str) -> None:
    told = texts()[fault]
    for name in ("before", "after"):
        ast.parse(told[name])
    for name in ("config_before", "config_after"):
        _is_config(YAML(typ="safe", pure=True).load(told.get(name, "{}")))


def _is_config(sections: dict[str, Any]) -> None:
    assert set(sections) <= {"loss", "model", "optimizer", "train"}
    schemas.build(TrainSettings, sections.get("train", {}), "train")
    split_spec(sections.get("optimizer", "adamw"))
    assert sections.get("loss", "mse") in LOSSES


def test_healthy_twins_are_free_of_their_fault() -> None:
    for fault in CHEAP:
        healthy = checked(lambda _, make=TWINS[fault]: make(False))
        assert [str(finding) for finding, _ in healthy if finding.fault == fault] == []
