"""`model/`: all that predicting, serving, exporting or fine-tuning needs, and nothing that can run code.

`config.json` says how to build network and task, `model.safetensors` holds the weights, `preprocessor.json` what was
fitted on the training data, `tokenizer.json` the vocabulary where there is one.
"""

import hashlib
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from netwright.core.errors import CheckpointError, because
from netwright.core.messages import say
from netwright.core.records import write_bytes, write_json
from netwright.data import Preprocessor
from netwright.models.weights.names import current_names

__all__ = ["find_model_folder", "load_weights", "save_model", "weights_hash"]

FORMAT = 1


def save_model(folder: Path, model: nn.Module, recipe: dict[str, Any], preprocess: Preprocessor | None) -> None:
    """Write `model/`; each file is atomic, `config.json` comes last.

    Raises:
        ResourceError: disk full, or the folder cannot be written.
    """
    write_bytes(folder / "model.safetensors", save_tensors(_tensors(model), metadata={"format": "pt"}))
    if preprocess is not None:
        write_json(folder / "preprocessor.json", preprocess.to_dict())
        if preprocess.tokenizer is not None:
            write_json(folder / "tokenizer.json", preprocess.tokenizer.to_dict())
    write_json(folder / "config.json", {"format": FORMAT, **recipe})


def load_weights(model: nn.Module, file: Path) -> None:
    """Load the weights of exactly this network.

    Raises:
        CheckpointError: missing or damaged, or weights of another network: says what does not match.
    """
    try:
        tensors = load_tensors(file.read_bytes())
    except (OSError, SafetensorError) as error:
        template = "{file} cannot be read ({reason}); restore it or train again"
        raise CheckpointError(template, file=file, reason=because(error)) from error
    wanted, tensors = model.state_dict(), current_names(model, tensors)
    shared = _shared_names(model)
    tensors |= {name: tensors[kept] for name, kept in shared.items() if kept in tensors}
    wrong = [say("missing {name}", name=name) for name in wanted if name not in tensors]
    wrong += [say("unexpected {name}", name=name) for name in tensors if name not in wanted]
    wrong += [
        say("{name} is {got}, not {wanted}", name=name, got=tuple(tensors[name].shape), wanted=tuple(value.shape))
        for name, value in wanted.items()
        if name in tensors and tensors[name].shape != value.shape
    ]
    if wrong:
        shown = "; ".join(wrong[:8]) + (say("; … {count} more", count=len(wrong) - 8) if len(wrong) > 8 else "")
        raise CheckpointError("{file} holds the weights of another network: {wrong}", file=file, wrong=shown)
    model.load_state_dict(tensors)


def find_model_folder(path: Path) -> Path:
    """The folder with `config.json`: `path` itself, or `model/` below a run.

    Raises:
        CheckpointError: neither.
    """
    for folder in (path, path / "model"):
        if (folder / "config.json").is_file():
            return folder
    template = "{path} holds no model; give a run folder or its model folder (a run writes it when it ends)"
    raise CheckpointError(template, path=path)


def weights_hash(model: nn.Module) -> str:
    """SHA-256 over names, shapes and bits of all weights and buffers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    shared = _shared_names(model)
    return {name: _apart(tensor) for name, tensor in model.state_dict().items() if name not in shared}


def _apart(tensor: Tensor) -> Tensor:
    """The tensor on the CPU; one that is a part of another's memory as a copy."""
    whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    return (tensor if whole else tensor.clone()).detach().cpu().contiguous()


def _shared_names(model: nn.Module) -> dict[str, str]:
    """Names that lead to a tensor which stands in the file under another name already (tied weights)."""
    first: dict[tuple[int, ...], str] = {}
    shared = {}
    for name, tensor in model.state_dict().items():
        place = (tensor.data_ptr(), tensor.storage_offset(), *tensor.shape)
        if tensor.numel() and place in first:
            shared[name] = first[place]
        else:
            first[place] = name
    return shared
