"""Bad data: a row left out is named with its place; what cannot be used ends in one clear line and an exit code."""

import gzip
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from PIL import Image

from netwright.core.errors import ConfigError, DataError, NetwrightError
from netwright.data import load_data
from netwright.data.sources.fashion import read_idx


def csv(folder: Path, text: str | bytes, name: str = "t.csv") -> str:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def rows(count: int, odd: dict[int, str] | None = None) -> str:
    """A header and `count` rows `x,c,y`; line numbers in `odd` are replaced."""
    lines = ["x,c,y", *(f"{n + 0.5},{'ab'[n % 2]},{n * 1.5}" for n in range(count))]
    for number, line in (odd or {}).items():
        lines[number - 1] = line
    return "\n".join(lines) + "\n"


def places(data: object) -> list[tuple[str, str]]:
    return [(problem.place.rpartition("/")[2], problem.reason) for problem in data.problems]  # type: ignore[attr-defined]


def test_each_kind_of_bad_row_is_left_out_and_named(tmp_path: Path) -> None:
    odd = {3: "1,a", 7: "1,a,2,3", 20: "abc,b,3", 33: "2,a,", 41: "2,a,inf", 50: "inf,a,1"}
    data = load_data({"path": csv(tmp_path, rows(200, odd)), "target": "y"})
    assert places(data) == [
        ("t.csv:3", "2 fields where the header has 3"),
        ("t.csv:7", "4 fields where the header has 3"),
        ("t.csv:20", "x='abc' is not a number"),
        ("t.csv:33", "y is missing, and it is the target"),
        ("t.csv:41", "y=inf is not a finite number"),
        ("t.csv:50", "x=inf is not a finite number"),
    ]
    assert sum(data.split["sizes"].values()) == 194
    assert data.split["problems"][0]["place"].endswith("t.csv:3")


def test_policy(tmp_path: Path) -> None:
    few = {"path": csv(tmp_path, rows(200, {9: "1,a"}), "few.csv"), "target": "y"}
    many = {"path": csv(tmp_path, rows(40, dict.fromkeys(range(3, 9), "1,a")), "many.csv"), "target": "y"}
    with pytest.raises(DataError, match=r"few\.csv: 1 of 200 examples are bad - .*few\.csv:9: 2 fields"):
        load_data(few | {"bad": "refuse"})
    with pytest.raises(DataError, match=r"6 of 40 examples are bad, more than the 5 %.*and 3 more.*data\.bad: skip"):
        load_data(many)
    assert sum(load_data(many | {"bad": "skip"}).split["sizes"].values()) == 34
    with pytest.raises(ConfigError, match=r"data\.bad='ignore'"):
        load_data(few | {"bad": "ignore"})
    with pytest.raises(DataError, match="all 20 examples are bad"):
        load_data({"path": csv(tmp_path, rows(20, dict.fromkeys(range(2, 22), "1,a"))), "target": "y", "bad": "skip"})


def test_undecodable_lines_are_named_with_their_byte(tmp_path: Path) -> None:
    content = rows(60).encode().replace(b"10.5,a", "10.5,é".encode("latin-1"))
    data = load_data({"path": csv(tmp_path, content), "target": "y"})
    assert places(data) == [
        ("t.csv:12", "byte 0xe9 at position 6 is not utf-8 (latin-1 or gb18030? set data.encoding)")
    ]
    assert len(load_data({"path": str(tmp_path / "t.csv"), "target": "y", "encoding": "latin-1"}).problems) == 0
    text = b"plain line\n" * 50 + b"broken \xff line\n"
    data = load_data(csv(tmp_path, text, "t.txt"))
    assert places(data)[0][0] == "t.txt:51" and sum(data.split["sizes"].values()) < len(text) - 10
    with pytest.raises(DataError, match=r"t\.txt:1: byte 0xc4 at position 1"):
        load_data(csv(tmp_path, "你好，世界\n".encode("gbk") * 9, "t.txt"))
    with pytest.raises(DataError, match="begins like UTF-16"):
        load_data(csv(tmp_path, ("a\n" * 9).encode("utf-16"), "t.txt"))
    with pytest.raises(DataError, match="is not an encoding"):
        load_data({"path": str(tmp_path / "t.txt"), "encoding": "utf-9"})


def test_json_lines(tmp_path: Path) -> None:
    lines = [f'{{"x": {n}.5, "y": "{"ab"[n % 2]}"}}' for n in range(60)]
    lines[4], lines[9], lines[11] = '{"x": 1,', "[1, 2]", ""
    data = load_data({"path": csv(tmp_path, "\n".join(lines), "t.jsonl"), "target": "y"})
    assert [place for place, _ in places(data)] == ["t.jsonl:5", "t.jsonl:10"]
    assert sum(data.split["sizes"].values()) == 57


