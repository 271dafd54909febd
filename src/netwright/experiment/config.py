"""From YAML to a validated, frozen config: one `extends`, then `--set` overrides, then every section checked.

All mistakes are reported at once, each with file and line. What needs the data (sizes, classes) is checked when that is
there, in `assemble`.
"""

import copy
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial, reduce
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.representer import RepresenterError

from netwright import losses, models, optim
from netwright.core import schemas
from netwright.core.errors import ConfigError, Problem
from netwright.core.messages import say
from netwright.data.augment import build_augment
from netwright.data.section import check_section
from netwright.experiment.pretrained import check_fine_tuning
from netwright.experiment.reading import Marks, example_names, example_path, find, located, placed, plain, trees
from netwright.experiment.settings import DistillSettings, Sections, TrainSettings
from netwright.tasks.catalog import TASKS
from netwright.tuning.space import read_space

__all__ = ["Config", "check_sections", "example_names", "example_path", "load_config", "overridden"]

_CATALOGS = {"task": lambda: TASKS, "model": models.catalog, "loss": losses.catalog}


@dataclass(frozen=True)
class Config:
    """A checked config. `folder` is where relative paths of `data` start; `values` is the mapping it came from."""

    sections: Sections
    values: dict[str, Any]
    folder: Path
    file: str | None = None
    marks: Marks = ()  # the trees it was read from, each with its file: they know lines

    @cached_property
    def train(self) -> TrainSettings:
        """The checked `train:` section."""
        checked: TrainSettings = schemas.build(TrainSettings, self.sections.train, "train")
        return checked

    @cached_property
    def distill(self) -> DistillSettings | None:
        """The checked `distill:` section, where there is one."""
        if self.sections.distill is None:
            return None
        checked: DistillSettings = schemas.build(DistillSettings, self.sections.distill, "distill")
        return checked

    def named(self, section: str) -> tuple[str | None, dict[str, Any]]:
        """Name and arguments of a section that names something: `lenet5` and `{name: LeNet-5, …}` mean the same."""
        value = getattr(self.sections, section)
        values = {"name": value} if value is None or isinstance(value, str) else dict(value)
        name = values.pop("name", None)
        return (_CATALOGS[section]().canonical(name) or name) if name else None, values

    def resolved(self, **chosen: Any) -> "Config":
        """The same config with sections that were left out filled in."""
        return replace(self, sections=replace(self.sections, **chosen), values={**self.values, **chosen})

    @contextmanager
    def placing(self) -> Iterator[None]:
        """Give file and line to mistakes that are found only when the data and the network are there."""
        try:
            yield
        except ConfigError as error:
            problems = [placed(located(problem, self.values), self.marks) for problem in error.problems]
            raise ConfigError.of(problems) from error

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as it stands in the run's config.yaml."""
        return copy.deepcopy(self.values)

    def to_yaml(self) -> str:
        """The YAML of `to_dict`."""
        stream = io.StringIO()
        yaml = YAML()
        yaml.default_flow_style = None
        yaml.brace_single_entry_mapping_in_flow_sequence = True
        yaml.width = 120
        try:
            yaml.dump(self.to_dict(), stream)
        except RepresenterError as error:
            raise ConfigError(
                "a config holds plain values, and this one an object of Python; give data to fit, or write a file"
            ) from error
        return stream.getvalue()


