"""Hand-made networks: every kind's inferred size against its real output, and every mistake's one line."""

from typing import Any

import pytest
import torch
from torch import nn

from netwright.core.errors import ConfigError
from netwright.models.layers import KINDS, LayerStack

MAPS = {  # layers and the shape they make of [2, 9] / [2, 9, 8] / [2, 9, 8, 7], by the number of dimensions
    "conv": ([{"conv": 4}], [(4, 7), (4, 7, 6), (4, 7, 6, 5)]),
    "same": ([{"conv": 4, "kernel": 5, "padding": "same"}], [(4, 9), (4, 9, 8), (4, 9, 8, 7)]),
    "even-same": ([{"conv": 4, "kernel": 4, "padding": "same"}], [(4, 9), (4, 9, 8), (4, 9, 8, 7)]),
    "strided-same": ([{"conv": 4, "padding": "same", "stride": 2}], [(4, 5), (4, 5, 4), (4, 5, 4, 4)]),
    "dilated": ([{"conv": 4, "kernel": 3, "dilation": 2, "padding": 1}], [(4, 7), (4, 7, 6), (4, 7, 6, 5)]),
    "grouped": ([{"conv": 4, "groups": 2, "bias": False}], [(4, 7), (4, 7, 6), (4, 7, 6, 5)]),
    "depthwise": ([{"depthwise-conv": 3, "multiplier": 2}], [(4, 9), (4, 9, 8), (4, 9, 8, 7)]),
    "separable": ([{"separable-conv": 5, "stride": 2}], [(5, 5), (5, 5, 4), (5, 5, 4, 4)]),
    "transposed": ([{"transposed-conv": 3}], [(3, 18), (3, 18, 16), (3, 18, 16, 14)]),
    "transposed-3": (
        [{"transposed-conv": 3, "kernel": 3, "padding": 1, "output_padding": 1}],
        [(3, 18), (3, 18, 16), (3, 18, 16, 14)],
    ),
    "max": (["pool"], [(2, 4), (2, 4, 4), (2, 4, 4, 3)]),
    "avg": ([{"pool": "avg", "kernel": 3, "stride": 2, "padding": 1}], [(2, 5), (2, 5, 4), (2, 5, 4, 4)]),
    "adaptive": ([{"adaptive-pool": 3}], [(2, 3), (2, 3, 3), (2, 3, 3, 3)]),
    "global": (["global-pool"], [(2,), (2,), (2,)]),
    "upsample": ([{"upsample": 3, "mode": "linear"}], [(2, 27), (2, 27, 24), (2, 27, 24, 21)]),
    "norms": (
        ["norm", {"norm": "layer"}, {"norm": "instance"}, {"norm": "group", "groups": 2}],
        [(2, 9), (2, 9, 8), (2, 9, 8, 7)],
    ),
    "residual": ([{"residual": [{"conv": 2, "padding": "same"}]}], [(2, 9), (2, 9, 8), (2, 9, 8, 7)]),
    "dense": ([{"dense": [{"conv": 3, "padding": "same"}, "relu"]}], [(5, 9), (5, 9, 8), (5, 9, 8, 7)]),
    "branches": (
        [{"branches": [[{"conv": 3, "kernel": 1}], [{"pool": "max", "kernel": 3, "stride": 1, "padding": 1}]]}],
        [(5, 9), (5, 9, 8), (5, 9, 8, 7)],
    ),
    "squeeze-excite": ([{"squeeze-excite": 2}], [(2, 9), (2, 9, 8), (2, 9, 8, 7)]),
    "residual-projected": (
        [{"residual": [{"conv": 6, "padding": "same", "stride": 2}, "norm"]}], [(6, 5), (6, 5, 4), (6, 5, 4, 4)]
    ),
}  # fmt: skip


@pytest.mark.parametrize(("layers", "shapes"), MAPS.values(), ids=MAPS.keys())
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_inferred_sizes_of_feature_maps(layers: list[Any], shapes: list[tuple[int, ...]], dims: int) -> None:
    shape = (2, 9, 8, 7)[: dims + 1]
    net = LayerStack(layers, shape)
    assert net.output_shape == shapes[dims - 1]
    assert net(torch.randn(3, *shape)).shape == (3, *net.output_shape)


