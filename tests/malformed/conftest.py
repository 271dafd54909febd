"""The world that malformed cases spoil: made once, linked into each case's folder."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from malformed_case import add_runs, make_world
from malformed_yaml import MODULES

from netwright.core.messages import set_language


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good data of every kind, and two finished runs."""
    set_language("en")
    folder = make_world(tmp_path_factory.mktemp("world"))
    add_runs(folder)
    return folder


@pytest.fixture
def spoilt(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of one case, to work in: everything good is there, by links, and modules that cases name."""
    for entry in world.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    for name, content in MODULES.items():
        (tmp_path / name).write_text(content)
        sys.modules.pop(name.removesuffix(".py"), None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path