def load_config(source: str | Path | Mapping[str, Any], overrides: Sequence[str] = (), **sections: Any) -> Config:
    """Read and check a config.

    Args:
        source: a YAML file, the name of a gallery example, or a mapping.
        overrides: `path=value` strings; the value is YAML.
        sections: whole sections (`train={"epochs": 3}`) or single settings (`**{"train.epochs": 3}`), which are
            merged into the config's.

    Raises:
        ConfigError: with every mistake found, each with its line.
    """
    marks: Marks = ()
    if isinstance(source, Mapping):
        read, file, folder = source, None, Path()
    else:
        path = find(source)
        marks, file, folder = trees(path), str(path), path.parent
        read = marks[0][0]
    try:
        values = plain(read)
        if marks:
            values.pop("extends", None)
        values = _merge(plain(marks[1][0]) if len(marks) > 1 else {}, values)
        for dotted, value in sections.items():
            *parents, last = dotted.split(".")
            values = _merge(values, reduce(lambda inner, name: {name: inner}, reversed(parents), {last: value}))
    except RecursionError:
        raise ConfigError("{file} contains itself; remove the alias that points to its own parent", file=file) from None
    values = overridden(values, overrides)
    if values.get("doctor") in (False, True):  # YAML 1.1 reads off and on as booleans
        values["doctor"] = "advise" if values["doctor"] else "off"
    commanded = tuple(override.partition("=")[0].strip() for override in overrides)
    problems = [
        problem if f"{problem.path}.".startswith(tuple(f"{path}." for path in commanded)) else placed(problem, marks)
        for problem in _problems(values, folder)
    ]
    if problems:
        raise ConfigError.of(problems)
    return Config(schemas.build(Sections, values, ""), values, folder, file, marks)


def _merge(base: Any, over: Mapping[str, Any]) -> Any:
    """Deep for mappings; a section that names another thing (`name:`) replaces the old one whole."""
    for key, value in over.items():
        old = base.get(key)
        same = (
            isinstance(old, Mapping)
            and isinstance(value, Mapping)
            and value.get("name", old.get("name")) == old.get("name")
        )
        base[key] = _merge(old, value) if same else value
    return base


