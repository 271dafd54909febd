"""Laws that every network of the catalog keeps, at small sizes, and hand-made stacks with them."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from netwright.core.errors import ConfigError
from netwright.models import MODELS, build, card, list_models
from netwright.models.layers import LayerStack

BATCH = 3


@dataclass(frozen=True)
class Case:
    """A small build, one example's shape, one output's shape, and the features' and the new head's shapes."""

    name: str
    arguments: dict[str, Any]
    input: tuple[int, ...]
    output: tuple[int, ...]
    features: tuple[int, ...]
    kind: str = "float"
    feature_input: tuple[int, ...] | None = None  # where features() reads something else than forward()
    new_head: Callable[[int], tuple[int, ...]] = field(default=lambda classes: (classes,))

    def build(self) -> nn.Module:
        torch.manual_seed(0)
        if self.name == "layers":
            return LayerStack(**self.arguments)
        return build(self.name, **self.arguments)

    def batch(self, size: int = BATCH, dtype: torch.dtype = torch.float32) -> Tensor:
        generator = torch.Generator().manual_seed(1)
        if self.kind == "tokens":
            return torch.randint(0, 11, (size, *self.input), generator=generator)
        return torch.randn(size, *self.input, generator=generator).to(dtype)


def _lenet(size: int, channels: int = 1, **more: Any) -> Case:
    arguments = {"in_channels": channels, "image_size": size, "num_classes": 4, **more}
    return Case("lenet5", arguments, (channels, size, size), (4,), (84,))


def _gpt(time: int, **more: Any) -> Case:
    arguments = {"vocab_size": 11, "context": 8, "num_layers": 2, "num_heads": 2, "hidden_size": 12, "dropout": 0.1}
    return Case("gpt", arguments | more, (time,), (time, 11), (time, 12), "tokens", new_head=lambda n: (time, n))


CONV_STACK = [
    {"conv": 6, "kernel": 3}, "norm", "relu", {"residual": [{"conv": 6, "padding": "same"}, "norm"]}, {"pool": "max"},
    "flatten", "linear",
]  # fmt: skip
TEXT_STACK = [{"embedding": 6}, {"lstm": 5, "bidirectional": True}, {"dropout": 0.2}, "linear"]

CASES = {
    "mlp-image": Case("mlp", {"in_features": 12, "num_classes": 4, "hidden": [7, 6]}, (3, 2, 2), (4,), (6,)),
    "mlp-table": Case(
        "mlp", {"in_features": 5, "num_classes": 1, "hidden": [8], "norm": "batch", "dropout": 0.2}, (5,), (1,), (8,)
    ),
    "mlp-layer-norm": Case(
        "mlp", {"in_features": 5, "num_classes": 2, "norm": "layer", "hidden": [8], "activation": "silu"},
        (5,), (2,), (8,),
    ),
    "mlp-linear": Case("mlp", {"in_features": 5, "num_classes": 3, "hidden": []}, (5,), (3,), (5,)),
    "lenet5-28": _lenet(28),
    "lenet5-32-colour": _lenet(32, 3, variant="modern", norm="batch", dropout=0.2),
    "lenet5-smallest": _lenet(12, variant="modern"),
    "gpt": _gpt(8),
    "gpt-one-token": _gpt(1),
    "gpt-sinusoidal": _gpt(5, positions="sinusoidal", activation="relu", num_heads=3),
    "gan": Case(
        "gan", {"image_shape": (1, 4, 5), "noise_size": 6, "generator_hidden": [8], "discriminator_hidden": [9, 7]},
        (6,), (), (7,), feature_input=(1, 4, 5),
    ),
    "dqn": Case("dqn", {"in_features": 4, "num_actions": 3, "hidden": [8]}, (4,), (3,), (8,)),
    "dqn-dueling": Case(
        "dqn", {"in_features": 6, "num_actions": 2, "hidden": [8, 7], "head": "dueling"}, (2, 3), (2,), (7,)
    ),
    "layers-conv": Case(
        "layers", {"layers": CONV_STACK, "input_shape": (2, 8, 8), "num_classes": 4}, (2, 8, 8), (4,), (54,)
    ),
    "layers-text": Case(
        "layers", {"layers": TEXT_STACK, "input_shape": (7,), "num_classes": 4, "vocab_size": 11},
        (7,), (4,), (10,), "tokens",
    ),
}  # fmt: skip

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def test_every_network_of_the_catalog_has_a_case() -> None:
    assert set(MODELS) <= {case.name for case in CASES.values()}


@every_case
@pytest.mark.parametrize("size", [1, 2, 5])
def test_forward_has_the_promised_shape(case: Case, size: int) -> None:
    net = case.build().eval()
    assert net(case.batch(size)).shape == (size, *case.output)


@every_case
def test_features_and_a_new_head(case: Case) -> None:
    net = case.build().eval()
    x = case.batch() if case.feature_input is None else torch.randn(BATCH, *case.feature_input)
    before = net.features(x)
    assert before.shape == (BATCH, *case.features)
    net.reset_head(9)
    assert torch.equal(net.features(x), before), "a new head must leave the representation alone"
    assert net(case.batch()).shape == (BATCH, *case.new_head(9))
    net(case.batch()).float().sum().backward()


@every_case
def test_every_parameter_gets_a_gradient(case: Case) -> None:
    net = case.build().train()
    out = net(case.batch(8))
    (out * torch.randn(out.shape, generator=torch.Generator().manual_seed(2))).sum().backward()
    dead = [name for name, weight in net.named_parameters() if weight.grad is None or not weight.grad.abs().sum() > 0]
    assert not dead


@every_case
def test_weights_survive_a_file(case: Case, tmp_path: Path) -> None:
    net, other = case.build().eval(), case.build().eval()
    for weight in other.parameters():
        weight.data.add_(1.0)
    save_file(net.state_dict(), tmp_path / "weights.safetensors")  # refuses two names for one tensor
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(net(case.batch()), other(case.batch()))


@every_case
def test_eval_is_deterministic_and_alters_nothing(case: Case) -> None:
    net = case.build().eval()
    before, rng = copy.deepcopy(net.state_dict()), torch.get_rng_state()
    assert torch.equal(net(case.batch()), net(case.batch()))
    assert torch.equal(torch.get_rng_state(), rng)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@every_case
def test_one_example_does_not_touch_another(case: Case) -> None:
    net, x = case.build().eval(), case.batch()
    torch.testing.assert_close(net(x)[:1], net(x[:1]), rtol=1e-4, atol=1e-5)


@every_case
def test_bfloat16_stays_near_float32(case: Case) -> None:
    net = case.build().eval()
    exact = net(case.batch())
    with torch.autocast("cpu", torch.bfloat16):
        near = net(case.batch())
    assert (near.float() - exact).abs().max() <= 0.05 * (1 + exact.abs().max())
    half = net.to(torch.bfloat16)(case.batch(dtype=torch.bfloat16))
    assert half.dtype == torch.bfloat16
    assert (half.float() - exact).abs().max() <= 0.08 * (1 + exact.abs().max())


@every_case
def test_same_seed_same_weights(case: Case) -> None:
    first, second = case.build().state_dict(), case.build().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


@every_case
def test_a_copy_is_independent(case: Case) -> None:
    net = case.build().eval()
    twin, out = copy.deepcopy(net), net(case.batch())
    for weight in net.parameters():
        weight.data.zero_()
    assert torch.equal(twin(case.batch()), out)


@every_case
def test_export_gives_the_same_numbers_for_any_batch(case: Case) -> None:
    net = case.build().eval()
    dynamic = ({0: torch.export.Dim("batch", min=1, max=64)},)
    program = torch.export.export(net, (case.batch(),), dynamic_shapes=dynamic).module()
    for size in (1, BATCH, 7):
        torch.testing.assert_close(program(case.batch(size)), net(case.batch(size)))


@pytest.mark.parametrize("name", list(MODELS))
def test_the_card_states_the_parameters_of_a_default_build(name: str) -> None:
    with torch.device("meta"):
        net = build(name)
        dtype = torch.int64 if card(name).input_kind == "tokens" else torch.float32
        net.eval()(torch.zeros(2, *card(name).input, dtype=dtype))
    assert sum(weight.numel() for weight in net.parameters()) == card(name).parameters


@pytest.mark.parametrize("name", list(MODELS))
def test_the_card_is_whole(name: str) -> None:
    assert all([card(name).paper, card(name).idea, card(name).when, card(name).summary, card(name).tasks])
    assert name in list_models(card(name).family)


WRONG_INPUTS = {
    "mlp": (lambda: build("mlp", in_features=5)(torch.randn(2, 4)), "takes 5 numbers"),
    "lenet5": (lambda: build("lenet5", image_size=8), "pool2; use images of at least 12"),
    "lenet5-32": (lambda: build("lenet5")(torch.randn(2, 1, 32, 32)), "1x28x28, got 1x32x32"),
    "gpt": (lambda: build("gpt", **CASES["gpt"].arguments)(torch.zeros(2, 9, dtype=torch.int64)), "context=8"),
    "gan": (lambda: CASES["gan"].build().discriminator(torch.randn(2, 1, 4, 4)), "(1, 4, 5)"),
    "dqn": (lambda: CASES["dqn"].build()(torch.randn(2, 5)), "in_features=5"),
    "layers": (lambda: CASES["layers-conv"].build()(torch.randn(2, 2, 4, 4)), "2x8x8 an example, got 2x4x4"),
}


@pytest.mark.parametrize(("call", "words"), WRONG_INPUTS.values(), ids=WRONG_INPUTS.keys())
def test_an_input_that_does_not_fit_is_one_clear_line(call: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigError) as error:
        call()
    assert words in str(error.value)
    assert "\n" not in str(error.value)
