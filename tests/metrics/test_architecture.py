"""Hand-built networks against published numbers, and formulas against the meter."""

import copy
import json
import time

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netwright as nw
from netwright.core.errors import ConfigError
from netwright.metrics.architecture import Architecture, trace


def lenet() -> nn.Sequential:
    convolutions = [
        nn.Conv2d(1, 6, 5, padding=2),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.Tanh(),
        nn.AvgPool2d(2),
    ]
    dense = [nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)]
    return nn.Sequential(*convolutions, *dense)


class Basic(nn.Module):
    def __init__(self, i: int, o: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
        down = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))
        self.downsample = down if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        stages = [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)]
        self.stages = nn.ModuleList(nn.Sequential(Basic(i, o, s), Basic(o, o, 1)) for i, o, s in stages)
        self.fc = nn.Linear(512, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x)), inplace=True), 3, 2, 1)
        for stage in self.stages:
            x = stage(x)
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


def test_lenet() -> None:
    seen = trace(lenet(), input_shape=(1, 28, 28))
    assert seen.parameters == seen.trainable_parameters == 61_706
    assert seen.output_shape == (10,) and seen.weighted_depth == 5 and seen.receptive_field == 16
    convolutions = 2 * (6 * 28 * 28 * 25 + 16 * 10 * 10 * 25 * 6)
    assert seen.flops == convolutions + 2 * (400 * 120 + 120 * 84 + 84 * 10)


def test_resnet18() -> None:
    seen = trace(ResNet18(), input_shape=(3, 224, 224))
    assert seen.parameters == 11_689_512
    assert seen.receptive_field == 435 and seen.weighted_depth == 18
    assert seen.flops == 2 * 1_814_073_344
    rows = {row.path: row for row in seen.layers}
    assert rows["stages.1.0"].output_shape == (128, 28, 28) and rows["stages.1.0.conv1"].receptive_field == 51
    assert rows[""].parameters == 11_689_512 and rows["stages.3"].parameters == 8_393_728
    text = str(seen)
    assert "11,689,512 parameters" in text and "435" in text and "(×2)" not in text.splitlines()[1]


@pytest.mark.parametrize(("stride", "groups", "dilation"), [(1, 1, 1), (2, 1, 1), (1, 4, 1), (1, 1, 2)])
def test_convolution_by_formula(stride: int, groups: int, dilation: int) -> None:
    conv = nn.Conv2d(8, 12, 3, stride, dilation, dilation, groups)
    seen = trace(conv, input_shape=(8, 20, 20))
    channels, height, width = seen.output_shape
    assert seen.flops == 2 * channels * height * width * 9 * 8 // groups
    assert seen.receptive_field == 1 + 2 * dilation
    assert seen.activation_bytes == 4 * channels * height * width


def test_attention_and_recurrence_are_counted() -> None:
    seen = trace(nn.MultiheadAttention(32, 4, batch_first=True), *[torch.zeros(2, 10, 32)] * 3)
    assert seen.flops == 2 * (4 * 10 * 32 * 32 + 2 * 10 * 10 * 32)
    assert trace(nn.LSTM(8, 16, batch_first=True), torch.zeros(3, 5, 8)).flops == 2 * 5 * 4 * 16 * (8 + 16)


@pytest.mark.parametrize(("name", "first"), [("vit_ti_32", 32), ("swin_t", 4)])
def test_attention_ends_the_receptive_field_that_its_patches_have(name: str, first: int) -> None:
    known = nw.explain(name)
    assert known.receptive_field is None and known.stages[0].receptive_field == first
    assert all(stage.receptive_field is None for stage in known.stages[2:])


def test_vgg_receptive_field() -> None:
    layers, width = [], 3
    for size in (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"):
        layers += [nn.MaxPool2d(2)] if size == "M" else [nn.Conv2d(width, size, 3, padding=1), nn.ReLU()]  # type: ignore[list-item, arg-type]
        width = width if size == "M" else size  # type: ignore[assignment]
    assert trace(nn.Sequential(*layers), input_shape=(3, 224, 224)).receptive_field == 212


def test_shared_weights_are_counted_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.head = nn.Embedding(50, 8), nn.Linear(8, 50, bias=False)
            self.head.weight = self.table.weight

        def forward(self, tokens: Tensor) -> Tensor:
            return self.head(self.table(tokens))

    seen = trace(Tied(), input_shape=(12,))
    assert seen.parameters == 400 and [row.parameters for row in seen.layers] == [400, 400, 0]
    assert seen.output_shape == (12, 50)


def test_repeated_calls_and_equal_stages_are_one_line() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(8, 8)
            self.blocks = nn.Sequential(*[nn.Sequential(nn.Linear(8, 8), nn.ReLU()) for _ in range(12)])

        def forward(self, x: Tensor) -> Tensor:
            return self.blocks(self.a(self.a(x)))

    seen = trace(Twice(), input_shape=(8,))
    assert next(row for row in seen.layers if row.path == "a").calls == 2
    table = seen.text("layers")
    assert "0-11 (×12)" in table and "Linear ×2" in table and len(table.splitlines()) < 14
    assert "12 × (Linear)" not in str(seen) and "12 × Linear" in str(seen)


def test_per_example_whatever_the_batch() -> None:
    one, many = trace(lenet(), input_shape=(1, 28, 28)), trace(lenet(), torch.zeros(32, 1, 28, 28))
    assert one == many


def test_survives_json() -> None:
    seen = trace(lenet(), input_shape=(1, 28, 28)).described("idea", "paper", "when")
    again = Architecture.from_dict(json.loads(json.dumps(seen.to_dict())))
    assert again == seen and str(again) == str(seen) and again.paper == "paper"


def test_nothing_is_changed() -> None:
    net = ResNet18().train()
    before, random = copy.deepcopy(net.state_dict()), torch.get_rng_state()
    calls: list[int] = []
    net.fc.register_forward_hook(lambda *_: calls.append(1))
    trace(net, input_shape=(3, 64, 64))
    assert all(torch.equal(a, b) for a, b in zip(before.values(), net.state_dict().values(), strict=True))
    assert net.training and net.bn1.training and not calls and torch.equal(random, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in net.parameters())


def test_a_network_that_needs_values_is_run_on_a_copy_and_says_so() -> None:
    class Picky(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.calls = nn.Linear(4, 3), 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            return self.a(x) if float(x.sum()) < 1 else x

    net = Picky()
    seen = trace(net, input_shape=(4,))
    assert seen.method == "real" and "copy" in seen.remark and seen.remark in str(seen)
    assert seen.flops == 24 and net.calls == 0


def test_several_inputs_and_pictures_as_a_dictionary_of_outputs() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 3), nn.Linear(6, 3)

        def forward(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
            return {"logits": self.a(x) + self.b(y), "other": x}

    seen = trace(Two(), input_shape=((4,), (6,)))
    assert seen.input_shape == ((4,), (6,)) and seen.output_shape == (3,)


def test_a_wrong_shape_is_a_clear_error() -> None:
    with pytest.raises(ConfigError, match="cannot run on input"):
        trace(lenet(), input_shape=(3, 28, 28))
    with pytest.raises(ConfigError, match="input_shape"):
        trace(lenet())


def test_ten_million_parameters_take_less_than_a_second() -> None:
    trace(nn.Linear(1, 1), input_shape=(1,))  # torch loads its shape functions once a process
    net, started = ResNet18(), time.perf_counter()
    trace(net, input_shape=(3, 224, 224))
    assert time.perf_counter() - started < 1
