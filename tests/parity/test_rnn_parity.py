"""Our recurrent networks held to torch.nn's, and padding to its packed sequences, with shared weights."""

import pytest
import torch
from references import TOLERANCE, difference, perturbed
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import rnn as packing

from netwright.blocks.recurrent import Recurrent, RecurrentState
from netwright.models import build

THEIRS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
LENGTHS = torch.tensor([7, 2, 5, 1])
MASK_BT = torch.arange(7) < LENGTHS[:, None]

every_cell = pytest.mark.parametrize("cell", THEIRS)
every_stack = pytest.mark.parametrize(("layers", "both_ways"), [(1, False), (1, True), (3, False), (2, True)])


def _pair(cell: str, layers: int, both_ways: bool) -> tuple[Recurrent, nn.RNNBase]:
    theirs = perturbed(THEIRS[cell](5, 6, num_layers=layers, batch_first=True, bidirectional=both_ways))
    ours = Recurrent(cell, 5, 6, layers, both_ways)  # type: ignore[arg-type]
    assert isinstance(theirs, nn.RNNBase)
    _share(ours, theirs)
    return ours, theirs


def _share(ours: Recurrent, theirs: nn.RNNBase) -> None:
    named = {}
    for name, weight in theirs.state_dict().items():
        kind, depth = name.removesuffix("_reverse").rsplit("_l", 1)
        way = "behind" if name.endswith("_reverse") else "ahead"
        named[f"{way}.{depth}.{kind}_l0"] = weight
    ours.load_state_dict(named)


def _inputs() -> Tensor:
    return torch.randn(4, 7, 5, generator=torch.Generator().manual_seed(1), requires_grad=True)


def _packed(theirs: nn.RNNBase, x_BTD: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    packed = packing.pack_padded_sequence(x_BTD, LENGTHS, batch_first=True, enforce_sorted=False)
    out, end = theirs(packed)
    padded_BTD, _ = packing.pad_packed_sequence(out, batch_first=True)
    return padded_BTD, end if isinstance(end, tuple) else (end,)


@every_cell
@every_stack
def test_states_and_gradients_are_torchs(cell: str, layers: int, both_ways: bool) -> None:
    ours, theirs = _pair(cell, layers, both_ways)
    x_BTD = _inputs()
    got, wanted = ours(x_BTD), theirs(x_BTD)[0]
    assert difference(got, wanted) <= TOLERANCE
    weight = torch.randn_like(got)
    gradients = [torch.autograd.grad((out * weight).sum(), x_BTD)[0] for out in (got, wanted)]
    assert difference(*gradients) <= TOLERANCE


@every_cell
@every_stack
def test_a_padded_batch_is_torchs_packed_one(cell: str, layers: int, both_ways: bool) -> None:
    ours, theirs = _pair(cell, layers, both_ways)
    x_BTD = _inputs()
    got, wanted = ours(x_BTD, MASK_BT), _packed(theirs, x_BTD)[0]
    assert difference(got, wanted) <= TOLERANCE
    weight = torch.randn_like(got)
    for parameters in (lambda net: [x_BTD], lambda net: [net.get_parameter(_first(net))]):
        sides = [
            torch.autograd.grad((out * weight).sum(), parameters(net), retain_graph=True)[0]
            for out, net in ((got, ours), (wanted, theirs))
        ]
        assert difference(*sides) <= TOLERANCE


def _first(net: nn.Module) -> str:
    return next(name for name, _ in net.named_parameters() if "weight_hh" in name)


@every_cell
def test_a_state_is_carried_on_as_torchs(cell: str) -> None:
    ours, theirs = _pair(cell, 2, False)
    x_BTD, state = _inputs(), RecurrentState()
    got = torch.cat([ours(part, state=state) for part in x_BTD.split([2, 1, 4], dim=1)], dim=1)
    wanted, end = theirs(x_BTD)
    assert difference(got, wanted) <= TOLERANCE
    for place, reached in enumerate(end if isinstance(end, tuple) else (end,)):
        assert difference(torch.cat([layer[place] for layer in state.layers]), reached) <= TOLERANCE


@every_cell
def test_a_whole_classifier(cell: str) -> None:
    net = perturbed(build(cell, vocab_size=9, num_classes=3, hidden_size=6, embedding_size=5, pooling="last")).eval()
    tokens_BT = torch.randint(0, 9, (4, 7), generator=torch.Generator().manual_seed(2))
    theirs = THEIRS[cell](5, 6, batch_first=True, bidirectional=True)
    assert isinstance(net.recurrent, Recurrent)
    theirs.load_state_dict(
        {f"{name}_l0{end}": getattr(side[0], f"{name}_l0")
         for side, end in ((net.recurrent.ahead, ""), (net.recurrent.behind, "_reverse"))
         for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
    )  # fmt: skip
    _, end = _packed(theirs, F.embedding(tokens_BT, net.tokens.weight))  # type: ignore[arg-type]
    wanted = F.linear(torch.cat(tuple(end[0]), dim=1), net.head.weight, net.head.bias)  # type: ignore[arg-type]
    assert difference(net(tokens_BT, MASK_BT), wanted) <= TOLERANCE


@every_cell
@pytest.mark.parametrize("tied", [True, False])
def test_a_whole_language_model(cell: str, tied: bool) -> None:
    net = perturbed(build(f"{cell}_lm", vocab_size=9, hidden_size=6, tied=tied)).eval()
    theirs = THEIRS[cell](6, 6, num_layers=2, batch_first=True)
    assert isinstance(net.recurrent, Recurrent)
    theirs.load_state_dict(
        {
            f"{name[:-3]}_l{depth}": weight
            for depth, one in enumerate(net.recurrent.ahead)
            for name, weight in one.state_dict().items()
        }
    )
    tokens_BT = torch.randint(0, 9, (4, 7))
    states_BTD = theirs(F.embedding(tokens_BT, net.tokens.weight))[0]  # type: ignore[arg-type]
    head = net.tokens if tied else net.head
    assert difference(net(tokens_BT), F.linear(states_BTD, head.weight)) <= TOLERANCE  # type: ignore[arg-type]
