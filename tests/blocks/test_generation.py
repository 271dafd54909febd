"""Writing held to brute force on small Markov models, whose every text can be listed."""

import itertools
import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from netwright.blocks.generation import DecoderState, generate_tokens, left_padded, writing
from netwright.blocks.sampling import penalise_repetition, sample_tokens
from netwright.core.errors import ConfigError

VOCAB, EOS = 4, 3


@dataclass
class Read:
    """A state that keeps all that was read, and how often it was reordered."""

    tokens_BT: Tensor

    def reorder(self, rows_N: Tensor) -> None:
        self.tokens_BT = self.tokens_BT[rows_N]


class Markov:
    """Scores of the next token by the two before it; counts what it reads."""

    def __init__(self, seed: int = 0, sharpness: float = 1.5) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.table_VVV = torch.randn(VOCAB, VOCAB, VOCAB, generator=generator) * sharpness
        self.read: list[tuple[int, ...]] = []

    def __call__(self, new_BT: Tensor, state: Read | None) -> tuple[Tensor, Read]:
        self.read.append(tuple(new_BT.shape))
        tokens_BT = new_BT if state is None else torch.cat((state.tokens_BT, new_BT), dim=1)
        return self.table_VVV[tokens_BT[:, -2], tokens_BT[:, -1]], Read(tokens_BT)

    def log_probability(self, start: list[int], text: tuple[int, ...], penalty: float = 1.0) -> float:
        tokens, total = list(start), 0.0
        for token in text:
            logs = self.table_VVV[tokens[-2], tokens[-1]].log_softmax(-1)
            seen = torch.isin(torch.arange(VOCAB), torch.tensor(tokens))
            total += float(penalise_repetition(logs[None], seen[None], penalty)[0, token])
            tokens.append(token)
        return total


START_BT = torch.tensor([[0, 1], [2, 0], [1, 1]])


def _texts(longest: int, ends: set[int]) -> list[tuple[int, ...]]:
    """All texts that end, and those that have not at the longest."""
    found = []
    for length in range(1, longest + 1):
        for text in itertools.product(range(VOCAB), repeat=length):
            ended = text[-1] in ends
            if not ends & set(text[:-1]) and (ended or length == longest):
                found.append(text)
    return found


def _best(model: Markov, start: list[int], longest: int, ends: set[int], alpha: float, penalty: float) -> list[int]:
    def score(text: tuple[int, ...]) -> float:
        return model.log_probability(start, text, penalty) / ((5 + len(text)) / 6) ** alpha

    return list(max(_texts(longest, ends), key=score))


def _filled(text: list[int], length: int) -> list[int]:
    return text + [text[-1]] * (length - len(text))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("alpha", "penalty", "stop"), [(0.0, 1.0, ()), (1.0, 1.0, (1,)), (3.0, 1.0, ()), (-1.0, 1.7, ())]
)
def test_many_beams_find_the_likeliest_of_all_texts(
    seed: int, alpha: float, penalty: float, stop: tuple[int, ...]
) -> None:
    model, longest = Markov(seed), 4
    settings = {"num_beams": VOCAB**longest, "length_penalty": alpha, "repetition_penalty": penalty}
    got = generate_tokens(model, START_BT, longest, eos=EOS, stop=stop, **settings)[:, 2:]
    best = [_best(model, start, longest, {EOS, *stop}, alpha, penalty) for start in START_BT.tolist()]
    assert got.tolist() == [_filled(text, got.shape[1]) for text in best]
    assert got.shape[1] == max(map(len, best))


@pytest.mark.parametrize("seed", range(4))
def test_beams_without_an_end_are_exhaustive_too(seed: int) -> None:
    model = Markov(seed)
    got = generate_tokens(model, START_BT, 3, num_beams=VOCAB**3)[:, 2:]
    assert got.tolist() == [_best(model, start, 3, set(), 1.0, 1.0) for start in START_BT.tolist()]


