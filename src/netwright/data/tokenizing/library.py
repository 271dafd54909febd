"""Parts of words, by the `tokenizers` library: our own byte-level BPE, and whatever a tokenizer.json says.

Byte pair encoding (Sennrich et al., "Neural machine translation of rare words with subword units", 2016) over bytes, as
for GPT-2 (Radford et al., 2019): the 256 bytes are in every vocabulary, so that no text holds anything unknown and
every text comes back as it was. The same class reads BERT's WordPiece, GPT-2's BPE and T5's unigrams.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor

from netwright.core.errors import ConfigError, need
from netwright.data.ragged import Ragged
from netwright.data.tokenizing.base import CLS, SEP, SPECIAL, Tokenizer, listed

__all__ = ["LibraryTokenizer"]

_NAMES = {
    "pad": ("<pad>", "[PAD]"),
    "unknown": ("<unk>", "[UNK]"),
    "bos": ("<bos>", "[BOS]", "<s>", "<|startoftext|>", "<|endoftext|>"),
    "eos": ("<eos>", "[EOS]", "</s>", "<|endoftext|>"),
    "mask": ("<mask>", "[MASK]"),
    "cls": ("<cls>", "[CLS]"),
    "sep": ("<sep>", "[SEP]"),
}
_BYTES = 256
_LONG = 1000  # letters of a word, or other signs in a row
_GIANT = re.compile(rf"\w{{{_LONG}}}|\s{{{_LONG}}}|[^\w\s]{{{_LONG}}}")


@final
class LibraryTokenizer(Tokenizer):
    """A tokenizer of the library. The special codes are found by their usual names; signs of a text never become one.

    Args:
        text: the JSON of a tokenizer.json.

    Raises:
        MissingExtra: the library is not installed.
        ValueError: the JSON is not one of its tokenizers.
    """

    kind = "library"

    def __init__(self, text: str) -> None:
        library = need("tokenizers", "text")
        try:
            self._inner = library.Tokenizer.from_str(text)
        except BaseException as error:  # the library's panics are no ordinary exceptions
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            raise ValueError(str(error)) from error
        self._inner.no_padding()
        self._inner.no_truncation()
        self._inner.encode_special_tokens = True  # "<eos>" in a text is five characters
        for role, names in _NAMES.items():
            setattr(self, role, next((code for code in map(self._inner.token_to_id, names) if code is not None), None))
        if self.cls is None and self.mask is not None:  # RoBERTa calls them by the names of begin and end
            self.cls, self.sep = self.bos, self.eos
        # Codes need not be without gaps: what counts is the largest.
        self._size = 1 + max(self._inner.get_vocab().values(), default=-1)
        self.before, self.after = self._around()

    @classmethod
    def fitted(cls, texts: Iterable[str], size: int, lower: bool = False) -> "LibraryTokenizer":
        """Byte-level BPE of the texts.

        Raises:
            ConfigError: `size` leaves no room for the bytes.
        """
        library = need("tokenizers", "text")
        if size < (least := _BYTES + len(SPECIAL)):
            template = (
                "data.tokens.size={size} is too small for bpe, which has a code for every byte; use {least} or more"
            )
            raise ConfigError(template, path="data.tokens.size", size=size, least=least)
        made = library.Tokenizer(library.models.BPE())
        made.normalizer = library.normalizers.Lowercase() if lower else None
        made.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = library.decoders.ByteLevel()
        trainer = library.trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=2,
            special_tokens=list(SPECIAL),
            initial_alphabet=sorted(library.pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        made.encode_special_tokens = True
        made.train_from_iterator(_without_giants(texts), trainer)
        names = [(SPECIAL[code], code) for code in (CLS, SEP)]
        around = f"{SPECIAL[CLS]} $A {SPECIAL[SEP]}"
        made.post_processor = library.processors.TemplateProcessing(
            single=around, pair=f"{around} $B:1 {SPECIAL[SEP]}:1", special_tokens=names
        )
        return cls(made.to_str())

    def __len__(self) -> int:
        return self._size

    def ragged(self, texts: Sequence[str]) -> Ragged:
        """Many texts at once, by all processors of the machine."""
        found = self._inner.encode_batch_fast([_sound(text) for text in texts], add_special_tokens=False)
        return Ragged.of([one.ids for one in found])

    def spans(self, text: str) -> tuple[Tensor, Tensor]:
        """A code of several bytes of one character has that character's place."""
        found = self._inner.encode(_sound(text), add_special_tokens=False)
        return torch.tensor(found.ids, dtype=torch.int64), torch.tensor(found.offsets, dtype=torch.int64).view(-1, 2)

    def spelled(self, text: str) -> str:
        """As the file's normaliser leaves it, but for the sign that some of them write for a space."""
        changes = self._inner.normalizer
        if changes is None:
            return text
        return str(changes.normalize_str(_sound(text))).replace("▁", " ").strip()

    def decode(self, codes: Tensor | Sequence[int], skip_special: bool = True) -> str:
        """Codes as text; bytes that are no whole character become U+FFFD."""
        text: str = self._inner.decode(listed(codes), skip_special_tokens=skip_special)
        return text

    def token(self, code: int) -> str | None:
        """How the vocabulary writes a code."""
        name: str | None = self._inner.id_to_token(code)
        return name

    def to_dict(self) -> dict[str, Any]:
        """The library's own form, which other programs read too."""
        made: dict[str, Any] = json.loads(self._inner.to_str())
        return made

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "LibraryTokenizer":
        """Undo of `to_dict`."""
        return cls(json.dumps(values, ensure_ascii=False))

    def _around(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """What the file puts before and after a text."""
        plain = self._inner.encode("a", add_special_tokens=False).ids
        whole = self._inner.encode("a", add_special_tokens=True).ids
        first = next((k for k in range(len(whole)) if whole[k : k + len(plain)] == plain), 0)
        return tuple(whole[:first]), tuple(whole[first + len(plain) :])


def _without_giants(texts: Iterable[str]) -> Iterator[str]:
    """The texts, those with a word of thousands of letters in pieces: the library's time grows with its square."""
    for text in texts:
        if _GIANT.search(text) is None:
            yield text
        else:
            yield from (text[start : start + _LONG] for start in range(0, len(text), _LONG))


def _sound(text: str) -> str:
    """Lone surrogates, which no UTF-8 can hold, as the sign for what cannot be written."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
