"""Private copies of functions: a step that reaches the user's network, optimizer or schedule through its closure, its
globals or its object is given copies of them instead.

`memo` maps the id of an original to what stands for it, as in `copy.deepcopy`. What the step appends to or counts up
is copied too, so that nothing of the user's is written to; large constant tensors and data sets are shared.
"""

import contextlib
import copy
import functools
import types
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["paired", "private"]

_SHARED = 1_000_000  # numbers, from which on a tensor that gets no gradient is not copied
_DEPTH = 4  # functions that call functions
_LIBRARIES = ("torch", "numpy", "netwright", "sklearn", "math", "random", "functools", "itertools", "builtins")
_PLAIN = (int, float, complex, str, bytes, bool, type(None), type, types.ModuleType, types.BuiltinFunctionType)


def private(value: Any, memo: dict[int, Any], depth: int = 0) -> Any:
    """What stands for `value` in a fork: the known stand-in, a copy, or `value` itself where it holds no state."""
    if id(value) in memo:
        return memo[id(value)]
    if isinstance(value, _PLAIN) or depth > _DEPTH:
        return value
    made = _made(value, memo, depth)
    memo[id(value)] = made
    memo.setdefault(id(memo), []).append(value)  # kept alive, so that no other object gets its id
    return made


def _made(value: Any, memo: dict[int, Any], depth: int) -> Any:
    if isinstance(value, types.FunctionType):
        return _function(value, memo, depth) if not _of_library(value) else value
    if isinstance(value, types.MethodType):
        return types.MethodType(value.__func__, private(value.__self__, memo, depth + 1))
    if isinstance(value, functools.partial):
        given = [private(item, memo, depth + 1) for item in value.args]
        named = {key: private(item, memo, depth + 1) for key, item in value.keywords.items()}
        return functools.partial(private(value.func, memo, depth + 1), *given, **named)
    if isinstance(value, Tensor):
        big = value.numel() > _SHARED and not value.requires_grad
        return value if big else value.detach().clone().requires_grad_(value.requires_grad)
    return _copied(value, memo, depth)


def _copied(value: Any, memo: dict[int, Any], depth: int) -> Any:
    if isinstance(value, torch.utils.data.DataLoader | torch.utils.data.Dataset | torch.device | torch.dtype):
        return value
    if type(value) in (list, tuple, set, deque):
        return type(value)(private(item, memo, depth + 1) for item in value)
    if type(value) is dict:
        return {key: private(item, memo, depth + 1) for key, item in value.items()}
    if isinstance(value, torch.Generator):
        twin = torch.Generator(value.device)
        twin.set_state(value.get_state())
        return twin
    try:
        return copy.deepcopy(value, memo)
    except Exception:  # files, locks, loggers: whatever the user's step holds
        return value


def _of_library(function: types.FunctionType) -> bool:
    return (function.__module__ or "").partition(".")[0] in _LIBRARIES


def _function(function: types.FunctionType, memo: dict[int, Any], depth: int) -> Callable[..., Any]:
    """The same code with other cells and, where it names something with state, other globals."""
    cells = tuple(_cell(cell, memo, depth) for cell in function.__closure__ or ())
    names = {name for name in _names(function.__code__) if name in function.__globals__}
    stand_ins = {name: private(function.__globals__[name], memo, depth + 1) for name in names}
    changed = {name: made for name, made in stand_ins.items() if made is not function.__globals__[name]}
    if not cells and not changed and not function.__defaults__:
        return function
    space = {**function.__globals__, **changed} if changed else function.__globals__
    twin = types.FunctionType(function.__code__, space, function.__name__, None, cells)
    defaults = function.__defaults__
    twin.__defaults__ = tuple(private(item, memo, depth + 1) for item in defaults) if defaults else None
    twin.__kwdefaults__ = function.__kwdefaults__
    return twin


def _cell(cell: types.CellType, memo: dict[int, Any], depth: int) -> types.CellType:
    """Functions that share a variable go on sharing it."""
    if id(cell) in memo:
        found: types.CellType = memo[id(cell)]
        return found
    twin = memo[id(cell)] = types.CellType()
    with contextlib.suppress(ValueError):  # a variable without a value yet
        twin.cell_contents = private(cell.cell_contents, memo, depth + 1)
    return twin


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _names(inner)


def paired(net: nn.Module, twin: nn.Module) -> dict[int, Any]:
    """Original to copy, for every module, parameter and buffer."""
    memo: dict[int, Any] = {}
    for one, other in zip(net.modules(), twin.modules(), strict=True):
        memo[id(one)] = other
        for mine, theirs in ((one._parameters, other._parameters), (one._buffers, other._buffers)):
            memo |= {id(mine[key]): theirs[key] for key in mine if mine[key] is not None and key in theirs}
    return memo
