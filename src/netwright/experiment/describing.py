"""What a trained model is, for people and programs that have neither the run nor this package."""

from pathlib import Path
from typing import Any

import netwright
from netwright.core.records import read_json
from netwright.data.encoding import TablePreprocessor
from netwright.experiment.predictor import Predictor

__all__ = ["about_model", "example_input"]


def about_model(model: Predictor, folder: Path | None) -> dict[str, Any]:
    """Network, task, classes, schema, and of the run around its folder the data, their licence and the figures."""
    recipe, schema = model.config["model"], model.schema.to_dict()
    if schema["tokens"] is not None:
        schema["tokens"]["path"] = None  # a place on the machine that it was trained on
    summary, split = (_beside(folder, name) for name in ("summary.json", "split.json"))
    return {
        "netwright": netwright.__version__,
        "network": recipe.get("name") or recipe.get("python"),
        "parameters": sum(weight.numel() for weight in model.network.parameters()),
        "task": model.config["task"]["name"],
        "classes": list(model.schema.target.classes or model.schema.target.names),
        "schema": schema,
        "data": summary.get("data"),
        "licence": split.get("licence"),
        "figures": summary.get("metrics", {}),
        "example": example_input(model),
    }


def example_input(model: Predictor) -> Any:
    """An input such as the model takes: a row of usual values, a text, zeros; of pictures the shape."""
    schema = model.schema
    if schema.kind == "table" and isinstance(model.preprocess, TablePreprocessor):
        return model.preprocess.usual_row()
    if schema.kind == "text":
        return {"question": "…?", "context": "…"} if schema.target.kind == "span" else "…"
    if schema.kind == "image":
        return {"channels, height, width": list(schema.input_shape)}
    return _zeros(schema.input_shape)


def _zeros(shape: tuple[int, ...]) -> Any:
    return 0.0 if not shape else [_zeros(shape[1:]) for _ in range(shape[0])]


def _beside(folder: Path | None, name: str) -> dict[str, Any]:
    """A record of the run whose model folder this is; nothing where it was taken out of its run."""
    file = None if folder is None else folder.parent / name
    return read_json(file) if file is not None and file.is_file() else {}
