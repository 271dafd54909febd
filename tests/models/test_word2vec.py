"""word2vec: what it computes, the optimum that it is known to find, and what can be asked of vectors."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.core.errors import DataError
from netwright.data.batching.skipgram import NOTHING, PairSettings, SkipGrams
from netwright.losses.negative_sampling import negative_sampling
from netwright.models.sequence.word2vec import Word2Vec, WordVectors


def test_the_mean_of_the_words_read_is_scored_against_the_words_guessed() -> None:
    net = Word2Vec(7, hidden_size=5, mode="cbow")
    words_BC = torch.tensor([[1, 2, 3], [4, 0, 0]])
    mask_BC = torch.tensor([[True, True, False], [True, False, False]])
    hidden_BD = net.features(words_BC, mask_BC)
    torch.testing.assert_close(hidden_BD[0], net.tokens.weight[[1, 2]].mean(0))
    torch.testing.assert_close(hidden_BD[1], net.tokens.weight[4])
    all_BV = net(words_BC, mask_BC)
    torch.testing.assert_close(all_BV, hidden_BD @ net.head.weight.T)
    torch.testing.assert_close(net(words_BC, mask_BC, torch.tensor([2, 6])), all_BV[:, [2, 6]])
    each_BP = torch.tensor([[3, 1], [5, 5]])
    torch.testing.assert_close(net(words_BC, mask_BC, each_BP), all_BV.gather(1, each_BP))
    torch.testing.assert_close(net(words_BC[:, 0]), net(words_BC[:, :1]))


def test_a_row_without_words_is_zero() -> None:
    net = Word2Vec(4, hidden_size=3)
    out = net.features(torch.zeros(1, 2, dtype=torch.int64), torch.zeros(1, 2, dtype=torch.bool))
    assert torch.equal(out, torch.zeros(1, 3))


def test_the_loss_is_the_papers() -> None:
    true_BP, noise_BN = torch.randn(3, 2), torch.randn(3, 4)
    mask_BP = torch.tensor([[True, True], [True, False], [False, False]])
    wanted = [
        -F.logsigmoid(true_BP[b, p]) - sum(3 / 4 * F.logsigmoid(-noise_BN[b, n]) for n in range(4))
        for b in range(3) for p in range(2) if mask_BP[b, p]
    ]  # fmt: skip
    got = negative_sampling(true_BP, mask_BP, noise_BN, negatives=3)
    torch.testing.assert_close(got, torch.stack(wanted).mean())
    assert negative_sampling(true_BP, torch.zeros_like(mask_BP), noise_BN) == 0


def _pairs(source: SkipGrams, size: int) -> Tensor:
    """How often each word stands near each. Shapes: -> [V, V]."""
    counts = torch.zeros(size, size, dtype=torch.float64)
    for epoch in range(20):
        for batch in source.epoch(epoch):
            assert isinstance(batch.inputs, tuple) and batch.targets is not None
            near = batch.targets != NOTHING
            one = batch.inputs[0].expand_as(batch.targets)[near]
            counts.index_put_((one, batch.targets[near]), torch.ones(len(one), dtype=torch.float64), accumulate=True)
    return counts


def test_scores_become_shifted_mutual_information() -> None:
    """Levy & Goldberg, 2014, "Neural word embedding as implicit matrix factorization", equation 10, with our noise."""
    size, negatives = 5, 3.0
    chance = torch.Generator().manual_seed(0)
    words = torch.multinomial(torch.tensor([0.4, 0.25, 0.15, 0.1, 0.1]), 1500, True, generator=chance)
    words[1::2] = torch.where(torch.rand(750, generator=chance) < 0.5, (words[::2] + 1) % size, words[1::2])
    counts_V = torch.bincount(words, minlength=size)
    source = SkipGrams(
        words, torch.zeros_like(words), counts_V, settings=PairSettings(2, negatives, 0.0), mode="skip-gram",
        batch_size=1500,
    )  # fmt: skip
    torch.manual_seed(0)
    net = Word2Vec(size, hidden_size=size)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    for epoch in range(150):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - epoch / 150)
        for words_B1, mask_B1, noise_N, targets in ((*b.inputs, b.targets) for b in source.epoch(epoch)):
            hidden = net.features(words_B1, mask_B1)
            true = net.scores(hidden, targets.clamp(min=0))
            loss = negative_sampling(true, targets != NOTHING, net.scores(hidden, noise_N), negatives)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    together = _pairs(source, size)
    noise_V = counts_V.double().pow(0.75) / counts_V.double().pow(0.75).sum()
    wanted = torch.log(together / together.sum(1, keepdim=True) / (negatives * noise_V))
    got = net(torch.arange(size)).double()
    assert (got - wanted).abs().max() < 0.15 < wanted.std()


@pytest.fixture
def vectors() -> WordVectors:
    table = torch.tensor([[9.0, 9, 9], [1, 0, 0], [2, 0.1, 0], [0, 1, 0], [1, 0, 1], [0, 1, 1], [-1, 0, 0]])
    return WordVectors([None, "man", "boy", "woman", "king", "queen", "stone"], table)


def test_the_nearest_words(vectors: WordVectors) -> None:
    assert [word for word, _ in vectors.nearest("man", 2)] == ["boy", "king"]
    assert vectors.nearest("Man", 1)[0][1] == pytest.approx(2 / 4.01**0.5)
    assert len(vectors.nearest("man", 99)) == 5 and "MAN" in vectors and len(vectors) == 6
    assert vectors.similarity("man", "stone") == pytest.approx(-1)


def test_an_analogy(vectors: WordVectors) -> None:
    assert vectors.analogy("man", "king", "woman")[0][0] == "queen"
    assert not {"man", "king", "woman"} & {word for word, _ in vectors.analogy("man", "king", "woman", 9)}


def test_a_word_that_is_not_there(vectors: WordVectors) -> None:
    with pytest.raises(DataError, match=r"'quen' has no vector.*did you mean queen"):
        vectors.nearest("quen")
