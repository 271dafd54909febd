"""The report page, written from made-up run folders and read back as HTML."""

import json
import re
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
import report_runs
from report_runs import CONFIG, RunFolder, confusion, finding

from netwright.core import messages
from netwright.core.errors import CheckpointError
from netwright.core.messages import set_language
from netwright.reports import write_report

VOID = {"meta", "img", "br", "hr", "input", "link", "col", "source", "path"}


class Page(HTMLParser):
    """What a browser would see: text, tags, attributes; `unbalanced` names tags that were not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.unbalanced: list[str] = []
        self.feed(html)
        self.unbalanced += self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def attributes(self, name: str) -> list[str]:
        return [attrs[name] for _, attrs in self.tags if name in attrs]

    @property
    def sections(self) -> set[str]:
        return {attrs.get("aria-labelledby", "") for tag, attrs in self.tags if tag == "section"}


def page(run: RunFolder) -> Page:
    path = write_report(run.path)
    assert path == run.path / "report.html"
    read = Page(path.read_text(encoding="utf-8"))
    assert not read.unbalanced
    return read


def test_whole_run_says_verdict_and_figures(tmp_path: Path) -> None:
    read = page(report_runs.lenet(tmp_path / "lenet"))
    assert "It learned, and reached what was expected" in read.text
    for words in (
        "87.6 %",
        "At least 86 % was wanted",
        "61.7 k",
        "31.4 s",
        "8,424",
        "7 / 8",
        "dense-parameter-explosion",
    ):
        assert words in read.text
    assert read.sections == {
        "verdict", "findings", "curves", "signals", "exhibits", "network", "data", "environment", "reproduce", "config"
    }  # fmt: skip


@pytest.mark.parametrize("make", [report_runs.lenet, report_runs.gan, report_runs.writer, report_runs.regression])
def test_page_is_self_contained_and_small(tmp_path: Path, make: Callable[[Path], RunFolder]) -> None:
    started = time.perf_counter()
    read = page(make(tmp_path / "run"))
    assert time.perf_counter() - started < 3
    assert len(read.html) < 1.5e6
    sources = [
        value for name in ("src", "href", "data", "poster", "srcset", "action") for value in read.attributes(name)
    ]
    assert sources and all(value.startswith(("data:image/", "#")) for value in sources)
    assert "url(" not in read.html and "@import" not in read.html
    ids = read.attributes("id")
    assert len(ids) == len(set(ids))
    assert {value[1:] for value in read.attributes("href")} <= set(ids)


def test_text_of_the_run_cannot_become_markup(tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)>\"'</script>{{ 7 * 7 }}"
    run = report_runs.lenet(tmp_path / "run").text("config.yaml", f"task: {evil}\n")
    run.summary(run=evil, model=evil, note=evil, metrics={"test": {evil: 1.0}}, expect={})
    run.data(dict.fromkeys([evil, "b"], 5), name=evil, method=evil, problems=[{"place": evil, "reason": evil}])
    run.lines("findings.jsonl", [finding(evidence=evil, where=evil, fix={evil: evil})])
    run.lines(
        "metrics.jsonl", [{"kind": "train", "step": 1, "loss": 1.0, evil: 2.0}, {"kind": "train", "step": 2, evil: 1.0}]
    )
    run.json("exhibits.json", [
        confusion([evil, "b"]), {"kind": "table", "title": evil, "columns": [evil], "rows": [[evil]]},
        {"kind": "text", "title": evil, "items": [{"caption": evil, "text": evil}]},
        {"kind": "scatter", "title": evil, "x": [1, 2], "y": [1, 2], "x_label": evil, "y_label": evil},
         {"kind": evil, "title": evil},
    ])  # fmt: skip
    read = page(run)
    assert evil in read.text
    assert "x" not in read.attributes("src")
    assert not [attrs for _, attrs in read.tags if "onerror" in attrs]
    assert sum(tag == "script" for tag, _ in read.tags) == 2


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("running", "Not finished yet"), ("interrupted", "Interrupted, and can be resumed"),
        ("preempted", "Preempted, and can be resumed"), ("diverged", "Diverged"), ("failed", "The run failed"),
    ],
)  # fmt: skip
def test_unfinished_runs(tmp_path: Path, status: str, said: str) -> None:
    run = (
        RunFolder(tmp_path / "run").log(60, 3).text("config.yaml", CONFIG).summary(status=status, metrics={}, expect={})
    )
    read = page(run)
    assert said in read.text
    assert "--resume" in read.text
    assert "accuracy (validation)" in read.text  # the last validated figure stands in for the one not measured


def test_killed_run_without_a_sign_of_life(tmp_path: Path) -> None:
    import os

    run = RunFolder(tmp_path / "run").log(30, 3).summary(status="running", metrics={}, expect={})
    os.utime(run.path / "metrics.jsonl", (1, 1))
    assert "the process has probably ended" in page(run).text


@pytest.mark.parametrize("name", ["config.yaml", "metrics.jsonl", "summary.json"])
def test_one_file_is_enough(tmp_path: Path, name: str) -> None:
    run = RunFolder(tmp_path / "run")
    {"config.yaml": lambda: run.text(name, CONFIG), "metrics.jsonl": run.log, "summary.json": run.summary}[name]()
    read = page(run)
    assert "verdict" in read.sections and "No findings were recorded." in read.text
    assert ("Not finished yet" in read.text) is (name != "summary.json")


def test_damaged_files_are_named_and_passed_over(tmp_path: Path) -> None:
    run = report_runs.lenet(tmp_path / "run")
    for name in ("split.json", "architecture.json", "exhibits.json", "config.yaml"):
        run.text(name, '{"half": [1,')
    log = run.path / "metrics.jsonl"
    log.write_text("not json\n" + log.read_text() + '{"kind": "train", "st')
    read = page(run)
    for words in (
        "split.json could not be read",
        "architecture.json",
        "exhibits.json",
        "config.yaml",
        "lines of metrics.jsonl that could not be read: 1",
    ):
        assert words in read.text
    assert "curves" in read.sections and "network" not in read.sections


def test_wrong_types_everywhere(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run").log(20, 2)
    odd = [None, [], {}, "text", 3, [[1], None], {"a": None}, float("nan"), True]
    for value in odd:
        run.json("summary.json", dict.fromkeys(
            ("run", "status", "metrics", "monitor", "best_step", "best_epoch", "epochs", "seconds", "parameters",
            "expect", "note"), value
        ))  # fmt: skip
        run.json(
            "split.json",
            dict.fromkeys(("sizes", "sha256", "problems", "test_looks", "classes", "method", "name"), value),
        )
        run.json("schema.json", dict.fromkeys(("kind", "input_shape", "target", "columns", "vocab_size"), value))
        run.json(
            "architecture.json",
            {"layers": [{"path": value, "parameters": value, "depth": value, "calls": value}], "parameters": value},
        )
        run.json("environment.json", {"command": value, "netwright": value, "torch": value})
        run.lines("findings.jsonl", [dict.fromkeys(("code", "severity", "evidence", "fix", "effect", "proven"), value)])
        run.lines(
            "metrics.jsonl",
            [{"kind": "train", "step": value, "loss": value}, {"kind": "validation", "step": 2, "loss": value}],
        )
        kinds = ("confusion", "pictures", "text", "scatter", "table", "histogram", "curve")
        fields = ("labels", "matrix", "items", "x", "y", "columns", "rows", "values", "title", "label")
        run.json("exhibits.json", [{"kind": kind, **dict.fromkeys(fields, value)} for kind in kinds] + [value])
        run.json("config.yaml", {"train": value, "doctor": value})
        assert "verdict" in page(run).sections


def test_not_finite_values_are_marked(tmp_path: Path) -> None:
    rows = [
        {"kind": "train", "step": s, "loss": 2.0 if s < 5 else (None if s % 2 else float("nan"))} for s in range(1, 10)
    ]
    run = RunFolder(tmp_path / "run").lines("metrics.jsonl", rows)
    read = page(run.summary(status="diverged", metrics={}, expect={}, note="NaN in hidden.0"))
    assert "not finite from step 5" in read.text and "NaN in hidden.0." in read.text
    assert "nan" not in " ".join(read.attributes("d")).lower()
    for hover in read.attributes("data-hover"):
        assert json.loads(hover, parse_constant=pytest.fail)


def test_finished_with_nan_did_not_learn(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run").data().summary(metrics={"test": {"accuracy": float("nan")}}, expect={})
    assert "It did not learn" in page(run).text


def test_no_better_than_the_commonest_class(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run").data({"a": 90, "b": 10}).summary(metrics={"test": {"accuracy": 0.9}}, expect={})
    read = page(run)
    assert "It did not learn" in read.text and "would get 90 %" in read.text


@pytest.mark.parametrize(("value", "said"), [(0.55, "It did not learn"), (0.8, "It learned")])
def test_neighbours_are_held_against_chance(tmp_path: Path, value: float, said: str) -> None:
    run = RunFolder(tmp_path / "run").data({"a": 30, "b": 70})
    run.summary(metrics={"test": {"recall_at_1": value}}, monitor=["recall_at_1", "max"], expect={})
    assert said in page(run).text and "would get 58 %" in page(run).text  # 0.3² + 0.7²


@pytest.mark.parametrize(("background", "chance"), [(True, "0.4737"), (False, "0.1818")])
def test_masks_are_held_against_a_single_class(tmp_path: Path, background: bool, chance: str) -> None:
    run = RunFolder(tmp_path / "run").data({"sky": 900, "cloud": 100})
    target = {"kind": "mask", "classes": ["sky", "cloud"], "names": []}
    run.json("schema.json", {"kind": "image", "input_shape": [3, 8, 8], "target": target, "vocab_size": None})
    run.text("config.yaml", f"task: {{name: image-segmentation, background: {str(background).lower()}}}\n")
    run.summary(metrics={"test": {"dice": 0.9}}, monitor=["dice", "max"], expect={})
    matrix = {"kind": "confusion", "of": "pixels", "title": "m", "labels": ["sky", "cloud"], "matrix": [[9, 1], [1, 9]]}
    read = page(run.json("exhibits.json", [matrix])).text
    assert "It learned" in read and f"would get {chance}" in read and "20 pixels." in read


def test_perfect_from_the_first_look_is_learnt(tmp_path: Path) -> None:
    rows = [{"kind": "validation", "step": step, "epoch": step, "f1": 1.0, "loss": 0.1} for step in (1, 2, 3, 4)]
    run = RunFolder(tmp_path / "run").lines("metrics.jsonl", rows)
    run.summary(metrics={"test": {"f1": 1.0}}, monitor=["f1", "max"], expect={})
    assert "It learned" in page(run).text


def test_a_missed_figure_is_told_apart_from_the_wanted_one(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run").data()
    run.summary(
        metrics={"test": {"accuracy": 0.8996}}, expect={"accuracy": {"wanted": 0.9, "got": 0.8996, "ok": False}}
    )
    read = page(run)
    assert "It fell short of what was expected" in read.text
    assert "89.96 %" in read.text


def test_a_long_log_is_thinned_and_quick(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run").log(100_000, 50).summary()
    started = time.perf_counter()
    read = page(run)
    assert time.perf_counter() - started < 6  # about 1.5 s on an idle machine
    assert len(read.html) < 400_000


def test_one_step_and_one_epoch(tmp_path: Path) -> None:
    read = page(RunFolder(tmp_path / "run").log(1, 1).summary(best_step=1, best_epoch=1, epochs=1, steps=1))
    assert "curves" in read.sections and "1 / 1" in read.text


def test_no_validation(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run").log(50, 2, validate=False)
    read = page(
        run.summary(metrics={"train": {"loss": 0.3}}, monitor=["loss", "min"], best_step=0, best_epoch=1, expect={})
    )
    assert "best epoch" not in read.text and "loss (train)" in read.text


def test_two_hundred_classes(tmp_path: Path) -> None:
    labels = [f"class number {index}" for index in range(200)]
    run = RunFolder(tmp_path / "run").data(dict(zip(labels, range(1, 201), strict=True))).summary()
    read = page(run.json("exhibits.json", [confusion(labels, 50)]))
    assert "Recall of all 200 classes" in read.text and "The other 170 classes" in read.text
    assert any(value.startswith("data:image/png") for value in read.attributes("src"))
    assert len(read.html) < 400_000


def test_pictures_stay_inside_the_run_folder(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run").summary().text("exhibits.svg", "<svg onload='alert(1)'/>")
    (tmp_path / "secret.png").write_bytes(b"\x89PNG\r\n\x1a\n secret")
    (run.path / "link.png").symlink_to(tmp_path / "secret.png")
    names = ["../secret.png", str(tmp_path / "secret.png"), "link.png", "exhibits.svg", "absent.png", ".", "a\0b"]
    items = [{"file": name} for name in names] + run.pictures(1)
    read = page(run.json("exhibits.json", [{"kind": "pictures", "title": "p", "items": items}]))
    assert len(read.attributes("src")) == 1
    assert read.text.count("no such picture in the run folder") == 6


def test_too_many_pictures_are_counted(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run").summary()
    read = page(run.json("exhibits.json", [{"kind": "pictures", "title": "p", "items": run.pictures(2) * 100}]))
    assert "56 more are in the run folder." in read.text


def test_phases_share_a_chart(tmp_path: Path) -> None:
    read = page(report_runs.gan(tmp_path / "run"))
    assert "losses by part" in read.text
    labels = [label for label in read.attributes("aria-label") if label.startswith("learning rate")]
    assert len(labels) == 1 and "generator" in labels[0] and "discriminator" in labels[0]


def test_loss_and_minus_return_get_their_own_axes(tmp_path: Path) -> None:
    rows = [{"kind": "train", "step": s, "loss": 0.02 * s} for s in range(1, 9)]
    rows += [{"kind": "validation", "step": s, "loss": -30.0 * s, "return_mean": 30.0 * s} for s in range(2, 9, 2)]
    run = RunFolder(tmp_path / "run").lines("metrics.jsonl", rows)
    read = page(run.summary(monitor=["return_mean", "max"], metrics={"test": {"return_mean": 480.0}}, expect={}))
    assert "loss (train)" in read.text and "loss (validation)" in read.text and "It learned" in read.text


def test_repeated_findings_are_shown_once_and_errors_first(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run").summary()
    read = page(
        run.lines("findings.jsonl", [finding("note", code="NW1"), *[finding()] * 3, finding("error", code="NW9")])
    )
    assert "seen 3 times" in read.text and "Errors that the doctor found: 1" in read.text
    assert read.text.index("NW9") < read.text.index("NW121") < read.text.index("NW1 ")


@pytest.mark.parametrize(("doctor", "off"), [("off", True), (False, True), ("advise", False)])
def test_doctor_off_is_not_a_clean_bill(tmp_path: Path, doctor: object, off: bool) -> None:
    read = page(
        RunFolder(tmp_path / "run").summary().text("findings.jsonl", "").json("config.yaml", {"doctor": doctor})
    )
    assert ("The doctor was off in this run." in read.text) is off
    assert ("The doctor found nothing" in read.text) is not off


def test_test_looks_are_said(tmp_path: Path) -> None:
    assert "looked at 4 times" in page(report_runs.regression(tmp_path / "run")).text


def test_folders_that_are_no_run(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        write_report(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="is not a run folder: it has none of"):
        write_report(tmp_path / "empty")
    RunFolder(tmp_path / "runs" / "first").summary()
    with pytest.raises(CheckpointError, match="give one of them: first"):
        write_report(tmp_path / "runs")
    (tmp_path / "file").write_text("x")
    with pytest.raises(CheckpointError) as caught:
        write_report(tmp_path / "file")
    assert "\n" not in str(caught.value)


def test_second_report_replaces_the_first_and_leaves_nothing_else(tmp_path: Path) -> None:
    run = report_runs.lenet(tmp_path / "run")
    before = {path.name for path in run.path.iterdir()}
    write_report(run.path)
    write_report(run.path)
    assert {path.name for path in run.path.iterdir()} - before == {"report.html"}


def test_chinese_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chinese = {"Findings": "诊断结果", "{seconds} s": "{seconds} 秒", "Small filters.": "小滤波器。"}
    monkeypatch.setattr(messages, "_chinese", lambda: chinese)
    set_language("zh")
    try:
        run = report_runs.lenet(tmp_path / "run")
        known = json.loads((run.path / "architecture.json").read_text("utf-8"))
        read = page(run.json("architecture.json", {**known, "idea": "Small filters."}))
    finally:
        set_language(None)
    assert dict(read.tags)["html"]["lang"] == "zh-CN"
    assert "诊断结果" in read.text and "31.4 秒" in read.text and "小滤波器。" in read.text
