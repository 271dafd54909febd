"""What a task wants to show (`exhibits.json`), each kind as a view for the template.

Exhibits are written by tasks, the user's own among them: a kind or a value that does not fit becomes a line of text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netwright.core.messages import say
from netwright.reports.charts import histogram, line_chart, scatter
from netwright.reports.clouds import cloud_chart
from netwright.reports.confusion import confusion
from netwright.reports.curves import Series, series
from netwright.reports.folder import RunRecord
from netwright.reports.numbers import as_float, plain
from netwright.reports.pictures import SMALL, Album

__all__ = ["View", "exhibits"]

MOST_ROWS = 200
MOST_TEXTS = 40
LONGEST_TEXT = 4000
COMPARING = ("predict", "true", "target", "actual", "预测", "真实", "目标")

View = dict[str, Any]


def exhibits(run: RunRecord) -> list[View]:
    """All views, the confusion matrix first."""
    album = Album(run.folder)
    views = [_view(item, album) for item in run.exhibits]
    return sorted(views, key=lambda view: view["kind"] != "confusion")


def _view(item: dict[str, Any], album: Album) -> View:
    kind = str(item.get("kind"))
    make = _KINDS.get(kind)
    title = str(item.get("title") or kind)
    try:
        body = make(item, album) if make else None
    except (TypeError, ValueError, KeyError, ArithmeticError):
        body = None
    if body is None:
        reason = say(
            "This exhibit of kind '{kind}' cannot be shown: its content is empty or not what the kind needs.", kind=kind
        )
        return {"kind": "unknown", "title": title, "reason": reason}
    return {"kind": kind, "title": title, **body}


def _confusion(item: dict[str, Any], album: Album) -> View | None:
    view = confusion(item)
    return None if view is None else {"confusion": view}


def _pictures(item: dict[str, Any], album: Album) -> View | None:
    shown = [album.picture(entry) for entry in _list(item, "items")]
    pictures = [picture for picture in shown if picture is not None]
    if not pictures:
        return None
    captions = any(picture.caption for picture in pictures)
    return {
        "pictures": pictures,
        "captions": captions,
        "left_out": len(shown) - len(pictures),
        "large": all(p.width > SMALL and (len(pictures) <= 4 or p.width > 3 * p.height) for p in pictures),
    }


def _text(item: dict[str, Any], album: Album) -> View | None:
    texts = []
    for entry in _list(item, "items")[:MOST_TEXTS]:
        if isinstance(entry, dict):
            head = str(entry.get("caption") or entry.get("prompt") or entry.get("title") or "")
            body = str(entry.get("text") or entry.get("output") or "") or plain(entry)
        else:
            head, body = "", str(entry)
        texts.append({"head": head, "body": body[:LONGEST_TEXT] + ("…" if len(body) > LONGEST_TEXT else "")})
    return {"texts": texts, "left_out": max(0, len(_list(item, "items")) - MOST_TEXTS)} if texts else None


def _scatter(item: dict[str, Any], album: Album) -> View | None:
    if groups := _list(item, "groups"):
        names = str(item.get("x_label") or ""), str(item.get("y_label") or "")
        cloud = cloud_chart(str(item.get("title")), _list(item, "x"), _list(item, "y"), groups, *names)
        return {"chart": cloud} if cloud.lines else None
    x_label, y_label = str(item.get("x_label") or "x"), str(item.get("y_label") or "y")
    labels = f"{x_label} {y_label}".lower()
    diagonal = sum(word in labels for word in COMPARING) >= 2
    chart = scatter(str(item.get("title")), _list(item, "x"), _list(item, "y"), x_label, y_label, diagonal=diagonal)
    return {"chart": chart} if chart.lines[-1].dots else None


def _histogram(item: dict[str, Any], album: Album) -> View | None:
    chart = histogram(str(item.get("title")), _list(item, "values"), str(item.get("label") or ""))
    return {"chart": chart} if chart.bars else None


def _curve(item: dict[str, Any], album: Album) -> View | None:
    rows = [{"step": x, "y": y} for x, y in zip(_list(item, "x"), _list(item, "y"), strict=False)]
    label = str(item.get("y_label") or "y")
    line: Series = series(label, rows, "y")
    line.lost_from = None
    if not line.known:
        return None
    x_label = str(item.get("x_label") or "")
    return {"chart": line_chart("", str(item.get("title")), [(line, label, "c1")], x_label=x_label, y_label=label)}


def _curves(item: dict[str, Any], album: Album) -> View | None:
    """Several lines over one axis, each with its own places: forecasts beside the truth."""
    drawn = []
    for number, line in enumerate(_list(item, "lines")[:4], start=1):
        rows = [{"step": x, "y": y} for x, y in zip(_list(line, "x"), _list(line, "y"), strict=False)]
        values = series(str(line.get("name") or number), rows, "y")
        values.lost_from = None
        drawn += [(values, values.name, f"c{number}")] if values.known else []
    if not drawn:
        return None
    x_label, y_label = str(item.get("x_label") or ""), str(item.get("y_label") or "")
    return {"chart": line_chart("", str(item.get("title")), drawn, x_label=x_label, y_label=y_label)}


def _table(item: dict[str, Any], album: Album) -> View | None:
    rows = _list(item, "rows")
    columns = [str(name) for name in _list(item, "columns")]
    if not columns and not rows:
        return None
    cells = [
        row if isinstance(row, list) else [row.get(n) for n in columns] if isinstance(row, dict) else [row]
        for row in rows
    ]
    shown = [[{"text": plain(cell), "number": as_float(cell) is not None} for cell in row] for row in cells[:MOST_ROWS]]
    numeric = [bool(shown) and all(row[i]["number"] for row in shown if i < len(row)) for i in range(len(columns))]
    return {
        "columns": list(zip(columns, numeric, strict=True)),
        "rows": shown,
        "left_out": max(0, len(rows) - MOST_ROWS),
    }


def _list(item: dict[str, Any], key: str) -> list[Any]:
    value = item.get(key)
    return value if isinstance(value, list) else []


_KINDS: dict[str, Callable[[dict[str, Any], Album], View | None]] = {
    "confusion": _confusion,
    "curve": _curve,
    "curves": _curves,
    "histogram": _histogram,
    "pictures": _pictures,
    "scatter": _scatter,
    "table": _table,
    "text": _text,
}