def _plain_beams(model: Markov, start: list[int], beams: int, longest: int) -> list[int]:
    """Beam search of one row as a textbook has it, its score divided by nothing."""
    alive: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    best = (-float("inf"), ())
    for _ in range(longest):
        grown = [
            (model.log_probability(start, (*text, token)), (*text, token))
            for _, text in alive
            for token in range(VOCAB)
        ]
        grown.sort(reverse=True)
        best = max([best, *[one for one in grown[:beams] if one[1][-1] == EOS]])
        alive = [one for one in grown if one[1][-1] != EOS][:beams]
    return list(max([best, *alive])[1])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("beams", [2, 3])
def test_few_beams_are_the_textbooks(seed: int, beams: int) -> None:
    model = Markov(seed)
    got = generate_tokens(model, START_BT, 6, num_beams=beams, length_penalty=0.0, eos=EOS)[:, 2:]
    wanted = [_plain_beams(model, start, beams, 6) for start in START_BT.tolist()]
    assert got.tolist() == [_filled(text, got.shape[1]) for text in wanted]


@pytest.mark.parametrize("seed", range(5))
def test_more_beams_never_write_a_less_likely_text_than_greedy_here(seed: int) -> None:
    model = Markov(seed)
    greedy, beams = (
        generate_tokens(model, START_BT, 5, **how)[:, 2:] for how in ({"temperature": 0}, {"num_beams": 256})
    )
    for start, one, two in zip(START_BT.tolist(), greedy.tolist(), beams.tolist(), strict=True):
        assert model.log_probability(start, tuple(two)) >= model.log_probability(start, tuple(one)) - 1e-5


def test_greedy_is_the_argmax_and_reads_each_token_once() -> None:
    model = Markov(1)
    tokens = START_BT.tolist()
    for row in tokens:
        for _ in range(7):
            row.append(int(model.table_VVV[row[-2], row[-1]].argmax()))
    assert generate_tokens(model, START_BT, 7, temperature=0).tolist() == tokens
    assert model.read == [(3, 2)] + [(3, 1)] * 6  # the last token is read by nobody


def test_a_row_ends_with_its_end_and_is_filled_up_with_it() -> None:
    model = Markov()
    model.table_VVV.fill_(-9.0)
    for before, after in {(0, 1): 2, (1, 2): EOS, (2, 0): 0, (0, 0): 0, (1, 1): EOS}.items():
        model.table_VVV[*before, after] = 9.0
    out = generate_tokens(model, START_BT, 4, temperature=0, eos=EOS)
    assert out.tolist() == [[0, 1, 2, 3, 3, 3], [2, 0, 0, 0, 0, 0], [1, 1, 3, 3, 3, 3]]
    stopped = generate_tokens(model, START_BT[[0, 2]], 4, temperature=0, eos=EOS, stop=[2])
    assert stopped.tolist() == [[0, 1, 2], [1, 1, 3]]  # all have ended at once, each with its own


def test_drawing_follows_the_distribution() -> None:
    model, start_BT = Markov(3), torch.tensor([[0, 1]]).expand(20_000, 2)
    generator = torch.Generator().manual_seed(0)
    logits = model.table_VVV[0, 1]
    for temperature in (0.5, 1.0, 2.0):
        drawn = generate_tokens(model, start_BT, 1, temperature=temperature, generator=generator)[:, -1]
        share = torch.bincount(drawn, minlength=VOCAB) / len(drawn)
        torch.testing.assert_close(share, (logits / temperature).softmax(-1), rtol=0, atol=0.015)


def test_top_k_keeps_k_even_among_equals_and_top_p_the_fewest() -> None:
    generator = torch.Generator().manual_seed(0)
    equal = torch.zeros(4000, 5)
    assert len(sample_tokens(equal, top_k=2, generator=generator).unique()) == 2
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log().expand(4000, 4)
    assert sample_tokens(logits, top_p=0.75, generator=generator).unique().tolist() == [0, 1]
    assert sample_tokens(logits, top_p=0.81, generator=generator).unique().tolist() == [0, 1, 2]
    assert sample_tokens(logits, top_k=3, top_p=0.5, generator=generator).unique().tolist() == [0]


