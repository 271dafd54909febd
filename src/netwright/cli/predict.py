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
    "list as JSON, or text or a .txt file of it. A dash reads lines from standard input."
)
_OUT = say("Write predicted masks into this folder, as PNG files whose values are the class codes.")


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
        keep = _mask_writer(predict.schema.target.kind, out)
    for some in _batches(_read(inputs, predict.schema.kind, predict.schema.input_shape)):
        with quiet_stdout(as_json):
            told = predict.answers([value for _, value in some])
        named = [{"input": name, **keep(name, answer)} for (name, _), answer in zip(some, told, strict=True)]
        answers += named if as_json else []
        for answer in [] if as_json else named:
            line(answer)
    if as_json:
        emit(answers)


def _mask_writer(kind: str, out: Path | None) -> Callable[[str, dict[str, Any]], dict[str, Any]]:
    """What becomes of an answer before it is printed: a mask goes into a file of `out`, and its path into the line."""
    if kind != "mask":
        if out is not None:
            raise ConfigError("--out is for models that predict masks, and this one predicts {kind}", kind=kind)
        return lambda name, answer: answer
    from netwright.data.masks import write_mask

    taken: set[Path] = set()

    def keep(name: str, answer: dict[str, Any]) -> dict[str, Any]:
        rest = {key: value for key, value in answer.items() if key != "mask"}
        rest["size"] = list(answer["mask"].shape)
        if out is None:
            return rest
        stem, number = Path(name).stem[:100] or "mask", 1
        while (path := out / f"{stem}{'' if number == 1 else f'-{number}'}.png") in taken:
            number += 1
        taken.add(path)
        write_mask(answer["mask"], path)
        return {**rest, "mask": str(path)}

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
