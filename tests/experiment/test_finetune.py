"""Fine-tuning from a config: what is frozen keeps its bits, the head is new, and the run outlives its weights' file."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

import netwright as nw
from netwright.cli.main import main
from netwright.core.errors import ConfigError, Preempted
from netwright.core.records import read_json, write_json
from netwright.experiment import assemble as assembly
from netwright.experiment.checking import check_config
from netwright.experiment.config import load_config
from netwright.experiment.model_folder import weights_hash
from netwright.models.weights.loading import load_pretrained
from netwright.optim.groups import Grouping, depths, parameter_groups
from netwright.training import loop
from netwright.training.hooks.base import Hook

IMAGENET_MEAN = [0.485, 0.456, 0.406]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small colour pictures of three classes, and grey ones beside them."""
    root = tmp_path_factory.mktemp("pictures")
    generator = torch.Generator().manual_seed(0)
    for kind, shape in (("colour", (32, 32, 3)), ("grey", (32, 32))):
        for label in range(3):
            folder = root / kind / "abc"[label]
            folder.mkdir(parents=True)
            for n in range(16):
                noise = torch.randint(60 * label, 60 * label + 100, shape, generator=generator)
                Image.fromarray(noise.to(torch.uint8).numpy()).save(folder / f"{n}.png")
    return root


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ResNet-18 as torchvision saves it, trained by nobody."""
    import netwright.metrics.torchvision_guard  # noqa: F401 - declares the operators that a broken build lacks

    torchvision = pytest.importorskip("torchvision", exc_type=ImportError)
    torch.manual_seed(2)
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(torchvision.models.resnet18().state_dict(), path)
    return path


@pytest.fixture(scope="module")
def lenet_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(4)
    path = tmp_path_factory.mktemp("lenet") / "lenet.pth"
    net = nw.build("lenet5", in_channels=3, image_size=32, num_classes=7, norm="batch")
    torch.save({"model": net.state_dict()}, path)
    return path


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def config(photos: Path, model: dict[str, Any], kind: str = "colour", **more: Any) -> dict[str, Any]:
    train = {"epochs": 1, "batch_size": 16, "precision": "float32"}
    return {"data": {"path": str(photos / kind)}, "model": model, "train": train, **more}


def lenet(path: Path, **more: Any) -> dict[str, Any]:
    return {"name": "lenet5", "weights": str(path), "norm": "batch", **more}


def test_a_frozen_backbone_keeps_every_bit_and_the_head_learns(photos: Path, weights: Path, tmp_path: Path) -> None:
    file = shutil.copy(weights, tmp_path / "weights.pth")
    model = {"name": "resnet18", "weights": file, "freeze": "backbone"}
    run = nw.train(config(photos, model), out=tmp_path / "run", quiet=True)
    before, after = load_pretrained("resnet18", file).state_dict(), run.model.state_dict()
    kept = [name for name in before if not name.startswith("head.")]
    assert len(kept) == 120 and all(torch.equal(before[name], after[name].contiguous()) for name in kept)
    assert after["head.weight"].shape == (3, 512)
    assert {f.code for f in run.findings} & {"NW123", "NW127"} == set()
    preprocessor = read_json(tmp_path / "run/model/preprocessor.json")
    assert preprocessor["values"]["mean"] == IMAGENET_MEAN
    (tmp_path / "weights.pth").unlink()
    predict = nw.load(tmp_path / "run")
    assert all(
        torch.equal(a, b.contiguous())
        for a, b in zip(predict.network.state_dict().values(), after.values(), strict=True)
    )
    assert set(predict(str(photos / "colour/a/0.png"))[0]["probabilities"]) == {"a", "b", "c"}
    again = load_pretrained("resnet18", tmp_path / "run", num_classes=2)
    assert torch.equal(again.state_dict()[kept[0]], before[kept[0]])


def test_the_head_moves_and_without_freezing_everything_does(photos: Path, lenet_weights: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    for freeze, still in (("backbone", True), (None, False)):
        folder = tmp_path / str(freeze)
        folder.mkdir()
        made = assembly.assemble(load_config(config(photos, lenet(lenet_weights, freeze=freeze))), folder, quiet=True)
        before = {name: tensor.clone() for name, tensor in made.model.state_dict().items()}
        loop.train(made.session)
        after = made.model.state_dict()
        assert not torch.equal(before["head.weight"], after["head.weight"])
        for name in ("conv1.0.weight", "conv1.1.running_mean", "conv1.1.num_batches_tracked", "dense.3.bias"):
            assert torch.equal(before[name], after[name]) == still, name


@pytest.mark.parametrize("average", ["ema", "swa"])
def test_an_average_of_the_weights_leaves_frozen_ones_alone(
    average: str, photos: Path, lenet_weights: Path, tmp_path: Path
) -> None:
    sections = config(photos, lenet(lenet_weights, freeze="backbone"), optimizer={"lr": 0.01, "average": average})
    made = assembly.assemble(load_config(sections), tmp_path, quiet=True)
    before = {name: tensor.clone() for name, tensor in made.model.state_dict().items()}
    loop.train(made.session)
    made.session.load_best()
    after = made.model.state_dict()
    assert [name for name in before if not torch.equal(before[name], after[name])] == ["head.weight", "head.bias"]


def test_frozen_parts_sleep_whoever_wakes_the_network(photos: Path, lenet_weights: Path, tmp_path: Path) -> None:
    model = lenet(lenet_weights, freeze=["conv1", "conv2.*"], dropout=0.5)
    made = assembly.assemble(load_config(config(photos, model)), tmp_path, quiet=True)
    net = made.model.train()
    assert net.training and net.head.training and net.dense.training
    assert not any(module.training for part in (net.conv1, net.conv2) for module in part.modules())
    assert not net.conv1[0].weight.requires_grad and net.dense[1].weight.requires_grad


def test_freezing_is_told_apart_from_forgetting(photos: Path, lenet_weights: Path) -> None:
    findings = check_config(config(photos, lenet(lenet_weights, freeze="backbone")))
    assert {finding.code for finding in findings} & {"NW123", "NW127"} == set()


def test_a_run_that_left_goes_on_with_the_same_bits(photos: Path, lenet_weights: Path, tmp_path: Path) -> None:
    sections = config(
        photos,
        lenet(lenet_weights, freeze=["conv1"]),
        optimizer={"name": "sgd", "lr": 0.01, "lr_scale": {"backbone": 0.1}},
    )

    def session(folder: Path) -> Any:
        (tmp_path / folder).mkdir(exist_ok=True)
        return assembly.assemble(load_config(sections), tmp_path / folder, quiet=True).session

    class Leave(Hook):
        stride = 1

        def step_end(self, run: Any, out: Any) -> None:
            if run.progress.step == 2:
                run.leave = lambda: Preempted("left")

    whole, left = session(Path("whole")), session(Path("left"))
    loop.train(whole)
    left._steppers.append(Leave())
    with pytest.raises(Preempted):
        loop.train(left)
    resumed = session(Path("left"))
    assert resumed.restore() and resumed.progress.step == 2
    loop.train(resumed)
    assert weights_hash(resumed.model) == weights_hash(whole.model)


@pytest.mark.parametrize("normalise", ["imagenet", "data"])
def test_a_run_of_pictures_goes_on_without_its_weights(
    normalise: str, photos: Path, lenet_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Leave(Hook):
        stride = 1

        def step_end(self, run: Any, out: Any) -> None:
            if run.progress.step == 2:
                run.leave = lambda: Preempted("left")

    weights, hooks = Path(shutil.copy(lenet_weights, tmp_path / "gone.pth")), assembly.make_hooks
    spec = config(photos, lenet(weights, normalise=normalise))
    whole = nw.train(spec, out=tmp_path / "whole", quiet=True)
    monkeypatch.setattr(assembly, "make_hooks", lambda *given: [*hooks(*given), Leave()])
    with pytest.raises(Preempted):
        nw.train(spec, out=tmp_path / "left", quiet=True)
    monkeypatch.undo()
    weights.unlink()
    resumed = nw.train(resume=tmp_path / "left", quiet=True)
    assert weights_hash(resumed.model) == weights_hash(whole.model)
    means = [read_json(tmp_path / run / "model/preprocessor.json")["values"] for run in ("whole", "left")]
    assert means[0] == means[1]


def test_the_runs_own_config_finds_the_weights_from_anywhere(
    photos: Path, lenet_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(lenet_weights, tmp_path / "lenet.pth")
    (tmp_path / "c.yaml").write_text(
        f"data: {{path: {photos}/colour}}\nmodel: {{name: lenet5, norm: batch, weights: lenet.pth}}\n"
        "train: {batch_size: 16}\n"
    )
    made = assembly.assemble(load_config(tmp_path / "c.yaml"), tmp_path / "run", quiet=True)
    assert made.config.to_dict()["model"]["weights"] == str(tmp_path / "lenet.pth")
    assert made.recipe["model"]["arguments"] == {
        "in_channels": 3, "image_size": 32, "num_classes": 3, "norm": "batch"
    }  # fmt: skip


def test_what_the_weights_saw_decides_the_normalisation(photos: Path, weights: Path, tmp_path: Path) -> None:
    def mean(model: dict[str, Any], kind: str = "colour") -> list[float]:
        made = assembly.assemble(load_config(config(photos, model, kind)), tmp_path, quiet=True)
        return made.preprocess.to_dict()["values"]["mean"]

    base = {"name": "resnet18", "weights": str(weights)}
    assert mean(base) == IMAGENET_MEAN
    assert mean({**base, "normalise": "data"}) == mean({"name": "resnet18"}) != IMAGENET_MEAN
    assert mean({"name": "resnet18", "weights": str(weights), "normalise": "imagenet"}) == IMAGENET_MEAN
    assert mean({**base, "in_channels": 1}, "grey") == pytest.approx([sum(IMAGENET_MEAN) / 3])


def test_a_folder_says_what_its_pictures_were(photos: Path, lenet_weights: Path, tmp_path: Path) -> None:
    net = load_pretrained("lenet5", lenet_weights, norm="batch", image_size=32)
    torch.save(net.state_dict(), tmp_path / "pytorch_model.bin")
    for name, told in (
        ("preprocessor_config.json", {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}),
        ("config.json", {"pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}}),
    ):
        write_json(tmp_path / name, told)
        made = assembly.assemble(load_config(config(photos, lenet(tmp_path))), tmp_path / "run", quiet=True)
        assert made.preprocess.to_dict()["values"] == {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
        (tmp_path / name).unlink()


def test_a_run_of_ours_hands_its_normalisation_on(photos: Path, tmp_path: Path) -> None:
    first = nw.train(config(photos, {"name": "lenet5"}), out=tmp_path / "first", quiet=True)
    seen = read_json(first.folder / "model/preprocessor.json")["values"]
    made = assembly.assemble(
        load_config(config(photos, {"name": "lenet5", "weights": str(first.folder)})), tmp_path / "second", quiet=True
    )
    assert made.preprocess.to_dict()["values"] == seen


# Rates


def test_the_backbone_is_everything_but_the_head() -> None:
    net = nw.build("resnet18", num_classes=3, width=8)
    groups = parameter_groups(net, 1.0, 0.0, Grouping(lr_scale={"backbone": 0.1, "trunk.stem": 0.5}))
    rates = {name: group["lr"] for group in groups for name, _ in group["params"]}
    assert {name for name, rate in rates.items() if rate == 1.0} == {"head.weight", "head.bias"}
    assert {name for name, rate in rates.items() if rate == 0.5} == {n for n in rates if n.startswith("trunk.stem.")}
    assert sum(rate == 0.1 for rate in rates.values()) > 30


def test_a_network_with_a_backbone_of_its_own_means_that() -> None:
    net = nn.ModuleDict({"backbone": nn.Linear(2, 2), "neck": nn.Linear(2, 2), "head": nn.Linear(2, 2)})
    rates = parameter_groups(net, 1.0, 0.0, Grouping(lr_scale={"backbone": 0.1}))
    assert {name for group in rates if group["lr"] == 0.1 for name, _ in group["params"]} == {
        "backbone.weight", "backbone.bias"
    }  # fmt: skip
    with pytest.raises(ConfigError, match="'backbone' fits no parameter"):
        parameter_groups(nn.Sequential(nn.Linear(2, 2)), 1.0, 0.0, Grouping(freeze=("backbone",)))


CNN = [name for name in ("resnet18", "densenet121", "mobilenet_v2", "vit_ti_16", "swin_t") if name in nw.list_models()]


@pytest.mark.parametrize("name", CNN)
def test_layer_decay_ends_at_the_head_and_starts_at_the_first_layer(name: str) -> None:
    with torch.device("meta"):
        net = nw.build(name)
    far = depths(net)
    assert far["head.weight"] == far["head.bias"] == 0
    first = next(iter(far))
    assert far[first] == max(far.values()) >= 4


def test_dropout_within_the_frozen_trunk_sleeps_and_before_the_head_does_not() -> None:
    gpt = nw.build("gpt", vocab_size=5, context=4, num_layers=1, num_heads=1, hidden_size=4, dropout=0.5)
    gpt.reset_head(2)
    parameter_groups(gpt, 1.0, 0.0, Grouping(freeze=("backbone",)))
    gpt.train()
    assert not gpt.dropout.training and gpt.head.training
    tokens = torch.zeros(1, 4, dtype=torch.int64)
    assert torch.equal(gpt.features(tokens), gpt.features(tokens))
    net = nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.Linear(2, 2))
    parameter_groups(net, 1.0, 0.0, Grouping(freeze=("0",)))
    assert net.train()[1].training and not net[0].training


# What does not fit


MISTAKES: dict[str, tuple[str, int, str]] = {
    "no such file": ("weights: nowhere.pth", 2, "c.yaml:2: model.weights='nowhere.pth' does not exist; give a .pth"),
    "no path": ("weights: 3", 2, "c.yaml:2: model.weights=3"),
    "no part": (
        "weights: w.pth, freeze: bakbone",
        2,
        "c.yaml:2: model.freeze: 'bakbone' fits no parameter; did you mean",
    ),
    "nothing left": ("freeze: '*'", 2, "c.yaml:2: model.freeze=* leaves nothing to train; freeze less"),
    "no such choice": ("normalise: imagnet", 2, "c.yaml:2: model.normalise='imagnet'"),
    "a strange key": ("weight: w.pth", 2, "c.yaml:2: model.weight is not a known setting; did you mean weights?"),
    "a strange argument": (
        "varient: modern",
        2,
        "c.yaml:2: model.varient is not a known setting; did you mean variant?",
    ),
    "another network": ("weights: r.pth", 4, "this file looks like a resnet (torchvision)"),
    "text": ("weights: c.yaml", 4, "c.yaml cannot be read (damaged, or no file of weights)"),
    "other sizes": ("weights: small.pth", 4, "small.pth does not fit lenet5: 1 of another shape (dense.1.weight is"),
}


@pytest.mark.parametrize("verb", ["check", "train"])
@pytest.mark.parametrize("kind", MISTAKES)
def test_mistakes_end_in_a_line_and_their_exit_code(
    kind: str, verb: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    settings, code, words = MISTAKES[kind]
    torch.save(nw.build("lenet5", in_channels=3, image_size=32, num_classes=7).state_dict(), "w.pth")
    torch.save(nw.build("lenet5", in_channels=3, image_size=20, num_classes=7).state_dict(), "small.pth")
    small = {"conv1": (8, 3, 3, 3), "layer1.0.conv1": (8, 8, 3, 3), "layer1.0.conv2": (8, 8, 3, 3)}
    state = {f"{name}.weight": torch.zeros(shape) for name, shape in small.items()}
    torch.save({**state, "bn1.weight": torch.ones(8), "layer1.0.bn1.weight": torch.ones(8)}, "r.pth")
    Path("c.yaml").write_text(f"data: {{path: {photos}/colour}}\nmodel: {{name: lenet5, {settings}}}\n")
    arguments = [verb, "c.yaml", *(("--out", "run", "--quiet") if verb == "train" else ())]
    assert main(arguments) == code
    told = capsys.readouterr().err
    assert words in told and told.count("error:") == 1 and told.endswith("\n") and "Traceback" not in told
    assert not Path("run/config.yaml").exists()


def test_grey_pictures_and_colour_weights(
    photos: Path, lenet_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.yaml").write_text(
        f"data: {{path: {photos}/grey}}\nmodel: {{name: lenet5, norm: batch, weights: {lenet_weights}}}\n"
        "train: {epochs: 1, batch_size: 16}\n"
    )
    assert main(["train", str(tmp_path / "c.yaml"), "--out", str(tmp_path / "run"), "--quiet"]) == 4
    told = capsys.readouterr().err
    assert "pictures of 1 channels do not fit the weights" in told and "set model.in_channels: 1" in told
    asked = [
        "train",
        str(tmp_path / "c.yaml"),
        "--out",
        str(tmp_path / "run"),
        "--set",
        "model.in_channels=1",
        "--quiet",
    ]
    assert main(asked) == 0
    assert nw.load(tmp_path / "run").network.conv1[0].weight.shape == (6, 1, 5, 5)


def test_what_a_run_starts_from_is_said(
    photos: Path, lenet_weights: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="netwright"):
        assembly.assemble(load_config(config(photos, lenet(lenet_weights, freeze="backbone"))), tmp_path, quiet=True)
    said = caplog.text
    assert "lenet5 starts from" in said and "its head is new, for 3 classes" in said and "parameters train" in said
