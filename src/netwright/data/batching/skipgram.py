"""Batches for word2vec: words, the words around them, and words of noise (Mikolov et al., 2013).

Frequent words are thinned out anew each epoch before the windows are laid, and how wide each window is, is drawn, so
that near words count more. A batch is a few gathers from the stream of words that an epoch keeps; nothing runs for a
single word. Letters: V vocabulary, K words that an epoch keeps, B batch, C words around a word, N words of noise.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, final

import torch
from torch import Tensor

from netwright.core.errors import ConfigError, DataError
from netwright.core.schemas import NonNegative, Positive, Size
from netwright.core.seeds import generator
from netwright.data.batching.source import Batch, Order, OrderedSource
from netwright.data.dataset import Dataset
from netwright.data.preprocess import Preprocessor
from netwright.data.texts import TextDataset, all_texts

__all__ = ["NOTHING", "PairMaker", "PairSettings", "SkipGrams"]

NOTHING = -100  # in place of a word that is to be guessed, where there is none
_NOISE = 512  # words of noise that the rows of a batch share: a matrix product that costs little beside the gathers
_POWER = 0.75  # of the frequencies that noise is drawn by (section 2.2)
_THIN, _REACH, _DRAW = 0x7417, 0x4EAC, 0xD4A3  # keep these random numbers apart from everybody else's

Mode = Literal["skip-gram", "cbow"]


@dataclass(frozen=True)
class PairSettings:
    """What is a pair.

    Args:
        window: the farthest words around a word that count; each time the reach is drawn from 1 to this.
        negatives: words of noise for each true one.
        subsample: words that make up more than this share of the text are thinned out to its square root of it; 0
            keeps all.
    """

    window: Size = 5
    negatives: Positive = 5.0
    subsample: NonNegative = 1e-3


@final
class SkipGrams(OrderedSource):
    """Words with their neighbours, of a text as a stream of codes.

    Args:
        texts: which text each word is of; windows end where a text does.
        counts: how often each code stands in the training text: what is thinned out, and how noise is drawn.

    Shapes: words (W,), texts (W,), counts (V,). The batch's inputs are the words read, their mask, and noise: (B, 1),
        (B, 1) and (N,) for skip-gram, (B, C), (B, C) and (N,) for CBOW; its targets the words to guess, (B, C) or
        (B, 1), `NOTHING` where there is none.

    Raises:
        DataError: no two words beside each other.
        ConfigError: see `Order`; a batch counts the words in the middle of windows.
    """

    def __init__(
        self,
        words: Tensor,
        texts: Tensor,
        counts: Tensor,
        *,
        settings: PairSettings,
        mode: Mode,
        batch_size: int,
        shuffle: bool = True,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        if not bool((texts[1:] == texts[:-1]).any()):
            raise DataError("the text holds no two known words beside each other; use more text, or rarer words")
        self._device, self._settings, self._mode, self._seed = torch.device(device), settings, mode, seed
        self._words, self._texts = words, texts
        share_V = counts.double() / counts.sum().clamp(min=1)
        kept_V = (settings.subsample / share_V.clamp(min=1e-12)).sqrt().clamp(max=1.0)
        self._chance = (kept_V if settings.subsample else torch.ones_like(kept_V)).float()[words]
        self._edges = counts.double().pow(_POWER).cumsum(0)
        self._order = Order(max(1, int(self._chance.sum())), batch_size, shuffle, seed)
        reach = torch.arange(1, settings.window + 1)
        self._offsets = torch.cat((-reach.flip(0), reach)).to(self._device)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from batch `start` on."""
        words_K, texts_K = self._kept(epoch)
        reach_K = torch.randint(1, self._settings.window + 1, words_K.shape, generator=self._dice(epoch, _REACH))
        stream = words_K.to(self._device), texts_K.to(self._device), reach_K.to(self._device)
        for step, rank_B in enumerate(self._order.batches(epoch, start), start=start):
            # An epoch has as many batches as any other, however many words it keeps: ranks spread over all of them.
            place_B = (rank_B * len(words_K) // self._order.examples).to(self._device)
            yield self._batch(stream, place_B, self._noise(epoch, step))

    def _kept(self, epoch: int) -> tuple[Tensor, Tensor]:
        kept = torch.rand(len(self._words), generator=self._dice(epoch, _THIN)) < self._chance
        if not bool(kept.any()):
            return self._words, self._texts
        return self._words[kept], self._texts[kept]

    def _batch(self, stream: tuple[Tensor, Tensor, Tensor], place_B: Tensor, noise_N: Tensor) -> Batch:
        words_K, texts_K, reach_K = stream
        around_BC = place_B[:, None] + self._offsets
        inside_BC = (around_BC >= 0) & (around_BC < len(words_K))
        around_BC = around_BC.clamp(0, len(words_K) - 1)
        same_BC = texts_K[around_BC] == texts_K[place_B][:, None]
        near_BC = inside_BC & same_BC & (self._offsets.abs() <= reach_K[place_B][:, None])
        word_B1, around_BC = words_K[place_B][:, None], words_K[around_BC]
        if self._mode == "skip-gram":
            inputs = (word_B1, torch.ones_like(word_B1, dtype=torch.bool), noise_N)
            return Batch(inputs, around_BC.masked_fill(~near_BC, NOTHING), place_B)
        lonely_B1 = ~near_BC.any(1, keepdim=True)
        return Batch((around_BC, near_BC, noise_N), word_B1.masked_fill(lonely_B1, NOTHING), place_B)

    def _noise(self, epoch: int, step: int) -> Tensor:
        draws = torch.rand(_NOISE, dtype=torch.float64, generator=self._dice(epoch, _DRAW, step))
        drawn = torch.searchsorted(self._edges, draws * self._edges[-1], right=True)
        return drawn.clamp_(max=len(self._edges) - 1).to(self._device)

    def _dice(self, *purpose: int) -> torch.Generator:
        return generator(self._seed, *purpose)


@dataclass(frozen=True)
class PairMaker:
    """The sources of a run: all draw noise by the frequencies of the training part."""

    train: Dataset
    preprocess: Preprocessor
    settings: PairSettings
    mode: Mode

    def training(self, batch_size: int, seed: int, device: torch.device) -> SkipGrams:
        """Batches to train on."""
        words, texts = self._stream
        return SkipGrams(
            words, texts, self._counts, settings=self.settings, mode=self.mode, batch_size=batch_size, seed=seed,
            device=device,
        )  # fmt: skip

    def measuring(self, dataset: Dataset, batch_size: int, device: torch.device) -> SkipGrams:
        """Batches of other texts, the same each time."""
        words, texts = self._read(dataset)
        return SkipGrams(
            words, texts, self._counts, settings=self.settings, mode=self.mode, batch_size=batch_size, shuffle=False,
            device=device,
        )  # fmt: skip

    @cached_property
    def _stream(self) -> tuple[Tensor, Tensor]:
        return self._read(self.train)

    @cached_property
    def _counts(self) -> Tensor:
        assert self.preprocess.tokenizer is not None
        return torch.bincount(self._stream[0], minlength=len(self.preprocess.tokenizer))

    def _read(self, dataset: Dataset) -> tuple[Tensor, Tensor]:
        """All known words, and which text each is of. Shapes: -> (W,) and (W,) int64."""
        tokenizer = self.preprocess.tokenizer
        if tokenizer is None or tokenizer.kind == "characters":
            template = "task word2vec learns vectors of words, and the tokens are characters; set data.tokens: {do}"
            raise ConfigError(template, path="data.tokens", do="{kind: words, lower: true}")
        rows = tokenizer.ragged(_texts(dataset))
        words, texts = rows.values.long(), torch.repeat_interleave(torch.arange(len(rows)), rows.lengths)
        known = ~torch.isin(words, torch.tensor(sorted(tokenizer.special)))
        return words[known], texts[known]


def _texts(dataset: Dataset) -> list[str]:
    """Documents; of one long text the paragraphs, or the lines where no line is empty."""
    texts = all_texts(dataset)
    if isinstance(dataset, TextDataset):
        return texts
    return [piece for text in texts for piece in (re.split(r"\n\s*\n", text) if "\n\n" in text else text.splitlines())]
