"""What a user may get wrong must end in one clear line a mistake, with the right exit code, before anything is learnt.

Cases stand in the `malformed_*.py` modules beside this file; here are the laws that hold for every one of them.
"""

import re
from pathlib import Path

import malformed_configs
import malformed_data
import malformed_folders
import malformed_yaml
import pytest
from malformed_case import Case, config_text

from netwright.core.errors import ConfigError, NetwrightError
from netwright.experiment.config import load_config
from netwright.experiment.run import train
from netwright.training import loop

CASES = [*malformed_configs.CASES, *malformed_yaml.CASES, *malformed_data.CASES, *malformed_folders.CASES]

# Signs of a message that was written for programmers, or by another library.
FOREIGN = re.compile(
    r"Traceback|<class|pydantic|Input should be|further information|validation error|object at 0x|\[Errno|numpy\.nd"
    r"|state_dict|torch\.Size|mat1|RuntimeError|KeyError|ValueError\(|allow_pickle"
)
LONGEST = 400


def listing(folder: Path) -> dict[str, bytes | None]:
    """Every file of a folder with its content; links are not followed."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in sorted(folder.rglob("*"))
        if "__pycache__" not in path.parts
    }


def refuse(session: object) -> None:
    pytest.fail("a step would have been taken")


def names(cases: list[Case]) -> list[str]:
    return [case.name if case.name.isprintable() and len(case.name) < 90 else f"{case.name[:80]!r}" for case in cases]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES, ids=names(CASES))
def test_a_mistake_ends_in_a_clear_line(case: Case, spoilt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "train", refuse)
    call = case.make(spoilt)
    before = listing(spoilt)
    with pytest.raises(NetwrightError) as caught:
        call()
    error, message = caught.value, str(caught.value)
    assert error.exit_code == case.code, message
    assert re.search(case.pattern, message), f"{message!r} does not match {case.pattern!r}"
    assert not FOREIGN.search(message), message
    mistakes = len(error.problems) if isinstance(error, ConfigError) else 1
    assert len(message.splitlines()) == mistakes, message
    assert all(0 < len(line) < LONGEST for line in message.splitlines()), message
    assert listing(spoilt) == before, "something was left behind or changed"


def test_there_are_many_and_none_twice() -> None:
    assert len(CASES) >= 200
    assert len({(case.name, case.pattern) for case in CASES}) == len(CASES)


def test_a_corrected_retry_goes_into_the_same_folder(spoilt: Path) -> None:
    config = {"data": {"path": "table.csv", "target": "label"}, "model": {"name": "mlp", "hidden": [4]}}
    for wrong in ({"model": "lenet5"}, {"train": {"batch_size": 5000}}, {"data": {"path": "table.csv", "target": "x"}}):
        with pytest.raises(NetwrightError):
            train({**config, **wrong}, out=spoilt / "deep" / "out", quiet=True)
        assert not (spoilt / "deep").exists()
    run = train({**config, "train": {"epochs": 1, "batch_size": 8}}, out=spoilt / "deep" / "out", quiet=True)
    assert (run.folder / "summary.json").is_file()


def test_all_sections_are_heard_at_once_that_of_the_data_too(spoilt: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(
            {
                "data": {"path": "table.csv", "tagret": "label", "split": {"validation": 2, "by": "grup"}},
                "model": {"name": "mlp", "hidden": [0]},
                "train": {"epochs": 0},
            }
        )
    paths = [problem.path for problem in caught.value.problems]
    assert sorted(paths) == ["data.split.by", "data.split.validation", "data.tagret", "model.hidden[0]", "train.epochs"]


def test_a_run_finds_its_data_again_from_anywhere(spoilt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (spoilt / "config.yaml").write_text(config_text(""))
    (spoilt / "elsewhere").mkdir()
    monkeypatch.chdir(spoilt / "elsewhere")
    train("../config.yaml", out="out", quiet=True)
    monkeypatch.chdir(spoilt)
    assert load_config(spoilt / "elsewhere" / "out" / "config.yaml").values["data"]["path"] == str(spoilt / "table.csv")
