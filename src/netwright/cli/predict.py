"""`netwright predict`: one JSON line an input."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from netwright.cli.options import AsJson, ModelFolder, Trust
from netwright.cli.output import emit, line, quiet_stdout
from netwright.core.errors import ConfigError, DataError
from netwright.core.messages import say

__all__ = ["HELP", "command"]

HELP = "What a model says of new inputs. One JSON line an input."

_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".pq")
_ARRAYS = (".npy", ".npz")
_AT_ONCE = 256
_INPUT = say(
    "A picture or a folder of them; a CSV, Parquet or JSONL file of rows, or a row as JSON; an .npy or .npz file, a "
    "list as JSON, a graph as JSON, a JSONL file or a folder of it, or text or a .txt file of it. A dash reads lines "
    "from standard input."
)
_OUT = say(
    "Write what is predicted into this folder, as PNG files: masks, whose values are the class codes, or "
    "reconstructions."
)


def command(
    model: ModelFolder,
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT…", help=_INPUT, show_default=False)],
    as_json: AsJson = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="FOLDER", help=_OUT, show_default=False)] = None,
    trust: Trust = False,
) -> None:
    answers: list[dict[str, Any]] = []
    with quiet_stdout(as_json):
        from netwright.core.catalogs import set_trust
        from netwright.experiment.predictor import load

        set_trust(trust)
        predict = load(model)
        keep = _picture_writer(predict.task.output_name, predict.schema, out)
    for some in _batches(_read(inputs, predict.schema.kind, predict.schema.input_shape)):
        with quiet_stdout(as_json):
            told = _told(predict, some)
        named = [{"input": name, **keep(name, answer)} for name, answer in told]
        answers += named if as_json else []
        for answer in [] if as_json else named:
            line(answer)
    if as_json:
        emit(answers)


def _told(predict: Any, some: list[tuple[Any, Any]]) -> list[tuple[Any, dict[str, Any]]]:
    """An answer for each input, or for each node of a graph whose nodes are classified."""
    graph = predict.schema.graph
    if graph is None or graph.level == "graph":
        answers = predict.answers([value for _, value in some])
        return [(name, answer) for (name, _), answer in zip(some, answers, strict=True)]
    return [
        (say("{name} node {place}", name=name, place=place), answer)
        for name, value in some for place, answer in enumerate(predict.answers([value]))
    ]  # fmt: skip


def _picture_writer(said: str, schema: Any, out: Path | None) -> Callable[[str, dict[str, Any]], dict[str, Any]]:
    """What becomes of an answer before it is printed: a picture goes into a file of `out`, and its path into the line.

    Args:
        said: what the network's outputs are called.
    """
    part = "reconstruction" if said == "reconstruction" else "mask" if schema.target.kind == "mask" else ""
    if not part or (part == "reconstruction" and schema.kind != "image"):
        if out is not None:
            template = "--out is for models that answer with pictures, and this one predicts {kind}"
            raise ConfigError(template, kind=part or schema.target.kind)
        return lambda name, answer: answer
    from netwright.core.records import writing
    from netwright.data.masks import write_mask
    from netwright.tasks.pictures import write_picture

    write = write_mask if part == "mask" else write_picture
    taken: set[Path] = set()

    def keep(name: str, answer: dict[str, Any]) -> dict[str, Any]:
        rest = {key: value for key, value in answer.items() if key != part}
        rest["size"] = list(answer[part].shape[-2:])
        if out is None:
            return rest
        stem, number = Path(name).stem[:100] or part, 1
        while (path := out / f"{stem}{'' if number == 1 else f'-{number}'}.png") in taken:
            number += 1
        taken.add(path)
        with writing(path):
            write(answer[part], path)
        return {**rest, part: str(path)}

    return keep


def _read(arguments: list[str], kind: str, shape: tuple[int, ...]) -> Iterator[tuple[Any, Any]]:
    """Each input with a name for it: its path, its row, or the text itself; `shape` is that of one example."""
    for argument in arguments:
        if argument == "-":
            for text in _lines():
                yield from _read_one(text, kind, shape)
        else:
            yield from _read_one(argument, kind, shape)


def _lines() -> Iterator[str]:
    """The lines of standard input that are not empty; none where it is closed."""
    try:
        yield from filter(None, map(str.strip, sys.stdin or ()))
    except UnicodeDecodeError as error:
        raise DataError("standard input is not UTF-8 text; convert it") from error


def _read_one(argument: str, kind: str, shape: tuple[int, ...]) -> Iterator[tuple[Any, Any]]:
    if kind == "image":
        yield from ((str(path), path) for path in _pictures(Path(argument)))
    elif kind == "table" and not argument.startswith("{"):
        yield from _rows(Path(argument))
    elif kind == "graph":
        yield from _graphs(argument)
    elif kind == "series" and not argument.startswith(("{", "[")) and not argument.endswith(_ARRAYS):
        yield argument, argument
    elif kind == "text" and Path(argument).suffix.lower() in _TABLES and os.path.isfile(argument):
        yield from _rows(Path(argument))
    elif kind == "text" and Path(argument).suffix.lower() == ".txt" and os.path.isfile(argument):
        yield argument, _document(Path(argument))
    elif kind == "text":  # a question and the text it is asked of come as a row
        yield argument, _json(argument) if argument.startswith("{") and argument.endswith("}") else argument
    elif argument.endswith(_ARRAYS):
        values = _array(argument)
        several = values.ndim == len(shape) + 1 and values.shape[1:] == shape
        yield from ((f"{argument} row {place}", row) for place, row in enumerate(values)) if several else [
            (argument, values)
        ]
    else:
        yield argument, _json(argument)


def _graphs(argument: str) -> Iterator[tuple[str, Any]]:
    """A graph as JSON, a file with one in each line, or the folder or file of a single one."""
    if argument.startswith("{"):
        yield argument, _json(argument)
    elif Path(argument).suffix.lower() in (".jsonl", ".ndjson"):
        for number, line in enumerate(_document(Path(argument)).split("\n"), start=1):
            if line.strip():
                yield f"{argument}:{number}", _json(line)
    else:
        yield argument, argument


def _document(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            "{file} is not UTF-8 text (byte {byte}); save it as UTF-8", file=path, byte=error.start
        ) from error
    except OSError as error:
        raise DataError("{path} cannot be read ({reason})", path=path, reason=error.strerror) from error


def _array(path: str) -> Any:
    import numpy

    if not os.path.exists(path):
        raise DataError("{path} does not exist", path=path)
    try:
        made = numpy.load(path, allow_pickle=False)
        if not isinstance(made, numpy.lib.npyio.NpzFile):
            return made
        name = made.files[0] if len(made.files) == 1 else "x"
        if name in made.files:
            return made[name]
    except (EOFError, OSError, ValueError) as error:
        raise DataError("{path} holds no array of numbers; save it with numpy.save", path=path) from error
    raise DataError("{path} has no array {name!r}; known: {names}", path=path, name=name, names=", ".join(made.files))


def _pictures(path: Path) -> list[Path]:
    if not os.path.exists(path):  # Path.exists would raise for a name that no file system takes
        raise DataError("{path} does not exist", path=path)
    if not path.is_dir():
        return [path]
    found = sorted(entry for entry in path.rglob("*") if entry.suffix.lower() in _PICTURES)
    if not found:
        raise DataError("{path} holds no picture", path=path)
    return found


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a file, read as training data are; a target column among them does no harm."""
    if not os.path.isfile(path):
        raise DataError("{path} is neither a file nor a row as JSON", path=path)
    from netwright.data.sources.delimited import read_table

    table = read_table(path, None, "utf-8", "skip")
    if table.problems:  # every input gets an answer, so none may be passed over
        raise DataError("{problem}", problem=table.problems[0])
    columns = [column.tolist() for column in table.columns.values()]
    for number, cells in enumerate(zip(*columns, strict=True)):
        yield table.place(number), dict(zip(table.columns, cells, strict=True))


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        template = "{text} is not JSON ({error}); quote it for the shell"
        raise ConfigError(template, text=text[:80], error=error) from error


def _batches(pairs: Iterator[tuple[Any, Any]]) -> Iterator[list[tuple[Any, Any]]]:
    batch: list[tuple[Any, Any]] = []
    for pair in pairs:
        batch.append(pair)
        if len(batch) == _AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch
