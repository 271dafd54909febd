"""The floors of the house: imports point down, the loop knows no task, files stay readable."""

import ast
import re

import pytest
from source import FLOOR_OF, PACKAGE, imports, imports_at_load, loaded, modules

LOOP_WORDS = re.findall(
    r"\w+",
    """gan generator discriminator adversarial reinforcement environment replay episode reward policy classif language
    token regress image picture text table label logits""",
)


def _upward() -> list[str]:
    wrong = []
    for module in modules():
        if not module.room:
            continue
        for name, line in imports(module.tree):
            parts = name.split(".")
            if parts[0] != "netwright" or len(parts) < 2 or parts[1] == module.room or parts[1] not in FLOOR_OF:
                continue
            if FLOOR_OF[parts[1]] >= FLOOR_OF[module.room]:
                wrong.append(f"{module.name}:{line} imports {name}")
    return sorted(set(wrong))


def test_every_room_stands_on_a_floor():
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert rooms <= set(FLOOR_OF), f"unknown rooms: {rooms - set(FLOOR_OF)}"


def test_imports_point_down():
    assert _upward() == []


def test_the_test_of_imports_can_fail():
    tree = ast.parse("def f():\n    from netwright.cli import main\n")
    assert ("netwright.cli", 2) in list(imports(tree))


@pytest.mark.parametrize("room", ["cli"])
def test_commands_import_nothing_heavy_at_load(room):
    light = {"netwright.core.errors", "netwright.core.messages", "netwright.cli"}
    for module in modules():
        if module.room != room:
            continue
        for name, line in imports_at_load(module):
            top = name.split(".")[0]
            assert top not in ("torch", "numpy", "pydantic", "rich"), f"{module.name}:{line} imports {name}"
            if top == "netwright" and name.count(".") > 1:
                assert any(name == ok or name.startswith(f"{ok}.") for ok in light), f"{module.name}:{line}: {name}"


def test_the_loop_has_no_word_of_any_task():
    text = (PACKAGE / "training" / "loop.py").read_text("utf-8").lower()
    assert [word for word in LOOP_WORDS if re.search(rf"\b{word}", text)] == []
    assert not re.search(r"isinstance|hasattr|task\.name|getattr", text), "the loop asks which task it runs"


def test_reports_and_all_that_they_import_do_without_torch():
    asked = {name for module in modules() if module.room == "reports" for name, _ in imports(module.tree)}
    assert {name: by for name, by in loaded(asked).items() if name.split(".")[0] == "torch"} == {}


def test_the_test_of_what_is_loaded_can_fail():
    assert "torch" in loaded({"netwright.metrics.catalog"})  # by way of its package


def test_no_file_is_over_350_lines():
    code = [module for module in modules() if not module.name.endswith(".cards")]  # cards are tables, not code
    assert {module.name: module.lines for module in code if module.lines > 350} == {}


def test_no_module_borrows_private_names_of_another_room():
    wrong = []
    for module in modules():
        for name, line in imports(module.tree):
            parts = name.split(".")
            if parts[0] == "netwright" and len(parts) > 2 and parts[1] != module.room:
                wrong += [f"{module.name}:{line} imports {name}" for part in parts if re.match(r"_[a-z]", part)]
    assert wrong == []


def _exported(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return [ast.literal_eval(item) for item in node.value.elts]
    return None


def test_exports_are_sorted_and_exist():
    for module in modules():
        names = _exported(module.tree)
        if names is None:
            continue
        assert names == sorted(names, key=_isort_key), f"{module.name}.__all__ is not sorted"
        assert len(set(names)) == len(names), f"{module.name}.__all__ names something twice"
        known = _defined(module.tree)
        assert set(names) <= known, f"{module.name}.__all__ names what is not there: {set(names) - known}"


def _isort_key(name: str) -> tuple[int, list[tuple[int, str]]]:
    """As ruff sorts: CONSTANTS, then Classes, then the rest; 18 before 101."""
    rank = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return rank, [(int(part or 0), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


def _defined(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def test_schema_files_keep_their_annotations():
    """Signatures are read as schemas; postponed annotations that need a local name would break them."""
    for module in modules():
        if module.room in ("models", "losses", "optim", "tasks") or module.name == "netwright.experiment.settings":
            postponed = [name for name, _ in imports(module.tree) if name == "__future__.annotations"]
            assert postponed == [], f"{module.name} postpones its annotations"
