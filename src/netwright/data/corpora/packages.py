"""Debian's packages as one graph: what depends on what, with the words of the synopsis; the class is the section.

Read from apt's lists. Nodes are the packages of the commonest sections; an edge is a dependency or a recommendation
between two of them. Packages of one source depend on each other and are of one section, so the split is by source.
"""

import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from netwright.core.errors import DataError
from netwright.data.corpora.shares import part_of
from netwright.data.corpora.synopses import LISTS, stanzas

__all__ = ["read"]

_FIELDS = ("Package", "Source", "Section", "Depends", "Pre-Depends", "Recommends", "Description", "Architecture")
_SECTIONS = 10
_WORDS = 400
_SHORTEST = 3  # letters of a word
_NONE = ("oldlibs", "metapackages", "debug", "translations", "misc")  # sections that say how a package came about


def read(folder: Path = LISTS) -> Mapping[str, Mapping[str, Any]]:
    """The arrays x, edge_index, y, train_mask, val_mask and test_mask of the graph, and the packages' names.

    Raises:
        DataError: no apt here, or it keeps no lists.
    """
    packages: dict[str, dict[str, str]] = {}
    for path in sorted(folder.glob("*_Packages*")) if shutil.which("apt-cache") else []:
        for fields in stanzas(path, _FIELDS):
            packages.setdefault(fields["Package"], fields)
    if not packages:
        template = "apt keeps no package descriptions in {folder}; run: apt-get update -o Acquire::Languages=en"
        raise DataError(template, folder=folder)
    sections = {name: _section(fields) for name, fields in packages.items()}
    counts = Counter(section for section in sections.values() if section not in _NONE)
    chosen = [section for section, _ in counts.most_common(_SECTIONS)]
    names = sorted(name for name, section in sections.items() if section in chosen)
    return {"graph": _arrays(names, packages, sections)}


def _section(fields: Mapping[str, str]) -> str:
    return fields.get("Section", "").rpartition("/")[2]


def _arrays(
    names: Sequence[str], packages: Mapping[str, Mapping[str, str]], sections: Mapping[str, str]
) -> dict[str, Any]:
    place = {name: number for number, name in enumerate(names)}
    edges = sorted({(number, place[other]) for name, number in place.items() for other in _needs(packages[name])
                    if other in place and other != name})  # fmt: skip
    sources = [packages[name].get("Source", name).partition(" ")[0] for name in names]
    parts = np.array([part_of(source, 0.1, 0.1) for source in sources])
    words = [_words(packages[name].get("Description", "")) for name in names]
    common = Counter(word for some, part in zip(words, parts, strict=True) if part == "train" for word in some)
    kept = sorted(common, key=lambda word: (-common[word], word))[:_WORDS]
    column = {word: k for k, word in enumerate(kept)}
    x = np.zeros((len(names), len(column)), dtype=np.float32)
    for row, some in enumerate(words):
        x[row, [column[word] for word in some if word in column]] = 1
    return {
        "x": x.astype(np.uint8), "edge_index": np.array(edges, dtype=np.int64).reshape(-1, 2).T,
        "y": np.array([sections[name] for name in names]), "names": np.array(names),
        "train_mask": parts == "train", "val_mask": parts == "validation", "test_mask": parts == "test",
    }  # fmt: skip


def _needs(fields: Mapping[str, str]) -> set[str]:
    """The packages that one names first among those it depends on or recommends."""
    text = ", ".join(fields.get(name, "") for name in ("Depends", "Pre-Depends", "Recommends"))
    return {re.split(r"[ (:|]", one.strip())[0] for one in text.split(",")} - {""}


def _words(synopsis: str) -> set[str]:
    first = synopsis.partition("\n")[0].lower()
    return {word for word in re.findall(r"[a-z][a-z+]*", first) if len(word) >= _SHORTEST}
