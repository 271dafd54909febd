"""U-Net: the paper's layout and parameters, sizes of any kind, and the sizes that it refuses."""

import pytest
import torch
from torch import nn

from netwright.core.errors import ConfigError
from netwright.models import build
from netwright.models.vision.unet import UNet


def convolutions(net: nn.Module) -> list[nn.Module]:
    return [module for module in net.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]


def test_layout_and_parameters_are_the_paper_s() -> None:
    """Figure 1: 23 convolutional layers, 64 to 1024 channels; with biases they have 31,030,658 parameters.

    A count of 31,031,685 that is often quoted is of a later program with a further 3x3 convolution to 2 channels before
    a last one to 1 (1,157 parameters in place of the 130 of the paper's last layer).
    """
    with torch.device("meta"):
        net = UNet(padding="valid")
    layers = convolutions(net)
    assert len(layers) == 23
    down, up = [64, 64, 128, 128, 256, 256, 512, 512, 1024, 1024], [512, 256, 128, 64]
    wide = {channels: 9 * channels * channels + channels for channels in (64, 128, 256, 512, 1024)}
    counts = sum(9 * before * after + after for before, after in zip([1, *down[:-1]], down, strict=True)) + sum(
        4 * 2 * c * c + c + 9 * 2 * c * c + c + wide[c] for c in up
    )
    assert sum(weight.numel() for weight in net.parameters()) == counts + 64 * 2 + 2 == 31_030_658
    assert counts + (9 * 64 * 2 + 2) + (2 + 1) == 31_031_685
    widths = [layer.out_channels for layer in layers if layer.kernel_size == (3, 3)]
    assert widths == [*down, *(channels for channels in up for _ in "ab")]


def test_a_tile_of_572_gives_the_middle_388_as_in_the_paper() -> None:
    with torch.device("meta"):
        net = UNet(padding="valid")
        shapes = []
        for stage in [*net.down, *net.join]:
            stage.register_forward_hook(lambda _, __, out: shapes.append(out.shape[-1]))
        assert net(torch.zeros(1, 1, 572, 572)).shape == (1, 2, 388, 388)
    assert shapes == [568, 280, 136, 64, 28, 52, 100, 196, 388]


def test_without_padding_the_middle_is_what_the_padded_picture_would_see() -> None:
    """The cut is centred: scores of a shifted picture are the shifted scores."""
    torch.manual_seed(0)
    net = UNet(width=2, depth=1, padding="valid").eval()
    image = torch.randn(1, 1, 30, 30)
    whole, part = net(image), net(image[..., 2:26, 4:28])
    assert whole.shape[-1] == 14 and torch.allclose(whole[..., 2:10, 4:12], part, atol=1e-5)


@pytest.mark.parametrize("size", [(8, 8), (9, 13), (30, 3), (1, 31)])
def test_padded_it_scores_every_pixel_of_any_size(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    net = build("unet", width=2, depth=3, num_classes=5).eval()
    image = torch.randn(2, 1, *size)
    assert net(image).shape == (2, 5, *size) and net.features(image).shape == (2, 2, *size)


def test_a_size_that_fits_is_not_extended() -> None:
    torch.manual_seed(0)
    net = UNet(width=2, depth=2).eval()
    image = torch.randn(1, 1, 12, 12)
    extended = torch.nn.functional.pad(image[..., :11], (0, 1, 0, 0), mode="replicate")
    assert torch.allclose(net(image[..., :11]), net(extended)[..., :11], atol=1e-6)
    assert not torch.allclose(net(image)[..., :11], net(image[..., :11]), atol=1e-3)


@pytest.mark.parametrize(("norm", "bias"), [("none", True), ("batch", False), ("group", True)])
def test_a_norm_that_takes_over_the_bias_does(norm: str, bias: bool) -> None:
    net = build("unet", width=4, depth=1, norm=norm)
    assert all((layer.bias is not None) == bias for layer in convolutions(net) if layer.kernel_size == (3, 3))


def test_dropout_works_at_the_bottom_and_in_training_only() -> None:
    torch.manual_seed(0)
    net, image = UNet(width=4, depth=1, dropout=0.5), torch.randn(1, 1, 8, 8)
    assert not torch.equal(net.train()(image), net(image)) and torch.equal(net.eval()(image), net(image))


@pytest.mark.parametrize(
    ("arguments", "shape", "words"),
    [
        ({"depth": 3}, (1, 1, 0, 40), "0x40 pixels are too small for U-Net: nothing is left at down.3; use .* 1x1"),
        ({"depth": 2, "norm": "instance"}, (1, 1, 4, 4), "4x4 pixels are too small.*nothing is left at down.2; .* 5x5"),
        ({"depth": 4, "padding": "valid"}, (1, 1, 100, 572), "too small for U-Net.*at least 188x188"),
        ({"depth": 4, "padding": "valid"}, (1, 1, 572, 570), "570 pixels lead to one; use images of 556 or 572"),
        ({"in_channels": 3}, (1, 1, 16, 16), r"takes images \[batch, 3, height, width\]"),
    ],
)
def test_an_image_that_does_not_fit_is_one_clear_line(arguments: dict, shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as error:
        build("unet", width=1, **arguments)(torch.zeros(shape))
    assert "\n" not in str(error.value)
