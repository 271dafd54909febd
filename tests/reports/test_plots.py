"""Charts as SVG files."""

from xml.etree import ElementTree

from netwright.reports.charts import line_chart
from netwright.reports.curves import Series
from netwright.reports.plots import draw_chart

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*ys: list[float | None]) -> ElementTree.Element:
    lines = [(Series("", [float(x) for x in range(len(y))], y), f"line <{at}>", "c2") for at, y in enumerate(ys)]
    return ElementTree.fromstring(draw_chart(line_chart("loss", "A <title> & more", lines, x_label="step")))


def test_it_is_a_document_with_title_and_words() -> None:
    root = drawn([1.0, 2.0, 3.0], [3.0, 2.0, 1.0])
    assert root.find(f"{SVG}title").text == "A <title> & more"
    assert "from 1 to 3" in root.find(f"{SVG}desc").text
    assert {"line <0>", "line <1>", "step"} <= {text.text for text in root.iter(f"{SVG}text")}


def test_both_lines_are_drawn_within_the_box() -> None:
    root = drawn([1.0, 2.0, 3.0], [3.0, 2.0, 1.0])
    paths = [path.get("d") for path in root.find(f"{SVG}svg").iter(f"{SVG}path") if path.get("class") == "line c2"]
    assert len(paths) == 2 and paths[0] != paths[1]
    assert all(path.startswith("M0 ") for path in paths)


def test_light_and_dark() -> None:
    style = drawn([1.0, 2.0]).find(f"{SVG}style").text
    assert "prefers-color-scheme:dark" in style


def test_a_loss_that_is_lost_is_marked() -> None:
    series = Series("", [0.0, 1.0, 2.0, 3.0], [1.0, 2.0, None, None], lost_from=2.0)
    text = draw_chart(line_chart("loss", "Loss", [(series, "faulty", "c2")]))
    assert "not finite from step 2" in text and 'class="lost"' in text
