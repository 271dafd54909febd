"""Laws of the networks that read tokens: order in time, padding, masks, and writing from a cache.

Whatever `test_models.py` asks of every network holds here too; its cases are the small builds.
"""

import inspect
from dataclasses import replace
from typing import Any

import pytest
import torch
from test_models import CASES, Case
from torch import Tensor, nn

from netwright.core.errors import ConfigError

PLACES = 7
_QUICK = ("lstm", "bert-mean")  # exported in every run of the tests; the others take long
MASK_BT = torch.tensor([[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0]]).bool()


def _named(kind: str, *arguments: str) -> dict[str, Case]:
    """The cases of one kind whose forward takes these."""
    found = {}
    for key, case in CASES.items():
        if case.kind == kind and case.name != "layers":
            with torch.device("meta"):
                takes = inspect.signature(case.build().forward).parameters
            if set(arguments) <= set(takes):
                found[key] = case
    return found


def _writes(case: Case) -> bool:
    return case.output[-1:] == (11,) and len(case.output) == 2


READERS = _named("tokens", "mask_BT")  # a mask beside the tokens
WRITERS = {key: case for key, case in _named("tokens").items() if _writes(case) and key not in READERS}
PAIRS = _named("token-pairs")

every_reader = pytest.mark.parametrize("case", READERS.values(), ids=READERS.keys())
every_writer = pytest.mark.parametrize("case", WRITERS.values(), ids=WRITERS.keys())
every_pair = pytest.mark.parametrize("case", PAIRS.values(), ids=PAIRS.keys())
both_precisions = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])


def test_the_families_are_here() -> None:
    assert {"rnn", "lstm", "gru", "bert"} <= {case.name for case in READERS.values()}
    assert {"gpt", "rnn_lm", "lstm_lm", "gru_lm"} <= {case.name for case in WRITERS.values()}
    assert {"seq2seq", "transformer", "t5"} <= {case.name for case in PAIRS.values()}


def _lively(case: Case) -> nn.Module:
    """A small build in evaluation, its weights so large that places and tokens differ."""
    net = case.build().eval()
    for weight in net.parameters():
        weight.data.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(8)) * 0.2)
    return net


def _tokens(*shape: int) -> Tensor:
    return torch.randint(0, 11, shape, generator=torch.Generator().manual_seed(4))


def _other(tokens: Tensor, place: int | slice) -> Tensor:
    changed = tokens.clone()
    changed[:, place] = (changed[:, place] + 3) % 11
    return changed


# Order in time


@every_writer
@both_precisions
@torch.no_grad()
def test_what_follows_changes_nothing_before_it(case: Case, dtype: torch.dtype) -> None:
    net, tokens_BT = _lively(case).to(dtype), _tokens(3, *case.input)
    before_BTV = net(tokens_BT)
    for place in range(case.input[0]):
        after_BTV = net(_other(tokens_BT, place))
        assert torch.equal(after_BTV[:, :place], before_BTV[:, :place])
        assert not torch.equal(after_BTV[:, place:], before_BTV[:, place:])


@every_pair
@both_precisions
@torch.no_grad()
def test_what_follows_in_the_target_changes_nothing_before_it(case: Case, dtype: torch.dtype) -> None:
    net = _lively(case).to(dtype)
    source_BS, target_BT, mask_BS = case.inputs()
    before_BTV = net(source_BS, target_BT, mask_BS)
    for place in range(target_BT.shape[1]):
        after_BTV = net(source_BS, _other(target_BT, place), mask_BS)
        assert torch.equal(after_BTV[:, :place], before_BTV[:, :place])
        assert not torch.equal(after_BTV[:, place:], before_BTV[:, place:])
    assert not torch.equal(net(_other(source_BS, 0), target_BT, mask_BS)[:, 0], before_BTV[:, 0])


# Padding and masks


