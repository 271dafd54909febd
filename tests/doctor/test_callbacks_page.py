"""The page docs/doctor/callbacks.md: its snippets run and find what they plant. Each callback says what it needs."""

import contextlib
import importlib
import io
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from netwright.core.errors import ConfigError, MissingExtra
from netwright.doctor.callbacks import __all__ as names
from netwright.doctor.callbacks.attending import Attending
from netwright.metrics import torchvision_guard  # noqa: F401 - before the libraries that import torchvision

PAGE = Path(__file__).resolve().parents[2] / "docs" / "doctor" / "callbacks.md"
LIBRARIES = ("lightning", "transformers", "skorch")


@pytest.mark.parametrize("library", LIBRARIES)
def test_snippets_of_the_page_run(library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(library, reason=f"{library} is not installed")
    snippets = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    snippet = next(text for text in snippets if re.search(rf"^(import|from) {library}\b", text, re.MULTILINE))
    monkeypatch.chdir(tmp_path)
    heard = io.StringIO()
    with contextlib.redirect_stdout(heard):
        exec(compile(snippet, f"{PAGE.name}:{library}", "exec"), {"__name__": "snippet"})
    assert "lr-too-high" in heard.getvalue()


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_that_is_not_there(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"netwright.doctor.callbacks.{library}"
    monkeypatch.delitem(sys.modules, name, raising=False)
    for held in [held for held in sys.modules if held.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, held)

    def absent(wanted: str, *rest: Any) -> Any:
        raise ModuleNotFoundError(f"No module named {library!r}", name=library)

    real = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", lambda one, *more: absent(one) if one.split(".")[0] == library
                        else real(one, *more))  # fmt: skip
    with pytest.raises(MissingExtra, match=rf"pip install 'netwright\[{library}\]'"):
        real(name)


def test_the_package_imports_no_library() -> None:
    assert sorted(names) == ["LightningDoctor", "SkorchDoctor", "TransformersDoctor"]
    with pytest.raises(AttributeError, match="no attribute 'KerasDoctor'"):
        getattr(importlib.import_module("netwright.doctor.callbacks"), "KerasDoctor")  # noqa: B009


@pytest.mark.parametrize("given", [{"every": 0}, {"seconds": -1.0}])
def test_settings_that_cannot_be(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="must be 1 or more"):
        Attending(**given)
