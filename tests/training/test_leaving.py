"""Every way a run can end before its end: the exit code, the sentence, the summary, and that nothing is lost."""

import errno
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest
import torch
from training_runs import at_step, command, healthy, start, summary, traces, write_config

from netwright.cli.main import main
from netwright.core.records import RunLock, read_jsonl
from netwright.tasks.base import StepOutput
from netwright.tasks.classification import Classification
from netwright.training import checkpoints
from netwright.training.session import Session

CLI = [sys.executable, "-m", "netwright"]
FOREVER = 30.0


def wait_for(path: Path, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not come"
        time.sleep(0.002)


def resumed(folder: Path) -> int:
    return main(["train", "--resume", str(folder), "-q"])


# --- signals ---------------------------------------------------------------------------------------------------------


def test_ctrl_c_saves_and_prints_the_command_that_ends_with_the_same_bits(tmp_path: Path) -> None:
    config = write_config(tmp_path / "config.yaml", epochs=8)
    assert main(["train", config, "--out", str(tmp_path / "whole"), "-q"]) == 0
    folder = tmp_path / "a run"
    process = subprocess.Popen([*CLI, "train", config, "--out", str(folder)], stderr=subprocess.PIPE, text=True)
    wait_for(folder / "checkpoints" / "step-00000010")
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "Traceback" not in said
    note = summary(folder)
    assert note["status"] == "interrupted" and note["note"] in said
    printed = re.search(r"interrupted at step (\d+); saved; go on with: netwright (.*)", said)
    assert printed and int(printed[1]) == healthy(folder) == note["steps"] < 8 * 23
    assert main(shlex.split(printed[2])) == 0
    assert summary(folder)["status"] == "finished"
    assert traces(folder) == traces(tmp_path / "whole")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_end_saves_and_leaves_with_75(number: int, tmp_path: Path, server: ForkServerContext) -> None:
    config, folder = write_config(tmp_path / "config.yaml", epochs=100), tmp_path / "run"
    process = start(server, command, ["train", config, "--out", str(folder), "-q"], str(tmp_path / "said"))
    wait_for(folder / "checkpoints" / "last")
    os.kill(process.pid or 0, number)
    process.join(60)
    assert process.exitcode == 75
    assert summary(folder)["status"] == "preempted"
    said = (tmp_path / "said").read_text()
    assert f"preempted at step {healthy(folder)}; saved; go on with: netwright train --resume {folder}" in said
    assert (folder / "report.html").exists()


def sleepy(arguments: list[str], mark: str) -> None:
    """A step that takes for ever, once there is a checkpoint."""

    def sleep(out: StepOutput) -> None:
        Path(mark).touch()
        time.sleep(FOREVER)

    Classification.training_step = at_step(15, sleep)  # type: ignore[method-assign]
    command(arguments, f"{mark}.said")


def test_a_second_ctrl_c_leaves_at_once(tmp_path: Path, server: ForkServerContext, whole: Path) -> None:
    config, folder, mark = write_config(tmp_path / "config.yaml"), tmp_path / "run", tmp_path / "asleep"
    process = start(server, sleepy, ["train", config, "--out", str(folder)], str(mark))
    wait_for(mark)
    os.kill(process.pid or 0, signal.SIGINT)
    process.join(0.3)
    assert process.exitcode is None, "the first one waits for the step"
    began = time.monotonic()
    os.kill(process.pid or 0, signal.SIGINT)
    process.join(FOREVER)
    assert process.exitcode == 130 and time.monotonic() - began < FOREVER / 3
    assert "Traceback" not in Path(f"{mark}.said").read_text()
    assert summary(folder)["status"] == "interrupted"
    assert healthy(folder) == 10
    assert resumed(folder) == 0 and traces(folder) == traces(whole)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_signal_while_the_best_weights_are_measured(
    number: int, code: int, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(Session, "load_best", lambda run: os.kill(os.getpid(), number))
        assert main(["train", write_config(tmp_path / "config.yaml"), "--out", str(folder), "-q"]) == code
    assert summary(folder)["status"] == ("preempted" if code == 75 else "interrupted")
    assert healthy(folder) == 46
    assert resumed(folder) == 0 and traces(folder) == traces(whole)


# --- somebody else's folder ------------------------------------------------------------------------------------------


def test_a_second_run_in_the_folder_is_refused_while_the_first_is_at_work(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(tmp_path / "config.yaml")
    lock = RunLock(whole)
    for arguments in (["--resume", str(whole)], [config, "--out", str(whole)]):
        assert main(["train", *arguments]) == 5
        assert "is in use by another run" in capsys.readouterr().err
    lock.release()
    assert main(["train", config, "--out", str(whole)]) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert resumed(whole) == 0


def test_a_folder_that_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    config = write_config(tmp_path / "config.yaml")
    assert main(["train", config, "--out", str(tmp_path / "file" / "run")]) == 5
    assert re.search(r"file.* cannot be written \(Not a directory\); choose another folder", capsys.readouterr().err)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts something on a fresh folder, where this user may."""
    places = []

    def mount(*options: str) -> Path:
        place = tmp_path / "mounted"
        place.mkdir(exist_ok=True)
        able = shutil.which("mount") is not None
        if not able or subprocess.run(["mount", *options, str(place)], check=False, capture_output=True).returncode:
            pytest.skip("this user cannot mount")
        places.append(place)
        return place

    yield mount
    for place in places:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_read_only_folder(mounted: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = mounted("-t", "tmpfs", "-o", "size=1m,ro", "tmpfs")
    config = write_config(tmp_path / "config.yaml")
    assert main(["train", config, "--out", str(place / "run")]) == 5
    assert "cannot be written (Read-only file system); choose another folder with --out" in capsys.readouterr().err


# --- a full disk -----------------------------------------------------------------------------------------------------


def test_a_full_disk_keeps_the_checkpoint_before(
    mounted: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, size = mounted("-t", "tmpfs", "-o", "size=2m", "tmpfs"), "model.hidden=[1024]"  # 900 KB a save
    config = write_config(tmp_path / "config.yaml")
    assert main(["train", config, "--out", str(tmp_path / "whole"), "-q", "--set", size]) == 0
    assert main(["train", config, "--out", str(place / "run"), "-q", "--set", size]) == 5
    assert re.search(r"disk is full while writing .*run.*; free some space and resume", capsys.readouterr().err)
    assert summary(place / "run")["status"] == "failed" and "disk is full" in summary(place / "run")["note"]
    assert healthy(place / "run") < 46
    subprocess.run(["mount", "-o", "remount,size=32m", str(place)], check=True)
    assert resumed(place / "run") == 0 and traces(place / "run") == traces(tmp_path / "whole")


class BrokenDisk:
    """From the n-th flush on it refuses; stands for `os.fsync`. A small run flushes 64 times."""

    def __init__(self, after: int, reason: int) -> None:
        self._left, self._reason, self._real = after, reason, os.fsync

    def __call__(self, file: Any) -> None:
        self._left -= 1
        if self._left < 0:
            raise OSError(self._reason, os.strerror(self._reason))
        self._real(file)


@pytest.mark.parametrize(
    ("after", "reason"),
    [*((after, errno.ENOSPC) for after in (0, 4, 13, 15, 20, 27, 28, 29, 30, 38, 45, 50, 52, 54, 60, 62)),
     *((after, errno.EROFS) for after in (0, 28, 62))],
)  # fmt: skip
def test_wherever_the_disk_gives_up_the_run_goes_on_afterwards(
    after: int, reason: int,
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    config, folder = write_config(tmp_path / "config.yaml"), tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", BrokenDisk(after, reason))
        assert main(["train", config, "--out", str(folder), "-q"]) == 5
    said = {errno.ENOSPC: "free some space and resume", errno.EROFS: "(Read-only file system); choose another folder"}
    assert said[reason] in capsys.readouterr().err
    if (folder / "config.yaml").exists():
        assert resumed(folder) == 0
    else:
        assert main(["train", config, "--out", str(folder), "-q"]) == 0
    assert traces(folder) == traces(whole)
    assert summary(folder)["status"] == "finished"


def limited(arguments: list[str], said: str) -> None:
    """No file may grow over 1 KB once there is a checkpoint."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def limit(out: StepOutput) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))

    Classification.training_step = at_step(15, limit)  # type: ignore[method-assign]
    command(arguments, said)


def test_a_limit_on_files(tmp_path: Path, server: ForkServerContext, whole: Path) -> None:
    config, folder, said = write_config(tmp_path / "config.yaml"), tmp_path / "run", tmp_path / "said"
    process = start(server, limited, ["train", config, "--out", str(folder), "-q"], str(said))
    process.join(60)
    assert process.exitcode == 5
    assert "larger than a file may be here; raise the limit (ulimit -f) and resume" in said.read_text()
    assert healthy(folder) in (10, 20)
    assert resumed(folder) == 0 and traces(folder) == traces(whole)


# --- out of memory, out of numbers, out of order ---------------------------------------------------------------------


def too_much(out: StepOutput) -> None:
    torch.empty(1 << 55, dtype=torch.uint8)


def too_much_on_an_accelerator(out: StepOutput) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


def too_much_for_python(out: StepOutput) -> None:
    raise MemoryError


@pytest.mark.parametrize("then", [too_much, too_much_on_an_accelerator, too_much_for_python])
def test_out_of_memory(
    then: Callable[[StepOutput], None],
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(Classification, "training_step", at_step(14, then))
        assert main(["train", write_config(tmp_path / "config.yaml"), "--out", str(folder), "-q"]) == 5
    assert "out of memory; lower train.batch_size" in capsys.readouterr().err
    assert summary(folder)["status"] == "failed" and "batch_size" in summary(folder)["note"]
    assert healthy(folder) == 10
    assert resumed(folder) == 0 and traces(folder) == traces(whole)


def test_a_loss_that_is_not_a_number(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    with monkeypatch.context() as patched:
        poison = at_step(14, lambda out: out._replace(loss=out.loss * torch.nan))
        patched.setattr(Classification, "training_step", poison)
        assert main(["train", write_config(tmp_path / "config.yaml"), "--out", str(folder), "-q"]) == 6
    assert "loss is nan at update 13" in capsys.readouterr().err
    assert summary(folder)["status"] == "diverged"
    (found,) = [line for line in read_jsonl(folder / "findings.jsonl") if line["fault"] == "non-finite"]
    assert found["severity"] == "error" and "optimizer.clip" in found["remedy"]
    assert healthy(folder) == 10
    assert resumed(folder) == 0 and traces(folder) == traces(whole)


def test_weights_that_are_no_numbers_are_never_saved(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A finite loss can have gradients that are not; the save that follows must not replace what is healthy."""
    folder = tmp_path / "run"
    with monkeypatch.context() as patched:

        def steep(out: StepOutput) -> StepOutput:
            return out._replace(loss=out.loss + (out.loss - out.loss).sqrt())

        patched.setattr(Classification, "training_step", at_step(20, steep))
        assert main(["train", write_config(tmp_path / "config.yaml"), "--out", str(folder), "-q"]) == 6
    assert "weights stopped being numbers by update 20" in capsys.readouterr().err
    assert summary(folder)["status"] == "diverged"
    assert healthy(folder) == 10
    assert resumed(folder) == 0 and traces(folder) == traces(whole)


def test_a_bug_of_somebody_is_no_running_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(out: StepOutput) -> None:
        raise ZeroDivisionError("a mistake")

    monkeypatch.setattr(Classification, "training_step", at_step(14, stumble))
    assert main(["train", write_config(tmp_path / "config.yaml"), "--out", str(tmp_path / "run"), "-q"]) == 70
    assert summary(tmp_path / "run")["status"] == "failed" and summary(tmp_path / "run")["note"] == "a mistake"


def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that left at step 33, with the best weights at 23."""
    with monkeypatch.context() as patched:
        patched.setattr(Classification, "training_step", at_step(33, lambda out: os.kill(os.getpid(), signal.SIGTERM)))
        assert main(["train", write_config(tmp_path / "config.yaml"), "--out", str(tmp_path / "run"), "-q"]) == 75
    return tmp_path / "run"


def test_a_damaged_checkpoint_is_said_and_the_one_before_used(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = left(tmp_path, monkeypatch)
    file = folder / "checkpoints" / "step-00000033" / "tensors.safetensors"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    assert main(["train", "--resume", str(folder)]) == 0
    said = capsys.readouterr().err
    assert "checkpoint step-00000033 is damaged" in said and "trying the one before" in said
    assert "resumed at step 30 of 46" in said
    assert traces(folder) == traces(whole)


def test_a_kill_between_a_save_and_its_links_leaves_the_best_weights_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(link: Path, name: str) -> None:
        raise KeyboardInterrupt

    folder = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "_point", killed)
        config = write_config(tmp_path / "config.yaml", checkpoint_every=100)
        assert main(["train", config, "--out", str(folder), "-q"]) == 130
    assert checkpoints.steps(folder / "checkpoints") == [23]
    assert not (folder / "checkpoints" / "best").exists()
    with monkeypatch.context() as patched:
        patched.setattr(Classification, "training_step", at_step(5, lambda out: os.kill(os.getpid(), signal.SIGTERM)))
        assert resumed(folder) == 75
    assert os.readlink(folder / "checkpoints" / "best") == "step-00000023"
    assert os.readlink(folder / "checkpoints" / "last") == "step-00000028"


def test_best_weights_that_are_damaged_do_not_lose_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = left(tmp_path, monkeypatch)
    (folder / "checkpoints" / "step-00000023" / "state.json").unlink()
    with monkeypatch.context() as patched:
        patched.setattr(Session, "_improves", lambda run, value: False)
        assert main(["train", "--resume", str(folder)]) == 0
    assert "the best checkpoint is damaged" in capsys.readouterr().err
    assert summary(folder)["status"] == "finished"
