"""The routes: a page at `/`, and for programs `/health`, `/model` and `/predict`, which speak JSON."""

import base64
import json
import logging
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from netwright.core.errors import NetwrightError, need
from netwright.core.messages import say
from netwright.data.masks import mask_png
from netwright.serving.inputs import MOST_BYTES, RefusedError, check_kind, read_inputs
from netwright.serving.worker import Answering, Worker

__all__ = ["make_app"]

_log = logging.getLogger("netwright")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"type": "object", "required": ["inputs"],
                       "properties": {"inputs": {"type": "array", "items": {}}}}
        }
    },
}  # fmt: skip


def make_app(model: Answering, about: Mapping[str, Any], pages: Mapping[str, str], together: int = 1) -> Any:
    """The application, for any ASGI server.

    Args:
        about: what `/model` tells.
        pages: the page by language, `en` and `zh`.
        together: see `Worker`.

    Raises:
        ConfigError: inputs of a kind that no request can hold.
        MissingExtra: FastAPI is not installed.
    """
    check_kind(model.schema)
    need("fastapi", "serve")
    from fastapi import FastAPI, Request, Response

    worker = Worker(model, together)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with worker.at_work():
            yield

    app = FastAPI(title="Netwright", version=about["netwright"], lifespan=lifespan, docs_url=None, redoc_url=None)

    def answer(document: Any, status: int = 200) -> Response:
        return Response(encoded(document), status, _HEADERS, "application/json")

    @app.get("/")
    async def page(request: Request, lang: str = "") -> Response:
        wanted = lang or request.headers.get("accept-language", "")
        return Response(pages["zh" if wanted.lower().startswith("zh") else "en"], 200, _HEADERS, "text/html")

    @app.get("/health")
    async def health() -> Response:
        return answer({"status": "ok", "network": about["network"], "task": about["task"]})

    @app.get("/model")
    async def description() -> Response:
        return answer(about)

    @app.post("/predict", openapi_extra={"requestBody": _BODY})
    async def predict(request: Request) -> Response:
        body = await _body(request)
        inputs = read_inputs(body, request.headers.get("content-type", ""), model.schema)
        return answer({"answers": await worker.ask(inputs)})

    _explain_errors(app, answer)
    return app


async def _body(request: Any) -> bytes:
    """The body of a request, as far as it is not too long."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES:
            most = MOST_BYTES // 2**20
            raise RefusedError("the body is larger than {most} MB; send less at a time", status=413, field="body",
                               most=most)  # fmt: skip
    return bytes(body)


def _explain_errors(app: Any, answer: Any) -> None:
    """Every mistake as a line of JSON; how our own bugs came about stands in the server's log alone."""
    from fastapi.exceptions import HTTPException, RequestValidationError
    from starlette.exceptions import HTTPException as AnyHTTPException

    async def named(request: Any, error: NetwrightError) -> Any:
        status, field = getattr(error, "status", 422), getattr(error, "field", "")
        return answer({"error": str(error), "field": field or None}, status)

    async def unknown(request: Any, error: Any) -> Any:
        if error.status_code == 405:
            said = say("{path} does not take {method}", path=request.url.path, method=request.method)
        else:
            said = say("there is no {path} here; known: {names}", path=request.url.path,
                       names="/, /health, /model, /predict")  # fmt: skip
        return answer({"error": said, "field": None}, error.status_code)

    async def strange(request: Any, error: Any) -> Any:
        return answer({"error": say("the address is not understood"), "field": None}, 422)

    async def bug(request: Any, error: Exception) -> Any:
        _log.error(say("this is a bug in Netwright; please report it with the lines above"), exc_info=error)
        return answer({"error": say("the server failed; its log says how"), "field": None}, 500)

    app.add_exception_handler(NetwrightError, named)
    app.add_exception_handler(HTTPException, unknown)
    app.add_exception_handler(AnyHTTPException, unknown)
    app.add_exception_handler(RequestValidationError, strange)
    app.add_exception_handler(Exception, bug)


def encoded(document: Any) -> str:
    """JSON, with numbers that it does not know as null, and masks as pictures."""
    return json.dumps(_plain(document), ensure_ascii=False, default=str)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        mask: Any = value.get("mask")
        if hasattr(mask, "tolist"):
            value = {**value, "mask": _drawn(mask), "size": list(mask.shape)}
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _drawn(codes: Any) -> str:
    """A mask as a PNG in base64: its values are the class codes, its palette shows them."""
    return f"data:image/png;base64,{base64.b64encode(mask_png(codes)).decode()}"
