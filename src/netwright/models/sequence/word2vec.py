"""word2vec: vectors of words from the words around them, and what can be asked of such vectors.

Mikolov et al., 2013, "Efficient estimation of word representations in vector space" (skip-gram and CBOW), and Mikolov
et al., 2013, "Distributed representations of words and phrases and their compositionality" (negative sampling).
``B`` batch, ``C`` words around a word, ``D`` width, ``V`` vocabulary, ``P`` words to score a row, ``N`` words of noise.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.blocks.tokens import Embedding
from netwright.core.errors import DataError, suggest
from netwright.core.schemas import Size

__all__ = ["Word2Vec", "WordVectors"]


class Word2Vec(nn.Module):
    """Two vectors a word: one for the word where it is read, one where it is guessed; the first are what one keeps.

    The mean of the vectors read is scored against those guessed: skip-gram reads one word and guesses each of its
    neighbours, CBOW reads the neighbours and guesses the word between them.

    mode: which of the two; it decides the batches, not the weights. hidden_size: width of the vectors.

    Shapes:
        words [B] or [B, C] int64, mask [B, C] True where there is a word -> scores of all words [B, V];
        features: [B, D]

    Differs from the paper: both tables start at random, where its code starts the second at zero.
    """

    def __init__(
        self, vocab_size: Size = 8000, hidden_size: Size = 100, mode: Literal["skip-gram", "cbow"] = "skip-gram"
    ) -> None:
        super().__init__()
        self.mode = mode
        self.tokens = Embedding(vocab_size, hidden_size)
        self.head = nn.Linear(hidden_size, vocab_size, bias=False)
        for table in (self.tokens.weight, self.head.weight):
            nn.init.uniform_(table, -0.5 / hidden_size, 0.5 / hidden_size)

    def features(self, words: Tensor, mask_BC: Tensor | None = None) -> Tensor:
        """The mean of the words' vectors, [B, D]; zero where there is no word."""
        vectors = self.tokens(words)
        if vectors.dim() == 2:
            return vectors  # type: ignore[no-any-return]
        if mask_BC is None:
            return vectors.mean(1)  # type: ignore[no-any-return]
        weight_BC1 = mask_BC[..., None].to(vectors.dtype)
        return (vectors * weight_BC1).sum(1) / weight_BC1.sum(1).clamp(min=1.0)  # type: ignore[no-any-return]

    def forward(self, words: Tensor, mask_BC: Tensor | None = None, candidates: Tensor | None = None) -> Tensor:
        """Scores of all words, [B, V], or of some; see `scores`."""
        hidden_BD = self.features(words, mask_BC)
        out: Tensor = self.head(hidden_BD) if candidates is None else self.scores(hidden_BD, candidates)
        return out

    def scores(self, hidden_BD: Tensor, candidates: Tensor) -> Tensor:
        """Scores of some words only: of P for each row, or of the same N for all.

        Shapes:
            hidden [B, D], candidates [B, P] or [N] -> [B, P] or [B, N]
        """
        vectors = F.embedding(candidates, self.head.weight)
        if candidates.dim() == 1:
            return hidden_BD @ vectors.T
        return torch.einsum("bd,bpd->bp", hidden_BD, vectors)

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh head: `num_classes` scores of the mean vector, as in fastText (Joulin et al., 2017)."""
        like = self.tokens.weight
        self.head = nn.Linear(like.shape[1], num_classes, device=like.device, dtype=like.dtype)


class WordVectors:
    """Words and their vectors, for looking up; closeness is the cosine.

    Args:
        words: names of the rows; a row without a name (None) is never an answer.

    Shapes: table [V, D].
    """

    def __init__(self, words: Sequence[str | None], table_VD: Tensor) -> None:
        assert len(words) == len(table_VD)
        self.words, self.table_VD = list(words), table_VD.detach().float().cpu()
        self._unit_VD = F.normalize(self.table_VD, dim=1)
        self._rows = {word: row for row, word in enumerate(words) if word is not None}
        self._nameless = torch.tensor([word is None for word in words])

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and self._find(word) is not None

    def __len__(self) -> int:
        """How many words have a vector."""
        return len(self._rows)

    def __getitem__(self, word: str) -> Tensor:
        """The vector of a word, as learned. Shapes: -> [D].

        Raises:
            DataError: no such word (says the nearest in spelling).
        """
        return self.table_VD[self._row(word)]

    def similarity(self, one: str, other: str) -> float:
        """The cosine of two words' vectors."""
        return float(self._unit_VD[self._row(one)] @ self._unit_VD[self._row(other)])

    def nearest(self, word: str, k: int = 10) -> list[tuple[str, float]]:
        """The `k` words closest to `word`, and their cosines."""
        row = self._row(word)
        return self._closest(self._unit_VD[row], [row], k)

    def analogy(self, a: str, b: str, c: str, k: int = 1) -> list[tuple[str, float]]:
        """What is to `c` as `b` is to `a`: the words closest to b - a + c, none of the three among them (3CosAdd).

        Levy & Goldberg, 2014, "Linguistic regularities in sparse and explicit word representations".
        """
        rows = [self._row(word) for word in (a, b, c)]
        at_a, at_b, at_c = (self._unit_VD[row] for row in rows)
        return self._closest(F.normalize(at_b - at_a + at_c, dim=0), rows, k)

    def _closest(self, vector_D: Tensor, left_out: Sequence[int], k: int) -> list[tuple[str, float]]:
        cosine_V = (self._unit_VD @ vector_D).masked_fill(self._nameless, -torch.inf)
        cosine_V[list(left_out)] = -torch.inf
        cosine_K, row_K = cosine_V.topk(min(k, max(0, len(self) - len(set(left_out)))))
        return [(str(self.words[row]), cosine) for row, cosine in zip(row_K.tolist(), cosine_K.tolist(), strict=True)]

    def _find(self, word: str) -> int | None:
        """The row of a word; in small letters, where it stands only so."""
        return self._rows.get(word, self._rows.get(word.lower()))

    def _row(self, word: str) -> int:
        row = self._find(word)
        if row is None:
            near = suggest(word, list(self._rows))
            raise DataError("{word!r} has no vector: it is not in the vocabulary{near}", word=word, near=near)
        return row
