"""A folder of pictures: a sub folder a class, perhaps inside `train`, `validation` and `test`; or no classes at all.

Every file is decoded once when the data are loaded, so that damaged ones are known before training. What fits in memory
stays there; more than that is read from the files as needed.
"""

import functools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from netwright.core.errors import DataError, because
from netwright.core.schemas import NonNegative, Size
from netwright.data.alike import class_codes
from netwright.data.dataset import BadRow, Dataset, FileDataset, TensorDataset
from netwright.data.pictures import SUFFIXES, in_parallel, picture_head, pictures_below, read_picture
from netwright.data.policy import Bad, missing_file, settle
from netwright.data.schema import Schema, Target
from netwright.data.sources.loaded import PARTS, Loaded, Origin, official_parts

__all__ = ["load", "part_folders"]

_PART_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev"),
    "test": ("test", "testing"),
}
_PICTURES = ("image", "images", "img", "imgs")
_MASKS = ("annotations", "gt", "label", "labels", "mask", "masks", "segmentation", "segmentations", "targets")
_LARGEST = 224  # pixels a side, unless the user says otherwise: what published networks take


@dataclass(frozen=True)
class _Entry:
    path: str
    label: str | None
    part: int


def load(
    path: str,
    *,
    image_size: Size | None = None,
    channels: Literal[1, 3] | None = None,
    memory_gb: NonNegative = 1.0,
    bad: Bad | None = None,
    split: dict[str, Any] | None = None,
    like: Schema | None = None,
) -> Loaded:
    """A folder of pictures.

    Args:
        image_size: pixels a side; by default that of the pictures if they are square and alike, otherwise that of the
            median shorter side, at most 224.
        channels: 1 or 3; by default 1 only if every picture is grey.
        memory_gb: decoded pictures up to this size are kept in memory (GB); more are read as needed.
        like: a settled schema to read by, for new data (`load_like`).

    Raises:
        DataError: no pictures, one class only, too many damaged files.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise missing_file(folder)
    entries = _entries(folder)
    if not entries:
        raise DataError(
            "{path} holds no pictures ({suffixes}); check data.path", path=path, suffixes=", ".join(SUFFIXES[:4])
        )
    heads = in_parallel(picture_head, [entry.path for entry in entries])
    whole = [place for place, head in enumerate(heads) if not isinstance(head, str)]
    shape = _shape([head for head in heads if not isinstance(head, str)], image_size, channels)
    if like is not None and len(like.input_shape) == 3:
        shape = like.input_shape[0], like.input_shape[1], like.input_shape[2]
    resident = len(whole) * shape[0] * shape[1] * shape[2] <= memory_gb * 1e9
    read = functools.partial(read_picture, shape=shape)
    pictures = dict(
        zip(whole, in_parallel(_try(read, keep=resident), [entries[place].path for place in whole]), strict=True)
    )
    good = [place for place in whole if not isinstance(pictures[place], str)]
    reasons = {place: result for place, result in enumerate(heads) if isinstance(result, str)}
    reasons |= {place: result for place, result in pictures.items() if isinstance(result, str)}
    problems = [BadRow(entries[place].path, reasons[place]) for place in sorted(reasons)]
    settle(problems, len(entries), bad, path)
    target, labels = _target([entries[place] for place in good], path, like)
    schema = Schema("image", shape, "uint8", target)
    dataset: Dataset
    if resident:
        dataset = TensorDataset(torch.stack([pictures[place] for place in good]), labels, schema, folder.name, problems)
    else:
        dataset = FileDataset(
            [entries[place].path for place in good], labels, read, schema, folder.name, problems=problems
        )
    parts = torch.tensor([entries[place].part for place in good])
    return Loaded(
        dataset, Origin(path), len(entries), problems, official_parts(parts), place=lambda row: entries[good[row]].path
    )


def part_folders(folder: Path) -> dict[str, Path]:
    """The folders of an official split: `train` with `validation` or `test` beside it; else nothing."""
    inside = {entry.name.lower(): entry for entry in folder.iterdir() if entry.is_dir()}
    found = {
        part: next(inside[name] for name in names if name in inside)
        for part, names in _PART_NAMES.items()
        if any(name in inside for name in names)
    }
    return found if "train" in found and len(found) > 1 else {}


def _entries(folder: Path) -> list[_Entry]:
    parts = part_folders(folder) or {"train": folder}
    entries = [entry for name, place in parts.items() for entry in _of_part(place, PARTS.index(name))]
    classes = {entry.label for entry in entries}
    if None not in classes and classes:
        _no_empty_class([place for place in parts.values() if place.is_dir()], classes)
    return entries


def _no_empty_class(folders: Sequence[Path], classes: set[str | None]) -> None:
    """A class folder without a picture is a mistake in the data, and would be a class less than the user thinks."""
    for place in folders:
        for entry in sorted(place.iterdir()):
            if entry.is_dir() and entry.name not in classes and not entry.name.startswith((".", "__")):
                raise DataError("{path} holds no pictures; add some or remove the folder", path=entry)


def _of_part(folder: Path, part: int) -> list[_Entry]:
    """Every picture below a folder; the first level of folders names the class, where there is one."""
    entries = []
    for path in pictures_below(folder):
        inside = Path(path).relative_to(folder).parts[:-1]
        entries.append(_Entry(path, inside[0] if inside else None, part))
    return entries


def _target(entries: Sequence[_Entry], path: str, like: Schema | None) -> tuple[Target, Tensor]:
    labels = [entry.label for entry in entries]
    classes = sorted({label for label in labels if label is not None})
    if not classes:
        return Target("none"), torch.zeros(len(entries), 0)
    if None in labels:
        stray = entries[labels.index(None)].path
        raise DataError(
            "{stray} stands beside the class folders ({classes}, …); move it into one", stray=stray, classes=classes[0]
        )
    if like is not None and like.target.kind == "class":
        return like.target, class_codes(labels, like.target.classes, path)
    _no_masks(classes, entries)
    if len(classes) == 1:
        template = "{path} has one class only ({label}); add a folder for each class, or put the pictures in no folder"
        raise DataError(template, path=path, label=classes[0])
    codes = {label: code for code, label in enumerate(classes)}
    return Target("class", tuple(classes)), torch.tensor([codes[str(label)] for label in labels])


def _no_masks(classes: Sequence[str], entries: Sequence[_Entry]) -> None:
    """Folders of pictures and of their masks are no classes, though they lie as classes do."""
    pictures = next((name for name in classes if name.lower() in _PICTURES), None)
    others = [name for name in classes if name != pictures]
    if pictures is None or len(others) > 1 or any(name.lower() not in _MASKS for name in others):
        return
    one = next(entry.path for entry in entries if entry.label == pictures)
    folder = next(place for place in Path(one).parents if place.name == pictures)
    template = (
        "{path} holds the folder {pictures} and no classes; set data.path={path}/{pictures}, and data.masks for masks"
    )
    raise DataError(template, path=folder.parent, pictures=pictures)


def _shape(
    heads: Sequence[tuple[int, int, bool]], image_size: int | None, channels: int | None
) -> tuple[int, int, int]:
    if not heads:
        return channels or 3, image_size or _LARGEST, image_size or _LARGEST
    sizes = {(width, height) for width, height, _ in heads}
    width, height = next(iter(sizes))
    if image_size is None and len(sizes) == 1 and width == height <= 2 * _LARGEST:
        image_size = width
    side = image_size or min(_LARGEST, int(statistics.median(min(w, h) for w, h, _ in heads)))
    return channels or (1 if all(grey for _, _, grey in heads) else 3), side, side


def _try(read: Any, keep: bool) -> Any:
    def attempt(path: str) -> Tensor | str | None:
        try:
            picture: Tensor = read(path)
        except Exception as error:  # decoders fail in every way that bytes can be wrong
            return because(error) or type(error).__name__
        return picture if keep else None

    return attempt
