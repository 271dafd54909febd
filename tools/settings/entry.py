"""One entry of docs/config.md: what a thing is, its settings with their defaults, and what they mean."""

import dataclasses
import inspect
import re
import textwrap
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from netwright.core.schemas import parameters

__all__ = ["about", "defaults", "entry", "meanings", "shown"]

# What the data, the run or other sections decide, under the names that signatures have for it.
_BOUND = {
    "actions", "class_counts", "horizon", "image_shape", "image_size", "in_channels", "in_features", "input_shape",
    "judge_network", "loss", "metrics", "num_actions", "num_classes", "preprocess", "schema", "seed", "signal",
    "total_steps", "vocab_size",
}  # fmt: skip
_BINDING = ("losses", "models", "tasks")
_BLOCK = re.compile(r"^(Args|Attributes|Differs\b.*|Raises|Shapes):", re.M)
_WIDTH = 116


def defaults(make: Callable[..., Any]) -> dict[str, Any]:
    """What a config may set, each with what it is unless it is set; choices stand as `first|second`."""
    hints = typing.get_type_hints(make.__init__ if inspect.isclass(make) else make, include_extras=True)
    bound = _BOUND if make.__module__.split(".")[1] in _BINDING else {"like"}
    return {
        name: _written(name, one, hints.get(name, Any), make)
        for name, one in parameters(make).items()
        if name not in bound
    }


def shown(values: Mapping[str, Any]) -> str:
    """Settings as a config has them, in one line."""
    return ", ".join(f"{name}: {value}" for name, value in values.items())


def entry(title: str, make: Callable[..., Any], *, name: str = "", example: str = "", level: int = 3) -> Iterator[str]:
    """The lines of an entry; without a title it goes on with what stands before it."""
    told = inspect.cleandoc(make.__doc__ or "")
    if title:
        yield from (f"{'#' * level} {title}", "")
    if words := about(told):
        yield from (words, "")
    values = defaults(make)
    first = {"name": name} if name else {}
    text = example or "{" + shown(first | values) + "}"
    yield from ("```yaml", *_folded(text), "```", "")
    if example and (rest := {key: value for key, value in values.items() if f"{key}:" not in example}):
        yield from ("Beside these:", "", "```yaml", *_folded("{" + shown(rest) + "}"), "```", "")
    meant = [f"- {line}" for line in meanings(told, set(values))]
    yield from [*meant, ""] if meant else []


def _written(name: str, one: inspect.Parameter, hint: Any, make: Callable[..., Any]) -> str:
    default = _default(name, one, make)
    choices = [text for text in (_yaml(choice) for choice in _choices(hint)) if text != _yaml(default)]
    if one.default is one.empty:
        return "|".join(choices) or "…"
    return "|".join([_yaml(default), *choices])


def _default(name: str, one: inspect.Parameter, make: Callable[..., Any]) -> Any:
    """A dataclass hides what a factory makes."""
    if dataclasses.is_dataclass(make):
        fields = {field.name: field for field in dataclasses.fields(make)}
        if name in fields and fields[name].default_factory is not dataclasses.MISSING:
            return fields[name].default_factory()
    return one.default


def _choices(hint: Any) -> Iterator[Any]:
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        yield from typing.get_args(hint)
    elif origin is typing.Annotated:
        yield from _choices(typing.get_args(hint)[0])
    elif origin is typing.Union or type(hint).__name__ == "UnionType":
        for part in typing.get_args(hint):
            yield from _choices(part)


def _yaml(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return re.sub(r"e([+-])0*", lambda found: "e" + found[1].replace("+", ""), f"{value:.6g}")
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_yaml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + shown({key: _yaml(item) for key, item in value.items()}) + "}"
    return "…" if value is inspect.Parameter.empty else str(value)


def _folded(text: str) -> list[str]:
    """Broken between settings only."""
    glued = text.replace(": ", ":\u00a0")
    lines = textwrap.wrap(glued, _WIDTH, subsequent_indent=" ", break_long_words=False, break_on_hyphens=False)
    return [line.replace("\u00a0", " ") for line in lines]


def about(told: str) -> str:
    """What stands before the first block of a docstring, as one paragraph a paragraph."""
    found = _BLOCK.search(told)
    before = told[: found.start()] if found else told.partition(" Shapes:")[0]
    return "\n\n".join(" ".join(part.split()) for part in before.split("\n\n") if part.strip())


def meanings(told: str, known: set[str]) -> Iterator[str]:
    """The entries of an `Args:` block, a line each, for what a config may set."""
    found = re.search(r"^Args:\n((?: +.*\n?|\n)+)", told, re.M)
    for item in re.split(r"\n(?=    \S)", found[1].rstrip()) if found else ():
        names, _, meaning = re.sub(r"[;,]? see `[^`]+`", "", " ".join(item.split())).partition(":")
        wanted = [name for name in re.split(r",\s*", names) if name in known or name == "…"]
        if wanted and meaning.strip(" ."):
            yield f"{', '.join(f'`{name}`' for name in wanted)}:{meaning}"
