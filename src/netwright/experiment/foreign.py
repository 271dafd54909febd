"""A network of anybody's, made fit for a run before it is trained: for what a run must write down in the end, and load.

Layers that are made when they first see an input are made; buffers whose elements share memory get memory of their own.
"""

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from netwright.core.errors import ConfigError
from netwright.data import DataBundle, Preprocessor

__all__ = ["check_savable", "is_unmade", "make_layers", "part_memory"]


def is_unmade(network: nn.Module) -> bool:
    """Whether layers of it are still to be made (`nn.LazyLinear` and its kin)."""
    return any(is_lazy(tensor) for tensor in (*network.parameters(), *network.buffers()))


def make_layers(network: nn.Module, bundle: DataBundle, preprocess: Preprocessor | None) -> None:
    """Show the network an example, so that it makes its lazy layers.

    Raises:
        ConfigError: it does not take the example.
    """
    if not is_unmade(network):
        return
    try:
        raw = bundle.train.read(0)[0][None]
        with torch.no_grad():
            network.eval()(preprocess.inputs(raw) if preprocess is not None else raw)
    except Exception as error:  # whatever a network of anybody's says to inputs that are not for it
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        template = "the lazy layers of model {name} cannot be made ({reason}); call it once on an input of yours before"
        raise ConfigError(template, path="model", name=type(network).__name__, reason=reason) from error


def part_memory(network: nn.Module) -> None:
    """Give memory of its own to every element of a buffer: weights could not be loaded into an expanded one."""
    for module in network.modules():
        for name, buffer in module.named_buffers(recurse=False):
            if any(step == 0 and size > 1 for step, size in zip(buffer.stride(), buffer.shape, strict=True)):
                module._buffers[name] = buffer.contiguous()


def check_savable(network: nn.Module) -> None:
    """Whether a model folder can hold what the network is made of; after hours of training it would be too late.

    Raises:
        ConfigError: something that is no tensor, or numbers of a kind that safetensors does not know.
    """
    name = type(network).__name__
    for entry, value in network.state_dict().items():
        if not isinstance(value, Tensor):
            template = "model {name} keeps {entry} as a {kind}; a model folder holds tensors only: keep it elsewhere"
            raise ConfigError(template, path="model", name=name, entry=entry, kind=type(value).__name__)
        if value.is_meta:
            template = "model {name} is on the meta device, where nothing can be learnt; make it with weights"
            raise ConfigError(template, path="model", name=name)
    for dtype in {value.dtype for value in network.state_dict().values()}:
        try:
            save({"x": torch.zeros(1, dtype=dtype)})
        except Exception as error:  # the library has no error of its own for this
            template = "model {name} holds {dtype}, which no model file can hold; use a type of half the width"
            raise ConfigError(template, path="model", name=name, dtype=dtype) from error