SEQUENCES = {
    "tokens": ([{"embedding": 6}], (7,), (7, 6)),
    "lstm": ([{"embedding": 6}, {"lstm": 4, "bidirectional": True}], (7,), (8,)),
    "gru-all": (
        [{"embedding": 6}, {"gru": 4, "layers": 2, "dropout": 0.1, "returns": "all"}, "norm", {"linear": 3}],
        (7,), (7, 3),
    ),
    "text-cnn": ([{"embedding": 6}, {"conv": 5}, "norm", "relu", {"global-pool": "max"}], (7,), (5,)),
    "mean": ([{"embedding": 6}, "global-pool"], (7,), (6,)),
    "attention": (
        [{"embedding": 6}, {"residual": [{"norm": "layer"}, {"attention": 3, "causal": True}]}], (7,), (7, 6)
    ),
    "conv-rnn": ([{"embedding": 6}, {"conv": 5}, {"rnn": 4}], (7,), (4,)),
    "softmax": ([{"embedding": 6}, "flatten", {"linear": 3}, "softmax"], (7,), (3,)),
    "dense-sequence": ([{"embedding": 6}, {"dense": [{"linear": 3}]}], (7,), (7, 9)),
    "residual-flat": ([{"embedding": 6}, "flatten", {"residual": [{"linear": 5}, "relu"]}], (7,), (5,)),
}  # fmt: skip


@pytest.mark.parametrize(("layers", "shape", "output"), SEQUENCES.values(), ids=SEQUENCES.keys())
def test_inferred_sizes_of_token_sequences(layers: list[Any], shape: tuple[int, ...], output: tuple[int, ...]) -> None:
    net = LayerStack(layers, shape, vocab_size=11)
    assert net.output_shape == output
    assert net(torch.randint(0, 11, (3, *shape))).shape == (3, *output)


@pytest.mark.parametrize(
    ("first", "output"), [({"lstm": 4}, (4,)), ({"conv": 4, "kernel": 2}, (4, 7)), ({"attention": 2}, (6, 8))]
)
def test_an_input_of_rank_two_is_read_as_the_first_layer_needs(first: dict[str, Any], output: tuple[int, ...]) -> None:
    net = LayerStack([first], (6, 8))
    assert net.output_shape == output
    assert net(torch.randn(3, 6, 8)).shape == (3, *output)


def test_a_stream_of_tokens_is_read_in_windows() -> None:
    layers = [{"embedding": 6}, {"gru": 5, "returns": "all"}, "linear"]
    net = LayerStack(layers, (), vocab_size=11, context=7)
    assert (net.context, net.output_shape) == (7, (7, 11))
    assert net(torch.zeros(2, 3, dtype=torch.int64)).shape == (2, 3, 11)


def test_reshape_back_and_forth() -> None:
    net = LayerStack([{"reshape": [3, 4, 5]}, {"conv": 2}, {"reshape": [12]}, {"reshape": [3, 4]}, {"gru": 2}], (60,))
    assert net(torch.randn(2, 60)).shape == (2, 2)


@pytest.mark.parametrize("name", [n for n in KINDS if n not in ("log-softmax", "softmax")])
def test_every_kind_without_a_required_value_stands_by_its_bare_name(name: str) -> None:
    needs = {"adaptive-pool", "attention", "conv", "embedding", "gru", "lstm", "reshape", "rnn", "separable-conv",
             "transposed-conv"}  # fmt: skip
    if name in needs:
        with pytest.raises(ConfigError, match=f"{name} needs a value"):
            LayerStack([name], (2, 8, 8))
    else:
        before = ["flatten"] if name == "linear" else []
        LayerStack([*before, name], (2, 8, 8), num_classes=3)(torch.randn(2, 2, 8, 8))


def test_module_paths_follow_the_list() -> None:
    net = LayerStack([{"conv": 4}, "norm", "relu", "flatten", "linear"], (1, 5, 5), num_classes=3)
    assert isinstance(net.layers[0], nn.Conv2d)
    assert isinstance(net.layers[4], nn.Linear)


def test_a_bias_before_a_norm_is_left_out_unless_asked_for() -> None:
    layers = [{"conv": 4}, "norm", {"conv": 4, "bias": True}, "norm", {"conv": 4}, {"norm": "group"}]
    net = LayerStack(layers, (1, 9, 9))
    assert [net.layers[i].bias is not None for i in (0, 2, 4)] == [False, True, True]


