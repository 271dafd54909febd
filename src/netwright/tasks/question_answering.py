"""Extractive question answering: where in a text the answer to a question begins and ends.

Devlin et al., "BERT", 2019, section 4.2: a score for each place that the answer begins there, and one that it ends
there; the answer is the span with the greatest sum. Figures as Rajpurkar et al., "SQuAD", 2016, defines them. Where
some questions have no answer (Rajpurkar et al., "Know what you don't know", 2018), that is the span of the first place.
Letters: B questions, T places, C characters, W windows of a long text.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from netwright.core.messages import say
from netwright.core.schemas import Size
from netwright.data.batching import Batch, BatchSource, forward
from netwright.data.preprocess import Preprocessor
from netwright.data.textual import TextPreprocessor
from netwright.losses import LossFunction
from netwright.metrics.text import answer_f1, answer_match
from netwright.tasks.base import Phase, StepOutput, Task
from netwright.tasks.texts import Announced, counted_loss, one_line, readable, references

__all__ = ["QuestionAnswering", "best_spans"]

_BELOW = 20.0  # how far below the worst place of the context all others are: softmax gives them nothing
_SHOWN = 12
_AT_ONCE = 32  # questions whose spans are weighed at a time


@final
class QuestionAnswering(Task):
    """Cross-entropy of the first and of the last token of the answer, over the places of the context.

    An answer that was cut off with the end of a long context has no loss, and counts as wrong in the figures; the log
    says how many contexts were cut. `predict` reads a long context in windows, and cuts nothing; only where no window
    has an answer it says "".

    Args:
        max_answer: most tokens of an answer.
        stride: places between the beginnings of two windows of a long context, by default half a window.

    Shapes: inputs tokens, mask and segments (B, T), the context being segment 1; targets (B, 2), -100 where the answer
        was cut off; the network gives (B, 2, T).
    """

    monitor = "f1"
    sense = "max"
    default_loss = "cross-entropy"
    data_kinds = ("text",)
    target_kinds = ("span",)
    usual_model = "bert_mini"
    head = "question-answering"

    def __init__(
        self,
        preprocess: Preprocessor,
        loss: LossFunction | None = None,
        *,
        max_answer: Size = 30,
        stride: Size | None = None,
    ) -> None:
        assert isinstance(preprocess, TextPreprocessor)
        self._preprocess, self._tokenizer = preprocess, preprocess.tokenizer
        self._loss = self.chosen_loss(loss)
        self._max_answer, self._stride = max_answer, stride
        self._may_lack = preprocess.schema.target.may_lack
        self._references: Sequence[Sequence[str]] | None = None

    def batches(self, source: BatchSource, training: bool) -> BatchSource:
        """The source as it is; of an evaluation, the answers as they stand in the data are remembered."""
        return source if training else Announced(source, self._remember)

    def training_step(self, model: nn.Module, batch: Batch, phase: Phase) -> StepOutput:
        """The mean loss of beginnings and ends."""
        assert batch.targets is not None
        scores_B2T = self._scores(model, batch.inputs)
        loss = counted_loss(self._loss, scores_B2T, batch.targets, may_be_none=True)
        return StepOutput(loss, predictions=scores_B2T)

    def evaluation_step(self, model: nn.Module, batch: Batch) -> StepOutput:
        """The loss, and the answers as texts beside those wanted."""
        assert batch.targets is not None and isinstance(batch.inputs, tuple)
        scores_B2T = self._scores(model, batch.inputs).float()
        loss = counted_loss(self._loss, scores_B2T, batch.targets, may_be_none=True)
        place_B2, _ = best_spans(scores_B2T, self._max_answer, self._may_lack)
        said = [self._text(*pair) for pair in zip(batch.inputs[0], place_B2.tolist(), strict=True)]
        return StepOutput(loss, predictions=_Answers(said, self._wanted(batch)))

    def measure(self) -> "_Answered":
        """Exact match and F1."""
        return _Answered()

    def exhibits(self, model: nn.Module, source: BatchSource, folder: Path) -> list[dict[str, Any]]:
        """Questions with the wanted and the given answer, wrong ones first."""
        rows: list[list[Any]] = []
        for batch in source.epoch(0):
            assert batch.targets is not None and isinstance(batch.inputs, tuple)
            tokens_BT, mask_BT, segment_BT = batch.inputs
            scores_B2T = self._scores(model, batch.inputs).float()
            place_B2, score_B = best_spans(scores_B2T, self._max_answer, self._may_lack)
            for row, (place, wanted) in enumerate(zip(place_B2.tolist(), self._wanted(batch), strict=True)):
                said = self._text(tokens_BT[row], place) or ""
                question = readable(self._tokenizer, tokens_BT[row], mask_BT[row] & (segment_BT[row] == 0))
                f1 = _best(answer_f1, said, wanted)
                told = say("(cut off)") if wanted is None else " / ".join(dict.fromkeys(wanted)) or say("(no answer)")
                rows.append([round(f1, 3), question, one_line(told), one_line(said), round(float(score_B[row]), 4)])
            rows = sorted(rows, key=lambda row: (row[0], -row[4]))[:_SHOWN]
        columns = [say("F1"), say("question"), say("true"), say("said"), say("probability")]
        return [{"kind": "table", "title": say("Worst answers"), "columns": columns, "rows": rows}] if rows else []

    def replies(self, model: nn.Module, inputs: Sequence[Any]) -> list[dict[str, Any]] | None:
        """The answer to each question, its probability within the best window, and its characters in the context."""
        return [self._answer(model, *self._preprocess.pair(x)) for x in inputs]

    def _answer(self, model: nn.Module, question: str, context: str) -> dict[str, Any]:
        codes_T, spans_T2 = self._tokenizer.spans(context)
        if not len(codes_T):
            return {"answer": "", "probability": 0.0, "start": 0, "end": 0}
        windows = self._windows(question, codes_T, _longest(model, self._preprocess))
        found: list[tuple[float, float, int, int]] = []
        nothing: list[float] = []
        for row_T, border, first in windows:
            tokens_T = row_T.to(next(model.parameters()).device)
            segment_T = (torch.arange(len(tokens_T), device=tokens_T.device) >= border).long()
            inputs = (tokens_T[None], torch.ones_like(tokens_T, dtype=torch.bool)[None], segment_T[None])
            scores_B2T = self._scores(model, inputs).float()
            place_B2, score_B = best_spans(scores_B2T, self._max_answer, self._may_lack)
            start, end = place_B2[0].tolist()
            if start < border:
                nothing.append(float(score_B[0]))
                continue
            raw = float(scores_B2T[0, 0, start] + scores_B2T[0, 1, end])
            found.append((raw, float(score_B[0]), start - border + first, end - border + first))
        if not found:
            return {"answer": "", "probability": min(nothing), "start": 0, "end": 0}
        _, share, start, end = max(found)
        begin, end = int(spans_T2[start, 0]), int(spans_T2[end, 1])
        answer = context[begin:end].strip()  # a token may hold the space before its word
        begin += len(context[begin:end]) - len(context[begin:end].lstrip())
        return {"answer": answer, "probability": share, "start": begin, "end": begin + len(answer)}

    def _windows(self, question: str, codes_T: Tensor, longest: int) -> list[tuple[Tensor, int, int]]:
        """Rows of question and a stretch of the context; where in them the context begins, and with which token."""
        before, after = self._tokenizer.before, self._tokenizer.after
        asked_T = self._tokenizer.encode(question)[: max(1, longest // 2 - len(before) - len(after))]
        head_T = torch.cat([asked_T.new_tensor(before), asked_T, asked_T.new_tensor(after)])
        room = max(1, longest - len(head_T) - len(after))
        stride = min(self._stride or max(1, room // 2), room)
        starts = range(0, max(1, len(codes_T) - room + stride), stride)
        return [
            (torch.cat([head_T, codes_T[first : first + room], head_T.new_tensor(after)]), len(head_T), first)
            for first in starts
        ]

    def _scores(self, model: nn.Module, inputs: Any) -> Tensor:
        """The network's scores, with no answer outside of the context: its special tokens among the rest. (B, 2, T)."""
        tokens_BT, mask_BT, segment_BT = inputs
        can_be_BT = mask_BT & (segment_BT == 1)
        for code in {*self._tokenizer.before, *self._tokenizer.after}:
            can_be_BT = can_be_BT & (tokens_BT != code)
        if self._may_lack:
            can_be_BT[:, 0] = True
        scores_B2T: Tensor = forward(model, inputs)
        cannot_B1T = ~can_be_BT[:, None]
        least_B21 = scores_B2T.detach().masked_fill(cannot_B1T, math.inf).amin(2, keepdim=True)
        least_B21 = least_B21.masked_fill(least_B21.isinf(), 0.0)
        return torch.where(cannot_B1T, least_B21 - _BELOW, scores_B2T)  # finite, so that labels may be smoothed

    def _remember(self, source: BatchSource) -> None:
        self._references = references(source)

    def _wanted(self, batch: Batch) -> list[Sequence[str] | None]:
        """The right answers as they stand in the data, where those are known: that of tokens may be longer."""
        assert batch.targets is not None and isinstance(batch.inputs, tuple)
        texts = [self._text(*pair) for pair in zip(batch.inputs[0], batch.targets.tolist(), strict=True)]
        if self._references is None or batch.index is None:
            return [None if text is None else (text,) for text in texts]
        known = [[*map(self._tokenizer.spelled, self._references[i])] for i in batch.index.tolist()]
        return [None if text is None else answers for text, answers in zip(texts, known, strict=True)]

    def _text(self, tokens_T: Tensor, place: list[int]) -> str | None:
        """The text of a span of tokens, "" where there is no answer; None where it was cut off."""
        if place[0] < 0:
            return None
        return "" if place[1] == 0 else self._tokenizer.decode(tokens_T[place[0] : place[1] + 1]).strip()


