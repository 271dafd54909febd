"""A tokenizer of characters: every character of the training text has a code, all others share code 0."""

from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor

__all__ = ["CharTokenizer"]

UNKNOWN = 0
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@final
class CharTokenizer:
    """Codes of characters, in the order of their code points from 1 on; 0 is unknown.

    Shapes: `codes` maps code points to codes, any shape; `encode` gives (T,) int64; `decode` takes (T,).
    """

    def __init__(self, characters: str) -> None:
        self.characters = characters
        points = [ord(character) for character in characters]
        self._lookup = torch.zeros(max(points, default=0) + 2, dtype=torch.int64)
        self._lookup[points] = torch.arange(1, len(points) + 1)

    @classmethod
    def of(cls, points: Tensor) -> "CharTokenizer":
        """A code for every character of a text. Shapes: points (T,) int64 code points."""
        return cls("".join(map(chr, points.unique().tolist())))

    def __len__(self) -> int:
        """Size of the vocabulary, the unknown character included."""
        return len(self.characters) + 1

    def codes(self, points: Tensor) -> Tensor:
        """Code points to codes."""
        if self._lookup.device != points.device:
            self._lookup = self._lookup.to(points.device)
        return self._lookup[points.clamp(max=len(self._lookup) - 1)]

    def encode(self, text: str) -> Tensor:
        """A text as codes."""
        return self.codes(torch.tensor([ord(character) for character in text], dtype=torch.int64))

    def decode(self, codes: Tensor | Sequence[int]) -> str:
        """Codes as text; the unknown one becomes U+FFFD."""
        listed = codes.tolist() if isinstance(codes, Tensor) else codes
        return "".join(self.characters[code - 1] if code else _REPLACEMENT for code in listed)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form, as in `tokenizer.json`."""
        return {"type": "characters", "unknown": UNKNOWN, "characters": self.characters}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "CharTokenizer":
        """Undo of `to_dict`."""
        return cls(values["characters"])
