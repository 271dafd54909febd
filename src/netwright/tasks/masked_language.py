"""Masked language modelling: some tokens of a text are hidden, and the network says from both sides what they were.

Devlin et al., "BERT: pre-training of deep bidirectional transformers for language understanding", 2019; whole words:
the authors' later release, and Cui et al., "Pre-training with whole word masking for Chinese BERT", 2021.
Letters: B texts, T places, V vocabulary, N hidden places of a batch, K likeliest tokens.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, final

import torch
from pydantic import Field
from torch import Tensor, nn

from netwright.core.errors import DataError
from netwright.core.messages import say
from netwright.data.batching import Batch, BatchSource, forward
from netwright.data.preprocess import Preprocessor
from netwright.data.textual import TextPreprocessor
from netwright.data.tokenizing import CharTokenizer
from netwright.losses import LossFunction
from netwright.metrics.running import Surprise
from netwright.models.language.bert import MaskedHead
from netwright.tasks.base import Phase, StepOutput, Task
from netwright.tasks.language import token_nats
from netwright.tasks.masking import MaskedSource, Masking
from netwright.tasks.texts import IGNORED, counted_loss, readable

__all__ = ["MaskedLanguageModeling"]

_TOP = 5
_SHOWN = 12
_HOLE = re.compile(r"<mask>|\[MASK\]")

Share = Annotated[float, Field(gt=0, lt=1)]


@final
class MaskedLanguageModeling(Task):
    """Cross-entropy of the hidden tokens.

    Args:
        share: of a text's tokens that are hidden.
        whole_words: hide words with all their tokens, not tokens by themselves.

    Shapes: the batches of `batches` hold tokens (B, T) and mask (B, T), targets (B, T) with -100 where nothing is
        hidden; the network gives (B, T, V).

    Differs from the paper: no second task of whether two sentences follow each other (later work found no use in it).
    """

    monitor = "loss"
    default_loss = "cross-entropy"
    data_kinds = ("text",)
    usual_model = "bert_mini"
    answers_targets = True
    own_targets = "next-token"
    head = "masked-language-modeling"

    def __init__(
        self,
        preprocess: Preprocessor,
        loss: LossFunction | None = None,
        *,
        seed: int = 0,
        share: Share = 0.15,
        whole_words: bool = False,
    ) -> None:
        assert isinstance(preprocess, TextPreprocessor)
        self._preprocess, self._tokenizer, self._seed = preprocess, preprocess.tokenizer, seed
        self._loss = self.chosen_loss(loss)
        self._masking = Masking(self._tokenizer, share, whole_words)

    def batches(self, source: BatchSource, training: bool) -> BatchSource:
        """The source's texts with tokens hidden; in an evaluation always the same ones, whatever the seed."""
        return MaskedSource(source, self._masking, self._seed, training)

    def training_step(self, model: nn.Module, batch: Batch, phase: Phase) -> StepOutput:
        """The mean loss over the hidden places."""
        assert batch.targets is not None
        logits_NV, targets_N = _hidden_scores(model, batch), batch.targets[batch.targets != IGNORED]
        return StepOutput(counted_loss(self._loss, logits_NV, targets_N, may_be_none=True), predictions=logits_NV)

    def evaluation_step(self, model: nn.Module, batch: Batch) -> StepOutput:
        """The loss, and what was thought of each hidden token."""
        assert batch.targets is not None
        logits_NV, targets_N = _hidden_scores(model, batch).float(), batch.targets[batch.targets != IGNORED]
        loss = counted_loss(self._loss, logits_NV, targets_N, may_be_none=True)
        right_N = logits_NV.argmax(-1) == targets_N
        return StepOutput(loss, predictions=_Guesses(token_nats(logits_NV[None], targets_N[None]), right_N))

    def measure(self) -> "_Guessed":
        """Accuracy and perplexity of the hidden tokens."""
        return _Guessed()

    def exhibits(self, model: nn.Module, source: BatchSource, folder: Path) -> list[dict[str, Any]]:
        """Some texts with a hidden token each, what it was and what the network takes it for."""
        batch = next(iter(source.epoch(0)), None)
        if batch is None or batch.targets is None:
            return []
        tokens_BT, seen_BT = batch.inputs
        logits_BTV, rows = forward(model, batch.inputs).float(), []
        for row in torch.linspace(0, len(tokens_BT) - 1, min(_SHOWN, len(tokens_BT))).long().tolist():
            if not len(places := (batch.targets[row] != IGNORED).nonzero()[:, 0]):
                continue
            place = int(places[len(places) // 2])
            share, guess = logits_BTV[row, place].softmax(0).max(0)
            rows.append([
                self._around(tokens_BT[row], seen_BT[row], place), self._text(int(batch.targets[row, place])),
                self._text(int(guess)), round(float(share), 4),
            ])  # fmt: skip
        columns = [say("text"), say("hidden"), say("said"), say("probability")]
        return [{"kind": "table", "title": say("Hidden tokens"), "columns": columns, "rows": rows}] if rows else []

    def replies(self, model: nn.Module, inputs: Sequence[Any]) -> list[dict[str, Any]] | None:
        """The likeliest tokens for each `<mask>` of each text, and the text with the likeliest ones in their places.

        Raises:
            DataError: no text, or one without `<mask>`.
        """
        return [self._filled(model, text) for text in inputs]

    def _filled(self, model: nn.Module, text: Any) -> dict[str, Any]:
        if not isinstance(text, str) or not _HOLE.search(text):
            raise DataError("{got!r} has nothing to fill in; write <mask> where a token is wanted", got=str(text)[:80])
        tokenizer, hole = self._tokenizer, torch.tensor([self._tokenizer.mask])
        pieces: list[Tensor] = []
        for piece in _HOLE.split(text):  # the space before a word belongs to its token, where tokens are not characters
            before_hole = piece if isinstance(tokenizer, CharTokenizer) else piece.rstrip()
            pieces += [tokenizer.encode(before_hole), hole]
        tokens_T = torch.cat([hole.new_tensor(tokenizer.before), *pieces[:-1], hole.new_tensor(tokenizer.after)])
        tokens_T = tokens_T.to(next(model.parameters()).device)
        place_N = tokens_T.eq(hole.item()).nonzero()[:, 0]
        logits_1TV = model(tokens_T[None], torch.ones_like(tokens_T[None], dtype=torch.bool))
        share_NK, token_NK = logits_1TV[0, place_N].float().softmax(1).topk(min(_TOP, logits_1TV.shape[2]))
        tokens_T[place_N] = token_NK[:, 0]
        masks = [
            [{"token": self._text(token), "probability": share} for token, share in zip(*pair, strict=True)]
            for pair in zip(token_NK.tolist(), share_NK.tolist(), strict=True)
        ]
        return {"text": tokenizer.decode(tokens_T), "masks": masks}

    def _around(self, tokens_T: Tensor, seen_T: Tensor, place: int) -> str:
        """The text around a hidden place, which is shown as a line."""
        before_T, after_T = tokens_T[max(0, place - 40) : place], tokens_T[place + 1 : place + 41]
        before = readable(self._tokenizer, before_T)
        return f"{before} ____ {readable(self._tokenizer, after_T, seen_T[place + 1 : place + 41])}"

    def _text(self, token: int) -> str:
        return self._tokenizer.decode([token], skip_special=False)


def _hidden_scores(model: nn.Module, batch: Batch) -> Tensor:
    """Scores of the hidden places alone; a head that can be asked for some places is not asked for all. (N, V)."""
    assert batch.targets is not None
    hidden_BT = batch.targets != IGNORED
    head = getattr(model, "head", None)
    if not isinstance(head, MaskedHead):
        scores_BTV: Tensor = forward(model, batch.inputs)
        return scores_BTV[hidden_BT]
    state_BTD: Tensor = model.features(*batch.inputs)  # type: ignore[operator]
    scores_NV: Tensor = head(state_BTD[hidden_BT], model.tokens.weight)  # type: ignore[union-attr]
    return scores_NV


@dataclass
class _Guesses:
    """Of the hidden tokens of one batch. Shapes: nats (N,), right (N,) bool."""

    nats: Tensor
    right: Tensor

    def __len__(self) -> int:
        return len(self.nats)


class _Guessed:
    """Collects `_Guesses` into `accuracy` and `perplexity`."""

    def __init__(self) -> None:
        self._surprise = Surprise()
        self._right: Tensor | int = 0
        self._count = 0

    def update(self, predictions: _Guesses, targets: Tensor) -> None:
        """Take one batch in."""
        self._surprise.update(predictions.nats, targets)
        self._right = self._right + predictions.right.sum()
        self._count += len(predictions)

    def compute(self) -> dict[str, float]:
        """The figures; NaN where nothing was hidden."""
        accuracy = int(self._right) / self._count if self._count else float("nan")
        return {"accuracy": accuracy, **self._surprise.compute()}