def test_the_order_of_keys_means_nothing() -> None:
    written = [{"kernel": 5, "conv": 4}, {"dropout": 0.3, "layers": 2, "lstm": 4}]
    assert LayerStack(written, (2, 9)).output_shape == (4,)


def test_a_deep_stack_keeps_its_signal() -> None:
    torch.manual_seed(0)
    net = LayerStack([entry for _ in range(12) for entry in ({"linear": 256}, "relu")], (256,))
    assert 0.3 < net(torch.randn(64, 256)).square().mean() < 3


def test_a_fully_convolutional_net_takes_other_sizes() -> None:
    net = LayerStack([{"conv": 4}, "relu", "global-pool", "linear"], (1, 8, 8), num_classes=3)
    assert net(torch.randn(2, 1, 16, 11)).shape == (2, 3)
    with pytest.raises(ConfigError, match="1x8x8 an example, got 3x8x8"):
        net(torch.randn(2, 3, 8, 8))


def test_a_convolution_can_be_the_head() -> None:
    net = LayerStack([{"conv": 4}, "relu", {"conv": 3, "kernel": 1}, "global-pool"], (1, 8, 8))
    net.reset_head(7)
    assert net(torch.randn(2, 1, 8, 8)).shape == (2, 7)


def test_without_a_head_there_is_nothing_to_reset() -> None:
    net = LayerStack(["relu"], (4,))
    assert torch.equal(net.features(torch.ones(1, 4)), torch.ones(1, 4))
    with pytest.raises(ConfigError, match="no linear or conv"):
        net.reset_head(3)


MISTAKES: dict[str, tuple[list[Any], tuple[int, ...], list[str]]] = {
    "kernel": (
        [{"conv": 32}, "relu", "relu", {"conv": 8, "kernel": 9}], (1, 6, 6),
        ["model.layers[3].conv: kernel=9 is larger than the 4x4 feature map; use a kernel of at most 4 or padding"],
    ),
    "shrunk": (["pool"] * 4, (1, 8, 8), ["[3].pool: kernel=2 does not fit the 1x1 feature map that is left"]),
    "unflattened": (
        [{"conv": 4}, {"linear": 3}], (1, 6, 6),
        ["model.layers[1].linear: linear after the unflattened 4x4x4 feature map"],
    ),
    "unknown": (
        ["rellu", {"dence": 4}], (4,), ["[0]: no layer is called 'rellu'; did you mean relu?", "[1]: no layer"]
    ),
    "option": (
        [{"conv": 4, "kernal": 3}], (1, 6, 6), ["model.layers[0].kernal is not a setting of conv; did you mean kernel?"]
    ),
    "type": ([{"conv": "four"}], (1, 6, 6), ["model.layers[0].conv='four' does not fit; expected a valid integer"]),
    "range": ([{"dropout": 1.5}], (4,), ["model.layers[0].dropout=1.5 does not fit; expected less than 1"]),
    "literal": ([{"pool": "sum"}], (1, 6, 6), ["model.layers[0].pool='sum' is not one of"]),
    "two": ([{"conv": 4, "relu": None}], (1, 6, 6), ["model.layers[0] holds several layers (conv, relu)"]),
    "no-layer": ([3, None, {}], (4,), ["model.layers[0]=3", "model.layers[1]=None", "model.layers[2]={}"]),
    "value": ([{"relu": 3}], (4,), ["relu takes no value, got 3"]),
    "units": ([{"linear": None}], (4,), ["linear needs its number of units"]),
    "classes": (["linear"], (4,), ["linear needs its number of units"]),
    "flat": (
        [{"conv": 4}, "pool"], (4,), ["[0].conv: conv needs a feature map, got 4 flat features", "[1].pool: pool needs"]
    ),
    "sequence": ([{"lstm": 4}], (1, 6, 6), ["[0].lstm: lstm needs a sequence, got a 1x6x6 feature map"]),
    "last": ([{"lstm": 4}, {"lstm": 4}], (6, 6), ["returns: all in the recurrent layer before it"]),
    "vocabulary": ([{"embedding": 4}], (6,), ["[0].embedding: embedding needs the number of tokens"]),
    "heads": ([{"attention": 4}], (5, 6), ["attention=4 heads do not divide the width 6; use 1, 2, 3, 6"]),
    "groups": ([{"conv": 4, "groups": 3}], (3, 6, 6), ["groups=3 does not divide both the 3 channels"]),
    "norm-groups": (
        [{"norm": "group", "groups": 4}], (6, 5, 5), ["groups=4 does not divide 6 channels; use 1, 2, 3, 6"]
    ),
    "instance": ([{"norm": "instance"}], (6,), ["norm='instance' needs a feature map"]),
    "softmax": ([{"linear": 4}, "softmax", {"linear": 2}], (6,), ["[1].softmax is for the output only"]),
    "reshape": ([{"reshape": [3, 3]}], (8,), ["reshape to 3x3 needs 9 numbers, and the 8 flat features has 8"]),
    "reshape-rank": ([{"reshape": [1, 1, 2, 2, 2]}], (8,), ["must have one to four sizes"]),
    "sizes": ([{"conv": 4, "kernel": [3, 3]}], (1, 9), ["2 sizes do not fit a feature map of 1 dimensions"]),
    "branch": ([{"residual": [{"conv": 8}]}], (3, 9, 9), ["turns a 3x9x9 feature map into a 8x7x7 feature map"]),
    "inside": ([{"residual": ["relu", "nrm"]}], (3, 9, 9), ["model.layers[0].residual[1]: no layer is called 'nrm'"]),
    "residual": ([{"residual": 3}], (3, 9, 9), ["model.layers[0].residual=3 is not a list of layers"]),
    "side-by-side": (
        [{"branches": [[{"conv": 2}], ["relu"]]}], (3, 9, 9), ["2x7x7 feature map, 3x9x9 feature map cannot stand side"]
    ),
    "one-branch": ([{"branches": [["relu"]]}], (3, 9, 9), ["is not a list of two or more lists of layers"]),
    "patches": ([{"patches": 16}], (3, 9, 9), ["patches=16 is larger than the 3x9x9 feature map; use at most 9"]),
    "dropout": ([{"lstm": 4, "dropout": 0.1}], (3, 9), ["dropout=0.1 works between layers and there is one"]),
    "padding": ([{"pool": "max", "padding": 2}], (1, 9, 9), ["padding=2 is more than half of kernel=2; use at most 1"]),
    "empty": ([], (4,), ["model.layers=[] is not a list of layers"]),
    "rank": (["relu"], (1, 2, 3, 4, 5), ["model.input_shape=[1, 2, 3, 4, 5] must have one to four sizes"]),
}  # fmt: skip


