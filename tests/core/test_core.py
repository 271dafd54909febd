"""The ground floor: schemas from signatures, counter-based chance, atomic records, the table of messages."""

import json
import random
import warnings
from pathlib import Path
from typing import Literal

import numpy
import pytest
import torch

from netwright.core import errors, messages, records, schemas, seeds
from netwright.core.catalogs import Catalog


def factory(
    width: schemas.Size, rate: schemas.Probability = 0.1, kind: Literal["a", "b"] = "a", size: int | None = None
) -> dict:
    return {"width": width, "rate": rate, "kind": kind, "size": size}


def test_build_fills_in_what_the_data_decide_and_keeps_what_the_user_said() -> None:
    assert schemas.build(factory, {"rate": 0.5}, "model", {"width": 3, "unused": 1})["width"] == 3
    assert schemas.build(factory, {"width": 7}, "model", {"width": 3})["width"] == 7


def test_all_mistakes_come_at_once_with_path_and_remedy() -> None:
    with pytest.raises(errors.ConfigError) as caught:
        schemas.arguments(factory, {"width": 0, "ratee": 0.1, "kind": "c", "rate": 1.0}, "model")
    text = str(caught.value)
    assert len(caught.value.problems) == 4
    assert (
        "model.width=0" in text
        and "did you mean rate?" in text
        and "model.kind='c'" in text
        and "model.rate=1.0" in text
    )


def test_numbers_of_numpy_are_numbers() -> None:
    assert schemas.build(factory, {"width": numpy.int64(3), "rate": numpy.float32(0.5)}, "model") == {
        "width": 3, "rate": 0.5, "kind": "a", "size": None,
    }  # fmt: skip


@pytest.mark.parametrize("values", [{"width": "3"}, {"width": True}, {"width": 2.5}, {"width": None}, {"width": [3]}])
def test_no_silent_conversion(values: dict) -> None:
    with pytest.raises(errors.ConfigError, match=r"model\.width"):
        schemas.arguments(factory, values, "model")


def test_uniform_is_pure_vectorised_and_uniform() -> None:
    index = torch.arange(20_000)
    values = seeds.uniform(1, 2, index, 3, 2)
    assert torch.equal(values[[5, 77]], seeds.uniform(1, 2, torch.tensor([5, 77]), 3, 2))
    assert not torch.equal(values, seeds.uniform(1, 3, index, 3, 2))
    assert values.min() >= 0 and values.max() < 1
    counts = torch.histc(values.flatten(), bins=20, min=0, max=1)
    assert ((counts - 2000).abs() < 250).all()
    assert abs(torch.corrcoef(values.T)[0, 1]) < 0.03
    noise = seeds.normal(1, 2, index, 3, 3)
    assert noise.mean().abs() < 0.02 and (noise.std() - 1).abs() < 0.02


def drawn() -> list[float]:
    """A number of each global generator."""
    return [random.random(), numpy.random.normal(), numpy.random.rand(), float(torch.rand(()))]


def test_global_generators_come_back() -> None:
    seeds.seed_everything(5)
    numpy.random.normal()  # it makes two at a time, and keeps one
    state = seeds.rng_state()
    first = drawn()
    seeds.set_rng_state(state)
    assert drawn() == first


def test_nothing_of_what_is_undisturbed_is_drawn_or_heard() -> None:
    seeds.seed_everything(5)
    first = drawn()
    seeds.seed_everything(5)
    with warnings.catch_warnings(record=True) as heard, pytest.raises(KeyError), seeds.undisturbed():
        warnings.warn("unheard", stacklevel=1)
        drawn()
        raise KeyError
    assert drawn() == first and heard == []


def test_records_are_atomic_and_a_broken_last_line_is_skipped(tmp_path: Path) -> None:
    records.write_json(tmp_path / "a" / "b.json", {"x": "中"})
    assert records.read_json(tmp_path / "a" / "b.json") == {"x": "中"}
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["b.json"]
    records.append_jsonl(tmp_path / "m.jsonl", {"n": 1})
    with (tmp_path / "m.jsonl").open("a") as file:
        file.write('{"n": 2')
    assert records.read_jsonl(tmp_path / "m.jsonl") == [{"n": 1}]


def test_figures_are_finite_numbers() -> None:
    assert all(map(records.is_number, (0, 1, -0.5)))
    assert not any(map(records.is_number, (True, float("nan"), float("inf"), "1", None)))


def test_a_folder_has_one_writer(tmp_path: Path) -> None:
    lock = records.RunLock(tmp_path)
    with pytest.raises(errors.ResourceError, match="in use by another run"):
        records.RunLock(tmp_path)
    lock.release()
    records.RunLock(tmp_path).release()


def test_catalog_names_the_nearest_and_imports_paths_only_when_trusted() -> None:
    catalog = Catalog("thing", {"ordered": "collections:OrderedDict"}, "netwright.things")
    assert catalog.load("ordered").__name__ == "OrderedDict"
    with pytest.raises(errors.ConfigError, match="did you mean ordered"):
        catalog.load("orderd")
    with pytest.raises(errors.ConfigError, match="--trust"):
        catalog.load("os:system")


def test_missing_extra_gives_the_install_line() -> None:
    with pytest.raises(errors.MissingExtra, match=r"pip install 'netwright\[rl\]'"):
        errors.need("no_such_library_here", "rl")


def test_chinese_stands_beside_english(monkeypatch: pytest.MonkeyPatch) -> None:
    table = json.loads(Path(messages.__file__).with_name("messages_zh.json").read_text("utf-8"))
    for english, chinese in table.items():
        assert {part.split("}")[0] for part in english.split("{")[1:]} >= {
            part.split("}")[0] for part in chinese.split("{")[1:]
        }
    monkeypatch.setattr(messages, "_chosen", None)  # what an earlier command was told with --lang
    monkeypatch.setenv("NETWRIGHT_LANG", "zh_CN.UTF-8")
    assert messages.language() == "zh"
