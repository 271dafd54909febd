"""The cards of the generative networks. Imports no torch: listing must be instant."""

from collections.abc import Mapping
from dataclasses import replace

from netwright.models.card import ModelCard

__all__ = ["CARDS"]

_AUTOENCODER = ModelCard(
    target="netwright.models.generative.autoencoder:dense_autoencoder",
    family="generative",
    kin="autoencoder",
    tasks=("reconstruction",),
    summary="says its input again through a code of a few numbers, fully connected",
    parameters=2_837_314,
    input=(1, 28, 28),
    paper="Hinton & Salakhutdinov, 2006, Reducing the dimensionality of data with neural networks",
    idea="An encoder squeezes an example into a few numbers and a decoder makes the example of them again. What gets "
    "through is what examples have in common; a penalty on the code (sparse), or spoilt inputs (denoising), forbid to "
    "copy where the code is wide.",
    when="Codes of vectors, tables and small pictures without labels, removing noise, and finding the odd ones out.",
    aliases=("dense_autoencoder",),
)

_VAE = ModelCard(
    target="netwright.models.generative.vae:dense_vae",
    family="generative",
    kin="vae",
    tasks=("variational",),
    summary="variational autoencoder, fully connected",
    parameters=815_824,
    input=(1, 28, 28),
    paper="Kingma & Welling, 2014, Auto-encoding variational Bayes",
    idea="The code is a Gaussian an example, and all of them together are held near a standard normal. A bound on the "
    "likelihood is learnt by drawing one code an example; what is drawn from the normal then decodes to a new one.",
    when="Small pictures; a smooth map of the data, and calm training where a GAN's is a game.",
    aliases=("dense_vae",),
)

CARDS: Mapping[str, ModelCard] = {
    "autoencoder": _AUTOENCODER,
    "conv_autoencoder": replace(
        _AUTOENCODER,
        target="netwright.models.generative.autoencoder:conv_autoencoder",
        summary="says its input again through a code, by convolutions down and up again",
        parameters=267_681,
        when="Pictures: fewer weights than the dense one for sharper reconstructions, and for removing noise.",
        aliases=(),
    ),
    "vae": _VAE,
    "conv_vae": replace(
        _VAE,
        target="netwright.models.generative.vae:conv_vae",
        summary="variational autoencoder with convolutions of stride 2, down and up again",
        parameters=255_145,
        when="Pictures; the samples are softer than a GAN's, and none of the data's kinds is forgotten.",
        aliases=(),
    ),
    "dcgan": ModelCard(
        target="netwright.models.generative.dcgan:dcgan",
        family="generative",
        kin="dcgan",
        tasks=("gan",),
        summary="generator against discriminator, both convolutional",
        parameters=6_342_340,
        input=(100,),
        input_kind="noise",
        paper="Radford et al., 2016, Unsupervised representation learning with deep convolutional generative "
        "adversarial networks",
        idea="The generator doubles coarse maps up to an image, the discriminator halves it down again; strides in "
        "place of pooling, batch norm, ReLU here and leaky ReLU there are what made such pairs train.",
        when="Pictures of 28 to 128 pixels with an even side; the GAN to begin with.",
    ),
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
        when="Small grey images and teaching; dcgan or a VAE for anything larger.",
    ),
}