@pytest.mark.parametrize(("layers", "shape", "lines"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_have_one_line_each(layers: list[Any], shape: tuple[int, ...], lines: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        LayerStack(layers, shape)
    said = str(error.value).splitlines()
    assert len(said) == len(lines)
    assert all(line in text for line, text in zip(lines, said, strict=True)), said
    assert all(problem.path.startswith("model.") for problem in error.value.problems)


def test_one_mistake_does_not_hide_the_next() -> None:
    misfits = [{"conv": 8, "kernel": 9}, "relu", {"linear": 3}, "softmax", {"conv": 4}]
    layers = [*misfits, {"linear": 2, "unit": 3}, "gelus"]
    with pytest.raises(ConfigError) as error:
        LayerStack(layers, (1, 4, 4))
    places = [problem.path for problem in error.value.problems]
    wanted = ["[0].conv", "[2].linear", "[3].softmax", "[4].conv", "[5]", "[6]"]
    assert sorted(places) == [f"model.layers{place}" for place in wanted]


def test_a_meta_build_costs_no_memory() -> None:
    with torch.device("meta"):
        net = LayerStack(["flatten", {"linear": 200_000}, "relu", {"linear": 200_000}], (1, 28, 28))
    assert sum(weight.numel() for weight in net.parameters()) > 10**10


def test_branches_of_flat_features_stand_side_by_side() -> None:
    net = LayerStack([{"branches": [[{"linear": 4}], ["relu"]]}], (7,))
    x = torch.randn(2, 7)
    assert torch.equal(net(x)[:, 4:], x.relu()) and net.output_shape == (11,)


def test_patches_are_a_sequence_for_attention() -> None:
    net = LayerStack([{"patches": 4, "width": 6}, {"attention": 3}, "global-pool"], (2, 9, 8))
    assert net(torch.randn(3, 2, 9, 8)).shape == (3, 6)
    one = LayerStack([{"patches": 4, "width": 6}], (2, 9, 8)).eval()
    x = torch.randn(1, 2, 9, 8)
    moved = x.clone()
    moved[..., 8:, :] += 1  # the ninth row fills no square
    assert torch.equal(one(x), one(moved))
