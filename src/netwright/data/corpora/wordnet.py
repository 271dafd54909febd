"""WordNet's glosses: a word with what it means and how it is used, a line each.

Miller, "WordNet: a lexical database for English", 1995. Lines come in the order of their hashes, so that what stands
beside one another has nothing in common, and the parts are alike.
"""

import hashlib
from pathlib import Path

from netwright.core.errors import DataError
from netwright.data.corpora.shares import part_of

__all__ = ["gloss", "read"]

FOLDER = Path("/usr/share/wordnet")
_KINDS = {"noun": "n.", "verb": "v.", "adj": "adj.", "adv": "adv."}


def read(folder: Path = FOLDER) -> dict[str, list[dict[str, str]]]:
    """Rows {text}: `word (kind): gloss`, each gloss once.

    Raises:
        DataError: WordNet is not installed.
    """
    lines: dict[str, str] = {}
    for kind, short in _KINDS.items():
        path = folder / f"data.{kind}"
        if not path.is_file():
            raise DataError("{path} does not exist; run: apt install wordnet-base", path=path)
        for line in path.read_text("latin-1").splitlines():
            if not line.startswith("  ") and (found := gloss(line)):
                lines.setdefault(found[1], f"{found[0]} ({short}): {found[1]}")
    ordered = sorted(lines.values(), key=lambda line: hashlib.sha256(line.encode()).digest())
    parts: dict[str, list[dict[str, str]]] = {"train": [], "validation": [], "test": []}
    for line in ordered:
        parts[part_of(line, 0.02, 0.02)].append({"text": line})
    return parts


def gloss(line: str) -> tuple[str, str] | None:
    """Word and gloss of a line of the database; None where there is none, or where it is no plain ASCII."""
    head, bar, text = line.partition(" | ")
    fields = head.split(" ")
    if not bar or len(fields) < 5 or not text.strip().isascii():
        return None
    word = fields[4].partition("(")[0].replace("_", " ")
    return word, " ".join(text.split())
