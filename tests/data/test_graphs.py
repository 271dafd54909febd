"""Graphs as data: files of many and folders of one, what is bad in them, splits, scaling, batches, and new graphs."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from netwright.core.errors import ConfigError, DataError
from netwright.data import Preprocessor, Schema, describe, load_data, load_like
from netwright.data.batching import GraphBatches, WholeGraph
from netwright.data.corpora.molecules import ELEMENTS, molecule
from netwright.data.graph_scaling import GraphPreprocessor
from netwright.data.graphs import GraphDataset, NodeDataset, both_ways


def ring(size: int, y: Any = None, seed: int = 0) -> dict[str, Any]:
    chance = np.random.default_rng(seed)
    edges = [[i, (i + 1) % size] for i in range(size)]
    row = {"nodes": chance.normal(3, 2, (size, 2)).tolist(), "edges": edges, "edge_attr": [[i] for i in range(size)]}
    return row if y is None else row | {"y": y}


def written(path: Path, rows: list[Any]) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n")
    return path


def rings(count: int = 60) -> list[dict[str, Any]]:
    return [ring(3 + i % 4, ("even", "odd")[i % 2], i) for i in range(count)]


def folder(path: Path, nodes: int = 60, extra: str = "", edges: str = "", split: bool = False) -> Path:
    path.mkdir()
    parts = ["train", "validation", "test", ""]
    lines = [f"n{i},{i}.5,{i % 2},{'ab'[i // 4 % 2]}" + (f",{parts[i % 4]}" if split else "") for i in range(nodes)]
    head = "id,size,flag,label" + (",split" if split else "")
    (path / "nodes.csv").write_text("\n".join([head, *lines]) + "\n" + extra)
    links = [f"n{i},n{i + 1}" for i in range(nodes - 1)]
    (path / "edges.csv").write_text("\n".join(["source,target", *links]) + "\n" + edges)
    return path


def test_many_graphs_are_read_split_and_sealed(tmp_path: Path) -> None:
    data = load_data({"path": str(written(tmp_path / "g.jsonl", rings()))})
    assert data.schema.kind == "graph" and data.schema.input_shape == (2,)
    assert data.schema.target.classes == ("even", "odd")
    assert data.schema.sizes() == {"level": "graph", "edge_features": 1, "in_features": 2, "num_classes": 2}
    assert data.schema.default_task() == "graph-classification" and data.split["method"] == "stratified"
    assert [len(part) for part in (data.train, data.validation, data.test)] == [48, 6, 6]  # type: ignore[arg-type]
    assert Schema.from_dict(json.loads(json.dumps(data.schema.to_dict()))) == data.schema
    assert describe(data)["statistics"]["graph"]["graphs"] == 48 and "graph" in str(describe(data))


def test_edges_go_both_ways_once_unless_they_are_directed(tmp_path: Path) -> None:
    row = {"nodes": [[1], [2], [3]], "edges": [[0, 1], [1, 0], [1, 2], [2, 2]], "edge_attr": [[5], [6], [7], [8]]}
    path = written(tmp_path / "g.jsonl", [row | {"y": i / 7} for i in range(20)])
    both = load_data({"path": str(path)}).train
    assert isinstance(both, GraphDataset)
    assert both.graphs[0].edges.T.tolist() == [[0, 1], [1, 0], [1, 2], [2, 1], [2, 2]]
    assert both.graphs[0].attributes.flatten().tolist() == [5, 6, 7, 7, 8]
    one = load_data({"path": str(path), "directed": True}).train
    assert isinstance(one, GraphDataset) and one.graphs[0].edges.T.tolist() == row["edges"]
    none = both_ways(torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0, 3))
    assert none[0].shape == (2, 0) and none[1].shape == (0, 3)


BAD = {
    "unknown node": ({"edges": [[0, 9]], "edge_attr": [[1]]}, "names a node that is not there; the nodes are numbered"),
    "widths": ({"nodes": [[1], [2], [3]]}, "nodes has 1 features a row; expected 2"),
    "ragged": ({"nodes": [[1, 2], [2], [3, 4]]}, "nodes is no table of numbers"),
    "missing feature": ({"nodes": [[1, 2], [2, None], [3, 4]]}, "nodes holds values that are missing"),
    "lengths": ({"edge_attr": [[1]]}, "edge_attr has 1 rows for 3 edges"),
    "pairs": ({"edges": [[0, 1, 2]], "edge_attr": [[1]]}, "edges have 3 ends"),
    "empty": ({"nodes": [], "edges": [], "edge_attr": []}, "a graph without nodes"),
    "no target": ({"y": None}, "y is missing, and it is the target"),
}


@pytest.mark.parametrize(("change", "words"), BAD.values(), ids=BAD.keys())
def test_a_bad_graph_is_named_with_its_place_and_skipped_or_refused(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    rows = rings()
    rows[7] = ring(3, "odd") | change
    path = written(tmp_path / "g.jsonl", rows)
    data = load_data({"path": str(path)})
    assert [problem.place for problem in data.problems] == [f"{path}:8"] and words in data.problems[0].reason
    assert sum(data.split["sizes"].values()) == 59
    with pytest.raises(DataError, match="1 of 60 examples are bad") as error:
        load_data({"path": str(path), "bad": "refuse"})
    assert words in str(error.value) and "\n" not in str(error.value)


def test_lines_that_are_no_graph_are_problems_too(tmp_path: Path) -> None:
    path = written(tmp_path / "g.jsonl", [*rings(), '{"nodes": [[1', '{"a": 1}'])
    assert [problem.place.rpartition(":")[2] for problem in load_data({"path": str(path)}).problems] == ["61", "62"]


def test_a_target_that_is_not_there_is_said_with_the_nearest(tmp_path: Path) -> None:
    path = written(tmp_path / "g.jsonl", [ring(3) | {"logS": i / 3} for i in range(20)])
    with pytest.raises(DataError, match="no field 'y' to predict"):
        load_data({"path": str(path)})
    with pytest.raises(DataError, match="did you mean logS"):
        load_data({"path": str(path), "target": "logs"})
    data = load_data({"path": str(path), "target": "logS"})
    assert data.schema.default_task() == "graph-regression"
    assert Preprocessor.fit(data.train).targets(data.train.labels()).std(correction=0) == pytest.approx(1, abs=1e-4)


def test_an_unknown_key_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="direted"):
        load_data({"path": str(written(tmp_path / "g.jsonl", rings())), "direted": True})


def test_batches_are_graphs_side_by_side_whatever_their_order(tmp_path: Path) -> None:
    data = load_data({"path": str(written(tmp_path / "g.jsonl", rings()))})
    preprocess = Preprocessor.fit(data.train)
    assert isinstance(data.train, GraphDataset) and isinstance(preprocess, GraphPreprocessor)
    source = GraphBatches(data.train, preprocess, batch_size=10, seed=3)
    seen = []
    for batch in source.epoch(2):
        nodes, edges, attributes, index = batch.inputs
        assert (index[edges[0]] == index[edges[1]]).all() and len(attributes) == edges.shape[1]
        for place, row in enumerate(batch.index.tolist()):
            whole = data.train.graphs[row]
            assert torch.equal(nodes[index == place], preprocess.inputs(whole.nodes))
            first = int((index < place).sum())
            assert torch.equal(edges[:, index[edges[0]] == place] - first, whole.edges)
        assert torch.equal(batch.targets, data.train.labels()[batch.index])
        seen += batch.index.tolist()
    assert sorted(seen) == list(range(48)) and source.steps_per_epoch == 5
    again = [batch.index.tolist() for batch in source.epoch(2, start=3)]
    assert again == [seen[30:40], seen[40:]]


def test_features_are_scaled_by_training_graphs_alone_and_flags_are_left(tmp_path: Path) -> None:
    rows = [{"nodes": [[i, i % 2], [i + 1, 0]], "edges": [[0, 1]], "y": i / 9} for i in range(50)]
    files = [written(tmp_path / f"{k}.jsonl", rows[at : at + 20]) for k, at in enumerate((0, 20))]
    data = load_data({"path": str(files[0]), "test_path": str(files[1]), "split": {"validation": 0}})
    preprocess = Preprocessor.fit(data.train)
    ready = preprocess.inputs(data.train.graphs.nodes)  # type: ignore[attr-defined]
    assert ready[:, 0].mean() == pytest.approx(0, abs=1e-5) and ready[:, 1].unique().tolist() == [0, 1]
    twin = Preprocessor.from_dict(json.loads(json.dumps(preprocess.to_dict())))
    inputs = preprocess.batch(rows[:3])
    for mine, other in zip(twin.batch([json.dumps(row) for row in rows[:3]]), inputs, strict=True):
        assert torch.equal(mine, other)


def test_one_graph_keeps_all_its_nodes_in_every_part(tmp_path: Path) -> None:
    data = load_data({"path": str(folder(tmp_path / "graph"))})
    train, validation = data.train, data.validation
    assert isinstance(train, NodeDataset) and isinstance(validation, NodeDataset) and data.test is not None
    assert data.schema.default_task() == "node-classification" and data.schema.target.classes == ("a", "b")
    assert len(train) + len(validation) + len(data.test) == 60
    assert not set(train.rows.tolist()) & set(validation.rows.tolist())
    batch = next(WholeGraph(validation, Preprocessor.fit(train)).epoch(0))  # type: ignore[arg-type]
    assert [len(part) for part in batch.inputs] == [60, 2, 118] and batch.inputs[1].shape == (2, 118)
    assert (batch.targets != -100).nonzero().flatten().tolist() == sorted(validation.rows.tolist())
    size = batch.inputs[0][:, 0]
    assert size[train.rows].mean() == pytest.approx(0, abs=1e-5) and abs(float(size.mean())) > 1e-4
    assert not list(WholeGraph(validation, Preprocessor.fit(train)).epoch(0, start=1))  # type: ignore[arg-type]


def test_a_column_of_parts_is_the_split_and_others_are_only_there(tmp_path: Path) -> None:
    data = load_data({"path": str(folder(tmp_path / "graph", split=True))})
    assert data.split["method"] == "official" and data.split["sizes"] == {"train": 15, "validation": 15, "test": 15}
    assert isinstance(data.train, NodeDataset) and data.train.rows.tolist() == list(range(0, 60, 4))


def test_nodes_without_a_label_stay_in_the_graph(tmp_path: Path) -> None:
    data = load_data({"path": str(folder(tmp_path / "graph", extra="n60,1,0,\n", edges="n60,n0\n"))})
    assert sum(data.split["sizes"].values()) == 60 and not data.problems
    assert isinstance(data.train, NodeDataset) and len(data.train.graph.nodes) == 61


def test_bad_rows_of_a_folder_are_named(tmp_path: Path) -> None:
    path = folder(tmp_path / "graph", extra="n60,,1,a\nn61,x,1,a\n", edges="n1,n99\nn60,n2\n")
    data = load_data({"path": str(path), "bad": "skip"})
    told = {problem.place.rpartition("/")[2]: problem.reason for problem in data.problems}
    assert told == {
        "nodes.csv:62": "size is missing or no number", "nodes.csv:63": "size is missing or no number",
        "edges.csv:61": "no node has the id n99", "edges.csv:62": "no node has the id n60",
    }  # fmt: skip
    with pytest.raises(DataError, match="examples are bad"):
        load_data({"path": str(path), "bad": "refuse"})


REFUSED = {
    "twice": ("n0,1,1,a\n", "", "an id stands there twice"),
    "words": ("", "", "column colour holds no numbers ('red', …); add it to data.ignore"),
    "no label": ("", "", "has no column 'label'"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_folder_that_cannot_be_used_is_one_clear_line(tmp_path: Path, kind: str) -> None:
    extra, edges, words = REFUSED[kind]
    path = folder(tmp_path / "graph", extra=extra, edges=edges)
    text = (path / "nodes.csv").read_text()
    if kind == "words":
        text = "\n".join(line + (",colour" if k == 0 else ",red") for k, line in enumerate(text.splitlines()))
    if kind == "no label":
        text = text.replace("label", "kind")
    (path / "nodes.csv").write_text(text)
    with pytest.raises(DataError) as error:
        load_data({"path": str(path)})
    assert words in str(error.value) and "\n" not in str(error.value)
    if kind == "words":
        assert load_data({"path": str(path), "ignore": ["colour"]}).schema.input_shape == (2,)


def test_arrays_of_one_graph_have_their_masks(tmp_path: Path) -> None:
    x, ends = np.random.default_rng(0).normal(size=(40, 3)), np.array([range(39), range(1, 40)])
    masks = {f"{name}_mask": np.arange(40) % 4 == k for k, name in enumerate(("train", "val", "test"))}
    np.savez(tmp_path / "g.npz", x=x, edge_index=ends, y=np.tile(["u"] * 4 + ["v"] * 4, 5), **masks)
    data = load_data(str(tmp_path / "g.npz"))
    assert data.split["sizes"] == {"train": 10, "validation": 10, "test": 10}
    np.savez(tmp_path / "bad.npz", x=x, edge_index=ends + 1, y=np.tile(["u"] * 4 + ["v"] * 4, 5))
    with pytest.raises(DataError, match="names a node that is not there"):
        load_data(str(tmp_path / "bad.npz"))
    np.savez(tmp_path / "none.npz", x=x, edge_index=ends)
    with pytest.raises(DataError, match="no array 'y'; known: x, edge_index"):
        load_data(str(tmp_path / "none.npz"))
    np.savez(tmp_path / "turned.npz", x=x, edge_index=ends.T, y=np.arange(40) % 2)
    with pytest.raises(DataError, match="expected \\(2, E\\)"):
        load_data(str(tmp_path / "turned.npz"))


def test_objects_with_an_edge_index_are_graphs() -> None:
    def graph(seed: int) -> SimpleNamespace:
        row = ring(4, None, seed)
        return SimpleNamespace(
            x=torch.tensor(row["nodes"]), edge_index=torch.tensor(row["edges"]).T, y=torch.tensor([seed % 2])
        )  # fmt: skip

    many = load_data([graph(seed) for seed in range(30)])
    assert many.schema.default_task() == "graph-classification" and many.schema.as_given
    one = graph(0)
    one.y, one.train_mask = torch.tensor([0, 1, 0, 1]), torch.tensor([True, True, True, True])
    assert load_data(one, validation=0.0).split["sizes"]["train"] == 4


def test_new_graphs_are_read_by_the_schema_of_training(tmp_path: Path) -> None:
    schema = load_data({"path": str(written(tmp_path / "g.jsonl", rings()))}).schema
    new = load_like(str(written(tmp_path / "new.jsonl", rings(4)[::-1])), schema)
    assert new.labels().tolist() == [1, 0, 1, 0] and new.schema == schema
    rows = [{"nodes": [[1]], "edges": [], "y": "odd"}] * 3
    with pytest.raises(DataError, match="nodes has 1 features a row; expected 2"):
        load_like(str(written(tmp_path / "other.jsonl", rows)), schema)
    preprocess = Preprocessor.fit(load_data({"path": str(written(tmp_path / "g.jsonl", rings()))}).train)
    for bad, words in (("[1]", "no graph|does not exist"), ({"nodes": [[1, 2]]}, "is no graph"), (3, "of kind int")):
        with pytest.raises(DataError, match=words):
            preprocess.batch([bad])


ETHANOL = """ethanol
  made by hand

  9  8  0  0  0  0            999 V2000
