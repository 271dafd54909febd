"""Kinds of layers that work on feature maps: convolutions and pooling, in one to three dimensions by the input's rank.

Convolution: LeCun et al., 1989. Depthwise-separable: Howard et al., 2017. Every size after a layer is
floor((n + 2 padding - dilation (kernel - 1) - 1) / stride) + 1, and transposed convolution inverts it.
"""

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from netwright.blocks import separable
from netwright.blocks.patches import PatchEmbedding
from netwright.blocks.squeeze_excite import SqueezeExcite
from netwright.core.messages import say
from netwright.core.schemas import Count, Size
from netwright.models.layers.signal import Layer, LayerMisfitError, Signal, as_map, as_sequence

__all__ = [
    "MeanOverTime", "adaptive_pool", "conv", "depthwise_conv", "global_pool", "patches", "pool", "separable_conv",
    "squeeze_excite", "transposed_conv", "upsample",
]  # fmt: skip

Sizes = Size | list[Size]
Padding = Count | list[Count] | Literal["same"]
Window = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...] | str, tuple[int, ...]]

_CONV: dict[int, Callable[..., nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED: dict[int, Callable[..., nn.Module]] = {
    1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d,
}  # fmt: skip
_POOLS: dict[tuple[str, int], type[nn.Module]] = {
    ("max", 1): nn.MaxPool1d, ("max", 2): nn.MaxPool2d, ("max", 3): nn.MaxPool3d,
    ("avg", 1): nn.AvgPool1d, ("avg", 2): nn.AvgPool2d, ("avg", 3): nn.AvgPool3d,
}  # fmt: skip
_ADAPTIVE: dict[tuple[str, int], type[nn.Module]] = {
    ("max", 1): nn.AdaptiveMaxPool1d, ("max", 2): nn.AdaptiveMaxPool2d, ("max", 3): nn.AdaptiveMaxPool3d,
    ("avg", 1): nn.AdaptiveAvgPool1d, ("avg", 2): nn.AdaptiveAvgPool2d, ("avg", 3): nn.AdaptiveAvgPool3d,
}  # fmt: skip


def conv(
    signal: Signal, conv: Size, kernel: Sizes = 3, stride: Sizes = 1, padding: Padding = 0, dilation: Sizes = 1,
    groups: Size = 1, bias: bool = True,
) -> Layer:  # fmt: skip
    """Convolution to `conv` channels; padding "same" keeps the size at stride 1.

    Shapes:
        [B, C, *S] -> [B, conv, *S']
    """
    before, signal = as_map(signal, "conv")
    channels, dims = signal.shape[0], len(signal.shape) - 1
    _check_groups(groups, channels, conv, Signal((conv, *signal.shape[1:]), "map"))
    window, after = _window(signal, conv, kernel, stride, padding, dilation)
    return _in_row(before, _CONV[dims](channels, conv, *window, groups, bias)), after


def depthwise_conv(
    signal: Signal, depthwise_conv: Size = 3, stride: Sizes = 1, padding: Padding = "same", dilation: Sizes = 1,
    multiplier: Size = 1, bias: bool = True,
) -> Layer:  # fmt: skip
    """Every channel convolved by itself with a kernel of `depthwise_conv`, to `multiplier` channels each."""
    _, wide = as_map(signal, "depthwise-conv")
    channels = wide.shape[0]
    return conv(signal, channels * multiplier, depthwise_conv, stride, padding, dilation, channels, bias)


def separable_conv(
    signal: Signal, separable_conv: Size, kernel: Sizes = 3, stride: Sizes = 1, padding: Padding = "same",
    bias: bool = True,
) -> Layer:  # fmt: skip
    """A depthwise convolution, then a 1x1 convolution to `separable_conv` channels."""
    before, signal = as_map(signal, "separable-conv")
    (kernels, strides, paddings, _), after = _window(signal, separable_conv, kernel, stride, padding, 1)
    layer = separable.separable_conv(signal.shape[0], separable_conv, kernels, strides, paddings, bias)
    return _in_row(before, layer), after


def transposed_conv(
    signal: Signal, transposed_conv: Size, kernel: Sizes = 2, stride: Sizes = 2, padding: Count = 0,
    output_padding: Count = 0, bias: bool = True,
) -> Layer:  # fmt: skip
    """Transposed convolution to `transposed_conv` channels: kernel 2 and stride 2 double the size."""
    before, signal = as_map(signal, "transposed-conv")
    channels, space = signal.shape[0], signal.shape[1:]
    kept = Signal((transposed_conv, *space), "map")
    kernels, strides = (_each(sizes, len(space), kept) for sizes in (kernel, stride))
    if output_padding >= max(strides):
        wanted = "output_padding={got} must be less than stride={stride}; use at most {most}"
        most = max(strides) - 1
        raise LayerMisfitError(wanted, kept, got=output_padding, stride=max(strides), most=most)
    after = tuple(
        (n - 1) * s - 2 * padding + k + output_padding for n, k, s in zip(space, kernels, strides, strict=True)
    )
    if min(after) < 1:
        raise LayerMisfitError(
            "padding={padding} leaves nothing of the {signal}; use less padding", kept, padding=padding, signal=signal
        )
    layer = _TRANSPOSED[len(space)](channels, transposed_conv, kernels, strides, padding, output_padding, 1, bias)
    return _in_row(before, layer), Signal((transposed_conv, *after), "map")


def pool(
    signal: Signal, pool: Literal["max", "avg"] = "max", kernel: Sizes = 2, stride: Sizes | None = None,
    padding: Count = 0,
) -> Layer:  # fmt: skip
    """Maximum or average over windows; the stride is the kernel unless given."""
    before, signal = as_map(signal, "pool")
    channels, space = signal.shape[0], signal.shape[1:]
    kept = Signal(signal.shape, "map")
    kernels = _each(kernel, len(space), kept)
    strides = kernels if stride is None else _each(stride, len(space), kept)
    if padding > min(kernels) // 2:
        raise LayerMisfitError(
            "padding={padding} is more than half of kernel={kernel}; use at most {most}",
            kept, padding=padding, kernel=min(kernels), most=min(kernels) // 2,
        )  # fmt: skip
    after = _sizes_after(space, kernels, strides, (padding,) * len(space), kernels, kept)
    layer = _POOLS[pool, len(space)](kernels, strides, padding)
    return _in_row(before, layer), Signal((channels, *after), "map")


def adaptive_pool(signal: Signal, adaptive_pool: Sizes, kind: Literal["max", "avg"] = "avg") -> Layer:
    """Pool to a map of exactly `adaptive_pool` (one number, or one a dimension)."""
    before, signal = as_map(signal, "adaptive-pool")
    sizes = _each(adaptive_pool, len(signal.shape) - 1, signal)
    return _in_row(before, _ADAPTIVE[kind, len(sizes)](sizes)), Signal((signal.shape[0], *sizes), "map")


def global_pool(signal: Signal, global_pool: Literal["max", "avg"] = "avg") -> Layer:
    """One number a channel: the mean or maximum over the whole map, or over the time of a sequence.

    Shapes:
        [B, C, *S] -> [B, C] or [B, T, D] -> [B, D]
    """
    if signal.layout == "sequence" and global_pool == "avg":
        _, sequence = as_sequence(signal, "global-pool")
        return MeanOverTime(), Signal((sequence.shape[1],), "flat")
    before, signal = as_map(signal, "global-pool")
    layer = _ADAPTIVE[global_pool, len(signal.shape) - 1](1)
    return _in_row(before, nn.Sequential(layer, nn.Flatten())), Signal((signal.shape[0],), "flat")


def upsample(signal: Signal, upsample: Size = 2, mode: Literal["nearest", "linear"] = "nearest") -> Layer:
    """Make the map `upsample` times larger in every dimension."""
    before, signal = as_map(signal, "upsample")
    space = signal.shape[1:]
    modes = {1: "linear", 2: "bilinear", 3: "trilinear"}
    layer = nn.Upsample(scale_factor=upsample, mode="nearest" if mode == "nearest" else modes[len(space)])
    return _in_row(before, layer), Signal((signal.shape[0], *(n * upsample for n in space)), "map")


def squeeze_excite(signal: Signal, squeeze_excite: Size = 16) -> Layer:
    """Scale every channel by a gate that has seen the whole map, with 1 / `squeeze_excite` of the channels between.

    Hu, Shen and Sun, 2018.
    """
    before, signal = as_map(signal, "squeeze-excite")
    channels = signal.shape[0]
    return _in_row(before, SqueezeExcite(channels, max(1, channels // squeeze_excite))), Signal(signal.shape, "map")


def patches(signal: Signal, patches: Size = 4, width: Size = 64) -> Layer:
    """The map cut into squares of `patches` cells a side, each a vector of `width` numbers: a sequence for attention.

    Dosovitskiy et al., 2021. Cells that fill no square are not seen; positions are not told.

    Shapes:
        [B, C, H, W] -> [B, (H // patches) (W // patches), width]
    """
    if signal.layout != "map" or len(signal.shape) != 3:
        template = "patches need a map of height and width, got {signal}; put patches first"
        raise LayerMisfitError(template, Signal((1, width), "sequence"), signal=signal)
    rows, columns = (n // patches for n in signal.shape[1:])
    after = Signal((max(1, rows * columns), width), "sequence")
    if not rows * columns:
        template = "patches={patches} is larger than the {signal}; use at most {most}"
        raise LayerMisfitError(template, after, patches=patches, signal=signal, most=min(signal.shape[1:]))
    return nn.Sequential(PatchEmbedding(signal.shape[0], width, patches), nn.Flatten(1, 2)), after


class MeanOverTime(nn.Module):
    """The mean of a sequence.

    Shapes:
        [B, T, D] -> [B, D]
    """

    def forward(self, x_BTD: Tensor) -> Tensor:
        return x_BTD.mean(dim=1)


def _in_row(before: nn.Sequential, layer: nn.Module) -> nn.Module:
    return before.append(layer) if len(before) else layer


def _each(sizes: int | list[int], dims: int, then: Signal) -> tuple[int, ...]:
    """One number a dimension."""
    if isinstance(sizes, int):
        return (sizes,) * dims
    if len(sizes) != dims:
        raise LayerMisfitError(
            "{got} sizes do not fit a feature map of {dims} dimensions; give one number, or {dims}",
            then, got=len(sizes), dims=dims,
        )  # fmt: skip
    return tuple(sizes)


def _window(
    signal: Signal, channels: int, kernel: Sizes, stride: Sizes, padding: Padding, dilation: Sizes
) -> tuple[Window, Signal]:
    """A convolution's kernel, stride, padding and dilation, a number a dimension, and the map that it makes."""
    space = signal.shape[1:]
    after = Signal((channels, *space), "map")
    kernels, strides, dilations = (_each(sizes, len(space), after) for sizes in (kernel, stride, dilation))
    spans = tuple(d * (k - 1) + 1 for k, d in zip(kernels, dilations, strict=True))
    if padding == "same" and set(strides) == {1}:  # torch pads an even kernel unevenly by itself
        return (kernels, strides, "same", dilations), after
    paddings = tuple((span - 1) // 2 for span in spans) if padding == "same" else _each(padding, len(space), after)
    space = _sizes_after(space, spans, strides, paddings, kernels, after)
    return (kernels, strides, paddings, dilations), Signal((channels, *space), "map")


def _check_groups(groups: int, channels: int, out_channels: int, then: Signal) -> None:
    if channels % groups or out_channels % groups:
        raise LayerMisfitError(
            "groups={groups} does not divide both the {channels} channels that come in and the {out} that go out",
            then, groups=groups, channels=channels, out=out_channels,
        )  # fmt: skip


def _sizes_after(
    space: tuple[int, ...], spans: tuple[int, ...], strides: tuple[int, ...], paddings: tuple[int, ...],
    kernels: tuple[int, ...], then: Signal,
) -> tuple[int, ...]:  # fmt: skip
    """The spatial sizes after a window of `spans` has moved over them."""
    padded = tuple(n + 2 * p for n, p in zip(space, paddings, strict=True))
    if all(span <= n for span, n in zip(spans, padded, strict=True)):
        return tuple((n - span) // s + 1 for n, span, s in zip(padded, spans, strides, strict=True))
    window = _text(kernels)
    if spans != kernels:
        window = say("{kernel} (dilated to {span})", kernel=window, span=_text(spans))
    template = "kernel={kernel} is larger than the {size} feature map; use a kernel of at most {most} or padding"
    if min(padded) == 1:
        template = (
            "kernel={kernel} does not fit the {size} feature map that is left; take out a layer before it that shrinks "
            "the map, or use a larger input"
        )
    raise LayerMisfitError(template, then, kernel=window, size="x".join(map(str, padded)), most=min(padded))


def _text(sizes: tuple[int, ...]) -> str:
    return str(sizes[0]) if len(set(sizes)) == 1 else "x".join(map(str, sizes))
