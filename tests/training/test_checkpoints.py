"""Checkpoints: whole or not there, found damaged, passed over; nothing in them is code."""

from pathlib import Path

import pytest
import torch

from netwright.core.errors import CheckpointError
from netwright.training import checkpoints

STATE = {
    "model": {"w": torch.arange(6.0).reshape(2, 3)},
    "optimizer": {0: {"step": torch.tensor(3.0)}, 1: {"betas": (0.9, 0.99)}},
    "rng": [1, 2.5, None, True, "x"],
}


def same(a: object, b: object) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))  # type: ignore[arg-type]
    return a == b


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    checkpoints.commit(tmp_path, 3, STATE, best=True)
    assert same(checkpoints.newest(tmp_path), STATE)
    assert same(checkpoints.best(tmp_path), STATE)


def test_the_best_and_the_newest_two_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4, 5):
        checkpoints.commit(tmp_path, step, STATE, best=step == 2)
    assert checkpoints.steps(tmp_path) == [2, 4, 5]
    assert (tmp_path / "last").resolve().name == "step-00000005"
    assert (tmp_path / "best").resolve().name == "step-00000002"


@pytest.mark.parametrize("name", ["tensors.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("how", ["flip", "cut", "gone"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, name: str, how: str) -> None:
    checkpoints.commit(tmp_path, 1, {"step": 1})
    checkpoints.commit(tmp_path, 2, {"step": 2, "w": torch.ones(3)})
    file = tmp_path / "step-00000002" / name
    content = bytearray(file.read_bytes())
    if how == "flip":
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    elif how == "cut":
        file.write_bytes(content[: len(content) // 2])
    else:
        file.unlink()
    assert checkpoints.newest(tmp_path) == {"step": 1}


def test_all_damaged_is_an_error_and_none_is_none(tmp_path: Path) -> None:
    assert checkpoints.newest(tmp_path) is None
    checkpoints.commit(tmp_path, 1, {"step": 1})
    (tmp_path / "step-00000001" / "state.json").write_text("{}")
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoints.newest(tmp_path)


def test_a_half_written_save_is_not_seen_and_is_cleared(tmp_path: Path) -> None:
    checkpoints.commit(tmp_path, 1, {"step": 1})
    (tmp_path / ".step-00000002.tmp").mkdir()
    assert checkpoints.newest(tmp_path) == {"step": 1}
    checkpoints.commit(tmp_path, 3, {"step": 3})
    assert not (tmp_path / ".step-00000002.tmp").exists()


def test_objects_do_not_pass(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="tensors and JSON only"):
        checkpoints.commit(tmp_path, 1, {"x": object()})
