"""What the user gave, made into what the passes take; and what cannot be checked at all refused in one line."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy
import torch
from torch import Tensor, nn

from netwright.core.errors import ConfigError
from netwright.doctor.check.reading import is_source, read, varies
from netwright.metrics.architecture import private_copy

__all__ = ["callable_loss", "held_out", "materialised", "positional", "tensor_of", "to_tensors"]


def to_tensors(value: Any, net: nn.Module) -> Any:
    """Arrays, and lists of numbers, become tensors on the network's device."""
    if isinstance(value, Mapping):
        return {key: to_tensors(item, net) for key, item in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], int | float | bool):
        return to_tensors(torch.tensor(value), net)
    if type(value) in (tuple, list):
        return type(value)(to_tensors(item, net) for item in value)
    return tensor_of(value, next((parameter.device for parameter in net.parameters()), None))


def tensor_of(value: Any, place: torch.device | None) -> Any:
    """An array as a tensor on a device (None: where it is); NumPy's float64 is taken as torch's float32."""
    if isinstance(value, numpy.ndarray) or (hasattr(value, "__array__") and not isinstance(value, Tensor)):
        array = numpy.asarray(value)
        value = torch.as_tensor(array.astype(numpy.float32) if array.dtype == numpy.float64 else array)
    if not isinstance(value, Tensor):
        return value
    return value.detach() if place is None else value.detach().to(place)


def positional(net: nn.Module, inputs: Any) -> tuple[Any, ...]:
    """The arguments of `forward`: a tuple is several, a dict may be one or go by name, a list by number.

    Raises:
        ConfigError: `forward` takes another number of arguments.
    """
    try:
        signature = inspect.signature(net.forward)
    except (TypeError, ValueError):
        return inputs if type(inputs) is tuple else (inputs,)
    given = _laid_out(signature, inputs)
    try:
        signature.bind(*given)
    except TypeError as error:
        raise ConfigError(
            "check calls the network with {count} input(s), and its forward refuses them: {error}; "
            "give inputs=(a, b, …) as forward takes them",
            count=len(given),
            error=error,
        ) from error
    return given


def _laid_out(signature: inspect.Signature, inputs: Any) -> tuple[Any, ...]:
    takes = [p for p in signature.parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needs = sum(p.default is p.empty for p in takes)
    if type(inputs) is tuple:
        return inputs
    if isinstance(inputs, Mapping) and inputs and set(inputs) <= {p.name for p in takes}:
        last = max(at for at, p in enumerate(takes) if p.name in inputs)
        row = [inputs.get(p.name, p.default) for p in takes[: last + 1]]
        return tuple(row) if inspect.Parameter.empty not in row else (inputs,)
    if type(inputs) is list and needs == len(inputs) > 1:
        return tuple(inputs)
    return (inputs,)


def callable_loss(loss: Any, targets: Any) -> Any:
    """The loss as a function of (output, targets); without targets, one that takes the output alone will do.

    Raises:
        ConfigError: it takes something else.
    """
    if loss is None or isinstance(loss, str):
        return loss
    if not callable(loss):
        raise ConfigError("loss={loss} cannot be called; give a function of (output, targets)", loss=loss)
    try:
        signature = inspect.signature(loss.forward if isinstance(loss, nn.Module) else loss)
    except (TypeError, ValueError):  # built-in functions have none
        return loss
    if (error := _refusal(signature, 2)) is None:
        return loss
    if targets is None and _refusal(signature, 1) is None:
        return _alone(loss)
    raise ConfigError(
        "check calls the loss as loss(output, targets), which it refuses: {error}; "
        "wrap it: loss=lambda output, targets: …",
        error=error,
    )


def _refusal(signature: inspect.Signature, count: int) -> TypeError | None:
    try:
        signature.bind(*[None] * count)
    except TypeError as error:
        return error
    return None


def _alone(loss: Callable[..., Any]) -> Callable[..., Any]:
    def of_output(output: Any, _: Any) -> Any:
        return loss(output)

    return of_output


def held_out(validation: Any, net: nn.Module) -> tuple[tuple[Any, Any] | None, bool]:
    """Validation as (inputs, targets) in tensors, several inputs staying a tuple; and whether it varies when reread.

    Raises:
        ConfigError: it is neither a pair nor a loader or dataset.
    """
    if validation is None:
        return None, False
    varied = is_source(validation) and varies(validation)
    pair = read(validation) if is_source(validation) else validation
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise ConfigError("validation is no pair; give validation=(inputs, targets)")
    inputs, targets = (to_tensors(part, net) if part is not None else None for part in pair)
    return (inputs, targets), varied


def materialised(net: nn.Module, given: tuple[Any, ...]) -> nn.Module:
    """The network, or where lazy layers have no weights yet, a copy that has run once.

    Raises:
        ConfigError: its weights are on the meta device, where there are no numbers to check.
    """
    if any(parameter.is_meta for parameter in net.parameters()):
        raise ConfigError("the network's weights are on the meta device and hold no numbers; move it with to_empty()")
    if not any(isinstance(p, nn.parameter.UninitializedParameter) for p in net.parameters()):
        return net
    twin = private_copy(net)
    try:
        with torch.no_grad():
            twin(*given)
    except Exception as error:  # whatever the user's forward may raise
        raise ConfigError(
            "the network has lazy layers and fails on this batch, before they know their sizes: {error}", error=error
        ) from error
    return twin.train(net.training)
