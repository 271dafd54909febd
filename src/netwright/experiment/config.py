"""From YAML to a validated, frozen config: one `extends`, then `--set` overrides, then every section checked.

All mistakes are reported at once, each with file and line. What needs the data (sizes, classes) is checked when they are
there, in `assemble`.
"""

import copy
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from netwright import losses, models, optim
from netwright.core import schemas
from netwright.core.errors import ConfigError, Problem, suggest
from netwright.core.messages import say
from netwright.data.augment import build_augment
from netwright.experiment.settings import Sections, TrainSettings
from netwright.tasks.catalog import TASKS

__all__ = ["Config", "example_path", "example_names", "load_config"]


@dataclass(frozen=True)
class Config:
    """A checked config. `folder` is where relative paths of `data` start; `values` is the plain mapping it came from."""

    sections: Sections
    values: dict[str, Any]
    folder: Path
    file: str | None = None

    @cached_property
    def train(self) -> TrainSettings:
        """The checked `train:` section."""
        checked: TrainSettings = schemas.build(TrainSettings, self.sections.train, "train")
        return checked

    def named(self, section: str) -> tuple[str | None, dict[str, Any]]:
        """Name and arguments of a section that names something: `lenet5` and `{name: lenet5, …}` mean the same."""
        value = getattr(self.sections, section)
        if value is None or isinstance(value, str):
            return value, {}
        values = dict(value)
        return values.pop("name", None), values

    def resolved(self, **chosen: Any) -> "Config":
        """The same config with sections that were left out filled in."""
        return replace(self, sections=replace(self.sections, **chosen), values={**self.values, **chosen})

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as it stands in the run's config.yaml."""
        return copy.deepcopy(self.values)

    def to_yaml(self) -> str:
        """The YAML of `to_dict`."""
        stream = io.StringIO()
        yaml = YAML()
        yaml.default_flow_style = None
        yaml.width = 120
        yaml.dump(self.to_dict(), stream)
        return stream.getvalue()


def load_config(source: str | Path | Mapping[str, Any], overrides: Sequence[str] = (), **sections: Any) -> Config:
    """Read and check a config.

    Args:
        source: a YAML file, the name of a gallery example, or a mapping.
        overrides: `path=value` strings; the value is YAML.
        sections: whole sections that replace the config's.

    Raises:
        ConfigError: with every mistake found, each with its line.
    """
    if isinstance(source, Mapping):
        tree, file, folder = _plain(source), None, Path()
    else:
        path = _find(source)
        tree, file, folder = _read(path), str(path), path.parent
        if "extends" in tree:
            tree = _extended(tree, path)
    values = _merge(_plain(tree), sections)
    for override in overrides:
        _apply(values, override)
    if values.get("doctor") in (False, True):  # YAML 1.1 reads off and on as booleans
        values["doctor"] = "advise" if values["doctor"] else "off"
    problems = [_placed(problem, tree, file) for problem in _problems(values)]
    if problems:
        raise ConfigError.of(problems)
    return Config(schemas.build(Sections, values, ""), values, folder, file)


def example_path(name: str) -> Path:
    """The file of a gallery example, in a checkout or in the installed package."""
    here = Path(__file__).resolve().parents[1] / "examples"
    folder = here if here.is_dir() else here.parents[2] / "examples"
    return folder / f"{name}.yaml"


def example_names() -> list[str]:
    """Names of all gallery examples."""
    return sorted(path.stem for path in example_path("").parent.glob("*.yaml"))


def _find(source: str | Path) -> Path:
    path = Path(source)
    if path.is_file():
        return path
    if path.is_dir():
        raise ConfigError("{file} is a folder; give a YAML file or the name of an example", file=path)
    if path.suffix not in (".yaml", ".yml") and (example := example_path(str(source))).is_file():
        return example
    template = "{file} is neither a file nor a gallery example{near}"
    raise ConfigError(template, file=source, near=suggest(str(source), example_names()))


