"""Which tokenizer a data section gets: fitted on the training part, or read from a file."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netwright.core.errors import DataError, because
from netwright.data.tokenizing.base import Tokenizer
from netwright.data.tokenizing.characters import CharTokenizer
from netwright.data.tokenizing.library import LibraryTokenizer
from netwright.data.tokenizing.settings import TokenSettings
from netwright.data.tokenizing.words import WordTokenizer

__all__ = ["fit_tokenizer", "read_tokenizer", "tokenizer_from_dict"]

# The size of the vocabulary is asked for when data are split, the tokenizer itself when the run is built: fitting is a
# pure function of settings and texts, so the last results are kept.
_fitted: dict[tuple[TokenSettings, str], Tokenizer] = {}
_KEPT = 4


def fit_tokenizer(settings: TokenSettings, texts: Sequence[str]) -> Tokenizer:
    """The tokenizer for training texts.

    Raises:
        ConfigError: settings that do not fit.
        DataError: the file that `path` names is no tokenizer.
        MissingExtra: the library for parts of words is not installed.
    """
    if settings.path is not None:
        return read_tokenizer(Path(settings.path))
    key = (settings, _content(texts))
    if key not in _fitted:
        while len(_fitted) >= _KEPT:
            _fitted.pop(next(iter(_fitted)))
        _fitted[key] = _fit(settings, texts)
    return _fitted[key]


def read_tokenizer(path: Path) -> Tokenizer:
    """A tokenizer.json, ours or of a Hugging Face folder.

    Raises:
        DataError: missing or damaged.
    """
    file = path / "tokenizer.json" if path.is_dir() else path
    try:
        return tokenizer_from_dict(json.loads(file.read_text("utf-8")))
    except FileNotFoundError as error:
        template = "{file} does not exist; give the tokenizer.json that belongs to the weights"
        raise DataError(template, file=file) from error
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        template = "{file} is no tokenizer that can be read ({reason}); give a tokenizer.json"
        raise DataError(template, file=file, reason=because(error)) from error


def tokenizer_from_dict(values: Mapping[str, Any]) -> Tokenizer:
    """Undo of any tokenizer's `to_dict`.

    Raises:
        KeyError, TypeError, ValueError: these are not the values of one.
    """
    ours = {made.kind: made for made in (CharTokenizer, WordTokenizer)}
    made = ours.get(values.get("type", ""), LibraryTokenizer)
    return made.from_dict(values)


def _fit(settings: TokenSettings, texts: Sequence[str]) -> Tokenizer:
    if settings.kind == "characters":
        return CharTokenizer.fitted(texts, settings.lower)
    if settings.kind == "words":
        return WordTokenizer.fitted(texts, settings.size, settings.lower, settings.min_count)
    return LibraryTokenizer.fitted(texts, settings.size, settings.lower)


def _content(texts: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"{len(text)}:".encode())
        digest.update(text.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