def _close(got: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(got, wanted, rtol=2e-4, atol=2e-5)


@every_reader
@torch.no_grad()
def test_a_padded_batch_is_its_examples_alone(case: Case) -> None:
    net, tokens_BT = _lively(case), _tokens(3, PLACES)
    together, states = net(tokens_BT, MASK_BT), net.features(tokens_BT, MASK_BT)
    for row, length in enumerate(MASK_BT.sum(1).tolist()):
        alone = tokens_BT[row : row + 1, :length]
        wanted = net(alone)[0]
        _close(together[row][tuple(slice(size) for size in wanted.shape)], wanted)
        _close(states[row][:length] if states.dim() == 3 else states[row], net.features(alone)[0])


@every_reader
@torch.no_grad()
def test_a_mask_of_all_is_no_mask_and_what_it_hides_does_not_matter(case: Case) -> None:
    net, tokens_BT = _lively(case), _tokens(3, PLACES)
    _close(net(tokens_BT, torch.ones_like(MASK_BT)), net(tokens_BT))
    hidden_BT = torch.where(MASK_BT, tokens_BT, (tokens_BT + 5) % 11)
    got, wanted = net(hidden_BT, MASK_BT), net(tokens_BT, MASK_BT)
    if got.dim() == 3 and got.shape[1] == PLACES:  # a score a place: those of padding mean nothing
        got, wanted = got[MASK_BT], wanted[MASK_BT]
    elif got.dim() == 3:
        got, wanted = (out.masked_fill(~MASK_BT[:, None], 0) for out in (got, wanted))
    assert torch.equal(got, wanted)
    assert not torch.equal(net(_other(tokens_BT, 0), MASK_BT), net(tokens_BT, MASK_BT))


@every_pair
@torch.no_grad()
def test_padded_sources_are_theirs_alone(case: Case) -> None:
    net = _lively(case)
    source_BS, target_BT, mask_BS = case.inputs()
    together = net(source_BS, target_BT, mask_BS)
    assert torch.equal(net(torch.where(mask_BS, source_BS, 1), target_BT, mask_BS), together)
    for row, length in enumerate(mask_BS.sum(1).tolist()):
        _close(together[row], net(source_BS[row : row + 1, :length], target_BT[row : row + 1])[0])
    _close(net(source_BS, target_BT, torch.ones_like(mask_BS)), net(source_BS, target_BT))


@every_reader
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@torch.no_grad()
def test_a_text_without_a_token_says_finite_numbers_and_leaves_the_others_alone(case: Case, dtype: torch.dtype) -> None:
    net, tokens_BT = _lively(case).to(dtype), _tokens(3, PLACES)
    empty_BT = MASK_BT & torch.tensor([[True], [False], [True]])
    got, wanted = net(tokens_BT, empty_BT), net(tokens_BT, MASK_BT)
    assert torch.isfinite(got).all() and torch.equal(got[[0, 2]], wanted[[0, 2]])


@every_reader
@torch.no_grad()
def test_integers_mask_as_booleans_do_and_floats_are_refused(case: Case) -> None:
    net, tokens_BT = _lively(case), _tokens(3, PLACES)
    assert torch.equal(net(tokens_BT, MASK_BT.long()), net(tokens_BT, MASK_BT))
    for verb in (net, net.features):
        with pytest.raises(ConfigError, match="True where there is something"):
            verb(tokens_BT, torch.where(MASK_BT, 0.0, -1e4))
        with pytest.raises(ConfigError, match=r"expected the tokens' \[3, 7\]"):
            verb(tokens_BT, MASK_BT[:, :-1])


@every_pair
@torch.no_grad()
def test_integers_mask_a_source_as_booleans_do(case: Case) -> None:
    net = _lively(case)
    source_BS, target_BT, mask_BS = case.inputs()
    assert torch.equal(net(source_BS, target_BT, mask_BS.long()), net(source_BS, target_BT, mask_BS))
    with pytest.raises(ConfigError, match="expected the tokens'"):
        net(source_BS, target_BT, mask_BS[:, :-1])


@pytest.mark.parametrize("case", [*READERS.values(), *WRITERS.values(), *PAIRS.values()])
@torch.no_grad()
def test_a_code_beyond_the_vocabulary_and_tokens_that_are_no_rows_are_named(case: Case) -> None:
    net = case.build().eval()
    tokens_BT, *others = (case.batch(),) if case.kind == "tokens" else case.inputs()
    with pytest.raises(ConfigError, match=r"code 11 has no vector: model\.vocab_size=11"):
        net(torch.full_like(tokens_BT, 11), *others)
    with pytest.raises(ConfigError, match="a batch of rows"):
        net(tokens_BT[0], *others)


@every_reader
def test_every_parameter_gets_a_gradient_through_a_mask(case: Case) -> None:
    net = case.build().train()
    out = net(_tokens(3, PLACES), MASK_BT)
    finite = out.masked_fill(~torch.isfinite(out), 0)
    (finite * torch.randn(out.shape, generator=torch.Generator().manual_seed(2))).sum().backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None and torch.isfinite(weight.grad).all() and weight.grad.any(), name


@every_reader
@torch.no_grad()
def test_bfloat16_with_a_mask_stays_near_float32(case: Case) -> None:
    net, tokens_BT = case.build().eval(), _tokens(3, PLACES)
    exact = net(tokens_BT, MASK_BT)
    shown = torch.isfinite(exact) & (exact.abs() < 1e6)
    with torch.autocast("cpu", torch.bfloat16):
        near = net(tokens_BT, MASK_BT)
    half = net.to(torch.bfloat16)(tokens_BT, MASK_BT)
    for got in (near, half):
        assert (got.float() - exact)[shown].abs().max() <= 0.08 * (1 + exact[shown].abs().max())


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=key, marks=() if key in _QUICK else pytest.mark.slow) for key, case in READERS.items()],
)
def test_export_with_a_mask_gives_the_same_numbers_for_any_batch(case: Case) -> None:
    net = case.build().eval()
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(net, (_tokens(3, PLACES), MASK_BT), dynamic_shapes=({0: batch}, {0: batch})).module()
    for rows in ([0], [2, 1, 0, 1, 1]):
        tokens_BT = _tokens(len(rows), PLACES)
        torch.testing.assert_close(program(tokens_BT, MASK_BT[rows]), net(tokens_BT, MASK_BT[rows]))


