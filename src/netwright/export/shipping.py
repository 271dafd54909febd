"""An export from end to end: trace, translate, try, time, and only then write the file and its card."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from netwright.core.errors import ConfigError, NetwrightError, need
from netwright.core.records import write_bytes, write_json
from netwright.export.formats import OPSET, Format, made, runner, suffix_of
from netwright.export.graph import Graph, Port
from netwright.export.proof import Latency, Proof, compared, timed
from netwright.export.specimens import Specimens

__all__ = ["Exported", "free_path", "ship"]

_ROWS, _TIME = 3, 7  # of what is traced; sizes unlike those that it is tried on
_TRIED = ((1, 5), (5, 9), (2, 3))  # rows and places of what it is tried on
_NEEDED: dict[Format, tuple[str, ...]] = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "torch": ()}
_LOADING: dict[Format, str] = {
    "onnx": "onnxruntime.InferenceSession({file!r}).run(None, {{{inputs}}})",
    "torch": "torch.export.load({file!r}).module()({inputs})",
}


@dataclass(frozen=True)
class Exported:
    """A file that was tried and written; `card` is what stands in the JSON file beside it."""

    path: Path
    card_path: Path
    inputs: tuple[Port, ...]
    output: Port
    proof: Proof
    latency: Latency
    card: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {"file": str(self.path), "card_file": str(self.card_path), **self.card}


def free_path(path: Path, format: Format, overwrite: bool) -> Path:
    """Where the file is to go, looked at before the work begins.

    Raises:
        ConfigError: another ending than such files have, or something is there already.
        MissingExtra: the libraries of the format are not installed.
    """
    for library in _NEEDED[format]:
        need(library, "export")
    suffix = suffix_of(format)
    if path.suffix.lower() != suffix:
        template = "{file} does not end with {suffix}, as {format} files do; rename it, or choose another --format"
        raise ConfigError(template, file=path, suffix=suffix, format=format)
    taken = next((file for file in (path, _card_path(path)) if os.path.lexists(file)), None)
    if taken is not None and (taken.is_dir() or not overwrite):
        raise ConfigError("{file} exists already; give another --out, or add --force to write over it", file=taken)
    return path


def ship(graph: Graph, specimens: Specimens, format: Format, path: Path, about: dict[str, Any]) -> Exported:
    """Write the graph as a file, with its card beside it.

    Args:
        about: what the card says of the network and its data.

    Raises:
        ConfigError: the network cannot go into such a file.
        MismatchError: the file does not say what the network says.
        ResourceError: it cannot be written.
    """
    with torch.no_grad():
        made_of = _tried(graph, specimens, format, about)
    content, ports, output, proof, latency, fixed = made_of
    call = ", ".join(f"{port.name!r}: {port.name}" if format == "onnx" else port.name for port in ports)
    card = {
        **about, "format": format, "inputs": [port.to_dict() for port in ports], "output": output.to_dict(),
        "preprocessing": graph.prepared, "time": fixed, "verified": {"on": specimens.part, **proof.to_dict()},
        "latency": latency.to_dict() | {"places": fixed or graph.longest}, "bytes": len(content),
        "torch": torch.__version__, "load": _LOADING[format].format(file=path.name, inputs=call),
    } | ({"opset": OPSET} if format == "onnx" else {})  # fmt: skip
    write_bytes(path, content)
    write_json(_card_path(path), card)
    return Exported(path, _card_path(path), ports, output, proof, latency, card)


def _card_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


_Tried = tuple[bytes, tuple[Port, ...], Port, Proof, Latency, int | None]


def _tried(graph: Graph, specimens: Specimens, format: Format, about: dict[str, Any]) -> _Tried:
    """With a free time where that can be; else with as many places as the network reads."""
    if graph.longest is None or graph.longest <= max(_TIME, *(time for _, time in _TRIED)):
        return _attempt(graph, specimens, format, about, graph.longest)
    try:
        return _attempt(graph, specimens, format, about, None)
    except NetwrightError:
        return _attempt(graph, specimens, format, about, graph.longest)


def _attempt(graph: Graph, specimens: Specimens, format: Format, about: dict[str, Any], time: int | None) -> _Tried:
    """Args: time: the places that every text must have, None for any number."""

    def network(inputs: tuple[Tensor, ...]) -> Tensor:
        out: Tensor = graph.module(*inputs)
        return out

    example = specimens.take(_ROWS, time or _TIME)
    network(example)  # what the preprocessor keeps for a device is made now, not while it is traced
    content = made(graph, example, time is None, format, about)
    file = runner(content, graph, format)
    batches = [specimens.take(rows, time or places) for rows, places in _TRIED]
    proof = compared(network, file, batches)
    ports = tuple(_fixed(port, part, time) for port, part in zip(graph.inputs, example, strict=True))
    output = _output(graph.output, network, example, batches[0])
    return content, ports, output, proof, timed(network, file, specimens.take(1, time or graph.longest or 0)), time


def _fixed(port: Port, example: Tensor, time: int | None) -> Port:
    if time is None:
        return port
    sizes = (port.shape[0], *example.shape[1:])
    return Port(port.name, port.dtype, sizes)


def _output(name: str, network: Any, one: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> Port:
    """What comes out, with names for the sizes that the two batches do not share."""
    first, second = network(one), network(other)
    sizes = ["batch" if not place else "time" for place in range(first.dim())]
    shape = tuple(
        size if place and size == second.shape[place] else sizes[place] for place, size in enumerate(first.shape)
    )
    return Port(name, str(first.dtype).removeprefix("torch."), shape)
