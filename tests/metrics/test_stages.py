"""The stages of networks as different as a plain stack, a ResNet, a U-Net and a GPT, found by their structure alone."""

import json

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import netwright as nw
from netwright.core.errors import ConfigError
from netwright.experiment.explaining import explain
from netwright.metrics.architecture import Architecture, Stage, trace


class Block(nn.Module):
    """A residual block whose sum is a call of its own, as most people write it."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after)
        self.conv2, self.norm2 = nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)
        self.short = nn.Conv2d(before, after, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))) + self.short(x))


class Small(nn.Module):
    """A ResNet in the layout of torchvision: a stem of four layers, stages as rows of blocks, one ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu = nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(Block(8, 8), Block(8, 8), Block(8, 8))
        self.layer2 = nn.Sequential(Block(8, 16, 2), Block(16, 16))
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer2(self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(x))))))
        return self.fc(self.avgpool(x).flatten(1))


class UNet(nn.Module):
    """Lists of levels, one pooling for all, joins in `forward` itself."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.ReLU()) for i, o in [(1, 4), (4, 8)])
        self.pool = nn.MaxPool2d(2)
        self.bottom = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU())
        self.up = nn.ModuleList(nn.ConvTranspose2d(i, o, 2, 2) for i, o in [(16, 8), (8, 4)])
        self.merge = nn.ModuleList(nn.Sequential(nn.Conv2d(2 * o, o, 3, padding=1), nn.ReLU()) for o in (8, 4))
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for level in self.down:
            x = level(x)
            kept.append(x)
            x = self.pool(x)
        x = self.bottom(x)
        for up, merge, skip in zip(self.up, self.merge, reversed(kept), strict=True):
            x = merge(torch.cat([skip, up(x)], 1))
        return self.head(x)


class Tokens(nn.Module):
    """A class token and positions that the network itself holds, and an encoder that holds its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 8, 8)
        self.token = nn.Parameter(torch.zeros(1, 1, 32))
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 6)
        self.head, self.unused = nn.Linear(32, 5), nn.Linear(32, 7)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = self.encoder(torch.cat([self.token.expand(len(x), -1, -1), x], 1))
        return self.head(x[:, 0])


def found(net: nn.Module, *shape: int) -> list[Stage]:
    seen = trace(net, input_shape=shape)
    for name in ("parameters", "flops", "activation_bytes"):
        assert sum(getattr(stage, name) for stage in seen.stages) == getattr(seen, name)
    return seen.stages


def test_a_resnet_in_the_layout_of_torchvision() -> None:
    stages = found(Small(), 3, 64, 64)
    assert [stage.name for stage in stages] == ["conv1", "layer1", "layer2", "avgpool", "fc"]
    assert [stage.holds for stage in stages] == [
        "Conv2d 7×7 /2, MaxPool2d 3×3 /2", "3 × Block", "2 × Block", "AdaptiveAvgPool2d", "Linear",
    ]  # fmt: skip
    assert [stage.output_shape for stage in stages] == [(8, 16, 16), (8, 16, 16), (16, 8, 8), (16, 1, 1), (10,)]
    assert (stages[1].repeats, stages[1].inside, stages[1].kind) == (3, ("residual",), "convolution")
    assert stages[0].receptive_field == 11 and stages[1].receptive_field == 11 + 6 * 8 and stages[4].size == ()
    assert [stage.sources for stage in stages] == [(-1,), (0,), (1,), (2,), (3,)]


