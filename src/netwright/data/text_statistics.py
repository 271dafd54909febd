"""What `describe` says of documents: how long they are in characters and tokens, what the tokenizer makes of them."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from netwright.data.preprocess import Preprocessor
from netwright.data.texts import TextDataset
from netwright.data.textual import TextPreprocessor
from netwright.data.tokenizing.base import SPECIAL, Tokenizer

__all__ = ["contradictions", "same_text", "text_statistics", "vocabulary"]

_SAMPLE = 4096  # documents whose tokens are counted


def text_statistics(train: TextDataset) -> dict[str, Any]:
    """Figures of the training part; shares are of the documents or tokens looked at.

    Keys: characters and tokens (min, median, p95, max; where there are two texts, of each under the name of its
    column), cut, unknown, tokenizer, vocabulary, beginning.
    """
    preprocess = Preprocessor.fit(train)
    assert isinstance(preprocess, TextPreprocessor)
    tokenizer, sample = preprocess.tokenizer, _sample(len(train))
    characters, tokens, unknown, total = {}, {}, 0, 0
    for name, texts in zip(_names(train), (train.texts, train.second), strict=False):
        rows = tokenizer.ragged([(texts or [])[i] for i in sample])
        characters[name] = _lengths(torch.tensor([len(text) for text in texts or []]))
        tokens[name] = _lengths(rows.lengths)
        total += len(rows.values)
        if tokenizer.unknown is not None:
            unknown += int(rows.values.eq(tokenizer.unknown).sum())
    lone = len(characters) == 1
    found: dict[str, Any] = {
        "characters": next(iter(characters.values())) if lone else characters,
        "tokens": next(iter(tokens.values())) if lone else tokens,
        "unknown": round(unknown / max(1, total), 4),
        "tokenizer": train.schema.tokens.kind if train.schema.tokens is not None else tokenizer.kind,
        "vocabulary": vocabulary(tokenizer),
    }
    if train.schema.target.kind != "next-token":
        chosen = train.subset(torch.tensor(sample))
        found["cut"] = round(preprocess.encoded(chosen.texts, chosen.second).cut / len(sample), 4)
    return found | {"beginning": train.texts[0][:160]}


def vocabulary(tokenizer: Tokenizer) -> int:
    """Tokens that stand for text."""
    return len(tokenizer) - (len(SPECIAL) if tokenizer.kind in ("characters", "words") else len(tokenizer.special))


def same_text(dataset: TextDataset) -> list[int]:
    """A hash of each example, the same for texts that differ in spaces and capitals only."""
    second = dataset.second or [""] * len(dataset)
    return [hash((_plain(text), _plain(other))) for text, other in zip(dataset.texts, second, strict=True)]


def contradictions(dataset: TextDataset) -> int:
    """Examples whose text stands in the set with another class too."""
    labels = dataset.labels()
    if dataset.schema.target.kind != "class" or labels.ndim != 1:
        return 0
    classes: dict[int, set[int]] = defaultdict(set)
    prints = same_text(dataset)
    for key, label in zip(prints, labels.tolist(), strict=True):
        classes[key].add(label)
    return sum(len(classes[key]) > 1 for key in prints)


def _names(train: TextDataset) -> list[str]:
    """What the texts of an example are called."""
    names = [column.name for column in train.schema.columns] or ["text"]
    return names + list(train.schema.target.names) * (train.second is not None and len(names) == 1)


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _sample(count: int) -> Sequence[int]:
    """Documents from all over the set."""
    return torch.linspace(0, count - 1, min(count, _SAMPLE)).long().tolist()


def _lengths(lengths: Tensor) -> dict[str, int]:
    ordered = lengths.sort().values
    places = {"min": 0.0, "median": 0.5, "p95": 0.95, "max": 1.0}
    return {name: int(ordered[round(share * (len(ordered) - 1))]) for name, share in places.items()}
