"""Published weights into our networks: every kind of file, the sizes, what is refused and with which words."""

import argparse
import json
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import netwright as nw
from netwright.core.errors import CheckpointError, ConfigError
from netwright.core.records import write_json
from netwright.models.weights.layout import renamed
from netwright.models.weights.matching import load_exactly, recognise
from netwright.models.weights.reading import Checkpoint


@pytest.fixture(scope="module")
def torchvision() -> ModuleType:
    import netwright.metrics.torchvision_guard  # noqa: F401 - declares the operators that a broken build lacks

    return pytest.importorskip("torchvision", exc_type=ImportError)


@pytest.fixture(scope="module")
def reference(torchvision: ModuleType) -> nn.Module:
    """torchvision's own ResNet-18 with weights that sit at no default."""
    net = torchvision.models.resnet18(num_classes=7)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if tensor.is_floating_point():
                tensor.add_(torch.rand(tensor.shape, generator=generator) * (0.5 if "running" in name else 0.05))
    return net.eval()


@pytest.fixture(scope="module")
def resnet_file(reference: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(reference.state_dict(), path)
    return path


@pytest.fixture
def lenet() -> nn.Module:
    torch.manual_seed(3)
    return nw.build("lenet5", num_classes=4)


def same(a: nn.Module, b: nn.Module, but: str = "head.") -> bool:
    """Whether two networks hold the same bits, the head left out."""
    ours, theirs = a.state_dict(), b.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours if not k.startswith(but))


