"""The network on the page: its drawing, its stages, where the parameters are, and every layer."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from netwright.core.architecture import Architecture, Stage
from netwright.core.messages import say
from netwright.reports.diagram import draw
from netwright.reports.folder import RunRecord
from netwright.reports.numbers import as_float, big, bytes_, count, finite, plain, shape, whole

__all__ = ["architecture"]

MOST_LAYERS = 400
STRIP = 7
OPEN_UP_TO = 24  # layers shown without a click, where there are no stages
WIDTHS = (900, 330)  # px of the drawing on a screen and on a phone


def architecture(run: RunRecord) -> dict[str, Any] | None:
    raw = run.architecture.get("layers")
    layers = [row for row in raw if isinstance(row, dict)] if isinstance(raw, list) else []
    if not layers and not run.architecture.get("parameters"):
        return None
    total = as_float(run.architecture.get("parameters")) or sum(finite(row.get("parameters") for row in layers)) or 1.0
    rows = [_layer(row, total) for row in layers]
    paths = {str(row.get("path")) for row in layers}
    inner = {path.rpartition(".")[0] for path in paths if path}
    for row in rows:
        row["inner"] = row["path"] in inner
    leaves = [row for row in rows if not row["inner"] and row["share"] > 0]
    drawn = _drawn(run.architecture)
    return {
        "drawings": [] if drawn is None else [draw(drawn, width) for width in WIDTHS],
        "stages": [] if drawn is None else [_stage(stage, total) for stage in drawn.stages],
        "rows": rows[:MOST_LAYERS],
        "left_out": max(0, len(rows) - MOST_LAYERS),
        "open": len(rows) <= OPEN_UP_TO and drawn is None,
        "strip": _strip(leaves),
        "facts": _network_facts(run),
        "notes": _notes(run.architecture),
        "field": any(row["field"] != "–" for row in rows),
    }


def _notes(raw: dict[str, Any]) -> list[str]:
    """What is told of a network that has a name: its idea and when it serves, in the reader's language; its paper."""
    words = {name: str(raw[name]) if raw.get(name) else "" for name in ("idea", "paper", "when")}
    known = Architecture("", (), (), [], 0, 0, 0, 0, None).described(**words)
    told = (known.idea and say(known.idea), known.when and say(known.when), known.paper, str(raw.get("remark") or ""))
    return [text for text in told if text]


def _drawn(raw: dict[str, Any]) -> Architecture | None:
    """The network with its stages; None where the file has none, or other things stand where they should."""
    try:
        known = Architecture.from_dict(raw)
        return known if known.stages and draw(known) else None
    except (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError):
        return None


def _stage(stage: Stage, total: float) -> dict[str, Any]:
    row = _layer({"path": stage.name or say("(between)"), "type": stage.holds, **asdict(stage)}, total)
    return {**row, "output": "–" if stage.kind == "rest" else row["output"]}


def _layer(row: dict[str, Any], total: float) -> dict[str, Any]:
    parameters = as_float(row.get("parameters")) or 0.0
    path = str(row.get("path") or "")
    return {
        "path": path,
        "depth": min(6, whole(row.get("depth"))),
        "type": str(row.get("type") or "") + (f" ×{whole(row['calls'])}" if whole(row.get("calls")) > 1 else ""),
        "output": shape(row.get("output_shape")),
        "parameters": count(parameters) if parameters else "–",
        "share": min(1.0, parameters / total),
        "flops": big(row.get("flops")) if row.get("flops") else "–",
        "memory": bytes_(row.get("activation_bytes")) if row.get("activation_bytes") else "–",
        "field": plain(row.get("receptive_field")),
    }


def _strip(leaves: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Where the parameters sit: the largest layers in the order of the network, the others as one piece at the end."""
    largest = sorted(leaves, key=lambda row: -row["share"])[:STRIP]
    kept = [row for row in leaves if row in largest]
    pieces = [{"label": row["path"], "type": row["type"], "share": row["share"]} for row in kept]
    rest = sum(row["share"] for row in leaves) - sum(row["share"] for row in kept)
    if rest > 1e-4:
        pieces.append({"label": say("all others"), "type": "", "share": rest})
    return pieces if len(pieces) > 1 else []


def _network_facts(run: RunRecord) -> list[tuple[str, str]]:
    known = run.architecture
    facts = [
        (say("network"), str(known.get("name") or run.summary.get("model") or "–")),
        (say("input"), shape(known.get("input_shape"))),
        (say("output"), shape(known.get("output_shape"))),
        (say("parameters"), count(known.get("parameters"))),
        (say("trainable"), count(known.get("trainable_parameters"))),
        (say("FLOPs per example"), big(known.get("flops"))),
        (say("activations"), bytes_(known.get("activation_bytes"))),
        (say("receptive field"), plain(known.get("receptive_field"))),
    ]
    return [(name, value) for name, value in facts if value != "–"]
