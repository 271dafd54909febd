"""Pictures with masks: two folders whose files go together by their name without the suffix (`a/1.jpg`, `a/1.png`),
or two such folders in each part of an official split.

A mask has one channel whose values are class codes, 255 for pixels that do not count. Masks that are black and white
(0 and 255 only) have two classes, and nothing is ignored. Every file is decoded once when the data are loaded.
Letters: N examples, H height, W width.
"""

import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from netwright.core.errors import DataError, because
from netwright.core.messages import say
from netwright.core.schemas import NonNegative, Size
from netwright.data.dataset import BadRow, Dataset, PairedFiles, TensorDataset
from netwright.data.masks import IGNORED, binary_codes, code_counts, mask_classes, read_mask
from netwright.data.pictures import SUFFIXES, in_parallel, picture_head, pictures_below, read_picture
from netwright.data.policy import Bad, missing_file, settle
from netwright.data.schema import Schema, Target
from netwright.data.sources.image_folder import part_folders
from netwright.data.sources.loaded import PARTS, Loaded, Origin, official_parts

__all__ = ["lies_as_pairs", "load"]

_LARGEST, _USUAL = 1024, 256  # a side up to which pictures of one size keep it; a side that others are brought to

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class _Pair:
    """The two files of an example; `name` is what they share. `counts` are pixels of each code, see `code_counts`."""

    name: str
    picture: str
    mask: str
    size: tuple[int, int] = (0, 0)
    grey: bool = True
    counts: Tensor | None = None
    pixels: Tensor | None = None
    codes: Tensor | None = None


@dataclass(frozen=True)
class _Place:
    """Two folders that go together; `part` is the name of the folder of the official split that holds both."""

    part: str
    pictures: Path
    masks: Path


def load(
    path: str,
    *,
    masks: str | None = None,
    classes: list[str] | None = None,
    image_size: Size | None = None,
    channels: Literal[1, 3] | None = None,
    memory_gb: NonNegative = 1.0,
    bad: Bad | None = None,
    split: dict[str, Any] | None = None,
    like: Schema | None = None,
) -> Loaded:
    """A folder of pictures and one of their masks.

    Args:
        path, masks: the two folders; without `masks`, those called `images` and `masks` below `path`, or below each of
            its `train`, `validation` and `test`.
        classes: names of the codes 0, 1, …; by default their numbers, up to the largest that occurs.
        image_size: pixels a side that all are stretched to; by default their own size where all are alike, otherwise
            that of the median shorter side, at most 256.
        channels, memory_gb, like: as for a folder of pictures.

    Raises:
        DataError: empty folders, nothing that goes together, a single class, too many damaged examples.
    """
    places = [_Place("", Path(path), Path(masks))] if masks is not None else _places(Path(path))
    found = [_paired(place) for place in places]
    pairs = [pair for good, _ in found for pair in good]
    reasons = {file: reason for _, wrong in found for file, reason in wrong.items()}
    total = len(pairs) + len(reasons)
    whole = _sorted_out(in_parallel(_looked_at, pairs), reasons)
    shape = _shape(whole, image_size, channels)
    if like is not None and len(like.input_shape) == 3:
        shape = like.input_shape[0], like.input_shape[1], like.input_shape[2]
    resident = len(whole) * (shape[0] + 1) * shape[1] * shape[2] <= memory_gb * 1e9
    whole = _sorted_out(in_parallel(partial(_decoded, shape=shape, keep=resident), whole), reasons)
    if not whole:
        _settled(reasons, total, bad, path)
    counts = torch.stack([pair.counts for pair in whole if pair.counts is not None])
    known = like.target.classes if like is not None else classes
    binary = binary_codes(counts.sum(0)) and (known is None or len(known) == 2)
    if binary:
        counts[:, 1], counts[:, IGNORED] = counts[:, IGNORED].clone(), 0
    names = like.target.classes if like is not None else mask_classes(counts.sum(0), classes, str(places[0].masks))
    good = _within(counts, names, [pair.mask for pair in whole], reasons)
    problems = _settled(reasons, total, bad, path)
    whole, counts = [whole[row] for row in good.tolist()], counts[good]
    schema = Schema("image", shape, "uint8", Target("mask", names))
    dataset = _dataset(whole, counts, schema, Path(path).name, problems, binary)
    parts = _parts(Path(path) if places[0].part else places[0].pictures, whole)
    return Loaded(dataset, Origin(path), total, problems, official_parts(parts), _keys(whole))


def lies_as_pairs(path: Path) -> bool:
    """Whether folders called `images` and `masks` lie below a path, or below each part of its official split."""
    return path.is_dir() and all(place.pictures.is_dir() and place.masks.is_dir() for place in _places(path))


def _places(path: Path) -> list[_Place]:
    parts = {} if (path / "images").is_dir() or not path.is_dir() else part_folders(path)
    folders = {part.name: part for part in parts.values()} or {"": path}
    return [_Place(name, folder / "images", folder / "masks") for name, folder in folders.items()]


def _paired(place: _Place) -> tuple[list[_Pair], dict[str, str]]:
    """Files that go together, and what is wrong with each of the others, by its path."""
    pictures, reasons = _files(place.pictures, "data.path", without=place.masks)
    drawn, more = _files(place.masks, "data.masks", without=place.pictures)
    both = sorted(pictures.keys() & drawn.keys())
    if not both:
        template = "no file below {masks} has the name of one below {folder} ({name}); masks and pictures pair by name"
        raise DataError(template, masks=place.masks, folder=place.pictures, name=next(iter(pictures)))
    reasons |= more
    reasons |= {pictures[name]: say("it has no mask") for name in pictures.keys() - drawn.keys()}
    reasons |= {drawn[name]: say("the mask of no picture") for name in drawn.keys() - pictures.keys()}
    return [_Pair(os.path.join(place.part, name), pictures[name], drawn[name]) for name in both], reasons


