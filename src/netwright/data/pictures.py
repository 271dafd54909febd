"""Reading one picture into the shape that a data set has: uint8 (C, H, W).

A picture of another size is scaled so that its shorter side fits and cut to the middle; for masks, where every pixel
counts, it is stretched whole. Grey and colour are converted.
"""

import io
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from netwright.core.errors import DataError, because
from netwright.core.messages import say

__all__ = ["SUFFIXES", "in_parallel", "picture_head", "pictures_below", "read_picture", "to_picture"]

T = TypeVar("T")

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
_MODES = {1: "L", 3: "RGB"}


def read_picture(path: str | Path | io.BytesIO, shape: tuple[int, int, int], whole: bool = False) -> Tensor:
    """Decode a file. Shapes: -> `shape`, uint8.

    Args:
        whole: stretch a picture of other proportions, instead of cutting it.

    Raises:
        OSError, ValueError, SyntaxError: what Pillow says of a damaged file.
    """
    from PIL import Image

    with Image.open(path) as image:
        image.draft(_MODES[shape[0]], (2 * shape[2], 2 * shape[1]))  # lets JPEG skip detail that scaling would drop
        return _fit(image, shape, whole)


def picture_head(path: str) -> tuple[int, int, bool] | str:
    """Width, height and whether it is grey, without decoding; or what is wrong with the file."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return image.width, image.height, image.mode in ("1", "L", "I;16", "I")
    except UnidentifiedImageError:
        return say("empty file") if os.path.getsize(path) == 0 else say("not a picture, or damaged at its beginning")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return because(error)


def pictures_below(folder: Path, without: Path | None = None) -> Iterator[str]:
    """Every picture below a folder, folder by folder in the order of their names; hidden files are none.

    Args:
        without: a folder below it that is passed over.
    """
    for place, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if Path(place, name) != without)
        for file in sorted(files):
            if file.lower().endswith(SUFFIXES) and not file.startswith("."):
                yield os.path.join(place, file)


def in_parallel(work: Callable[..., T], items: Sequence[Any]) -> list[T]:
    """`work` done on each item, in threads, because decoding lets go of Python's lock."""
    with ThreadPoolExecutor(min(16, (os.cpu_count() or 1) + 2)) as pool:
        return list(pool.map(work, items))


def to_picture(value: Any, shape: tuple[int, int, int], whole: bool = False) -> Tensor:
    """A user's picture as a raw example: path, `bytes` of a file, PIL image, array or tensor (HW, HWC or CHW; whole
    numbers from 0 to 255, or floats in [0, 1]).

    Shapes: -> `shape`, uint8.

    Raises:
        DataError: no such file, not a picture, or an array of another rank or range.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        if isinstance(value, str | Path | bytes):
            return read_picture(io.BytesIO(value) if isinstance(value, bytes) else value, shape, whole)
        if isinstance(value, Image.Image):
            return _fit(value, shape, whole)
        return _fit(_from_array(np.asarray(value), shape), shape, whole)
    except FileNotFoundError as error:
        raise DataError("{path} does not exist", path=value) from error
    except UnidentifiedImageError as error:
        raise DataError("{path} is not a picture", path=_name(value)) from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        template = "{value} cannot be read as a picture: {reason}"
        raise DataError(template, value=_name(value), reason=because(error)) from error


def _fit(image: Any, shape: tuple[int, int, int], whole: bool) -> Tensor:
    from PIL import Image, ImageOps

    channels, height, width = shape
    if image.mode.startswith(("I;16", "I")) and image.mode != "L":
        image = Image.fromarray((np.asarray(image, dtype=np.float64) / 257).clip(0, 255).astype(np.uint8))
    if image.mode in ("P", "PA", "LA", "RGBA") and channels == 3:
        image = image.convert("RGBA")  # a palette first shows its colours, then transparency is put on white
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert(_MODES[channels])
    if image.size != (width, height) and whole:
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    elif image.size != (width, height):
        image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(image, dtype=np.uint8))
    return pixels[None] if channels == 1 else pixels.permute(2, 0, 1).contiguous()


def _from_array(pixels: Any, shape: tuple[int, int, int]) -> Any:
    from PIL import Image

    if pixels.ndim == 3 and pixels.shape[-1] not in (1, 3, 4) and pixels.shape[0] in (1, 3, 4):
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[-1] not in (3, 4)):
        got = tuple(pixels.shape)
        raise ValueError(say("shape {got}; expected {shape}, (H, W) or (H, W, 3)", got=got, shape=shape))
    if pixels.dtype.kind == "f":
        if not np.isfinite(pixels).all() or pixels.min() < 0 or pixels.max() > 1:
            raise ValueError(say("floats outside 0 to 1; give bytes from 0 to 255 or floats from 0 to 1"))
        pixels = np.rint(pixels * 255)
    if pixels.min() < 0 or pixels.max() > 255:
        raise ValueError(say("numbers outside 0 to 255"))
    return Image.fromarray(pixels.astype(np.uint8))


def _name(value: Any) -> str:
    return str(value) if isinstance(value, str | Path) else type(value).__name__
