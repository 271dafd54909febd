"""Numbers with a comma: told with column and value, read where the user says so, and then for new data too."""

from pathlib import Path

import numpy as np
import pytest

from netwright.core.errors import DataError
from netwright.data import Preprocessor, load_data
from netwright.data.load import load_like
from netwright.data.sources.series import latest_rows


def _comma(number: float) -> str:
    return f"{number:,.2f}".translate(str.maketrans(",.", ".,"))


def _write(path: Path, decimal: bool = True, rows: int = 40) -> dict[str, object]:
    lines = ["breite;art;preis"]
    for k in range(rows):
        cells = (k * 1.25, k * 431.5)
        shown = [_comma(cell) if decimal else f"{cell:.2f}" for cell in cells]
        lines.append(f"{shown[0]};{'ab'[k % 2]};{shown[1]}")
    path.write_text("\n".join(lines))
    return {"path": str(path), "target": "preis"}


def test_a_column_with_commas_is_told_with_what_to_do(tmp_path: Path) -> None:
    spec = _write(tmp_path / "t.csv")
    with pytest.raises(DataError, match=r"column 'preis' holds '0,00': set data.decimal to ','"):
        load_data(spec)
    with pytest.raises(DataError, match=r"column 'breite' holds '0,00'"):
        load_data({**spec, "target": "art"})


def test_with_data_decimal_they_are_numbers(tmp_path: Path) -> None:
    german, english = tmp_path / "g.csv", tmp_path / "e.csv"
    one = load_data({**_write(german), "decimal": ","})
    other = load_data(_write(english, decimal=False))
    assert one.train.tensors() is not None and other.train.tensors() is not None
    for mine, theirs in zip(one.train.tensors(), other.train.tensors(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_new_data_are_read_as_the_training_was(tmp_path: Path) -> None:
    spec = {**_write(tmp_path / "t.csv"), "decimal": ","}
    bundle = load_data(spec)
    schema = type(bundle.schema).from_dict(bundle.schema.to_dict())
    _write(tmp_path / "new.csv", rows=4)
    new = load_like(str(tmp_path / "new.csv"), schema)
    assert new.labels().flatten().tolist() == [0.0, 431.5, 863.0, 1294.5]
    row = Preprocessor.fit(bundle.train).raw({"breite": "1.001,25", "art": "a"})
    assert row[0].item() == 1001.25


@pytest.mark.parametrize("value", ["3,14", "1,234", "-1.234,5", ",5"])
def test_one_column_alone_is_told_too(value: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("wert\n" + f"{value}\n" * 9)
    with pytest.raises(DataError, match=f"column 'wert' holds '{value}'"):
        load_data({"path": str(tmp_path / "t.csv"), "target": "wert"})


def test_what_is_no_number_may_have_commas(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("ort;x\n" + "".join(f"Ulm, {'ab'[k % 2]};{k % 3}\n" for k in range(40)))
    assert load_data({"path": str(tmp_path / "t.csv"), "target": "x"}).schema.columns[0].kind == "category"
    (tmp_path / "t.csv").write_text("answers;x\n" + "".join(f"1,{k % 4};{k % 3}\n" for k in range(40)))
    kept = load_data({"path": str(tmp_path / "t.csv"), "target": "x", "decimal": "."})
    assert kept.schema.columns[0].categories == ("1,0", "1,1", "1,2", "1,3")


def test_a_few_commas_among_plain_numbers_are_told(tmp_path: Path) -> None:
    """They made a category of a column with few different values."""
    cells = [*(["1", "2", "3", "4"] * 10), *["2,5"] * 6]
    (tmp_path / "t.csv").write_text("x;y\n" + "".join(f"{cell};{k % 3}\n" for k, cell in enumerate(cells)))
    with pytest.raises(DataError, match=r"column 'x' holds '2,5'"):
        load_data({"path": str(tmp_path / "t.csv"), "target": "y"})


def test_series_with_commas(tmp_path: Path) -> None:
    file = tmp_path / "s.csv"
    file.write_text("tag;wert\n" + "".join(f"{k};{_comma(k * 400.5)}\n" for k in range(60)))
    spec = {"path": str(file), "target": "wert", "time": "tag", "window": 6, "horizon": 2}
    with pytest.raises(DataError, match=r"column 'wert' holds '0,00'.*data.decimal"):
        load_data(spec)
    bundle = load_data({**spec, "decimal": ","})
    rows = latest_rows(str(file), type(bundle.schema).from_dict(bundle.schema.to_dict()))
    assert rows.flatten().tolist() == [k * 400.5 for k in range(60)]
