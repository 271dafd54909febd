"""Seq2Seq held to its formulas step by step; attention to look at; beams against all texts; it learns to turn words."""

import itertools

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.blocks.recurrent import RecurrentState
from netwright.core.errors import ConfigError
from netwright.models import build
from netwright.models.sequence.seq2seq import Seq2Seq

SOURCE_BS = torch.tensor([[5, 6, 7, 8, 4], [7, 5, 0, 0, 0], [4, 4, 6, 0, 0]])
MASK_BS = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0]]).bool()
TARGET_BT = torch.tensor([[2, 5, 6, 7], [2, 8, 8, 4], [2, 6, 1, 3]])

every_attention = pytest.mark.parametrize("attention", ["none", "additive", "dot"])


def small(attention: str = "additive", **more: object) -> Seq2Seq:
    torch.manual_seed(0)
    net = build("seq2seq", **({"vocab_size": 9, "hidden_size": 6, "attention": attention, "dropout": 0.2} | more))
    assert isinstance(net, Seq2Seq)
    for weight in net.parameters():
        weight.data.add_(torch.randn_like(weight) * 0.3)
    return net.eval()


def _by_hand(net: Seq2Seq, source_S: Tensor, target_T: Tensor) -> tuple[Tensor, Tensor | None]:
    """Scores [T, V] and weights [T, S] of one pair, one step at a time."""
    memory_SD = net.encoder(net.source(source_S[None]))[0]
    half = memory_SD.shape[1] // 2
    ends_D = torch.cat((memory_SD[-1, :half], memory_SD[0, half:]))
    state = RecurrentState(
        [tuple(part[None, None] for part in torch.tanh(layer(ends_D)).split(2 * half)) for layer in net.bridge]
    )
    scores, weights = [], []
    for token in target_T:
        hidden_D = net.decoder(net.source(token)[None, None], state=state)[0, 0]
        if net.attention is not None:
            if net.attention.kind == "dot":
                energy_S = memory_SD @ hidden_D
            else:
                query, key, score = net.attention.query, net.attention.key, net.attention.score
                energy_S = torch.stack([score(torch.tanh(query(hidden_D) + key(one)))[0] for one in memory_SD])
            weights.append(energy_S.softmax(0))
            context_D = weights[-1] @ memory_SD
            hidden_D = torch.tanh(net.attention.join.weight @ torch.cat((context_D, hidden_D)))
        scores.append(F.linear(hidden_D, net.source.weight))
    return torch.stack(scores), torch.stack(weights) if weights else None


@every_attention
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_padded_batch_is_the_formulas_one_by_one(attention: str, cell: str) -> None:
    net = small(attention, cell=cell)
    got_BTV = net(SOURCE_BS, TARGET_BT, MASK_BS)
    for row in range(3):
        wanted_TV, weights_TS = _by_hand(net, SOURCE_BS[row, MASK_BS[row]], TARGET_BT[row])
        torch.testing.assert_close(got_BTV[row], wanted_TV, rtol=1e-4, atol=1e-5)
        if weights_TS is not None:
            shown_TS = net.attention_weights(SOURCE_BS, TARGET_BT, MASK_BS)[row]
            torch.testing.assert_close(shown_TS[:, MASK_BS[row]], weights_TS, rtol=1e-4, atol=1e-5)
            assert not shown_TS[:, ~MASK_BS[row]].any()


@every_attention
def test_encode_and_decode_are_forward(attention: str) -> None:
    net = small(attention)
    memory_BSD = net.encode(SOURCE_BS, MASK_BS)
    assert not memory_BSD[~MASK_BS].any()
    whole_BTV = net(SOURCE_BS, TARGET_BT, MASK_BS)
    assert torch.equal(net.decode(TARGET_BT, memory_BSD, MASK_BS), whole_BTV)
    caches = net.new_caches(4, 5)
    steps = [net.decode(part, memory_BSD, MASK_BS, caches) for part in TARGET_BT.split([1, 2, 1], dim=1)]
    torch.testing.assert_close(torch.cat(steps, dim=1), whole_BTV)


@every_attention
def test_beams_enough_find_the_likeliest_text(attention: str) -> None:
    """Five tokens of which 3 ends, and at most three new ones: all 105 texts are scored by forward."""
    net = small(attention, vocab_size=5)
    source_BS = SOURCE_BS % 5
    got = net.generate(source_BS, MASK_BS, 3, eos=3, num_beams=125, length_penalty=0.7)
    texts = [
        text for length in (1, 2, 3) for text in itertools.product(range(5), repeat=length)
        if 3 not in text[:-1] and (text[-1] == 3 or length == 3)
    ]  # fmt: skip

    def score(row: int, text: tuple[int, ...]) -> float:
        tokens = torch.tensor([(2, *text)])
        shown = source_BS[row : row + 1, MASK_BS[row]]
        log_TV = net(shown, tokens[:, :-1]).log_softmax(-1)[0]
        return float(log_TV.gather(1, tokens[0, 1:, None]).sum().detach()) / ((5 + len(text)) / 6) ** 0.7

    for row in range(3):
        best = max(texts, key=lambda text: score(row, text))
        assert got[row].tolist() == [2, *best, *[best[-1]] * (got.shape[1] - 1 - len(best))]


def test_which_matrices_are_shared() -> None:
    assert {"target.weight", "head.weight"} & set(small().state_dict()) == set()
    assert "target.weight" in small(sharing="head").state_dict()
    both = small(sharing="none").state_dict()
    assert both["head.weight"].shape == both["target.weight"].shape == both["source.weight"].shape


def test_there_is_no_attention_to_show_without_one() -> None:
    with pytest.raises(ConfigError, match="no attention to show"):
        small("none").attention_weights(SOURCE_BS, TARGET_BT)


@pytest.mark.parametrize("attention", ["additive", "dot"])
def test_it_learns_to_turn_a_word_around_by_looking_at_it(attention: str) -> None:
    torch.manual_seed(1)
    net = build("seq2seq", vocab_size=14, hidden_size=48, num_layers=1, cell="gru", dropout=0.0, attention=attention)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    start = torch.full((64, 1), 2)
    for _ in range(150):
        word_BS = torch.randint(4, 14, (64, 6))
        turned_BT = word_BS.flip(1)
        logits_BTV = net(word_BS, torch.cat((start, turned_BT[:, :-1]), dim=1))
        loss = F.cross_entropy(logits_BTV.flatten(0, 1), turned_BT.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    word_BS = torch.randint(4, 14, (64, 6), generator=torch.Generator().manual_seed(5))
    written_BT = net.generate(word_BS, max_new_tokens=6, temperature=0)[:, 1:]
    assert (written_BT == word_BS.flip(1)).float().mean() > 0.9
