"""Making a file of a graph, and running what was made: as bytes, before anything is written.

ONNX: open format of graphs, read by onnxruntime and others. PyTorch: the program that `torch.export` makes, a .pt2.
"""

import contextlib
import inspect
import io
import json
import logging
import re
import warnings
from collections.abc import Callable, Container, Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from netwright.core.errors import ConfigError, NetwrightError, because, need, ran_out_of_memory
from netwright.core.messages import say
from netwright.export.graph import Graph, Port

__all__ = ["CARD", "OPSET", "Format", "Run", "made", "runner", "suffix_of"]

Format = Literal["onnx", "torch"]
Run = Callable[[tuple[Tensor, ...]], Tensor]

OPSET = 18  # what torch translates to without a conversion, and what runtimes have read since 2023
CARD = "netwright.json"  # the description within the file, under this name
_SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "torch": ".pt2"}


def suffix_of(format: Format) -> str:
    """What the names of such files end with."""
    return _SUFFIXES[format]


def made(graph: Graph, inputs: tuple[Tensor, ...], free_time: bool, format: Format, about: dict[str, Any]) -> bytes:
    """The file for batches of any size, with `about` in it.

    Args:
        inputs: what the graph is traced with.
        free_time: texts may have any number of places; else as many as `inputs` have.

    Raises:
        ConfigError: the network does something that cannot be traced, or that the format lacks.
        MissingExtra: the libraries for the format are not installed.
    """
    text = json.dumps(about, ensure_ascii=False)
    with _quiet(), _plain(format), torch.no_grad():
        if format == "onnx":
            return _described(_onnx(graph, inputs, free_time), graph, text)
        buffer = io.BytesIO()
        torch.export.save(_program(graph, inputs, free_time), buffer, extra_files={CARD: text})
        return buffer.getvalue()


def runner(content: bytes, graph: Graph, format: Format) -> Run:
    """The file at work, on the CPU, with as many threads as PyTorch has."""
    if format == "onnx":
        return _onnx_runner(content, graph)
    with _quiet():
        module = torch.export.load(io.BytesIO(content)).module()
    return lambda inputs: module(*inputs)


def _program(graph: Graph, inputs: tuple[Tensor, ...], free_time: bool) -> ExportedProgram:
    dims = {"batch": Dim("batch", min=1)}
    if free_time:
        dims |= {name: Dim(name, min=1, max=graph.longest) for name in ("time", "source_time")}
    shapes: Any = tuple({place: dims[size] for place, size in _free(port, dims)} for port in graph.inputs)
    takes = inspect.signature(graph.module.forward).parameters.values()
    spread = any(one.kind is one.VAR_POSITIONAL for one in takes)
    with _loops_over_time() if _recurs(graph) else contextlib.nullcontext():
        return torch.export.export(graph.module, inputs, dynamic_shapes=(shapes,) if spread else shapes, strict=False)


def _loops_over_time() -> contextlib.ExitStack:
    """LSTMs and GRUs are traced as a loop where this torch can do so, and not place by place.

    What it kept of earlier loops is forgotten: after a few of other sizes it would refuse to trace one more.
    """
    torch.compiler.reset()
    stack = contextlib.ExitStack()
    with contextlib.suppress(ImportError):
        from torch.export import _patches

        stack.enter_context(_patches.register_lstm_while_loop_decomposition())
        stack.enter_context(_patches.register_gru_while_loop_decomposition())
    return stack


def _recurs(graph: Graph) -> bool:
    return any(isinstance(part, nn.RNNBase) for part in graph.module.modules())


def _onnx(graph: Graph, inputs: tuple[Tensor, ...], free_time: bool) -> Any:
    """ONNX has layers that recur, which torch's older way to it knows and the newer one unrolls place by place."""
    onnx = need("onnx", "export")
    names: dict[str, Any] = {
        "input_names": [port.name for port in graph.inputs], "output_names": [graph.output], "opset_version": OPSET,
    }  # fmt: skip
    if not _recurs(graph):
        program = torch.onnx.export(_program(graph, inputs, free_time), **names, dynamo=True, verbose=False)
        assert program is not None
        return program.model_proto
    dims = {"batch", *(("time", "source_time") if free_time else ())}
    axes: dict[str, dict[int, str]] = {port.name: dict(_free(port, dims)) for port in graph.inputs}
    buffer = io.BytesIO()
    axes[graph.output] = {0: "batch"}
    torch.onnx.export(graph.module, inputs, buffer, **names, dynamo=False, dynamic_axes=axes)  # type: ignore[arg-type]
    return onnx.load_from_string(buffer.getvalue())


def _free(port: Port, names: Container[str]) -> Iterator[tuple[int, str]]:
    """Places and names of the sizes that are free."""
    yield from ((place, size) for place, size in enumerate(port.shape) if isinstance(size, str) and size in names)


def _described(proto: Any, graph: Graph, text: str) -> bytes:
    _name_sizes(proto, graph)
    entry = proto.metadata_props.add()
    entry.key, entry.value = CARD, text
    proto.producer_name = "netwright"
    try:
        content: bytes = proto.SerializeToString()
    except Exception as error:  # of protobuf, which has a class of its own for it in each version
        template = "{name} is too large for one ONNX file (2 GB); use --format torch"
        raise ConfigError(template, name=type(graph.module).__name__) from error
    return content


def _name_sizes(proto: Any, graph: Graph) -> None:
    """Give the free sizes their names, in place of those that tracing made up."""
    known: dict[str, str] = {}
    for value, port in zip(proto.graph.input, graph.inputs, strict=True):
        for size, name in zip(value.type.tensor_type.shape.dim, port.shape, strict=True):
            if size.dim_param and isinstance(name, str):
                known[size.dim_param] = name
    for value in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info):
        for size in value.type.tensor_type.shape.dim:
            if size.dim_param in known:
                size.dim_param = known[size.dim_param]


def _onnx_runner(content: bytes, graph: Graph) -> Run:
    runtime = need("onnxruntime", "export")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [port.name for port in graph.inputs]

    def run(inputs: tuple[Tensor, ...]) -> Tensor:
        fed = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
        return torch.from_numpy(session.run(None, fed)[0])

    return run


@contextlib.contextmanager
def _plain(format: Format) -> Iterator[None]:
    """Turn what the libraries say of a network that they cannot take into one line."""
    try:
        yield
    except NetwrightError:
        raise
    except Exception as error:
        if ran_out_of_memory(error):
            raise
        template = "this network cannot be exported to {format} ({reason}); {do}"
        do = say("use --format torch") if format == "onnx" else say("predict and serve work without an export")
        raise ConfigError(template, format=format, reason=_cause(error), do=do) from error


def _cause(error: BaseException) -> str:
    """The first line of what began it, without colours."""
    while error.__cause__ is not None:
        error = error.__cause__
    return re.sub(r"\x1b\[\d*m", "", because(error)) or type(error).__name__


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the libraries' own talk."""
    logs = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "torch._export", "onnxscript")]
    levels = [log.level for log in logs]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for log in logs:
            log.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for log, level in zip(logs, levels, strict=True):
                log.setLevel(level)
