"""README, CONTRIBUTING and Makefile name only what exists; nothing ties the repository to one machine."""

import re
import subprocess
import sys

import pytest
import typer
from source import PACKAGE, ROOT, project

from netwright.cli import verbs
from netwright.experiment.config import example_names

README = (ROOT / "README.md").read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
COMMAND_LINE = typer.main.get_command(verbs.app())


def _offered() -> set[str]:
    found = set()
    for name, command in COMMAND_LINE.commands.items():
        found |= {f"{name} {inner}" for inner in getattr(command, "commands", {})} or {name}
    return found


def test_commands_of_the_readme_exist():
    named = re.findall(r"(?<!import )netwright ((?:data )?[a-z]+)(?=[ `\n])", README)
    assert len(named) > 5
    assert {name for name in named if name not in _offered()} == set()


def test_options_of_the_readme_exist():
    for verb, rest in re.findall(r"^netwright ((?:data )?[a-z]+)([^\n#]*)", README, re.M):
        command = COMMAND_LINE
        for part in verb.split():
            command = command.commands[part]
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known, verb


@pytest.mark.parametrize("paper", ["README.md", "CONTRIBUTING.md"])
def test_make_targets_of_the_papers_exist(paper):
    text = (ROOT / paper).read_text("utf-8")
    targets = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.M))
    assert targets and targets <= set(re.findall(r"^([a-z-]+):", MAKEFILE, re.M))


@pytest.mark.parametrize("paper", ["README.md", "CONTRIBUTING.md"])
def test_files_that_the_papers_name_exist(paper):
    text = (ROOT / paper).read_text("utf-8")
    named = set(re.findall(r"\]\((?!http)([^)#]+)\)", text))
    named |= set(re.findall(r"`([\w/]+\.(?:py|json|txt))`", text))
    places = (ROOT, PACKAGE)
    assert [name for name in named if not any((place / name).exists() for place in places)] == []


def test_examples_of_the_readme_exist():
    named = re.findall(r"netwright train ([a-z]+-[a-z-]+)", README + MAKEFILE)
    assert named and set(named) <= set(example_names())


def test_every_floor_stands_in_contributing():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    rooms = [path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py"))]
    assert [room for room in rooms if f"`{room}/`" not in text] == []


def test_python_of_the_readme_parses():
    blocks = re.findall(r"```python\n(.*?)```", README, re.S)
    assert blocks
    for block in blocks:
        compile(block, "README.md", "exec")


def test_nothing_names_one_machine():
    """No registry's address and no path of a developer's machine in what is shared."""
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    pattern = re.compile(r"/(?:home|Users|root|work|opt|tmp)/[\w.-]+/|index-url|extra-index|find-links|localhost:\d")
    wrong = []
    for name in files:
        path = ROOT / name
        if path.suffix in (".npz", ".gz", ".safetensors", ".png") or not path.is_file() or name.startswith("tests/"):
            continue
        wrong += [f"{name}: {hit.group()}" for hit in pattern.finditer(path.read_text("utf-8"))]
    assert wrong == []


def test_constraints_pin_everything_that_the_extras_name():
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.!]+", pin) for pin in pins)
    names = {_normal(pin.split("==")[0]) for pin in pins}
    about = project()["project"]
    wanted = [*about["dependencies"], *(line for extra in about["optional-dependencies"].values() for line in extra)]
    needed = {_normal(re.split(r"[\[<>=!~ ;]", line)[0]) for line in wanted} - {"netwright"}
    assert needed <= names, f"not pinned: {needed - names}"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_help_imports_nothing_heavy():
    """What makes `--help` a tenth of a second; `make bench` has the figure."""
    script = (
        "import sys; from netwright.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'numpy', 'pandas', 'sklearn', 'pydantic', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert "train" in done.stdout and done.stdout.splitlines()[-1] == "[]"