def refused(path: Path, name: str = "lenet5", **overrides: Any) -> str:
    with pytest.raises(CheckpointError) as caught:
        nw.load_pretrained(name, path, **overrides)
    assert caught.value.exit_code == 4 and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_torchvisions_file_gives_torchvisions_numbers(reference: nn.Module, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"weights{suffix}"
    save = torch.save if suffix == ".pth" else save_file
    save(reference.state_dict(), path)
    net = nw.load_pretrained("resnet18", path)
    image = torch.randn(2, 3, 64, 64)
    assert not net.training
    torch.testing.assert_close(net(image), reference(image), rtol=1e-5, atol=1e-5)


def test_a_new_head_leaves_the_rest(resnet_file: Path) -> None:
    whole = nw.load_pretrained("ResNet-18", resnet_file)
    fresh = nw.load_pretrained("resnet18", resnet_file, num_classes=3)
    image = torch.randn(2, 3, 32, 32)
    assert fresh(image).shape == (2, 3)
    assert torch.equal(fresh.features(image), whole.features(image))


def test_grey_pictures_are_seen_as_three_equal_channels(reference: nn.Module, resnet_file: Path) -> None:
    net = nw.load_pretrained("resnet18", resnet_file, in_channels=1)
    image = torch.randn(2, 1, 48, 48)
    torch.testing.assert_close(net(image), reference(image.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-4)


def test_other_channels_do_not_fit(resnet_file: Path) -> None:
    said = refused(resnet_file, "resnet18", in_channels=4)
    assert "pictures of 4 channels do not fit the weights" in said and "which are for 3" in said


def test_a_file_of_another_network_says_what_it_looks_like(resnet_file: Path) -> None:
    for asked in ("densenet121", "resnet50", "lenet5", "gpt"):
        said = refused(resnet_file, asked)
        assert "this file looks like a resnet18 (torchvision); load it as load_pretrained('resnet18', …)" in said


def test_the_kins_own_name_takes_every_size(torchvision: ModuleType, tmp_path: Path) -> None:
    theirs = torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=5).eval()
    torch.save(theirs.state_dict(), tmp_path / "small.pth")
    image = torch.randn(1, 3, 32, 32)
    ours = nw.load_pretrained("resnet", tmp_path / "small.pth")
    torch.testing.assert_close(ours(image), theirs(image), rtol=1e-5, atol=1e-5)
    assert "looks like a resnet (torchvision)" in refused(tmp_path / "small.pth", "resnet18")


def test_auxiliary_heads_are_passed_over_by_a_network_without_them(torchvision: ModuleType, tmp_path: Path) -> None:
    theirs = torchvision.models.googlenet(num_classes=4, init_weights=False).eval()
    torch.save(theirs.state_dict(), tmp_path / "googlenet.pth")
    image = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(nw.load_pretrained("googlenet", tmp_path / "googlenet.pth")(image), theirs(image))


def test_a_vits_positions_fit_other_pictures(tmp_path: Path) -> None:
    net = nw.build("vit", image_size=32, patch_size=8, hidden_size=16, inner_size=16, num_layers=1, num_heads=2)
    write_json(tmp_path / "config.json", {
        "format": 1, "model": {"name": "vit", "arguments": {
            "image_size": 32, "patch_size": 8, "hidden_size": 16, "inner_size": 16, "num_layers": 1, "num_heads": 2,
        }},
    })  # fmt: skip
    save_file(net.state_dict(), tmp_path / "model.safetensors")
    ours = nw.load_pretrained("vit", tmp_path, image_size=64, num_classes=3)
    assert ours(torch.randn(1, 3, 64, 64)).shape == (1, 3)
    assert torch.equal(ours.state_dict()["class_token"], net.state_dict()["class_token"])
    lenet = nw.build("lenet5", image_size=32)
    write_json(tmp_path / "config.json", {"format": 1, "model": {"name": "lenet5", "arguments": {"image_size": 32}}})
    save_file(lenet.state_dict(), tmp_path / "model.safetensors")
    assert "are for model.image_size=32, and 28 is wanted; resize the pictures" in refused(tmp_path, image_size=28)


def test_all_that_does_not_match_is_told_at_once(reference: nn.Module, tmp_path: Path) -> None:
    state = dict(reference.state_dict())
    del state["layer2.1.bn2.weight"]
    state["neck.weight"] = torch.zeros(2)
    state["layer3.0.conv1.weight"] = torch.zeros(5, 5)
    torch.save(state, tmp_path / "spoilt.pth")
    said = refused(tmp_path / "spoilt.pth", "resnet18")
    assert "1 missing (layer2.1.bn2.weight); 1 unexpected (neck.weight); 1 of another shape (" in said
    assert "(layer3.0.conv1.weight is (5, 5), not (256, 128, 3, 3));" in said


@pytest.mark.parametrize("kind", ["resnet18", "vgg11_bn", "mobilenet_v2", "swin_t", "densenet121"])
def test_what_a_file_lacks_is_told_in_its_own_words(kind: str, torchvision: ModuleType, tmp_path: Path) -> None:
    """The names by which a layout is known, and those that it cannot read without their neighbours, among them."""
    lacking = {
        "resnet18": ["conv1.weight", "layer1.0.conv2.weight", "fc.bias"],
        "vgg11_bn": ["features.4.weight", "features.9.running_mean", "classifier.6.weight"],
        "mobilenet_v2": ["features.0.0.weight", "features.7.conv.1.1.bias"],
        "swin_t": ["features.3.1.attn.relative_position_bias_table", "head.weight"],
        "densenet121": ["features.conv0.weight", "features.denseblock2.denselayer3.conv1.weight"],
    }[kind]
    with torch.device("meta"):
        whole = getattr(torchvision.models, kind)().state_dict()
    file = Checkpoint(tmp_path, {n: torch.empty_like(t, device="cpu") for n, t in whole.items() if n not in lacking})
    found = recognise(kind, file, {})
    with torch.device("meta"):
        ours = nw.build(kind, **found.arguments)
    with pytest.raises(CheckpointError, match=f" does not fit {kind}: {len(lacking)} missing ") as caught:
        load_exactly(ours, found, file)
    assert all(name in str(caught.value) for name in lacking)


def test_files_from_before_batch_norm_counted_batches(reference: nn.Module, tmp_path: Path) -> None:
    old = {name: tensor for name, tensor in reference.state_dict().items() if not name.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    image = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(nw.load_pretrained("resnet18", tmp_path / "old.pth")(image), reference(image))


WRAPPINGS: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "plain": lambda state: state,
    "nested": lambda state: {"epoch": 3, "optimizer": {"state": {}}, "rng": torch.zeros(3), "model": state},
    "twice": lambda state: {"state_dict": {"model": state}},
    "data parallel": lambda state: {"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}},
    "averaged": lambda state: {"arch": "lenet", "state_dict_ema": state},
    "torch's average": lambda state: {"n_averaged": torch.tensor(3)} | {f"module.{k}": v for k, v in state.items()},
    "DeepSpeed": lambda state: {"module": state, "global_steps": 3},
    "a part in parallel": lambda state: {name.replace("conv1.", "conv1.module."): v for name, v in state.items()},
    "arguments and figures": lambda state: {
        "model": state,
        "args": argparse.Namespace(out=Path("runs"), lr=0.1),
        "best": np.float64(0.7),
    },
    "Lightning": lambda state: {"epoch": 3, "state_dict": {f"model.{name}": tensor for name, tensor in state.items()}},
    "compiled": lambda state: {f"_orig_mod.module.{name}": tensor for name, tensor in state.items()},
    "half": lambda state: {name: tensor.half().float() for name, tensor in state.items()},
}


@pytest.mark.parametrize("kind", WRAPPINGS)
@pytest.mark.parametrize("archive", [True, False])
def test_what_training_scripts_write_is_found(kind: str, archive: bool, lenet: nn.Module, tmp_path: Path) -> None:
    lenet.load_state_dict({name: tensor.half().float() for name, tensor in lenet.state_dict().items()})
    torch.save(WRAPPINGS[kind](lenet.state_dict()), tmp_path / "w.pt", _use_new_zipfile_serialization=archive)
    assert same(nw.load_pretrained("lenet5", tmp_path / "w.pt"), lenet, but="-")
    assert same(nw.load_pretrained("lenet5", tmp_path / "w.pt", num_classes=9, variant="modern"), lenet)


def test_a_file_without_a_head_says_how_to_get_a_fresh_one(reference: nn.Module, tmp_path: Path) -> None:
    torch.save({k: v for k, v in reference.state_dict().items() if not k.startswith("fc.")}, tmp_path / "w.pth")
    assert "2 missing (head.weight, head.bias); set num_classes" in refused(tmp_path / "w.pth", "resnet18")
    assert nw.load_pretrained("resnet18", tmp_path / "w.pth", num_classes=3)(torch.zeros(1, 3, 32, 32)).shape == (1, 3)


def test_a_vgg_whose_head_was_cut_off_is_still_that_vgg(torchvision: ModuleType, tmp_path: Path) -> None:
    with torch.device("meta"):
        theirs = torchvision.models.vgg11().state_dict()
    cut = {name: torch.zeros(()).expand(weight.shape) for name, weight in theirs.items() if "classifier.6" not in name}
    found = recognise("vgg11", Checkpoint(tmp_path, cut), {})
    assert "head.weight" not in found.tensors and "dense.linear2.weight" in found.tensors and found.arguments == {}


def test_a_vits_heads_are_guessed_aloud(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    ours = nw.build("vit", image_size=8, patch_size=4, num_layers=1, num_heads=4, hidden_size=128, inner_size=8)
    timm = {"cls_token": ours.class_token[None, None], "pos_embed": ours.positions.weight[None]}
    rules = [
        ("patches.project", "patch_embed.proj"), ("attention_norm", "norm1"), ("feed_forward_norm", "norm2"),
        ("attention.query_key_value", "attn.qkv"), ("attention.project", "attn.proj"),
        ("feed_forward.expand", "mlp.fc1"), ("feed_forward.project", "mlp.fc2"),
    ]  # fmt: skip
    timm |= {k: v for k, v in renamed(ours.state_dict(), rules).items() if k not in ("class_token", "positions.weight")}
    torch.save(timm, tmp_path / "w.pth")
    image = torch.randn(1, 3, 8, 8)
    torch.testing.assert_close(nw.load_pretrained("vit", tmp_path / "w.pth", num_heads=4)(image), ours.eval()(image))
    assert "no config.json tells the number of heads: 2, each 64 wide" in caplog.text


class _Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, ("pwned",)


def _bare(path: Path, _: nn.Module) -> None:
    path.write_bytes(pickle.dumps({"weights": _Evil()}))


SPOILT: dict[str, tuple[Callable[[Path, nn.Module], object], str]] = {
    "code in a bare pickle": (_bare, r"holds Python code \(\w+\.mkdir\), which is never run"),
    "code": (lambda path, net: torch.save({"weights": _Evil()}, path), r"holds Python code \(\w+\.mkdir\)"),
    "a whole network": (lambda path, net: torch.save(net, path), r"LeNet5\), which is never run; save the weights"),
    "a program": (lambda path, net: torch.jit.script(nn.ReLU()).save(str(path)), r"Python code \(TorchScript\)"),
    "no weights": (lambda path, net: torch.save({"epoch": 3}, path), "holds no weights; expected names with tensors"),
    "a list": (lambda path, net: torch.save([torch.zeros(2)], path), "holds no weights"),
    "half of it": (
        lambda path, net: (torch.save(net.state_dict(), path), path.write_bytes(path.read_bytes()[:5000])),
        "cannot be read .damaged, or no file of weights.; fetch or save it again",
    ),
    "nothing": (lambda path, net: path.write_bytes(b""), "cannot be read .it is empty."),
    "text": (lambda path, net: path.write_text("not a file of weights"), "damaged, or no file of weights"),
    "nobody's": (
        lambda path, net: torch.save({"some.weight": torch.zeros(3)}, path),
        r"no network known here \(1 tensors, such as some.weight\)",
    ),
    "missing": (lambda path, net: None, "does not exist; give a .pth or .safetensors file, or a folder with one"),
    "an empty folder": (lambda path, net: path.mkdir(), "holds no weights; expected one of model.safetensors"),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_spoilt_files_get_one_line_and_run_nothing(
    kind: str, lenet: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make, words = SPOILT[kind]
    make(tmp_path / "weights.pth", lenet)
    assert re.search(words, refused(tmp_path / "weights.pth"))
    assert not (tmp_path / "pwned").exists()


def test_cut_safetensors_are_damaged(lenet: nn.Module, tmp_path: Path) -> None:
    save_file(lenet.state_dict(), tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").write_bytes((tmp_path / "w.safetensors").read_bytes()[:900])
    assert "damaged, or no file of weights" in refused(tmp_path / "w.safetensors")


def test_without_a_path_nothing_is_downloaded() -> None:
    with pytest.raises(CheckpointError, match="needs the path of its weights"):
        nw.load_pretrained("resnet50")


def test_names_and_arguments_are_checked_before_the_file() -> None:
    with pytest.raises(ConfigError, match="did you mean resnet50"):
        nw.load_pretrained("resnet51", "no.pth")
    with pytest.raises(ConfigError, match=r"model.dropot is not a known setting; did you mean dropout"):
        nw.load_pretrained("lenet5", "no.pth", dropot=0.1)


# Folders


def test_a_run_of_ours_is_a_folder_of_weights(lenet: nn.Module, tmp_path: Path) -> None:
    folder = tmp_path / "run" / "model"
    folder.mkdir(parents=True)
    save_file(lenet.state_dict(), folder / "model.safetensors")
    write_json(folder / "config.json", {"format": 1, "model": {"name": "lenet5", "arguments": {"num_classes": 4}}})
    for path in (folder, tmp_path / "run"):
        assert same(nw.load_pretrained("lenet5", path), lenet, but="-")
    said = refused(folder, "resnet18")
    assert "this file looks like a lenet5 (netwright); load it as load_pretrained('lenet5', …)" in said
    write_json(folder / "config.json", {"format": 1, "model": {"name": "lenet5", "arguments": {"num_classes": "many"}}})
    assert "tells of sizes that lenet5 cannot have (model.num_classes='many'" in refused(folder)
    write_json(folder / "config.json", {"format": 1, "model": {"python": "mine:Net"}})
    assert "a network of your own making" in refused(folder)


@pytest.fixture(scope="module")
def gpt2() -> Any:
    pytest.importorskip("transformers", exc_type=ImportError)
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(vocab_size=23, n_positions=12, n_embd=18, n_layer=2, n_head=3, bos_token_id=0, eos_token_id=0)
    net = GPT2LMHeadModel(config).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.1)
    return net


@pytest.mark.parametrize("shards", [False, True])
def test_gpt_2_from_a_folder_gives_transformers_numbers(gpt2: Any, shards: bool, tmp_path: Path) -> None:
    gpt2.save_pretrained(tmp_path, max_shard_size="6KB" if shards else "1GB")
    assert (tmp_path / "model.safetensors.index.json").exists() == shards
    tokens = torch.randint(0, 23, (3, 12))
    with torch.no_grad():
        ours, theirs = nw.load_pretrained("gpt2", tmp_path)(tokens), gpt2(tokens).logits
    assert ((ours - theirs).abs().max() / theirs.abs().max()).item() < 2e-5


def test_gpt_2_from_old_files(gpt2: Any, tmp_path: Path) -> None:
    """The first releases: pickled, without the prefix, with the masks of attention among the weights."""
    state = {name.removeprefix("transformer."): tensor for name, tensor in gpt2.state_dict().items()}
    state |= {"h.0.attn.bias": torch.ones(1, 1, 12, 12).tril(), "h.0.attn.masked_bias": torch.tensor(-1e4)}
    torch.save(state, tmp_path / "pytorch_model.bin")
    write_json(tmp_path / "config.json", {"n_head": 3, "activation_function": "gelu_new"})
    tokens = torch.randint(0, 23, (2, 7))
    with torch.no_grad():
        torch.testing.assert_close(nw.load_pretrained("gpt", tmp_path)(tokens), gpt2(tokens).logits)
    state["lm_head.weight"] = state["lm_head.weight"] + 1
    torch.save(state, tmp_path / "pytorch_model.bin")
    assert "1 unexpected (lm_head.weight)" in refused(tmp_path, "gpt")
    write_json(tmp_path / "config.json", {"n_head": 3, "scale_attn_by_inverse_layer_idx": True})
    assert "scale_attn_by_inverse_layer_idx=True, which gpt cannot do" in refused(tmp_path, "gpt")


def test_a_folder_with_a_shard_lost_or_leading_away(gpt2: Any, tmp_path: Path) -> None:
    gpt2.save_pretrained(tmp_path, max_shard_size="6KB")
    index = tmp_path / "model.safetensors.index.json"
    listed = json.loads(index.read_text())
    shard = tmp_path / next(iter(listed["weight_map"].values()))
    shard.unlink()
    assert f"{shard} cannot be read (No such file or directory)" in refused(tmp_path, "gpt")
    listed["weight_map"] = {"wte.weight": "../elsewhere.safetensors"}
    write_json(index, listed)
    assert "is no list of files of weights" in refused(tmp_path, "gpt")
