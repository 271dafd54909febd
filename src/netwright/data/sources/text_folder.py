"""A folder of texts: a sub folder a class with `.txt` files in it, perhaps inside `train`, `validation` and `test`."""

import os
from pathlib import Path
from typing import Any, Literal

import torch

from netwright.core.errors import DataError
from netwright.core.messages import say
from netwright.data.alike import class_codes
from netwright.data.dataset import BadRow
from netwright.data.policy import Bad, missing_file, settle
from netwright.data.schema import Column, Schema, Target
from netwright.data.sources import text as plain
from netwright.data.sources.delimited import read_lines
from netwright.data.sources.image_folder import part_folders
from netwright.data.sources.loaded import PARTS, Loaded, Origin, official_parts
from netwright.data.texts import TextDataset
from netwright.data.tokenizing.settings import token_settings

__all__ = ["has_classes", "load"]


def load(
    path: str,
    *,
    target: Literal["folder", "none"] = "folder",
    tokens: dict[str, Any] | None = None,
    encoding: str = "utf-8",
    bad: Bad | None = None,
    split: dict[str, Any] | None = None,
    like: Schema | None = None,
) -> Loaded:
    """A folder of class folders.

    Args:
        target: `none` reads all files as one text, for a language model.
        tokens: see `TokenSettings`.
        like: a settled schema to read by, for new data (`load_like`).

    Raises:
        DataError: no texts, too many that are empty or undecodable, a class that training did not have.
    """
    if target == "none":
        return plain.load(path, encoding=encoding, tokens=tokens, bad=bad)
    folder = Path(path)
    if not folder.is_dir():
        raise missing_file(folder)
    files = _files(folder)
    texts, kept, problems = list[str](), list[tuple[Path, str, int]](), list[BadRow]()
    for file, label, part in files:
        content = _text(file, encoding)
        if isinstance(content, BadRow):
            problems.append(content)
        else:
            texts.append(content)
            kept.append((file, label, part))
    settle(problems, len(files), bad, path)
    labels = [label for _, label, _ in kept]
    classes = like.target.classes if like is not None else tuple(sorted(set(labels)))
    codes = class_codes(labels, classes, path)
    settings = like.tokens if like is not None else token_settings(tokens)
    column = Column("text", "text", unique=len(set(texts)))
    schema = Schema("text", (), "int64", Target("class", classes, ("folder",)), (column,), tokens=settings)
    dataset = TextDataset(texts, codes, schema, folder.name, problems=problems)
    parts = torch.tensor([part for *_, part in kept])
    places = [str(file) for file, *_ in kept]
    return Loaded(dataset, Origin(path), len(files), problems, official_parts(parts), place=lambda row: places[row])


def has_classes(folder: Path) -> bool:
    """Whether all texts stand in two class folders or more."""
    place = part_folders(folder).get("train", folder)
    inside = {path.relative_to(place).parts[0] for path in plain.text_files(place)}
    return len(inside) > 1 and not any((place / name).is_file() for name in inside)


def _files(folder: Path) -> list[tuple[Path, str, int]]:
    """Each file with its class and the part of the split it is in."""
    found = []
    for name, place in (part_folders(folder) or {"train": folder}).items():
        for inside, folders, files in os.walk(place, followlinks=True):
            folders.sort()
            label = Path(inside).relative_to(place).parts[:1]
            for file in sorted(file for file in files if file.lower().endswith(".txt")):
                if not label:
                    template = "{stray} stands beside the class folders; move it into one"
                    raise DataError(template, stray=Path(inside) / file)
                found.append((Path(inside) / file, label[0], PARTS.index(name)))
    return found


def _text(file: Path, encoding: str) -> str | BadRow:
    if not file.read_bytes().strip():
        return BadRow(str(file), say("the text is empty"))
    lines, problems = read_lines(file, encoding)
    return problems[0] if problems else "\n".join(lines)
