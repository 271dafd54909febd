"""Hiding some tokens of a text, so that a network can learn to say what stood there.

Devlin et al., "BERT: pre-training of deep bidirectional transformers for language understanding", 2019: of the places
that are chosen, 80 % get the mask, 10 % another token, and 10 % stay as they are. Which places and what becomes of them
is a pure function of (seed, epoch, index, place), so that neither batches nor a resume change it.
Letters: B texts, T places, V vocabulary, W words of a text, O ordinary tokens.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from netwright.core.errors import ConfigError
from netwright.core.seeds import uniform
from netwright.data.batching import Batch, BatchSource, SourceAround
from netwright.data.textual import IGNORED
from netwright.data.tokenizing import Tokenizer, WordTokenizer
from netwright.data.tokenizing.words import WORD

__all__ = ["MaskedSource", "Masking", "word_borders"]

_LEADS = {chr(byte) for byte in range(0xE3, 0xEA)}  # with which the bytes of most Chinese characters begin
_PLACES, _FATES, _OTHERS = 0xA11, 0xFA7E, 0x07E5  # streams of random numbers, one a decision
_MASKED, _CHANGED = 0.8, 0.9
_BROKEN = "\N{REPLACEMENT CHARACTER}"


class Masking:
    """Hides tokens, and keeps what they were as targets.

    Args:
        share: of the ordinary tokens of a text that are chosen: as near to it as whole tokens (words) allow, and one
            at least.
        whole_words: choose words with all their tokens.

    Raises:
        ConfigError: the tokenizer has no code for a mask.
    """

    def __init__(self, tokenizer: Tokenizer, share: float, whole_words: bool) -> None:
        if tokenizer.mask is None:
            template = (
                "task.name=masked-language-modeling needs a tokenizer with a code for masks; choose another data.tokens"
            )
            raise ConfigError(template, path="task")
        self._share, self._mask = share, tokenizer.mask
        self._ordinary_V = torch.ones(len(tokenizer), dtype=torch.bool)
        self._ordinary_V[sorted(tokenizer.special)] = False
        self._codes_O = self._ordinary_V.nonzero()[:, 0]
        self._borders = word_borders(tokenizer) if whole_words else None

    def __call__(
        self, tokens_BT: Tensor, mask_BT: Tensor | None, index_B: Tensor, seed: int, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """Tokens with some of them hidden, and targets: what stood there, -100 at all other places.

        Shapes: (B, T), (B, T) bool or None, (B,) -> (B, T), (B, T).
        """
        self._follow(tokens_BT.device)
        ordinary_BT = self._ordinary_V[tokens_BT]
        if mask_BT is not None:
            ordinary_BT = ordinary_BT & mask_BT
        time = tokens_BT.shape[1]
        chosen_BT = self._chosen(tokens_BT, ordinary_BT, uniform(seed, epoch, index_B, _PLACES, time))
        fate_BT = uniform(seed, epoch, index_B, _FATES, time)
        drawn_BT = (uniform(seed, epoch, index_B, _OTHERS, time) * len(self._codes_O)).long()
        other_BT = self._codes_O[drawn_BT.clamp_(max=len(self._codes_O) - 1)]
        hidden_BT = torch.where(chosen_BT & (fate_BT < _CHANGED), other_BT, tokens_BT)
        hidden_BT = hidden_BT.masked_fill(chosen_BT & (fate_BT < _MASKED), self._mask)
        return hidden_BT, tokens_BT.masked_fill(~chosen_BT, IGNORED)

    def _chosen(self, tokens_BT: Tensor, ordinary_BT: Tensor, chance_BT: Tensor) -> Tensor:
        """The words that come first by chance, as long as all their tokens fit into the share."""
        word_BT = self._words(tokens_BT, ordinary_BT)
        chance_BT = chance_BT.gather(1, word_BT).masked_fill(~ordinary_BT, 2.0)  # that of the word's first token
        order_BT = chance_BT.argsort(dim=1, stable=True)
        places_T = torch.arange(chance_BT.shape[1], device=chance_BT.device)
        rank_BT = torch.empty_like(order_BT).scatter_(1, order_BT, places_T.expand_as(order_BT))
        last_BT = rank_BT.new_zeros(rank_BT.shape).scatter_reduce_(1, word_BT, rank_BT, "amax").gather(1, word_BT)
        wanted_B1 = (self._share * ordinary_BT.sum(1, keepdim=True)).round()
        fits_BT = (last_BT < wanted_B1) | (chance_BT == chance_BT.amin(1, keepdim=True))
        return fits_BT & ordinary_BT

    def _words(self, tokens_BT: Tensor, ordinary_BT: Tensor) -> Tensor:
        """The place at which each token's word begins; without whole words, its own."""
        place_BT = torch.arange(tokens_BT.shape[1], device=tokens_BT.device).expand_as(tokens_BT)
        if self._borders is None:
            return place_BT
        begins_V, ends_V = self._borders
        begins_BT = begins_V[tokens_BT] | ~ordinary_BT
        begins_BT[:, 1:] |= ends_V[tokens_BT[:, :-1]] | ~ordinary_BT[:, :-1]
        begins_BT[:, 0] = True
        return torch.where(begins_BT, place_BT, 0).cummax(1).values

    def _follow(self, device: torch.device) -> None:
        if self._codes_O.device != device:
            self._ordinary_V, self._codes_O = self._ordinary_V.to(device), self._codes_O.to(device)
            self._borders = None if self._borders is None else tuple(part.to(device) for part in self._borders)  # type: ignore[assignment]


