"""From a checked config to the objects of a run: data, network, task, optimizer, hooks. The only place that does it.

What the config leaves out is chosen here from the data, and the choice is written into the run's config.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from netwright import losses, models, optim
from netwright.core import schemas, seeds
from netwright.core.devices import Precision, choose_device, choose_precision, wants_channels_last
from netwright.core.errors import ConfigError
from netwright.data import DataBundle, Preprocessor, load_data
from netwright.data.augment import Augment, build_augment
from netwright.data.masks import IGNORED
from netwright.data.normalising import ImagePreprocessor
from netwright.data.schema import Schema
from netwright.data.section import anchored
from netwright.experiment.back_translation import bind_translators
from netwright.experiment.beginning import beginning
from netwright.experiment.compatible import check_sizes, check_task, construct, default_model, default_task, part_of
from netwright.experiment.config import Config
from netwright.experiment.embeddings import start_from_vectors
from netwright.experiment.foreign import check_savable, make_layers, part_memory
from netwright.experiment.hooking import make_hooks
from netwright.experiment.pretrained import (
    anchored_model,
    expected,
    frozen,
    is_gone,
    normalised,
    split_model,
    start_from,
)
from netwright.experiment.settings import TrainSettings
from netwright.experiment.sources import SourceMaker, pair_maker
from netwright.experiment.teacher import find_teacher, taught
from netwright.experiment.vocabulary import belongs_to_weights, readable_data, with_vocabulary
from netwright.models.layers import LayerStack
from netwright.models.weights.reading import Normalisation
from netwright.tasks import TASKS, Task
from netwright.training.convolutions import place
from netwright.training.engine import Engine, Updater
from netwright.training.session import Plan, Session

__all__ = ["Assembly", "Built", "Given", "assemble", "build_network", "build_task", "network_sizes"]


@dataclass(frozen=True)
class Given:
    """Objects that the user brings instead of naming them in the config."""

    model: nn.Module | None = None
    loss: Callable[..., Tensor] | None = None
    optimizer: torch.optim.Optimizer | None = None
    bundle: DataBundle | None = None


@dataclass
class Assembly:
    """What a run is made of. `recipe` rebuilds network and task from `model/config.json`."""

    config: Config
    bundle: DataBundle
    preprocess: Preprocessor | None
    model: nn.Module
    loss: Any
    session: Session
    sources: SourceMaker
    precision: Precision
    channels_last: bool
    recipe: dict[str, Any] = field(default_factory=dict)


def assemble(config: Config, folder: Path, given: Given | None = None, quiet: bool = False) -> Assembly:
    """Build everything for a run in `folder`; nothing is written and no step is taken.

    Raises:
        ConfigError: what the config names does not fit the data or each other.
        DataError: data that cannot be used.
    """
    with config.placing():
        return _assemble(config, folder, given or Given(), quiet)


def _assemble(config: Config, folder: Path, given: Given, quiet: bool) -> Assembly:
    settings = config.train
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    device = choose_device(settings.device)
    config = config if given.bundle else with_vocabulary(config)
    bundle = given.bundle or load_data(readable_data(config, folder), base=config.folder)
    config = _complete(config, bundle, given, folder)
    settings = config.train
    seeds.seed_everything(settings.seed)
    task_name, task_values = config.named("task")
    assert task_name is not None
    factory = TASKS.load(task_name)
    check_task(task_name, factory, bundle.schema)
    sizes = network_sizes(factory, task_values, bundle.schema)
    built = _rebuilt(config, folder) if given.model is None else None
    model, model_recipe, seen = built or build_network(config, sizes, bundle.schema.input_shape, given.model)
    preprocess = _preprocessor(bundle, factory, seen)
    if given.model is not None:
        make_layers(model, bundle, preprocess)
        part_memory(model)
        check_savable(model)
    precision = choose_precision(settings.precision, device, model)
    channels_last = wants_channels_last(model, bundle.schema.input_shape)
    model = place(model.train(), device, channels_last)
    loss = _loss(config, factory, bundle, given)
    start_from_vectors(model, config, preprocess, folder)
    augment, pairs = _augment(config, bundle, factory), pair_maker(factory, task_values, bundle, preprocess, model)
    sources = SourceMaker(bundle, preprocess, model, settings, device, augment, pairs=pairs)
    train_source = sources.training()
    total_steps = min(settings.epochs * train_source.steps_per_epoch, settings.steps or 1 << 62)
    task = build_task(task_name, task_values, bundle.schema, preprocess, loss, config, total_steps)
    if config.distill is not None:
        task = taught(task, config.distill, bundle, preprocess, device)
    updates = max(1, total_steps // settings.accumulate)
    updaters, averaging = _updaters(config, task, model, updates, given)
    engine = Engine(updaters, device, precision, settings.accumulate, averaging)
    sources = replace(sources, task=task)
    session = Session(
        folder, model, task, engine, task.batches(train_source, training=True), sources.validation(),
        Plan(settings.epochs, settings.validate_every, settings.checkpoint_every, settings.steps),
        (task.monitor, task.sense),
        make_hooks(config, folder, task, bundle.schema.kind, train_source.steps_per_epoch, total_steps, quiet),
    )  # fmt: skip
    seeds.seed_everything(seeds.mix(settings.seed, 1))  # however much chance the building above took
    recipe = {"model": model_recipe, "task": {"name": task_name, **task_values}, "schema": bundle.schema.to_dict()}
    return Assembly(config, bundle, preprocess, model, loss, session, sources, precision, channels_last, recipe)


def network_sizes(factory: Any, values: dict[str, Any], schema: Schema) -> dict[str, Any]:
    """The sizes that the data decide, and the network's outputs where the task decides them (`outputs`)."""
    sizes = schema.sizes() | ({"task": factory.head} if hasattr(factory, "head") else {})
    return {**sizes, "num_classes": factory.outputs(values)} if hasattr(factory, "outputs") else sizes


