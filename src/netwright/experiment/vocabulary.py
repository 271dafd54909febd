"""Which tokenizer reads the texts of a run that starts from published weights: the one that lies beside them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netwright import models
from netwright.core import schemas
from netwright.core.errors import DataError
from netwright.data.section import resolve, source_of
from netwright.data.sources.builtin import BUILTIN
from netwright.experiment.beginning import kept_tokenizer
from netwright.experiment.config import Config
from netwright.experiment.pretrained import split_model

__all__ = ["belongs_to_weights", "readable_data", "with_vocabulary"]

_TEXTS = ("language-modeling", "sequence-to-sequence", "text-classification")  # tasks of built-in texts
_FREE = {"max_length"}  # settings of tokens that say nothing of the tokenizer


def with_vocabulary(config: Config) -> Config:
    """The config with `data.tokens.path` set to the tokenizer beside `model.weights`, unless it names tokens itself.

    Networks that read no text, data that hold none, and weights without a tokenizer leave it as it is.
    """
    file = _beside_weights(config)
    data = _section(config.sections.data)
    if file is None or data is None or not _has_texts(data, config.folder):
        return config
    tokens = data.get("tokens") or {}
    if not isinstance(tokens, Mapping) or not tokens.keys() <= _FREE:
        return config
    return config.resolved(data={**data, "tokens": {**tokens, "path": os.path.abspath(file)}})


def belongs_to_weights(config: Config) -> bool:
    """Whether the tokenizer of the data is the one beside the weights."""
    file, data = _beside_weights(config), _section(config.sections.data) or {}
    tokens = data.get("tokens")
    if file is None or not isinstance(tokens, Mapping) or not isinstance(tokens.get("path"), str):
        return False
    path = resolve(tokens["path"], config.folder)
    return (path / "tokenizer.json" if path.is_dir() else path).resolve() == file.resolve()


def readable_data(config: Config, folder: Path) -> Any:
    """The data section of the run in `folder`, with the tokenizer that it kept where the one it began with is gone."""
    data = config.sections.data
    tokens = data.get("tokens") if isinstance(data, Mapping) else None
    if not isinstance(tokens, Mapping) or not isinstance(tokens.get("path"), str):
        return data
    path, kept = resolve(tokens["path"], config.folder), kept_tokenizer(folder)
    if kept is None or (path / "tokenizer.json" if path.is_dir() else path).is_file():
        return data
    return {**data, "tokens": {**tokens, "path": str(kept)}}


def _beside_weights(config: Config) -> Path | None:
    """The tokenizer in the folder, or in the run, that the weights come from."""
    name, values = config.named("model")
    if name is None:
        return None
    weights = split_model(name, values)[1].weights
    if weights is None or "vocab_size" not in schemas.parameters(models.catalog().load(name)):
        return None
    folder = resolve(weights, config.folder)
    return next((file for part in ("", "model") if (file := folder / part / "tokenizer.json").is_file()), None)


def _section(data: Any) -> dict[str, Any] | None:
    """A data section as a mapping; None for data that are no files or sets with names."""
    if isinstance(data, str):
        return {"name": data} if data in BUILTIN else {"path": data}
    return dict(data) if isinstance(data, Mapping) and {"name", "path"} & data.keys() else None


def _has_texts(data: Mapping[str, Any], base: Path) -> bool:
    if "name" in data:
        return data["name"] in BUILTIN and BUILTIN[data["name"]].task in _TEXTS
    try:
        return "tokens" in schemas.parameters(source_of(resolve(data["path"], base), data))
    except (DataError, TypeError):  # no such file, or of no known kind: said when the data are loaded
        return False
