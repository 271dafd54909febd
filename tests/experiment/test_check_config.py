"""What `check` must not say of a config: faults of the files' order, or of slots that the encoding keeps free."""

from pathlib import Path
from typing import Any

import pytest
import torch

from netwright.experiment.checking import check_config


def test_sorted_rows_and_free_slots_of_categories_are_no_faults(tmp_path: Path) -> None:
    numbers = torch.randn(300, 2, generator=torch.Generator().manual_seed(0)).tolist()
    rows = [
        f"{a},{b},{'left' if n % 3 else 'right'},{'low' if n < 150 else 'high'}" for n, (a, b) in enumerate(numbers)
    ]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,side,label", *rows]))
    (tmp_path / "c.yaml").write_text("data: {path: t.csv, target: label}\nmodel: {name: mlp, hidden: [8]}\n")
    assert {"not-shuffled", "input-degenerate"} & {one.fault for one in check_config(tmp_path / "c.yaml")} == set()


def test_a_column_that_is_the_same_everywhere_is_still_told(tmp_path: Path) -> None:
    """Arrays have no columns with names; the rule looks at all of them."""
    x, y = torch.randn(200, 4, generator=torch.Generator().manual_seed(0)), torch.arange(200) % 2
    x[:, 2] = 1.0
    config = {"data": {"x": x.tolist(), "y": y.tolist()}, "model": {"name": "mlp", "hidden": [8]}}
    assert "input-degenerate" in {one.fault for one in check_config(config)}


@pytest.mark.parametrize("more", [
    {"model": "autoencoder"},
    {"model": {"name": "conv_autoencoder", "widths": [8]}, "loss": "bce"},
    {"model": {"name": "conv_autoencoder", "widths": [8], "output": "sigmoid"},
     "task": {"name": "reconstruction", "noise": 0.3}},
    {"model": {"name": "conv_vae", "widths": [8]}, "task": "variational"},
])  # fmt: skip
def test_healthy_autoencoders_are_left_in_peace(more: dict[str, Any]) -> None:
    config = {"data": "digits", "task": "reconstruction", "train": {"batch_size": 32}, **more}
    assert check_config(config) == []
