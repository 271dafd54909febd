# ruff: noqa: E501 - a table reads best with a case a line
"""Folders that are not what they should be: to resume, to write to, to load a model from; and what models cannot answer."""

import errno
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from malformed_case import Case, config_text
from safetensors.torch import load_file, save_file
from torch import nn

from netwright.core.records import RunLock
from netwright.experiment.evaluating import evaluate_run
from netwright.experiment.explaining import explain
from netwright.experiment.fit import fit
from netwright.experiment.folders import open_run
from netwright.experiment.predictor import load
from netwright.experiment.run import train

__all__ = ["CASES"]

Call = Callable[[], object]
Spoil = Callable[[Path], object]


def mine(folder: Path, name: str = "run") -> Path:
    """A copy of a good run, to be spoilt."""
    return Path(shutil.copytree(folder / name, folder / "mine", symlinks=True))


def rewrite(file: Path, **changes: Any) -> None:
    """A JSON file with some keys changed; None takes a key away."""
    values = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))


def interrupted(run: Path) -> Path:
    rewrite(run / "summary.json", status="interrupted")
    return run


def signed(checkpoint: Path) -> None:
    """Make the manifest agree with the files again."""
    files = ("tensors.safetensors", "state.json")
    manifest = {name: hashlib.sha256((checkpoint / name).read_bytes()).hexdigest() for name in files}
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))


def every(run: Path, spoil: Spoil) -> None:
    for checkpoint in (run / "checkpoints").glob("step-*"):
        spoil(checkpoint)


def cut(file: Path, length: int = 40) -> None:
    file.write_bytes(file.read_bytes()[:length])


def resumed(name: str, pattern: str, spoil: Spoil, code: int = 4, **call: Any) -> Case:
    """A run that was interrupted, then spoilt, then resumed."""

    def make(folder: Path) -> Call:
        run = interrupted(mine(folder))
        spoil(run)
        return lambda: train(resume=run, quiet=True, **call)

    return Case(f"resume {name}", code, pattern, make)


def at(name: str, pattern: str, path: Callable[[Path], object], code: int = 4) -> Case:
    return Case(f"resume {name}", code, pattern, lambda folder: lambda: train(resume=path(folder), quiet=True))  # type: ignore[arg-type]


def without_progress(checkpoint: Path) -> None:
    rewrite(checkpoint / "state.json", progress=None)
    signed(checkpoint)


def other_weights(checkpoint: Path) -> None:
    save_file({"a": torch.zeros(3)}, checkpoint / "tensors.safetensors")
    signed(checkpoint)


HELD: list[RunLock] = []  # locks that live as long as this process


def held(run: Path) -> None:
    HELD.append(RunLock(run))


def cut_epochs(run: Path) -> None:
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("epochs: 1", "epochs: 0"))


def set_data(run: Path) -> None:
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("table.csv", "gone.csv"))


RESUME = [
    at("nothing", r"nowhere holds no run to resume; check the path", lambda f: f / "nowhere"),
    at("a file", r"table\.csv holds no run to resume", lambda f: f / "table.csv"),
    at("another folder", r"photos holds no run to resume", lambda f: f / "photos"),
    at("a model folder", r"model holds no run to resume", lambda f: f / "run" / "model"),
    resumed("a broken config", r"mine/config\.yaml:1: not valid YAML", lambda run: (run / "config.yaml").write_text("{a: [")  , 2),
    resumed("a changed config", r"mine/config\.yaml:\d+: train\.epochs=0", cut_epochs, 2),
    resumed("data gone", r"gone\.csv does not exist", set_data, 3),
    resumed("a broken summary", r"summary\.json is damaged", lambda run: cut(run / "summary.json", 20)),
    resumed("tensors cut short", r"all checkpoints in .*mine/checkpoints are damaged.*another --out", lambda run: every(run, lambda c: cut(c / "tensors.safetensors"))),
    resumed("tensors gone", r"all checkpoints in .* are damaged", lambda run: every(run, lambda c: (c / "tensors.safetensors").unlink())),
    resumed("state changed", r"all checkpoints in .* are damaged", lambda run: every(run, lambda c: (c / "state.json").write_text("{}"))),
    resumed("no manifest", r"all checkpoints in .* are damaged", lambda run: every(run, lambda c: (c / "manifest.json").unlink())),
    resumed("a manifest cut short", r"all checkpoints in .* are damaged", lambda run: every(run, lambda c: cut(c / "manifest.json", 9))),
    resumed("a manifest that is a list", r"all checkpoints in .* are damaged", lambda run: every(run, lambda c: (c / "manifest.json").write_text("[]"))),
    resumed("an empty manifest", r"all checkpoints in .* are damaged", lambda run: every(run, lambda c: (c / "manifest.json").write_text("{}"))),
    resumed("state without progress", r"checkpoint of .*mine does not fit.*resume with the config", lambda run: every(run, without_progress)),
    resumed("other weights", r"(all checkpoints in .* are damaged|does not fit)", lambda run: every(run, other_weights)),
    resumed("another network", r"checkpoint of .*mine does not fit its config \(its weights are those of another network\); resume with", lambda run: None, overrides=["model.hidden=[9]"]),
    resumed("another optimizer", r"checkpoint of .*mine does not fit|optimizer", lambda run: None, overrides=["optimizer=sgd", "optimizer.average=ema"]),
    resumed("a folder in use", r"mine is in use by another run; wait for it to end", held, 5),
]  # fmt: skip


