"""Squeeze-and-excitation: each channel is scaled by a gate that has seen the whole map.

Hu, Shen and Sun, 2018, "Squeeze-and-Excitation Networks", equations 2-4. ``B`` batch, ``C`` channels, ``*S`` one to
three spatial sizes.
"""

from typing import Literal

from torch import Tensor, nn

from netwright.blocks.activations import ActivationName, activation
from netwright.blocks.init import scaled_init

__all__ = ["SqueezeExcite"]


class SqueezeExcite(nn.Module):
    """x * gate(excite(relu(squeeze(mean of x over all places)))): two linear layers with `squeezed` units between.

    The paper takes a sixteenth of the channels for `squeezed`, and a sigmoid; MobileNet v3 a quarter and the piecewise
    linear hardsigmoid, relu6(x + 3) / 6. He's initial weights.

    Shapes:
        [B, C, *S] -> [B, C, *S]
    """

    def __init__(
        self,
        channels: int,
        squeezed: int,
        activation_name: ActivationName = "relu",
        gate: Literal["sigmoid", "hardsigmoid"] = "sigmoid",
    ) -> None:
        super().__init__()
        # Linear layers where the reference projects have 1x1 convolutions of one place: the same numbers, sooner.
        self.squeeze = nn.Linear(channels, squeezed)
        self.activation = activation(activation_name)
        self.excite = nn.Linear(squeezed, channels)
        self.gate = nn.Sigmoid() if gate == "sigmoid" else nn.Hardsigmoid()
        scaled_init(self.squeeze, activation_name)
        scaled_init(self.excite)

    def forward(self, x: Tensor) -> Tensor:
        places = tuple(range(2, x.dim()))
        seen_BC = x.mean(dim=places)
        gate_BC = self.gate(self.excite(self.activation(self.squeeze(seen_BC))))
        scaled: Tensor = x * gate_BC.reshape(*gate_BC.shape, *(1 for _ in places))
        return scaled
