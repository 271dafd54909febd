"""`serve`: a trained model behind HTTP, with a page to try it on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from netwright.core.errors import need
from netwright.experiment.describing import about_model
from netwright.experiment.model_folder import find_model_folder
from netwright.experiment.predictor import Predictor, load
from netwright.serving.app import make_app
from netwright.serving.page import make_pages
from netwright.serving.running import listening, run

__all__ = ["application", "serve"]


def serve(
    model: str | Path | Predictor,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    together: int = 1,
    trust: bool = False,
    announce: Callable[[str], None] = print,
) -> None:
    """Answer requests until a signal comes: a page at `/`, and JSON at `/health`, `/model` and `/predict`.

    `POST /predict` takes `{"inputs": [...]}`, pictures in base64, or one picture as the whole body, and gives the
    answers that `load` gives. Nothing that a request holds is opened as a file.

    Args:
        model: a run folder, a model folder, or what `load` gave.
        port: 0 takes any that is free.
        together: inputs of waiting requests that are put to the network at once; see `serving.worker.Worker`.
        trust: import the Python objects that the run's config named.
        announce: is told the address.

    Raises:
        CheckpointError: no model there.
        ConfigError: no such host.
        MissingExtra: FastAPI or uvicorn is not installed.
        ResourceError: the port is taken.
    """
    for library in ("fastapi", "uvicorn"):
        need(library, "serve")
    app = application(model, together=together, trust=trust)
    run(app, listening(host, port), announce)


def application(model: str | Path | Predictor, *, together: int = 1, trust: bool = False) -> Any:
    """The ASGI application of `serve`, for a server of yours."""
    folder = None if isinstance(model, Predictor) else find_model_folder(Path(model))
    loaded = model if isinstance(model, Predictor) else load(model, trust=trust)
    about = about_model(loaded, folder)
    return make_app(loaded, about, make_pages(about), together)