class MaskedSource(SourceAround):
    """The batches of a source with tokens hidden, anew in each epoch of training and always alike in an evaluation.

    Shapes: inputs tokens (B, T), or the pair of tokens and mask -> that pair; targets (B, T), -100 where nothing is
        hidden. Whatever else the source's targets were is left aside.
    """

    def __init__(self, source: BatchSource, masking: Masking, seed: int, training: bool) -> None:
        super().__init__(source)
        self._masking, self._seed, self._training = masking, seed, training

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from batch `start` on."""
        seed, turn = (self._seed, epoch + 1) if self._training else (0, 0)
        for batch in self.source.epoch(epoch, start):
            both = batch.inputs if isinstance(batch.inputs, tuple) else (batch.inputs, None)
            tokens_BT, mask_BT = both[0], both[1]
            hidden_BT, targets_BT = self._masking(tokens_BT, mask_BT, batch.rows(), seed, turn)
            seen_BT = torch.ones_like(tokens_BT, dtype=torch.bool) if mask_BT is None else mask_BT
            yield Batch((hidden_BT, seen_BT), targets_BT, batch.index)


def word_borders(tokenizer: Tokenizer) -> tuple[Tensor, Tensor]:
    """Whether a token always begins a word, and whether it always ends one, for every code.

    A word is what the tokenizer of words takes for one. A token goes on with the word before it unless a space or
    another sign comes between; WordPiece marks those that go on with `##`, and a Chinese character is a word.

    Shapes: -> (V,) bool, (V,) bool.
    """
    if isinstance(tokenizer, WordTokenizer):
        every = torch.ones(len(tokenizer), dtype=torch.bool)
        return every, every
    texts = [_written(tokenizer, code) for code in range(len(tokenizer))]
    marked = any(text.startswith("##") and len(text) > 2 for text in texts)
    begins = [not text.startswith("##") if marked else not _goes_on(text[:1]) for text in texts]
    begins = [
        begin or _leads(tokenizer, code, text) for code, (begin, text) in enumerate(zip(begins, texts, strict=True))
    ]
    ends = [not marked and not _goes_on(text[-1:]) for text in texts]
    return torch.tensor(begins), torch.tensor(ends)


def _written(tokenizer: Tokenizer, code: int) -> str:
    """A token as it stands within a text; spaces that a vocabulary writes as a sign of their own are spaces."""
    name = getattr(tokenizer, "token", lambda code: None)(code)
    if name is None or name.startswith(("Ġ", "Ċ", "<")) or not name.isascii():
        decoded = tokenizer.decode([code], skip_special=False)
        return " " + decoded.lstrip() if name is not None and name[:1] in ("Ġ", "Ċ", "▁") else decoded
    return str(name)


def _leads(tokenizer: Tokenizer, code: int, text: str) -> bool:
    """Whether a token of bytes begins with a Chinese character that it does not hold whole."""
    name = getattr(tokenizer, "token", lambda code: None)(code) or ""
    return text[:1] == _BROKEN and name[:1] in _LEADS


def _goes_on(letter: str) -> bool:
    """Whether a letter at the border of a token belongs to one word with an ordinary letter beside it.

    What is no whole character (U+FFFD) is part of one.
    """
    return letter == _BROKEN or WORD.fullmatch(f"a{letter}") is not None if letter else False
