"""Plain text for language models: a file, or a folder of `.txt` files.

A text is one long stream of characters; its lines are what can be bad (not UTF-8). Windows are cut later, in batching.
"""

import gzip
from pathlib import Path
from typing import Any

import torch

from netwright.core.errors import DataError
from netwright.data.dataset import BadRow, TensorDataset
from netwright.data.policy import Bad, settle
from netwright.data.schema import Schema, Target
from netwright.data.sources.delimited import read_lines
from netwright.data.sources.loaded import PARTS, Loaded, Origin
from netwright.data.tokenizing.characters import code_points
from netwright.data.tokenizing.settings import token_settings

__all__ = ["load", "load_glosses", "of_string", "text_files"]

_GLOSSES = Path(__file__).parents[1] / "bundled" / "glosses.txt.gz"


def load(
    path: str,
    *,
    encoding: str = "utf-8",
    validation_path: str | None = None,
    test_path: str | None = None,
    tokens: dict[str, Any] | None = None,
    bad: Bad | None = None,
    split: dict[str, Any] | None = None,
) -> Loaded:
    """A text file, or all `.txt` files of a folder in the order of their names.

    Args:
        tokens: see `TokenSettings`.
        validation_path, test_path: files of an official split; otherwise contiguous blocks are cut off the end.

    Raises:
        DataError: missing or empty, or too many lines that are not UTF-8; names file, line and byte.
    """
    parts, problems, total = dict[str, str](), list[BadRow](), 0
    for name, file in zip(PARTS, (path, validation_path, test_path), strict=True):
        if file is not None:
            parts[name], found, count = _read(Path(file), encoding)
            problems, total = problems + found, total + count
    settle(problems, total, bad, path)
    return _loaded(parts, Path(path).name, Origin(path), problems, tokens)


def load_glosses() -> Loaded:
    """The bundled definitions from WordNet 3.0 (Miller, "WordNet: a lexical database for English", 1995)."""
    content = gzip.decompress(_GLOSSES.read_bytes()).decode("ascii")
    return _loaded({"train": content}, "glosses", Origin("netwright (bundled), from WordNet 3.0", "WordNet 3.0"), [])


def of_string(content: str, name: str = "text") -> Loaded:
    """A text that is already in memory."""
    return _loaded({"train": content}, name, Origin("given in Python"), [])


def text_files(folder: Path) -> list[Path]:
    """All `.txt` files of a folder and those in it, in the order of their names; `.TXT` is one."""
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() == ".txt" and file.is_file())


def _read(path: Path, encoding: str) -> tuple[str, list[BadRow], int]:
    files = text_files(path) if path.is_dir() else [path]
    texts, problems, total = list[str](), list[BadRow](), 0
    for file in files:
        lines, found = read_lines(file, encoding)
        bad = {int(problem.place.rpartition(":")[2]) for problem in found}
        texts.append("\n".join(line for number, line in enumerate(lines, start=1) if number not in bad))
        problems, total = problems + found, total + len(lines)
    return "\n".join(texts), problems, total


def _loaded(
    parts: dict[str, str], name: str, origin: Origin, problems: list[BadRow], tokens: dict[str, Any] | None = None
) -> Loaded:
    streams = {part: code_points(content) for part, content in parts.items()}
    stream = torch.cat(list(streams.values()))
    if len(stream) < 2:
        raise DataError("{source} is empty; there is nothing to learn from", source=origin.source)
    official, start = {}, 0
    for part, piece in streams.items():
        official[part] = torch.arange(start, start + len(piece))
        start += len(piece)
    schema = Schema("text", (), "int64", Target("next-token"), tokens=token_settings(tokens, "characters"))
    dataset = TensorDataset(stream, torch.empty(0, dtype=torch.int64), schema, name, problems)
    return Loaded(dataset, origin, len(stream), problems, official if len(official) > 1 else {})
