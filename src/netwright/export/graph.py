"""What goes into an exported file: the network, what prepares its input, and names for all that goes in and out.

Letters: B batch, T time, S source's time, Z noise.
"""

import inspect
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from netwright.core.errors import ConfigError
from netwright.data.preprocess import Preprocessor
from netwright.data.schema import Schema
from netwright.tasks import Task

__all__ = ["Graph", "Port", "graph_of"]

_NAMES = {"array": "input", "environment": "observation", "image": "image", "series": "window", "table": "row"}


@dataclass(frozen=True)
class Port:
    """An input or output of the file; sizes that are free have a name in place of a number."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {"name": self.name, "dtype": self.dtype, "shape": list(self.shape)}

    def __str__(self) -> str:
        return f"{self.name} {self.dtype} [{', '.join(map(str, self.shape))}]"


@dataclass(frozen=True)
class Graph:
    """A module whose arguments are `inputs`, by place; its one output is called `output`.

    `longest` is the most places of a text that it takes, None where no input has a free time.
    """

    module: nn.Module
    inputs: tuple[Port, ...]
    output: str
    prepared: bool
    longest: int | None = None


class _Whole(nn.Module):
    """Raw examples to the task's numbers: what lies around the network is part of it."""

    def __init__(self, network: nn.Module, task: Task, preprocess: Preprocessor | None) -> None:
        super().__init__()
        self.network, self._task, self._preprocess = network, task, preprocess

    def forward(self, raw: Tensor) -> Tensor:
        ready = raw.float() if self._preprocess is None else self._preprocess.inputs(raw)
        return self._task.exported(self._task.predict(self.network, ready))


class _Reader(nn.Module):
    """Tokens, and what goes with them, to the task's numbers."""

    def __init__(self, network: nn.Module, task: Task) -> None:
        super().__init__()
        self.network, self._task = network, task

    def forward(self, *tokens: Tensor) -> Tensor:
        return self._task.exported(self.network(*tokens))


class _Maker(nn.Module):
    """Noise to pictures in [0, 1]."""

    def __init__(self, generator: nn.Module, preprocess: Preprocessor) -> None:
        super().__init__()
        self.generator, self._preprocess = generator, preprocess

    def forward(self, noise_BZ: Tensor) -> Tensor:
        made: Tensor = self.generator(noise_BZ)
        dark, light = (self._preprocess.normalise(made.new_full((1, made.shape[1], 1, 1), end)) for end in (0.0, 1.0))
        return ((made - dark) / (light - dark)).clamp(0, 1)


def graph_of(network: nn.Module, task: Task, schema: Schema, preprocess: Preprocessor | None, bare: bool) -> Graph:
    """The graph of a trained network.

    Args:
        bare: the network alone; its inputs are then what the preprocessor gives, its outputs what the network says.

    Raises:
        ConfigError: data of a kind that no file takes, or nothing says how many places of a text the network reads.
    """
    generator, noise = getattr(network, "generator", None), getattr(network, "noise_size", None)
    if isinstance(generator, nn.Module) and noise is not None:
        return _of_noise(generator, int(noise), preprocess, bare)
    if schema.kind == "text":
        return _of_tokens(network, task, schema, bare)
    if schema.kind not in _NAMES:
        raise ConfigError("models of data of kind {kind} cannot be exported; use predict", kind=schema.kind)
    shape = (len(schema.features),) if schema.kind == "table" and not bare else schema.input_shape
    module = network if bare else _Whole(network, task, preprocess)
    port = Port(_NAMES[schema.kind], _dtype(schema, bare), ("batch", *shape))
    return Graph(module.eval(), (port,), "output" if bare else task.output_name, not bare)


def _dtype(schema: Schema, bare: bool) -> str:
    """As `Preprocessor.raw` gives an example, or as `inputs` does."""
    if schema.kind == "series" and not bare:
        return "float64"
    if schema.kind == "image" and schema.input_dtype == "uint8" and not bare:
        return "uint8"
    whole = schema.kind == "array" and not schema.input_dtype.startswith("float")
    return "int64" if whole else "float32"


def _of_noise(generator: nn.Module, size: int, preprocess: Preprocessor | None, bare: bool) -> Graph:
    module = generator if bare or preprocess is None else _Maker(generator, preprocess)
    return Graph(module.eval(), (Port("noise", "float32", ("batch", size)),), "image", not bare)


def _of_tokens(network: nn.Module, task: Task, schema: Schema, bare: bool) -> Graph:
    """As many inputs as the network's `forward` takes, of those that its data have."""
    known = list(inspect.signature(network.forward).parameters)
    tokens = Port("tokens", "int64", ("batch", "time"))
    inputs: tuple[Port, ...] = (tokens,)
    if schema.target.kind == "text":
        source = ("batch", "source_time")
        inputs = (
            Port("source", "int64", source), Port("target", "int64", ("batch", "time")),
            Port("source_mask", "bool", source),
        )  # fmt: skip
    elif len(known) > 1 and "mask" in known[1]:
        inputs = (tokens, Port("mask", "bool", tokens.shape))
        if schema.target.kind == "span":
            inputs = (*inputs, Port("segments", "int64", tokens.shape))
    longest = getattr(network, "context", None) or (schema.tokens.max_length if schema.tokens is not None else None)
    if longest is None:
        raise ConfigError("nothing says how many tokens this network reads; train it on texts with data.tokens")
    module = network if bare else _Reader(network, task)
    return Graph(module.eval(), inputs, "logits" if bare else task.output_name, not bare, int(longest))
