"""What a notebook shows of results, and what it is told of objects that no config can hold."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

import netwright as nw

FINDING = nw.Finding("NW103", "double-softmax", "error", "1", "Softmax twice.", "It is flat.", "Remove one.")


def test_a_run_and_its_findings_fit_on_a_line_each(tmp_path: Path) -> None:
    x = torch.randn(120, 4, generator=torch.Generator().manual_seed(0))
    run = nw.fit(nn.Linear(4, 2), (x, (x[:, 0] > 0).long()), epochs=1, batch_size=16, out=tmp_path / "r", quiet=True)
    assert repr(run).startswith(f"Run({tmp_path / 'r'}: validation loss ") and repr(run).endswith("findings)")
    assert repr([FINDING]) == "[<NW103 error double-softmax [1]: Softmax twice. It is flat. Do: Remove one.>]"


def test_the_log_of_a_run_says_what_was_seen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", "netwright"):
        nw.train({"data": "iris", "model": "mlp", "train": {"epochs": 1, "batch_size": 64}}, out=tmp_path / "r")
    assert any("Batches of 64 from 120 examples make 2 updates" in record.getMessage() for record in caplog.records)


def test_objects_in_a_config_are_refused_with_one_sentence(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [0.5, 1.5, 2.5] * 20, "y": [0, 1] * 30})
    with pytest.raises(nw.NetwrightError, match="holds plain values, and this one an object of Python"):
        nw.train({"data": {"frame": frame, "target": "y"}, "model": "mlp"}, out=tmp_path / "r", quiet=True)


def test_a_diagnosis_without_an_optimizer_says_so() -> None:
    with pytest.raises(nw.NetwrightError, match="needs the optimizer of the run, got None"):
        nw.diagnose(nn.Linear(2, 2), None, nn.CrossEntropyLoss(), train=(torch.zeros(8, 2), torch.zeros(8).long()))
