"""MNI152: horizontal slices through the mean brain of 152 people, with their grey and white matter.

Fonov et al., "Unbiased average age-appropriate atlases for pediatric studies", 2011; the template of 2009 (symmetric,
1 mm) and its maps of tissue probabilities lie in the wheel of `nilearn` and are read where it is installed.

The honest split: neighbouring slices are nearly alike, so a slice drawn at random would be known from the ones above
and below it. Three stretches of `_BLOCK` slices are held out (lower, middle and upper brain, one for validation), and
`_GAP` slices on either side of each belong to no part. Figures then tell how well a network fills in a stretch of this
one, smooth mean brain; they tell nothing about the brains or the scanners of other people.
Letters: X, Y, Z places of a voxel (to the right, forward, up), N slices, H height, W width.
"""

import importlib.metadata
import importlib.util
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from netwright.core.errors import DataError, because, need
from netwright.data.dataset import TensorDataset
from netwright.data.schema import Schema, Target
from netwright.data.sources.loaded import Loaded, Origin
from netwright.data.split import apart

__all__ = ["CLASSES", "load"]

CLASSES = ("background", "grey matter", "white matter")
_FILE = "mni_icbm152_{map}_tal_nlin_sym_09a_converted.nii.gz"
_LEAST = 100  # pixels of grey and white matter that a slice has to hold
_STEP = 16  # height and width are multiples of it, so that four poolings halve them
_BLOCK, _GAP = 11, 3  # slices, which are millimetres
_HELD_OUT = {"test": (3, 9), "validation": (6,)}  # blocks, counted from below


def load() -> Loaded:
    """Pictures of the T1-weighted signal, masks of `CLASSES`, and the split that the module's text explains.

    Raises:
        MissingExtra: nilearn or nibabel is not installed.
        DataError: its files are missing or damaged.
    """
    folder = _folder()
    pictures, masks = _slices(*(_volume(folder / _FILE.format(map=name)) for name in ("t1", "gm", "wm")))
    schema = Schema("image", tuple(pictures.shape[1:]), "uint8", Target("mask", CLASSES))
    origin = Origin(f"nilearn {importlib.metadata.version('nilearn')}", "BSD-3-Clause")
    return Loaded(TensorDataset(pictures, masks, schema, "mni152"), origin, len(masks), official=_parts(len(masks)))


def _folder() -> Path:
    """Where nilearn keeps its files, without importing it: that takes seconds, and libraries that are not needed."""
    need("nibabel", "brain")
    found = importlib.util.find_spec("nilearn")
    if found is None or found.origin is None:
        need("nilearn", "brain")
    assert found is not None and found.origin is not None
    return Path(found.origin).parent / "datasets" / "data"


def _volume(path: Path) -> NDArray[np.float32]:
    """One map, scaled to [0, 1]. Shapes: -> (X, Y, Z)."""
    try:
        values: NDArray[np.float32] = need("nibabel", "brain").load(path).get_fdata(dtype=np.float32)
    except Exception as error:  # nibabel's own, zlib's and the system's
        template = "{path} cannot be read ({reason}); install nilearn again"
        raise DataError(template, path=path, reason=because(error)) from error
    values /= values.max()
    return values


def _slices(t1: NDArray[np.float32], grey: NDArray[np.float32], white: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
    """Slices with enough brain, cut to the box around it. Shapes: (X, Y, Z) -> (N, 1, H, W) and (N, H, W) uint8."""
    codes = np.where(white > 0.5, 2, np.where(grey > 0.5, 1, 0)).astype(np.uint8)
    enough = np.flatnonzero((codes > 0).sum((0, 1)) >= _LEAST)
    box = (_around(np.flatnonzero((t1 > 0).any((1, 2))), t1.shape[0]),
           _around(np.flatnonzero((t1 > 0).any((0, 2))), t1.shape[1]), slice(enough[0], enough[-1] + 1))  # fmt: skip
    pictures, masks = _upright(np.rint(t1[box] * 255).astype(np.uint8)), _upright(codes[box])
    return pictures[:, None], masks


def _upright(volume: NDArray[np.uint8]) -> Tensor:
    """Slices with the forehead up. Shapes: (X, Y, Z) -> (Z, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(volume.transpose(2, 1, 0)[:, ::-1]))


def _around(places: NDArray[np.int64], size: int) -> slice:
    """The stretch from the first to the last place, widened to a multiple of `_STEP` cells where there is room."""
    first, last = int(places[0]), int(places[-1]) + 1
    missing = -(last - first) % _STEP
    first = max(0, min(first - missing // 2, size - (last - first) - missing))
    return slice(first, first + (last - int(places[0])) + missing)


def _parts(count: int) -> dict[str, Tensor]:
    block = torch.arange(count) // _BLOCK
    held = {name: torch.isin(block, torch.tensor(blocks)) for name, blocks in _HELD_OUT.items()}
    rest = ~torch.stack(list(held.values())).any(0)
    parts = {"train": rest.nonzero().flatten(), **{name: rows.nonzero().flatten() for name, rows in held.items()}}
    return apart(parts, _GAP)
