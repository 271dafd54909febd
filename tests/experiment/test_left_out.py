"""What a config leaves out is chosen so that `check`, `explain` and the run itself are content with it."""

from pathlib import Path

import pytest
import torch

from netwright.experiment.assemble import assemble
from netwright.experiment.checking import check_config
from netwright.experiment.config import load_config
from netwright.experiment.explaining import explain


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A table of 200 rows, and a config that says no more than where it is."""
    numbers = torch.randn(200, 3, generator=torch.Generator().manual_seed(0)).tolist()
    rows = [f"{a:.4f},{b:.4f},{c:.4f},{'yes' if a + b > 0 else 'no'}" for a, b, c in numbers]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,c,bought", *rows]))
    (tmp_path / "c.yaml").write_text("data: {path: t.csv, target: bought}\n")
    return tmp_path / "c.yaml"


def test_explain_shows_the_network_that_the_run_would_have(config: Path, tmp_path: Path) -> None:
    made = assemble(load_config(config), tmp_path / "run", quiet=True)
    assert explain(config).parameters == sum(weight.numel() for weight in made.model.parameters())


def test_few_examples_make_small_batches_and_many_steps(config: Path, tmp_path: Path) -> None:
    made = assemble(load_config(config), tmp_path / "run", quiet=True)
    assert made.config.train.batch_size == 16 and made.session.total_steps == 100
    assert [finding for finding in check_config(config) if finding.severity != "note"] == []


def test_a_large_batch_is_told_with_its_updates(config: Path) -> None:
    (finding,) = check_config(config, ["train.batch_size=128"])
    assert str(finding).startswith("NW150 warning batch-too-large [train.batch_size]: Batches of 128 from 160 examples")
    assert "make 20 updates in the whole run." in str(finding) and "Use batches of 8 or so" in str(finding)