def out(name: str, pattern: str, path: Callable[[Path], object], code: int = 5) -> Case:
    """A good config, and a folder that a run cannot be written to."""

    def make(folder: Path) -> Call:
        (folder / "config.yaml").write_text(config_text(""))
        place = path(folder)
        return lambda: train(folder / "config.yaml", out=place, quiet=True)  # type: ignore[arg-type]

    return Case(f"out {name}", code, pattern, make)


def read_only(name: str) -> Case:
    """A folder that may not be written; for root, who may write anywhere, the system is made to refuse."""

    def make(folder: Path) -> Call:
        (folder / "config.yaml").write_text(config_text(""))
        (folder / "locked").mkdir()
        (folder / "locked").chmod(0o555)
        refusal = PermissionError(errno.EACCES, "Permission denied")

        def call() -> object:
            with patch.object(Path, "mkdir", side_effect=refusal):
                return train(folder / "config.yaml", out=folder / "locked" / "out", quiet=True)

        return call

    return Case(f"out {name}", 5, r"locked/out cannot be written \(Permission denied\); choose another folder", make)


def dangling(folder: Path) -> Path:
    (folder / "link").symlink_to(folder / "no" / "where")
    (folder / "no").write_text("a file")
    return folder / "link"


OUT = [
    out("an existing run", r"run holds a run already; go on with --resume .*run, or choose another folder", lambda f: f / "run", 2),
    out("a file", r"table\.csv is a file; choose another folder with --out", lambda f: f / "table.csv"),
    out("below a file", r"table\.csv.* cannot be written.*choose another folder with --out", lambda f: f / "table.csv" / "out"),
    out("where nobody can write", r"/proc/.* cannot be written.*choose another folder with --out", lambda f: "/proc/netwright/out"),
    read_only("a read-only folder"),
    out("a name too long", r"cannot be written.*choose another folder with --out", lambda f: f / ("x" * 300)),
    out("a name with NUL", r"cannot be written.*choose another folder with --out", lambda f: "a\0b"),
    out("a broken link", r"cannot be written.*choose another folder with --out", dangling),
    out("no name", r"--out is empty; give the folder", lambda f: "", 2),
]  # fmt: skip


def loaded(name: str, pattern: str, spoil: Spoil, code: int = 4, run: str = "run") -> Case:
    """A model folder, spoilt, then loaded."""

    def make(folder: Path) -> Call:
        model = mine(folder, run) / "model"
        spoil(model)
        return lambda: load(model)

    return Case(f"load {name}", code, pattern, make)


def recipe(model: Path, **changes: Any) -> None:
    values = json.loads((model / "config.json").read_text())
    values["model"] |= changes
    (model / "config.json").write_text(json.dumps(values))


def fitted(model: Path, **changes: Any) -> None:
    values = json.loads((model / "preprocessor.json").read_text())
    values["values"] |= changes
    (model / "preprocessor.json").write_text(json.dumps(values))


