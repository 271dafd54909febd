"""Preprocessing: fitted on train only, the same for one input as for a batch, whole again after JSON."""

import json
import math
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from PIL import Image

from netwright.core.errors import CheckpointError, DataError
from netwright.data import Preprocessor, load_data
from netwright.data.encoding import TablePreprocessor
from netwright.data.tokenizing import CharTokenizer


def frame(rows: int = 120) -> pandas.DataFrame:
    chance = np.random.default_rng(3)
    table = pandas.DataFrame(
        {
            "size": chance.normal(1000, 50, rows),
            "city": chance.choice(["Rome", "Oslo", "Lima"], rows),
            "new": chance.choice([True, False], rows),
            "day": pandas.date_range("2024-01-01", periods=rows).strftime("%Y-%m-%d"),
            "price": chance.normal(3e6, 1e5, rows),
        }
    )
    table.loc[::7, "size"] = np.nan
    table.loc[::11, "city"] = None
    return table


def again(preprocess: Preprocessor) -> Preprocessor:
    return Preprocessor.from_dict(json.loads(json.dumps(preprocess.to_dict())))


def test_table_features_are_what_their_names_say() -> None:
    data = load_data(frame(), target="price")
    preprocess = Preprocessor.fit(data.train)
    assert isinstance(preprocess, TablePreprocessor)
    tensors = data.train.tensors()
    assert tensors is not None
    encoded = preprocess.inputs(tensors[0])
    assert preprocess.feature_names == (
        "size",
        "new",
        "day",
        "size missing",
        "city=Lima",
        "city=Oslo",
        "city=Rome",
        "city=?",
    )
    assert encoded.shape == (96, data.schema.sizes()["in_features"]) == (96, 8) and encoded.dtype == torch.float32
    assert torch.allclose(encoded[:, [0, 2]].mean(0), torch.zeros(2), atol=1e-5)
    assert torch.allclose(encoded[:, [0, 2]].std(0, correction=0), torch.ones(2), atol=1e-4)
    assert torch.equal(encoded[:, 4:].sum(1), torch.ones(96))
    assert torch.equal(encoded[:, 3], tensors[0][:, 0].isnan().float())
    targets = preprocess.targets(tensors[1])
    assert abs(float(targets.mean())) < 1e-5 and abs(float(targets.std(correction=0)) - 1) < 1e-5
    assert torch.allclose(preprocess.targets_back(targets).double(), tensors[1], rtol=1e-5)


def test_one_row_becomes_what_its_batch_became() -> None:
    table = frame()
    data = load_data(table, target="price")
    preprocess = again(Preprocessor.fit(data.train))
    assert data.test is not None
    for part, dataset in (("train", data.train), ("test", data.test.open())):
        for at in range(0, len(dataset), 5):
            row = table.iloc[int(data.rows[part][at])].to_dict()
            assert torch.equal(preprocess.raw(row).nan_to_num(-9), dataset.read(at)[0].nan_to_num(-9))


def test_unknown_categories_share_a_slot_and_odd_cells_are_named() -> None:
    preprocess = Preprocessor.fit(load_data(frame(), target="price").train)
    row = {"size": "980.5", "city": "Paris", "new": "yes", "day": "2024-02-30"[:-2] + "28"}
    assert preprocess.inputs(preprocess.raw(row)[None])[0, 4:].tolist() == [0, 0, 0, 1]
    assert preprocess.inputs(preprocess.raw(row | {"city": None})[None])[0, 4:].tolist() == [0, 0, 0, 1]
    assert preprocess.inputs(preprocess.raw({name: row[name] for name in ("new", "day")})[None])[0, 3] == 1
    for change, words in (
        ({"size": "large"}, "size='large' is not a number"),
        ({"new": "perhaps"}, "yes or no"),
        ({"day": "soon"}, "a date"),
        ({"size": math.inf}, "not a number"),
    ):
        with pytest.raises(DataError, match=words):
            preprocess.raw(row | change)
    with pytest.raises(DataError, match="the row has no 'day'; did you mean daj"):
        preprocess.raw({"size": 1, "city": "Rome", "new": True, "daj": "2024-01-01"})
    with pytest.raises(DataError, match="expected 4: size, city, new, day"):
        preprocess.raw([1, 2])
    assert preprocess.raw([980.5, "Rome", 1, "2024-01-05"]).shape == (4,)


def test_nothing_is_learnt_from_the_other_parts() -> None:
    table = frame().assign(order=range(120))
    table.loc[110:, "city"] = "Tokio"  # in the test part only
    table.loc[110:, "size"] = 1e9
    split = {"by": "time", "column": "order"}
    data = load_data({"frame": table, "target": "price", "ignore": ["order"], "split": split})
    clean = load_data(
        {
            "frame": table[:108],
            "target": "price",
            "ignore": ["order"],
            "split": split | {"test": 0.0, "validation": 0.112},
        }
    )
    assert len(clean.train) == len(data.train)
    fitted, reference = Preprocessor.fit(data.train).to_dict(), Preprocessor.fit(clean.train).to_dict()
    assert fitted["values"]["std"] == pytest.approx(reference["values"]["std"], rel=1e-4)
    city = next(column for column in data.schema.columns if column.name == "city")
    assert city.categories == ("Lima", "Oslo", "Rome")


