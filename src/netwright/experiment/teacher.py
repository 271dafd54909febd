"""The teacher of a `distill:` section: found, loaded, and made to understand the student's inputs."""

import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from netwright.core.devices import wants_channels_last
from netwright.core.errors import CheckpointError, ConfigError
from netwright.core.messages import say
from netwright.core.records import read_json
from netwright.data import DataBundle, Preprocessor, Schema
from netwright.experiment.config import Config
from netwright.experiment.model_folder import find_model_folder, weights_hash
from netwright.experiment.predictor import Predictor, load
from netwright.experiment.reading import example_names
from netwright.tasks import Task
from netwright.tasks.classification import Classification
from netwright.tasks.distillation import Distillation, Teacher
from netwright.training.placing import place

__all__ = ["find_teacher", "taught"]

log = logging.getLogger("netwright")


def taught(
    task: Task, config: Config, bundle: DataBundle, preprocess: Preprocessor | None, device: torch.device
) -> Distillation:
    """`task` with the teacher of the `distill:` section beside it, which `find_teacher` made a folder.

    Raises:
        ConfigError: a task without classes, or a teacher of other classes or inputs.
        CheckpointError: the folder holds no whole model.
    """
    settings = config.distill
    assert settings is not None
    if not isinstance(task, Classification) or preprocess is None:
        template = "distill is for tasks that tell classes apart, and the task is {task}; leave it out"
        raise ConfigError(template, path="distill", task=config.named("task")[0])
    predictor = load(settings.teacher)
    _warn_of_other_split(Path(settings.teacher), bundle)
    teacher = _teacher(predictor, bundle.schema, preprocess, settings.teacher, device)
    return Distillation(task, teacher, settings.temperature, settings.alpha)


def find_teacher(name: str, base: Path, beside: Path) -> str:
    """The folder that `distill.teacher` means: a run's or a model's, or the newest finished run of a gallery example.

    Args:
        base: where relative paths start that do not start from the working folder.
        beside: the folder of the student's runs, in which other runs may lie too.

    Raises:
        ConfigError: nothing is there; for an example, says how to make it.
    """
    path = Path(name).expanduser()
    for folder in (path, base / path):
        if folder.is_dir():
            return str(find_model_folder(folder).resolve())
    own = re.compile(re.escape(name) + r"(-\d+)?")
    runs = [
        run for place in dict.fromkeys((beside, Path("runs"))) if place.is_dir() for run in place.iterdir()
        if own.fullmatch(run.name) and (run / "model" / "config.json").is_file()
    ]  # fmt: skip
    if runs:
        return str((max(runs, key=lambda run: (run / "model" / "config.json").stat().st_mtime) / "model").resolve())
    if name in example_names():
        template = "distill.teacher={name} has no finished run in {folder} yet; make it with: netwright train {name}"
        raise ConfigError(template, path="distill.teacher", name=name, folder="runs")
    template = "distill.teacher={name} is neither a run or model folder nor the name of an example; check the path"
    raise ConfigError(template, path="distill.teacher", name=name)


def _teacher(
    predictor: Predictor, schema: Schema, preprocess: Preprocessor, folder: str, device: torch.device
) -> Teacher:
    own, mine = predictor.schema.target.classes, schema.target.classes
    if sorted(own) != sorted(mine):
        template = "the teacher tells other classes apart than the data have: {teacher}; the data: {data}"
        raise ConfigError(template, path="distill.teacher", teacher=", ".join(own), data=", ".join(mine))
    if predictor.schema.input_shape != schema.input_shape:
        template = "the teacher takes inputs of {teacher}, and the data give {data}; train it on the same data"
        given = (predictor.schema.input_shape, schema.input_shape)
        sizes = ["x".join(map(str, shape)) for shape in given]
        raise ConfigError(template, path="distill.teacher", teacher=sizes[0], data=sizes[1])
    network = predictor.network.requires_grad_(False)
    network = place(network, device, wants_channels_last(network, schema.input_shape))
    order = None if own == mine else torch.tensor([own.index(label) for label in mine], device=device)
    if (
        schema.kind == "text"
        and predictor.preprocess is not None
        and predictor.preprocess.values() != preprocess.values()
    ):
        template = "the teacher's tokenizer is another one; set data.tokens.path={file}, or train it on these data"
        raise ConfigError(template, path="distill.teacher", file=Path(folder) / "tokenizer.json")
    adapt = _adapted(predictor.preprocess, preprocess)
    return Teacher(network, _named(Path(folder), predictor), weights_hash(network), adapt, order)


def _adapted(own: Preprocessor | None, mine: Preprocessor) -> Callable[[Tensor], Tensor] | None:
    """From inputs that the student's preprocessor made to those that the teacher's would have made; None: the same.

    Raises:
        ConfigError: they were encoded in other ways, which no scaling turns into each other.
    """
    if own is None or own.kind != mine.kind or _encoding(own.schema) != _encoding(mine.schema):
        template = "the teacher's inputs are encoded in another way than the student's; train it on the same columns"
        raise ConfigError(template, path="distill.teacher")
    if own.values() == mine.values():
        return None
    return _Rescaled(own, mine)


class _Rescaled:
    """Undoes one normalisation and does another; both scale each channel or column, which 0 and 1 tell all about."""

    def __init__(self, own: Preprocessor, mine: Preprocessor) -> None:
        self._own, self._mine = own, mine
        self._known: tuple[Tensor, Tensor] | None = None

    def __call__(self, inputs: Tensor) -> Tensor:
        if self._known is None or self._known[0].device != inputs.device:
            self._known = self._maps(inputs)
        factor, shift = self._known
        return inputs * factor + shift

    def _maps(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        example = inputs[:1, :, :1, :1] if inputs.dim() == 4 else inputs[:1]
        dark, light = torch.zeros_like(example, dtype=torch.float32), torch.ones_like(example, dtype=torch.float32)
        mine_0, mine_1 = self._mine.normalise(dark), self._mine.normalise(light)
        own_0, own_1 = self._own.normalise(dark), self._own.normalise(light)
        factor = (own_1 - own_0) / (mine_1 - mine_0)
        return factor, own_0 - factor * mine_0


def _encoding(schema: Schema) -> list[tuple[Any, ...]]:
    """What of a table's columns decides which number stands where; nothing of pictures."""
    return [(c.name, c.kind, c.categories, c.indicator, c.origin, c.form) for c in schema.features]


def _named(folder: Path, predictor: Predictor) -> str:
    """The run's name and the network's."""
    recipe: Mapping[str, Any] = predictor.config["model"]
    run = folder.parent.name if folder.name == "model" else folder.name
    return f"{run} ({recipe.get('name') or recipe.get('python')})"


def _warn_of_other_split(folder: Path, bundle: DataBundle) -> None:
    """A teacher that learnt what the student is measured on would tell it the answers."""
    try:
        split = read_json(folder.parent / "split.json")
    except CheckpointError:
        return
    hashes, mine = split.get("sha256", {}), bundle.split.get("sha256", {})
    other = [part for part in ("validation", "test") if part in mine and hashes.get(part) != mine[part]]
    if split.get("name") == bundle.name and other:
        log.warning(say(
            "the teacher learnt from another split of {data}: it may have seen the student's {part} examples",
            data=bundle.name, part=" + ".join(other),
        ))  # fmt: skip