class Built(NamedTuple):
    """A network, what `model/config.json` must say to build it again, and what its weights expect of pictures."""

    network: nn.Module
    recipe: dict[str, Any]
    normalisation: Normalisation | None = None


def build_network(
    config: Config, sizes: dict[str, Any], input_shape: tuple[int, ...], given: nn.Module | None
) -> Built:
    """The network of a config, with pretrained weights and frozen parts where it names them.

    Raises:
        ConfigError: arguments that do not fit.
        CheckpointError: weights of another network.
    """
    if given is not None:
        kind = type(given)
        return Built(given, {"python": f"{kind.__module__}:{kind.__qualname__}"})
    name, values = config.named("model")
    if name is None:
        arguments = schemas.arguments(LayerStack, values, "model", {**sizes, "input_shape": list(input_shape)})
        return Built(construct(LayerStack, arguments, name), _recipe("layers", arguments))
    values, settings = split_model(name, values)
    check_sizes(name, {**sizes, **values}, config.named("task")[0])
    if settings.weights is not None:
        made = start_from(name, values, settings, sizes, config.folder, belongs_to_weights(config))
        recipe = _recipe(made.name, made.arguments)
        return Built(frozen(made.network, settings), recipe, expected(settings, made))
    factory = models.catalog().load(name)
    arguments = schemas.arguments(factory, values, "model", sizes)
    return Built(frozen(construct(factory, arguments, name), settings), _recipe(name, arguments))


def _rebuilt(config: Config, folder: Path) -> Built | None:
    """The network of a run that goes on though the weights it began with are gone; its own are in its checkpoints."""
    name, values = config.named("model")
    settings = split_model(name, values)[1] if name is not None else None
    if settings is None or settings.weights is None or not is_gone(settings.weights, config.folder, folder):
        return None
    begun = beginning(folder)
    network = construct(models.catalog().load(begun.name), begun.arguments, begun.name)
    return Built(frozen(network, settings), _recipe(begun.name, begun.arguments), begun.normalisation)


def _recipe(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "arguments": _jsonable(arguments)}


def build_task(
    name: str,
    values: dict[str, Any],
    schema: Any,
    preprocess: Preprocessor | None,
    loss: Any,
    config: Config,
    steps: int,
) -> Task:
    """The task, with what the data and the config decide bound to its signature."""
    bound = {
        "schema": schema, "preprocess": preprocess, "loss": loss, "metrics": config.sections.metrics,
        "seed": config.train.seed, "total_steps": steps, "judge_network": _judge(values),
    }  # fmt: skip
    bound = {key: value for key, value in bound.items() if value is not None}
    task: Task = schemas.build(TASKS.load(name), values, "task", bound)
    return task


class _FromUnitRange(nn.Module):
    """A classifier that takes pictures in [-1, 1], as a generator makes them, instead of its own normalised input."""

    def __init__(self, network: nn.Module, preprocess: Preprocessor) -> None:
        super().__init__()
        self._network, self._preprocess = network, preprocess

    def features(self, x: Tensor) -> Tensor:
        """The classifier's features."""
        out: Tensor = self._network.features(self._preprocess.normalise((x + 1) / 2))  # type: ignore[operator]
        return out

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self._network(self._preprocess.normalise((x + 1) / 2))
        return out


def _judge(values: dict[str, Any]) -> nn.Module | None:
    """The classifier that a generative task asked to be judged by, from its model folder."""
    if values.get("judge") in (None, "auto", "none"):
        return None
    from netwright.experiment.predictor import load

    judge = load(values["judge"])
    if judge.preprocess is None:
        raise ConfigError("task.judge={judge} is no classifier of pictures", path="task.judge", judge=values["judge"])
    return _FromUnitRange(judge.network, judge.preprocess)


