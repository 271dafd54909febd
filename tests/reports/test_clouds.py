"""Points of several groups: every group can be told from every other, in the legend and in the plot."""

import itertools
import json

import pytest

from netwright.reports import write_report
from netwright.reports.clouds import cloud_chart
from netwright.reports.exhibits import exhibits
from netwright.reports.folder import read_run


def cloud(groups, count=4, **changed):
    names = [f"class {number:02d}" for number in range(groups) for _ in range(count)]
    x = [number % 7 for number in range(len(names))]
    return cloud_chart("map", **{"x": x, "y": x[::-1], "groups": names, "x_label": "a", "y_label": "b"} | changed)


@pytest.mark.parametrize("groups", [2, 10, 24])
def test_colour_and_mark_name_a_group(groups):
    chart = cloud(groups)
    styles = [line.style for line in chart.lines]
    assert len(set(styles)) == groups and chart.legend
    assert [line.name for line in chart.lines] == [f"class {number:02d}" for number in range(groups)]
    for first, second in itertools.pairwise(styles):
        assert not set(first.split()[1:]) & set(second.split()[1:]), "neighbours differ in colour and in mark"
    assert all(line.hollow == line.style.endswith(("m-ring", "m-frame")) for line in chart.lines)


def test_of_very_many_groups_the_smallest_share_a_grey():
    chart = cloud(40)
    assert len(chart.lines) == 24 and chart.lines[0].style == "group g0 m-disc"
    assert chart.lines[0].dots.count("M") == 4 * 17


def test_points_that_are_no_numbers_are_left_out_and_many_are_thinned():
    chart = cloud(2, x=[0, None, "x", 1, float("nan"), 2, 3, 4], y=list(range(8)))
    assert sum(line.dots.count("M") for line in chart.lines) == 5
    assert "5 points in 2 groups" in chart.summary
    assert sum(line.dots.count("M") for line in cloud(3, count=3000).lines) <= 2000


def test_axes_without_a_name_carry_no_numbers():
    assert cloud(2).x_ticks and not cloud(2, x_label="", y_label="").x_ticks


def test_the_page_shows_the_map_and_escapes_its_labels(tmp_path):
    names = ["<b>cat</b>", "dog", "owl", "owl"]
    shown = {"kind": "scatter", "title": "Map", "x": [0, 1, 2, 3], "y": [3, 1, 2, 0], "groups": names}
    (tmp_path / "summary.json").write_text(json.dumps({"run": "r", "status": "finished"}))
    (tmp_path / "exhibits.json").write_text(json.dumps([shown, {**shown, "x": []}]))
    views = exhibits(read_run(tmp_path))
    assert [view["kind"] for view in views] == ["scatter", "unknown"]
    page = write_report(tmp_path).read_text("utf-8")
    assert "<b>cat</b>" not in page and "&lt;b&gt;cat" in page
    assert page.count('class="dots group g3 m-ring"') == 1 and 'class="dots group g3 m-ring hole"' in page
    assert "--g8:" in page
