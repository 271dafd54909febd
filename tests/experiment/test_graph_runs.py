"""Runs on graphs from config to answer: whole graphs and the nodes of one, as a user meets them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import netwright as nw
from netwright.cli.main import main
from netwright.core.errors import ConfigError, DataError, Preempted
from netwright.core.records import read_json
from netwright.experiment.assemble import assemble
from netwright.experiment.checking import check_config
from netwright.experiment.config import load_config
from netwright.experiment.evaluating import evaluate_run
from netwright.experiment.model_folder import weights_hash
from netwright.tasks.base import StepOutput
from netwright.training import loop
from netwright.training.hooks.base import Hook
from netwright.training.session import Session

SMALL: dict[str, dict[str, Any]] = {
    "gcn": {"hidden_size": 16},
    "gat": {"hidden_size": 8, "num_heads": 2},
    "graph_transformer": {"hidden_size": 16, "num_heads": 2, "num_layers": 2},
}
every_network = pytest.mark.parametrize("name", SMALL)


@pytest.fixture(autouse=True)
def _alone():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def molecules(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Rings and stars of 5 to 9 nodes, of which those of stars are mostly marked; `marks` is how many are."""
    chance, rows = np.random.default_rng(0), []
    for k in range(160):
        size, star = int(chance.integers(5, 10)), bool(k % 2)
        edges = [[0 if star else i - 1, i] for i in range(1, size)] + ([] if star else [[size - 1, 0]])
        marked = chance.random(size) < (0.8 if star else 0.2)
        nodes = np.stack([marked, chance.normal(size=size)], 1).astype(float)
        attributes = [[1, 0]] * len(edges)
        rows.append({"nodes": nodes.tolist(), "edges": edges, "edge_attr": attributes,
                     "shape": "star" if star else "ring", "marks": marked.sum() + 0.5})  # fmt: skip
    path = tmp_path_factory.mktemp("graphs") / "shapes.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


