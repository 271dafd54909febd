"""Pictures made of pictures: trained, measured over all values, shown, and predicted."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from netwright.core.errors import ConfigError
from netwright.experiment.fit import fit
from netwright.experiment.predictor import load
from netwright.experiment.run import train


def _pictures(channels: int = 1, count: int = 80) -> Tensor:
    torch.manual_seed(0)
    return torch.rand(count, channels, 8, 8)


def _net(channels: int = 1, out: int | None = None) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, out or channels, 3, padding=1)
    )  # fmt: skip


def _fit(net: nn.Module, x: Tensor, y: Tensor, folder: Path, **how: Any) -> Any:
    return fit(net, (x, y), out=folder, **{"epochs": 2, "batch_size": 16, "test": 0.2, "quiet": True, **how})


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("task", [None, "regression"])
def test_a_network_that_removes_noise(channels: int, task: str | None, tmp_path: Path) -> None:
    clean = _pictures(channels)
    noisy, net = clean + 0.3 * torch.randn_like(clean), _net(channels)
    run = _fit(net, noisy, clean, tmp_path / "r", task=task)
    assert not [finding for finding in run.findings if finding.severity == "error"]
    rows = json.loads((run.folder / "split.json").read_text())["sizes"]["test"]
    assert rows and set(run.metrics["test"]) == {"loss", "rmse", "mae", "r2"}
    predict = load(run.folder, network=net)
    told = predict(noisy[:3])
    with torch.no_grad():
        said = net.cpu().eval()(noisy[:3])
    assert np.allclose([answer["target"] for answer in told], said, atol=1e-5)
    shown = json.loads((run.folder / "exhibits.json").read_text())
    assert [view["kind"] for view in shown] == ["scatter", "histogram", "pictures"]
    files = [run.folder / item["file"] for item in shown[2]["items"]]
    assert len(files) == 8 and all(file.is_file() for file in files)
    assert (run.folder / "report.html").read_text().count("data:image/png") >= 8


def test_figures_are_over_all_values(tmp_path: Path) -> None:
    """Not averaged over columns, rows or channels."""
    x, net = _pictures(3), _net(3)
    y, seen, true = 2 * x[10:], x[:10], 2 * x[:10].double()
    run = _fit(net, x[10:], y, tmp_path / "r", validation=(seen, true.float()), test=0.0, precision="float32")
    with torch.no_grad():
        rest = net.cpu().eval()(seen).double() - true
    figures = run.metrics["validation"]
    assert figures["rmse"] == pytest.approx(rest.square().mean().sqrt().item(), rel=1e-4)
    assert figures["mae"] == pytest.approx(rest.abs().mean().item(), rel=1e-4)
    r2 = 1 - rest.square().sum() / (true - true.mean()).square().sum()
    assert figures["r2"] == pytest.approx(r2.item(), rel=1e-4, abs=1e-5)


def test_a_flat_answer_is_paired_and_a_turned_one_refused(tmp_path: Path) -> None:
    x = _pictures()
    flat = nn.Sequential(nn.Flatten(), nn.Linear(64, 64))
    assert _fit(flat, x, x, tmp_path / "flat").metrics["test"]["rmse"] > 0

    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = _net(3)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.inner(x)
            return out.movedim(1, 3)

    with pytest.raises(ConfigError, match=r"gives \(8, 8, 8, 3\) for targets of \(8, 3, 8, 8\)"):
        _fit(Turned(), _pictures(3), _pictures(3), tmp_path / "turned")
    with pytest.raises(ConfigError, match=r"gives \(8, 2, 8, 8\) for targets of \(8, 1, 8, 8\)"):
        _fit(_net(1, 2), x, x, tmp_path / "more")


@pytest.mark.parametrize("change", ["flip", "cutmix"])
def test_inputs_do_not_move_without_their_targets(change: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"augment: \w+ moves the inputs and not their targets; leave it out"):
        _fit(_net(), _pictures(), _pictures(), tmp_path / "r", augment=[change])
    assert _fit(_net(), _pictures(), _pictures(), tmp_path / "r", epochs=1, augment=["noise"]).metrics["test"]


def test_rows_of_numbers_have_a_table_of_the_worst(tmp_path: Path) -> None:
    x = torch.randn(60, 5, 3)
    run = _fit(nn.Linear(3, 2), x, x[..., :2] * 3, tmp_path / "r")
    shown = json.loads((run.folder / "exhibits.json").read_text())
    assert [view["kind"] for view in shown] == ["scatter", "histogram", "table"]
    assert len(shown[2]["rows"]) == 8 and shown[2]["columns"][1] == "RMSE"


@pytest.mark.parametrize("channels", [1, 3])
def test_a_network_of_the_catalog_by_a_config(channels: int, tmp_path: Path) -> None:
    """Built for the channels of the targets; those of a file are standardised by one mean and one deviation."""
    x = (_pictures(channels) * 255).byte().numpy()
    np.savez(tmp_path / "pairs.npz", x=x, y=x.astype(np.float32) * 3)
    config = {
        "data": {"path": str(tmp_path / "pairs.npz"), "target_kind": "number"}, "task": "regression",
        "model": {"name": "unet", "width": 4, "depth": 2}, "train": {"epochs": 1, "batch_size": 16},
    }  # fmt: skip
    run = train(config, out=tmp_path / "r", quiet=True)
    answer = load(run.folder)(x[0])[0]["target"]
    assert np.shape(answer) == (channels, 8, 8) and run.metrics["test"]["rmse"] < 400
