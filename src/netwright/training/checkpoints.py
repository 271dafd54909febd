"""Checkpoints that survive: a folder a save, committed by rename, with the SHA-256 of every file in its manifest.

`checkpoints/step-00000123/` holds `tensors.safetensors` (every tensor of the state), `state.json` (the rest, with a
mark where a tensor stood) and `manifest.json`. `last` and `best` are links, replaced atomically. Two whole checkpoints
are kept beside the best one, so that a damaged newest one costs at most the steps since the one before. Nothing here
can run code.
"""

import contextlib
import hashlib
import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from netwright.core.errors import CheckpointError, because
from netwright.core.messages import say
from netwright.core.records import read_json, sync_folder, write_through, writing

__all__ = ["best", "commit", "newest", "read", "steps"]

log = logging.getLogger("netwright")
_KEPT = 2


def commit(folder: Path, step: int, state: dict[str, Any], best: bool = False) -> Path:
    """Write `state` (nested dicts, lists, tensors and JSON scalars) as the checkpoint of `step`.

    Whenever this is killed, what was there before is still whole.

    Raises:
        ResourceError: disk full, or the folder cannot be written.
    """
    target = folder / f"step-{step:08d}"
    with writing(folder):
        if not _is_whole(target):  # the same step is the same state: a save on leaving, or steps done again
            _write(target, state)
        _point(folder / "last", target.name)
        if best:
            _point(folder / "best", target.name)
        _forget(folder)
    return target


def newest(folder: Path) -> dict[str, Any] | None:
    """The newest checkpoint that is whole; a damaged one is said and passed over. None where there is none at all.

    Raises:
        CheckpointError: there are checkpoints, and all are damaged.
    """
    damaged = []
    for step in reversed(steps(folder)):
        path = folder / f"step-{step:08d}"
        try:
            return read(path)
        except CheckpointError as error:
            damaged.append(path.name)
            template = "checkpoint {name} is damaged ({error}); trying the one before"
            log.warning(say(template, name=path.name, error=error))
    if damaged:
        template = "all checkpoints in {folder} are damaged ({names}); start again with another --out"
        raise CheckpointError(template, folder=folder, names=", ".join(damaged))
    return None


def best(folder: Path) -> dict[str, Any] | None:
    """The checkpoint `best` points to, the newest where that one is damaged (which is said), or None."""
    if not (folder / "best").exists():
        return None
    try:
        return read(folder / "best")
    except CheckpointError as error:
        log.warning(say("the best checkpoint is damaged ({error}); taking the newest instead", error=error))
        return newest(folder)


def steps(folder: Path) -> list[int]:
    """Steps of all committed checkpoints, ascending."""
    return sorted(int(path.name.removeprefix("step-")) for path in folder.glob("step-*") if path.is_dir())


def read(path: Path) -> dict[str, Any]:
    """Read one checkpoint, after its checksums; the tensors are on the CPU.

    Raises:
        CheckpointError: a file is missing or not the one that was written.
    """
    manifest = read_json(path / "manifest.json")
    if not {"state.json", "tensors.safetensors"} <= manifest.keys():
        raise CheckpointError("{path} is no list of a checkpoint's files", path=path / "manifest.json")
    contents = {}
    for name, digest in manifest.items():
        try:
            contents[name] = (path / name).read_bytes()
        except OSError as error:
            raise CheckpointError("{path} cannot be read ({error})", path=path / name, error=error.strerror) from error
        if hashlib.sha256(contents[name]).hexdigest() != digest:
            raise CheckpointError("{path} is not what was written (SHA-256 differs)", path=path / name)
    try:
        tensors = load_tensors(contents["tensors.safetensors"])
        state: dict[str, Any] = _restore(json.loads(contents["state.json"]), tensors)
        return state
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        raise CheckpointError("{path} cannot be read ({reason})", path=path, reason=because(error)) from error


def _flatten(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """The JSON skeleton of a state; its tensors go into `tensors` under their path."""
    match value:
        case Tensor():
            tensors[path] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
            return {"$tensor": path}
        case dict() if all(isinstance(key, str) for key in value):
            return {key: _flatten(item, f"{path}/{key}", tensors) for key, item in value.items()}
        case dict():  # an optimizer numbers its parameters; JSON would make words of the numbers
            return {"$pairs": [[key, _flatten(item, f"{path}/{key}", tensors)] for key, item in value.items()]}
        case list():
            return [_flatten(item, f"{path}/{i}", tensors) for i, item in enumerate(value)]
        case tuple():
            return {"$tuple": _flatten(list(value), path, tensors)}
        case None | bool() | int() | float() | str():
            return value
    raise TypeError(f"a checkpoint holds tensors and JSON only; {path} is a {type(value).__name__}")


def _restore(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_restore(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if "$tensor" in value:
        return tensors[value["$tensor"]]
    if "$pairs" in value:
        return {key: _restore(item, tensors) for key, item in value["$pairs"]}
    if "$tuple" in value:
        return tuple(_restore(value["$tuple"], tensors))
    return {key: _restore(item, tensors) for key, item in value.items()}


def _write(target: Path, state: dict[str, Any]) -> None:
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        _fill(temporary, state)
    except BaseException:  # a full disk needs the space for the run's last words
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    shutil.rmtree(target, ignore_errors=True)  # only ever a damaged one
    os.rename(temporary, target)
    sync_folder(target.parent)


def _fill(folder: Path, state: dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    tensors: dict[str, Tensor] = {}
    skeleton = _flatten(state, "", tensors)
    contents = {"tensors.safetensors": save_tensors(tensors), "state.json": json.dumps(skeleton).encode()}
    manifest = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    contents["manifest.json"] = json.dumps(manifest, indent=2).encode()
    for name, content in contents.items():
        write_through(folder / name, content)
    sync_folder(folder)


def _is_whole(path: Path) -> bool:
    try:
        read(path)
    except CheckpointError:
        return False
    return True


def _point(link: Path, name: str) -> None:
    """Make `link` lead to `name`, replacing what it was in one step."""
    temporary = link.with_name(f".{link.name}.link")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    temporary.symlink_to(name)
    os.replace(temporary, link)


def _forget(folder: Path) -> None:
    """Remove what is neither among the newest nor the best, and what a killed save left behind."""
    kept = {f"step-{step:08d}" for step in steps(folder)[-_KEPT:]}
    kept |= {os.readlink(folder / link) for link in ("last", "best") if (folder / link).is_symlink()}
    for path in [*folder.glob("step-*"), *folder.glob(".step-*.tmp")]:
        if path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)
