"""Sources: built-in sets, pictures, tables in every wrapping, texts, arrays - and what is inferred of them."""

import gzip
import hashlib
import http.server
import json
import struct
import threading
import time
from pathlib import Path

import numpy as np
import pandas
import polars
import pyarrow
import pyarrow.parquet
import pytest
import torch
from PIL import Image

from netwright.core.errors import ConfigError, DataError
from netwright.data import Preprocessor, list_data, load_data
from netwright.data.sources import builtin, fashion


def save_pictures(folder: Path, count: int, size: tuple[int, int] = (12, 12), mode: str = "RGB") -> None:
    folder.mkdir(parents=True)
    chance = np.random.default_rng(len(str(folder)))
    for number in range(count):
        shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
        Image.fromarray(chance.integers(0, 255, shape, dtype=np.uint8)).save(folder / f"{number}.png")


def test_bundled_fashion_is_balanced_keeps_the_official_test_and_loads_fast() -> None:
    load_data("fashion-mnist-small")
    start = time.perf_counter()
    data = load_data("fashion-mnist-small")
    assert time.perf_counter() - start < 0.3
    assert data.split["sizes"] == {"train": 5400, "validation": 600, "test": 1000}
    assert set(data.split["classes"].values()) == {540}
    assert data.schema.sizes() == {
        "in_channels": 1,
        "image_shape": (1, 28, 28),
        "image_size": 28,
        "in_features": 784,
        "num_classes": 10,
    }
    assert data.test is not None
    assert data.test.open().labels().bincount().tolist() == [100] * 10


def test_the_bundled_pictures_are_the_first_of_each_class_of_the_full_set() -> None:
    folder = fashion.full_folder()
    if folder is None:
        pytest.skip("the full set is not installed")
    pictures, labels = fashion.read_split(folder, "train")
    chosen = np.sort(np.concatenate([np.flatnonzero(labels == label)[:600] for label in range(10)]))
    bundled = fashion.load_small().dataset.tensors()
    assert bundled is not None
    assert np.array_equal(bundled[0][:6000, 0].numpy(), pictures[chosen])
    assert np.array_equal(bundled[1][:6000].numpy(), labels[chosen])


def test_without_the_full_set_the_bundled_one_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fashion, "DEBIAN", tmp_path / "nowhere")
    monkeypatch.setenv("NETWRIGHT_CACHE", str(tmp_path))
    assert load_data("fashion-mnist").name == "fashion-mnist-small"
    assert next(card for card in list_data() if card["name"] == "fashion-mnist")["examples"] == "6,000 + 1,000"


