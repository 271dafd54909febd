"""What a request holds, as inputs of the model: never a path, never more than fits, and each mistake with its place."""

import base64
import binascii
import io
import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

from netwright.core.errors import ConfigError, DataError, because
from netwright.core.messages import say
from netwright.data.schema import Schema

__all__ = ["MOST_BYTES", "MOST_INPUTS", "RefusedError", "check_kind", "read_inputs"]

MOST_BYTES = 32 * 2**20
MOST_INPUTS = 256
_MOST_PIXELS = 50_000_000
_MOST_LETTERS = 200_000
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_WANTED = {
    "array": "a list of numbers", "environment": "a list of numbers", "image": "a picture in base64",
    "series": "a list of rows, or an object with a list for each column", "table": "an object with the columns",
    "text": "a text",
}  # fmt: skip


class RefusedError(DataError):
    """A request that cannot be answered: `status` of HTTP, and the `field` that is wrong."""

    def __init__(self, template: str, *, status: int = 422, field: str = "", **values: object) -> None:
        super().__init__(template, field=field, **values)
        self.status, self.field = status, field


def check_kind(schema: Schema) -> None:
    """Raises ConfigError where no request can hold such inputs."""
    if schema.kind not in _READERS:
        raise ConfigError("models of data of kind {kind} cannot be served; use predict", kind=schema.kind)


def read_inputs(body: bytes, content_type: str, schema: Schema) -> list[Any]:
    """The inputs of a request: a picture by itself, or JSON with a list of `inputs`.

    Raises:
        RefusedError: anything else.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind.startswith("image/") or kind == "application/octet-stream":
        if schema.kind != "image":
            _refuse_type(kind, schema)
        return [_picture(body, "body")]
    if kind not in ("application/json", ""):
        _refuse_type(kind, schema)
    document = _json(body)
    if not isinstance(document, Mapping) or list(document) != ["inputs"] or not isinstance(document["inputs"], list):
        wanted = '{"inputs": [...]}'
        raise RefusedError("the body must be {wanted} and nothing else", field="inputs", wanted=wanted)
    inputs = document["inputs"]
    if not 1 <= len(inputs) <= MOST_INPUTS:
        template = "inputs holds {count}; send 1 to {most} at a time"
        raise RefusedError(template, status=413 if inputs else 422, field="inputs", count=len(inputs), most=MOST_INPUTS)
    return [_READERS[schema.kind](value, f"inputs[{place}]", schema) for place, value in enumerate(inputs)]


def _refuse_type(kind: str, schema: Schema) -> NoReturn:
    wanted = "application/json, image/*" if schema.kind == "image" else "application/json"
    raise RefusedError("content type {kind} is not read here; send {wanted}", status=415, kind=kind, wanted=wanted)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except RefusedError:
        raise
    except (ValueError, RecursionError) as error:
        raise RefusedError(
            "the body is not JSON ({reason})", status=400, field="body", reason=_reason(error)
        ) from error


def _reason(error: Exception) -> str:
    return say("too deep") if isinstance(error, RecursionError) else because(error)


def _refuse_constant(name: str) -> NoReturn:
    raise RefusedError("{name} is not JSON; send null for what is missing", status=400, field="body", name=name)


def _image(value: Any, field: str, schema: Schema) -> Any:
    """A picture in base64, with or without `data:` before it; or the numbers of its pixels."""
    if isinstance(value, list):
        return _numbers(value, field, schema)
    if not isinstance(value, str):
        _refuse(value, field, schema)
    head, comma, tail = value.partition(",")
    text = tail if comma and head.startswith("data:") else value
    try:
        return _picture(base64.b64decode("".join(text.split()), validate=True), field)
    except (binascii.Error, ValueError) as error:
        template = "{field} is not base64; send the bytes of a picture file in base64 (names of files are not opened)"
        raise RefusedError(template, field=field) from error


def _picture(content: bytes, field: str) -> bytes:
    """The bytes of a file that is a picture and not too large; nothing of it is decoded yet."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            pixels = image.width * image.height
    except Exception as error:  # a file of anybody's: decoders raise whatever their format makes them
        template = "{field} is not a picture; known: {formats}"
        raise RefusedError(template, field=field, formats=", ".join(_FORMATS)) from error
    if pixels > _MOST_PIXELS:
        template = "{field} has {pixels:,} pixels; send {most:,} at most"
        raise RefusedError(template, status=413, field=field, pixels=pixels, most=_MOST_PIXELS)
    return content


def _numbers(value: Any, field: str, schema: Schema) -> Any:
    if not isinstance(value, list):
        _refuse(value, field, schema)
    try:
        array = np.array(value)
    except ValueError as error:  # rows of several lengths
        raise RefusedError("{field} has rows of different lengths", field=field) from error
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        raise RefusedError("{field} holds something that is no finite number", field=field)
    return value


def _table(value: Any, field: str, schema: Schema) -> Any:
    cells = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else None
    if cells is None:
        _refuse(value, field, schema)
    for name, cell in cells:
        if not (cell is None or isinstance(cell, str | int | float)):
            place = f"{field}.{name}"
            raise RefusedError("{place} must be a number, a text, true, false or null", field=place, place=place)
    return value


def _text(value: Any, field: str, schema: Schema) -> Any:
    parts = list(value.values()) if isinstance(value, Mapping) else value if isinstance(value, list) else [value]
    if not parts or not all(isinstance(part, str) for part in parts):
        _refuse(value, field, schema)
    if sum(map(len, parts)) > _MOST_LETTERS:
        raise RefusedError(
            "{field} is too long; send {most:,} letters at most", status=413, field=field, most=_MOST_LETTERS
        )
    return value


def _series(value: Any, field: str, schema: Schema) -> Any:
    if isinstance(value, Mapping):
        return {name: _numbers(column, f"{field}.{name}", schema) for name, column in value.items()}
    return _numbers(value, field, schema)


def _refuse(value: Any, field: str, schema: Schema) -> NoReturn:
    template = "{field} is {got}; this model wants {wanted}"
    kinds: dict[type, str] = {dict: "an object", list: "a list", str: "a text"}
    got = kinds.get(type(value), "a number")
    raise RefusedError(template, field=field, got=say(got), wanted=say(_WANTED[schema.kind]))


_READERS: dict[str, Callable[[Any, str, Schema], Any]] = {
    "array": _numbers, "environment": _numbers, "image": _image, "series": _series, "table": _table, "text": _text,
}  # fmt: skip
