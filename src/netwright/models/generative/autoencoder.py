"""Autoencoders: a network learns to say its input again through a code of a few numbers, and so what matters in it.

Hinton and Salakhutdinov, "Reducing the dimensionality of data with neural networks", 2006. Plain, sparse or denoising
is not a matter of the network but of how it is trained: see `tasks.reconstruction`. ``B`` batch, ``Z`` numbers of the
code, ``K`` classes.

Differs from the paper: ReLU for sigmoids, trained as a whole from random weights, which needs no stack of restricted
Boltzmann machines to begin from.
"""

import math
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from netwright.blocks.activations import ActivationName, activation
from netwright.blocks.heads import output_layer, require_outputs
from netwright.blocks.norms import NormName
from netwright.core.schemas import Size
from netwright.models.generative.halves import ConvDecoder, ConvEncoder, DenseDecoder, DenseEncoder, require_flat

__all__ = ["Autoencoder", "OutputName", "conv_autoencoder", "dense_autoencoder"]

OutputName = Literal["identity", "sigmoid", "tanh"]


class Autoencoder(nn.Module):
    """An encoder and a decoder, whatever the two are made of.

    code_activation: of the code; `sigmoid` keeps it in [0, 1], as `sparsity` of the task wants it. output: the
    reconstruction's; `identity` reaches any value, and gives the raw scores that loss `bce` takes.

    Shapes:
        [B, …] -> the same; encode and features: [B, Z]; decode: [B, Z] -> [B, …], flat where the encoder flattens and
        nobody said of which shape examples are; [B, K] after `reset_head(K)`

    Raises:
        ConfigError: in `forward`, examples of another shape.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        code_size: int,
        code_activation: ActivationName = "identity",
        output: OutputName = "identity",
    ) -> None:
        super().__init__()
        self.code_size = code_size
        self.encoder = encoder
        self.code_activation = activation(code_activation)
        self.decoder: nn.Module | None = decoder
        self.output = activation(output)
        self.head: nn.Linear | None = None

    def encode(self, x: Tensor) -> Tensor:
        """The code, [B, Z]."""
        code: Tensor = self.code_activation(self.encoder(x))
        return code

    def decode(self, code_BZ: Tensor) -> Tensor:
        """An example of a code."""
        assert self.decoder is not None, "reset_head made a classifier of this autoencoder"
        made: Tensor = self.output(self.decoder(code_BZ))
        return made

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction, in the shape of `x`; scores [B, K] after `reset_head`."""
        code_BZ = self.encode(x)
        if self.head is not None:
            scores: Tensor = self.head(code_BZ)
            return scores
        return self.decode(code_BZ).reshape(x.shape)

    def features(self, x: Tensor) -> Tensor:
        """The code, [B, Z]."""
        return self.encode(x)

    def reset_head(self, num_classes: int) -> None:
        """Turn the encoder into a classifier: a fresh head on the code takes the place of the decoder."""
        self.head, self.decoder = head_on_code(self, self.code_size, num_classes), None


def head_on_code(net: nn.Module, code_size: int, num_classes: int) -> nn.Linear:
    """A linear head for `num_classes` scores of a code, on the device and in the type of the network.

    Raises:
        ConfigError: `num_classes` is no whole number from 1 on.
    """
    require_outputs(num_classes)
    return output_layer(code_size, num_classes).to(next(net.parameters()))


def dense_autoencoder(
    in_features: Size = 784,
    image_shape: tuple[Size, Size, Size] | None = None,
    hidden: Sequence[Size] = (1000, 500, 250),
    code_size: Size = 30,
    activation: ActivationName = "relu",
    norm: NormName = "none",
    code_activation: ActivationName = "identity",
    output: OutputName = "identity",
) -> Autoencoder:
    """The fully connected autoencoder, for vectors, tables and small images; the decoder is the encoder turned round.

    image_shape: of examples that are images, in place of `in_features`. hidden: widths of the encoder's layers.
    code_activation: `sigmoid` for the task's `sparsity`. output: of the reconstruction; `identity` for loss `bce`.

    Shapes:
        see `Autoencoder`; x is [B, in_features] or [B, *image_shape]

    Raises:
        ConfigError: instance norm (flat features have no map to normalise over).
    """
    require_flat(norm)
    shape = (in_features,) if image_shape is None else image_shape
    encoder = DenseEncoder(math.prod(shape), hidden, code_size, activation, norm)
    decoder = DenseDecoder(code_size, hidden[::-1], shape, activation, norm)
    return Autoencoder(encoder, decoder, code_size, code_activation, output)


def conv_autoencoder(
    image_shape: tuple[Size, Size, Size] = (1, 28, 28),
    widths: Sequence[Size] = (32, 64),
    code_size: Size = 32,
    activation: ActivationName = "relu",
    norm: NormName = "batch",
    code_activation: ActivationName = "identity",
    output: OutputName = "identity",
) -> Autoencoder:
    """The convolutional autoencoder, for images; the decoder is the encoder turned round.

    widths: channels of the maps, each half as high and wide as the one before.
    code_activation: `sigmoid` for the task's `sparsity`. output: of the reconstruction; `identity` for loss `bce`.

    Shapes:
        see `Autoencoder`; x is [B, *image_shape]

    Raises:
        ConfigError: sides that cannot be halved once for each of `widths`.
    """
    encoder = ConvEncoder(image_shape, widths, code_size, activation, norm)
    decoder = ConvDecoder(code_size, widths[::-1], image_shape, activation, norm)
    return Autoencoder(encoder, decoder, code_size, code_activation, output)