def idx(values: np.ndarray) -> bytes:
    return gzip.compress(
        b"\0\0\x08" + bytes([values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()
    )


def test_fetch_checks_what_it_gets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    served, cache = tmp_path / "served", tmp_path / "cache"
    served.mkdir()
    monkeypatch.setattr(fashion, "DEBIAN", tmp_path / "nowhere")
    monkeypatch.setenv("NETWRIGHT_CACHE", str(cache))
    sums = {}
    for name in fashion.FILES:
        count = 30 if name.startswith("train") else 20
        values = np.arange(count * 784, dtype=np.int64).astype(np.uint8).reshape(count, 28, 28)
        content = idx(values if "images" in name else (np.arange(count) % 10).astype(np.uint8))
        (served / name).write_bytes(content)
        sums[name] = hashlib.sha256(gzip.decompress(content)).hexdigest()

    def handler(*args: object) -> http.server.SimpleHTTPRequestHandler:
        made = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
        return made(*args, directory=str(served))  # type: ignore[arg-type,return-value]

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)  # type: ignore[arg-type]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    try:
        with pytest.raises(DataError, match="did not give the file"):
            fashion.fetch(address)
        monkeypatch.setattr(fashion, "FILES", sums)
        assert fashion.fetch(address) == fashion.full_folder() == builtin.fetch("fashion-mnist")
        assert load_data("fashion-mnist").split["sizes"] == {"train": 30, "validation": 0, "test": 20}
    finally:
        server.shutdown()
        server.server_close()
    (cache / "fashion-mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match="cannot be fetched"):
        fashion.fetch(address)


def test_every_builtin_set_loads_and_says_its_task() -> None:
    there = [card for card in list_data() if card["installed"]]
    assert {"fashion-mnist", "glosses", "digits", "diabetes"} <= {card["name"] for card in there}
    for card in there:
        data = load_data(card["name"] if card["name"] != "fashion-mnist" else "fashion-mnist-small")
        assert data.schema.default_task() == card["task"]
        assert card["licence"]
        assert len(data.train) > 0 and data.validation is not None and data.test is not None
    with pytest.raises(ConfigError, match="did you mean digits"):
        load_data("digit")


def test_glosses_split_at_line_ends() -> None:
    data = load_data("glosses")
    assert data.validation is not None
    for part in (data.train, data.validation):
        tensors = part.tensors()
        assert tensors is not None and int(tensors[0][-1]) == ord("\n")
    assert 0.79 < len(data.train) / 999_804 < 0.81
    characters, following = data.train.read(5)
    assert int(following) == int(data.train.read(6)[0]) and int(characters) > 0


def test_image_folder_learns_classes_size_and_channels(tmp_path: Path) -> None:
    save_pictures(tmp_path / "cat", 10)
    save_pictures(tmp_path / "dog" / "brown", 10)
    data = load_data(tmp_path)
    assert data.schema.target.classes == ("cat", "dog")
    assert data.schema.input_shape == (3, 12, 12)
    assert data.split["sizes"] == {"train": 16, "validation": 2, "test": 2}
    assert load_data({"path": str(tmp_path), "image_size": 8, "channels": 1}).schema.input_shape == (1, 8, 8)


def test_image_folder_official_split_streams_and_needs_no_classes(tmp_path: Path) -> None:
    for part, count in (("train", 6), ("val", 2), ("test", 3)):
        save_pictures(tmp_path / part / "a", count, (20, 10), "L")
        save_pictures(tmp_path / part / "b", count, (14, 18), "L")
    resident = load_data(tmp_path)
    streamed = load_data({"path": str(tmp_path), "memory_gb": 0.0})
    assert (
        resident.split["sizes"] == {"train": 12, "validation": 4, "test": 6} and resident.split["method"] == "official"
    )
    assert resident.schema.input_shape == (1, 12, 12)  # the median of the shorter sides
    assert streamed.train.tensors() is None
    assert torch.equal(streamed.train.read(3)[0], resident.train.read(3)[0])
    assert load_data(tmp_path / "train" / "a").schema.target.kind == "none"


TABLE = {
    "id": list(range(1, 41)),
    "age": [20.5 + n for n in range(39)] + [None],
    "city": ["Rome", "Oslo", "Lima", None] * 10,
    "member": ["yes", "no"] * 20,
    "since": [f"2024-01-{1 + n % 28:02d}" for n in range(40)],
    "stamp": [1_700_000_000 + n for n in range(40)],
    "note": [f"a rather long remark about visit number {n} of them" for n in range(40)],
    "same": [7] * 40,
    "empty": [None] * 40,
    "price": [100.25 + 3 * n for n in range(40)],
    "grade": [1 + n % 3 for n in range(40)],
}
KINDS = {
    "id": "id",
    "age": "numeric",
    "city": "category",
    "member": "boolean",
    "since": "datetime",
    "stamp": "numeric",
    "note": "text",
    "same": "numeric",
    "empty": "numeric",
    "price": "numeric",
    "grade": "numeric",
}


def write_table(folder: Path, kind: str) -> object:
    frame = pandas.DataFrame(TABLE)
    if kind == "csv":
        frame.to_csv(folder / "t.csv", index=False)
    elif kind == "tsv":
        frame.to_csv(folder / "t.tsv", index=False, sep="\t")
    elif kind == "jsonl":
        rows = [{name: values[row] for name, values in TABLE.items()} for row in range(40)]
        (folder / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    elif kind == "parquet":
        pyarrow.parquet.write_table(pyarrow.table(TABLE), folder / "t.parquet")
    else:
        return {"pandas": frame, "polars": polars.DataFrame(TABLE), "arrow": pyarrow.table(TABLE)}[kind]
    return folder / f"t.{kind}"


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet", "pandas", "polars", "arrow"])
def test_a_table_is_the_same_in_every_wrapping(tmp_path: Path, kind: str) -> None:
    data = load_data(write_table(tmp_path, kind), target="price")
    kinds = {column.name: column.kind for column in data.schema.columns}
    assert kinds == {name: kind for name, kind in KINDS.items() if name != "price"}
    noted = {column.name for column in data.schema.columns if column.note}
    assert noted == {"id", "note", "same", "empty"}
    assert data.schema.target.kind == "number" and data.schema.target.names == ("price",)
    tensors = data.train.tensors()
    assert tensors is not None
    inputs, targets = tensors
    names = [column.name for column in data.schema.features]
    assert names == ["age", "city", "member", "since", "stamp", "grade"]
    stamps = inputs[:, names.index("stamp")]
    assert len(stamps.unique()) == len(stamps)  # float32 alone would round seconds to 128
    assert targets.shape == (32, 1) and targets.dtype == torch.float64
    reference = load_data(pandas.DataFrame(TABLE), target="price")
    assert data.split["sha256"] == reference.split["sha256"]


@pytest.mark.parametrize(
    ("target", "kind", "classes"),
    [
        ("grade", "class", ("1", "2", "3")),
        ("member", "class", ("no", "yes")),
        ("age", "number", ()),
        ("city", "class", None),
        ("stamp", "number", ()),
    ],
)
def test_target_kinds(target: str, kind: str, classes: tuple[str, ...] | None) -> None:
    frame = pandas.DataFrame(TABLE).dropna(subset=["age", "city"])
    data = load_data(frame, target=target)
    assert data.schema.target.kind == kind
    assert classes is None or data.schema.target.classes == classes


def test_the_order_of_day_and_month_is_that_of_the_whole_column(tmp_path: Path) -> None:
    dates = ["03/04/2024", "03/15/2024", "12/01/2023"] * 10
    data = load_data(pandas.DataFrame({"day": dates, "y": [1.5, 2.5, 3.0] * 10}), target="y")
    assert data.schema.columns[0].form == "%m/%d/%Y"
    assert sorted(set(data.keys["day"].tolist())) == [19692, 19786, 19797]
    assert Preprocessor.fit(data.train).raw({"day": "03/04/2024"}).item() == 19786 - 19692


def test_target_kind_can_be_said_and_targets_can_be_several() -> None:
    assert (
        load_data({"frame": pandas.DataFrame(TABLE), "target": "grade", "target_kind": "number"}).schema.target.kind
        == "number"
    )
    frame = pandas.DataFrame(
        {"x": np.linspace(0, 1, 30), "a": [0, 1] * 15, "b": [1, 1, 0] * 10, "c": np.linspace(2, 3, 30)}
    )
    assert load_data(frame, target=["a", "b"]).schema.target.kind == "multilabel"
    assert load_data(frame, target=["a", "c"]).schema.sizes()["num_classes"] == 2


def test_csv_with_an_official_test_file(tmp_path: Path) -> None:
    frame = pandas.DataFrame(TABLE)
    frame[:30].to_csv(tmp_path / "a.csv", index=False)
    frame[30:].to_csv(tmp_path / "b.csv", index=False)
    data = load_data({"path": str(tmp_path / "a.csv"), "test_path": str(tmp_path / "b.csv"), "target": "price"})
    assert data.split["sizes"] == {"train": 27, "validation": 3, "test": 10}
    assert load_data({"path": "a.csv", "target": "price"}, base=tmp_path).split["sizes"]["train"] == 24


def test_text_files_folders_fields_and_official_parts(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one two three\n" * 50)
    (tmp_path / "b.txt").write_text("café\n" * 50, encoding="utf-8")
    assert load_data(tmp_path / "a.txt").schema.sizes() == {"vocab_size": len(set("one two three\n")) + 7}
    assert sum(load_data(tmp_path).split["sizes"].values()) == 14 * 50 + 5 * 50 + 1
    both = load_data({"path": str(tmp_path / "a.txt"), "test_path": str(tmp_path / "b.txt")})
    assert both.split["sizes"]["test"] == 250 and both.schema.vocab_size == len(set("one two three\n")) + 7
    (tmp_path / "c.jsonl").write_text("\n".join(json.dumps({"body": f"line {n}"}) for n in range(30)))
    assert load_data({"path": str(tmp_path / "c.jsonl"), "text": "body"}).schema.default_task() == "language-modeling"


def test_arrays_are_taken_as_given_but_files_are_not(tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).normal(5, 3, (60, 4)), np.arange(60) % 3
    given = load_data((x, y))
    assert given.schema.as_given and given.schema.target.classes == ("0", "1", "2")
    np.savez(tmp_path / "a.npz", x=x, y=y)
    assert not load_data(tmp_path / "a.npz").schema.as_given
    assert load_data((x, x[:, 0])).schema.default_task() == "regression"
    assert load_data((x, (x > 5).astype(int))).schema.target.kind == "multilabel"
    assert load_data((x, np.eye(3)[y])).train.labels().dtype == torch.int64  # one-hot is one of many
    assert load_data(torch.from_numpy(x)).schema.target.kind == "none"
    pictures = load_data((np.zeros((60, 8, 8, 3), np.uint8), y))
    assert pictures.schema.kind == "image" and pictures.schema.input_shape == (3, 8, 8)
    frame = pandas.DataFrame(x, columns=list("abcd"))
    assert load_data((frame, pandas.Series(y, name="kind"))).schema.kind == "table"


def test_labels_given_in_python_keep_their_numbers() -> None:
    data = load_data((torch.zeros(50, 2), torch.tensor([1, 3] * 25)))
    assert data.schema.sizes()["num_classes"] == 4 and set(data.train.labels().tolist()) == {1, 3}


def test_torch_datasets_loaders_and_validation_of_their_own() -> None:
    x, y = torch.randn(40, 3), torch.arange(40) % 2
    dataset = torch.utils.data.TensorDataset(x, y)
    assert load_data(dataset).split["sizes"] == {"train": 32, "validation": 4, "test": 4}
    loader = torch.utils.data.DataLoader(dataset, batch_size=7)
    data = load_data(loader, validation=(x[:6], y[:6]))
    assert data.split["sizes"] == {"train": 40, "validation": 6, "test": 0}
    assert load_data(data) is data
    assert load_data(data.train, validation=0.5, test=0).split["sizes"]["validation"] == 20
    with pytest.raises(DataError, match="of another kind"):
        load_data((x, y), validation=(x[:, :2], y))


def test_environment_gives_a_schema_and_options() -> None:
    pytest.importorskip("gymnasium")
    data = load_data({"environment": "CartPole-v1", "batch_size": 32})
    assert data.schema.default_task() == "q-learning" and data.schema.sizes()["num_actions"] == 2
    assert data.options["batch_size"] == 32 and len(data.train) == 0
    with pytest.raises(ConfigError, match="did you mean batch_size"):
        load_data({"environment": "CartPole-v1", "batch_sise": 32})