def test_layers_in_a_row_are_cut_where_the_map_gets_smaller() -> None:
    layers: list[nn.Module] = []
    for before, after, count in ((3, 8, 2), (8, 16, 2), (16, 32, 3)):
        for place in range(count):
            layers += [nn.Conv2d(after if place else before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
    net = nn.Sequential(
        nn.Sequential(*layers), nn.Sequential(nn.Flatten(), nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 9))
    )
    stages = found(net, 3, 32, 32)
    assert [stage.holds for stage in stages] == [
        "2 × Conv2d 3×3, MaxPool2d 2×2", "2 × Conv2d 3×3, MaxPool2d 2×2", "3 × Conv2d 3×3, MaxPool2d 2×2", "Linear",
        "Linear",
    ]  # fmt: skip
    assert [stage.name for stage in stages] == ["0.0-6", "0.7-13", "0.14-23", "1.0-2", "1.3"]


def test_equal_neighbours_are_one_stage_and_changes_of_size_are_not() -> None:
    net = nn.Sequential(*[Block(8, 8), Block(8, 8), Block(8, 16, 2), Block(16, 16)], nn.Flatten(), nn.Linear(1024, 4))
    stages = found(net, 8, 16, 16)
    assert [(stage.name, stage.holds) for stage in stages] == [
        ("0-1", "2 × Block"), ("2-3", "2 × Block"), ("4-5", "Linear"),
    ]  # fmt: skip


def test_a_unet_shows_its_joins() -> None:
    stages = found(UNet(), 1, 32, 32)
    by_name = {stage.name: (place, stage) for place, stage in enumerate(stages)}
    assert "pool" not in by_name and "pool" in stages[-1].holds
    for name, skip, up in (("merge.0", "down.1", "up.0"), ("merge.1", "down.0", "up.1")):
        stage = by_name[name][1]
        assert stage.joined == "cat" and set(stage.sources) == {by_name[skip][0], by_name[up][0]}
    assert by_name["down.1"][1].sources == (by_name["down.0"][0],)


def test_weights_of_the_network_itself_and_unused_ones_are_the_rest() -> None:
    stages = found(Tokens(), 3, 32, 32)
    assert [stage.name for stage in stages] == ["patches", "encoder", "head", ""]
    assert stages[1].holds == "6 × TransformerEncoderLayer" and stages[1].kind == "attention"
    assert (stages[1].channels, stages[1].size) == (32, (17,))
    assert stages[3].holds == "token, unused" and stages[3].parameters == 32 + 33 * 7


def test_channels_first_and_last_are_told_apart() -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches, self.norm = nn.Conv2d(3, 12, 4, 4), nn.LayerNorm(12)
            self.reduction = nn.Linear(48, 24)

        def forward(self, x: Tensor) -> Tensor:
            x = self.norm(self.patches(x).permute(0, 2, 3, 1))
            corners = [x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]]
            return self.reduction(torch.cat(corners, -1))

    stages = found(Last(), 3, 32, 48)
    assert [(stage.channels, stage.size) for stage in stages[:2]] == [(12, (8, 12)), (24, (4, 6))]


@pytest.mark.parametrize("name", ["lenet5", "mlp", "gpt", "gan", "dqn"])
def test_the_catalog_and_json(name: str) -> None:
    seen = explain(name)
    assert len(seen.stages) >= 3 and all(stage.holds or stage.kind == "rest" for stage in seen.stages)
    again = Architecture.from_dict(json.loads(json.dumps(seen.to_dict())))
    assert again.stages == seen.stages and str(again) == str(seen)
    lines = str(seen).splitlines()
    assert lines[3].split()[:1] == ["stage"] and seen.idea in lines and f"Paper: {seen.paper}" in lines
    assert "layer" in seen.text("layers").splitlines()[3] and seen.stages[0].name in str(seen)


def test_gpt_is_a_handful_of_stages() -> None:
    stages = explain("gpt", overrides=["model.num_layers=3", "model.hidden_size=24", "model.context=16"]).stages
    assert [stage.name for stage in stages] == ["tokens", "positions", "blocks", "norm", "head", ""]
    blocks = stages[2]
    assert (blocks.holds, blocks.repeats, blocks.kind) == ("3 × GPTBlock", 3, "attention")
    assert blocks.sources == (0, 1) and blocks.joined == "add" and blocks.inside == ("residual",)


def test_explain_takes_a_section_and_a_config_as_mappings() -> None:
    section = explain({"name": "LeNet-5", "in_channels": 3, "image_size": 32})
    assert section.name == "lenet5" and section.input_shape == (3, 32, 32) and section.parameters == 62_006
    config = explain({"data": "digits", "model": {"name": "mlp", "hidden": [7]}}, overrides=["model.hidden=[9]"])
    assert config.output_shape == (10,) and config.stages[0].output_shape == (9,)
    stack = {"layers": [{"conv": 4}, "relu", {"pool": "max"}, "flatten", {"linear": 3}]}
    assert explain(stack, (1, 8, 8)).output_shape == (3,)
    assert nw.explain({"model": "mlp"}, (3, 4, 4)).input_shape == (3, 4, 4)


@pytest.mark.parametrize(
    ("source", "shape", "says"),
    [
        ({"hidden": [3]}, None, "model.name is missing"),
        ({"layers": ["relu"]}, None, "needs input_shape for layers"),
        ({"name": "lenet5", "wide": 3}, None, "wide"),
        ({"name": "lenet6"}, None, "did you mean lenet5"),
        ({"name": "lenet5"}, (10**9, 10**9, 10**9), "larger than this machine's memory"),
    ],
)
def test_sections_that_do_not_fit(source: dict[str, object], shape: tuple[int, ...] | None, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        explain(source, shape)