def _files(folder: Path, setting: str, without: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Every picture below a folder by its path without the suffix, and what is wrong with those whose name is taken;
    the folder `without` may lie below it.
    """
    if not folder.is_dir():
        raise missing_file(folder)
    found: dict[str, str] = {}
    twice: dict[str, str] = {}
    for path in pictures_below(folder, without):
        name = str(Path(path).relative_to(folder).with_suffix(""))
        if name in found:
            twice[path] = say("{other} has the same name", other=Path(found[name]).name)
        else:
            found[name] = path
    if not found:
        suffixes = ", ".join(SUFFIXES[:4])
        template = "{path} holds no pictures ({suffixes}); check {setting}"
        raise DataError(template, path=folder, suffixes=suffixes, setting=setting)
    return found, twice


def _looked_at(pair: _Pair) -> _Pair | BadRow:
    """The sizes of both files, without decoding."""
    picture, mask = picture_head(pair.picture), picture_head(pair.mask)
    if isinstance(picture, str):
        return BadRow(pair.picture, picture)
    if isinstance(mask, str):
        return BadRow(pair.mask, mask)
    if mask[:2] != picture[:2]:
        got, wanted = (f"{width}x{height}" for width, height, _ in (mask, picture))
        return BadRow(pair.mask, say("a mask of {got} pixels for a picture of {wanted}", got=got, wanted=wanted))
    return replace(pair, size=picture[:2], grey=picture[2])


def _decoded(pair: _Pair, shape: Shape, keep: bool) -> _Pair | BadRow:
    """The codes of a whole mask counted; with `keep` the pixels of both, too."""
    at = pair.mask
    try:
        counts, codes = code_counts(read_mask(pair.mask)).int(), read_mask(pair.mask, (shape[1], shape[2]))
        at = pair.picture
        pixels = read_picture(pair.picture, shape, whole=True)
    except Exception as error:  # decoders fail in every way that bytes can be wrong
        return BadRow(at, because(error) or type(error).__name__)
    return replace(pair, counts=counts, pixels=pixels, codes=codes) if keep else replace(pair, counts=counts)


def _sorted_out(looks: Sequence[_Pair | BadRow], reasons: dict[str, str]) -> list[_Pair]:
    reasons |= {look.place: look.reason for look in looks if isinstance(look, BadRow)}
    return [look for look in looks if isinstance(look, _Pair)]


def _within(counts: Tensor, names: Sequence[str], masks: Sequence[str], reasons: dict[str, str]) -> Tensor:
    """Rows whose codes all have a class; the others are given a reason. Shapes: counts (N, 256) -> (M,)."""
    outside = counts[:, len(names) : IGNORED] > 0
    for row in outside.any(1).nonzero().flatten().tolist():
        code = len(names) + int(outside[row].nonzero()[0])
        template = "class code {code} is outside the {count} classes (0 to {last})"
        reasons[masks[row]] = say(template, code=code, count=len(names), last=len(names) - 1)
    return (~outside.any(1)).nonzero().flatten()


def _settled(reasons: Mapping[str, str], total: int, bad: Bad | None, path: str) -> list[BadRow]:
    problems = [BadRow(place, reasons[place]) for place in sorted(reasons)]
    settle(problems, total, bad, path)
    return problems


def _shape(pairs: Sequence[_Pair], image_size: int | None, channels: int | None) -> Shape:
    sizes = [pair.size for pair in pairs]
    depth = channels or (1 if all(pair.grey for pair in pairs) else 3)
    if image_size is None and len(set(sizes)) == 1 and max(width_height := sizes[0]) <= _LARGEST:
        return depth, width_height[1], width_height[0]
    median = int(statistics.median(min(size) for size in sizes)) if sizes else _USUAL
    side = image_size or min(_USUAL, median)
    return depth, side, side


def _dataset(
    pairs: Sequence[_Pair], counts: Tensor, schema: Schema, name: str, problems: Sequence[BadRow], binary: bool
) -> Dataset:
    """In memory where the pixels were kept, otherwise read as needed."""
    pixels = [pair.pixels for pair in pairs if pair.pixels is not None]
    codes = [pair.codes for pair in pairs if pair.codes is not None]
    if len(pixels) == len(pairs):
        masks = torch.stack(codes)
        masks = torch.where(masks == IGNORED, 1, masks).to(torch.uint8) if binary else masks
        return TensorDataset(torch.stack(pixels), masks, schema, name, problems)
    items = [(pair.picture, pair.mask) for pair in pairs]
    channels, height, width = schema.input_shape
    read = partial(_read_both, shape=(channels, height, width), binary=binary)
    return PairedFiles(items, counts, read, schema, name, problems=problems)


def _read_both(paths: tuple[str, str], shape: Shape, binary: bool) -> tuple[Tensor, Tensor]:
    return read_picture(paths[0], shape, whole=True), read_mask(paths[1], (shape[1], shape[2]), binary)


def _parts(folder: Path, pairs: Sequence[_Pair]) -> Tensor:
    """The part of an official split that each example is of. Shapes: -> (N,)."""
    part_of = {place.name: PARTS.index(part) for part, place in part_folders(folder).items()}
    return torch.tensor([part_of.get(Path(pair.name).parts[0], 0) for pair in pairs])


def _keys(pairs: Sequence[_Pair]) -> dict[str, Tensor]:
    """The sub folder of each example (a patient, a film), to group by."""
    folders = [str(Path(pair.name).parent) for pair in pairs]
    codes = {folder: float(code) for code, folder in enumerate(sorted(set(folders)))}
    return {"folder": torch.tensor([codes[folder] for folder in folders])} if len(codes) > 1 else {}