def test_the_penalty_on_repetition_counts_prompt_and_continuation_but_no_padding() -> None:
    logits, seen = torch.tensor([[2.0, -2.0, 1.0]]), torch.tensor([[True, True, False]])
    assert penalise_repetition(logits, seen, 2.0).tolist() == [[1.0, -4.0, 1.0]]

    def step(new_BT: Tensor, state: Read | None) -> tuple[Tensor, Read]:
        return torch.tensor([[1.0, 0.9, 0.8, 0.7]]).expand(len(new_BT), 4), Read(new_BT)

    start_BT, mask_BT = left_padded([torch.tensor([1]), torch.tensor([2, 2])])
    assert start_BT.tolist() == [[0, 1], [2, 2]] and mask_BT.tolist() == [[False, True], [True, True]]
    out = generate_tokens(step, start_BT, 3, mask_BT=mask_BT, temperature=0, repetition_penalty=2.0)
    assert out.tolist() == [[0, 1, 0, 2, 3], [2, 2, 0, 1, 3]]
    beyond = generate_tokens(step, torch.tensor([[9, 0]]), 2, temperature=0, repetition_penalty=2.0)
    assert beyond.tolist() == [[9, 0, 1, 2]]  # a head may score fewer tokens than there are


def test_the_newest_tokens_are_told_and_the_answer_can_end_it() -> None:
    heard: list[list[int]] = []
    whole = generate_tokens(Markov(2), START_BT, 6, temperature=0)

    def listen(next_B: Tensor) -> bool:
        heard.append(next_B.tolist())
        return len(heard) == 3

    out = generate_tokens(Markov(2), START_BT, 6, temperature=0, on_token=listen)
    assert torch.equal(out, whole[:, :5]) and torch.tensor(heard).T.equal(out[:, 2:])
    heard.clear()
    best = generate_tokens(Markov(2), START_BT, 6, num_beams=3, on_token=heard.append)  # type: ignore[arg-type]
    assert torch.stack(heard, dim=1).equal(best[:, 2:])  # type: ignore[call-overload]


def test_no_tokens_wanted_is_the_prompt() -> None:
    assert generate_tokens(Markov(), START_BT, 0) is START_BT


def test_an_encoder_decoders_state_is_reordered_whole() -> None:
    cache = Read(torch.arange(3)[:, None])
    state = DecoderState([cache], torch.arange(3.0)[:, None, None], torch.tensor([[True], [False], [True]]))
    state.reorder(torch.tensor([1, 1, 0, 2]))
    assert cache.tokens_BT.flatten().tolist() == [1, 1, 0, 2] == state.memory_BSD.flatten().int().tolist()
    assert state.source_mask_BS is not None and state.source_mask_BS.flatten().tolist() == [False, False, True, True]


def test_writing_leaves_every_part_in_its_mode() -> None:
    net = nn.Sequential(nn.Dropout(), nn.Dropout()).train()
    net[0].eval()
    with pytest.raises(ZeroDivisionError), writing(net):
        assert not net.training and not net[1].training and not torch.is_grad_enabled()
        raise ZeroDivisionError
    assert net.training and not net[0].training and net[1].training and torch.is_grad_enabled()


WRONG = {
    "temperature": ({"temperature": -1.0}, "temperature=-1.0"),
    "beams": ({"num_beams": 0}, "num_beams=0"),
    "beams-draw": ({"num_beams": 2, "top_k": 3}, "draws nothing"),
    "penalty": ({"repetition_penalty": 0.0}, "repetition_penalty=0.0"),
    "length": ({"num_beams": 2, "length_penalty": math.nan}, "length_penalty=nan"),
    "count": ({"max_new_tokens": -1}, "max_new_tokens=-1"),
    "mask": ({"mask_BT": torch.ones(3, 1, dtype=torch.bool)}, "expected the tokens' [3, 2]"),
    "right": ({"mask_BT": torch.tensor([[True, True], [True, False], [True, True]])}, "on the left"),
    "gap": ({"start_BT": torch.zeros(1, 3).long(), "mask_BT": torch.tensor([[True, False, True]])}, "on the left"),
    "empty": ({"start_BT": torch.zeros(2, 0).long()}, "one token or more, got [2, 0]"),
}  # fmt: skip


@pytest.mark.parametrize(("settings", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_means_nothing_is_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as told:
        generate_tokens(Markov(), **({"start_BT": START_BT, "max_new_tokens": 3} | settings))  # type: ignore[arg-type]
    assert said in str(told.value) and "\n" not in str(told.value)
