"""Two files of lines that translate each other."""

from pathlib import Path

import pytest

from netwright.core.errors import ConfigError, DataError
from netwright.data import load_data, load_like
from netwright.data.section import anchored, check_section
from netwright.data.texts import TextDataset


def pair(folder: Path, name: str, lines: int = 40, end: str = "\n", more: str = "") -> dict[str, str]:
    """A file of either language; names of their own, that say nothing of what is in them."""
    for language, greeting in (("en", "good day"), ("de", "guten Tag")):
        text = end.join(f"{greeting} {number}" for number in range(lines))
        (folder / f"{name}.{language}").write_bytes((text + more).encode())
    return {"path": str(folder / f"{name}.en"), "target_path": str(folder / f"{name}.de")}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_n_is_the_translation_of_line_n(tmp_path: Path, end: str) -> None:
    data = load_data({**pair(tmp_path, "train", end=end, more=end), "tokens": {"kind": "words"}})
    train = data.train
    assert isinstance(train, TextDataset) and train.second is not None and len(train) == 32 and not data.problems
    assert all(
        one.replace("good day", "guten Tag") == other for one, other in zip(train.texts, train.second, strict=True)
    )
    assert data.schema.default_task() == "sequence-to-sequence" and data.schema.target.names == ("target",)


def test_parts_of_their_own_and_new_data(tmp_path: Path) -> None:
    spec = pair(tmp_path, "train")
    for part, lines in (("validation", 7), ("test", 5)):
        other = pair(tmp_path, part, lines)
        spec |= {f"{part}_path": other["path"], f"{part}_target_path": other["target_path"]}
    data = load_data(spec)
    assert data.split["sizes"] == {"train": 40, "validation": 7, "test": 5}
    assert len(load_like(pair(tmp_path, "new", 9), data.schema)) == 9
    with pytest.raises(ConfigError, match=r"data\.test_target_path is needed too"):
        load_data({name: value for name, value in spec.items() if name != "test_target_path"})


def test_paths_start_from_the_config(tmp_path: Path) -> None:
    spec = {name: Path(value).name for name, value in pair(tmp_path, "train").items()}
    check_section(spec, tmp_path)
    assert anchored(spec, tmp_path)["target_path"] == str(tmp_path / "train.de")
    assert len(load_data(spec, base=tmp_path).train) == 32
    with pytest.raises(ConfigError, match="did you mean target_path"):
        check_section({**spec, "targetpath": "train.de"}, tmp_path)


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    spec = pair(tmp_path, "train")
    with pytest.raises(DataError, match=r"train\.en has 40 lines and .*short\.de 3"):
        load_data({**spec, "target_path": pair(tmp_path, "short", 3)["target_path"]})
    with pytest.raises(DataError, match=r"train\.en.*data\.target_path"):
        load_data(spec["path"])
    with pytest.raises(DataError, match=r"nowhere\.de does not exist"):
        load_data({**spec, "target_path": str(tmp_path / "nowhere.de")})
    lines = Path(spec["target_path"]).read_bytes().split(b"\n")
    lines[3], lines[8] = b"na\xefve", b""
    Path(spec["target_path"]).write_bytes(b"\n".join(lines))
    data = load_data(spec)
    assert len(data.problems) == 2 and data.problems[0].place.endswith("train.de:4")
    assert "0xef at position 3" in data.problems[0].reason and "'target' is empty" in data.problems[1].reason
    assert sum(data.split["sizes"].values()) == 38