def test_damaged_pictures_are_counted_named_and_skipped(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / label).mkdir()
        for number in range(30):
            noise = np.random.default_rng(number).integers(0, 255, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / label / f"{number:02d}.{'png' if number % 2 else 'jpg'}")
    whole = (tmp_path / "a" / "02.jpg").read_bytes()
    (tmp_path / "a" / "02.jpg").write_bytes(whole[: len(whole) * 2 // 3])
    (tmp_path / "b" / "03.png").write_bytes(b"not a picture")
    (tmp_path / "b" / "05.png").write_bytes(b"")
    for memory in (1.0, 0.0):
        data = load_data({"path": str(tmp_path), "memory_gb": memory})
        assert [place for place, _ in places(data)] == ["02.jpg", "03.png", "05.png"]
        assert all(reason for _, reason in places(data)) and sum(data.split["sizes"].values()) == 57
    with pytest.raises(DataError, match=r"3 of 60 examples are bad.*02\.jpg"):
        load_data({"path": str(tmp_path), "bad": "refuse"})
    (tmp_path / "a" / "00.jpg").unlink()
    with pytest.raises(DataError, match="cannot be read any more"):
        data.train.read(0)


def test_nan_in_arrays() -> None:
    x, y = np.random.default_rng(0).normal(size=(100, 3)), np.arange(100) % 2
    x[7, 1], x[20, 0] = np.nan, np.inf
    data = load_data((x, y))
    assert places(data) == [
        ("arrays row 7", "NaN or infinity in the inputs"),
        ("arrays row 20", "NaN or infinity in the inputs"),
    ]
    x[:, 2] = np.nan
    with pytest.raises(DataError, match="all 100 examples are bad"):
        load_data((x, y))


TABLES = {
    "empty": ("", "empty"),
    "blank": ("\n \n", "empty"),
    "header only": ("x,c,y\n", "no rows"),
    "numbers as header": ("1,2,3\n4,5,6\n", "looks like data"),
    "column twice": ("x,x,y\n1,2,3\n4,5,6\n", "two columns named 'x'"),
    "no target": (rows(30).replace("y", "Y "), "no column 'y'; did you mean Y[?]"),
    "one class": ("x,y\n" + "".join(f"{n}.5,up\n" for n in range(30)), r"one class only \(up\)"),
    "constant target": ("x,y\n" + "".join(f"{n}.5,2.5\n" for n in range(30)), "2.5 in every row"),
    "empty target": ("x,y\n" + "".join(f"{n}.5,\n" for n in range(30)), "no usable value in 30 rows"),
    "identifier as target": ("x,y\n" + "".join(f"{n}.5,k{n}\n" for n in range(60)), "is it an identifier"),
    "only empty columns": ("x,y\n" + "".join(f",{n}.5\n" for n in range(30)), r"no usable feature \(x: empty\)"),
    "only the target": ("y\n" + "".join(f"{n}.5\n" for n in range(30)), "no usable feature"),
    "nul bytes": (rows(5) + "\0\0\0,\0,1\n", "t.csv:7 holds NUL bytes"),
    "junk among numbers": (rows(60, {n: f"?{n},a,1.5" for n in range(3, 10)}), "x='[?]3' is not a number"),
    "latin header": ("x,é,y\n1,2,3\n".encode("latin-1"), "first line must be readable"),
}


@pytest.mark.parametrize("case", TABLES)
def test_tables_that_cannot_be_used(tmp_path: Path, case: str) -> None:
    content, words = TABLES[case]
    with pytest.raises(DataError, match=words) as caught:
        load_data({"path": csv(tmp_path, content), "target": "y"})
    assert "\n" not in str(caught.value) and caught.value.exit_code == 3


def test_a_column_of_nothing_is_left_out_with_its_reason(tmp_path: Path) -> None:
    data = load_data(
        {"path": csv(tmp_path, "x,n,y\n" + "".join(f"{n}.5,NaN,{n * 2.5}\n" for n in range(30))), "target": "y"}
    )
    assert {column.name: column.note for column in data.schema.columns} == {"x": "", "n": "empty"}


SECTIONS = {
    "unknown key": (
        {"path": "t.csv", "targt": "y"},
        ConfigError,
        r"data\.targt is not a known setting; did you mean target",
    ),
    "key of another kind": ({"path": "t.txt", "target": "y"}, ConfigError, r"data\.target is not a known setting"),
    "wrong type": ({"path": "t.csv", "target": 3}, ConfigError, "data.target"),
    "path is a number": ({"path": 3}, ConfigError, "expected the path of a file or a folder|needs a path or a name"),
    "no path": ({"pth": "t.csv"}, ConfigError, "did you mean path"),
    "nothing": ({}, ConfigError, "got nothing"),
    "unknown name": ("fashion-mnst", ConfigError, "did you mean fashion-mnist"),
    "unknown name in a section": ({"name": "iriss"}, ConfigError, "did you mean iris"),
    "option of a built-in": ({"name": "iris", "target": "x"}, ConfigError, r"data\.target"),
    "missing file": ("t.cvs", DataError, r"does not exist; did you mean t\.csv"),
    "missing folder": ("nowhere/photos/", DataError, "does not exist"),
    "unknown suffix": ("t.xyz", DataError, r"suffix '\.xyz'; known: \.csv"),
    "number": (3, ConfigError, "data of type int"),
    "none": (None, ConfigError, "data of type NoneType"),
    "bad size": ({"path": "photos", "image_size": 0}, ConfigError, r"data\.image_size=0"),
    "no pictures": ("photos", DataError, "holds no pictures"),
    "lengths": ((np.zeros((5, 2)), np.zeros(4)), DataError, "5 inputs but 4 targets"),
    "no examples": ((np.zeros((0, 2)), np.zeros(0)), DataError, "no examples"),
    "words as inputs": ((np.array([["a", "b"]] * 5), np.zeros(5)), DataError, "not numbers"),
    "ragged lists": (([[1, 2], [3]], [0, 1]), DataError, "not numbers in one shape"),
    "one class": ((np.zeros((40, 2)), np.ones(40, int)), DataError, "one class only"),
    "class fractions": (
        {"x": np.zeros((9, 2)), "y": np.linspace(0, 1, 9), "target_kind": "class"},
        DataError,
        "fractions",
    ),
    "bad target_kind": ({"path": "t.csv", "target_kind": "classes"}, ConfigError, r"data\.target_kind"),
    "damaged npz": ("t.npz", DataError, "cannot be read as arrays|is no .npz file"),
    "damaged parquet": ("t.parquet", DataError, "not a readable Parquet file"),
    "folder as csv": ("folder.csv", DataError, "holds no pictures"),
}


@pytest.mark.parametrize("case", SECTIONS)
def test_sections_that_are_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    monkeypatch.chdir(tmp_path)
    csv(tmp_path, rows(30))
    for name in ("t.txt", "t.xyz", "t.npz", "t.parquet"):
        csv(tmp_path, "some words\n" * 5, name)
    (tmp_path / "photos").mkdir()
    (tmp_path / "folder.csv").mkdir()
    spec, error, words = SECTIONS[case]
    with pytest.raises(error, match=words) as caught:
        load_data(spec)
    assert isinstance(caught.value, NetwrightError) and (case == "wrong type" or "\n" not in str(caught.value))


def test_all_wrong_keys_are_said_at_once(tmp_path: Path) -> None:
    path = csv(tmp_path, rows(30))
    with pytest.raises(ConfigError) as caught:
        load_data({"path": path, "targett": "y", "bad": "no", "delimiter": 3})
    assert [problem.path for problem in caught.value.problems] == ["data.delimiter", "data.bad", "data.targett"]


def test_torch_datasets_with_odd_examples() -> None:
    class Odd(torch.utils.data.Dataset):
        def __init__(self, examples: list) -> None:
            self.examples = examples

        def __len__(self) -> int:
            return len(self.examples)

        def __getitem__(self, row: int) -> object:
            return self.examples[row]

    with pytest.raises(DataError, match="no examples"):
        load_data(Odd([]))
    with pytest.raises(DataError, match="example 0 is a Tensor; expected a pair"):
        load_data(Odd([torch.zeros(3)] * 4))
    with pytest.raises(DataError, match=r"example 1 has shape \(4,\), the first one \(3,\)"):
        load_data(Odd([(torch.zeros(3), 0), (torch.zeros(4), 1)]))


def test_class_folders(tmp_path: Path) -> None:
    (tmp_path / "only").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "only" / "a.png")
    with pytest.raises(DataError, match="one class only"):
        load_data(tmp_path)
    Image.new("L", (8, 8)).save(tmp_path / "stray.png")
    with pytest.raises(DataError, match=r"stray\.png stands beside"):
        load_data(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\0\0\x08", b"\0\0\x0d\x01\0\0\0\x01\0", b"\0\0\x08\x01\0\0\0\x09\1\2"])
def test_idx_files_that_are_not(tmp_path: Path, content: bytes) -> None:
    for name, packed in (("a", content), ("a.gz", gzip.compress(content))):
        (tmp_path / name).write_bytes(packed)
        with pytest.raises(DataError):
            read_idx(tmp_path / name)
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"\0\0\x08\x01\0\0\0\1\7")[:-6])
    with pytest.raises(DataError, match="damaged"):
        read_idx(tmp_path / "a.gz")


def test_two_rows_are_enough_to_train_on() -> None:
    data = load_data(pandas.DataFrame({"x": [1.0, 2.5], "y": [3.5, 9.0]}), target="y")
    assert len(data.train) == 2 and data.validation is None
