"""docs/zoo.md is of the catalog as it is: every kin has its section and its drawing, every network its row."""

import re
from xml.etree import ElementTree

from source import ROOT

from netwright.models import MODELS

PAGE = (ROOT / "docs" / "zoo.md").read_text("utf-8")
KINS = {card.kin or name for name, card in MODELS.items()}


def test_every_kin_has_a_section_and_nothing_else_has():
    assert set(re.findall(r"^## (\S+)$", PAGE, re.M)) == KINS, "run make zoo"


def test_every_network_has_its_row_with_its_parameters():
    rows = dict(re.findall(r"^\| `([^`]+)` \| ([\d,]+) \|", PAGE, re.M))
    assert set(rows) == set(MODELS), "run make zoo"
    published = {name: f"{card.parameters:,}" for name, card in MODELS.items() if card.parameters}
    assert {name: rows[name] for name in published} == published


def test_every_kin_says_what_it_is_and_is_drawn():
    for kin in KINS:
        section = PAGE.split(f"\n## {kin}\n")[1].split("\n## ")[0]
        assert re.search(r"^\*When:\* \w.{20}", section, re.M) and re.search(r"\*Paper:\* \w.{15}", section), kin
        drawing = ROOT / "docs" / "zoo" / f"{kin}.svg"
        assert f"](zoo/{kin}.svg)" in section and ElementTree.parse(drawing).getroot().tag.endswith("svg"), kin
    assert {file.stem for file in (ROOT / "docs" / "zoo").iterdir()} == KINS, "run make zoo"