def _complete(config: Config, bundle: DataBundle, given: Given, folder: Path) -> Config:
    """Fill in what the config leaves to the data."""
    chosen: dict[str, Any] = {"data": anchored(config.sections.data, config.folder)}
    if config.sections.model is not None:
        chosen["model"] = anchored_model(config.sections.model, config.folder)
    if "batch_size" not in config.sections.train and 0 < len(bundle.train) < TrainSettings.batch_size:
        chosen["train"] = {**config.sections.train, "batch_size": len(bundle.train)}
    if config.sections.task is None:
        chosen["task"] = default_task(bundle.schema)
    task_name = str(chosen.get("task") or config.named("task")[0])
    factory = TASKS.load(task_name)
    if config.sections.model is None and given.model is None:
        chosen["model"] = default_model(task_name, bundle.schema)
    default_loss = getattr(factory, "default_loss", None)
    if config.sections.loss is None and given.loss is None and default_loss is not None:
        chosen["loss"] = default_loss
    if config.sections.optimizer is None and given.optimizer is None:
        chosen["optimizer"] = {"name": "adamw", "lr": 1e-3}
    if config.distill is not None:
        teacher = find_teacher(config.distill.teacher, config.folder, folder.parent)
        chosen["distill"] = {**asdict(config.distill), "teacher": teacher}
    return config.resolved(**chosen)


def _preprocessor(bundle: DataBundle, factory: Any, seen: Normalisation | None) -> Preprocessor | None:
    """Fitted on the training part, but for what a task needs (`input_range`) or pretrained weights expect."""
    if bundle.schema.kind == "environment":
        return None
    if getattr(factory, "input_range", None) == (-1.0, 1.0) and bundle.schema.kind == "image":
        channels = bundle.schema.input_shape[0]
        return ImagePreprocessor(bundle.schema, [0.5] * channels, [0.5] * channels)
    return normalised(bundle.schema, seen, lambda: Preprocessor.fit(bundle.train))


def _loss(config: Config, factory: Any, bundle: DataBundle, given: Given) -> Any:
    if given.loss is not None:
        return losses.build_loss(given.loss)
    if config.sections.loss is None:
        return None
    if "loss" not in schemas.parameters(factory):
        raise ConfigError(
            "task {task} makes its own loss; remove the loss section", path="loss", task=config.named("task")[0]
        )
    kind = bundle.schema.target.kind
    counts = list(bundle.split.get("classes", {}).values()) if kind in ("class", "mask") else []
    bound = {"num_classes": bundle.schema.target.outputs, "class_counts": counts or None}
    bound |= {"ignore_index": IGNORED} if kind == "mask" else {}
    return losses.build_loss(config.sections.loss, "loss", {k: v for k, v in bound.items() if v is not None})


def _augment(config: Config, bundle: DataBundle, factory: Any) -> Augment | None:
    """What `augment` says, for as many views of an example as the task wants (`views`)."""
    views = factory.views(config.named("task")[1]) if hasattr(factory, "views") else 1
    if not config.sections.augment and views == 1:
        return None
    shape, outputs = bundle.schema.input_shape, bundle.schema.target.outputs
    masks = bundle.schema.target.kind == "mask"
    made = build_augment(config.sections.augment, input_shape=shape, num_classes=outputs, masks=masks)
    bind_translators(made, config.folder)
    if views > 1 and not made.on_images:
        template = "two views of an example need an augmentation of pictures; add one, such as augment: [resized-crop]"
        raise ConfigError(template, path="augment")
    return replace(made, views=views)


def _updaters(
    config: Config, task: Task, model: nn.Module, updates: int, given: Given
) -> tuple[dict[str, Updater], Any]:
    """An optimizer and a schedule for each phase, over its part of the network; one average of the whole."""
    if given.optimizer is not None:
        schedule = optim.build_schedule("constant", given.optimizer, updates)
        return {task.phases[0].name: Updater(given.optimizer, schedule)}, None
    assert config.sections.optimizer is not None
    plan = optim.split_spec(config.sections.optimizer)
    updaters: dict[str, Updater] = {}
    for phase in dict.fromkeys(task.phases):  # a phase may come several times in a step
        optimizer = plan.build(part_of(model, phase.part, config.named("task")[0]))
        schedule = plan.build_schedule(optimizer, updates * task.phases.count(phase))
        updaters[phase.name] = Updater(optimizer, schedule, _clip(plan), plan.l1)
    return updaters, plan.build_average(model, updates * len(task.phases))


def _clip(plan: optim.OptimizerPlan) -> Callable[[Sequence[Tensor]], Tensor] | None:
    if plan.clip is not None:
        return partial(optim.clip_norm, max_norm=plan.clip)
    return partial(optim.clip_value, max_value=plan.clip_value) if plan.clip_value is not None else None


def _jsonable(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_jsonable(item) for item in value]
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    return value
