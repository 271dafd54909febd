"""The weights of a multilayer perceptron: their names, and files from when a dropout had a number."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import netwright as nw
from netwright.core.errors import CheckpointError
from netwright.experiment.model_folder import load_weights, save_model
from netwright.optim.averaging import ema

HOW: dict[str, Any] = {"in_features": 4, "num_classes": 3, "hidden": [5, 6, 7]}


def _earlier(net: nn.Module, parts: int) -> dict[str, Tensor]:
    """The weights as they were named with dropout: each hidden layer had one part more."""
    named = {}
    for name, tensor in net.state_dict().items():
        trunk, number, *rest = name.split(".")
        depth, part = divmod(int(number), parts) if trunk == "trunk" else (0, 0)
        named[".".join([trunk, str(depth * (parts + 1) + part), *rest]) if trunk == "trunk" else name] = tensor
    return named


@pytest.mark.parametrize("norm", ["none", "layer", "batch"])
def test_names_do_not_depend_on_dropout(norm: str) -> None:
    plain, dropped = (nw.build("mlp", **HOW, norm=norm, dropout=dropout) for dropout in (0.0, 0.1))
    assert list(plain.state_dict()) == list(dropped.state_dict())
    dropped.load_state_dict(plain.state_dict())
    x = torch.randn(8, 4)
    torch.testing.assert_close(dropped.eval()(x), plain.eval()(x))


@pytest.mark.parametrize(("norm", "parts"), [("none", 2), ("layer", 3)])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_files_of_earlier_versions_load(norm: str, parts: int, dropout: float, tmp_path: Path) -> None:
    first, net = (nw.build("mlp", **HOW, norm=norm, dropout=dropout).eval() for _ in range(2))
    x, earlier = torch.randn(8, 4), _earlier(first, parts)
    assert earlier.keys() != first.state_dict().keys()
    net.load_state_dict(earlier)  # a checkpoint
    torch.testing.assert_close(net(x), first(x))
    save_model(tmp_path, first, {}, None)
    save_file(earlier, tmp_path / "model.safetensors")
    net = nw.build("mlp", **HOW, norm=norm, dropout=dropout).eval()
    load_weights(net, tmp_path / "model.safetensors")
    torch.testing.assert_close(net(x), first(x))
    torch.save(earlier, tmp_path / "mlp.pth")
    net = nw.load_pretrained("mlp", tmp_path / "mlp.pth", **HOW, norm=norm, dropout=dropout)
    torch.testing.assert_close(net(x), first(x))


def test_averages_of_earlier_versions_load() -> None:
    net = nw.build("mlp", **HOW, dropout=0.1)
    average = ema().bind(net, 1)
    average.update()
    state = average.state()
    average.load_state({**state, "mean": _earlier(net, 2)})
    torch.testing.assert_close(average.tensors(), state["mean"])


def test_as_part_of_another_network_too() -> None:
    first, whole = nw.build("mlp", **HOW), nn.Sequential(nn.Identity(), nw.build("mlp", **HOW, dropout=0.5))
    whole.load_state_dict({f"1.{name}": tensor for name, tensor in _earlier(first, 2).items()})
    torch.testing.assert_close(whole[1].state_dict(), first.state_dict())


def test_weights_of_other_layers_are_not_renamed(tmp_path: Path) -> None:
    save_file(_earlier(nw.build("mlp", **{**HOW, "hidden": [5, 6, 8]}), 2), tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"weights of another network: missing trunk\.2\.weight"):
        load_weights(nw.build("mlp", **HOW), tmp_path / "model.safetensors")
