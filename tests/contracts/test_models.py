"""Laws that every network of the catalog keeps, at small sizes, and hand-made stacks with them."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from netwright.core.errors import ConfigError
from netwright.models import MODELS, build, card, list_models
from netwright.models.layers import LayerStack

BATCH = 3


def _side_by_side(net: nn.Module, inputs: object, said: object) -> Tensor:
    """What a distribution over actions is made of, and a value, as one tensor: the laws are about numbers."""
    parts = [part.unsqueeze(1) if part.dim() == 1 else part for part in tree_leaves(said)]
    return torch.cat(parts, 1)


@dataclass(frozen=True)
class Case:
    """A small build, one example's shape, one output's shape, and the features' and the new head's shapes.

    kind: "float", "tokens", "token-pairs" (a source and a target, whose lengths are the input's two numbers), "graphs"
    (an example is a ring of as many nodes, with as many features), or "nodes" (an example is a node of one graph).
    """

    name: str
    arguments: dict[str, Any]
    input: tuple[int, ...]
    output: tuple[int, ...]
    features: tuple[int, ...]
    kind: str = "float"
    feature_input: tuple[int, ...] | None = None  # where features() reads something else than forward()
    new_head: Callable[[int], tuple[int, ...]] = field(default=lambda classes: (classes,))
    sizes: tuple[tuple[int, int], ...] = ()  # images that fit, for the laws of vision; () for the usual three

    def build(self) -> nn.Module:
        torch.manual_seed(0)
        if self.name == "layers":
            return LayerStack(**self.arguments)
        net = build(self.name, **self.arguments)
        if card(self.name).family == "policy":
            net.register_forward_hook(_side_by_side)
        return net

    def batch(self, size: int = BATCH, dtype: torch.dtype = torch.float32) -> Tensor:
        generator = torch.Generator().manual_seed(1)
        if self.kind == "tokens":
            return torch.randint(0, 11, (size, *self.input), generator=generator)
        return torch.randn(size, *self.input, generator=generator).to(dtype)

    def inputs(self, size: int = BATCH, dtype: torch.dtype = torch.float32) -> tuple[Tensor, ...]:
        """All that forward takes; the sources of pairs are padded, each to another length."""
        if self.kind in ("graphs", "nodes"):
            return self._graph(size, dtype)
        if self.kind != "token-pairs":
            return (self.batch(size, dtype),)
        generator = torch.Generator().manual_seed(1)
        source, target = (torch.randint(0, 11, (size, time), generator=generator) for time in self.input)
        lengths = 1 + torch.arange(self.input[0] - 1, self.input[0] - 1 + size) % self.input[0]
        return source, target, torch.arange(self.input[0]) < lengths[:, None]

    def _graph(self, size: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """Rings, each a graph; or a path, whose first node is linked to none."""
        ring = self.input[0] if self.kind == "graphs" else 1
        generator, count = torch.Generator().manual_seed(1), size * ring
        nodes = torch.randn(count, self.input[-1], generator=generator).to(dtype)
        own = torch.arange(count)
        after = own // ring * ring + (own + 1) % ring if ring > 1 else own + 1
        ends = torch.stack([own, after])[:, slice(None) if ring > 1 else slice(1, -1)]
        edges = torch.cat([ends, ends.flip(0)], 1)
        attributes = torch.randn(edges.shape[1], self.arguments.get("edge_features", 0), generator=generator).to(dtype)
        return (nodes, edges, attributes, own // ring) if ring > 1 else (nodes, edges, attributes)

    def first(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The first example alone."""
        if self.kind not in ("graphs", "nodes"):
            return tuple(part[:1] for part in inputs)
        nodes, edges, attributes, *index = inputs
        count = self.input[0] if self.kind == "graphs" else 1
        kept = (edges < count).all(0)
        return (nodes[:count], edges[:, kept], attributes[kept], *(part[:count] for part in index))

    def exported(self, size: int = BATCH) -> tuple[Tensor, ...]:
        """What an exported program is given; of graphs a single one of any size, for shapes do not tell how many."""
        return self.inputs(size)[:3] if self.kind == "graphs" else self.inputs(size)

    def dynamic(self) -> tuple[dict[int, Any], ...]:
        """Which sizes an exported program must leave open."""
        if self.kind in ("graphs", "nodes"):
            nodes, edges = torch.export.Dim("nodes", min=1, max=64), torch.export.Dim("edges", min=0, max=128)
            return {0: nodes}, {1: edges}, {0: edges}
        return tuple({0: torch.export.Dim("batch", min=1, max=64)} for _ in self.inputs())


def _lenet(size: int, channels: int = 1, **more: Any) -> Case:
    arguments = {"in_channels": channels, "image_size": size, "num_classes": 4, **more}
    return Case("lenet5", arguments, (channels, size, size), (4,), (84,))


def _gpt(time: int, **more: Any) -> Case:
    arguments = {"vocab_size": 11, "context": 8, "num_layers": 2, "num_heads": 2, "hidden_size": 12, "dropout": 0.1}
    return Case("gpt", arguments | more, (time,), (time, 11), (time, 12), "tokens", new_head=lambda n: (time, n))


def _bert(task: str, output: tuple[int, ...], new_head: tuple[int, ...] = (), **more: Any) -> Case:
    sizes = {"vocab_size": 11, "context": 8, "num_layers": 2, "num_heads": 3, "hidden_size": 12, "inner_size": 16}
    head = lambda classes: (*new_head, classes)  # noqa: E731
    return Case("bert", sizes | {"task": task} | more, (7,), output, (7, 12), "tokens", new_head=head)


def _pairs(name: str, width: int, **more: Any) -> Case:
    arguments = {"vocab_size": 11, "num_layers": 2, "hidden_size": width, "inner_size": 20, "dropout": 0.1, **more}
    return Case(name, arguments, (6, 4), (4, 11), (4, width), "token-pairs", new_head=lambda classes: (4, classes))


def _reader(name: str, width: int, **more: Any) -> Case:
    """A text classifier, `width` wide in all directions."""
    arguments = {"vocab_size": 11, "num_classes": 4, "embedding_size": 6, "hidden_size": 5, "dropout": 0.1, **more}
    return Case(name, arguments, (7,), (4,), (7, width), "tokens")


def _writer(name: str, **more: Any) -> Case:
    """A recurrent language model."""
    arguments = {"vocab_size": 11, "context": 7, "hidden_size": 6, "num_layers": 2, "dropout": 0.1, **more}
    return Case(name, arguments, (7,), (7, 11), (7, 6), "tokens", new_head=lambda classes: (7, classes))


def _forecaster(name: str, **more: Any) -> Case:
    arguments = {"in_channels": 2, "num_classes": 6, "hidden_size": 5, **more}
    return Case(name, arguments, (9, 2), (6,), (9, 5))


def _graphs(name: str, width: int, **more: Any) -> Case:
    arguments = {"in_features": 5, "num_classes": 4, "level": "graph", "num_layers": 2, "dropout": 0.1, **more}
    return Case(name, arguments, (6, 5), (4,), (width,), "graphs")


def _nodes(name: str, width: int, **more: Any) -> Case:
    return replace(_graphs(name, width, level="node", **more), input=(5,), kind="nodes")


def _seq2seq(**more: Any) -> Case:
    arguments = {"vocab_size": 11, "hidden_size": 8, "dropout": 0.1, **more}
    return Case("seq2seq", arguments, (6, 4), (4, 11), (4, 8), "token-pairs", new_head=lambda classes: (4, classes))


def _resnet(size: int, **more: Any) -> Case:
    width = more["width"] * 2 ** (len(more["depths"]) - 1) * (4 if more.get("block") == "bottleneck" else 1)
    arguments = {"num_classes": 4, **more}
    return Case("resnet", arguments, (more.get("in_channels", 3), size, size), (4,), (width,))


def _densenet(size: int, **more: Any) -> Case:
    arguments = {"num_classes": 4, "growth_rate": 4, "initial_channels": 8, **more}
    width = 8
    for place, depth in enumerate(more["depths"]):
        width = (width // 2 if place else width) + 4 * depth
    return Case("densenet", arguments, (more.get("in_channels", 3), size, size), (4,), (width,))


def _mobilenet(name: str, features: int, channels: int = 3, **more: Any) -> Case:
    arguments = {"in_channels": channels, "num_classes": 4, **more}
    return Case(name, arguments, (channels, 16, 16), (4,), (features,))


def _alexnet(size: int, channels: int, **more: Any) -> Case:
    arguments = {"in_channels": channels, "num_classes": 4, "widths": [4, 5, 6, 5, 4], "hidden": 24, **more}
    return Case("alexnet", arguments, (channels, size, size), (4,), (24,))


def _nin(size: int, channels: int, **more: Any) -> Case:
    arguments = {"in_channels": channels, "num_classes": 4, "widths": [[8, 8], [12, 12, 10], [14]], **more}
    return Case("nin", arguments, (channels, size, size), (4,), (14,))


def _unet(size: tuple[int, int], scored: tuple[int, int], **more: Any) -> Case:
    arguments = {"in_channels": 2, "num_classes": 3, "width": 4, "depth": 2, **more}
    new_head = lambda classes: (classes, *scored)  # noqa: E731
    return Case("unet", arguments, (2, *size), (3, *scored), (4, *scored), new_head=new_head)


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
    "word2vec": Case("word2vec", {"vocab_size": 11, "hidden_size": 6}, (5,), (11,), (6,), "tokens"),
    "bert": _bert("classification", (4,), num_classes=4),
    "bert-masked": _bert("masked-language-modeling", (7, 11), (7,)),
    "bert-span": _bert("question-answering", (2, 7), (7,)),
    "bert-embedding": _bert("embedding", (12,)),
    "bert-mean": _bert("embedding", (5,), num_classes=5),
    "transformer": _pairs("transformer", 12, num_heads=3, context=8),
    "transformer-pre": _pairs("transformer", 8, num_heads=2, context=6, norm="pre", activation="gelu", sharing="none"),
    "transformer-rotary": _pairs("transformer", 12, num_heads=3, positions="rotary", sharing="embeddings"),
    "transformer-learned": _pairs("transformer", 8, num_heads=2, context=6, positions="learned", sharing="head"),
    "t5": _pairs("t5", 12, num_heads=2, head_size=5, num_decoder_layers=1),
    "t5-gated": _pairs("t5", 8, num_heads=3, head_size=4, feed_forward="gated-gelu", head="separate", buckets=6),
    "rnn": _reader("rnn", 10, pooling="last", num_layers=2),
    "lstm": _reader("lstm", 10, num_layers=2),
    "lstm-last-state": _reader("lstm", 5, pooling="last", bidirectional=False),
    "gru": _reader("gru", 10, pooling="max"),
    "gru-mean": _reader("gru", 5, pooling="mean", bidirectional=False, num_layers=2),
    "rnn-lm": _writer("rnn_lm", tied=False),
    "lstm-lm": _writer("lstm_lm"),
    "gru-lm": _writer("gru_lm", num_layers=1),
    "rnn-forecaster": _forecaster("rnn_forecaster", num_layers=1),
    "lstm-forecaster": _forecaster("lstm_forecaster", dropout=0.1),
    "gru-forecaster": _forecaster("gru_forecaster"),
    "seq2seq-none": _seq2seq(attention="none", cell="gru", num_layers=1),
    "seq2seq-additive": _seq2seq(sharing="none"),
    "seq2seq-dot": _seq2seq(attention="dot", cell="gru", sharing="head"),
    "seq2seq-rnn": _seq2seq(attention="dot", cell="rnn", num_layers=1),
    "gan": Case(
        "gan", {"image_shape": (1, 4, 5), "noise_size": 6, "generator_hidden": [8], "discriminator_hidden": [9, 7]},
        (6,), (), (7,), feature_input=(1, 4, 5),
    ),
    "gcn": _nodes("gcn", 7, hidden_size=7, norm="layer"),
    "gcn-graphs": _graphs("gcn", 7, hidden_size=7, pooling="sum"),
    "gat": _nodes("gat", 6, hidden_size=3, num_heads=2),
    "gat-edges": _nodes("gat", 6, hidden_size=2, num_heads=3, edge_features=2),
    "gat-graphs": _graphs("gat", 6, hidden_size=3, num_heads=2, edge_features=2, pooling="max"),
    "graph-transformer": _graphs("graph_transformer", 12, hidden_size=12, num_heads=3, edge_features=2, max_distance=2),
    "graph-transformer-graphs": _graphs("graph_transformer", 8, hidden_size=8, num_heads=2, max_distance=3),
    "dcgan": Case(
        "dcgan", {"image_shape": (2, 8, 12), "noise_size": 6, "width": 4}, (6,), (), (4 * 4 * 6,),
        feature_input=(2, 8, 12),
    ),
    "dcgan-critic": Case(
        "dcgan", {"image_shape": (1, 8, 8), "noise_size": 5, "width": 4, "depth": 2, "norm": "layer",
                  "discriminator_norm": "layer"}, (5,), (), (8 * 2 * 2,), feature_input=(1, 8, 8),
    ),
    "autoencoder-image": Case(
        "autoencoder", {"image_shape": (2, 3, 4), "hidden": [9], "code_size": 5, "output": "sigmoid"},
        (2, 3, 4), (2, 3, 4), (5,),
    ),
    "autoencoder-table": Case(
        "autoencoder", {"in_features": 7, "hidden": [9, 6], "code_size": 3, "norm": "batch",
                        "code_activation": "sigmoid"}, (7,), (7,), (3,),
    ),
    "autoencoder-linear": Case("autoencoder", {"in_features": 7, "hidden": [], "code_size": 3}, (7,), (7,), (3,)),
    "conv-autoencoder": Case(
        "conv_autoencoder", {"image_shape": (2, 8, 12), "widths": [4, 6], "code_size": 5}, (2, 8, 12), (2, 8, 12), (5,)
    ),
    "conv-autoencoder-no-norm": Case(
        "conv_autoencoder", {"image_shape": (1, 6, 2), "widths": [5], "code_size": 4, "norm": "none", "output": "tanh"},
        (1, 6, 2), (1, 6, 2), (4,),
    ),
    "vae": Case("vae", {"image_shape": (2, 3, 4), "hidden": [9], "code_size": 5}, (2, 3, 4), (2, 3, 4), (5,)),
    "conv-vae": Case(
        "conv_vae", {"image_shape": (1, 8, 8), "widths": [4, 6], "code_size": 3, "output": "identity"},
        (1, 8, 8), (1, 8, 8), (3,),
    ),
    "dqn": Case("dqn", {"in_features": 4, "num_actions": 3, "hidden": [8]}, (4,), (3,), (8,)),
    "dqn-dueling": Case(
        "dqn", {"in_features": 6, "num_actions": 2, "hidden": [8, 7], "head": "dueling"}, (2, 3), (2,), (7,)
    ),
    "dqn-pictures": Case(
        "dqn", {"num_actions": 3, "hidden": [8], "image_shape": (2, 36, 40), "head": "dueling"}, (2, 36, 40), (3,), (8,)
    ),
    "dqn-small-pictures": Case(
        "dqn", {"num_actions": 3, "hidden": [], "image_shape": (1, 5, 4)}, (1, 5, 4), (3,), (96,)
    ),
    "policy": Case("policy", {"in_features": 6, "num_actions": 3, "hidden": [8, 7]}, (2, 3), (3,), (7,)),
    "policy-numbers": Case(
        "policy", {"num_actions": 2, "actions": "continuous", "hidden": [7]}, (4,), (4,), (7,),
        new_head=lambda classes: (2 * classes,),
    ),
    "actor-critic": Case(
        "actor_critic", {"num_actions": 3, "hidden": [7]}, (4,), (4,), (7,), new_head=lambda classes: (classes + 1,)
    ),
    "actor-critic-pictures": Case(
        "actor_critic", {"num_actions": 2, "actions": "continuous", "hidden": [7], "trunks": "shared",
                         "image_shape": (1, 6, 6)}, (1, 6, 6), (5,), (7,), new_head=lambda classes: (2 * classes + 1,),
    ),
    "vit": Case(
        "vit", {"in_channels": 2, "image_size": 8, "num_classes": 4, "patch_size": 4, "num_layers": 2, "num_heads": 3,
                "hidden_size": 12, "inner_size": 24, "drop_path": 0.1}, (2, 8, 8), (4,), (12,),
    ),
    "vit-no-qkv-bias": Case(
        "vit", {"in_channels": 1, "image_size": 6, "num_classes": 3, "patch_size": 2, "num_layers": 1, "num_heads": 2,
                "hidden_size": 8, "inner_size": 16, "qkv_bias": False, "dropout": 0.1}, (1, 6, 6), (3,), (8,),
    ),
    "swin": Case(
        "swin", {"in_channels": 2, "num_classes": 4, "patch_size": 2, "width": 8, "depths": [2, 2], "num_heads": [1, 2],
                 "window": 2, "drop_path": 0.1}, (2, 17, 14), (4,), (16,),
    ),
    "swin-one-stage": Case(
        "swin", {"in_channels": 1, "num_classes": 3, "width": 6, "depths": [2], "num_heads": [3], "window": 3,
                 "dropout": 0.1}, (1, 16, 28), (3,), (6,),
    ),
    "resnet-basic": _resnet(32, depths=[1, 2], width=8, drop_path=0.2, dropout=0.1),
    "resnet-bottleneck-small": _resnet(8, depths=[2, 1], width=4, block="bottleneck", stem="small", in_channels=1),
    "densenet": _densenet(29, depths=[1, 2, 1, 1]),
    "densenet-small": _densenet(8, depths=[2, 2], stem="small", dropout=0.1, in_channels=1),
    "mobilenet-v1": _mobilenet("mobilenet_v1", 256, width=0.25, dropout=0.1),
    "mobilenet-v1-small-stem": _mobilenet("mobilenet_v1", 104, 1, width=0.1, stem="small"),
    "mobilenet-v2-small-stem": _mobilenet("mobilenet_v2", 1280, width=0.1, stem="small"),
    "mobilenet-v3-small": _mobilenet("mobilenet_v3_small", 256, 1, width=0.25, stem="small"),
    "mobilenet-v3-large": _mobilenet("mobilenet_v3_large", 128, width=0.1, dropout=0.0),
    "alexnet": _alexnet(63, 3),
    "alexnet-classroom": _alexnet(65, 1, stem="classroom"),
    "alexnet-small": _alexnet(20, 1, stem="small", dropout=0.1),
    "vgg": Case(
        "vgg", {"num_classes": 4, "depths": [1, 2], "widths": [4, 6], "hidden": [16, 12], "pool_size": 2},
        (3, 9, 7), (4,), (12,),
    ),
    "vgg-batch-norm": Case(
        "vgg", {"in_channels": 1, "num_classes": 4, "depths": [2, 1, 1], "widths": [4, 5, 6], "norm": "batch",
                "hidden": [], "pool_size": 1, "dropout": 0.1}, (1, 8, 8), (4,), (6,),
    ),
    "nin": _nin(23, 3),
    "nin-classroom": _nin(35, 1, stem="classroom", dropout=0.1),
    "nin-small": _nin(9, 1, stem="small", dropout=0.1),
    "googlenet": Case("googlenet", {"num_classes": 4, "width": 0.1}, (3, 16, 24), (4,), (102,)),
    "googlenet-small": Case(
        "googlenet", {"in_channels": 1, "num_classes": 4, "width": 0.125, "stem": "small"}, (1, 8, 8), (4,), (128,)
    ),
    "unet": _unet((8, 12), (8, 12), norm="batch"),
    "unet-any-size": _unet((7, 6), (7, 6), dropout=0.1),
    "unet-valid": replace(_unet((20, 24), (4, 8), depth=1, padding="valid"), sizes=((20, 20), (22, 24), (32, 28))),
    "layers-conv": Case(
        "layers", {"layers": CONV_STACK, "input_shape": (2, 8, 8), "num_classes": 4}, (2, 8, 8), (4,), (54,)
    ),
    "layers-text": Case(
        "layers", {"layers": TEXT_STACK, "input_shape": (7,), "num_classes": 4, "vocab_size": 11},
        (7,), (4,), (10,), "tokens",
    ),
}  # fmt: skip

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


@cache
def default_build(name: str) -> nn.Module:
    """A network as its card describes it, without memory: shared by the laws that only look."""
    with torch.device("meta"):
        return build(name).eval()


def test_every_kin_of_the_catalog_has_a_case() -> None:
    assert {entry.kin for entry in MODELS.values()} <= {card(c.name).kin for c in CASES.values() if c.name != "layers"}


@every_case
@pytest.mark.parametrize("size", [1, 2, 5])
def test_forward_has_the_promised_shape(case: Case, size: int) -> None:
    net = case.build().eval()
    assert net(*case.inputs(size)).shape == (size, *case.output)


@every_case
def test_features_and_a_new_head(case: Case) -> None:
    net = case.build().eval()
    x = case.inputs() if case.feature_input is None else (torch.randn(BATCH, *case.feature_input),)
    before = net.features(*x)
    assert before.shape == (BATCH, *case.features)
    net.reset_head(9)
    assert torch.equal(net.features(*x), before), "a new head must leave the representation alone"
    assert net(*case.inputs()).shape == (BATCH, *case.new_head(9))
    net(*case.inputs()).float().sum().backward()


@every_case
def test_every_parameter_gets_a_gradient(case: Case) -> None:
    net = case.build().train()
    out = net(*case.inputs(8))
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
    assert torch.equal(net(*case.inputs()), other(*case.inputs()))


@every_case
def test_eval_is_deterministic_and_alters_nothing(case: Case) -> None:
    net = case.build().eval()
    before, rng = copy.deepcopy(net.state_dict()), torch.get_rng_state()
    assert torch.equal(net(*case.inputs()), net(*case.inputs()))
    assert torch.equal(torch.get_rng_state(), rng)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@every_case
def test_one_example_does_not_touch_another(case: Case) -> None:
    net, x = case.build().eval(), case.inputs()
    torch.testing.assert_close(net(*x)[:1], net(*case.first(x)), rtol=1e-4, atol=1e-5)


@every_case
def test_bfloat16_stays_near_float32(case: Case) -> None:
    net = case.build().eval()
    exact = net(*case.inputs())
    with torch.autocast("cpu", torch.bfloat16):
        near = net(*case.inputs())
    assert (near.float() - exact).abs().max() <= 0.05 * (1 + exact.abs().max())
    half = net.to(torch.bfloat16)(*case.inputs(dtype=torch.bfloat16))
    assert half.dtype == torch.bfloat16
    assert (half.float() - exact).abs().max() <= 0.08 * (1 + exact.abs().max())


@every_case
def test_same_seed_same_weights(case: Case) -> None:
    first, second = case.build().state_dict(), case.build().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


@every_case
def test_a_copy_is_independent(case: Case) -> None:
    net = case.build().eval()
    twin, out = copy.deepcopy(net), net(*case.inputs())
    for weight in net.parameters():
        weight.data.zero_()
    assert torch.equal(twin(*case.inputs()), out)


@every_case
def test_export_gives_the_same_numbers_for_any_batch(case: Case) -> None:
    net = case.build().eval()
    program = torch.export.export(net, case.exported(), dynamic_shapes=case.dynamic()).module()
    for size in (1, BATCH, 7):
        torch.testing.assert_close(program(*case.exported(size)), net(*case.exported(size)))


@pytest.mark.parametrize("name", list(MODELS))
def test_the_card_states_the_parameters_of_a_default_build(name: str) -> None:
    net = default_build(name)
    kind = card(name).input_kind
    dtype = torch.int64 if kind in ("tokens", "token-pairs") else torch.float32
    example = torch.zeros(2, *card(name).input, dtype=dtype, device="meta")
    edges = torch.zeros(2, 3, dtype=torch.int64, device="meta")
    net(*{"token-pairs": (example, example), "graph": (example, edges)}.get(kind, (example,)))
    assert sum(weight.numel() for weight in net.parameters()) == card(name).parameters


@pytest.mark.parametrize("name", list(MODELS))
def test_the_card_is_whole(name: str) -> None:
    assert all([card(name).paper, card(name).idea, card(name).when, card(name).summary, card(name).tasks])
    assert name in list_models(card(name).family)


WRONG_INPUTS = {
    "resnet": (lambda: build("resnet18")(torch.randn(2, 1, 32, 32)), "takes images [batch, 3, height, width]"),
    "densenet": (lambda: CASES["densenet"].build()(torch.randn(2, 3, 28, 40)), "transition3; use images of at least"),
    "densenet-small": (lambda: CASES["densenet-small"].build()(torch.randn(2, 1, 1, 4)), "least 2x2"),
    "mlp": (lambda: build("mlp", in_features=5)(torch.randn(2, 4)), "takes 5 numbers"),
    "lenet5": (lambda: build("lenet5", image_size=8), "pool2; use images of at least 12"),
    "lenet5-32": (lambda: build("lenet5")(torch.randn(2, 1, 32, 32)), "1x28x28, got 1x32x32"),
    "gpt": (lambda: build("gpt", **CASES["gpt"].arguments)(torch.zeros(2, 9, dtype=torch.int64)), "context=8"),
    "transformer": (lambda: CASES["transformer"].build()(*[torch.zeros(2, 9, dtype=torch.int64)] * 2), "context=8"),
    "transformer-heads": (lambda: build("transformer", num_heads=5, hidden_size=12), "use 1, 2, 3, 4, 6 or 12"),
    "forecaster": (lambda: CASES["lstm-forecaster"].build()(torch.randn(3, 9, 1)), "time, 2], got [batch, 9x1]"),
    "seq2seq": (lambda: build("seq2seq", hidden_size=9), "hidden_size=9 is odd"),
    "gan": (lambda: CASES["gan"].build().discriminator(torch.randn(2, 1, 4, 4)), "(1, 4, 5)"),
    "dcgan": (lambda: build("dcgan", image_shape=[1, 30, 30], depth=2), "use 1 of these layers, or images whose sides"),
    "dcgan-odd": (lambda: build("dcgan", image_shape=[1, 25, 25]), "25x25 pixels cannot be halved 1 times"),
    "autoencoder": (lambda: CASES["autoencoder-table"].build()(torch.randn(2, 6)), "takes 7 numbers an example, got 6"),
    "autoencoder-norm": (lambda: build("autoencoder", norm="instance"), "dense layers have none"),
    "conv-autoencoder": (lambda: CASES["conv-autoencoder"].build()(torch.randn(2, 2, 8, 8)), "12), got (2, 8, 8)"),
    "conv-autoencoder-sides": (lambda: build("conv_autoencoder", image_shape=[1, 30, 28]), "multiples of 4"),
    "conv-autoencoder-widths": (lambda: build("conv_autoencoder", widths=[]), "cannot be halved 0 times"),
    "vae": (lambda: build("vae", code_size=0), "code_size"),
    "conv-vae-sides": (lambda: build("conv_vae", image_shape=[1, 28, 27]), "28x27 pixels"),
    "dqn": (lambda: CASES["dqn"].build()(torch.randn(2, 5)), "in_features=5"),
    "dqn-pictures": (lambda: CASES["dqn-pictures"].build()(torch.randn(2, 2, 40, 40)), "image_shape=[2, 40, 40]"),
    "policy-tiny": (lambda: build("policy", image_shape=(1, 2, 9)), "set it to null"),
    "vit": (lambda: CASES["vit"].build()(torch.randn(2, 2, 8, 12)), "2x8x8, got 2x8x12"),
    "vit-patch": (lambda: build("vit", image_size=30), "patch_size=16 does not divide image_size=30"),
    "swin": (lambda: CASES["swin"].build()(torch.randn(2, 2, 1, 8)), "too small for Swin"),
    "swin-stages": (lambda: build("swin", depths=[2, 2]), "differ in length"),
    "alexnet": (lambda: CASES["alexnet"].build()(torch.randn(2, 3, 63, 62)), "AlexNet: nothing is left at pool3; use"),
    "alexnet-least": (lambda: CASES["alexnet-classroom"].build()(torch.randn(2, 1, 64, 64)), "least 65x65"),
    "vgg": (lambda: CASES["vgg"].build()(torch.randn(2, 3, 3, 9)), "blocks.1.pool; use images of at least 4x4"),
    "vgg-blocks": (lambda: build("vgg", depths=[1, 1]), "depths has 2 blocks and model.widths 5"),
    "nin": (lambda: CASES["nin-small"].build()(torch.randn(2, 1, 3, 9)), "NiN: nothing is left at pool2; use"),
    "nin-widths": (lambda: build("nin", widths=[[8], []]), "two blocks or more"),
    "googlenet": (lambda: CASES["googlenet"].build()(torch.randn(2, 3, 14, 15)), "pool3; use images of at least 15x15"),
    "layers": (lambda: CASES["layers-conv"].build()(torch.randn(2, 2, 4, 4)), "2x8x8 an example, got 2x4x4"),
}


@pytest.mark.parametrize(("call", "words"), WRONG_INPUTS.values(), ids=WRONG_INPUTS.keys())
def test_an_input_that_does_not_fit_is_one_clear_line(call: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigError) as error:
        call()
    assert words in str(error.value)
    assert "\n" not in str(error.value)