def weights(model: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    file = model / "model.safetensors"
    save_file(change(load_file(file)), file)


def as_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def text(name: str, content: str | bytes) -> Spoil:
    return lambda model: (model / name).write_bytes(content if isinstance(content, bytes) else content.encode())


LOAD = [
    Case("load nothing", 4, r"nowhere holds no model; give a run folder", lambda f: lambda: load(f / "nowhere")),
    Case("load a file", 4, r"table\.csv holds no model; give a run folder", lambda f: lambda: load(f / "table.csv")),
    Case("load another folder", 4, r"photos holds no model; give a run folder", lambda f: lambda: load(f / "photos")),
    loaded("an empty model", r"model holds no model|config\.json does not exist", lambda m: (m / "config.json").unlink()),
    loaded("config cut short", r"config\.json is damaged.*train again", lambda m: cut(m / "config.json")),
    loaded("config empty", r"config\.json is damaged.*train again", text("config.json", "")),
    loaded("config not utf-8", r"config\.json is damaged.*train again", text("config.json", b"\xff\xfe{}")),
    loaded("config a list", r"config\.json is damaged.*train again", text("config.json", "[]")),
    loaded("config of another program", r"is not a model folder that this version reads", text("config.json", '{"architectures": ["Bert"]}')),
    loaded("a Hugging Face folder", r"is a Hugging Face folder; load it with netwright\.load_pretrained", text("config.json", '{"model_type": "bert"}')),
    loaded("format of the future", r"is not a model folder that this version reads", lambda m: rewrite(m / "config.json", format=99)),
    loaded("no schema", r"config\.json is damaged \(schema is missing in it\)", lambda m: rewrite(m / "config.json", schema=None)),
    loaded("schema a number", r"config\.json is damaged.*train again", lambda m: rewrite(m / "config.json", schema=5)),
    loaded("no model", r"config\.json is damaged \(model is missing in it\)", lambda m: rewrite(m / "config.json", model=None)),
    loaded("no task", r"config\.json is damaged \(task is missing in it\)", lambda m: rewrite(m / "config.json", task=None)),
    loaded("unknown model", r"config\.json.*unknown model 'mlpp'; did you mean mlp\?", lambda m: recipe(m, name="mlpp")),
    loaded("unknown argument", r"config\.json.*model\.hiden is not a known setting", lambda m: recipe(m, arguments={"hiden": [4]})),
    loaded("argument out of range", r"config\.json.*model\.hidden\[0\]=0", lambda m: recipe(m, arguments={"hidden": [0]})),
    loaded("no arguments", r"config\.json is damaged.*train again", lambda m: recipe(m, arguments=None)),
    loaded("unknown task", r"config\.json.*unknown task", lambda m: rewrite(m / "config.json", task={"name": "x"})),
    loaded("a class of one's own", r"your own class mine:Net; build it and give it", lambda m: recipe(m, python="mine:Net")),
    loaded("no preprocessor", r"preprocessor\.json does not exist", lambda m: (m / "preprocessor.json").unlink()),
    loaded("preprocessor cut short", r"preprocessor\.json is damaged", lambda m: cut(m / "preprocessor.json")),
    loaded("preprocessor a list", r"preprocessor\.json is damaged", text("preprocessor.json", "[]")),
    loaded("preprocessor empty", r"preprocessor\.json is damaged", text("preprocessor.json", "{}")),
    loaded("preprocessor of another kind", r"preprocessor\.json is damaged", lambda m: rewrite(m / "preprocessor.json", kind="sound")),
    loaded("preprocessor without values", r"preprocessor\.json is damaged", lambda m: rewrite(m / "preprocessor.json", values={})),
    loaded("preprocessor of words", r"preprocessor\.json is damaged", lambda m: fitted(m, mean="abc")),
    loaded("preprocessor too long", r"preprocessor\.json is damaged", lambda m: fitted(m, mean=[0.0] * 99)),
    loaded("preprocessor too short", r"preprocessor\.json is damaged", lambda m: fitted(m, std=[]), run="photo-run"),
    loaded("no weights", r"model\.safetensors cannot be read.*train again", lambda m: (m / "model.safetensors").unlink()),
    loaded("weights empty", r"model\.safetensors cannot be read.*train again", text("model.safetensors", "")),
    loaded("weights cut short", r"model\.safetensors cannot be read.*train again", lambda m: cut(m / "model.safetensors", 300)),
    loaded("weights of noise", r"model\.safetensors cannot be read.*train again", text("model.safetensors", b"\xff" * 500)),
    loaded("weights a pickle", r"model\.safetensors cannot be read.*train again", text("model.safetensors", b"\x80\x04\x95" * 50)),
    loaded("weights a folder", r"model\.safetensors cannot be read", lambda m: as_folder(m / "model.safetensors")),
    loaded("weights lacking", r"weights of another network: missing .*head", lambda m: weights(m, lambda w: {k: v for k, v in w.items() if "head" not in k})),
    loaded("weights unknown", r"weights of another network: unexpected more", lambda m: weights(m, lambda w: w | {"more": torch.zeros(2)})),
    loaded("weights of other sizes", r"weights of another network: .* is \(9,\), not", lambda m: weights(m, lambda w: {k: torch.zeros(9) for k in w})),
    loaded("sizes of another network", r"weights of another network: ", lambda m: recipe(m, arguments={"in_features": 6, "num_classes": 3, "hidden": [5]})),
]  # fmt: skip


def asked(name: str, pattern: str, inputs: Callable[[Path], Any], run: str = "run") -> Case:
    return Case(f"predict {name}", 3, pattern, lambda folder: lambda: load(folder / run)(inputs(folder)))


PREDICT = [
    asked("a row without a column", r"the row has no 'b'", lambda f: {"a": 1.0, "kind": "x"}),
    asked("a word for a number", r"a='much' is not a number", lambda f: {"a": "much", "b": 1, "kind": "x"}),
    asked("an infinite number", r"a=inf is not a number", lambda f: {"a": float("inf"), "b": 1, "kind": "x"}),
    asked("a row too short", r"the row has 2 values; expected 3: a, b, kind", lambda f: [[1.0, 2.0]]),
    asked("a row too long", r"the row has 9 values; expected 3", lambda f: np.zeros((2, 9))),
    asked("nothing", r"(the row has 1 values; expected 3|None)", lambda f: None),
    asked("a picture that is missing", r"no\.png does not exist", lambda f: f / "no.png", "photo-run"),
    asked("a picture that is none", r"table\.csv is not a picture", lambda f: str(f / "table.csv"), "photo-run"),
    asked("a folder for a picture", r"photos.*cannot be read as a picture|photos.*folder", lambda f: str(f / "photos"), "photo-run"),
    asked("a vector for a picture", r"cannot be read as a picture: shape \(9,\)", lambda f: np.zeros(9), "photo-run"),
    asked("a row for a picture", r"cannot be read as a picture", lambda f: {"a": 1}, "photo-run"),
    asked("numbers that are no pixels", r"floats outside 0 to 1; give bytes", lambda f: np.full((16, 16), 7.5), "photo-run"),
    asked("None for a picture", r"cannot be read as a picture", lambda f: [None], "photo-run"),
]  # fmt: skip

OTHERS = [
    Case("open nothing", 4, r"summary\.json does not exist; is this the folder of a run", lambda f: lambda: open_run(f / "no")),
    Case("open a changed run", 4, r"damaged summary\.json", lambda f: (rewrite(mine(f) / "summary.json", metrics=None), lambda: open_run(f / "mine"))[1]),
    Case("open a list", 4, r"summary\.json is damaged", lambda f: ((mine(f) / "summary.json").write_text("[]"), lambda: open_run(f / "mine"))[1]),
    Case("evaluate nothing", 4, r"does not exist; is this the folder of a run", lambda f: lambda: evaluate_run(f / "no")),
    Case("evaluate a run without model", 4, r"model\.safetensors cannot be read", lambda f: (shutil.rmtree(mine(f) / "model"), lambda: evaluate_run(f / "mine"))[1]),
    Case("evaluate on missing data", 3, r"no\.csv does not exist", lambda f: (mine(f), lambda: evaluate_run(f / "mine", str(f / "no.csv")))[1]),
    Case("evaluate on other data", 3, r"the model does not know the class cats, dogs, owls; its classes are cat, dog, owl", lambda f: (mine(f), lambda: evaluate_run(f / "mine", str(f / "photos")))[1]),
    Case("evaluate on other columns", 3, r"prices\.csv has no column 'kind'", lambda f: (mine(f), lambda: evaluate_run(f / "mine", str(f / "prices.csv")))[1]),
    Case("explain an unknown name", 2, r"resnet9000 is neither a network, nor a file, nor an example; did you mean resnet", lambda f: lambda: explain("resnet9000")),
    Case("explain a module without shape", 2, r"needs input_shape.*\(3, 224, 224\)", lambda f: lambda: explain(nn.Linear(3, 2))),
    Case("explain a shape that does not fit", 2, r"(1x2x2|image_size=2|too small)", lambda f: lambda: explain("lenet5", (1, 2, 2))),
    Case("explain a module that does not fit", 2, r"Linear cannot run on input \(1, 4\).*give the shape of an input it takes", lambda f: lambda: explain(nn.Linear(3, 2), (4,))),
    Case("explain a shape of words", 2, r"input_shape", lambda f: lambda: explain("lenet5", ("a", "b"))),  # type: ignore[arg-type]
]  # fmt: skip

X, Y = torch.randn(40, 5, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 3


def net(inputs: int = 5, outputs: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 4), nn.ReLU(), nn.Linear(4, outputs))


class Failing(nn.Module):
    """A network with a mistake of its author's."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> Any:
        return self.a(x)["scores"]


def fits(name: str, code: int, pattern: str, module: Any, data: Any, **settings: Any) -> Case:
    """`fit` with something that does not go with the rest."""

    def make(folder: Path) -> Call:
        options = {"epochs": 1, "batch_size": 8, "out": folder / "out", "quiet": True, **settings}
        return lambda: fit(module() if callable(module) else module, data, **options)

    return Case(f"fit {name}", code, pattern, make)


FIT = [
    fits("different lengths", 3, r"40 inputs but 30 targets", net, (X, Y[:30])),
    fits("no examples", 3, r"no examples", net, (X[:0], Y[:0])),
    fits("all NaN", 3, r"all 40 examples are bad.*NaN", net, (X * float("nan"), Y)),
    fits("words", 3, r"inputs are not numbers in one shape", net, (np.array([["a"]] * 40), Y)),
    fits("lists of different lengths", 3, r"inputs are not numbers in one shape", net, ([[1.0], [1.0, 2.0]], [0, 1])),
    fits("one class", 3, r"one class only", net, (X, Y * 0)),
    fits("a number for data", 2, r"data of type int are not known; give a name, a path, arrays", net, 5),
    fits("None for data", 2, r"data of type NoneType are not known", net, None),
    fits("a missing file", 3, r"no\.csv does not exist", net, "no.csv"),
    fits("no network", 2, r"the module is 'mlp'; expected an instance of nn\.Module", lambda: "mlp", (X, Y)),
    fits("a class for a network", 2, r"the module is the class Linear; expected an instance of nn\.Module", lambda: nn.Linear, (X, Y)),
    fits("inputs of another size", 2, r"model Sequential and arrays do not fit.*in_features=5 instead of 9\.$", lambda: net(9), (X, Y)),
    fits("outputs too few", 2, r"last layer 3 (outputs|units)", lambda: net(5, 2), (X, Y)),
    fits("a network with a mistake", 2, r"model Failing (and arrays do not fit|cannot be trained).*\((Type|Index)Error", Failing, (X, Y)),
    fits("a network without weights", 2, r"nothing to train.*layers with weights", nn.Flatten, (X, Y)),
    fits("an unknown loss", 2, r"loss.*did you mean cross-entropy\?", net, (X, Y), loss="cross-entrpy"),
    fits("a number for a loss", 2, r"loss=5 does not fit", net, (X, Y), loss=5),
    fits("a loss that fails", 2, r"model Sequential (and arrays do not fit|cannot be trained).*nonsense", net, (X, Y), loss=lambda out, y: out.nonsense),
    fits("an unknown optimizer", 2, r"optimizer.*did you mean adam", net, (X, Y), optimizer="adamm"),
    fits("a number for an optimizer", 2, r"optimizer=5 does not fit", net, (X, Y), optimizer=5),
    fits("an optimizer of other weights", 2, r"the optimizer holds no parameters of this module; make it from module\.parameters", net, (X, Y), optimizer=torch.optim.SGD(net().parameters(), lr=0.1)),
    fits("no epochs", 2, r"train\.epochs=0 does not fit", net, (X, Y), epochs=0),
    fits("a batch of words", 2, r"train\.batch_size='big' does not fit", net, (X, Y), batch_size="big"),
    fits("an unknown setting", 2, r"train\.patience is not a known setting", net, (X, Y), patience=3),
    fits("an unknown task", 2, r"task.*did you mean regression\?", net, (X, Y), task="regresion"),
    fits("another task", 2, r"task language-modeling needs a text.*use task: tabular-classification", net, (X, Y), task="language-modeling"),
    fits("a doctor of words", 2, r"doctor='mabe' is not one of", net, (X, Y), doctor="mabe"),
    fits("validation of another shape", 3, r"validation data .*of another kind.*give them the same shape", net, (X, Y), validation=(X[:, :3], Y)),
    fits("validation share of 2", 2, r"validation=2.*less than 1", net, (X, Y), validation=2.0),
    fits("nothing to resume", 2, r"resume=True needs out=", net, (X, Y), resume=True, out=None),
]  # fmt: skip

CASES = [*RESUME, *OUT, *LOAD, *PREDICT, *OTHERS, *FIT]