def overridden(values: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """`values` with `path=value` strings put in; sections on the way are made where they are missing.

    Raises:
        ConfigError: an override that is none, or whose value is no YAML.
    """
    changed = copy.deepcopy(values)
    for override in overrides:
        _apply(changed, override)
    return changed


def check_sections(values: dict[str, Any]) -> None:
    """Check the sections that are there; the data may lack.

    Raises:
        ConfigError: with every mistake found.
    """
    problems = [problem for problem in _problems(values, Path()) if problem.path != "data"]
    if problems:
        raise ConfigError.of(problems)


def _apply(values: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals or not path.strip():
        raise ConfigError(
            "--set {override} does not fit; expected path=value, such as train.epochs=3", override=override
        )
    try:
        value = plain(YAML(typ="safe", pure=True).load(text)) if text.strip() else None
    except (YAMLError, ValueError, RecursionError):
        raise ConfigError(
            "--set {override}: the value is not valid YAML; put it in quotes", override=override
        ) from None
    *parents, last = path.strip().split(".")
    if not all((*parents, last)):
        raise ConfigError("--set {override}: a name is missing between the dots", override=override)
    place = values
    for i, name in enumerate(parents):
        inner = place.get(name)
        if isinstance(inner, str) and i == 0:  # `model: lenet5` and model.kind=… together
            inner = {"name": inner}
        if inner is not None and not isinstance(inner, dict):
            template = "--set {override}: {name} is not a section; set {name} itself"
            raise ConfigError(template, override=override, name=".".join(parents[: i + 1]))
        place[name] = place = inner if inner is not None else {}
    place[last] = value


def _problems(values: dict[str, Any], folder: Path) -> Iterator[Problem]:
    """Every mistake that can be seen without the data."""
    broken = {"data"}
    if "data" in values and values["data"] is None:
        yield Problem("data", say("{path} is missing; add it", path="data"))
    elif "data" in values:
        broken.clear()
    for problem in _caught(lambda: schemas.arguments(Sections, values, "")):
        broken.add(re.split(r"[.\[]", problem.path)[0])
        yield _sent_home(problem)
    checks: dict[str, Callable[[Any], object]] = {
        "data": partial(_check_data, folder=folder), "model": partial(_check_model, folder=folder), **_CHECKS
    }  # fmt: skip
    for section, check in checks.items():
        if section not in broken and values.get(section) is not None:
            yield from map(_sent_home, _caught(partial(check, values[section])))


def _sent_home(problem: Problem) -> Problem:
    """A setting that stands at the top, outside its section, or in another one is told where it belongs."""
    name = problem.path.rpartition(".")[2]
    unknown = say("{path} is not a known setting{near}", path=problem.path, near="")
    for section, names in _HOMES.items():
        if problem.path in names:
            template = "{path} is no section; it belongs into one: {section}.{path}"
            return replace(problem, message=say(template, path=problem.path, section=section))
        if name in names and problem.message.startswith(unknown):
            return replace(problem, message=unknown + say("; did you mean {name}?", name=f"{section}.{name}"))
    return problem


def _caught(check: Callable[[], Any]) -> Iterator[Problem]:
    try:
        check()
    except ConfigError as error:
        yield from error.problems


def _check_named(section: str, load: Callable[[str], Any], value: Any) -> None:
    values = {"name": value} if isinstance(value, str) else dict(value)
    name = values.pop("name", None)
    if name is None:
        raise ConfigError("{where}.name is missing; add it", path=section, where=section)
    if not isinstance(name, str):
        template = "{where}.name={got!r} does not fit; expected a name"
        raise ConfigError(template, path=f"{section}.name", where=section, got=name)
    try:
        factory = load(name)
    except ConfigError as error:
        raise ConfigError("{where}: {error}", path=f"{section}.name", where=section, error=error) from None
    schemas.arguments(factory, values, section, partial=True)


def _check_loss(value: Any) -> None:
    value = losses.spelled_out(value)
    _check_named("loss", losses.catalog().load, value)
    for place, part in enumerate(value.get("parts", ()) if isinstance(value, Mapping) else ()):
        _check_named(f"loss.parts[{place}]", losses.catalog().load, part)


def _check_model(value: Any, folder: Path) -> None:
    if isinstance(value, Mapping) and "layers" in value:
        _check_layers(value)
        return
    problems: list[Problem] = []
    if isinstance(value, Mapping):
        value, problems = check_fine_tuning(value, folder)
    problems += _caught(lambda: _check_named("model", models.catalog().load, value))
    if problems:
        raise ConfigError.of(problems)


def _check_layers(value: Mapping[str, Any]) -> None:
    from netwright.models.layers import LayerStack, read_entries

    problems: list[Problem] = []
    read_entries(value["layers"], "model.layers", problems)
    rest = {key: item for key, item in value.items() if key != "layers"}
    if "name" in rest:
        problems.append(Problem("model.name", say("model has a name and layers; keep one of them")))
        del rest["name"]
    problems += _caught(lambda: schemas.arguments(LayerStack, rest, "model", partial=True))
    if problems:
        raise ConfigError.of(problems)


def _check_data(value: Any, folder: Path) -> None:
    if not isinstance(value, str | Mapping) or not value or (isinstance(value, str) and not value.strip()):
        raise ConfigError("data={got!r} does not fit; expected a name, a path, or {{path: …}}", path="data", got=value)
    check_section(value, folder)


_HOMES = {
    "train": schemas.parameters(TrainSettings).keys(),
    "optimizer": {"lr", "momentum", "weight_decay", "schedule", "warmup", "clip", "average"},
    "data": {"path", "target", "target_kind", "text", "split", "tokens"},
}
_CHECKS: dict[str, Callable[[Any], object]] = {
    "task": lambda value: _check_named("task", TASKS.load, value),
    "loss": _check_loss,
    "optimizer": optim.split_spec,
    "train": lambda value: schemas.build(TrainSettings, value, "train").early_stopping,  # and the one within it
    "augment": build_augment,
    "distill": lambda value: schemas.build(DistillSettings, value, "distill"),
    "tune": read_space,
}