def _read(path: Path) -> CommentedMap:
    try:
        tree = YAML().load(path.read_text("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError("{file} is not UTF-8 text (byte {byte}); save it as UTF-8", file=path, byte=error.start) from error
    except OSError as error:
        raise ConfigError("{file} cannot be read ({reason})", file=path, reason=error.strerror) from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        reason = " ".join((error.problem or "not YAML").split())
        template = "{file}:{line}: not valid YAML: {reason}; check the indentation, quotes and brackets near that line"
        raise ConfigError(template, file=path, line=line, reason=reason) from None
    except (YAMLError, ValueError) as error:
        raise ConfigError("{file} is not valid YAML: {reason}", file=path, reason=" ".join(str(error).split())) from None
    if not isinstance(tree, CommentedMap):
        got = type(tree).__name__ if tree is not None else "nothing"
        template = "{file} holds {got}; expected sections such as data:, model: and train:"
        raise ConfigError(template, file=path, got=got)
    return tree


def _extended(tree: CommentedMap, path: Path) -> CommentedMap:
    """The tree laid over the one it extends; one level only."""
    base_path = path.parent / str(tree.pop("extends"))
    base = _read(base_path) if base_path.is_file() else _read(_find(base_path))
    if "extends" in base:
        raise ConfigError("{file} is extended and extends another; only one level is allowed", file=base_path)
    merged = _merge(base, tree)
    assert isinstance(merged, CommentedMap)
    return merged


def _merge(base: Any, over: Mapping[str, Any]) -> Any:
    """Deep for mappings; a section that names another thing (`name:`) replaces the old one whole."""
    for key, value in over.items():
        old = base.get(key)
        same = isinstance(old, Mapping) and isinstance(value, Mapping) and value.get("name", old.get("name")) == old.get("name")
        base[key] = _merge(old, value) if same else value
    return base


def _apply(values: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals or not path.strip():
        raise ConfigError("--set {override} does not fit; expected path=value, such as train.epochs=3", override=override)
    try:
        value = _plain(YAML(typ="safe").load(text)) if text.strip() else None
    except YAMLError:
        raise ConfigError("--set {override}: the value is not valid YAML; put it in quotes", override=override) from None
    *parents, last = path.strip().split(".")
    place = values
    for i, name in enumerate(parents):
        inner = place.get(name)
        if isinstance(inner, str) and i == 0:  # `model: lenet5` and model.kind=… together
            inner = {"name": inner}
        if inner is not None and not isinstance(inner, dict):
            raise ConfigError("--set {override}: {name} is not a section", override=override, name=".".join(parents[: i + 1]))
        place[name] = place = inner if inner is not None else {}
    place[last] = value


def _problems(values: dict[str, Any]) -> Iterator[Problem]:
    """Every mistake that can be seen without the data."""
    broken = set()
    for problem in _caught(lambda: schemas.arguments(Sections, values, "")):
        broken.add(re.split(r"[.\[]", problem.path)[0])
        yield problem
    for section, check in _CHECKS.items():
        if section not in broken and values.get(section) is not None:
            yield from _caught(lambda check=check, value=values[section]: check(value))


def _caught(check: Callable[[], Any]) -> Iterator[Problem]:
    try:
        check()
    except ConfigError as error:
        yield from error.problems


def _check_named(section: str, load: Callable[[str], Any], value: Any) -> None:
    values = {"name": value} if isinstance(value, str) else dict(value)
    name = values.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError("{where}.name is missing; add it", path=section, where=section)
    try:
        factory = load(name)
    except ConfigError as error:
        raise ConfigError("{where}: {error}", path=f"{section}.name", where=section, error=error) from None
    schemas.arguments(factory, values, section, partial=True)


def _check_model(value: Any) -> None:
    if isinstance(value, Mapping) and "layers" in value:
        if not isinstance(value["layers"], list) or not value["layers"]:
            raise ConfigError("model.layers is not a list of layers; give at least one", path="model.layers")
        from netwright.models.layers import LayerStack

        schemas.arguments(LayerStack, value, "model", partial=True)
        return
    _check_named("model", models.catalog().load, value)


def _check_train(value: Any) -> None:
    settings: TrainSettings = schemas.build(TrainSettings, value, "train")
    settings.early_stopping  # noqa: B018 - checked by being read


def _check_data(value: Any) -> None:
    if not isinstance(value, str | Mapping) or not value:
        raise ConfigError("data={got!r} does not fit; give a name, or {{path: …}}", path="data", got=value)


_CHECKS: dict[str, Callable[[Any], None]] = {
    "data": _check_data,
    "task": lambda value: _check_named("task", TASKS.load, value),
    "model": _check_model,
    "loss": lambda value: _check_named("loss", losses.catalog().load, value),
    "optimizer": lambda value: optim.split_spec(value),
    "train": _check_train,
    "augment": lambda value: build_augment(value),
}


def _placed(problem: Problem, tree: Any, file: str | None) -> Problem:
    """The problem with the line of the innermost key of its path that stands in the file."""
    if file is None or not isinstance(tree, CommentedMap):
        return problem
    line: int | None = None
    for part in re.findall(r"[^.\[\]]+", problem.path):
        try:
            if isinstance(tree, CommentedMap) and part in tree:
                line, tree = tree.lc.key(part)[0] + 1, tree[part]
            elif isinstance(tree, CommentedSeq) and part.isdigit():
                line, tree = tree.lc.item(int(part))[0] + 1, tree[int(part)]
            else:
                break
        except (KeyError, IndexError, TypeError):  # a key that came by extends or --set has no line here
            break
    return replace(problem, line=line, file=file)


def _plain(value: Any) -> Any:
    """Plain dicts, lists and scalars from ruamel's."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value