@pytest.fixture(scope="module")
def village(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two camps of 60 nodes, linked within; a feature tells the camp of every fourth node only."""
    chance, folder = np.random.default_rng(0), tmp_path_factory.mktemp("graph") / "village"
    folder.mkdir()
    camp = np.arange(120) % 2
    hint = np.where(np.arange(120) // 2 % 4 == 0, 2.0 * camp - 1, 0) + chance.normal(0, 0.1, 120)
    lines = [f"{k},{hint[k]:.3f},{chance.normal():.3f},{'NS'[camp[k]]}" for k in range(120)]
    (folder / "nodes.csv").write_text("\n".join(["id,hint,noise,label", *lines]))
    ends = [(k, int(other)) for k in range(120) for other in chance.choice(np.flatnonzero(camp == camp[k]), 4)]
    (folder / "edges.csv").write_text("\n".join(["source,target", *(f"{a},{b}" for a, b in ends)]))
    return str(folder)


def _config(data: Any, name: str, epochs: int, **more: Any) -> dict[str, Any]:
    optimizer = {"name": "adam", "lr": 1e-2}
    model = {"name": name, "dropout": 0.0, **SMALL[name]}
    return {"data": data, "model": model, "optimizer": optimizer, "train": {"epochs": epochs, "batch_size": 16}} | more


@every_network
def test_graphs_are_told_apart(molecules: str, tmp_path: Path, name: str) -> None:
    config = _config({"path": molecules, "target": "shape"}, name, 12)
    run = nw.train(config, out=tmp_path / "run", quiet=True)
    assert run.metrics["test"]["accuracy"] >= 0.9
    rows = [json.loads(line) for line in Path(molecules).read_text().split("\n")[:6]]
    predict = nw.load(tmp_path / "run" / "model")
    answers = predict(rows)
    assert sum(answer["label"] == row["shape"] for answer, row in zip(answers, rows, strict=True)) >= 5
    assert predict(rows[3])[0]["probability"] == pytest.approx(answers[3]["probability"], abs=1e-4)
    assert evaluate_run(tmp_path / "run", molecules)["metrics"]["accuracy"] >= 0.9


@every_network
def test_nodes_are_told_by_their_neighbours(village: str, tmp_path: Path, name: str) -> None:
    run = nw.train(_config(village, name, 60), out=tmp_path / "run", quiet=True)
    assert run.metrics["validation"]["accuracy"] >= 0.75
    assert set(run.metrics["test"]) >= {"accuracy", "f1", "auroc", "ece"}
    kinds = [exhibit["kind"] for exhibit in json.loads((tmp_path / "run" / "exhibits.json").read_text())]
    assert kinds[:2] == ["confusion", "curve"]
    answers = nw.load(tmp_path / "run" / "model")(village)
    assert len(answers) == 120
    assert sum(answer["label"] == "NS"[k % 2] for k, answer in enumerate(answers)) >= 90


def test_a_number_of_each_graph_is_predicted_in_its_own_unit(molecules: str, tmp_path: Path) -> None:
    config = _config({"path": molecules, "target": "marks"}, "gcn", 60)
    config["model"] |= {"pooling": "sum"}
    run = nw.train(config, out=tmp_path / "run", quiet=True)
    assert read_json(tmp_path / "run" / "model" / "config.json")["task"]["name"] == "graph-regression"
    assert run.metrics["test"]["rmse"] < 0.6


class Leave(Hook):
    """Asks the run to save and leave after some steps, as SIGTERM does."""

    name, stride = "leave", 1

    def step_end(self, run: Session, out: StepOutput) -> None:
        if run.progress.step == 7:
            run.leave = lambda: Preempted("left")


@pytest.mark.parametrize("kind", ["graphs", "nodes"])
def test_a_resumed_run_ends_with_the_same_bits(molecules: str, village: str, tmp_path: Path, kind: str) -> None:
    config = _config({"path": molecules, "target": "shape"} if kind == "graphs" else village, "gat", 2)
    config["model"]["dropout"] = 0.3
    config["train"]["epochs"] = 2 if kind == "graphs" else 12
    ends = []
    for leaves in (False, True):
        folder = tmp_path / str(leaves)
        folder.mkdir()
        run = assemble(load_config(config), folder, quiet=True).session
        if leaves:
            run._steppers.append(Leave())
            with pytest.raises(Preempted):
                loop.train(run)
            torch.rand(7)  # somebody else used the generator between
            run = assemble(load_config(config), folder, quiet=True).session
            assert run.restore() and run.progress.step == 7
        loop.train(run)
        ends.append((run.progress.step, weights_hash(run.model), run.last_metrics))
    assert ends[0] == ends[1] and ends[0][0] > 7


@every_network
def test_the_doctor_finds_nothing_wrong_with_sound_configs(molecules: str, village: str, name: str) -> None:
    for data in ({"path": molecules, "target": "shape"}, village):
        found = check_config(_config(data, name, 100))
        assert not [finding for finding in found if finding.severity != "note"]


def test_predict_gives_a_line_a_graph_or_a_node(
    molecules: str, village: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for data, argument, lines in (({"path": molecules, "target": "shape"}, molecules, 160), (village, village, 120)):
        run = nw.train(_config(data, "gcn", 1), quiet=True, out=tmp_path / str(lines))
        capsys.readouterr()
        assert main(["predict", str(run.folder), argument]) == 0
        said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert len(said) == lines and {"input", "label", "probability"} <= said[0].keys()
    assert said[7]["input"].endswith("node 7")


def test_a_network_for_other_data_is_refused_with_one_that_fits(molecules: str) -> None:
    data = {"path": molecules, "target": "shape"}
    for model in ("lenet5", "mlp", "lstm"):
        with pytest.raises(ConfigError, match="gcn"):
            nw.train({"data": data, "model": model, "train": {"epochs": 1}}, quiet=True)
    with pytest.raises(ConfigError, match="its level; use"):
        nw.train({"data": "iris", "model": "gcn", "train": {"epochs": 1}}, quiet=True)


class Mean(nn.Module):
    """A network of a user's own: the mean of each graph's nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 2)

    def forward(self, nodes: Tensor, edges: Tensor, edge_attr: Tensor, graph_index: Tensor) -> Tensor:
        size = int(graph_index.max()) + 1
        degree = torch.zeros(len(nodes)).scatter_add(0, edges[1], torch.ones(edges.shape[1])) ** 2
        x = torch.cat([nodes, degree[:, None] / 4], 1)
        total = x.new_zeros(size, 3).index_add(0, graph_index, x)
        return self.head(total / torch.bincount(graph_index, minlength=size)[:, None])


def test_fit_trains_a_network_of_the_users_own(molecules: str, tmp_path: Path) -> None:
    data = {"path": molecules, "target": "shape"}
    optimizer = {"name": "adam", "lr": 0.05}
    run = nw.fit(Mean(), data, epochs=20, batch_size=16, optimizer=optimizer, out=tmp_path, quiet=True)
    assert run.metrics["validation"]["accuracy"] >= 0.9
    with pytest.raises(ConfigError, match="forward\\(self, nodes, edges, edge_attr=None, graph_index=None\\)"):
        nw.fit(nn.Sequential(nn.Linear(2, 2)), data, epochs=1, quiet=True)


def test_input_that_is_no_graph_is_refused(molecules: str, village: str, tmp_path: Path) -> None:
    nw.train(_config(village, "gcn", 1), out=tmp_path / "run", quiet=True)
    predict = nw.load(tmp_path / "run")
    for bad, words in (
        ("nowhere", "does not exist"), (molecules, "is no graph"),
        ({"nodes": [[1, 2]], "edges": [[0, 3]]}, "not there"),
        ({"nodes": [[1]], "edges": []}, "expected 2"), ('{"nodes"', "is not JSON"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=words):
            predict(bad)
