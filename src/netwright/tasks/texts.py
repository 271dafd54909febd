"""What the tasks on texts share: places that do not count, tokens as text, references.

Letters: B batch, T tokens, V vocabulary, K scores of a place.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from netwright.data.batching import Batch, BatchSource, Bucketed, SourceAround
from netwright.data.textual import IGNORED
from netwright.data.tokenizing import CharTokenizer, LibraryTokenizer, Tokenizer

__all__ = [
    "IGNORED",
    "Announced",
    "counted_loss",
    "one_line",
    "readable",
    "references",
    "token_bytes",
    "until_end",
]

_LONGEST = 400  # characters of a text in a table


class Announced(SourceAround):
    """A source that is shown to somebody before it gives any batch."""

    def __init__(self, source: BatchSource, announce: Callable[[BatchSource], None]) -> None:
        super().__init__(source)
        self._announce = announce

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from batch `start` on."""
        self._announce(self.source)
        return super().epoch(epoch, start)


def references(source: BatchSource) -> Sequence[Sequence[str]] | None:
    """What may be written or answered, as it stands in the data, in the order of `Batch.index`; None: unknown."""
    return source.references if isinstance(source, Bucketed) else None


def counted_loss(loss: Callable[..., Any], scores: Tensor, targets: Tensor, *, may_be_none: bool = False) -> Tensor:
    """The loss over the places whose target is not -100, whatever loss it is.

    Args:
        may_be_none: there are batches without a single place that counts; their loss is 0.

    Shapes: scores (B, …, K), targets (B, …).
    """
    rows_NK, codes_N = scores.flatten(0, -2), targets.flatten()
    if may_be_none and not bool((codes_N != IGNORED).any()):
        return rows_NK.sum() * 0.0
    if getattr(loss, "ignore_index", None) != IGNORED:
        kept = codes_N != IGNORED
        rows_NK, codes_N = rows_NK[kept], codes_N[kept]
    made: Tensor = loss(rows_NK, codes_N)
    return made


def until_end(tokens: Iterable[int], end: int | None) -> list[int]:
    """The tokens before the first end of text."""
    kept = []
    for token in tokens:
        if token == end:
            break
        kept.append(token)
    return kept


def readable(tokenizer: Tokenizer, tokens_T: Tensor, mask_T: Tensor | None = None) -> str:
    """Tokens as a text for a table, without special codes."""
    return one_line(tokenizer.decode(tokens_T if mask_T is None else tokens_T[mask_T]))


def one_line(text: str) -> str:
    """A text in one line, cut where it is very long."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def token_bytes(tokenizer: Tokenizer | None) -> Tensor | None:
    """How many bytes of UTF-8 each code stands for; None where the codes do not give a text back byte by byte.

    Special codes stand for none, the unknown character among them: what it costs to write them counts, and makes no
    text. Words between which spaces are lost, and texts made small first, have no figure that compares.

    Shapes: -> (V,) int64.
    """
    if isinstance(tokenizer, CharTokenizer) and not tokenizer.lower:
        lengths = [len(character.encode("utf-8", "surrogatepass")) for character in tokenizer.characters]
        return torch.tensor([0] * (len(tokenizer) - len(lengths)) + lengths)
    if not isinstance(tokenizer, LibraryTokenizer) or not _is_byte_level(tokenizer.to_dict()):
        return None
    names = (tokenizer.token(code) or "" for code in range(len(tokenizer)))  # of such a token, a letter is a byte
    return torch.tensor([0 if code in tokenizer.special else len(name) for code, name in enumerate(names)])


def _is_byte_level(values: dict[str, Any]) -> bool:
    cutter, changes = values.get("pre_tokenizer") or {}, values.get("normalizer")
    return changes is None and cutter.get("type") == "ByteLevel"
