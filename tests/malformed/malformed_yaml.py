# ruff: noqa: E501 - a table reads best with a case a line
"""Config files that are no configs, `extends` and `--set` gone wrong, and Python paths."""

from collections.abc import Callable
from pathlib import Path

from malformed_case import Case, config, config_text

from netwright.experiment.run import train

__all__ = ["CASES", "MODULES"]


def file(name: str, content: str | bytes, pattern: str, others: dict[str, str] | None = None) -> Case:
    """A config file of this content (and other files beside it), trained."""

    def make(folder: Path) -> Callable[[], object]:
        for other, text in (others or {}).items():
            (folder / other).write_text(text)
        path = folder / "config.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return lambda: train(path, out=folder / "out", quiet=True)

    return Case(name, 2, pattern, make)


def called(name: str, pattern: str, source: Callable[[Path], object]) -> Case:
    """Something else than a good file given as the config."""
    return Case(name, 2, pattern, lambda folder: lambda: train(source(folder), out=folder / "out", quiet=True))  # type: ignore[arg-type]


def folder_named(folder: Path) -> Path:
    return folder / "photos"


YAML = [
    file("tab", "data: table.csv\ntrain:\n\tepochs: 3\n", r"config\.yaml:3: not valid YAML.*check the indentation"),
    file("unclosed bracket", "data: [a, b\ntrain: {}\n", r"config\.yaml:\d: not valid YAML.*brackets"),
    file("unclosed brace", "data: {path: a\n", r"config\.yaml:\d: not valid YAML.*brackets"),
    file("unclosed quote", 'data: "table.csv\ntrain: {}\n', r"config\.yaml:\d: not valid YAML.*quotes"),
    file("bad indentation", "data: a\n  model: b\n", r"config\.yaml:2: not valid YAML"),
    file("duplicate keys", "data: a\nmodel: mlp\nmodel: gpt\n", r"config\.yaml:3: not valid YAML: found duplicate key"),
    file(
        "duplicate inner keys", "data: a\ntrain: {epochs: 1, epochs: 2}\n", r"config\.yaml:2: .*duplicate key .?epochs"
    ),
    file("latin-1", "# für Bäume\ndata: a\n".encode("latin-1"), r"config\.yaml is not UTF-8 text.*save it as UTF-8"),
    file("utf-16", "data: a\n".encode("utf-16"), r"config\.yaml is not UTF-8 text.*save it as UTF-8"),
    file("binary", bytes(range(256)) * 8, r"config\.yaml is not UTF-8 text"),
    file("NUL bytes", b"data: a\0\0\0\n", r"config\.yaml is not valid YAML.*no text"),
    file("empty", "", r"config\.yaml holds nothing; expected sections"),
    file("comments only", "# data: a\n# model: b\n", r"config\.yaml holds nothing; expected sections"),
    file("a list", "- data: a\n- model: b\n", r"config\.yaml holds a list; expected sections"),
    file("a word", "fashion-mnist\n", r"config\.yaml holds no section; expected sections"),
    file("no space after colon", "data:table.csv\n", r"config\.yaml holds no section; expected sections"),
    file("two documents", "data: a\n---\ndata: b\n", r"config\.yaml:\d: not valid YAML"),
    file("unknown alias", "data: *nothing\n", r"config\.yaml:1: not valid YAML: found undefined alias"),
    file("unknown tag", "data: !secret a\n", r"config\.yaml:1: not valid YAML: could not determine a constructor"),
    file("python tag", "data: !!python/object/apply:os.system [ls]\n", r"config\.yaml:1: not valid YAML"),
    file(
        "contains itself",
        "data: a\nmodel: &m {name: mlp, hidden: *m}\n",
        r"config\.yaml:2: model\.hidden=.* does not fit|contains itself",
    ),
    file("a list in itself", "data: a\nmetrics: &a [*a]\n", r"config\.yaml.*(contains itself|does not fit|not valid)"),
    file("template braces", "data: {{ path }}\n", r"config\.yaml"),
    file("deep", "data: " + "[" * 3000 + "]" * 3000, r"config\.yaml is not valid YAML"),
    file("impossible date", "data: table.csv\ntrain: {seed: 2024-13-45}\n", r"config\.yaml"),
    file(
        "a date as name", "data: 2024-05-01\n", r"config\.yaml:1: data=2024-05-01 is neither a built-in set nor a file"
    ),
    file("json trailing text", '{"data": "a"} x\n', r"config\.yaml:1: not valid YAML"),
    file("percent directive", "%FOO bar\ndata: a\n", r"config\.yaml"),
    called("missing file", r"nothing\.yaml is neither a file nor a gallery example", lambda f: f / "nothing.yaml"),
    called(
        "example misspelt", r"iriss.* is neither a file nor a gallery example; (did you mean|known:)", lambda f: "iriss"
    ),
    called("a folder", r"photos is a folder; give a YAML file", folder_named),
    called("no config", r"there is no config; give a YAML file", lambda f: None),
    called("NUL in the name", r"is neither a file nor a gallery example", lambda f: "a\0b.yaml"),
    called("a very long name", r"is neither a file nor a gallery example", lambda f: "x" * 5000),
    called("the data instead", r"table\.csv.*(not valid YAML|holds|expected sections)", lambda f: f / "table.csv"),
    called("an empty mapping", r"data is missing; add it", lambda f: {}),
    called(
        "a mapping with extends", r"extends is not a known setting", lambda f: {"extends": "a.yaml", "data": "digits"}
    ),
]

