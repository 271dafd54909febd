"""What a run began with that it does not hold itself until it ends: the network that `model.weights` told the sizes of,
what its weights expect of pictures, and the tokenizer of `data.tokens.path`.

It is kept in `start/` of the run folder, so that the run goes on, and is measured again, when those files are gone. The
weights themselves are in the checkpoints.
"""

from pathlib import Path
from typing import Any, NamedTuple

from netwright.core.errors import CheckpointError
from netwright.core.records import read_json, write_json
from netwright.data import Preprocessor
from netwright.data.normalising import ImagePreprocessor
from netwright.models.weights.reading import Normalisation
from netwright.training import checkpoints

__all__ = ["Beginning", "beginning", "has_begun", "keep_beginning", "kept_tokenizer"]


class Beginning(NamedTuple):
    """The network's name and arguments, and the mean and deviation of pictures, None where they are fitted."""

    name: str
    arguments: dict[str, Any]
    normalisation: Normalisation | None


def keep_beginning(folder: Path, recipe: dict[str, Any], preprocess: Preprocessor | None) -> None:
    """Write `start/` of the run in `folder`.

    Raises:
        ResourceError: disk full, or the folder cannot be written.
    """
    values = preprocess.to_dict()["values"] if isinstance(preprocess, ImagePreprocessor) else {}
    seen = {key: values[key] for key in ("mean", "std") if key in values}
    if preprocess is not None and preprocess.tokenizer is not None:
        write_json(folder / "start" / "tokenizer.json", preprocess.tokenizer.to_dict())
    write_json(folder / "start" / "network.json", {**recipe, "normalisation": seen or None})


def has_begun(folder: Path) -> bool:
    """Whether the run in `folder` can go on without the files that it began with."""
    return (folder / "start" / "network.json").is_file() and bool(checkpoints.steps(folder / "checkpoints"))


def beginning(folder: Path) -> Beginning:
    """What `start/` of the run in `folder` says.

    Raises:
        CheckpointError: it is damaged.
    """
    file = folder / "start" / "network.json"
    told = read_json(file)
    try:
        seen = told["normalisation"]
        return Beginning(told["name"], dict(told["arguments"]), None if seen is None else (seen["mean"], seen["std"]))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError("{file} is damaged; restore it or train again", file=file) from error


def kept_tokenizer(folder: Path) -> Path | None:
    """The tokenizer that the run in `folder` began with; None where it kept none."""
    file = folder / "start" / "tokenizer.json"
    return file if file.is_file() else None
