"""The GAN beyond the laws: ranges, sampling, the two phases' parameters."""

import pytest
import torch

from netwright.core.errors import ConfigError
from netwright.models import build
from netwright.models.generative.gan import GAN


@pytest.fixture
def gan() -> GAN:
    torch.manual_seed(0)
    return build("gan", image_shape=(2, 3, 4), noise_size=5, generator_hidden=[8], discriminator_hidden=[8])


def test_generated_examples_are_images_in_range(gan: GAN) -> None:
    x = gan.generator(torch.randn(6, 5) * 100)
    assert x.shape == (6, 2, 3, 4)
    assert x.abs().max() <= 1


def test_the_discriminator_gives_one_logit_an_example(gan: GAN) -> None:
    assert gan.discriminator(torch.randn(6, 2, 3, 4)).shape == (6,)


def test_the_two_phases_share_no_parameter_and_miss_none(gan: GAN) -> None:
    first, second = ({id(p) for p in part.parameters()} for part in (gan.generator, gan.discriminator))
    assert not first & second
    assert first | second == {id(p) for p in gan.parameters()}


def test_sampling_is_repeatable_and_keeps_the_mode(gan: GAN) -> None:
    gan.train()
    draws = [gan.sample(3, torch.Generator().manual_seed(7)) for _ in range(2)]
    assert torch.equal(*draws)
    assert draws[0].shape == (3, 2, 3, 4)
    assert not draws[0].requires_grad
    assert gan.generator.training
    assert not torch.equal(gan.sample(3), gan.sample(3))


def test_instance_norm_is_refused() -> None:
    with pytest.raises(ConfigError, match="instance"):
        build("gan", norm="instance")


def test_a_mistaken_shape_names_the_setting() -> None:
    with pytest.raises(ConfigError, match="image_shape"):
        build("gan", image_shape=[28, 28])
