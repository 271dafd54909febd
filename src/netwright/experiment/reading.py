"""Reading YAML: the file behind a name, its tree, and the line on which each key stands.

Lines are only for messages; what a config means is in the plain values (`plain`).
"""

import datetime
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from netwright.core.errors import ConfigError, Problem, suggest
from netwright.core.messages import say

__all__ = ["Marks", "example_names", "example_path", "find", "located", "placed", "plain", "trees"]

Marks = tuple[tuple[CommentedMap, str], ...]  # a tree for each file that was read, the overriding one first


def example_path(name: str) -> Path:
    """The file of a gallery example, in a checkout or in the installed package."""
    here = Path(__file__).resolve().parents[1] / "examples"
    folder = here if here.is_dir() else here.parents[2] / "examples"
    return folder / f"{name}.yaml"


def example_names() -> list[str]:
    """Names of all gallery examples."""
    return sorted(path.stem for path in example_path("").parent.glob("*.yaml"))


_LONGEST = 200  # characters of a name that are shown
_MOST = 100_000  # values of a config: aliases of aliases can stand for more than any machine holds


def find(source: object) -> Path:
    if not isinstance(source, str | Path):
        template = "the config is {got!r}; expected a YAML file, the name of an example, or a dictionary"
        raise ConfigError(template, got=source)
    path = Path(source)
    try:
        if path.is_file():
            return path
        if path.is_dir():
            raise ConfigError("{file} is a folder; give a YAML file or the name of an example", file=path)
        if path.suffix not in (".yaml", ".yml") and (example := example_path(str(source))).is_file():
            return example
    except (OSError, ValueError):  # a name that no file system takes
        pass
    template = "{file} is neither a file nor a gallery example{near}"
    text = str(source)
    strange = not text.isprintable() or len(text) > _LONGEST
    shown = repr(f"…{text[-_LONGEST:]}") if strange else text  # the end of a path tells most
    raise ConfigError(template, file=shown, near=suggest(str(source), example_names()))


def trees(path: Path) -> Marks:
    """The tree of a file and, if it extends one, that of the other; one level only."""
    tree = _read(path)
    if "extends" not in tree:
        return ((tree, str(path)),)
    wanted = tree["extends"]
    if not isinstance(wanted, str):
        template = "{file}:{line}: extends={got!r} does not fit; expected the name of one file"
        raise ConfigError(template, file=path, line=tree.lc.key("extends")[0] + 1, got=plain(wanted))
    base_path = path.parent / wanted
    base_path = base_path if base_path.is_file() else find(base_path)
    base = _read(base_path)
    if "extends" in base:
        raise ConfigError(
            "{file} extends {base}, which extends another; only one level is allowed: merge the two",
            file=path,
            base=base_path,
        )
    return (tree, str(path)), (base, str(base_path))


def _read(path: Path) -> CommentedMap:
    try:
        text = path.read_bytes().decode("utf-8-sig")
        YAML(typ="safe", pure=True).load(text)  # refuses tags, which could stand for anything
        tree = YAML().load(text)
    except UnicodeDecodeError as error:
        raise ConfigError(
            "{file} is not UTF-8 text (byte {byte}); save it as UTF-8", file=path, byte=error.start
        ) from error
    except OSError as error:
        raise ConfigError("{file} cannot be read ({reason})", file=path, reason=error.strerror) from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        template = "{file}:{line}: not valid YAML: {reason}; check the indentation, quotes and brackets near that line"
        raise ConfigError(template, file=path, line=line, reason=_reason(error.problem)) from None
    except (YAMLError, ValueError, RecursionError) as error:
        reason = say("nested too deeply") if isinstance(error, RecursionError) else _reason(str(error))
        template = "{file} is not valid YAML: {reason}; look for a value to put in quotes, or a file that is no text"
        raise ConfigError(template, file=path, reason=reason) from None
    if not isinstance(tree, CommentedMap):
        got = {"NoneType": "nothing", "CommentedSeq": "a list"}.get(type(tree).__name__, "no section")
        template = "{file} holds {got}; expected sections such as data:, model: and train:"
        raise ConfigError(template, file=path, got=say(got))
    if _size(tree, {}) > _MOST:
        raise ConfigError("{file} repeats its aliases too often; write out what they stand for", file=path)
    return tree


def _size(tree: Any, known: dict[int, int]) -> int:
    """How many values a tree stands for when every alias is written out; each part is counted once."""
    if not isinstance(tree, Mapping | list):
        return 1
    if id(tree) not in known:
        known[id(tree)] = 1  # an alias to its own parent is told by who follows it
        parts = tree.values() if isinstance(tree, Mapping) else tree
        known[id(tree)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(tree)]


def _reason(said: str | None) -> str:
    """The parser's own words in one line, without its advice to programmers."""
    words = " ".join((said or say("not YAML")).split()).partition(" To suppress this check")[0]
    return words if len(words) <= 160 else f"{words[:160]}…"


def located(problem: Problem, values: Mapping[str, Any]) -> Problem:
    """The problem with its path taken from its message (`model.num_heads=5 does not …`), where it names none."""
    said = re.match(r"[a-z_]+(\.\w+|\[\d+\])*", problem.message)
    if problem.path or said is None or re.split(r"[.\[]", said[0])[0] not in values:
        return problem
    return replace(problem, path=said[0])


def placed(problem: Problem, marks: Marks) -> Problem:
    """The problem with file and line of the innermost key of its path that stands in a file."""
    if problem.line is not None:
        return problem
    found = [(*_line(problem.path, tree), file) for tree, file in marks]
    depth, line, file = max(found, key=lambda place: place[0], default=(0, 0, ""))
    return replace(problem, line=line, file=file) if depth else problem


def _line(path: str, tree: Any) -> tuple[int, int]:
    """How many keys of a path stand in the tree, and the line of the last of them."""
    depth, line = 0, 0
    for part in re.findall(r"[^.\[\]]+", path):
        try:
            if isinstance(tree, CommentedMap):
                key = next((key for key in tree if str(key) == part), part)
                line, tree = tree.lc.key(key)[0] + 1, tree[key]
            elif isinstance(tree, CommentedSeq):
                line, tree = tree.lc.item(int(part))[0] + 1, tree[int(part)]
            else:
                break
        except (KeyError, IndexError, TypeError, ValueError):  # a key that came by --set has no line here
            break
        depth += 1
    return depth, line


def plain(value: Any) -> Any:
    """Plain dicts, lists and scalars from ruamel's."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime.date):  # YAML reads 2024-05-01 as a date; here it is a name or a path
        return value.isoformat()
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value
