"""Synonyms from WordNet's own files, where the user installed them (Miller, "WordNet: a lexical database for English",
1995).

`index.noun` and its sisters list, for each word, where its sets of synonyms stand in `data.noun`; both are plain text.
"""

import re
from functools import cache
from pathlib import Path
from typing import final

from netwright.core.errors import DataError

__all__ = ["FOLDER", "WordNet", "wordnet"]

FOLDER = "/usr/share/wordnet"
_KINDS = ("noun", "verb", "adj", "adv")
_MARK = re.compile(r"\(\w+\)$")  # `galore(ip)`: where an adjective may stand


@final
class WordNet:
    """The sets of synonyms of a folder.

    Raises:
        DataError: it does not hold WordNet.
    """

    def __init__(self, folder: str = FOLDER) -> None:
        self._sets: dict[str, list[tuple[str, int]]] = {}
        self._content: dict[str, bytes] = {}
        for kind in _KINDS:
            try:
                index = (Path(folder) / f"index.{kind}").read_text("utf-8")
                self._content[kind] = (Path(folder) / f"data.{kind}").read_bytes()
            except OSError as error:
                template = "{folder} does not hold WordNet, where synonyms come from; run: apt install wordnet-base"
                raise DataError(template, folder=folder) from error
            for line in index.split("\n"):
                if line and not line.startswith(" "):  # the licence is set in
                    fields = line.split()
                    self._sets.setdefault(fields[0], []).extend((kind, int(at)) for at in fields[-int(fields[2]) :])
        self._known: dict[str, tuple[str, ...]] = {}

    def synonyms(self, word: str) -> tuple[str, ...]:
        """The other words of all sets that a word is in, sorted; none where it is not known."""
        key = word.lower()
        if key not in self._known:
            found = {other for kind, at in self._sets.get(key, ()) for other in self._words(kind, at)}
            self._known[key] = tuple(sorted(other for other in found if other.lower() != key))
        return self._known[key]

    def _words(self, kind: str, at: int) -> list[str]:
        """The words of one set: after three fields their number in base 16, then each with a number."""
        content = self._content[kind]
        fields = content[at : content.index(b"\n", at)].split(b" ")
        words = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
        return [_MARK.sub("", word.decode()).replace("_", " ") for word in words]


@cache
def wordnet(folder: str) -> WordNet:
    """The sets of a folder, read once."""
    return WordNet(folder)
