"""What flows from layer to layer of a hand-made network: a shape without the batch, and how to read it.

A kind of layer is a function `(signal, its options) -> (module, signal after it)`; when its input does not fit it
raises `LayerMisfitError`, with the signal to go on with, so that one mistake does not hide the next.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from netwright.core.messages import say

__all__ = ["Layer", "LayerMisfitError", "Signal", "Transpose", "as_map", "as_sequence"]


@dataclass(frozen=True)
class Signal:
    """One example's shape and layout.

    layout: "flat" (F,), also the layout of tokens; "map" (C, *S) with one to three spatial sizes; "sequence" (T, D);
    "raw" is an input of rank 2 that the first layer reads as it needs: (C, S) or (T, D).
    """

    shape: tuple[int, ...]
    layout: Literal["flat", "map", "sequence", "raw"]

    @classmethod
    def of_input(cls, shape: tuple[int, ...]) -> "Signal":
        """The signal of a network's input: flat, raw or, from rank 3 on, a map."""
        if len(shape) <= 1:
            return cls(shape, "flat")
        return cls(shape, "raw" if len(shape) == 2 else "map")

    def __str__(self) -> str:
        size = "x".join(map(str, self.shape))
        if self.layout == "flat":
            return say("{size} flat features", size=size)
        if self.layout == "sequence":
            return say("sequence of {size} (time x width)", size=size)
        return say("{size} feature map", size=size)


Layer = tuple[nn.Module, Signal]


class LayerMisfitError(Exception):
    """A layer does not fit its input; `then` is the signal to look at the next layers with (None: no use going on)."""

    def __init__(self, template: str, then: Signal | None = None, **values: object) -> None:
        super().__init__(say(template, **values))
        self.then = then


class Transpose(nn.Module):
    """Swap channels and time.

    Shapes:
        [B, T, D] <-> [B, D, T]
    """

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


def as_map(signal: Signal, layer: str) -> tuple[nn.Sequential, Signal]:
    """Read the signal as a feature map; a sequence is turned so that its width becomes the channels.

    Raises:
        LayerMisfitError: the signal is flat.
    """
    if signal.layout == "flat":
        raise LayerMisfitError(
            "{layer} needs a feature map, got {signal}; put it before flatten, or reshape: [channels, height, width] "
            "before it",
            signal, layer=layer, signal=signal,
        )  # fmt: skip
    if signal.layout == "sequence":
        return nn.Sequential(Transpose()), Signal((signal.shape[1], signal.shape[0]), "map")
    return nn.Sequential(), Signal(signal.shape, "map")


def as_sequence(signal: Signal, layer: str) -> tuple[nn.Sequential, Signal]:
    """Read the signal as a sequence (time, width); a one-dimensional feature map is turned so that its length is time.

    Raises:
        LayerMisfitError: the signal is flat, or a map of two or three dimensions.
    """
    if signal.layout == "flat":
        raise LayerMisfitError(
            "{layer} needs a sequence, got {signal}; put an embedding before it (for tokens), reshape: [time, width], "
            "or returns: all in the recurrent layer before it",
            layer=layer, signal=signal,
        )  # fmt: skip
    if signal.layout == "map" and len(signal.shape) == 2:
        return nn.Sequential(Transpose()), Signal((signal.shape[1], signal.shape[0]), "sequence")
    if len(signal.shape) != 2:
        wanted = "{layer} needs a sequence, got a {signal}; put reshape: [time, width] before it"
        raise LayerMisfitError(wanted, layer=layer, signal=signal)
    return nn.Sequential(), Signal(signal.shape, "sequence")