BASE = config_text("")
EXTENDS = [
    file("extends nothing", "extends: no-such.yaml\n", r"no-such\.yaml is neither a file nor a gallery example"),
    file("extends a number", "extends: 5\n", r"config\.yaml:1: extends=5 does not fit; expected the name of one file"),
    file("extends two", "extends: [a.yaml, b.yaml]\n", r"config\.yaml:1: extends=.* expected the name of one file"),
    file("extends itself", "extends: config.yaml\ndata: a\n", r"config\.yaml.*extends another; only one level is allowed"),
    file(
        "extends a chain", "extends: a.yaml\n", r"a\.yaml, which extends another; only one level is allowed",
        {"a.yaml": "extends: b.yaml\n", "b.yaml": BASE},
    ),
    file("extends a list", "extends: a.yaml\n", r"a\.yaml holds a list; expected sections", {"a.yaml": "- 1\n"}),
    file("extends bad yaml", "extends: a.yaml\n", r"a\.yaml:2: not valid YAML", {"a.yaml": "data: [\n"}),
    file(
        "mistake in the base", "extends: a.yaml\ntrain: {batch_size: 4}\n", r"a\.yaml:3: train\.epochs=0 does not fit",
        {"a.yaml": BASE.replace("epochs: 1", "epochs: 0")},
    ),
    file(
        "mistake over the base", "extends: a.yaml\ntrain: {epochs: 0}\n", r"config\.yaml:2: train\.epochs=0 does not fit",
        {"a.yaml": BASE},
    ),
]  # fmt: skip


def given(override: str, pattern: str, code: int = 2) -> Case:
    return config("", pattern, code, overrides=[override])


SET = [
    given("train.epochs", r"--set train\.epochs does not fit; expected path=value, such as train\.epochs=3"),
    given("", r"--set  ?does not fit; expected path=value"),
    given("=3", r"--set =3 does not fit; expected path=value"),
    given("train..epochs=3", r"--set train\.\.epochs=3: a name is missing between the dots"),
    given("train.=3", r"--set train\.=3: a name is missing between the dots"),
    given("train.epochs=[", r"--set train\.epochs=\[: the value is not valid YAML; put it in quotes"),
    given("train.seed=2024-13-45", r"--set train\.seed=2024-13-45"),
    given("train.epochs.x=1", r"--set train\.epochs\.x=1: train\.epochs is not a section; set train\.epochs itself"),
    given("model.hidden.0=8", r"--set model\.hidden\.0=8: model\.hidden is not a section"),
    given("train.epoch=3", r"train\.epoch is not a known setting; did you mean epochs\?"),
    given("trian.epochs=3", r"trian is not a known setting; did you mean train\?"),
    given("train.epochs=many", r"train\.epochs='many' does not fit; expected a valid integer"),
    given("train.epochs=", r"train\.epochs=None does not fit; expected a valid integer"),
    given("train=5", r"train=5 does not fit; expected a section"),
    given("model.name=lenet6", r"model.*lenet6.*did you mean lenet5\?"),
    given("model=!x y", r"--set model=!x y: the value is not valid YAML"),
    given("data=", r"data is missing; add it"),
]

PYTHON = [
    config("model: 'mine:Net'", r"config\.yaml:2: model.*'mine:Net' names Python code; add --trust if it is yours"),
    config("model: {name: 'mine:Net', width: 3}", r"model.*'mine:Net' names Python code; add --trust"),
    config("loss: 'mine:loss'", r"loss.*'mine:loss' names Python code; add --trust"),
    config("optimizer: 'mine:Opt'", r"optimizer.*'mine:Opt' names Python code; add --trust"),
    config("task: 'mine:Task'", r"task.*'mine:Task' names Python code; add --trust"),
    config("augment: ['mine:Flip']", r"augment\[0\].*'mine:Flip' names Python code; add --trust"),
    config("model: 'no_such_module:Net'", r"'no_such_module:Net' cannot be imported.*check the path", trust=True),
    config("model: 'math:Net'", r"'math:Net' cannot be imported.*check the path", trust=True),
    config("model: ':Net'", r"':Net' cannot be imported.*check the path", trust=True),
    config("model: 'math:'", r"'math:' cannot be imported.*check the path", trust=True),
    config("model: 'math:pi'", r":2: model.*'math:pi' is a float; expected a class or a function", trust=True),
    config("model: 'math:sqrt'", r"model\.x is missing; add it", trust=True),
    config("model: 'broken_module:Net'", r"'broken_module:Net' cannot be imported.*check the path", trust=True),
    config(
        "model: 'raising_module:Net'", r"'raising_module:Net' cannot be imported.*oh no.*check the path", trust=True
    ),
    config(
        "model: 'own_module:no_network'",
        r":2: model own_module:no_network gives a int; expected an nn\.Module",
        trust=True,
    ),
    config("model: {name: 'own_module:Net', width: wide}", r"model\.width='wide' does not fit", trust=True),
    config("model: {name: 'own_module:Net', widht: 3}", r"model\.widht.*did you mean width\?", trust=True),
    config(
        "model: 'own_module:Wrong'", r"model own_module:Wrong cannot be trained on table\.csv|do not fit", trust=True
    ),
]

MODULES = {
    "broken_module.py": "def Net(:\n",
    "raising_module.py": "raise ValueError('oh no')\n",
    "own_module.py": (
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, width: int = 3) -> None:\n"
        "        super().__init__()\n"
        "def no_network() -> int:\n"
        "    return 3\n"
        "class Wrong(nn.Module):\n"
        "    def __init__(self) -> None:\n"
        "        super().__init__()\n"
        "        self.a = nn.Linear(77, 3)\n"
        "    def forward(self, x):\n"
        "        return self.a(x)\n"
    ),
}  # modules that the cases name; the test puts them on Python's path

CASES = [*YAML, *EXTENDS, *SET, *PYTHON]
