"""`predict` of networks that answer with pictures, or with a score of one: what is printed, and what `--out` writes."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from netwright.cli.main import main

MODELS = {
    "reconstruction": "{name: conv_autoencoder, widths: [8], code_size: 3}",
    "variational": "{name: conv_vae, widths: [8], code_size: 3}",
    "gan": "{name: dcgan, width: 4}",
}


def trained(task: str, folder: Path) -> Path:
    config = folder / "c.yaml"
    config.write_text(f"data: digits\ntask: {task}\nmodel: {MODELS[task]}\ntrain: {{epochs: 1, batch_size: 64}}\n")
    assert main(["train", str(config), "--out", str(folder / "run"), "--quiet"]) == 0
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(folder / "a.png")
    return folder / "run"


@pytest.mark.parametrize("task", ["reconstruction", "variational"])
def test_a_reconstruction_is_written_and_its_code_printed(
    task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, picture, out = trained(task, tmp_path), str(tmp_path / "a.png"), tmp_path / "made"
    capsys.readouterr()
    assert main(["predict", str(run), picture]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told) == {"input", "error", "code", "size"} and len(told["code"]) == 3 and told["size"] == [8, 8]
    assert main(["predict", str(run), picture, picture, "--out", str(out)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(line["reconstruction"]).name for line in lines] == ["a.png", "a-2.png"]
    with Image.open(lines[1]["reconstruction"]) as image:
        assert image.size == (8, 8) and image.mode == "L"


def test_a_gan_scores_pictures_and_writes_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, picture = trained("gan", tmp_path), str(tmp_path / "a.png")
    capsys.readouterr()
    assert main(["predict", str(run), picture]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"input", "score"}
    assert main(["predict", str(run), picture, "--out", str(tmp_path / "made")]) == 2
    assert "--out is for models that answer with pictures" in capsys.readouterr().err
