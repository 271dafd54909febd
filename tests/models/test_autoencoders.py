"""Autoencoders, VAEs and the convolutional GAN beyond the laws: counts, sampling, new heads, and a reference."""

import pytest
import torch
from torch import nn

from netwright.blocks.rescaling import coarsest, most_halvings
from netwright.core.errors import ConfigError
from netwright.models import build

LAYERS = [(784, 1000), (1000, 500), (500, 250), (250, 30), (30, 250), (250, 500), (500, 1000), (1000, 784)]


def count(net):
    return sum(weight.numel() for weight in net.parameters())


def test_the_default_is_the_network_of_the_paper():
    """784-1000-500-250-30 and back, Hinton and Salakhutdinov, 2006."""
    assert count(build("autoencoder")) == sum(before * after + after for before, after in LAYERS)


@pytest.mark.parametrize("name", ["autoencoder", "conv_autoencoder", "vae", "conv_vae"])
def test_the_decoder_is_the_encoder_turned_round(name):
    net, x = build(name, image_shape=[2, 8, 8]).eval(), torch.rand(3, 2, 8, 8)
    made = net.decode(net.features(x))
    assert made.shape == x.shape and torch.equal(made, net(x))


def test_arrays_come_back_in_their_own_shape():
    net = build("autoencoder", in_features=12, hidden=[5], code_size=2)
    assert net(torch.randn(4, 3, 4)).shape == (4, 3, 4) and net.decode(torch.randn(4, 2)).shape == (4, 12)


def test_a_code_can_be_kept_between_off_and_on():
    net = build("autoencoder", in_features=6, hidden=[8], code_size=4, code_activation="sigmoid")
    code = net.encode(100 * torch.randn(9, 6))
    assert code.min() >= 0 and code.max() <= 1


@pytest.mark.parametrize("name", ["conv_autoencoder", "conv_vae"])
def test_a_new_head_takes_the_place_of_the_decoder(name):
    net = build(name, image_shape=[1, 8, 8], widths=[4], code_size=3)
    net.reset_head(7)
    assert net.decoder is None and net(torch.rand(2, 1, 8, 8)).shape == (2, 7)
    net.reset_head(2)
    assert net(torch.rand(2, 1, 8, 8)).shape == (2, 2)
    with pytest.raises(ConfigError, match="num_classes=0"):
        net.reset_head(0)


def test_a_vae_draws_in_training_and_says_the_mean_in_evaluation():
    torch.manual_seed(0)
    net, x = build("vae", image_shape=[1, 4, 4], hidden=[9], code_size=2), torch.rand(5, 1, 4, 4)
    assert not torch.equal(net(x), net(x))
    net.eval()
    mean, log_variance = net.encode(x)
    assert mean.shape == log_variance.shape == (5, 2)
    assert torch.equal(net(x), net.decode(mean)) and torch.equal(net(x), net.scores(mean).sigmoid())


def test_drawn_codes_have_the_mean_and_the_variance_that_the_encoder_says():
    net = build("vae", image_shape=[1, 1, 1], hidden=[], code_size=1, output="identity")
    with torch.no_grad():
        net.encoder.head.weight.zero_()
        net.encoder.head.bias.copy_(torch.tensor([0.5, -1.0]))  # mean and log-variance
        net.decoder.head.weight.fill_(1.0)
        net.decoder.head.bias.zero_()
    torch.manual_seed(0)
    drawn = net(torch.zeros(40_000, 1, 1, 1))
    assert drawn.mean().item() == pytest.approx(0.5, abs=0.02)
    assert drawn.var().log().item() == pytest.approx(-1.0, abs=0.03)


def test_samples_are_repeatable_and_keep_the_mode():
    net = build("conv_vae", image_shape=[1, 8, 8], widths=[4], code_size=3).train()
    draws = [net.sample(3, torch.Generator().manual_seed(7)) for _ in range(2)]
    assert torch.equal(*draws) and draws[0].shape == (3, 1, 8, 8) and not draws[0].requires_grad
    assert net.training and not torch.equal(net.sample(3), net.sample(3))
    assert draws[0].min() >= 0 and draws[0].max() <= 1


def reference_generator():
    """The layers of the authors' later code for 64x64 pictures, with a bias where no norm follows."""
    layers = [nn.ConvTranspose2d(100, 512, 4, 1, 0, bias=False), nn.BatchNorm2d(512), nn.ReLU()]
    for width in (512, 256, 128):
        layers += [nn.ConvTranspose2d(width, width // 2, 4, 2, 1, bias=False), nn.BatchNorm2d(width // 2), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(64, 3, 4, 2, 1), nn.Tanh())


def reference_discriminator():
    layers = [nn.Conv2d(3, 64, 4, 2, 1), nn.LeakyReLU(0.2)]
    for width in (64, 128, 256):
        layers += [nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * width), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(512, 1, 4, 1, 0))


def with_weights_of(reference, net):
    """A kernel over the whole of a coarse map is a linear layer."""
    values = list(net.state_dict().values())
    state = {key: value.reshape(old.shape) for (key, old), value in zip(reference.state_dict().items(), values)}  # noqa: B905
    if isinstance(reference[0], nn.ConvTranspose2d):
        state["0.weight"] = values[0].T.reshape(100, 512, 4, 4)
    reference.load_state_dict(state)
    return reference.eval()


def test_the_dcgan_is_that_of_the_published_layers():
    torch.manual_seed(0)
    gan = build("dcgan").eval()
    assert count(gan.generator) == 3_576_704 + 3 and count(gan.discriminator) == 2_765_568 + 64 + 1
    noise, x = torch.randn(2, 100), torch.randn(2, 3, 64, 64)
    made = with_weights_of(reference_generator(), gan.generator)(noise[:, :, None, None])
    torch.testing.assert_close(gan.generator(noise), made, rtol=1e-4, atol=1e-6)
    score = with_weights_of(reference_discriminator(), gan.discriminator)(x).flatten()
    torch.testing.assert_close(gan.discriminator(x), score, rtol=1e-4, atol=1e-6)


def test_the_dcgan_begins_as_the_paper_says():
    gan = build("dcgan", image_shape=[1, 28, 28])
    kernels = torch.cat([weight.flatten() for weight in gan.parameters() if weight.dim() > 1])
    assert kernels.std().item() == pytest.approx(0.02, rel=0.02) and abs(kernels.mean().item()) < 1e-3
    assert gan.sample(2).shape == (2, 1, 28, 28) and gan.sample(2).abs().max() <= 1


def test_a_critic_has_no_batch_norm():
    gan = build("dcgan", image_shape=[1, 8, 8], width=4, discriminator_norm="layer")
    assert any(isinstance(part, nn.BatchNorm2d) for part in gan.generator.modules())
    assert not any(isinstance(part, nn.BatchNorm2d) for part in gan.discriminator.modules())


def test_sides_are_halved_as_often_as_they_are_even():
    assert [most_halvings((1, side, side), 4) for side in (28, 32, 64, 30, 25)] == [2, 3, 4, 1, 0]
    assert most_halvings((3, 32, 48), 4) == 3 and coarsest((3, 32, 48), 3) == (4, 6)
    with pytest.raises(ConfigError, match=r"30x28 pixels cannot be halved 2 times .* use 1 of .* multiples of 4"):
        coarsest((1, 30, 28), 2)
