"""Chance, made reproducible.

Two kinds of random numbers live here. `generator` seeds a torch generator from a few integers: good for orders and
initialisations. `uniform` and `normal` are counter-based: the number for (seed, epoch, index, stream) is a pure
function of those four, so that an example's augmentation is the same for any batch size, number of workers or resume.
The hash is the finalizer of SplitMix64 (Steele, Lea & Flood, "Fast splittable pseudorandom number generators", 2014).
"""

import contextlib
import math
import random
import warnings
from collections.abc import Iterator
from typing import Any

import numpy
import torch
from torch import Tensor

__all__ = ["generator", "mix", "normal", "rng_state", "seed_everything", "set_rng_state", "undisturbed", "uniform"]

_MASK = (1 << 64) - 1
_GOLDEN, _MUL1, _MUL2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def mix(*parts: int) -> int:
    """One 63-bit number from several integers; a change of any of them changes all of it."""
    state = 0
    for part in parts:
        state = _scramble((state + _GOLDEN + part) & _MASK)
    return state >> 1


def generator(*parts: int) -> torch.Generator:
    """A CPU generator seeded by `mix(*parts)`."""
    return torch.Generator().manual_seed(mix(*parts))


def uniform(seed: int, epoch: int, index: Tensor, stream: int, n: int = 1) -> Tensor:
    """Numbers in [0, 1), a pure function of the arguments.

    Args:
        index: the examples' indices, int64.
        stream: which decision of the example this is; two decisions take two streams.

    Shapes: index (B,) -> (B, n) float32, on the device of `index`.
    """
    key = _signed(mix(seed, epoch, stream))
    lane = torch.arange(n, device=index.device)
    bits = _scramble_tensor(
        _scramble_tensor(index[:, None] * _signed(_GOLDEN) + key) + lane[None, :] * _signed(_GOLDEN)
    )
    return (_shift(bits, 40)).to(torch.float32) * (1.0 / (1 << 24))


def normal(seed: int, epoch: int, index: Tensor, stream: int, n: int = 1) -> Tensor:
    """Standard normal numbers by the Box-Muller transform of `uniform`'s. Shapes: index (B,) -> (B, n) float32."""
    half = (n + 1) // 2
    both = uniform(seed, epoch, index, stream, 2 * half)
    radius = torch.sqrt(-2.0 * torch.log1p(-both[:, :half]))
    angle = (2.0 * math.pi) * both[:, half:]
    return torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)], dim=1)[:, :n]


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and torch's global generators."""
    random.seed(seed)
    numpy.random.seed(seed % (1 << 32))
    torch.manual_seed(seed)


def rng_state() -> dict[str, Any]:
    """The global generators' states, as tensors and JSON scalars only (see `training.checkpoints`)."""
    version, words, gauss = random.getstate()
    drawn = numpy.random.get_state(legacy=False)
    twister = drawn["state"]
    state: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "python": {"version": version, "words": torch.tensor(words, dtype=torch.int64), "gauss": gauss},
        "numpy": {
            "words": torch.from_numpy(twister["key"].astype("int64")), "place": int(twister["pos"]),
            "has_gauss": int(drawn["has_gauss"]), "gauss": float(drawn["gauss"]),
        },
    }  # fmt: skip
    if torch.cuda.is_available():
        state["cuda"] = list(torch.cuda.get_rng_state_all())
    return state


def set_rng_state(state: dict[str, Any]) -> None:
    """Undo of `rng_state`."""
    torch.set_rng_state(state["torch"])
    python = state["python"]
    random.setstate((python["version"], tuple(python["words"].tolist()), python["gauss"]))
    if "numpy" in state:  # runs of before this was kept have none
        kept = state["numpy"]
        words = kept["words"].numpy().astype("uint32")
        numpy.random.set_state(("MT19937", words, kept["place"], kept["has_gauss"], kept["gauss"]))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """All random states and the warnings of the user's process as they were."""
    states = rng_state()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        set_rng_state(states)


def _scramble(x: int) -> int:
    x = ((x ^ (x >> 30)) * _MUL1) & _MASK
    x = ((x ^ (x >> 27)) * _MUL2) & _MASK
    return x ^ (x >> 31)


def _scramble_tensor(x: Tensor) -> Tensor:
    x = (x ^ _shift(x, 30)) * _signed(_MUL1)
    x = (x ^ _shift(x, 27)) * _signed(_MUL2)
    return x ^ _shift(x, 31)


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift: torch's on int64 copies the sign, so the copies are masked away."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _signed(x: int) -> int:
    return x - (1 << 64) if x >= (1 << 63) else x
