"""Debian's packages: from name and long description to the one line that sums it up.

Read from apt's lists: `Packages` says from which source a package is made, `Translation-en` holds the descriptions. The
packages of one source describe the same thing, so the split is by source; a description stands once.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from netwright.core.errors import DataError
from netwright.data.corpora.shares import part_of

__all__ = ["LISTS", "long_text", "read", "stanzas"]

LISTS = Path("/var/lib/apt/lists")
_HELPER = "/usr/lib/apt/apt-helper"
_SHORTEST, _LONGEST = 80, 1200  # characters of a description


def read(folder: Path = LISTS) -> dict[str, list[dict[str, str]]]:
    """Rows {text, synopsis}; a text is "name: description".

    Raises:
        DataError: no apt here, or it keeps no descriptions.
    """
    translations = sorted(folder.glob("*_i18n_Translation-en*")) if shutil.which("apt-cache") else []
    if not translations:
        template = "apt keeps no package descriptions in {folder}; run: apt-get update -o Acquire::Languages=en"
        raise DataError(template, folder=folder)
    sources: dict[str, str] = {}
    for path in sorted(folder.glob("*_Packages*")):
        for fields in stanzas(path, ("Package", "Source")):
            sources[fields["Package"]] = fields.get("Source", fields["Package"]).partition(" ")[0]
    parts: dict[str, list[dict[str, str]]] = {"train": [], "validation": [], "test": []}
    seen: set[str] = set()
    for path in translations:
        for fields in stanzas(path, ("Package", "Description-en")):
            synopsis, _, rest = fields.get("Description-en", "").partition("\n")
            text = long_text(rest)
            if not synopsis.strip() or not _SHORTEST <= len(text) <= _LONGEST or text in seen:
                continue
            seen.add(text)
            part = part_of(sources.get(fields["Package"], fields["Package"]), 0.03, 0.03)
            parts[part].append({"text": f"{fields['Package']}: {text}", "synopsis": synopsis.strip()})
    return parts


def long_text(description: str) -> str:
    """The first paragraphs of a description as one line: lists of files and options behind them are left out."""
    paragraphs = [" ".join(block.split()) for block in re.split(r"\n ?\.\n", description)]
    return " ".join(paragraphs[:2]).strip()


def stanzas(path: Path, names: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """The named fields of each stanza; continued lines are joined by line ends."""
    done = subprocess.run([_HELPER, "cat-file", str(path)], stdout=subprocess.PIPE, check=False)
    fields: dict[str, str] = {}
    name = ""
    for line in (*done.stdout.decode("utf-8", "replace").split("\n"), ""):
        if not line:
            if names[0] in fields:
                yield fields
            fields, name = {}, ""
        elif line[0] == " ":
            if name in names:
                fields[name] += "\n" + line
        else:
            name, _, value = line.partition(": ")
            name = name.rstrip(":")
            if name in names:
                fields[name] = value
