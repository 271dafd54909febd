"""A tokenizer of characters: every character of the training text has a code, all others share the unknown one."""

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from netwright.data.ragged import Ragged
from netwright.data.tokenizing.base import SPECIAL, UNKNOWN, Tokenizer, listed, lowered

__all__ = ["CharTokenizer", "code_points", "text_of"]

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def code_points(content: str) -> Tensor:
    """The characters of a text as numbers. Shapes: -> (T,) int64."""
    return torch.from_numpy(
        np.frombuffer(content.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.int64)
    )


def text_of(points: Tensor) -> str:
    """Undo of `code_points`. Shapes: (T,)."""
    return points.cpu().numpy().astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")


@final
class CharTokenizer(Tokenizer):
    """Codes of characters, in the order of their code points behind the special codes.

    Shapes: `codes` maps code points to codes, any shape; `encode` gives (T,) int64; `decode` takes (T,).
    """

    kind = "characters"

    def __init__(self, characters: str, lower: bool = False) -> None:
        self.characters, self.lower = characters, lower
        points = [ord(character) for character in characters]
        self._lookup = torch.full((max(points, default=0) + 2,), UNKNOWN)
        self._lookup[points] = torch.arange(len(SPECIAL), len(SPECIAL) + len(points))

    @classmethod
    def of(cls, points: Tensor, lower: bool = False) -> "CharTokenizer":
        """A code for every character of a text. Shapes: points (T,) int64 code points."""
        return cls("".join(map(chr, points.unique().tolist())), lower)

    @classmethod
    def fitted(cls, texts: Sequence[str], lower: bool = False) -> "CharTokenizer":
        """A code for every character of the texts."""
        found: set[str] = set().union(*(lowered(text) if lower else text for text in texts))
        return cls("".join(sorted(found)), lower)

    def __len__(self) -> int:
        return len(self.characters) + len(SPECIAL)

    def codes(self, points: Tensor) -> Tensor:
        """Code points to codes."""
        if self._lookup.device != points.device:
            self._lookup = self._lookup.to(points.device)
        return self._lookup[points.clamp(max=len(self._lookup) - 1)]

    def ragged(self, texts: Sequence[str]) -> Ragged:
        """Many texts at once."""
        texts = [self.spelled(text) for text in texts]
        lengths = torch.tensor([len(text) for text in texts], dtype=torch.int64)
        return Ragged.cut_at(self.codes(code_points("".join(texts))), lengths)

    def spans(self, text: str) -> tuple[Tensor, Tensor]:
        """A code a character."""
        places = torch.arange(len(text))
        return self.codes(code_points(self.spelled(text))), torch.stack([places, places + 1], dim=1)

    def spelled(self, text: str) -> str:
        """As it stands, or in small letters."""
        return lowered(text) if self.lower else text

    def decode(self, codes: Tensor | Sequence[int], skip_special: bool = True) -> str:
        """Codes as text; the unknown one becomes U+FFFD."""
        first = len(SPECIAL)
        kept = (code for code in listed(codes) if code >= first or code == UNKNOWN or not skip_special)
        return "".join(
            self.characters[code - first] if code >= first else _REPLACEMENT if code == UNKNOWN else SPECIAL[code]
            for code in kept
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form, as in `tokenizer.json`."""
        return {"type": self.kind, "special": list(SPECIAL), "lower": self.lower, "characters": self.characters}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "CharTokenizer":
        """Undo of `to_dict`."""
        if tuple(values["special"]) != SPECIAL:
            raise ValueError("special codes")
        return cls(values["characters"], bool(values["lower"]))
