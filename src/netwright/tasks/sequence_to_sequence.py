"""From one text to another: translations, summaries, titles.

Training is by teacher forcing: at each place the network reads what should stand before it. With scheduled sampling
(Bengio et al., "Scheduled sampling for sequence prediction with recurrent neural networks", 2015) a growing share of
that is what the network says itself, so that it meets its own mistakes.
Letters: B pairs, S places of a source, T places of a target, V vocabulary, R pairs that are written out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast, final

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from netwright.core.errors import need
from netwright.core.messages import say
from netwright.core.schemas import Count, Fraction, NonNegative, Size
from netwright.core.seeds import generator
from netwright.data.batching import Batch, BatchSource, forward, part_of
from netwright.data.preprocess import Preprocessor
from netwright.data.textual import TextPreprocessor
from netwright.losses import LossFunction
from netwright.metrics.running import Surprise
from netwright.metrics.text import overlaps, text_figures
from netwright.tasks.base import Phase, StepOutput, Task
from netwright.tasks.language import token_nats
from netwright.tasks.texts import IGNORED, Announced, counted_loss, one_line, references, until_end

__all__ = ["SequenceToSequence"]

_CHOSEN = 0xC405
_SHOWN = 8  # pairs of each end of the table: worst and best
_WIDEST = 14  # tokens of a text whose attention is shown
_LONGEST = 256  # tokens of a text that nobody limits
_AT_ONCE = 64  # texts written at a time


@final
class SequenceToSequence(Task):
    """Cross-entropy of the next token of the target, given the source and the target before it.

    `bleu` and `chrf` (0 to 100) and `exact_match` (0 to 1) are of texts that the network writes without seeing the
    references, for `measure` examples drawn once from those of an evaluation; `loss` and `perplexity` are of all. The
    references are those of the data: uncut, and with the words that the tokenizer does not know.

    Args:
        beams: of the search for the likeliest text; 1 takes the likeliest token at each place.
        length_penalty: of that search: above 0 favours longer texts.
        measure: examples that are written out in each evaluation; 0 for none.
        max_new_tokens: the longest text it writes; by default twice the source and 20.
        own_share: share of the target's tokens that the network's own replace by the end of training; it rises
            linearly from 0.

    Shapes: inputs source (B, S), target so far (B, T) and mask (B, S); targets (B, T), -100 where there is none; the
        network gives (B, T, V).

    Differs from the paper (scheduled sampling): a first pass by teacher forcing gives the network's own tokens for all
        places at once, so that a network which reads all places at once needs two passes and not T.
    """

    monitor = "loss"
    default_loss = "cross-entropy"
    data_kinds = ("text",)
    target_kinds = ("text",)
    usual_model = {"name": "transformer", "num_layers": 3, "hidden_size": 256, "inner_size": 1024, "norm": "pre"}

    def __init__(
        self,
        preprocess: Preprocessor,
        loss: LossFunction | None = None,
        *,
        total_steps: int = 1,
        beams: Size = 1,
        length_penalty: NonNegative = 1.0,
        measure: Count = 200,
        max_new_tokens: Size | None = None,
        own_share: Fraction = 0.0,
    ) -> None:
        assert isinstance(preprocess, TextPreprocessor)
        self._preprocess, self._tokenizer = preprocess, preprocess.tokenizer
        self._loss = self.chosen_loss(loss)
        self._total_steps, self._own_share = max(1, total_steps), own_share
        self._search = {"num_beams": beams, "length_penalty": length_penalty}
        self._measure, self._longest = measure, max_new_tokens
        self._step = 0
        self._chosen_N: Tensor | None = None  # of the examples of an evaluation, those that are written out
        self._references: Sequence[Sequence[str]] | None = None  # of all of them
        self._waiting: list[_Pair] = []
        self._left = 0

    def batches(self, source: BatchSource, training: bool) -> BatchSource:
        """The source as it is; of an evaluation, the examples that are to be written out are drawn.

        Raises:
            MissingExtra: texts are to be measured, and sacrebleu is not installed.
        """
        if self._measure:
            need("sacrebleu", "text")  # now, not after the first epoch
        return source if training else Announced(source, self._draw)

    def training_step(self, model: nn.Module, batch: Batch, phase: Phase) -> StepOutput:
        """The mean loss over all tokens of the targets."""
        assert batch.targets is not None and isinstance(batch.inputs, tuple)
        inputs, logs = batch.inputs, {}
        if (share := self._own_share * min(1.0, self._step / self._total_steps)) > 0:
            inputs = self._mixed(model, inputs, share)
            logs["own_share"] = torch.tensor(share)
        self._step += 1
        logits_BTV = forward(model, inputs)
        return StepOutput(counted_loss(self._loss, logits_BTV, batch.targets), logs, logits_BTV)

    def evaluation_step(self, model: nn.Module, batch: Batch) -> StepOutput:
        """The loss by teacher forcing, and texts for the examples that were drawn."""
        assert batch.targets is not None
        logits_BTV = forward(model, batch.inputs).float()
        loss = counted_loss(self._loss, logits_BTV, batch.targets)
        wrote = _Wrote(token_nats(logits_BTV, batch.targets))
        if self._measure and hasattr(model, "generate"):
            found = self._pairs(batch)
            self._waiting, self._left = self._waiting + found, self._left - len(found)
            if self._left <= 0 or len(self._waiting) >= _AT_ONCE:  # together: a few at a time would take as long
                pairs, self._waiting = self._waiting, []
                wrote.texts = self._written(model, [pair.source_S for pair in pairs])
                wrote.wanted = [pair.wanted for pair in pairs]
        return StepOutput(loss, predictions=wrote)

    def measure(self) -> "_Written":
        """Perplexity, and the figures of what was written."""
        return _Written(self._measure)

    def state(self) -> dict[str, Any]:
        """How far the schedule of the network's own tokens is."""
        return {"step": self._step}

    def load_state(self, state: dict[str, Any]) -> None:
        """Undo of `state`."""
        self._step = int(state.get("step", 0))

    def exhibits(self, model: nn.Module, source: BatchSource, folder: Path) -> list[dict[str, Any]]:
        """Sources with what should have been written and what was: the worst, then the best."""
        if not hasattr(model, "generate") or not self._measure:
            return []
        pairs = [pair for batch in source.epoch(0) for pair in self._pairs(batch)]
        if not pairs:
            return []
        outputs = self._written(model, [pair.source_S for pair in pairs])
        decode = self._tokenizer.decode
        rows = [(decode(pair.source_S), pair.wanted, text) for pair, text in zip(pairs, outputs, strict=True)]
        scores = overlaps([row[2] for row in rows], [row[1] for row in rows])
        order = sorted(range(len(rows)), key=scores.__getitem__)
        shown = order if len(order) <= 2 * _SHOWN else order[:_SHOWN] + order[-_SHOWN:]
        columns = [say("chrF"), say("source"), say("reference"), say("output")]
        cut = [[round(scores[place], 1), *map(one_line, rows[place])] for place in shown]
        found = [{"kind": "table", "title": say("Worst and best outputs"), "columns": columns, "rows": cut}]
        return [*found, *self._attention(model, source)]

    def replies(self, model: nn.Module, inputs: Sequence[Any]) -> list[dict[str, Any]] | None:
        """What the network writes for each text."""
        place, texts = next(model.parameters()).device, list[str]()
        for first in range(0, len(inputs), _AT_ONCE):
            tokens_BS, mask_BS = (part.to(place) for part in self._preprocess.batch(inputs[first : first + _AT_ONCE]))
            texts += self._written(model, [row[seen] for row, seen in zip(tokens_BS, mask_BS, strict=True)])
        return [{"text": text} for text in texts]

    def _attention(self, model: nn.Module, source: BatchSource) -> list[dict[str, Any]]:
        """Where a network with attention looks while it reads one reference: a row a token, a column a source token."""
        if not hasattr(model, "attention_weights") or getattr(model, "attention", None) is None:
            return []
        for batch in source.epoch(0):
            assert batch.targets is not None
            sizes_B2 = torch.stack([batch.inputs[2].sum(1), (batch.targets != IGNORED).sum(1)], dim=1)
            fitting = (sizes_B2.amax(1) <= _WIDEST).nonzero()[:, 0].tolist()
            if not fitting:
                continue
            row, one = fitting[-1], slice(fitting[-1], fitting[-1] + 1)
            weights_TS = cast(Any, model.attention_weights)(*part_of(batch.inputs, one))[0].float()
            read, told = sizes_B2[row].tolist()
            columns = ["", *self._pieces(batch.inputs[0][row, :read])]
            shares = weights_TS[:told, :read].tolist()
            rows = [
                [name, *(round(share, 2) for share in line)]
                for name, line in zip(self._pieces(batch.targets[row, :told]), shares, strict=True)
            ]
            return [{"kind": "table", "title": say("Where it looks"), "columns": columns, "rows": rows}]
        return []

    def _pieces(self, tokens_T: Tensor) -> list[str]:
        return [self._tokenizer.decode([token], skip_special=False) for token in tokens_T.tolist()]

    def _mixed(self, model: nn.Module, inputs: tuple[Tensor, ...], share: float) -> tuple[Tensor, ...]:
        """The target so far with a share of it replaced by what the network would have said; the first token stays."""
        source_BS, so_far_BT, *rest = inputs
        with torch.no_grad():
            said_BT = model(*inputs).argmax(-1)
        own_BT = torch.cat([so_far_BT[:, :1], said_BT[:, :-1]], dim=1)
        chance_BT = torch.rand(so_far_BT.shape, device=so_far_BT.device)
        return (source_BS, torch.where(chance_BT < share, own_BT, so_far_BT), *rest)

    def _written(self, model: nn.Module, sources: Sequence[Tensor]) -> list[str]:
        """What the network writes for each source (S,)."""
        how: dict[str, Any] = {"bos": self._tokenizer.start, "eos": self._tokenizer.end, **self._search}
        how["temperature"] = 1.0 if self._search["num_beams"] != 1 else 0.0
        texts: list[str] = []
        for first in range(0, len(sources), _AT_ONCE):
            part = sources[first : first + _AT_ONCE]
            source_RS = pad_sequence([*part], batch_first=True, padding_value=self._tokenizer.filler)
            mask_RS = pad_sequence([torch.ones_like(one, dtype=torch.bool) for one in part], batch_first=True)
            most = [self._longest or min(_LONGEST, 2 * len(one) + 20) for one in part]  # whatever stands beside it
            made_RT = cast(Any, model.generate)(source_RS, mask_RS, max_new_tokens=max(most), **how)
            rows = zip(made_RT[:, 1:].tolist(), most, strict=True)
            texts += [self._tokenizer.decode(until_end(row[:count], self._tokenizer.end)) for row, count in rows]
        return texts

    def _draw(self, source: BatchSource) -> None:
        """Which examples of an evaluation are written out: batches come by length, so the first would not do."""
        examples, self._references = source.examples, references(source)
        self._chosen_N = torch.zeros(examples, dtype=torch.bool)
        self._chosen_N[torch.randperm(examples, generator=generator(_CHOSEN, examples))[: self._measure]] = True
        self._waiting, self._left = [], int(self._chosen_N.sum())

    def _pairs(self, batch: Batch) -> "list[_Pair]":
        """Those of a batch that are written out, without what fills them up; all of them where nothing was drawn."""
        assert batch.targets is not None
        rows = list(range(len(batch.targets)))
        if self._chosen_N is not None and batch.index is not None:
            rows = self._chosen_N[batch.index.cpu()].nonzero()[:, 0].tolist()
        source_BS, _, mask_BS = batch.inputs
        return [_Pair(source_BS[row][mask_BS[row]], self._wanted(batch, row)) for row in rows]

    def _wanted(self, batch: Batch, row: int) -> str:
        """The reference of one row, as the tokenizer would write it."""
        assert batch.targets is not None
        if self._references is None or batch.index is None:
            return self._tokenizer.decode(batch.targets[row][batch.targets[row] != IGNORED])
        return self._tokenizer.spelled(self._references[int(batch.index[row])][0])


class _Pair(NamedTuple):
    """Tokens of a source (S,), and its reference."""

    source_S: Tensor
    wanted: str


@dataclass
class _Wrote:
    """Of one batch: the nats of each token (N,), and texts beside their references."""

    nats: Tensor
    texts: Sequence[str] = ()
    wanted: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.nats)


class _Written:
    """Collects `_Wrote` into perplexity and, where texts are measured, the figures of texts."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._surprise = Surprise()
        self._texts: list[str] = []
        self._wanted: list[str] = []

    def update(self, predictions: _Wrote, targets: Tensor) -> None:
        """Take one batch in."""
        self._surprise.update(predictions.nats, targets)
        self._texts += predictions.texts
        self._wanted += predictions.wanted

    def compute(self) -> dict[str, float]:
        """The figures."""
        figures = {"perplexity": self._surprise.compute()["perplexity"]}
        return figures | (text_figures(self._texts, self._wanted) if self._most else {})
