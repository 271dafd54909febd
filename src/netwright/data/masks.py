"""Masks: a class code for every pixel of a picture, as bytes; `IGNORED` stands where no truth is known.

Letters: N examples, H height, W width.
"""

import colorsys
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from netwright.core.errors import ConfigError, DataError, because
from netwright.core.messages import say
from netwright.core.records import write_bytes

__all__ = [
    "IGNORED", "MOST_CLASSES", "binary_codes", "code_counts", "colours", "mask_classes", "mask_png", "read_mask",
    "whole_mask", "write_mask",
]  # fmt: skip

IGNORED = 255
MOST_CLASSES = IGNORED  # codes 0 to 254


def read_mask(path: str | Path, size: tuple[int, int] | None = None, binary: bool = False) -> Tensor:
    """Decode a mask of one channel: grey values, or places in a palette, are class codes.

    Args:
        size: height and width to bring it to, by the nearest neighbour; None keeps its own.
        binary: 255 is the code 1 and not `IGNORED`, as drawing programs write black and white.

    Shapes: -> (H, W) uint8.

    Raises:
        ValueError: a colour picture, a JPEG, or codes above 255.
        OSError, SyntaxError: what Pillow says of a damaged file.
    """
    from PIL import Image

    with Image.open(path) as image:
        if image.format == "JPEG":
            raise ValueError(say("a JPEG smears the class codes of a mask; write it as PNG"))
        codes = np.asarray(image)
    if codes.ndim == 3 and (codes.shape[2] == 2 or bool((codes[..., :3] == codes[..., :1]).all())):
        codes = codes[..., 0]  # grey, saved as colours or with a transparency
    if codes.ndim != 2:
        raise ValueError(say("a mask in colours; expected one channel that holds class codes"))
    if codes.size and (int(codes.max()) > IGNORED or int(codes.min()) < 0):
        raise ValueError(say("a mask holds the code {code}; expected 0 to 254, or 255 for ignored", code=codes.max()))
    codes = codes.astype(np.uint8)
    if size is not None and codes.shape != size:
        codes = np.asarray(Image.fromarray(codes).resize((size[1], size[0]), Image.Resampling.NEAREST))
    mask = torch.from_numpy(codes.copy())
    return torch.where(mask == IGNORED, 1, mask).to(torch.uint8) if binary else mask


def write_mask(codes: NDArray[np.uint8], path: Path) -> None:
    """Write a mask as a PNG with a palette: its values are the class codes, and it can be looked at.

    Raises:
        ResourceError: it cannot be written.
    """
    write_bytes(path, mask_png(codes))


def mask_png(codes: NDArray[np.uint8]) -> bytes:
    """The file of `write_mask`."""
    from PIL import Image

    image = Image.fromarray(codes)
    image.putpalette([channel for colour in _palette() for channel in colour])
    content = io.BytesIO()
    image.save(content, "png", optimize=True)
    return content.getvalue()


def colours(count: int) -> list[tuple[int, int, int]]:
    """Colours that differ for neighbouring codes: black for code 0, then hues a golden angle apart."""
    hues = [colorsys.hsv_to_rgb((0.02 + 0.61803 * code) % 1, 0.75, 1.0) for code in range(count - 1)]
    return [(0, 0, 0), *((round(255 * r), round(255 * g), round(255 * b)) for r, g, b in hues)][:count]


def _palette() -> list[tuple[int, int, int]]:
    return [*colours(IGNORED), (255, 255, 255)]


def code_counts(masks: Tensor) -> Tensor:
    """Pixels of each code, ignored ones under 255. Shapes: any of uint8 -> (256,) int64."""
    return torch.bincount(masks.flatten().int(), minlength=IGNORED + 1)


def binary_codes(counts: Tensor) -> bool:
    """Whether all masks hold 0 and 255 only: black and white, where 255 is the class 1 and nothing is ignored."""
    return counts.nonzero().flatten().tolist() == [0, IGNORED]


def mask_classes(counts: Tensor, names: Sequence[str] | None, source: str) -> tuple[str, ...]:
    """The classes that these codes need: their `names`, or their numbers from 0 on.

    Shapes: counts (256,), see `code_counts`.

    Raises:
        DataError: a single class, or codes that cannot be class codes.
        ConfigError: a name that stands twice.
    """
    codes = counts[:IGNORED].nonzero().flatten().tolist()
    if not codes:
        raise DataError("{source}: every pixel of the masks is ignored (255); there is nothing to learn", source=source)
    if len(codes) == 1:
        template = "{source}: the masks hold the class {code} only; there is nothing to tell apart"
        raise DataError(template, source=source, code=codes[0])
    if names is not None:
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            template = "data.classes names {name!r} twice; give each code a name of its own"
            raise ConfigError(template, path="data.classes", name=twice)
        return tuple(names)
    if codes[-1] > 2 * len(codes) + 8:
        shown = ", ".join(map(str, codes[:6])) + (", …" if len(codes) > 6 else "")
        template = (
            "{source}: the masks hold the values {shown}, which are no class codes; "
            "write codes from 0 on, or name every code in data.classes"
        )
        raise DataError(template, source=source, shown=shown)
    return tuple(str(code) for code in range(codes[-1] + 1))


def whole_mask(codes: NDArray[np.uint8], picture: Any) -> NDArray[np.uint8]:
    """A predicted mask at the size of the picture that it is of, by the nearest neighbour.

    Args:
        picture: as the user gave it: a path, `bytes` of a file, a PIL image, an array or tensor (HW, HWC or CHW).

    Raises:
        DataError: the picture cannot be read any more.
    """
    from PIL import Image

    try:
        width, height = _size(picture)
    except (OSError, SyntaxError, ValueError) as error:
        template = "{value} cannot be read as a picture: {reason}"
        raise DataError(template, value=picture, reason=because(error)) from error
    if codes.shape == (height, width):
        return codes
    return np.array(Image.fromarray(codes).resize((width, height), Image.Resampling.NEAREST))


def _size(picture: Any) -> tuple[int, int]:
    """Width and height."""
    from PIL import Image

    if isinstance(picture, str | Path | bytes):
        with Image.open(io.BytesIO(picture) if isinstance(picture, bytes) else picture) as image:
            return int(image.width), int(image.height)
    if isinstance(picture, Image.Image):
        return picture.size
    shape = tuple(np.shape(picture))
    first = len(shape) == 3 and shape[-1] not in (1, 3, 4)
    return (shape[2], shape[1]) if first else (shape[1], shape[0])
