"""Fine-tuning from a config: `model: {name: resnet50, weights: resnet50.pth, freeze: backbone}`.

Any network of the catalog takes these settings beside its own arguments. The file decides the sizes, the data how many
classes the fresh head has, and what is frozen stays bit for bit as it was. The network's recipe in `model/config.json`
names every argument, so that a run outlives the file it began with.
"""

import difflib
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from torch import nn

from netwright import models
from netwright.core import schemas
from netwright.core.errors import ConfigError, Problem
from netwright.core.messages import say
from netwright.data import Preprocessor, Schema
from netwright.data.normalising import ImagePreprocessor
from netwright.data.section import resolve
from netwright.experiment.beginning import has_begun
from netwright.models.weights.loading import IMAGENET, Pretrained, pretrained, value_of, wrong_vocabulary
from netwright.models.weights.reading import Normalisation
from netwright.optim.freezing import freeze
from netwright.optim.naming import Names

__all__ = [
    "FineTuning", "anchored_model", "check_fine_tuning", "expected", "frozen", "is_gone", "normalised",
    "split_model", "start_from",
]  # fmt: skip

log = logging.getLogger("netwright")

_LEAST_USED = 0.9  # share of vectors with a code in the weights' own tokenizer; a round number takes a few per cent


@dataclass(frozen=True)
class FineTuning:
    """Settings of the `model:` section of any network in the catalog.

    Args:
        weights: a `.pth` or `.safetensors` file, a Hugging Face folder, or a run of ours; see `nw.load_pretrained`. A
            relative path starts from the working folder, else from the config's.
        embeddings: a run whose vectors of words the network's own embedding starts from (task word2vec, say), matched
            by the words' spelling.
        freeze: `backbone` (all but the head), or a list of names of parts and patterns, which do not train; batch norm
            and dropout in frozen parts stay in evaluation mode.
        normalise: `weights` gives pictures the mean and deviation that the weights were trained with: what stands in
            the folder beside them, else ImageNet's for a reference project's. That is what the first filters expect,
            and frozen parts see nothing unusual. `imagenet` says so for a file that does not tell; `data` fits both
            on the training part, as without weights: for pictures far from photographs.
    """

    weights: str | None = None
    embeddings: str | None = None
    freeze: str | list[str] | None = None
    normalise: Literal["weights", "imagenet", "data"] = "weights"

    @property
    def frozen_names(self) -> list[str]:
        """The names in `freeze`."""
        return [self.freeze] if isinstance(self.freeze, str) else list(self.freeze or ())


def split_model(name: str, values: Mapping[str, Any]) -> tuple[dict[str, Any], FineTuning]:
    """A section's arguments of the network, and its settings around them; a network's own argument goes first.

    Raises:
        ConfigError: settings that do not fit.
    """
    own, around = _apart(name, values)
    return own, schemas.build(FineTuning, around, "model")


def check_fine_tuning(section: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], list[Problem]]:
    """The section without its settings for fine-tuning, and what is wrong with these before anything is read.

    Args:
        folder: of the config; where that is a run which can go on without its files, these need not be there.
    """
    own, around = _apart(section.get("name"), section)
    try:
        settings = schemas.build(FineTuning, around, "model")
    except ConfigError as error:
        return own, error.problems
    problems = []
    if settings.weights is not None and not _exists(settings.weights, folder) and not has_begun(folder):
        template = "model.weights={path!r} does not exist; give a .pth or .safetensors file, or a folder with one"
        problems.append(Problem("model.weights", say(template, path=settings.weights[:200])))
    if settings.embeddings is not None and not _exists(settings.embeddings, folder) and not has_begun(folder):
        template = "model.embeddings={path!r} does not exist; give the folder of a run that learned vectors of words"
        problems.append(Problem("model.embeddings", say(template, path=settings.embeddings[:200])))
    return own, problems


def start_from(
    name: str, values: Mapping[str, Any], settings: FineTuning, sizes: Mapping[str, Any], folder: Path,
    own_tokens: bool = False,
) -> Pretrained:  # fmt: skip
    """The network of a section with `weights`, in training mode, with a head for the data.

    Args:
        own_tokens: the data are read with the tokenizer beside the weights, which may have vectors for more codes than
            the tokenizer has, so that their number is a round one.

    Raises:
        CheckpointError: weights that cannot be read, or that do not fit the network or the data.
        ConfigError: a tokenizer that is not the weights'.
    """
    assert settings.weights is not None
    path = resolve(settings.weights, folder)
    fixed = {size: value for size, value in sizes.items() if not (own_tokens and size == "vocab_size")}
    made = pretrained(name, path, values, fixed)
    codes, vectors = sizes.get("vocab_size"), value_of(made.name, made.arguments, "vocab_size")
    if own_tokens and codes is not None and vectors is not None:
        _check_tokens(path, codes, vectors)
    template = "{model} starts from {file} ({source})"
    log.info(say(template, model=made.name, file=path, source=made.source))
    if made.fresh_head:
        count = made.arguments.get("num_classes")
        log.info(say("its head is new, for {count} classes", count=count) if count else say("its head is new"))
    made.network.train()
    return made


