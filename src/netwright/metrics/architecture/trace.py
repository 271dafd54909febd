"""From any `nn.Module` to an `Architecture`, on the meta device: shapes without values, so no memory and no
arithmetic.

A network whose forward needs values (`.item()`, numpy, a fixed device) cannot run that way; a private copy then runs
for real, without gradients, and the result says so. The network itself, its buffers, its mode and the random state
stay as they were.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from netwright.core.architecture import Architecture, LayerRow
from netwright.core.errors import ConfigError
from netwright.core.messages import say
from netwright.core.seeds import rng_state, set_rng_state
from netwright.metrics.architecture.field import depths, fields, widest
from netwright.metrics.architecture.ghost import private_copy
from netwright.metrics.architecture.meter import Meter
from netwright.metrics.architecture.node import Call, Shape, main_tensor, tensors_in
from netwright.metrics.architecture.record import Recorder
from netwright.metrics.architecture.stages import find_stages

__all__ = ["trace"]


def trace(
    net: nn.Module, *inputs: Any, input_shape: tuple[Any, ...] | None = None, dtype: torch.dtype | None = None
) -> Architecture:
    """Measure `net` on one example.

    Args:
        inputs: a batch as `net` takes it; figures are divided by its size.
        input_shape: instead of `inputs`: the shape of one example, without the batch; a tuple of shapes for several
            inputs.
        dtype: of the input for `input_shape`; by default the weights' type, and int64 where that does not run.

    Raises:
        ConfigError: the network cannot run on such an input.
    """
    if (input_shape is None) == (not inputs):
        raise ConfigError("explain needs either example inputs or input_shape=(3, 224, 224)")
    examples = [inputs] if input_shape is None else list(_examples(net, input_shape, dtype))
    first_error: Exception | None = None
    for attempt in (_on_meta, _for_real):
        for batch in examples:
            try:
                seen, meter, output = _run(net, batch, attempt)
            except Exception as error:  # anything the user's forward may raise
                first_error = first_error or error
                continue
            remark = "" if attempt is _on_meta else _remark(first_error)
            return _architecture(net, input_shape, batch, seen, meter, output, remark)
    shapes = " + ".join(str(tuple(t.shape)) for t in tensors_in(examples[0]))
    raise ConfigError(
        "{net} cannot run on input {shapes} ({error}); give the shape of an input it takes",
        net=_title(net),
        shapes=shapes,
        error=_line(first_error),
    )


Prepared = tuple[nn.Module, tuple[Any, ...], contextlib.AbstractContextManager[Any]]


def _on_meta(net: nn.Module, batch: tuple[Any, ...]) -> Prepared:
    twin = private_copy(net, lambda tensor: torch.empty_like(tensor, device="meta"))
    return twin, _map(batch, lambda tensor: torch.empty_like(tensor, device="meta")), torch.device("meta")


def _for_real(net: nn.Module, batch: tuple[Any, ...]) -> Prepared:
    device = next((parameter.device for parameter in net.parameters()), torch.device("cpu"))
    return private_copy(net), _map(batch, lambda tensor: tensor.detach().to(device).clone()), contextlib.nullcontext()


def _run(net: nn.Module, batch: tuple[Any, ...], prepare: Callable[..., Prepared]) -> tuple[Recorder, Meter, Any]:
    with _calm():
        twin, given, place = prepare(net, batch)
        twin.eval()
        recorder = Recorder(twin, given)
        meter = Meter(recorder)
        with torch.no_grad(), place, recorder, meter:
            output = twin(*given)
        recorder.finish(output)
    return recorder, meter, output


@contextlib.contextmanager
def _calm() -> Iterator[None]:
    """Random state restored; fused kernels that would hide their matrix products from the meter switched off."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    fast, onednn, random = torch.backends.mha.get_fastpath_enabled(), torch._C._get_mkldnn_enabled(), rng_state()
    torch.backends.mha.set_fastpath_enabled(False)
    torch._C._set_mkldnn_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        torch._C._set_mkldnn_enabled(onednn)
        set_rng_state(random)


