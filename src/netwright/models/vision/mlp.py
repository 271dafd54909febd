"""The multilayer perceptron: linear layers with an activation between them, of any depth and width.

Rosenblatt, 1958; trained by back-propagation: Rumelhart, Hinton and Williams, 1986. It flattens any input, so
it serves images, tables and regression alike. ``B`` batch, ``K`` classes (or numbers to predict), ``D`` width.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from netwright.blocks.activations import ActivationName
from netwright.blocks.feedforward import dense_stack, recounted
from netwright.blocks.heads import new_head, output_layer
from netwright.blocks.norms import NormName
from netwright.core.errors import ConfigError
from netwright.core.schemas import Probability, Size

__all__ = ["MLP"]


class MLP(nn.Module):
    """flatten -> [linear -> norm -> activation -> dropout] x len(hidden) -> linear.

    Weights start from He's or LeCun's distribution, by the activation. With no hidden layer it is linear (or logistic)
    regression. `num_classes` is the number of outputs: classes, or numbers to predict.

    Shapes:
        [B, in_features] or [B, C, H, W] with C*H*W = in_features -> [B, num_classes]; features: [B, hidden[-1]]

    Raises:
        ConfigError: instance norm (flat features have no map for it); in `forward`, an input of another size.
    """

    def __init__(
        self,
        in_features: Size = 784,
        num_classes: Size = 10,
        hidden: Sequence[Size] = (256, 128),
        activation: ActivationName = "relu",
        norm: NormName = "none",
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__()
        if norm == "instance":
            raise ConfigError("model.norm='instance' needs feature maps and an MLP has none; use batch, layer or group")
        self.in_features = in_features
        self.trunk = dense_stack(in_features, hidden, activation, norm, dropout)
        self.head = output_layer(hidden[-1] if hidden else in_features, num_classes)
        self.register_load_state_dict_pre_hook(_rename)

    def features(self, x: Tensor) -> Tensor:
        """The last hidden layer's output, [B, hidden[-1]]."""
        flat_BF = x.flatten(1) if x.dim() > 1 else x[:, None]
        if flat_BF.shape[1] != self.in_features:
            raise ConfigError(
                "this MLP takes {wanted} numbers an example, got {got} (an input of shape {shape}); build it with "
                "in_features={got}",
                wanted=self.in_features, got=math.prod(x.shape[1:]), shape=tuple(x.shape),
            )  # fmt: skip
        hidden: Tensor = self.trunk(flat_BF)
        return hidden

    def forward(self, x: Tensor) -> Tensor:
        """Scores before any softmax, [B, num_classes]."""
        scores: Tensor = self.head(self.features(x))
        return scores

    def current_names(self, tensors: Mapping[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
        """Weights that were saved when layers had other numbers in a network with dropout, under the names of today."""
        return recounted(self.trunk, tensors, f"{prefix}trunk.")

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh last layer for `num_classes` outputs; the trunk stays as it is."""
        self.head = new_head(self.head, num_classes)


def _rename(net: nn.Module, tensors: dict[str, Any], prefix: str, *_: object) -> None:
    """See `MLP.current_names`; a hook before loading changes what it is given."""
    assert isinstance(net, MLP)
    renamed = net.current_names(tensors, prefix)
    tensors.clear()
    tensors.update(renamed)
