"""ViT held to torchvision's and transformers' with the same random weights: evaluation, training, and backwards."""

import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from references import TOLERANCE, difference, perturbed, torchvision
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from netwright.core.errors import CheckpointError
from netwright.models import build
from netwright.models.vision.vit import ViT
from netwright.models.weights.vit import LAYOUTS

TORCHVISION, TIMM, TRANSFORMERS = LAYOUTS
SIZES = {"ti": (12, 3, 192), "s": (12, 6, 384), "b": (12, 12, 768), "l": (24, 16, 1024)}  # layers, heads, width
QUICK = {"vit_ti_8", "vit_ti_16", "vit_ti_32", "vit_s_16", "vit_b_32"}
GRID = [
    pytest.param(size, patch, marks=[] if f"vit_{size}_{patch}" in QUICK else pytest.mark.slow)
    for size in SIZES for patch in (8, 16, 32)
]  # fmt: skip


def images(side: int, channels: int = 3, batch: int = 2) -> Tensor:
    return torch.randn(batch, channels, side, side, generator=torch.Generator().manual_seed(5))


def _torchvision(size: str, patch: int, side: int, **more: Any) -> nn.Module:
    """Where torchvision has a function of that name it is called; the other sizes are its class's."""
    models = torchvision().models
    layers, heads, width = SIZES[size]
    if hasattr(models, f"vit_{size}_{patch}"):
        return getattr(models, f"vit_{size}_{patch}")(image_size=side, num_classes=7, **more)
    return models.VisionTransformer(side, patch, layers, heads, width, 4 * width, num_classes=7, **more)


@pytest.mark.parametrize(("size", "patch"), GRID)
def test_every_size_is_torchvisions(size: str, patch: int) -> None:
    side = 2 * patch
    theirs = perturbed(_torchvision(size, patch, side)).eval()
    ours = build(f"vit_{size}_{patch}", image_size=side, num_classes=7).eval()
    ours.load_state_dict(TORCHVISION.rename(theirs.state_dict()))
    with torch.no_grad():
        assert difference(ours(images(side)), theirs(images(side))) <= TOLERANCE


def _small_pair() -> tuple[nn.Module, nn.Module]:
    theirs = perturbed(torchvision().models.VisionTransformer(12, 4, 2, 3, 24, 40, num_classes=5))
    ours = ViT(image_size=12, patch_size=4, num_layers=2, num_heads=3, hidden_size=24, inner_size=40, num_classes=5)
    ours.load_state_dict(TORCHVISION.rename(theirs.state_dict()))
    return ours, theirs


def test_training_without_dropout_and_gradients_are_torchvisions() -> None:
    ours, theirs = (net.train() for net in _small_pair())
    outs = [net(images(12)) for net in (ours, theirs)]
    assert difference(*outs) <= TOLERANCE
    weight = torch.randn(outs[0].shape)
    for out in outs:
        (out * weight).sum().backward()
    wanted = TORCHVISION.rename({name: p.grad for name, p in theirs.named_parameters()})
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, wanted[name], rtol=1e-3, atol=1e-5)


def test_torchvisions_old_names_of_the_feed_forward_block() -> None:
    tensors = torchvision().models.VisionTransformer(8, 4, 1, 1, 8, 16, num_classes=3).state_dict()
    legacy = {"0": "linear_1", "3": "linear_2"}
    old = {re.sub(r"mlp\.([03])\.", lambda m: f"mlp.{legacy[m[1]]}.", name): tensors[name] for name in tensors}
    assert old.keys() != tensors.keys()
    assert TORCHVISION.rename(old).keys() == TORCHVISION.rename(tensors).keys()


@pytest.mark.parametrize("name", ["vit_b_32", pytest.param("vit_h_14", marks=pytest.mark.slow)])
def test_names_and_sizes_are_read_from_torchvisions_tensors(name: str) -> None:
    with torch.device("meta"):
        theirs = getattr(torchvision().models, name)(num_classes=7)
    expected = ("vit", 16) if name == "vit_h_14" else (name, 12)
    found = TORCHVISION.identify(theirs.state_dict(), {})
    assert found == expected[0]
    with torch.device("meta"):
        ours = build(found, **TORCHVISION.sizes(theirs.state_dict(), {}))
        ours.load_state_dict(TORCHVISION.rename(theirs.state_dict()))
    assert ours.blocks[0].attention.num_heads == expected[1]


def _timm(**more: Any) -> nn.Module:
    torchvision()  # timm imports it
    vit = pytest.importorskip("timm", exc_type=ImportError).models.VisionTransformer
    sizes = {"img_size": 16, "patch_size": 8, "embed_dim": 128, "num_heads": 2, "depth": 2, "num_classes": 7}
    return vit(**{**sizes, **more})


def test_timms_files_are_read_and_give_timms_numbers() -> None:
    theirs = perturbed(_timm())
    tensors = theirs.state_dict()
    ours = build(TIMM.identify(tensors, {}), **TIMM.sizes(tensors, {}))
    ours.load_state_dict(TIMM.rename(tensors))
    for mode in (False, True):
        with torch.no_grad():
            assert difference(ours.train(mode)(images(16)), theirs.train(mode)(images(16))) <= TOLERANCE