def _examples(net: nn.Module, shape: tuple[Any, ...], dtype: torch.dtype | None) -> Iterator[tuple[Tensor, ...]]:
    shapes = shape if shape and isinstance(shape[0], tuple | list) else (shape,)
    weights = next((p.dtype for p in net.parameters() if p.is_floating_point()), torch.get_default_dtype())
    kinds = [dtype] if dtype is not None else [weights, torch.int64]
    if dtype is None and isinstance(_first_leaf(net), nn.Embedding):
        kinds.reverse()
    for kind in kinds:
        yield tuple(torch.zeros((1, *part), dtype=kind) for part in shapes)


def _first_leaf(net: nn.Module) -> nn.Module | None:
    return next((module for module in net.modules() if next(module.children(), None) is None), None)


def _architecture(
    net: nn.Module, input_shape: Any, batch: tuple[Any, ...], seen: Recorder, meter: Meter, output: Any, remark: str
) -> Architecture:
    made = main_tensor(output)
    size = _batch_size(batch, made)
    reach, deep = fields(seen.nodes), depths(seen.nodes)
    shapes = tuple(_one(tuple(tensor.shape), size) for tensor in tensors_in(batch))
    rows, flops, made_bytes = _rows(net, seen, reach, size), meter.flops // size, meter.bytes // size
    return Architecture(
        name=type(net).__name__,
        input_shape=shapes[0] if len(shapes) == 1 else shapes,
        output_shape=_one(tuple(made.shape), size) if made is not None else (),
        layers=rows,
        parameters=sum(parameter.numel() for parameter in net.parameters()),
        trainable_parameters=sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad),
        flops=flops,
        activation_bytes=made_bytes,
        receptive_field=widest(seen.nodes, reach),
        weighted_depth=max(deep.values(), default=0),
        method="real" if remark else "meta",
        remark=remark,
        stages=find_stages(net, rows, seen, (flops, made_bytes)),
    )


def _rows(net: nn.Module, seen: Recorder, reach: Any, size: int) -> list[LayerRow]:
    by_path: dict[str, list[Call]] = {}
    for call in seen.calls:
        by_path.setdefault(call.path, []).append(call)
    counted: dict[str, int] = _owned(net, list(by_path))
    rows = []
    for path, calls in by_path.items():
        first = calls[0]
        field = next((reach[node] for node in first.outputs if node in reach and reach[node].seen), None)
        rows.append(
            LayerRow(
                path=path,
                type=type(first.module).__name__,
                input_shape=_one(first.input_shapes[0], size) if first.input_shapes else (),
                output_shape=_one(first.output_shapes[0], size) if first.output_shapes else (),
                parameters=counted[path],
                flops=sum(call.flops for call in calls) // size,
                activation_bytes=sum(call.bytes for call in calls) // size,
                receptive_field=int(max(field.reach)) if field else None,
                depth=first.depth,
                calls=len(calls),
            )
        )
    return rows


def _owned(net: nn.Module, paths: list[str]) -> dict[str, int]:
    """Parameters inside each module; one that two modules share belongs to the module that ran first."""
    owner: dict[int, str] = {}
    counts = dict.fromkeys(paths, 0)
    modules = dict(net.named_modules())
    for path in paths:
        for parameter in modules[path].parameters(recurse=False):
            owner.setdefault(id(parameter), path)
    for path in paths:
        for parameter in {id(p): p for p in modules[path].parameters()}.values():
            home = owner.get(id(parameter), path)
            inside = path == home or not path or home.startswith(path + ".")
            counts[path] += parameter.numel() if inside or home not in counts else 0
    return counts


def _batch_size(batch: tuple[Any, ...], output: Tensor | None) -> int:
    first = next(tensors_in(batch), None)
    if first is None or not first.dim() or output is None or not output.dim() or output.shape[0] != first.shape[0]:
        return 1
    return max(1, int(first.shape[0]))


def _one(shape: Shape, size: int) -> Shape:
    return shape[1:] if shape and shape[0] == size else shape


def _map(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: _map(item, change) for key, item in value.items()}
    return type(value)(_map(item, change) for item in value) if type(value) in (tuple, list) else value


def _remark(error: Exception | None) -> str:
    return say(
        "Measured on a real run of a copy, since the network does not run on shapes alone ({error}).",
        error=_line(error),
    )


def _line(error: Exception | None) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _title(net: nn.Module) -> str:
    return type(net).__name__
