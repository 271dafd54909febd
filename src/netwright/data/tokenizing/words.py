"""A tokenizer of words: the commonest words of the training texts have a code each, all others share the unknown one.

A word is a run of letters and digits, with their accents and vowel signs and the apostrophes inside it; every other
sign that is no space is a word of its own, and so is each Chinese or Japanese character, because no space parts those.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor

from netwright.data.ragged import Ragged
from netwright.data.tokenizing.base import SPECIAL, UNKNOWN, Tokenizer, listed, lowered

__all__ = ["WORD", "WordTokenizer"]

_ALONE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# Without these, which `\w` leaves out, words of Hindi or Thai and letters with an accent of their own fall to pieces.
# Those of rare scripts, behind U+FFFF, would make the search three times as slow.
_MARKS = "".join(chr(code) for code in range(0x300, 0x10000) if unicodedata.category(chr(code)).startswith("M"))
_LETTERS = rf"[^\W{_ALONE}]"
_RUN = rf"{_LETTERS}+(?:[{_MARKS}]+{_LETTERS}*)*"
WORD = re.compile(rf"[{_ALONE}]|{_RUN}(?:['’]{_RUN})*|[^\w\s]")


@final
class WordTokenizer(Tokenizer):
    """Codes of words, the commonest first, behind the special codes.

    Shapes: `encode` gives (T,) int64; `decode` takes (T,) and joins words by spaces, so that texts come back roughly.
    """

    kind = "words"

    def __init__(self, words: Sequence[str], lower: bool = False) -> None:
        self.words, self.lower = tuple(words), lower
        self._codes = {word: code for code, word in enumerate(self.words, start=len(SPECIAL))}

    @classmethod
    def fitted(cls, texts: Sequence[str], size: int, lower: bool = False, min_count: int = 1) -> "WordTokenizer":
        """The commonest words of the texts; of equally common ones those that sort first.

        Args:
            size: most codes, the special ones included.
            min_count: rarer words get no code.
        """
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(WORD.findall(lowered(text) if lower else text))
        ordered = sorted((word for word, n in counts.items() if n >= min_count), key=lambda word: (-counts[word], word))
        return cls(ordered[: max(0, size - len(SPECIAL))], lower)

    def __len__(self) -> int:
        return len(self.words) + len(SPECIAL)

    def ragged(self, texts: Sequence[str]) -> Ragged:
        """Many texts at once."""
        code = self._codes.get
        return Ragged.of([[code(word, UNKNOWN) for word in self._cut(text)] for text in texts])

    def spans(self, text: str) -> tuple[Tensor, Tensor]:
        """A code a word."""
        found = list(WORD.finditer(lowered(text) if self.lower else text))
        codes = torch.tensor([self._codes.get(match[0], UNKNOWN) for match in found], dtype=torch.int64)
        return codes, torch.tensor([match.span() for match in found], dtype=torch.int64).view(-1, 2)

    def spelled(self, text: str) -> str:
        """Its words with spaces between them."""
        return " ".join(self._cut(text))

    def _cut(self, text: str) -> list[str]:
        words: list[str] = WORD.findall(lowered(text) if self.lower else text)
        return words

    def decode(self, codes: Tensor | Sequence[int], skip_special: bool = True) -> str:
        """Words with spaces between them; an unknown word is `<unk>`."""
        first = len(SPECIAL)
        return " ".join(
            self.words[code - first] if code >= first else SPECIAL[code]
            for code in listed(codes)
            if code >= first or code == UNKNOWN or not skip_special
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form, as in `tokenizer.json`."""
        return {"type": self.kind, "special": list(SPECIAL), "lower": self.lower, "words": list(self.words)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "WordTokenizer":
        """Undo of `to_dict`."""
        if tuple(values["special"]) != SPECIAL:
            raise ValueError("special codes")
        return cls(values["words"], bool(values["lower"]))
