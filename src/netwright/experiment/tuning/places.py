"""The place of a search: its folder, the name of its study in the store, and the command that goes on with it."""

import hashlib
import json
import shlex
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netwright.core.errors import CheckpointError, ConfigError
from netwright.core.records import RunLock, read_json, write_json
from netwright.experiment.config import Config
from netwright.experiment.folders import next_folder, refuse_used
from netwright.tuning.space import Space, as_options, plain_space, read_space
from netwright.tuning.store import hidden

__all__ = ["STORE", "command_of", "digest", "folder_of", "keep_study", "study_of"]

STORE = "study.db"  # in the folder, where no other store is named
_RECORD = "study.json"


def folder_of(out: str | Path | None, config: Config) -> tuple[Path, RunLock]:
    """The folder of the search, held.

    Raises:
        ConfigError: it has no name, or a run is in it.
        ResourceError: it cannot be written, or another search is at work in it.
    """
    if out is None:
        return next_folder(f"tune-{_stem(config)}.yaml")
    if not str(out).strip():
        raise ConfigError("--out is empty; give the folder that the search is to be written to")
    folder = Path(out)
    refuse_used(folder)
    return folder, RunLock(folder)


def _stem(config: Config) -> str:
    return Path(config.file).stem if config.file else "config"


def command_of(
    config: object, folder: Path, overrides: Sequence[str], space: Mapping[str, Any] | None, limited: Mapping[str, Any]
) -> str:
    """What goes on with the search when it was stopped."""
    if isinstance(config, Mapping):
        return f"tune(…, out={str(folder)!r})"
    pairs = [("--out", folder), *(("--set", override) for override in overrides)]
    pairs += [("--space", option) for option in as_options(read_space(space))] if space else []
    pairs += [(name, value) for name, value in limited.items() if value is not None]
    return shlex.join(["netwright", "tune", str(config), *(str(word) for pair in pairs for word in pair)])


def study_of(folder: Path, config: Config, space: Space, metric: str, storage: str | None) -> tuple[str, str]:
    """The name of the study, and this worker's; what stands in the folder must be of the same search.

    Raises:
        ConfigError: another search is in the folder.
        CheckpointError: its record is damaged.
    """
    searched = {key: value for key, value in config.to_dict().items() if key not in ("doctor", "expect", "tune")}
    name = f"{_stem(config)}-{digest([searched, plain_space(space), metric])[:12]}"
    path = folder / _RECORD
    if path.is_file():
        kept = read_json(path)
        if kept.get("study") != name or kept.get("storage") != _named(storage):
            template = "{out} holds the search of another config, space or store; choose another folder with --out"
            raise ConfigError(template, out=folder)
        if not isinstance(kept.get("worker"), str):
            raise CheckpointError("{path} is damaged; choose another folder with --out", path=path)
        return name, kept["worker"]
    return name, uuid.uuid4().hex


def keep_study(folder: Path, study: str, worker: str, space: Space, storage: str | None) -> None:
    """Write down which search is in the folder; to be called when its store has answered."""
    kept = {"study": study, "worker": worker, "storage": _named(storage), "space": plain_space(space)}
    write_json(folder / _RECORD, kept)


def _named(storage: str | None) -> str:
    return hidden(storage) if storage is not None else STORE


def digest(value: Any) -> str:
    """Tells equal configs from others."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