def best_spans(scores_B2T: Tensor, max_answer: int, may_lack: bool = False) -> tuple[Tensor, Tensor]:
    """First and last place of the likeliest span of at most `max_answer` places, and its probability.

    Args:
        may_lack: the first place means that there is no answer, and begins no other span.

    Shapes: (B, 2, T) -> (B, 2) int64, (B,).
    """
    time = scores_B2T.shape[2]
    allowed_TT = torch.ones(time, time, dtype=torch.bool, device=scores_B2T.device).triu().tril(max_answer - 1)
    allowed_TT[:1, 1:] &= not may_lack
    places, shares = [], []
    for part_B2T in scores_B2T.log_softmax(2).split(_AT_ONCE):
        sum_BTT = (part_B2T[:, 0, :, None] + part_B2T[:, 1, None, :]).masked_fill(~allowed_TT, -math.inf)
        best_B, place_B = sum_BTT.flatten(1).max(1)
        places.append(torch.stack([place_B // time, place_B % time], dim=1))
        shares.append(best_B.exp())
    return torch.cat(places), torch.cat(shares)


@dataclass
class _Answers:
    """Of one batch: what was said, and what would be right (None where it was cut off)."""

    said: Sequence[str | None]
    wanted: Sequence[Sequence[str] | None]

    def __len__(self) -> int:
        return len(self.said)


class _Answered:
    """Collects `_Answers` into `exact_match` and `f1`."""

    def __init__(self) -> None:
        self._exact: list[float] = []
        self._f1: list[float] = []

    def update(self, predictions: _Answers, targets: Tensor) -> None:
        """Take one batch in."""
        for said, wanted in zip(predictions.said, predictions.wanted, strict=True):
            self._exact.append(_best(answer_match, said or "", wanted))
            self._f1.append(_best(answer_f1, said or "", wanted))

    def compute(self) -> dict[str, float]:
        """The figures; NaN where nothing was asked."""
        count = len(self._exact)
        mean = {"exact_match": sum(self._exact), "f1": sum(self._f1)}
        return {name: total / count if count else float("nan") for name, total in mean.items()}


def _best(score: Callable[[str, str], float], said: str, wanted: Sequence[str] | None) -> float:
    """Against the right answer that is nearest to it; 0 where that was cut off."""
    return max((score(said, answer) for answer in wanted or ()), default=0.0)


def _longest(model: nn.Module, preprocess: TextPreprocessor) -> int:
    """Most tokens of a row: what the data section says, and no more than the network takes."""
    context = getattr(model, "context", None)
    return preprocess.longest if context is None else min(preprocess.longest, int(context))
