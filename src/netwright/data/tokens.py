"""A tokenizer of characters: every character of the training text has a code, all others share code 0."""

from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor

from netwright.core.errors import DataError
from netwright.data.dataset import Dataset
from netwright.data.preprocess import Preprocessor
from netwright.data.schema import Schema

__all__ = ["CharTokenizer", "TextPreprocessor"]

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


@final
class TextPreprocessor(Preprocessor):
    """Characters to codes. Shapes: raw (T,) or (B, T) code points -> the same shape, int64."""

    kind = "text"
    tokenizer: CharTokenizer

    def __init__(self, schema: Schema, tokenizer: CharTokenizer) -> None:
        super().__init__(schema)
        self.tokenizer = tokenizer

    @classmethod
    def fitted(cls, train: Dataset) -> "TextPreprocessor":
        """A code for every character of the training part."""
        stream = train.tensors()
        assert stream is not None
        return cls(train.schema, CharTokenizer.of(stream[0]))

    @classmethod
    def restored(cls, schema: Schema, values: Mapping[str, Any]) -> "TextPreprocessor":
        """From `values`."""
        return cls(schema, CharTokenizer.from_dict(values))

    def values(self) -> dict[str, Any]:
        """The tokenizer's."""
        return self.tokenizer.to_dict()

    def floats(self, raw: Tensor) -> Tensor:
        """Codes of characters."""
        return self.tokenizer.codes(raw)

    def normalise(self, x: Tensor) -> Tensor:
        """Nothing."""
        return x

    def targets(self, raw: Tensor) -> Tensor:
        """Codes of characters."""
        return self.tokenizer.codes(raw)

    def raw(self, x: Any) -> Tensor:
        """A string. Shapes: -> (T,) code points."""
        from netwright.data.sources.text import code_points

        if not isinstance(x, str) or not x:
            raise DataError(
                "a {kind} where text is expected; give a string",
                kind=type(x).__name__ if not isinstance(x, str) else "blank",
            )
        return code_points(x)
