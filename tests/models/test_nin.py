"""Network in Network: the published counts and layouts, held to hand-built stacks with the same weights."""

import pytest
import torch
from torch import Tensor, nn

from netwright.core.errors import ConfigError
from netwright.models import build
from netwright.models.vision.nin import NiN


def _block(channels: int, widths: list[int], *first: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for number, width in enumerate(widths):
        layers += [nn.Conv2d(channels, width, *(first if number == 0 else (1,))), nn.ReLU()]
        channels = width
    return layers


def _authors(ceil: bool, last: list[int], channels: int) -> nn.Module:
    """Their Caffe network for ImageNet; with other poolings and last block, the textbook's."""
    pool = nn.MaxPool2d(3, 2, ceil_mode=ceil)
    return nn.Sequential(
        *_block(channels, [96, 96, 96], 11, 4, 0), pool, *_block(96, [256, 256, 256], 5, 1, 2), pool,
        *_block(256, [384, 384, 384], 3, 1, 1), pool, nn.Dropout(0.5), *_block(384, last, 3, 1, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip


def _cifar() -> nn.Module:
    """Lin et al., section 4.2, as in their Caffe network for CIFAR-10."""
    return nn.Sequential(
        *_block(3, [192, 160, 96], 5, 1, 2), nn.MaxPool2d(3, 2, ceil_mode=True), nn.Dropout(0.5),
        *_block(96, [192, 192, 192], 5, 1, 2), nn.AvgPool2d(3, 2, ceil_mode=True), nn.Dropout(0.5),
        *_block(192, [192, 192, 10], 3, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip


REFERENCES = {
    "nin": (lambda: _authors(True, [1024, 1024, 1000], 3), (3, 224, 224), 7_595_176),
    "nin_classroom": (lambda: _authors(False, [10, 10, 10], 1), (1, 224, 224), 1_992_166),
    "nin_cifar": (_cifar, (3, 32, 32), 966_986),
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", REFERENCES)
def test_same_numbers_as_the_published_layout(name: str, training: bool) -> None:
    make, shape, parameters = REFERENCES[name]
    ours, theirs = build(name), make()
    assert sum(weight.numel() for weight in ours.parameters()) == parameters
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    x, outs = torch.randn(1, *shape, generator=torch.Generator().manual_seed(1)), []
    for net in (ours, theirs):
        torch.manual_seed(3)
        with torch.no_grad():
            outs.append(net.train(training)(x))
    torch.testing.assert_close(*outs, rtol=2e-5, atol=2e-5 * outs[1].abs().max().item())
    assert outs[0].abs().max() > 0


def test_no_layer_is_fully_connected() -> None:
    assert not any(isinstance(layer, nn.Linear) for layer in build("nin_cifar").modules())


def test_the_map_of_photographs_is_six_by_six() -> None:
    """As in the authors' network, whose last pooling has that kernel."""
    maps: list[Tensor] = []
    with torch.device("meta"):
        net = build("nin").eval()
        net.head.register_forward_pre_hook(lambda _, inputs: maps.append(inputs[0]))
        net(torch.zeros(1, 3, 224, 224))
    assert maps[0].shape == (1, 1024, 6, 6)


@pytest.mark.parametrize(
    ("stem", "blocks", "least"),
    [("imagenet", 4, 39), ("classroom", 4, 67), ("small", 3, 4), ("small", 2, 2), ("imagenet", 2, 15)],
)
def test_the_least_size_is_the_least(stem: str, blocks: int, least: int) -> None:
    net = NiN(in_channels=1, num_classes=3, stem=stem, widths=((4, 4),) * blocks).eval()
    assert net.blocks(torch.randn(1, 1, least, least)).shape == (1, 4, 1, 1)
    with pytest.raises(RuntimeError, match="too small"):
        net.blocks(torch.randn(1, 1, least - 1, least))
    with pytest.raises(ConfigError, match=f"pool{blocks - 1}; use images of at least {least}x{least}"):
        net(torch.randn(1, 1, least - 1, least))


def test_the_head_keeps_its_kind() -> None:
    net = build("nin", widths=[[4, 4], [6]], num_classes=3, in_channels=1, stem="small").double()
    net.reset_head(5)
    assert net.eval()(torch.randn(2, 1, 8, 8, dtype=torch.float64)).shape == (2, 5)
