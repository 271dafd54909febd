"""Exported files: they say what the network says for any batch, and nothing is written that does not."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from shipped_models import MODELS
from torch import Tensor, nn

import netwright
from netwright.core.errors import ConfigError, MissingExtra, ResourceError
from netwright.experiment.exporting import export
from netwright.export import formats, shipping
from netwright.export.formats import runner
from netwright.export.graph import graph_of
from netwright.export.proof import MismatchError
from netwright.export.specimens import Specimens

QUICK = ["image", "lstm"]
SUFFIX = {"onnx": ".onnx", "torch": ".pt2"}


def _cases() -> list[Any]:
    """The quick ones always, for both formats; the rest, of which some take seconds, with the slow tests."""
    for_torch = [(name, "torch") for name in MODELS]
    for_onnx = [(name, "onnx") for name in MODELS]
    quick = {*((name, "onnx") for name in QUICK), ("image", "torch"), ("regression", "torch"), ("gan", "torch")}
    marks = {case: () if case in quick else (pytest.mark.slow,) for case in for_torch + for_onnx}
    return [pytest.param(*case, id="-".join(case), marks=mark) for case, mark in marks.items()]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize(("name", "format"), _cases())
def test_a_file_says_what_the_model_says_for_any_batch(name: str, format: Any, tmp_path: Path) -> None:
    model = MODELS[name]()
    made = export(model, tmp_path / f"m{SUFFIX[format]}", format)
    graph = graph_of(model.network, model.task, model.schema, model.preprocess, bare=False)
    specimens = Specimens(graph, model.schema, model.preprocess)
    file = runner(made.path.read_bytes(), graph, format)
    for rows, time in ((4, 6), (11, 12), (1, 2)):
        inputs = specimens.take(rows, made.card["time"] or time)
        with torch.no_grad():
            torch.testing.assert_close(file(inputs), graph.module(*inputs), rtol=1e-4, atol=1e-4)
    free = name not in ("rnn",) or format == "onnx"
    assert (made.card["time"] is None) == (free or model.schema.kind != "text")
    assert made.inputs[0].shape[0] == made.output.shape[0] == "batch"
    assert made.proof.difference <= made.proof.tolerance


@pytest.mark.parametrize("name", ["image", "table", "regression", "array", "series-lstm", "mask", "agent"])
def test_the_whole_graph_is_what_predict_computes(name: str) -> None:
    """Raw inputs in, and the numbers that stand behind the answers out."""
    model = MODELS[name]()
    graph = graph_of(model.network, model.task, model.schema, model.preprocess, bare=False)
    (raw,) = Specimens(graph, model.schema, model.preprocess).take(5)
    ready = model.preprocess.inputs(raw) if model.preprocess is not None else raw
    with torch.no_grad():
        told = graph.module(raw)
        assert torch.equal(told, model.task.exported(model.task.predict(model.network, ready)))
    if name == "regression":
        said = model.task.answers(model.task.predict(model.network, ready))
        assert [row["price"] for row in said] == pytest.approx(told[:, 0].tolist())
    if name == "series-lstm":
        said = model.task.answers(model.task.predict(model.network, ready))
        assert said[2]["y"] == pytest.approx(told[2, :, 0].tolist())


def test_a_used_model_can_be_exported(tmp_path: Path) -> None:
    """What prediction keeps was made in inference mode."""
    model = MODELS["regression"]()
    model([[30.0, "Rome", True, "2020-01-01"]])
    assert export(model, tmp_path / "m.pt2", "torch").proof.difference == 0


def test_the_file_and_its_card_say_what_it_is(tmp_path: Path) -> None:
    import onnx

    made = export(MODELS["table"](), tmp_path / "m.onnx")
    card = json.loads((tmp_path / "m.onnx.json").read_text("utf-8"))
    assert card == json.loads(json.dumps(made.card))
    assert card["classes"] == ["low", "mid", "high"] and card["opset"] == formats.OPSET
    assert card["inputs"] == [{"name": "row", "dtype": "float32", "shape": ["batch", 4]}]
    assert card["output"] == {"name": "logits", "dtype": "float32", "shape": ["batch", 3]}
    assert card["verified"]["on"] == "generated" and card["latency"]["runs"] > 0
    proto = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(proto)
    within = json.loads({entry.key: entry.value for entry in proto.metadata_props}[formats.CARD])
    assert within["preprocessor"]["values"]["mean"] == [41.0, 0.0, 4.0]
    assert [one.name for one in proto.graph.input] == ["row"] and proto.graph.output[0].name == "logits"
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert {one.domain: one.version for one in proto.opset_import}[""] == formats.OPSET


def test_a_program_of_torch_holds_its_description(tmp_path: Path) -> None:
    export(MODELS["image"](), tmp_path / "m.pt2", "torch")
    extra = {formats.CARD: ""}
    program = torch.export.load(tmp_path / "m.pt2", extra_files=extra)
    assert json.loads(extra[formats.CARD])["network"] == "lenet5"
    assert program.module()(torch.zeros(7, 1, 12, 12, dtype=torch.uint8)).shape == (7, 3)


def test_bare_is_the_network_alone(tmp_path: Path) -> None:
    model = MODELS["image"]()
    made = export(model, tmp_path / "m.pt2", "torch", bare=True)
    assert str(made.inputs[0]) == "image float32 [batch, 1, 12, 12]" and made.card["preprocessing"] is False
    x = torch.randn(6, 1, 12, 12)
    with torch.no_grad():
        torch.testing.assert_close(torch.export.load(made.path).module()(x), model.network(x))


@pytest.mark.parametrize("format", ["onnx", "torch"])
def test_a_wrong_file_is_never_written(format: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph whose weights went astray on the way."""
    real = shipping.made

    def astray(graph: Any, *rest: Any) -> bytes:
        weight = next(graph.module.parameters())
        weight.data.add_(0.05)
        content = real(graph, *rest)
        weight.data.sub_(0.05)
        return content

    monkeypatch.setattr(shipping, "made", astray)
    with pytest.raises(MismatchError, match="differs from the network by") as error:
        export(MODELS["array"](), tmp_path / f"m{SUFFIX[format]}", format)
    assert error.value.exit_code == 1 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("said", [float("nan"), float("inf")])
