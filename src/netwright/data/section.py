"""What a `data` section says: which source its path stands for, and what can be checked before anything is read."""

import os
from collections.abc import Callable, Iterable, Mapping
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from netwright.core.errors import ConfigError, DataError, Problem, suggest
from netwright.core.schemas import Size, arguments, parameters
from netwright.data.pictures import SUFFIXES
from netwright.data.policy import missing_file
from netwright.data.sources import (
    arrays,
    delimited,
    documents,
    graphs,
    image_folder,
    mask_folder,
    node_graph,
    parallel,
    series,
    text,
    text_folder,
)
from netwright.data.sources.builtin import BUILTIN
from netwright.data.sources.loaded import Loaded
from netwright.data.split import split_rule
from netwright.data.tokenizing.settings import token_settings

__all__ = [
    "PATHS", "anchored", "builtin", "check_path", "check_section", "environment_options", "resolve", "source_of",
]  # fmt: skip

PATHS = (
    "path", "validation_path", "test_path", "target_path", "validation_target_path", "test_target_path", "masks",
)  # fmt: skip
_TEXT = (".txt", ".text", ".md")


def check_section(spec: Any, base: Path | None = None) -> None:
    """Check a section before anything is read, so that its mistakes are told with those of the other sections.

    Raises:
        ConfigError: with every problem found.
    """
    if not isinstance(spec, Mapping):
        return
    problems: list[Problem] = []
    for check in (_check_split, _check_tokens, _check_source):
        try:
            check(spec, base)
        except ConfigError as error:
            problems += error.problems
        except DataError:  # no such file, or of no known kind: said when the data are loaded
            continue
    if problems:
        raise ConfigError.of(problems)


def _check_split(spec: Mapping[str, Any], base: Path | None) -> None:
    if isinstance(spec.get("split"), Mapping):
        split_rule(**arguments(split_rule, spec["split"], "data.split"))


def _check_tokens(spec: Mapping[str, Any], base: Path | None) -> None:
    if isinstance(spec.get("tokens"), Mapping):
        token_settings(spec["tokens"])


def _check_source(spec: Mapping[str, Any], base: Path | None) -> None:
    if "environment" in spec:
        environment_options(spec)
    elif "name" in spec:
        arguments(builtin, spec, "data")
    elif not {"x", "frame", "python"} & spec.keys():
        check_path(spec)
        if (path := resolve(spec["path"], base)).exists():
            arguments(source_of(path, spec), spec, "data", partial=True)


def source_of(path: Path, spec: Mapping[str, Any]) -> Callable[..., Loaded]:
    """The function that reads a path; its signature is the schema of the section.

    Raises:
        DataError: no such file, or of a kind that is not known.
    """
    suffix = path.suffix.lower()
    if "target_path" in spec:
        return parallel.load
    if "masks" in spec or mask_folder.lies_as_pairs(path):
        return mask_folder.load
    if node_graph.holds_graph(path):
        return node_graph.load
    if path.is_dir() or (not suffix and not path.exists()):
        return _folder_source(path)
    if suffix in delimited.TABLE_SUFFIXES:
        return graphs.load if graphs.holds_graphs(path) and "text" not in spec else _table_source(spec)
    if suffix in _TEXT or suffix == ".npz":
        return text.load if suffix in _TEXT else arrays.load_npz
    if not path.exists():
        raise missing_file(path)
    known = ", ".join((*delimited.TABLE_SUFFIXES, *_TEXT, ".npz"))
    template = (
        "{path}: data of this kind are not known by their suffix {suffix!r}; known: {known}, a folder of pictures, or "
        "two files of lines that translate each other (data.target_path)"
    )
    raise DataError(template, path=path, suffix=suffix, known=known)


def _table_source(spec: Mapping[str, Any]) -> Callable[..., Loaded]:
    """Rows are documents where a column of text is named, a series where windows are, else a table."""
    if "text" in spec:
        return documents.load
    return series.load if {"window", "horizon"} & spec.keys() else delimited.load


def _folder_source(folder: Path) -> Callable[..., Loaded]:
    """A folder is one of pictures, unless it holds text files and no picture; those are of classes, or one text."""
    texts = False
    for _, _, files in os.walk(folder, followlinks=True):
        if any(file.lower().endswith(SUFFIXES) for file in files):
            return image_folder.load
        texts = texts or any(file.lower().endswith(".txt") for file in files)
    if not texts:
        return image_folder.load
    return text_folder.load if text_folder.has_classes(folder) else text.load


def resolve(path: str | os.PathLike[str], base: Path | None) -> Path:
    """From the working folder, else from the config's."""
    plain = Path(path).expanduser()
    if base is not None and not plain.is_absolute() and not plain.exists():
        return base / plain
    return plain


def anchored(spec: Any, base: Path | None) -> Any:
    """The same section with absolute paths: it then means the same from any folder, as a run's own config must."""
    if isinstance(spec, str):
        return spec if spec in BUILTIN or not spec.strip() else _whole(spec, base)
    if isinstance(spec, Mapping):
        whole: dict[str, Any] = {name: _whole(spec[name], base) for name in PATHS if isinstance(spec.get(name), str)}
        if isinstance(tokens := spec.get("tokens"), Mapping) and isinstance(tokens.get("path"), str):
            whole["tokens"] = {**tokens, "path": _whole(tokens["path"], base)}
        return {**spec, **whole}
    return spec


def _whole(path: str, base: Path | None) -> str:
    found = resolve(path, base)
    return os.path.abspath(found) if found.exists() else path


def check_path(spec: Mapping[str, Any]) -> None:
    """Refuse a section that names no path.

    Raises:
        ConfigError: something else stands there, or nothing.
    """
    if "path" in spec and (not isinstance(spec["path"], str | os.PathLike) or not str(spec["path"]).strip()):
        template = "data.path={got!r} does not fit; expected the path of a file or a folder"
        raise ConfigError(template, path="data.path", got=spec["path"])
    if "python" in spec:
        template = (
            "the data were given in Python ({name}), and no config can name them; use fit with out= and resume=True"
        )
        raise ConfigError(template, path="data", name=spec["python"])
    if "path" not in spec:
        near = "".join(suggest(key, ("name", "path", "environment")) for key in list(spec)[:1])
        raise ConfigError(
            "data needs a path or a name (got {got}){near}",
            path="data",
            got=", ".join(map(str, spec)) or "nothing",
            near=near,
        )


def environment_options(spec: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Its name and the checked options: of a memory of moves, or of rollouts, as the task will want them."""
    from netwright.data.environments import ReplayOptions, RolloutOptions

    name, rest = spec["environment"], {key: value for key, value in spec.items() if key != "environment"}
    if not isinstance(name, str):
        raise ConfigError(
            "data.environment={name!r} does not fit; expected a name such as CartPole-v1",
            path="data.environment",
            name=name,
        )
    options = max((ReplayOptions, RolloutOptions), key=lambda kind: _likeness(rest, parameters(kind)))
    return name, arguments(options, rest, "data")


def _likeness(given: Iterable[object], known: Iterable[str]) -> float:
    """How many of the names are known; one that is nearly so counts nearly as much."""
    return sum(max(SequenceMatcher(None, str(name), one).ratio() for one in known) for name in given)


def builtin(
    name: str,
    split: dict[str, Any] | None = None,
    tokens: dict[str, Any] | None = None,
    window: Size | None = None,
    horizon: Size | None = None,
    target: str | None = None,
) -> None:
    """The section of a built-in set: its name, how to split what has no official split, how texts become tokens, of
    a time series how many rows the network looks back on and forecasts, and of graphs which field is to be predicted.
    """