def test_the_sizes_that_only_timm_publishes_are_known_by_name() -> None:
    with torch.device("meta"):
        tensors = _timm(img_size=224, patch_size=16, embed_dim=192, num_heads=3, depth=12).state_dict()
    assert (TIMM.identify(tensors, {}), TIMM.sizes(tensors, {})) == ("vit_ti_16", {"num_classes": 7})


@pytest.mark.parametrize("more", [{"init_values": 1e-5}, {"global_pool": "avg"}, {"pre_norm": True}])
def test_timms_neighbours_of_vit_are_none(more: dict[str, Any]) -> None:
    assert TIMM.identify(_timm(depth=1, **more).state_dict(), {}) is None


def _transformers() -> ModuleType:
    torchvision()  # its image processors import it
    return pytest.importorskip("transformers", exc_type=ImportError)


def _config(**more: Any) -> Any:
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 40}
    more = {"image_size": 12, "patch_size": 4, "layer_norm_eps": 1e-3, "num_labels": 5, **more}
    return _transformers().ViTConfig(**sizes, **more)


def _ours(tensors: dict[str, Tensor], config: dict[str, Any]) -> nn.Module:
    name = TRANSFORMERS.identify(tensors, config)
    assert name is not None
    ours = build(name, **TRANSFORMERS.sizes(tensors, config))
    missing, unexpected = ours.load_state_dict(TRANSFORMERS.rename(tensors), strict=False)
    assert not unexpected and set(missing) <= {"head.weight", "head.bias"}
    return ours


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("channels", [3, 1])
def test_the_classifier_is_transformers(bias: bool, channels: int, tmp_path: Path) -> None:
    config = _config(qkv_bias=bias, num_channels=channels)
    theirs = perturbed(_transformers().ViTForImageClassification(config))
    theirs.save_pretrained(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text("utf-8"))
    ours = _ours(load_file(tmp_path / "model.safetensors"), written)
    assert ours.norm.eps == 1e-3
    for mode in (False, True):
        outs = [net.train(mode)(images(12, channels)) for net in (ours, theirs)]
        assert difference(outs[0], outs[1].logits) <= TOLERANCE


def test_features_are_the_class_token_of_transformers() -> None:
    theirs = perturbed(_transformers().ViTModel(_config())).eval()
    ours = _ours(theirs.state_dict(), theirs.config.to_dict()).eval()
    wanted = theirs(images(12)).last_hidden_state[:, 0]
    assert difference(ours.features(images(12)), wanted) <= TOLERANCE


def test_names_of_before_transformers_5() -> None:
    """The names in the checkpoints on the hub, such as google/vit-base-patch16-224."""
    theirs = perturbed(_transformers().ViTForImageClassification(_config())).eval()
    new = theirs.state_dict()
    rules = (
        (r"\.layers\.", ".encoder.layer."), (r"attention\.o_proj", "attention.output.dense"),
        (r"attention\.q_proj", "attention.attention.query"), (r"attention\.k_proj", "attention.attention.key"),
        (r"attention\.v_proj", "attention.attention.value"), (r"mlp\.fc1", "intermediate.dense"),
        (r"mlp\.fc2", "output.dense"),
    )  # fmt: skip
    old = dict(new)
    for pattern, replacement in rules:
        old = {re.sub(pattern, replacement, name): tensor for name, tensor in old.items()}
    assert "vit.encoder.layer.1.attention.attention.query.weight" in old
    ours = _ours(old, theirs.config.to_dict()).eval()
    assert difference(ours(images(12)), theirs(images(12)).logits) <= TOLERANCE


@pytest.mark.parametrize("side", [24, 8, 12])
def test_positions_resized_on_request_are_transformers(side: int) -> None:
    theirs = perturbed(_transformers().ViTForImageClassification(_config())).eval()
    ours = _ours(theirs.state_dict(), theirs.config.to_dict()).eval()
    ours.resize_positions(side)
    wanted = theirs(images(side), interpolate_pos_encoding=True).logits
    assert difference(ours(images(side)), wanted) <= TOLERANCE


def test_published_folders_are_recognised() -> None:
    config = _transformers().ViTConfig(num_labels=1000)
    with torch.device("meta"):
        tensors = _transformers().ViTForImageClassification(config).state_dict()
    assert TRANSFORMERS.identify(tensors, config.to_dict()) == "vit_b_16"
    assert TRANSFORMERS.sizes(tensors, config.to_dict()) == {"norm_eps": 1e-12}
    assert TRANSFORMERS.identify(tensors, {"model_type": "deit"}) is None
    assert TORCHVISION.identify(tensors, {}) is None
    assert TRANSFORMERS.identify({"vit.embeddings.cls_token": torch.zeros(1)}, {}) is None
    with pytest.raises(CheckpointError, match="hidden_act='relu'"):
        TRANSFORMERS.sizes(tensors, {"hidden_act": "relu"})


def test_torchs_own_counter_sees_the_work_without_gradients() -> None:
    net = build("vit", image_size=12, patch_size=4, num_layers=1, num_heads=2, hidden_size=16, inner_size=32).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(images(12))
    assert counter.get_total_flops() > 0
