"""Reading a file or a folder of weights: tensors come out of it and nothing else, and nothing in it is ever run.

Understood are safetensors, what `torch.save` writes (read with `weights_only`, mapped into memory where the file
allows), and folders as Hugging Face projects and our own runs write them, in one file or in shards.
"""

import contextlib
import pickletools
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.serialization import safe_globals

from netwright.core.errors import CheckpointError, because, ran_out_of_memory
from netwright.core.messages import say
from netwright.core.records import read_json

__all__ = ["Checkpoint", "Normalisation", "read_checkpoint"]

Normalisation = tuple[list[float], list[float]]  # mean and deviation of each channel, on the scale 0 to 1

_NESTS = (
    "state_dict", "model_state_dict", "model", "network", "net", "module", "weights", "params", "state_dict_ema",
    "model_ema",
)  # fmt: skip
_WRAPPERS = ("module.", "_orig_mod.", "model.", "net.")  # of DataParallel, of torch.compile, and of Lightning's modules
_FILES = ("model.safetensors", "pytorch_model.bin")


class _Beside:
    """In place of what training scripts keep beside the weights (their arguments, a best figure): nothing is kept."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


_BESIDE: list[Any] = [
    (_Beside, name)
    for name in (
        "argparse.Namespace", "pathlib.PosixPath", "pathlib.WindowsPath", "numpy.dtype", "numpy.core.multiarray.scalar",
        "numpy._core.multiarray.scalar",
    )
]  # fmt: skip
_CODE = re.compile(r"GLOBAL (\S+)|allowlisted via `add_safe_globals`,? but got (.+)|unrecognized function (\S+ \S+)")


@dataclass(frozen=True)
class Checkpoint:
    """Tensors under the names that the file gives them.

    config: the folder's config.json, {} where there is none. normalisation: what the pictures had in training, where
    the folder says so.
    """

    path: Path
    tensors: dict[str, Tensor]
    config: Mapping[str, Any] = field(default_factory=dict)
    normalisation: Normalisation | None = None


def read_checkpoint(path: Path) -> Checkpoint:
    """Read the weights at `path`, a file or a folder, onto the CPU.

    Raises:
        CheckpointError: missing, damaged, or without weights; a pickle that would have to run code.
    """
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except (OSError, ValueError):  # a name that no file system takes
        is_folder = exists = False
    if not exists:
        template = "{path} does not exist; give a .pth or .safetensors file, or a folder with one"
        text = str(path)
        raise CheckpointError(template, path=text if text.isprintable() else repr(text))
    if is_folder:
        return _folder(path)
    return Checkpoint(path, _tensors(_file(path), path))


def _folder(path: Path) -> Checkpoint:
    run = path / "model"
    folder = run if (run / "config.json").is_file() and not (path / "config.json").is_file() else path
    config = read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
    loaded: dict[str, Any] = {}
    for file in _parts(folder):
        loaded |= _tensors(_file(file), file)
    return Checkpoint(folder, loaded, config if isinstance(config, dict) else {}, _normalisation(folder))


def _parts(folder: Path) -> list[Path]:
    """The files of weights in a folder: one, or the shards that an index names."""
    for name in _FILES:
        index = folder / f"{name}.index.json"
        if index.is_file():
            listed = read_json(index)
            names = listed.get("weight_map") if isinstance(listed, dict) else None
            if not isinstance(names, dict) or not all(isinstance(n, str) and Path(n).name == n for n in names.values()):
                raise CheckpointError("{file} is no list of files of weights; fetch it again", file=index)
            return [folder / shard for shard in sorted(set(names.values()))]
        if (folder / name).is_file():
            return [folder / name]
    template = "{folder} holds no weights; expected one of {names}, or the folder of a finished run"
    raise CheckpointError(template, folder=folder, names=", ".join(_FILES))


def _file(path: Path) -> Any:
    """What a file holds, by its contents rather than its suffix."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
        if path.suffix == ".safetensors" or start[8:] == b"{":
            return load_file(path)
        with warnings.catch_warnings(), safe_globals(_BESIDE):  # torch announces what it is about to refuse
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle may fail in any way
        if ran_out_of_memory(error):
            raise
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> CheckpointError:
    code = _code(path, str(error))
    if code is not None:
        template = (
            "{file} holds Python code ({what}), which is never run; "
            "save the weights alone: torch.save(net.state_dict(), …), or as safetensors"
        )
        return CheckpointError(template, file=path, what=code)
    reason = say("damaged, or no file of weights")
    if isinstance(error, OSError) and error.filename is not None:  # the system's own, not a reader's that lost its way
        reason = because(error)
    elif path.stat().st_size == 0:
        reason = say("it is empty")
    return CheckpointError("{file} cannot be read ({reason}); fetch or save it again", file=path, reason=reason)


def _code(path: Path, complaint: str) -> str | None:
    """What a refused file would have run: torch tells it, and else a bare pickle is looked through, not read."""
    if "TorchScript" in complaint:
        return "TorchScript"
    if (told := _CODE.search(complaint)) is not None:
        return next(part for part in told.groups() if part is not None)
    if not path.is_file() or zipfile.is_zipfile(path):
        return None
    words: list[str] = []
    with path.open("rb") as file, contextlib.suppress(Exception):  # bytes of any kind
        for operation, argument, _ in pickletools.genops(file):
            if operation.name == "GLOBAL" and isinstance(argument, str):
                return argument.replace(" ", ".")
            if operation.name == "STACK_GLOBAL" and len(words) > 1:
                return ".".join(words[-2:])
            if isinstance(argument, str):
                words.append(argument)
    return None


def _tensors(value: Any, path: Path) -> dict[str, Tensor]:
    """The tensors in what was read, also where training scripts put them beside other things."""
    found = _unnested(value)
    found.pop("n_averaged", None)  # the count that torch's AveragedModel keeps beside what it wraps
    if not found:
        template = "{file} holds no weights; expected names with tensors, as net.state_dict() gives them"
        raise CheckpointError(template, file=path)
    while wrapper := next((word for word in _WRAPPERS if all(name.startswith(word) for name in found)), None):
        found = {name.removeprefix(wrapper): tensor for name, tensor in found.items()}
    return {name.replace(".module.", "."): tensor for name, tensor in found.items()}  # DataParallel around a part


def _unnested(value: Any) -> dict[str, Tensor]:
    if not isinstance(value, Mapping):
        return {}
    for name in _NESTS:
        if isinstance(value.get(name), Mapping) and (inner := _unnested(value[name])):
            return inner
    return {name: item.detach() for name, item in value.items() if isinstance(item, Tensor) and isinstance(name, str)}


def _normalisation(folder: Path) -> Normalisation | None:
    """Mean and deviation of the training pictures, from what our runs, transformers or timm write beside weights."""
    for name, inner, mean, std in (
        ("preprocessor.json", "values", "mean", "std"),
        ("preprocessor_config.json", None, "image_mean", "image_std"),
        ("config.json", "pretrained_cfg", "mean", "std"),
    ):
        told = read_json(folder / name) if (folder / name).is_file() else None
        values = told.get(inner) if inner and isinstance(told, dict) else told
        if isinstance(values, dict) and _numbers(values.get(mean)) and _numbers(values.get(std)):
            return list(map(float, values[mean])), list(map(float, values[std]))
    return None


def _numbers(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(number, int | float) for number in value)
