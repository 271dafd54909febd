"""The drawing: well-formed, one box a stage, sizes that follow the maps, nothing outside it, and readable by all."""

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest

from netwright.experiment.explaining import explain
from netwright.metrics.architecture import Architecture, Stage
from netwright.reports.diagram import draw
from netwright.reports.diagram_plan import make_plan
from netwright.reports.html import write_report

explained = cache(explain)
SVG = "{http://www.w3.org/2000/svg}"


def stage(name: str, channels: int, side: int, *sources: int, **more: object) -> Stage:
    shape = (channels, side, side) if side else (channels,)
    known = Stage(name, "Conv2d 3×3", "convolution", shape, 10, 20, 30, None, channels, shape[1:], sources=sources)
    return replace(known, **more)


def network(*stages: Stage, shape: object = (3, 64, 64)) -> Architecture:
    return Architecture("net", shape, stages[-1].output_shape, [], 10, 10, 20, 30, None, stages=list(stages))


UNET = network(
    stage("one", 8, 64, -1), stage("two", 16, 32, 0), stage("bottom", 32, 16, 1, inside=("residual",), repeats=4),
    stage("three", 16, 32, 1, 2, joined="cat"), stage("four", 8, 64, 0, 3, joined="cat"),
)  # fmt: skip


def boxes(text: str) -> list[ElementTree.Element]:
    """The rectangles of stages: not those behind them, nor those of the key."""
    found = ElementTree.fromstring(text).findall(f"{SVG}rect")
    return [rect for rect in found if rect.get("class") not in (None, "in") and " back" not in str(rect.get("class"))]


@pytest.mark.parametrize("name", ["lenet5", "mlp", "gpt", "gan", "dqn"])
@pytest.mark.parametrize("width", [330, 900])
def test_networks_of_the_catalog_are_drawn_inside_their_frame(name: str, width: int) -> None:
    known = explained(name)
    tree = ElementTree.fromstring(draw(known, width))
    wide, high = (float(str(tree.get(side))) for side in ("width", "height"))
    assert wide <= width + 1
    for rect in tree.findall(f"{SVG}rect"):
        left, top, across, down = (float(str(rect.get(key))) for key in ("x", "y", "width", "height"))
        assert 0 <= left <= left + across <= wide and 0 <= top <= top + down <= high
    words = " ".join(text.text or "" for text in tree.findall(f"{SVG}text"))
    for each in known.stages:
        assert each.name[-12:] in words
    assert name in str(tree.findtext(f"{SVG}title")) and known.stages[0].holds in str(tree.findtext(f"{SVG}desc"))
    assert tree.get("role") == "img" and str(tree.get("aria-labelledby")).split()[0] == tree[0].get("id")


def test_boxes_follow_size_and_channels() -> None:
    drawn = boxes(draw(UNET, 900))
    heights = [float(str(rect.get("height"))) for rect in drawn]
    widths = [float(str(rect.get("width"))) for rect in drawn]
    assert heights[0] == heights[4] > heights[1] == heights[3] > heights[2]
    assert widths[2] > widths[1] == widths[3] > widths[0] == widths[4]


def test_paths_past_other_stages_are_arcs_in_a_row_and_flags_between_rows() -> None:
    wide, narrow = draw(UNET, 900), draw(UNET, 220)
    assert wide.count('class="past"') == 2 and not re.search(r">[ab]</text>", wide)
    plan = make_plan(UNET, 900)
    assert len(plan.rows) == 1 and sorted(arc.level for arc in plan.rows[0].arcs) == [1, 2]
    assert len(make_plan(UNET, 220).rows) > 1
    assert sorted(re.findall(r">([ab])</text>", narrow)) == ["a", "a", "b", "b"]
    assert wide.count(">∥</text>") == 3  # two joins and the key


def test_signs_and_sheets_tell_what_is_inside() -> None:
    text = draw(UNET, 900)
    assert text.count(">+</text>") == 2 and "paths added" in text  # the block and the key
    assert text.count('class="convolution back"') == 2
    plain = draw(network(stage("one", 8, 64, -1)), 900)
    assert "back" not in re.sub("<style>.*?</style>", "", plain, flags=re.S) and ">+</text>" not in plain


def test_a_stage_that_reads_nothing_has_no_arrow() -> None:
    known = network(stage("tokens", 8, 64, -1), stage("positions", 8, 64), stage("blocks", 8, 64, 0, 1, joined="add"))
    assert draw(known, 900).count('<path d="M') == 2 and draw(known, 900).count('class="past"') == 1


def test_a_file_brings_its_colours_and_a_page_has_its_own() -> None:
    alone, inside = draw(UNET, 900, "file"), draw(UNET, 900)
    assert "prefers-color-scheme:dark" in alone and "prefers-color-scheme" not in inside
    assert set(re.findall(r"var\((--[\w-]+)", inside)) - {"--sans"} <= set(re.findall(r"(--[\w-]+):", alone))
    page = (Path(draw.__code__.co_filename).parent / "templates" / "report.css").read_text("utf-8")
    assert set(re.findall(r"var\((--[\w-]+)", inside)) <= set(re.findall(r"(--[\w-]+):", page))


def test_names_cannot_break_the_page() -> None:
    known = network(stage('a"><script>alert(1)</script>', 8, 64, -1, holds="<b>&"))
    text = draw(replace(known, name='"><script>'), 900)
    assert "<script" not in text and ElementTree.fromstring(text) is not None


def test_two_drawings_of_a_small_network_have_names_of_their_own() -> None:
    small = network(stage("head", 8, 1, -1))
    names = [set(re.findall(r'id="([^"]+)"', draw(small, width))) for width in (900, 330)]
    assert not names[0] & names[1]


def test_no_stages_no_drawing() -> None:
    assert draw(Architecture("old", (4,), (2,), [], 10, 10, 20, 30, None)) == ""


def test_the_report_shows_drawing_and_stages(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text('{"status": "finished", "model": "lenet5"}', "utf-8")
    (tmp_path / "architecture.json").write_text(json.dumps(explained("lenet5").to_dict()), "utf-8")
    page = write_report(tmp_path).read_text("utf-8")
    assert page.count('class="nw-net"') == 2 and "AvgPool2d 2×2" in page
    assert len(set(re.findall(r'id="(net-[^"]+)"', page))) == 4
    (tmp_path / "architecture.json").write_text('{"layers": [], "parameters": 5, "stages": [{"name": 3}]}', "utf-8")
    assert 'class="nw-net"' not in write_report(tmp_path).read_text("utf-8")
