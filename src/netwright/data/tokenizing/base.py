"""What every tokenizer does: texts to codes and back, with the same special codes first.

The codes of padding, of what is not known, of begin and end of a text, of a masked place, and the two that BERT puts
around a text (Devlin et al., 2019) are the first seven of every tokenizer that is made here. Those read from the file
of another project have their own, or lack some.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from netwright.data.ragged import Ragged

__all__ = ["BOS", "CLS", "EOS", "MASK", "PAD", "SEP", "SPECIAL", "UNKNOWN", "Tokenizer"]

SPECIAL = ("<pad>", "<unk>", "<bos>", "<eos>", "<mask>", "<cls>", "<sep>")
PAD, UNKNOWN, BOS, EOS, MASK, CLS, SEP = range(len(SPECIAL))


class Tokenizer(ABC):
    """Codes for texts. `pad`, … are special codes, or None where a tokenizer has no such code.

    `before` and `after` stand around a text that is encoded with `add_special`.
    """

    kind: str
    pad: int | None = PAD
    unknown: int | None = UNKNOWN
    bos: int | None = BOS
    eos: int | None = EOS
    mask: int | None = MASK
    cls: int | None = CLS
    sep: int | None = SEP
    before: tuple[int, ...] = (CLS,)
    after: tuple[int, ...] = (SEP,)

    @abstractmethod
    def __len__(self) -> int:
        """Size of the vocabulary, special codes included."""

    @abstractmethod
    def ragged(self, texts: Sequence[str]) -> Ragged:
        """Many texts at once, without special codes."""

    @abstractmethod
    def spans(self, text: str) -> tuple[Tensor, Tensor]:
        """Codes, and which characters each stands for. Shapes: -> (T,) and (T, 2) begin and end, int64."""

    @abstractmethod
    def decode(self, codes: Tensor | Sequence[int], skip_special: bool = True) -> str:
        """Codes as text."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """JSON-able form: the `tokenizer.json` of a model folder."""

    def spelled(self, text: str) -> str:
        """A text as `decode` would give it if every word of it had a code: in small letters, say.

        What a network writes is held against this, so that neither cut ends nor unknown words flatter it.
        """
        return text

    def encode(self, text: str, add_special: bool = False) -> Tensor:
        """One text. Shapes: -> (T,) int64."""
        codes = self.ragged([text])[0]
        if not add_special:
            return codes
        return torch.cat([codes.new_tensor(self.before), codes, codes.new_tensor(self.after)])

    def encode_many(self, texts: Sequence[str]) -> list[Tensor]:
        """Many texts, each as `encode` gives it without special codes."""
        made = self.ragged(texts)
        return [row.long() for row in made.values.split(made.lengths.tolist())]

    @property
    def filler(self) -> int:
        """What fills up short rows; where no code is kept for it any will do, because masks hide it."""
        return self.pad if self.pad is not None else self.end or 0

    @property
    def start(self) -> int:
        """What a decoder begins with: the begin of a text, else padding (T5: Raffel et al., 2020)."""
        return next((code for code in (self.bos, self.cls, self.pad) if code is not None), 0)

    @property
    def end(self) -> int | None:
        """What ends a text."""
        return self.eos if self.eos is not None else self.sep

    @property
    def special(self) -> frozenset[int]:
        """All special codes."""
        found = (self.pad, self.unknown, self.bos, self.eos, self.mask, self.cls, self.sep)
        return frozenset(code for code in found if code is not None)


def listed(codes: Tensor | Sequence[int]) -> list[int]:
    """Codes as a list of Python numbers."""
    return codes.tolist() if isinstance(codes, Tensor) else [int(code) for code in codes]


def lowered(text: str) -> str:
    """Small letters, as many characters as before: a place in the one is the same place in the other.

    Python writes the small letter of a few characters, such as the Turkish capital with a dot, as two.
    """
    small = text.lower()
    return small if len(small) == len(text) else "".join(character.lower()[:1] for character in text)
