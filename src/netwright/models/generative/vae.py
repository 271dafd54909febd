"""Variational autoencoders: the code is a Gaussian an example, and all of them together are held near a standard one.

Kingma and Welling, "Auto-encoding variational Bayes", 2014. So every place of the code means an example, and new ones
are made by drawing a code. What is learnt is in `tasks.variational`. ``B`` batch, ``Z`` numbers of the code, ``K``
classes.

Differs from the paper: ReLU for tanh; the convolutional halves are those of Radford et al., 2016.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from netwright.blocks.activations import ActivationName, activation
from netwright.blocks.norms import NormName
from netwright.core.schemas import Size
from netwright.models.generative.autoencoder import OutputName, head_on_code
from netwright.models.generative.halves import ConvDecoder, ConvEncoder, DenseDecoder, DenseEncoder, require_flat

__all__ = ["VAE", "conv_vae", "dense_vae"]


class VAE(nn.Module):
    """An encoder to the mean and the log-variance of a Gaussian code, and a decoder.

    In training the code is drawn (the mean plus noise of the variance, through which gradients pass); in evaluation it
    is the mean. output: the reconstruction's; `sigmoid` for images in [0, 1].

    Shapes:
        x [B, *image_shape] -> the same; encode: mean and log-variance, [B, Z] each; features: the mean [B, Z]; decode
        and scores (before the output's activation): [B, Z] -> [B, *image_shape]; [B, K] after `reset_head(K)`

    Raises:
        ConfigError: in `forward`, examples of another shape.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, code_size: int, output: OutputName = "sigmoid") -> None:
        super().__init__()
        self.code_size = code_size
        self.encoder = encoder
        self.decoder: nn.Module | None = decoder
        self.output = activation(output)
        self.head: nn.Linear | None = None

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the code, [B, Z] each."""
        mean_BZ, log_variance_BZ = self.encoder(x).chunk(2, dim=1)
        return mean_BZ, log_variance_BZ

    def scores(self, code_BZ: Tensor) -> Tensor:
        """What the output's activation is applied to: logits, where that is the sigmoid."""
        assert self.decoder is not None, "reset_head made a classifier of this autoencoder"
        made: Tensor = self.decoder(code_BZ)
        return made

    def decode(self, code_BZ: Tensor) -> Tensor:
        """An example of a code."""
        made: Tensor = self.output(self.scores(code_BZ))
        return made

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction; scores [B, K] after `reset_head`."""
        mean_BZ, log_variance_BZ = self.encode(x)
        if self.head is not None:
            scores: Tensor = self.head(mean_BZ)
            return scores
        if not self.training:
            return self.decode(mean_BZ)
        noise_BZ = torch.randn_like(mean_BZ)
        return self.decode(mean_BZ + torch.exp(0.5 * log_variance_BZ) * noise_BZ)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Make `n` new examples in inference mode, [n, *image_shape]; from a CPU `generator` alike on every device."""
        like, mode = next(self.parameters()), self.training
        device = generator.device if generator is not None else like.device
        code_NZ = torch.randn(n, self.code_size, generator=generator, device=device).to(like.device, like.dtype)
        self.eval()
        try:
            return self.decode(code_NZ)
        finally:
            self.train(mode)

    def features(self, x: Tensor) -> Tensor:
        """The mean of the code, [B, Z]."""
        return self.encode(x)[0]

    def reset_head(self, num_classes: int) -> None:
        """Turn the encoder into a classifier: a fresh head on the mean of the code takes the place of the decoder."""
        self.head, self.decoder = head_on_code(self, self.code_size, num_classes), None


def dense_vae(
    image_shape: tuple[Size, Size, Size] = (1, 28, 28),
    hidden: Sequence[Size] = (500,),
    code_size: Size = 20,
    activation: ActivationName = "relu",
    norm: NormName = "none",
    output: OutputName = "sigmoid",
) -> VAE:
    """The fully connected VAE; the decoder is the encoder turned round.

    hidden: widths of the encoder's layers.

    Shapes:
        see `VAE`

    Raises:
        ConfigError: instance norm (flat features have no map to normalise over).
    """
    require_flat(norm)
    encoder = DenseEncoder(torch.Size(image_shape).numel(), hidden, 2 * code_size, activation, norm)
    return VAE(encoder, DenseDecoder(code_size, hidden[::-1], image_shape, activation, norm), code_size, output)


def conv_vae(
    image_shape: tuple[Size, Size, Size] = (1, 28, 28),
    widths: Sequence[Size] = (32, 64),
    code_size: Size = 20,
    activation: ActivationName = "relu",
    norm: NormName = "batch",
    output: OutputName = "sigmoid",
) -> VAE:
    """The convolutional VAE; the decoder is the encoder turned round.

    widths: channels of the maps, each half as high and wide as the one before.

    Shapes:
        see `VAE`

    Raises:
        ConfigError: sides that cannot be halved once for each of `widths`.
    """
    encoder = ConvEncoder(image_shape, widths, 2 * code_size, activation, norm)
    return VAE(encoder, ConvDecoder(code_size, widths[::-1], image_shape, activation, norm), code_size, output)
