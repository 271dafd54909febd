"""The confusion matrix: numbers while they can be read, a picture beyond that, and always what to look at first.

Rows are the true classes, columns the predicted ones. Shades are shares of a row, so a rare class is judged like a
common one.
"""

from __future__ import annotations

import base64
import math
import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

from netwright.core.messages import say
from netwright.reports.numbers import percent, whole

__all__ = ["Confusion", "confusion"]

WITH_NUMBERS = 26  # classes up to which cells carry their counts
MOST_PAIRS = 8
INK = (64, 120, 196)  # of the picture: between the light and the dark page's accent, its alpha carries the share
WRONG = (208, 92, 40)


@dataclass
class Confusion:
    title: str
    labels: list[str]
    total: int
    pixels: bool = False
    rows: list[dict[str, Any]] = field(default_factory=list)
    precisions: list[str] = field(default_factory=list)
    picture: str = ""
    pairs: list[dict[str, Any]] = field(default_factory=list)
    weakest: list[dict[str, Any]] = field(default_factory=list)
    dense: bool = False


def confusion(exhibit: dict[str, Any]) -> Confusion | None:
    """The view of a `confusion` exhibit, or None when its matrix is not square or is empty."""
    raw = exhibit.get("matrix")
    if not isinstance(raw, list) or not raw or any(not isinstance(row, list) or len(row) != len(raw) for row in raw):
        return None
    matrix = [[whole(value) for value in row] for row in raw]
    given = exhibit.get("labels")
    names = [str(name) for name in given] if isinstance(given, list) else []
    labels = [names[index] if index < len(names) else str(index) for index in range(len(matrix))]
    view = Confusion(str(exhibit.get("title") or say("Confusion matrix")), labels, int(sum(map(sum, matrix))))
    view.pixels = exhibit.get("of") == "pixels"
    recalls = [_share(row[index], sum(row)) for index, row in enumerate(matrix)]
    view.pairs = _pairs(matrix, labels)
    if len(matrix) <= WITH_NUMBERS:
        view.dense = len(matrix) > 12
        view.rows = [_row(index, row, labels, recalls[index]) for index, row in enumerate(matrix)]
        columns = [sum(row[index] for row in matrix) for index in range(len(matrix))]
        shares = [_share(matrix[index][index], total) for index, total in enumerate(columns)]
        view.precisions = ["–" if share is None else f"{100 * share:.0f}" for share in shares]
    else:
        view.picture = _picture(matrix)
        view.weakest = _weakest(matrix, labels, recalls)
    return view


def _share(part: float, total: float) -> float | None:
    return part / total if total else None


def _percent(share: float | None) -> str:
    return "–" if share is None else percent(share, 0 if share in (0, 1) else 1)


def _row(index: int, row: list[int], labels: list[str], recall: float | None) -> dict[str, Any]:
    total = sum(row)
    cells = []
    for column, value in enumerate(row):
        share = value / total if total else 0.0
        # Mistakes are few and must still be seen: their shade grows with the root of the share.
        shade = round(share**0.8 if column == index else 0.9 * math.sqrt(share), 3) if value else 0.0
        words = say("{true} taken for {predicted}: {count}", true=labels[index], predicted=labels[column], count=value)
        cells.append({"count": value, "shade": shade, "right": column == index, "words": words})
    return {"label": labels[index], "cells": cells, "recall": _percent(recall), "share": recall or 0.0, "total": total}


def _pairs(matrix: list[list[int]], labels: list[str]) -> list[dict[str, Any]]:
    """The confusions that cost most examples."""
    wrong = [(n, true, seen) for true, row in enumerate(matrix) for seen, n in enumerate(row) if true != seen and n]
    wrong.sort(key=lambda item: (-item[0], item[1], item[2]))
    return [
        {"true": labels[true], "predicted": labels[seen], "count": n, "share": _percent(_share(n, sum(matrix[true])))}
        for n, true, seen in wrong[:MOST_PAIRS]
    ]


def _weakest(matrix: list[list[int]], labels: list[str], recalls: list[float | None]) -> list[dict[str, Any]]:
    known = sorted((recall, index) for index, recall in enumerate(recalls) if recall is not None)
    return [
        {"label": labels[index], "share": recall, "recall": _percent(recall), "total": sum(matrix[index])}
        for recall, index in known
    ]


def _picture(matrix: list[list[int]]) -> str:
    """A data URI of an RGBA PNG, a pixel a cell (PNG specification, 2003: IHDR, IDAT, IEND are all it takes)."""
    size, lines = len(matrix), bytearray()
    for index, row in enumerate(matrix):
        total = sum(row) or 1
        lines.append(0)
        for column, value in enumerate(row):
            share = value / total
            alpha = (
                0 if not value else round(255 * (share**0.8 if column == index else min(1.0, 0.4 + math.sqrt(share))))
            )
            lines += bytes((*(INK if column == index else WRONG), alpha))
    header = struct.pack(">IIBBBBB", size, size, 8, 6, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(lines), 9)), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    )
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(chunks)).decode()
