"""Documents in memory: texts of any length, with a class, numbers, a second text or a span of it as target.

They stay Python strings, because what a network reads of them is the tokenizer's affair; batches are made of them by
`batching.Bucketed`, and for language models by `batching.Windows` over all of them end to end.
"""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from netwright.data.dataset import BadRow, Dataset
from netwright.data.schema import Schema
from netwright.data.tokenizing.characters import code_points, text_of

__all__ = ["TextDataset", "all_texts"]


@final
class TextDataset(Dataset):
    """Documents.

    Args:
        second: what a sequence-to-sequence network is to write, or the contexts in which answers are found.
        answers: where a question has several right ones, all of them; the targets are the places of the first.

    Shapes: targets (N,) int64 class codes, (N, K) numbers or labels, (N, 2) int64 first character of an answer in its
        context and the one behind its last, or (0,) where texts are their own target.
    """

    def __init__(
        self,
        texts: Sequence[str],
        targets: Tensor,
        schema: Schema,
        name: str,
        *,
        second: Sequence[str] | None = None,
        answers: Sequence[Sequence[str]] | None = None,
        problems: Sequence[BadRow] = (),
    ) -> None:
        self.texts, self.targets, self.schema, self.name = list(texts), targets, schema, name
        self.second = list(second) if second is not None else None
        self.answers = answers
        self.problems = list(problems)

    def __len__(self) -> int:
        return len(self.texts)

    def read(self, i: int) -> tuple[Tensor, Tensor]:
        """Code points of a text, and its target; of a second text the code points. Shapes: (T,) int64 first."""
        if self.schema.target.kind == "text" and self.second is not None:
            return code_points(self.texts[i]), code_points(self.second[i])
        return code_points(self.texts[i]), self.targets[i] if len(self.targets) else code_points(self.texts[i])[1:]

    def tensors(self) -> None:
        """Nothing: documents are of different lengths."""
        return

    def subset(self, indices: Tensor) -> "TextDataset":
        """The documents at `indices`."""
        rows = indices.tolist()
        second = [self.second[i] for i in rows] if self.second is not None else None
        targets = self.targets[indices] if len(self.targets) else self.targets
        answers = [self.answers[i] for i in rows] if self.answers is not None else None
        return TextDataset(
            [self.texts[i] for i in rows], targets, self.schema, self.name, second=second, answers=answers,
            problems=self.problems,
        )  # fmt: skip

    def with_schema(self, schema: Schema) -> "TextDataset":
        """The same documents under another schema."""
        return TextDataset(
            self.texts, self.targets, schema, self.name, second=self.second, answers=self.answers,
            problems=self.problems,
        )  # fmt: skip

    def labels(self) -> Tensor:
        """The targets."""
        return self.targets

    @property
    def references(self) -> Sequence[Sequence[str]] | None:
        """Of each example what is to be written, or the right answers, as the user wrote them; None where no such texts
        are wanted.
        """
        if self.second is None or self.answers is not None:
            return self.answers
        if self.schema.target.kind == "text":
            return [(text,) for text in self.second]
        places = self.targets.tolist()
        return [(context[begin:end],) for context, (begin, end) in zip(self.second, places, strict=True)]


def all_texts(dataset: Dataset) -> list[str]:
    """Every text that a tokenizer is fitted on; of a stream of characters its one text."""
    if isinstance(dataset, TextDataset):
        return dataset.texts + (dataset.second or [])
    stream = dataset.tensors()
    return [text_of(stream[0])] if stream is not None else [text_of(dataset.read(i)[0]) for i in range(len(dataset))]


def empty_targets() -> Tensor:
    """Targets of documents that are their own. Shapes: -> (0,) int64."""
    return torch.empty(0, dtype=torch.int64)