def test_what_is_no_number_is_a_difference(said: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "runner", lambda *_: lambda inputs: torch.full((len(inputs[0]), 3), said))
    with pytest.raises(MismatchError):
        export(MODELS["array"](), tmp_path / "m.pt2", "torch")


def test_another_shape_is_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "runner", lambda *_: lambda inputs: torch.zeros(len(inputs[0]), 4))
    with pytest.raises(MismatchError, match=r"gives \(1, 4\) where the network gives \(1, 3\)"):
        export(MODELS["array"](), tmp_path / "m.pt2", "torch")


class _Fickle(nn.Module):
    """Looks at its numbers to decide what to do, which no trace can hold."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) if float(x.sum()) > 0 else -self.inner(x)


def test_a_network_that_cannot_be_traced_says_so_in_a_line(tmp_path: Path) -> None:
    model = MODELS["array"]()
    model.network = _Fickle(model.network)
    with pytest.raises(ConfigError, match="cannot be exported to torch") as error:
        export(model, tmp_path / "m.pt2", "torch")
    assert "\n" not in str(error.value) and error.value.exit_code == 2 and list(tmp_path.iterdir()) == []


def test_where_a_file_may_not_go(tmp_path: Path) -> None:
    model = MODELS["array"]()
    (tmp_path / "taken.pt2").write_text("mine")
    (tmp_path / "card.pt2.json").write_text("mine")
    (tmp_path / "folder.pt2").mkdir()
    for name in ("taken.pt2", "card.pt2"):
        with pytest.raises(ConfigError, match=r"exists already.*--force"):
            export(model, tmp_path / name, "torch")
    with pytest.raises(ConfigError, match="exists already"):
        export(model, tmp_path / "folder.pt2", "torch", overwrite=True)
    with pytest.raises(ConfigError, match=r"does not end with \.pt2"):
        export(model, tmp_path / "m.onnx", "torch")
    with pytest.raises(ConfigError, match="did you mean onnx"):
        export(model, tmp_path / "m.onnx", "onxx")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="give out"):
        export(model)
    with pytest.raises(ResourceError, match="cannot be written"):
        export(model, tmp_path / "taken.pt2" / "m.pt2", "torch")
    assert (tmp_path / "taken.pt2").read_text() == "mine"
    export(model, tmp_path / "taken.pt2", "torch", overwrite=True)
    assert torch.export.load(tmp_path / "taken.pt2") is not None
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".tmp")]


@pytest.mark.parametrize("library", ["onnx", "onnxruntime", "onnxscript"])
def test_without_its_libraries_it_says_what_to_install(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=rf"{library} is not installed; run: pip install 'netwright\[export\]'"):
        export(MODELS["array"](), tmp_path / "m.onnx")


def test_the_function_has_its_name() -> None:
    assert netwright.export is export
