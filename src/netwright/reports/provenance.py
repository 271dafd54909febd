"""Where a run came from: its data and split, its machine, its command lines, its config."""

from __future__ import annotations

import re
import shlex
from typing import Any

from netwright.core.messages import say
from netwright.reports.folder import RunRecord, mapping
from netwright.reports.measured import class_counts
from netwright.reports.numbers import as_float, count, plain, shape
from netwright.reports.verdict import UNFINISHED
from netwright.reports.words import value_name

__all__ = ["commands", "config_lines", "data", "environment"]

MOST_CLASSES = 30
MOST_PROBLEMS = 40
SPLITS = ("train", "validation", "test")
SHOWN_ELSEWHERE = frozenset({"command"})
LABELS = {
    "cores": "cores",
    "cpu": "processor",
    "device": "device",
    "git": "git",
    "machine": "machine",
    "memory_format": "memory format",
    "netwright": "Netwright",
    "platform": "system",
    "precision": "arithmetic precision",
    "precision_reason": "why this precision",
    "python": "Python",
    "started": "started",
    "threads": "threads",
    "torch": "PyTorch",
}
_STAMP = re.compile(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?")
_TOKENS = re.compile(
    r"(?P<comment>(?:^|(?<=\s))#.*)|(?P<key>(?:^|(?<=[\s{,\[-]))[\w.\-/]+(?=:(?:\s|$)))|(?P<string>\"[^\"]*\"|'[^']*')"
    r"|(?P<number>(?<![\w.\-/])[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.\-/]))"
    r"|(?P<word>(?<![\w\-./])(?:true|false|null|auto|~)(?![\w\-./]))"
)


def data(run: RunRecord) -> dict[str, Any] | None:
    if not run.split and not run.schema:
        return None
    split = run.split
    raw_sizes = mapping(split.get("sizes"))
    sizes = {name: value for name in (*SPLITS, *raw_sizes) if (value := as_float(raw_sizes.get(name))) is not None}
    whole = sum(sizes.values()) or 1.0
    hashes = split.get("sha256")
    return {
        "sizes": [
            {"name": value_name(name), "key": name, "count": count(size), "share": size / whole}
            for name, size in sizes.items()
        ],
        "facts": _facts(run),
        "hashes": [(value_name(k), str(v)) for k, v in hashes.items()]
        if isinstance(hashes, dict)
        else [("SHA-256", str(hashes))]
        if hashes
        else [],
        "looks": _looks(split),
        "classes": _classes(run),
        "columns": _columns(run),
        **_problems(split),
    }


def _facts(run: RunRecord) -> list[tuple[str, str]]:
    target = mapping(run.schema.get("target"))
    facts = [
        (say("source"), plain(run.split.get("name") or run.summary.get("data"))),
        (say("origin"), value_name(plain(run.split.get("origin")))),
        (say("licence"), plain(run.split.get("licence"))),
        (say("inputs"), value_name(run.schema["kind"]) if run.schema.get("kind") else "–"),
        (say("input shape"), shape(run.schema.get("input_shape") or None)),
        (say("to predict"), value_name(target["kind"]) if target.get("kind") else "–"),
        (say("vocabulary"), count(run.schema.get("vocab_size"))),
        (say("split by"), plain(run.split.get("method"))),
        (say("seed"), plain(run.split.get("seed"))),
    ]
    return [(name, value) for name, value in facts if value not in ("–", "")]


def _looks(split: dict[str, Any]) -> dict[str, Any] | None:
    looks = as_float(split.get("test_looks"))
    if looks is None:
        return None
    if looks > 1:
        words = say(
            "The test set was looked at {count} times: its figure is no longer untouched by choices.",
            count=count(looks),
        )
    elif looks == 1:
        words = say("The test set was opened once, at the end.")
    else:
        words = say("The test set is still sealed.")
    return {"count": looks, "words": words}


def _problems(split: dict[str, Any]) -> dict[str, Any]:
    raw = split.get("problems")
    rows = raw if isinstance(raw, list) else []
    shown = [
        (plain(row.get("place")), plain(row.get("reason"))) if isinstance(row, dict) else ("", plain(row))
        for row in rows[:MOST_PROBLEMS]
    ]
    return {"problems": shown, "problem_count": len(rows), "problems_left_out": max(0, len(rows) - MOST_PROBLEMS)}


def _classes(run: RunRecord) -> dict[str, Any] | None:
    counts = class_counts(run)
    if not counts or len(counts) < 2:
        return None
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    most = ordered[0][1] or 1.0
    bars = [{"label": label, "count": count(size), "share": size / most} for label, size in ordered]
    middle = sorted(counts.values())[len(counts) // 2]
    facts = {"most": count(most), "middle": count(middle), "least": count(ordered[-1][1])}
    words = say(
        "{count} classes: {most} examples in the largest, {least} in the smallest, {middle} in the middle one.",
        count=len(counts),
        **facts,
    )
    if mapping(run.schema.get("target")).get("kind") == "mask":
        template = "{count} classes: {most} pixels of the largest, {least} of the smallest, {middle} of the middle one."
        words = say(template, count=len(counts), **facts)
    equal = ordered[-1][1] == ordered[0][1]
    if equal:
        words = say("{count} classes of {most} examples each.", count=len(counts), most=count(most))
    return {"bars": bars[:MOST_CLASSES], "words": words, "rest": bars[MOST_CLASSES:], "equal": equal}


def _columns(run: RunRecord) -> list[dict[str, str]]:
    columns = run.schema.get("columns")
    if not isinstance(columns, list):
        return []
    keys = ("name", "kind", "missing", "unique", "note")
    return [{key: plain(column.get(key)) for key in keys} for column in columns[:200] if isinstance(column, dict)]


def environment(run: RunRecord) -> list[tuple[str, str]]:
    facts = [
        (key, value)
        for key, value in run.environment.items()
        if key not in SHOWN_ELSEWHERE and value not in (None, "", {})
    ]
    named = [(say(LABELS[key]) if key in LABELS else key.replace("_", " "), plain(value)) for key, value in facts]
    return [(name, _STAMP.sub(r"\1 \2 ", value)) for name, value in named]


def commands(run: RunRecord) -> list[tuple[str, str]]:
    """Why and what to type; the folder is written as it was given to the report."""
    folder = shlex.quote(str(run.folder))
    version = run.environment.get("netwright")
    install = shlex.quote(f"netwright=={version}") if version else "netwright"
    given = run.environment.get("command")
    status = run.summary.get("status")
    lines = [(say("The same version"), f"pip install {install}")]
    if given:
        command = shlex.join(map(str, given)) if isinstance(given, list) else str(given)
        lines.append((say("The command of this run"), command))
    lines.append(
        (
            say("The same run again, from its resolved config"),
            f"netwright train {folder}/config.yaml --out {folder}-again",
        )
    )
    if status in (*UNFINISHED, "diverged", "failed"):
        lines.append((say("Go on where it stopped"), f"netwright train --resume {folder}"))
    lines.append((say("Measure it on new data"), f"netwright evaluate {folder} --data SOURCE"))
    if (run.folder / "model").is_dir() or status == "finished":
        lines.append(_use(run, folder))
    return lines


def _use(run: RunRecord, folder: str) -> tuple[str, str]:
    if str(run.summary.get("task")) == "language-modeling":
        return say("Let it write"), f"netwright generate {folder}/model --prompt 'TEXT'"
    return say("Use it"), f"netwright predict {folder}/model INPUT"


def config_lines(text: str) -> list[list[tuple[str, str]]]:
    """The config as (class, text) pieces per line; the template does the escaping."""
    return [_pieces(line) for line in text.splitlines()[:2000]]


def _pieces(line: str) -> list[tuple[str, str]]:
    pieces, end = [], 0
    for found in _TOKENS.finditer(line):
        if found.start() > end:
            pieces.append(("", line[end : found.start()]))
        pieces.append((str(found.lastgroup), found.group()))
        end = found.end()
    return [*pieces, ("", line[end:])] if end < len(line) or not pieces else pieces
