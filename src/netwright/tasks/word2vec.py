"""Vectors of words from the words around them: skip-gram or CBOW with negative sampling (Mikolov et al., 2013).

Letters: B words in the middle of a window, P words to guess for each, N words of noise, D width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from pathlib import Path
from typing import Any, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.core.errors import ConfigError
from netwright.core.messages import say
from netwright.core.schemas import NonNegative, Positive, Size
from netwright.data.batching import Batch, BatchSource
from netwright.data.batching.skipgram import NOTHING, PairSettings
from netwright.data.preprocess import Preprocessor
from netwright.data.tokenizing import Tokenizer
from netwright.losses.negative_sampling import negative_sampling
from netwright.models.sequence.word2vec import WordVectors
from netwright.tasks.base import Phase, StepOutput, Task

__all__ = ["Word2VecTask", "vectors_of"]

_SHOWN, _NEAREST, _ANSWERS = 16, 6, 10
_LONG_ENOUGH = 4  # letters; shorter words are mostly of grammar, and have no telling neighbours


@final
class Word2VecTask(Task):
    """Words near a word are told from words of noise.

    Args:
        window, negatives, subsample: see `PairSettings`.
        related: groups of words that belong together. The figure `related` is how often a word is closer to one of its
            own group than to one of another; 0.5 is chance.
        show: words whose neighbours stand in the report; by default some of the common ones.

    Shapes: see `SkipGrams`.

    Raises:
        ConfigError: groups of words of which too few are in the vocabulary.

    Differs from the paper: the rows of a batch share their words of noise, see `losses.negative_sampling`, and noise
    that happens to be true is not drawn again.
    """

    monitor = "loss"
    data_kinds = ("text",)
    usual_model = "word2vec"

    def __init__(
        self,
        preprocess: Preprocessor,
        *,
        window: Size = 5,
        negatives: Positive = 5.0,
        subsample: NonNegative = 1e-3,
        related: list[list[str]] | None = None,
        show: list[str] | None = None,
    ) -> None:
        assert preprocess.tokenizer is not None
        self._tokenizer, self._negatives, self._show = preprocess.tokenizer, negatives, show
        self._related_M, self._group_M = self._grouped(related or [])

    @staticmethod
    def pairs(values: Mapping[str, Any]) -> PairSettings:
        """How batches are to be made, by the settings of `task:`."""
        names = [field.name for field in fields(PairSettings)]
        return PairSettings(**{name: values[name] for name in names if name in values})

    def training_step(self, model: nn.Module, batch: Batch, phase: Phase) -> StepOutput:
        """The mean loss of all true words of the batch."""
        true_BP, mask_BP, noise_BN = self._scores(model, batch)
        return StepOutput(negative_sampling(true_BP, mask_BP, noise_BN, self._negatives))

    def evaluation_step(self, model: nn.Module, batch: Batch) -> StepOutput:
        """The loss, and how often each row's true words score above noise."""
        true_BP, mask_BP, noise_BN = self._scores(model, batch)
        above_BP = (true_BP[:, :, None] > noise_BN[:, None, :]).float().mean(2)
        loss = negative_sampling(true_BP, mask_BP, noise_BN, self._negatives)
        return StepOutput(loss, predictions=_Told(above_BP[mask_BP], self._relatedness(model)))

    def measure(self) -> "_Figures":
        """How often a true word scores above noise (0.5 is chance), and related words are closer than others."""
        return _Figures(asks=len(self._related_M) > 0)

    def exhibits(self, model: nn.Module, source: BatchSource, folder: Path) -> list[dict[str, Any]]:
        """Some words and those nearest to them."""
        vectors = vectors_of(cast(Any, model).tokens.weight, self._tokenizer)
        columns = [say("word"), *(str(place) for place in range(1, _NEAREST + 1))]
        rows = [[word, *(near for near, _ in vectors.nearest(word, _NEAREST))] for word in self._shown(vectors)]
        return [{"kind": "table", "title": say("Nearest words"), "columns": columns, "rows": rows}] if rows else []

    def replies(self, model: nn.Module, inputs: Sequence[Any]) -> list[dict[str, Any]] | None:
        """The words nearest to each input, which is a word; of three, such as `man king woman`, what is to the third as
        the second is to the first.

        Raises:
            DataError: a word that has no vector.
        """
        vectors = vectors_of(cast(Any, model).tokens.weight, self._tokenizer)
        told: list[dict[str, Any]] = []
        for text in map(str, inputs):
            match text.split():
                case [a, b, c]:
                    near = vectors.analogy(a, b, c, _ANSWERS)
                case _:
                    near = vectors.nearest(text, _ANSWERS)
            told.append({"word": text, "nearest": [{"word": word, "cosine": cosine} for word, cosine in near]})
        return told

    def _scores(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Scores of true words, which of them there are, and scores of noise. Shapes: -> (B, P), (B, P), (B, N)."""
        assert batch.targets is not None
        words, mask, noise_N = batch.inputs
        network, mask_BP = cast(Any, model), batch.targets != NOTHING
        hidden_BD = network.features(words, mask)
        true_BP = network.scores(hidden_BD, batch.targets.clamp(min=0))
        return true_BP.float(), mask_BP, network.scores(hidden_BD, noise_N).float()

    def _grouped(self, groups: list[list[str]]) -> tuple[Tensor, Tensor]:
        """Codes of the words of the groups, and which group each is of. Shapes: -> (M,) and (M,) int64."""
        codes: list[int] = []
        numbers: list[int] = []
        for number, words in enumerate(groups):
            found = [self._tokenizer.encode(word) for word in words]
            known = [int(code[0]) for code in found if len(code) == 1 and int(code[0]) not in self._tokenizer.special]
            codes, numbers = codes + known, numbers + [number] * len(known)
        if groups and (len(set(numbers)) < 2 or max(map(numbers.count, numbers)) < 2):
            template = (
                "task.related needs two groups or more of words in the vocabulary, one with two; got {known} of {all}"
            )
            raise ConfigError(template, path="task.related", known=len(codes), all=sum(map(len, groups)))
        return torch.tensor(codes, dtype=torch.int64), torch.tensor(numbers, dtype=torch.int64)

    def _relatedness(self, model: nn.Module) -> float | None:
        if not len(self._related_M):
            return None
        table_VD = cast(Any, model).tokens.weight
        unit_MD = F.normalize(table_VD[self._related_M.to(table_VD.device)].float(), dim=1)
        close_MM, same_MM = (unit_MD @ unit_MD.T).cpu(), self._group_M[:, None] == self._group_M
        won, asked = 0.0, 0
        for a, b in combinations(range(len(close_MM)), 2):
            for one, other in ((a, b), (b, a)) if same_MM[a, b] else ():
                strange = ~same_MM[one]
                won += float((close_MM[one, other] > close_MM[one, strange]).sum())
                asked += int(strange.sum())
        return won / asked

    def _shown(self, vectors: WordVectors) -> list[str]:
        if self._show is not None:
            return [word for word in self._show if word in vectors]
        common = [word for word in vectors.words if word is not None and len(word) >= _LONG_ENOUGH and word.isalpha()]
        step = max(1, min(len(common), 20 * _SHOWN) // _SHOWN)  # codes of words run from the commonest to the rarest
        return common[: step * _SHOWN : step]


@dataclass(frozen=True)
class _Told:
    """Of a batch: for each true word the share of noise below it, and how often related words are closer."""

    above_N: Tensor
    related: float | None

    def __len__(self) -> int:  # the weight of the batch's loss, which is a mean over true words
        return len(self.above_N)


class _Figures:
    """Means over all true words.

    asks: whether related words are asked for.
    """

    def __init__(self, asks: bool) -> None:
        self._above, self._count = 0.0, 0
        self._related: float | None = float("nan") if asks else None

    def update(self, predictions: _Told, targets: Any) -> None:
        """Take one batch in."""
        self._above += float(predictions.above_N.double().sum())
        self._count += len(predictions.above_N)
        self._related = predictions.related

    def compute(self) -> dict[str, float]:
        """The figures over all batches."""
        figures = {"above_noise": self._above / self._count if self._count else float("nan")}
        return figures if self._related is None else {**figures, "related": self._related}


def vectors_of(table_VD: Tensor, tokenizer: Tokenizer) -> WordVectors:
    """The rows of an embedding as vectors of words; special codes have no name."""
    special = tokenizer.special
    words = [None if code in special else tokenizer.decode([code]) for code in range(len(table_VD))]
    return WordVectors(words, table_VD)
