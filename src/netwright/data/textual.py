"""From texts to the codes a network reads: for data sets, for batches, and for what a user has at hand.

Letters: N documents, T tokens, S tokens of a source, B batch.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from netwright.core.errors import DataError
from netwright.core.messages import say
from netwright.data.dataset import Dataset
from netwright.data.preprocess import Preprocessor
from netwright.data.ragged import Ragged
from netwright.data.schema import Schema
from netwright.data.texts import TextDataset, all_texts
from netwright.data.tokenizing import CharTokenizer, Tokenizer, TokenSettings, fit_tokenizer, tokenizer_from_dict
from netwright.data.tokenizing.characters import code_points, text_of

__all__ = ["Encoded", "TextPreprocessor", "stream_of"]

_log = logging.getLogger("netwright")
_PIECE = 1 << 16  # characters of a long text that are encoded at a time


@dataclass(frozen=True)
class Encoded:
    """Documents as tokens, with the special ones around them.

    Args:
        second: what is to be written, without begin and end.
        border: (N,) where in its row the second text of a question begins.
        targets: (N,) or (N, K), or (N, 2) first and last token of an answer, -100 where it was cut off.
        cut: how many documents were longer than allowed.
    """

    first: Ragged
    second: Ragged | None
    border: Tensor | None
    targets: Tensor | None
    cut: int


@final
class TextPreprocessor(Preprocessor):
    """Texts to codes.

    Shapes: raw code points (T,) of a text, or (B, T) of texts of one length -> codes; for tokenizers other than that
        of characters only (T,), and the number of codes is another one.
    """

    kind = "text"
    tokenizer: Tokenizer

    def __init__(self, schema: Schema, tokenizer: Tokenizer) -> None:
        super().__init__(schema)
        self.tokenizer = tokenizer
        self._encoded: WeakKeyDictionary[TextDataset, dict[int, Encoded]] = WeakKeyDictionary()

    @classmethod
    def fitted(cls, train: Dataset) -> "TextPreprocessor":
        """A tokenizer for the texts of the training part."""
        return cls(train.schema, fit_tokenizer(_settings(train.schema), all_texts(train)))

    @classmethod
    def restored(cls, schema: Schema, values: Mapping[str, Any]) -> "TextPreprocessor":
        """From `values`.

        Raises:
            ValueError: they are those of another tokenizer than the schema's.
        """
        tokenizer = tokenizer_from_dict(values)
        if schema.vocab_size not in (None, len(tokenizer)):
            template = "a tokenizer of {got} codes where the network has {wanted}"
            raise ValueError(say(template, got=len(tokenizer), wanted=schema.vocab_size))
        return cls(schema, tokenizer)

    def values(self) -> dict[str, Any]:
        """The tokenizer's."""
        return self.tokenizer.to_dict()

    @property
    def longest(self) -> int:
        """Most tokens of an example."""
        return _settings(self.schema).max_length

    def floats(self, raw: Tensor) -> Tensor:
        """Code points to codes."""
        if isinstance(self.tokenizer, CharTokenizer) and not self.tokenizer.lower:
            return self.tokenizer.codes(raw)
        if raw.ndim == 1:
            return self.tokenizer.ragged(_pieces(text_of(raw))).values.long().to(raw.device)
        rows = [self.tokenizer.encode(text_of(row)) for row in raw]
        least = min(map(len, rows))  # texts of one length need not have as many tokens: the last ones are the nearest
        return torch.stack([row[len(row) - least :] for row in rows]).to(raw.device)

    def normalise(self, x: Tensor) -> Tensor:
        """Nothing."""
        return x

    def targets(self, raw: Tensor) -> Tensor:
        """Code points to codes where the text is its own target; other targets as of any data."""
        if self.schema.target.kind in ("next-token", "text"):
            return self.floats(raw)
        return super().targets(raw)

    def raw(self, x: Any) -> Tensor:
        """A string. Shapes: -> (T,) code points."""
        if not isinstance(x, str) or not x:
            raise DataError(
                "a {kind} where text is expected; give a string",
                kind=type(x).__name__ if not isinstance(x, str) else "blank",
            )
        return code_points(x)

    def batch(self, inputs: Sequence[Any]) -> Tensor | tuple[Tensor, ...]:
        """Texts of a user's as the network's arguments, the short ones filled up.

        A question comes as a dictionary with the names of the training data, or `question` and `context`.

        Shapes: tokens (B, T) and mask (B, T); for questions also segments (B, T). The text that a language model is to
            go on with is the tokens alone, all of one length.
        """
        kind = self.schema.target.kind
        if kind == "next-token":
            return self.inputs(torch.stack([self.raw(x) for x in inputs]))
        pairs = [self.pair(x) for x in inputs]
        second = [context for _, context in pairs] if kind == "span" else None
        encoded = self.encoded([text for text, _ in pairs], second)
        rows = torch.arange(len(inputs))
        tokens_BT, mask_BT = encoded.first.padded(rows, int(encoded.first.lengths.max()), self.tokenizer.filler)
        if encoded.border is None:
            return tokens_BT, mask_BT
        return tokens_BT, mask_BT, segments(encoded.border, mask_BT)

    def encoded(self, texts: Sequence[str], second: Sequence[str] | None = None, longest: int | None = None) -> Encoded:
        """Texts, and contexts for questions or what is to be written for sources, without targets.

        Args:
            longest: most tokens where the network takes fewer than the data section says.
        """
        most = min(self.longest, longest or self.longest)
        kind, tokenizer = self.schema.target.kind, self.tokenizer
        if kind == "text":
            end = () if tokenizer.end is None else (tokenizer.end,)
            first, cut = _fit(tokenizer.ragged(texts), most, (), end)
            written = None
            if second is not None:
                written, more = _fit(tokenizer.ragged(second), most - 1, (), ())
                cut = cut | more
            return Encoded(first, written, None, None, int(cut.sum()))
        if kind == "span" and second is not None:
            return self._questions(texts, second, most)
        first, cut = _fit(tokenizer.ragged(texts), most, tokenizer.before, tokenizer.after)
        return Encoded(first, None, None, None, int(cut.sum()))

    def encode(self, dataset: TextDataset, longest: int | None = None) -> Encoded:
        """A whole data set, which is kept as long as it lives; documents that were cut are said in the log."""
        most = min(self.longest, longest or self.longest)
        kept = self._encoded.setdefault(dataset, {})
        if most not in kept:
            kept[most] = self._encode(dataset, most)
        return kept[most]

    def _encode(self, dataset: TextDataset, most: int) -> Encoded:
        made = self.encoded(dataset.texts, dataset.second, most)
        targets = None
        if self.schema.target.kind == "span" and dataset.second is not None:
            targets = self._answers(dataset, made)
        elif len(dataset.targets):
            targets = self.targets(dataset.targets)
        if made.cut:
            template = "{cut} of {total} texts of {name} are longer than {most} tokens; their ends are cut off"
            _log.warning(say(template, cut=made.cut, total=len(dataset), name=dataset.name, most=most))
        return Encoded(made.first, made.second, made.border, targets, made.cut)

    def pair(self, x: Any) -> tuple[str, str]:
        """A text, and the context of a question; from a string, a pair, or a row with the columns of training.

        Raises:
            DataError: something else.
        """
        usual = ("question", "context") if self.schema.target.kind == "span" else ("text",)
        if isinstance(x, Mapping):
            known = [column.name for column in self.schema.columns]
            found = [x.get(known[k] if k < len(known) and known[k] in x else name) for k, name in enumerate(usual)]
        else:
            found = list(x) if isinstance(x, tuple | list) else [x]
        texts = [text for text in found if isinstance(text, str) and text.strip()]
        if not len(texts) == len(found) == len(usual):
            raise DataError("an input must be a row with {wanted}; got {got}", wanted=", ".join(usual), got=repr(x))
        return texts[0], texts[1] if len(usual) > 1 else ""

    def _questions(self, texts: Sequence[str], contexts: Sequence[str], most: int) -> Encoded:
        """Question, then context, each with its end; what is too long is cut off the context."""
        before, after = self.tokenizer.before, self.tokenizer.after
        question, cut = _fit(self.tokenizer.ragged(texts), most // 2, before, after)
        context, room = self.tokenizer.ragged(contexts), most - question.lengths - len(after)
        count = int((cut | (context.lengths > room)).sum())
        return Encoded(question.joined(context.shortened(room).within((), after)), None, question.lengths, None, count)

    def _answers(self, dataset: TextDataset, made: Encoded) -> Tensor:
        """First and last token of each answer, 0 and 0 where there is none. Shapes: -> (N, 2) int64."""
        assert dataset.second is not None and made.border is not None
        found = torch.full((len(dataset), 2), IGNORED)
        lengths, last = made.first.lengths.tolist(), len(self.tokenizer.after)
        for row, context in enumerate(dataset.second):
            begin, end = dataset.targets[row].tolist()
            if begin == end:  # no answer is the first place of the row, as in BERT
                found[row] = 0
                continue
            _, spans = self.tokenizer.spans(context)
            inside = torch.nonzero((spans[:, 0] < end) & (spans[:, 1] > begin)).flatten()
            if len(inside):
                place = torch.stack([inside[0], inside[-1]]) + made.border[row]
                found[row] = place if int(place[1]) < lengths[row] - last else IGNORED
        return found


IGNORED = -100


def segments(border_B: Tensor, mask_BT: Tensor) -> Tensor:
    """0 for the first text of a row, 1 for the second, 0 for what fills it up. Shapes: (B,), (B, T) -> (B, T) int64."""
    places = torch.arange(mask_BT.shape[1], device=mask_BT.device)
    return ((places >= border_B[:, None]) & mask_BT).long()


def stream_of(dataset: Dataset, preprocess: Preprocessor) -> Tensor:
    """All tokens of a data set end to end, for a language model; documents with an end of text between them.

    Shapes: -> (T,) int64.
    """
    if isinstance(dataset, TextDataset) and isinstance(preprocess, TextPreprocessor):
        tokenizer = preprocess.tokenizer
        end = () if tokenizer.end is None else (tokenizer.end,)
        return tokenizer.ragged(dataset.texts).within((), end).values.long()
    stream = dataset.tensors()
    if stream is None:
        raise DataError("{name} cannot be read as one text", name=dataset.name)
    return preprocess.inputs(stream[0])


def _settings(schema: Schema) -> TokenSettings:
    return schema.tokens or TokenSettings("characters" if schema.target.kind == "next-token" else "bpe")


def _fit(rows: Ragged, most: int, before: tuple[int, ...], after: tuple[int, ...]) -> tuple[Ragged, Tensor]:
    """Rows cut to `most` tokens with what stands around them, and which were longer. Shapes: -> (N,) bool second."""
    room = max(1, most - len(before) - len(after))
    return rows.shortened(room).within(before, after), rows.lengths > room


def _pieces(text: str) -> list[str]:
    """A long text cut at ends of lines, because a library is slow with one text of megabytes."""
    pieces, start = [], 0
    while len(text) - start > _PIECE:
        end = text.rfind("\n", start, start + _PIECE) + 1
        end = end if end > start else start + _PIECE
        pieces.append(text[start:end])
        start = end
    return [*pieces, text[start:]]