def _check_tokens(path: Path, codes: int, vectors: int) -> None:
    """Published weights may have a few vectors more than their tokenizer has codes, to make a round number.

    Raises:
        ConfigError: codes without a vector.
    """
    if codes > vectors:
        raise wrong_vocabulary(path, vectors, codes)
    if codes < _LEAST_USED * vectors:
        template = (
            "the tokenizer beside the weights of {file} has {codes} codes for {vectors} vectors; check that it is "
            "theirs: the other {spare} vectors are never used"
        )
        log.warning(say(template, file=path, codes=codes, vectors=vectors, spare=vectors - codes))
    elif codes < vectors:
        template = "{spare} of the {vectors} vectors of {file} have no code in its tokenizer; they are never used"
        log.info(say(template, spare=vectors - codes, vectors=vectors, file=path))


def frozen(network: nn.Module, settings: FineTuning) -> nn.Module:
    """The network with the parts frozen that the section names.

    Raises:
        ConfigError: a name that fits no parameter, or nothing is left to train.
    """
    names = settings.frozen_names
    if not names:
        return network
    problems = Names(network).problems("model.freeze", names)
    if problems:
        raise ConfigError.of(problems)
    freeze(network, names)
    weights = list(network.parameters())
    trained = sum(weight.numel() for weight in weights if weight.requires_grad)
    if not trained:
        template = "model.freeze={names} leaves nothing to train; freeze less, such as backbone"
        raise ConfigError(template, path="model.freeze", names=", ".join(names))
    total = sum(weight.numel() for weight in weights)
    log.info(say("{trained:,} of {total:,} parameters train, the others are frozen", trained=trained, total=total))
    return network


def expected(settings: FineTuning, made: Pretrained) -> Normalisation | None:
    """The mean and deviation that pictures are to have, as far as `normalise` and the weights say."""
    if settings.normalise == "imagenet":
        return IMAGENET
    return made.normalisation if settings.normalise == "weights" else None


def normalised(schema: Schema, seen: Normalisation | None, fit: Callable[[], Preprocessor]) -> Preprocessor:
    """The preprocessing that pretrained weights expect of pictures; `fit` gives that of the data where none is known.

    Grey pictures get the means over the channels. Arrays of floats are taken as given.
    """
    if seen is None or schema.kind != "image" or (schema.as_given and schema.input_dtype != "uint8"):
        return fit()
    channels = schema.input_shape[0]
    mean, std = seen
    if channels == 1:
        mean, std = [sum(mean) / len(mean)], [sum(std) / len(std)]
    if len(mean) != channels or len(std) != channels or not all(value > 0 for value in std):
        return fit()
    return ImagePreprocessor(schema, list(mean), list(std))


def anchored_model(section: Any, folder: Path) -> Any:
    """The section with absolute paths of what it starts from: a run's own config means the same from any folder."""
    if not isinstance(section, Mapping):
        return section
    given = {key: section[key] for key in ("weights", "embeddings") if isinstance(section.get(key), str | os.PathLike)}
    return {**section, **{key: os.path.abspath(resolve(path, folder)) for key, path in given.items()}}


def is_gone(path: str, base: Path, run: Path) -> bool:
    """Whether a run can, and must, go on by its own config without a file that it began with."""
    return not _exists(path, base) and base.resolve() == run.resolve() and has_begun(run)


def _apart(name: object, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The network's own arguments, and the settings around them; of an unknown network nothing is its own."""
    known = isinstance(name, str) and (name in models.catalog() or ":" in name)
    try:
        inner = schemas.parameters(models.catalog().load(str(name))) if known else {}
    except ConfigError:  # told by the check of the name
        inner = {}
    outer = [field.name for field in fields(FineTuning) if field.name not in inner]
    own, around = {}, {}
    for key, value in values.items():
        near = [key] if not inner or key in ("name", *inner) else difflib.get_close_matches(key, [*inner, *outer], n=1)
        if key in outer or near[:1] in [[name] for name in outer]:  # `weight` too: what is told of it names `weights`
            around[key] = os.fspath(value) if isinstance(value, os.PathLike) else value
        else:
            own[key] = value
    return own, around


def _exists(path: str, folder: Path) -> bool:
    try:
        return bool(path.strip()) and resolve(path, folder).exists()
    except (OSError, ValueError):  # a name that no file system takes
        return False
