"""Changes of a hand-made network's list of layers: the list in, a new list out, None where there is nothing to change.

Only the outermost list is changed, and what stands in `residual`, `dense` and `branches` where one entry is exchanged
for another.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = [
    "wider", "with_activations", "with_nonlinearities", "with_norms", "with_scaled_inputs", "without_dropout",
    "without_last_softmax",
]  # fmt: skip

Layers = list[Any]

_WEIGHTED = ("conv", "depthwise-conv", "linear", "separable-conv", "transposed-conv")
_SQUASHING, _RECTIFYING = ("sigmoid", "tanh"), ("relu", "relu6")
_ACTIVATIONS = (
    "elu", "gelu", "gelu-tanh", "hardswish", "leaky-relu", "mish", "relu", "relu6", "selu", "sigmoid", "silu",
    "softplus", "tanh",
)  # fmt: skip
_FREE = ("dropout", "drop-path", "pool", "norm", "flatten", "identity")
_JOINS = ("residual", "dense", "branches")
_LEAST = 64  # units


def without_last_softmax(layers: Sequence[Any]) -> Layers | None:
    """Without a softmax, log-softmax or sigmoid at the end."""
    if layers and _kind(layers[-1]) in ("softmax", "log-softmax", "sigmoid"):
        return list(layers[:-1])
    return None


def without_dropout(layers: Sequence[Any]) -> Layers | None:
    """Without its dropout."""
    kept = [entry for entry in layers if _kind(entry) not in ("dropout", "drop-path")]
    return kept if len(kept) < len(layers) else None


def with_activations(layers: Sequence[Any], other: str) -> Layers | None:
    """Hidden activations that squash (for `relu`) or rectify (for `leaky-relu`) exchanged for `other`."""
    last = max((at for at, entry in enumerate(layers) if _kind(entry) in _WEIGHTED), default=-1)
    kinds = _RECTIFYING if other == "leaky-relu" else _SQUASHING
    changed = [_exchanged(entry, kinds, other) if at < last else entry for at, entry in enumerate(layers)]
    return changed if changed != list(layers) else None


def with_norms(layers: Sequence[Any]) -> Layers | None:
    """A norm after each hidden layer with weights."""
    if any(_kind(entry) == "norm" for entry in layers):
        return None
    places = [at for at, entry in enumerate(layers) if _kind(entry) in _WEIGHTED][:-1]
    return _with_after(layers, places, lambda _: "norm") if places else None


def with_nonlinearities(layers: Sequence[Any]) -> Layers | None:
    """A ReLU after each layer with weights that the next one follows with nothing between them."""
    places = []
    weighted = [at for at, entry in enumerate(layers) if _kind(entry) in _WEIGHTED]
    for at, following in itertools.pairwise(weighted):
        between = [_kind(entry) for entry in layers[at + 1 : following]]
        if all(kind in _FREE for kind in between):
            places.append(at)
    return _with_after(layers, places, lambda _: "relu") if places else None


def with_scaled_inputs(layers: Sequence[Any]) -> Layers | None:
    """A norm in front, which brings the inputs to unit scale."""
    if not layers or _kind(layers[0]) not in ("flatten", *_WEIGHTED):
        return None
    return ["norm", *layers] if _kind(layers[0]) != "flatten" else [layers[0], "norm", *layers[1:]]


def wider(layers: Sequence[Any]) -> Layers | None:
    """Hidden linear layers of at least 64 units."""
    places = {at for at, entry in enumerate(layers) if _kind(entry) == "linear"}
    places -= {max(places, default=-1)}
    changed = list(layers)
    for at in places:
        units = layers[at].get("linear") if isinstance(layers[at], Mapping) else None
        if isinstance(units, int) and units < _LEAST:
            changed[at] = {**layers[at], "linear": _LEAST}
    return changed if changed != list(layers) else None


def _kind(entry: Any) -> str:
    """The kind of an entry as it is written; the first key where there are several."""
    names = [entry] if isinstance(entry, str) else [str(key) for key in entry] if isinstance(entry, Mapping) else []
    plain = [name.strip().lower().replace("_", "-") for name in names]
    known = (*_WEIGHTED, *_JOINS, *_ACTIVATIONS, *_FREE, "softmax", "log-softmax")
    return next((name for name in plain if name in known), plain[0] if plain else "")


def _exchanged(entry: Any, kinds: tuple[str, ...], other: str) -> Any:
    kind = _kind(entry)
    if kind in kinds:
        return other
    if kind in ("residual", "dense") and isinstance(entry, Mapping):
        return {key: [_exchanged(part, kinds, other) for part in parts] if isinstance(parts, list) else parts
                for key, parts in entry.items()}  # fmt: skip
    if kind == "branches" and isinstance(entry, Mapping):
        return {key: [[_exchanged(part, kinds, other) for part in branch] for branch in branches]
                for key, branches in entry.items()}  # fmt: skip
    return entry


def _with_after(layers: Sequence[Any], places: Sequence[int], new: Callable[[int], Any]) -> Layers:
    changed: Layers = []
    for at, entry in enumerate(layers):
        changed.append(entry)
        if at in places:
            changed.append(new(at))
    return changed
