"""Recurrent layers and pooling beyond the parity: initial weights, any mask, states, what pools give."""

import pytest
import torch
from torch import Tensor, nn

from netwright.blocks.pooling import AttentionPooling, PoolingName, SequencePooling
from netwright.blocks.recurrent import Recurrent, RecurrentState

every_cell = pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
every_pool = pytest.mark.parametrize("kind", ["last", "mean", "max", "attention"])


@every_cell
def test_initial_weights(cell: str) -> None:
    torch.manual_seed(0)
    net = Recurrent(cell, 5, 8, num_layers=2, bidirectional=True)  # type: ignore[arg-type]
    for layer in (*net.ahead, *net.behind):
        assert isinstance(layer, nn.RNNBase)
        for gate in layer.weight_hh_l0.split(8):
            torch.testing.assert_close(gate @ gate.T, torch.eye(8), atol=1e-5, rtol=0)
        bound = (6 / (8 + layer.input_size)) ** 0.5
        assert 0.8 * bound < layer.weight_ih_l0.abs().max() <= bound
        bias = layer.bias_ih_l0 + layer.bias_hh_l0
        assert bias.tolist() == ([0.0] * 8 + [1.0] * 8 + [0.0] * 16 if cell == "lstm" else [0.0] * len(bias))


@every_cell
def test_places_that_a_mask_hides_are_as_if_they_were_not_there(cell: str) -> None:
    """Anywhere in a row: before, behind, and within."""
    torch.manual_seed(1)
    net = Recurrent(cell, 3, 4, num_layers=2, bidirectional=True).eval()  # type: ignore[arg-type]
    x_BTD = torch.randn(3, 6, 3)
    mask_BT = torch.tensor([[1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 1], [1, 0, 1, 1, 0, 1]]).bool()
    hidden_BTD = net(x_BTD, mask_BT)
    assert not hidden_BTD[~mask_BT].any()
    for x_TD, mask_T, hidden_TD in zip(x_BTD, mask_BT, hidden_BTD, strict=True):
        torch.testing.assert_close(hidden_TD[mask_T], net(x_TD[None, mask_T])[0])


def test_dropout_falls_between_layers_only() -> None:
    torch.manual_seed(2)
    x_BTD = torch.randn(2, 5, 3)
    one, two = (Recurrent("gru", 3, 4, layers, dropout=0.5).train() for layers in (1, 2))
    assert torch.equal(one(x_BTD), one(x_BTD))
    assert not torch.equal(two(x_BTD), two(x_BTD))
    assert torch.equal(two.eval()(x_BTD), two(x_BTD))


@every_cell
def test_a_states_rows_can_be_reordered_and_kept(cell: str) -> None:
    torch.manual_seed(3)
    net = Recurrent(cell, 3, 4, num_layers=2).eval()  # type: ignore[arg-type]
    x_BTD, rows_N = torch.randn(3, 6, 3), torch.tensor([2, 0, 0, 1])
    state = RecurrentState()
    net(x_BTD[:, :4], state=state)
    state.reorder(rows_N)
    torch.testing.assert_close(net(x_BTD[rows_N, 4:], state=state), net(x_BTD)[rows_N, 4:])
    moved_B, state = torch.tensor([True, False, True]), RecurrentState()
    net(x_BTD[:, :1], state=state)
    state.keep(moved_B, RecurrentState())  # the second row has read nothing
    before = RecurrentState(state.layers)
    net(x_BTD[:, 1:2], state=state)
    state.keep(torch.tensor([False, True, True]), before)
    wanted = torch.stack([net(x_BTD[:1, [0, 2]])[0, -1], net(x_BTD[1:2, [1, 2]])[0, -1], net(x_BTD[2:, :3])[0, -1]])
    torch.testing.assert_close(net(x_BTD[:, 2:3], state=state)[:, 0], wanted)


def _pooled_by_hand(kind: PoolingName, pool: SequencePooling, hidden_TD: Tensor) -> Tensor:
    if kind == "last":
        return torch.cat((hidden_TD[-1, :3], hidden_TD[0, 3:]))
    if kind == "attention":
        assert pool.attention is not None
        u_TD = torch.tanh(hidden_TD @ pool.attention.project.weight.T + pool.attention.project.bias)
        return (u_TD @ pool.attention.query.weight[0]).softmax(0) @ hidden_TD
    return hidden_TD.mean(0) if kind == "mean" else hidden_TD.amax(0)


@every_pool
@pytest.mark.parametrize("masked", [True, False])
def test_pools_see_what_the_mask_shows(kind: PoolingName, masked: bool) -> None:
    torch.manual_seed(4)
    hidden_BTD = torch.randn(3, 5, 6) - 3.0  # all below zero: padding must not be the largest
    mask_BT = torch.tensor([[1, 1, 0, 0, 0], [0, 0, 1, 1, 1], [1, 0, 1, 1, 0]]).bool()
    pool = SequencePooling(kind, 6, directions=2)
    got = pool(hidden_BTD, mask_BT) if masked else pool(hidden_BTD)
    shown = mask_BT if masked else torch.ones_like(mask_BT)
    for row, hidden_TD, mask_T in zip(got, hidden_BTD, shown, strict=True):
        torch.testing.assert_close(row, _pooled_by_hand(kind, pool, hidden_TD[mask_T]))


@every_pool
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_of_padding_alone_stays_finite(kind: PoolingName, dtype: torch.dtype) -> None:
    pool = SequencePooling(kind, 4).to(dtype)
    hidden_BTD = torch.zeros(2, 3, 4, dtype=dtype, requires_grad=True)
    out = pool(hidden_BTD, torch.tensor([[True, True, False], [False, False, False]]))
    out.sum().backward()
    assert torch.isfinite(out).all() and hidden_BTD.grad is not None and torch.isfinite(hidden_BTD.grad).all()


def test_attention_weights_are_a_distribution_over_what_is_shown() -> None:
    pool = AttentionPooling(4)
    mask_BT = torch.tensor([[True, True, False], [False, True, True]])
    weights_BT = pool.weights(torch.randn(2, 3, 4), mask_BT)
    torch.testing.assert_close(weights_BT.sum(1), torch.ones(2))
    assert not weights_BT[~mask_BT].any()
