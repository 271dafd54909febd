"""The cards of the generative networks. Imports no torch: listing must be instant."""

from collections.abc import Mapping

from netwright.models.card import ModelCard

__all__ = ["CARDS"]

CARDS: Mapping[str, ModelCard] = {
    "gan": ModelCard(
        target="netwright.models.generative.gan:dense_gan",
        family="generative",
        kin="gan",
        tasks=("gan",),
        summary="generator against discriminator, both fully connected",
        parameters=1_093_905,
        input=(100,),
        input_kind="noise",
        paper="Goodfellow et al., 2014, Generative adversarial nets",
        idea="A generator turns noise into examples while a discriminator learns to tell them from real ones. Each is "
        "the other's loss function, so no likelihood has to be written down.",
        when="Small grey images and teaching; a convolutional GAN or a VAE for anything larger.",
    ),
}