# Writing


@every_writer
@torch.no_grad()
def test_writing_from_a_cache_is_writing_without(case: Case) -> None:
    net, tokens_BT = _lively(replace(case, input=(8,))), _tokens(3, 1 if case.input == (1,) else 3)
    wanted_BT = tokens_BT
    for _ in range(4):
        wanted_BT = torch.cat((wanted_BT, net(wanted_BT)[:, -1].argmax(-1, keepdim=True)), dim=1)
    assert torch.equal(net.generate(tokens_BT, 4, temperature=0), wanted_BT)


@every_writer
@pytest.mark.parametrize("how", [{"temperature": 0}, {"num_beams": 3}, {"temperature": 0, "repetition_penalty": 1.5}])
@torch.no_grad()
def test_prompts_padded_on_the_left_are_written_on_as_if_alone(case: Case, how: dict[str, Any]) -> None:
    net, tokens_BT = _lively(case), _tokens(3, 4)
    mask_BT = torch.arange(4) >= torch.tensor([[0], [3], [2]])
    together_BT = net.generate(tokens_BT, 4, mask_BT=mask_BT, eos=5, **how)[:, 4:]
    for row, shown_T in enumerate(mask_BT):
        alone_T = net.generate(tokens_BT[row : row + 1, shown_T], 4, eos=5, **how)[0, shown_T.sum() :]
        assert torch.equal(together_BT[row, : len(alone_T)], alone_T)
        assert (together_BT[row, len(alone_T) :] == 5).all()
    assert torch.equal(net.generate(tokens_BT, 4, mask_BT=mask_BT.long(), eos=5, **how)[:, 4:], together_BT)


@every_pair
@torch.no_grad()
def test_a_target_written_from_a_cache_is_one_written_without(case: Case) -> None:
    net = _lively(case)
    source_BS, _, mask_BS = case.inputs()
    wanted_BT = torch.full((3, 1), net.start_token)
    for _ in range(5):
        scores_BV = net(source_BS, wanted_BT, mask_BS)[:, -1]
        wanted_BT = torch.cat((wanted_BT, scores_BV.argmax(-1, keepdim=True)), dim=1)
    assert torch.equal(net.generate(source_BS, mask_BS, 5, temperature=0), wanted_BT)


@every_pair
@pytest.mark.parametrize("how", [{"temperature": 0}, {"num_beams": 3}])
@torch.no_grad()
def test_padded_sources_are_written_for_as_if_alone(case: Case, how: dict[str, Any]) -> None:
    net = _lively(case)
    source_BS, _, mask_BS = case.inputs()
    together_BT = net.generate(source_BS, mask_BS, 5, eos=3, **how)
    for row, shown_S in enumerate(mask_BS):
        alone_T = net.generate(source_BS[row : row + 1, shown_S], None, 5, eos=3, **how)[0]
        assert torch.equal(together_BT[row, : len(alone_T)], alone_T)
        assert (together_BT[row, len(alone_T) :] == 3).all()
    assert torch.equal(net.generate(source_BS, mask_BS.long(), 5, eos=3, **how), together_BT)


@every_pair
@torch.no_grad()
def test_a_target_in_pieces_scores_like_the_whole(case: Case) -> None:
    net = _lively(case)
    source_BS, target_BT, mask_BS = case.inputs()
    memory_BSD = net.encode(source_BS, mask_BS)
    whole_BTV = net.decode(target_BT, memory_BSD, mask_BS)
    _close(whole_BTV, net(source_BS, target_BT, mask_BS))
    caches = net.new_caches(target_BT.shape[1], source_BS.shape[1])
    pieces = [net.decode(part, memory_BSD, mask_BS, caches) for part in target_BT.split([1, 2, 1], dim=1)]
    _close(torch.cat(pieces, dim=1), whole_BTV)
