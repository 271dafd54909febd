"""A private copy of somebody's network: same structure, nothing shared that a forward pass could change.

A plain `copy.deepcopy` is nearly right. It fails on tensors that hang in an autograd graph and on attributes that
cannot be copied (locks, loggers), it copies whatever the hooks refer to, and it doubles the memory. Its memo mends
all of this: what should be replaced or shared is put there first.
"""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["private_copy"]

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_PLAIN = (str, int, float, bool, bytes, type(None), torch.dtype, torch.device)


def private_copy(net: nn.Module, change: Callable[[Tensor], Tensor] | None = None) -> nn.Module:
    """A copy of `net` whose forward pass cannot touch `net`: its weights, buffers, attributes, hooks and gradients.

    The user's own hooks are left out, since they may write to the user's objects; torch's (weight norm, pruning) stay.
    Attributes that cannot be copied are shared with the original.

    Args:
        change: makes the copy's tensor from the original's (to the meta device, say); by default a clone.
    """
    memo: dict[int, Any] = {}
    for module in net.modules():
        for hook in _own_hooks(module):
            memo[id(hook)] = hook
        for tensor in _tensors_of(module):
            if id(tensor) not in memo and (change is not None or not tensor.is_leaf):
                memo[id(tensor)] = _replaced(tensor, change or Tensor.clone)
    try:
        twin = copy.deepcopy(net, dict(memo))
    except Exception:  # whatever an attribute's __deepcopy__ or __reduce__ may raise
        _share_uncopyable(net, memo)
        twin = copy.deepcopy(net, memo)
    for module in twin.modules():
        _drop_hooks(module)
    return twin


def _replaced(tensor: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    with torch.no_grad():
        fresh = change(tensor.detach())
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(fresh, requires_grad=tensor.requires_grad)
    return fresh.requires_grad_(tensor.requires_grad) if fresh.is_floating_point() else fresh


def _tensors_of(module: nn.Module) -> Iterator[Tensor]:
    """Parameters, buffers and plain tensor attributes of this module itself, also inside lists and dicts."""
    for value in vars(module).values():
        yield from _tensors_in(value, 3)


def _tensors_in(value: object, levels: int) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif levels and isinstance(value, dict):
        for item in value.values():
            yield from _tensors_in(item, levels - 1)
    elif levels and isinstance(value, list | tuple):
        for item in value:
            yield from _tensors_in(item, levels - 1)


def _share_uncopyable(net: nn.Module, memo: dict[int, Any]) -> None:
    """Find the attributes that defeat `deepcopy` one by one, and have the copy share them."""
    for module in net.modules():
        for name, value in vars(module).items():
            if name.startswith("_forward") or name.startswith("_backward") or isinstance(value, (*_PLAIN, nn.Module)):
                continue
            if name in {"_modules", "_parameters", "_buffers"}:
                continue
            try:
                copy.deepcopy(value, dict(memo))
            except Exception:  # as above
                memo[id(value)] = value


def _own_hooks(module: nn.Module) -> Iterator[object]:
    for name in _HOOKS:
        for hook in (getattr(module, name, None) or {}).values():
            if not _is_torchs(hook):
                yield hook


def _drop_hooks(module: nn.Module) -> None:
    for name in _HOOKS:
        hooks = getattr(module, name, None) or {}
        for key in [key for key, hook in hooks.items() if not _is_torchs(hook)]:
            del hooks[key]


def _is_torchs(hook: object) -> bool:
    home = getattr(hook, "__module__", None) or type(hook).__module__
    return str(home).startswith("torch.")
