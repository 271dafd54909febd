"""The inverted residual: wide inside, narrow and linear at both ends, where the sum is.

Sandler et al., 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", table 1; with squeeze-and-excitation:
Howard et al., 2019, "Searching for MobileNetV3", figure 4. ``B`` batch, ``C`` channels, ``H``, ``W`` height and width.
"""

from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor, nn

from netwright.blocks.activations import ActivationName
from netwright.blocks.conv import conv_norm_act
from netwright.blocks.squeeze_excite import SqueezeExcite

__all__ = ["InvertedResidual"]


class InvertedResidual(nn.Module):
    """A 1x1 convolution to `expanded` channels, a depthwise one, and a linear 1x1 one to `out_channels`.

    The input is added where the shape stays. The first convolution is left out where it would not expand. `squeezed`:
    units of a squeeze-and-excitation with hardsigmoid after the depthwise convolution (0: none), as in MobileNet v3.

    Shapes:
        [B, in_channels, H, W] -> [B, out_channels, ceil(H / stride), ceil(W / stride)] for an odd kernel
    """

    def __init__(
        self,
        in_channels: int,
        expanded: int,
        out_channels: int,
        kernel: int = 3,
        stride: int = 1,
        activation_name: ActivationName = "relu6",
        squeezed: int = 0,
        norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        self.joined = stride == 1 and in_channels == out_channels
        parts = OrderedDict[str, nn.Module]()
        if expanded != in_channels:
            parts["expand"] = conv_norm_act(in_channels, expanded, 1, 1, 1, activation_name, norm)
        parts["depthwise"] = conv_norm_act(expanded, expanded, kernel, stride, expanded, activation_name, norm)
        if squeezed:
            parts["squeeze_excite"] = SqueezeExcite(expanded, squeezed, gate="hardsigmoid")
        parts["project"] = conv_norm_act(expanded, out_channels, 1, 1, 1, "identity", norm)
        self.branch = nn.Sequential(parts)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        out: Tensor = self.branch(x_BCHW)
        return x_BCHW + out if self.joined else out