""" + "\n".join(
    [f"    0.0000    0.0000    0.0000 {symbol:<3} 0  0  0  0  0  0" for symbol in "CCOHHHHHH"]
    + [f"{a:3d}{b:3d}{1:3d}  0" for a, b in ((1, 2), (2, 3), (1, 4), (1, 5), (1, 6), (2, 7), (2, 8), (3, 9))]
    + ["M  END"]
)
BENZOATE = """benzoate, hydrogens left out


  9  9  0  0  0  0            999 V2000
""" + "\n".join(
    [f"    0.0000    0.0000    0.0000 {symbol:<3} 0  {code}  0  0  0  0" for symbol, code in
     [*[("C", 0)] * 7, ("O", 0), ("O", 5)]]
    + [f"{a:3d}{b:3d}{order:3d}  0" for a, b, order in
       ((1, 2, 2), (2, 3, 1), (3, 4, 2), (4, 5, 1), (5, 6, 2), (6, 1, 1), (1, 7, 1), (7, 8, 2), (7, 9, 1))]
    + ["M  END"]
)  # fmt: skip


def test_a_molecule_is_its_heavy_atoms_whether_hydrogens_are_drawn_or_not() -> None:
    ethanol, benzoate = molecule(ETHANOL.split("\n")), molecule(BENZOATE.split("\n"))
    assert [row[:3].index(1) for row in ethanol["nodes"]] == [0, 0, 2] and ethanol["edges"] == [[0, 1], [1, 2]]
    assert [row[-3:-1] for row in ethanol["nodes"]] == [[1, 3], [2, 2], [1, 1]]
    bonds, ring_bonds = len(ELEMENTS) + 2, [row[-1] for row in benzoate["edge_attr"]]
    assert [row[bonds + 1] for row in benzoate["nodes"]] == [0, 1, 1, 1, 1, 1, 0, 0, 0]
    assert [row[len(ELEMENTS) + 1] for row in benzoate["nodes"]] == [0] * 8 + [-1]
    assert ring_bonds == [1] * 6 + [0] * 3 and [row[-1] for row in benzoate["nodes"]] == [1] * 6 + [0] * 3
