"""What the weights of a network of ours are called elsewhere: in files of earlier versions, and in those of others.

A file of others is told of in its own names, so that its owner understands. For what it lacks a name beside it is
varied, a word at a time, and the variant stands if the layout reads it as the missing one.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from string import ascii_letters, digits
from typing import Any

import torch
from torch import Tensor, nn

from netwright.models.weights.layout import Layout, Tensors

__all__ = ["current_names", "their_names"]

_GUESSED = 6  # missing names: about as many as a line bears
_NEAR = 3  # names beside a missing one that are varied


def current_names(network: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under the names that the network has for them today, where it once had others."""
    rename: Any = getattr(network, "current_names", dict)
    named: dict[str, Tensor] = rename(tensors)
    return named


def their_names(layout: Layout, file: Tensors, ours: Tensors, missing: Tensors) -> dict[str, str]:
    """Our names -> the file's, as far as they can be had.

    Args:
        file: what the file holds, under its own names. ours: the same, under ours. missing: what the network has and
            the file has not.
    """
    homes = {tensor.data_ptr(): name for name, tensor in file.items() if tensor.numel()}
    known = {name: homes[tensor.data_ptr()] for name, tensor in ours.items() if tensor.data_ptr() in homes}
    # Most layouts read each name by itself; some must see what stands beside it.
    alone = all(_reads(layout, {theirs: file[theirs]}, {name}) for name, theirs in known.items())
    beside, before = ({}, set[str]()) if alone else (file, set(ours))
    guessed = {}
    for name in islice(missing, _GUESSED):
        weight = torch.empty_like(missing[name], device="meta")
        for guess in _guesses(name, known):
            if guess not in file and _reads(layout, {**beside, guess: weight}, {*before, name}):
                guessed[name] = guess
                break
    return known | guessed


def _guesses(name: str, known: Mapping[str, str]) -> Iterator[str]:
    """What the file may call a weight of ours: the names of those nearest to it with one of their words replaced.

    The words are those that occur in any name, the last place is tried first.
    """
    words = dict.fromkeys(word for theirs in known.values() for word in theirs.split("."))
    for near in sorted(known, key=lambda other: _words_shared(other, name), reverse=True)[:_NEAR]:
        parts = known[near].split(".")
        for place in reversed(range(len(parts))):
            number = parts[place].lstrip(f"{ascii_letters}_")  # conv0 beside norm0, where conv1 is known
            fitting = dict.fromkeys([*words, *(word.rstrip(digits) + number for word in words)])
            yield from (".".join([*parts[:place], word, *parts[place + 1 :]]) for word in fitting)


def _words_shared(one: str, two: str) -> int:
    return sum(a == b for a, b in zip(one.split("."), two.split("."), strict=False))


def _reads(layout: Layout, tensors: Tensors, names: set[str]) -> bool:
    """Whether the layout finds just these names of ours in the tensors."""
    try:
        return layout.rename(tensors).keys() == names
    except Exception:  # a layout that stumbles over a guess has said no
        return False