def test_only_frequent_categories_get_a_slot() -> None:
    words = [f"w{n}" for n in range(80) for _ in range(1 + (n < 70) * 9)]
    data = load_data(pandas.DataFrame({"word": words, "y": np.linspace(0, 1, len(words))}), target="y")
    assert data.schema.sizes()["in_features"] == 65


def test_pictures_are_standardised_by_channel_and_read_alike(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 9, 9, 3), dtype=np.uint8)
    data = load_data((pixels, np.arange(40) % 2), validation=0, test=0)
    preprocess = again(Preprocessor.fit(data.train))
    tensors = data.train.tensors()
    assert tensors is not None
    prepared = preprocess.inputs(tensors[0])
    assert torch.allclose(prepared.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(prepared.std((0, 2, 3)), torch.ones(3), atol=1e-3)
    assert torch.equal(prepared, preprocess.normalise(preprocess.floats(tensors[0])))
    assert preprocess.floats(tensors[0]).max() <= 1
    image = Image.fromarray(pixels[5])
    image.save(tmp_path / "a.png")
    forms = (
        image,
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        pixels[5],
        pixels[5].transpose(2, 0, 1),
        pixels[5] / 255,
        tensors[0][5],
    )
    for form in forms:
        assert torch.equal(preprocess.raw(form), tensors[0][5])
    assert preprocess.raw(image.resize((40, 20))).shape == (3, 9, 9)
    assert preprocess.raw(image.convert("L")).shape == (3, 9, 9)
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:80])
    for form in (tmp_path / "b.png", tmp_path / "none.png", np.zeros((2, 2, 2, 2)), pixels[5] / 3.0, "text"):
        with pytest.raises(DataError):
            preprocess.raw(form)


def test_characters_have_codes_and_come_back() -> None:
    tokenizer = CharTokenizer.from_dict(json.loads(json.dumps(CharTokenizer("\nabé").to_dict())))
    assert len(tokenizer) == 7 + 4
    assert tokenizer.encode("béz\n🙂").tolist() == [9, 10, 1, 7, 1]
    assert tokenizer.decode([9, 10, 1, 0, 3]) == "bé\N{REPLACEMENT CHARACTER}"


def test_text_vocabulary_is_that_of_the_training_block(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("abc\n" * 300 + "xyz\n" * 30)
    data = load_data(tmp_path / "a.txt")
    preprocess = again(Preprocessor.fit(data.train))
    assert preprocess.tokenizer is not None and len(preprocess.tokenizer) == data.schema.vocab_size == 7 + 4
    assert preprocess.inputs(preprocess.raw("cabx")).tolist() == [10, 8, 9, 1]
    with pytest.raises(DataError):
        preprocess.raw(3)


def test_given_arrays_pass_unchanged_and_arrays_of_files_do_not(tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).normal(50, 9, (80, 3)).astype(np.float32), np.linspace(5, 9, 80)
    given = Preprocessor.fit(load_data((x, y), validation=0, test=0).train)
    assert torch.equal(given.inputs(torch.from_numpy(x)), torch.from_numpy(x))
    assert torch.equal(given.targets(torch.tensor([5.0])), torch.tensor([5.0]))
    np.savez(tmp_path / "a.npz", x=x, y=y)
    data = load_data(tmp_path / "a.npz", validation=0, test=0)
    fitted = again(Preprocessor.fit(data.train))
    tensors = data.train.tensors()
    assert tensors is not None
    assert torch.allclose(fitted.inputs(tensors[0]).mean(0), torch.zeros(3), atol=1e-5)
    assert abs(float(fitted.targets(tensors[1]).std(correction=0)) - 1) < 1e-5
    assert fitted.raw(x[0]).shape == (3,)
    with pytest.raises(DataError, match=r"expected \(3,\)"):
        fitted.raw([1.0, 2.0])
    tokens = torch.randint(0, 9, (40, 6))
    data = load_data((tokens, tokens[:, 0] % 2))
    assert data.schema.vocab_size == 9 and Preprocessor.fit(data.train).inputs(tokens).dtype == torch.int64


def test_damaged_values_are_a_checkpoint_error() -> None:
    values = Preprocessor.fit(load_data("iris").train).to_dict()
    for change in ({"kind": "?"}, {"values": {}}, {"schema": {}}):
        with pytest.raises(CheckpointError, match=r"preprocessor\.json"):
            Preprocessor.from_dict(values | change)
