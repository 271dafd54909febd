"""The parts of the page that can be wrong by a digit: numbers, axes, thinning, words."""

import math
from pathlib import Path

import pytest

from netwright import reports
from netwright.metrics.catalog import METRICS as CARDS
from netwright.reports import numbers
from netwright.reports.charts import histogram
from netwright.reports.confusion import confusion
from netwright.reports.curves import series
from netwright.reports.numbers import metric
from netwright.reports.provenance import config_lines
from netwright.reports.scales import axis
from netwright.reports.words import LOWER_IS_BETTER, METRICS, metric_name

ROOM = Path(reports.__file__).parent


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.87643, "0.8764"), (0.5, "0.5"), (12345.6, "12,346"), (3e-5, "3e-5"), (0, "0"), (-1.5, "−1.5"), (None, "–"),
        (math.nan, "NaN"), (math.inf, "∞"), ("nan", "NaN"), (True, "–"), (100, "100"), (999.96, "1000"), (10**400, "∞"),
    ],
)  # fmt: skip
def test_number(value: object, shown: str) -> None:
    assert numbers.number(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.042, "0.042 s"), (31.42, "31.4 s"), (61, "1 min 01 s"), (7384, "2 h 03 min"), (-1, "–"), (None, "–")],
)
def test_duration(seconds: object, shown: str) -> None:
    assert numbers.duration(seconds) == shown


def test_big_and_bytes() -> None:
    assert [numbers.big(n) for n in (850, 61706, 1.24e9, 8423.7)] == ["850", "61.7 k", "1.24 G", "8,424"]
    assert [numbers.bytes_(n) for n in (40, 2048, 3 * 2**20)] == ["40 B", "2 KiB", "3 MiB"]


def test_metric_gains_digits_until_told_apart() -> None:
    assert numbers.metric("accuracy", 0.9, 0.8996) == "90 %"
    assert numbers.metric("accuracy", 0.89999, 0.9) == "89.999 %"
    assert numbers.metric("rmse", 52.001, 52.0) == "52.001"
    assert numbers.metric("auroc", 0.99998) == "0.99998"
    assert numbers.metric("accuracy", 1.0) == "100 %"


def test_shapes() -> None:
    assert numbers.shape([1, 28, 28]) == "1 × 28 × 28"
    assert numbers.shape([[3, 8], [4]]) == "3 × 8, 4"


@pytest.mark.parametrize(
    "values", [[1.0], [0.0, 0.0], [-5, 5], [1e-9, 2e-9], [0.1, 1e6], [1e300, 1e-300], [7, 7.0000001], []]
)
def test_axis_holds_its_values_and_has_ticks(values: list[float]) -> None:
    scale = axis(values)
    assert all(-0.01 <= scale(value) <= 100.01 for value in values)
    assert 2 <= len(scale.ticks()) <= 12
    assert all(-0.01 <= tick.place <= 100.01 for tick in scale.ticks())
    labels = [tick.label for tick in scale.ticks()]
    assert len(set(labels)) == len(labels)


def test_axis_is_not_flattened_by_one_spike() -> None:
    scale = axis([0.5 - 0.001 * step for step in range(200)] + [-3.0, 900.0])
    assert scale.high < 10


def test_thinning_keeps_spikes_ends_and_losses() -> None:
    rows = [{"step": step, "loss": 1.0} for step in range(10_000)]
    rows[5_000]["loss"], rows[7_000]["loss"] = 99.0, math.nan
    thin = series("train", rows, "loss")
    assert len(thin.xs) < 500 and (thin.xs[0], thin.xs[-1]) == (0, 9_999)
    assert max(value for value in thin.highs if value is not None) == 99
    assert thin.lost_from == 7_000


def test_steps_logged_twice_count_once() -> None:
    rows = [{"step": step, "loss": value} for step, value in ((1, 3.0), (2, 9.0), (2, 2.0))]
    assert series("train", rows, "loss").ys == [3.0, 2.0]


def test_confusion_recall_precision_and_pairs() -> None:
    view = confusion({"labels": ["a", "b"], "matrix": [[8, 2], [0, 0]]})
    assert view is not None
    assert [row["recall"] for row in view.rows] == ["80 %", "–"]
    assert view.precisions == ["100", "0"]
    assert view.pairs == [{"true": "a", "predicted": "b", "count": 2, "share": "20 %"}]
    assert confusion({"matrix": [[1, 2]]}) is None


def test_histogram_counts_everything_once() -> None:
    chart = histogram("h", [0, 0, 1, 2, 2, 2, 5, None, math.inf], "x")
    assert sum(int(bar["text"].rpartition(": ")[2]) for bar in chart.bars) == 7
    assert "2 not finite" in chart.summary


def test_config_highlighting_keeps_every_character() -> None:
    text = "a: {lr: 3e-4, on: true}  # why: so\npath: 'x: y'\n- resnet18-b: 1\nurl: http://a/b#c\n"
    lines = config_lines(text)
    assert "\n".join("".join(piece for _, piece in line) for line in lines) + "\n" == text
    assert ("key", "lr") in lines[0] and ("number", "3e-4") in lines[0] and ("comment", "# why: so") in lines[0]
    assert ("string", "'x: y'") in lines[1] and not [style for style, _ in lines[3] if style == "comment"]


def test_every_metric_has_a_name_and_its_direction() -> None:
    """The reports are read where no torch is, so they keep tables of their own."""
    for name, card in CARDS.items():
        assert (name in LOWER_IS_BETTER) == (card.direction == "min"), name
        assert name in METRICS or name.startswith("recall_at_"), name


def test_recall_at_any_depth_is_told_alike() -> None:
    for depth in (1, 5, 20):
        assert metric_name(f"recall_at_{depth}") == f"recall@{depth}" and metric(f"recall_at_{depth}", 0.5) == "50 %"


def test_figures_of_single_classes_are_called_after_their_means() -> None:
    assert metric_name("iou_grey_matter") == "IoU grey matter" and metric_name("dice_0") == "Dice 0"
