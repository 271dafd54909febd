"""Pictures of a run folder, taken into the page as data URIs.

Only pictures inside the folder and only the four formats that cannot carry a script; a budget keeps the page mailable.
"""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netwright.core.messages import say

__all__ = ["SMALL", "Album", "Picture"]

BUDGET = 3 * 2**20  # bytes of pictures in one page
MOST = 144
SIGNATURES = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif"), (b"RIFF", "webp"))
SMALL = 128  # pixels a side up to which a picture is shown with its pixels as squares


@dataclass
class Picture:
    """`source` is a data URI, or empty with the reason in `missing`."""

    source: str
    caption: str
    width: int = 0
    height: int = 0
    missing: str = ""

    @property
    def pixelated(self) -> bool:
        return 0 < max(self.width, self.height) <= SMALL


class Album:
    """Hands out the pictures of one page until the budget is spent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._bytes = 0
        self._count = 0

    def picture(self, entry: Any) -> Picture | None:
        """The picture for an item of a `pictures` exhibit; None when no room is left for it."""
        item = entry if isinstance(entry, dict) else {"file": entry}
        caption = str(item.get("caption") or "")
        path = self._inside(str(item.get("file")))
        if path is None:
            return Picture("", caption, missing=say("no such picture in the run folder"))
        if self._count >= MOST or self._bytes + path.stat().st_size > BUDGET:
            return None
        content = path.read_bytes()
        kind = next((name for signature, name in SIGNATURES if content.startswith(signature)), None)
        if kind is None:
            return Picture("", caption, missing=say("not a PNG, JPEG, GIF or WebP picture"))
        self._count += 1
        self._bytes += len(content)
        width, height = struct.unpack(">II", content[16:24]) if kind == "png" and len(content) >= 24 else (0, 0)
        return Picture(f"data:image/{kind};base64,{base64.b64encode(content).decode()}", caption, width, height)

    def _inside(self, name: str) -> Path | None:
        """The file, when there is one and it lies in the run folder after all links have been followed."""
        try:
            path = (self._folder / name).resolve()
        except (OSError, ValueError, RuntimeError):  # a name no file can have, or links in a circle
            return None
        return path if path.is_relative_to(self._folder) and path.is_file() else None
