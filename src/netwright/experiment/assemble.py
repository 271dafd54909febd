"""From a checked config to the objects of a run: data, network, task, optimizer, hooks. The only place that does it.

What the config leaves out is chosen here from the data, and the choice is written into the run's config.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from netwright import losses, optim
from netwright.core import schemas, seeds
from netwright.core.devices import Precision, choose_device, choose_precision, wants_channels_last
from netwright.core.errors import ConfigError
from netwright.data import DataBundle, Preprocessor, load_data
from netwright.data.augment import Augment, build_augment
from netwright.data.masks import IGNORED
from netwright.data.normalising import ImagePreprocessor
from netwright.data.section import anchored
from netwright.experiment.back_translation import bind_translators
from netwright.experiment.compatible import check_task, default_model, part_of
from netwright.experiment.config import Config
from netwright.experiment.embeddings import start_from_vectors
from netwright.experiment.foreign import check_savable, make_layers, part_memory
from netwright.experiment.hooking import make_hooks
from netwright.experiment.networks import Built, build_network, network_sizes
from netwright.experiment.pretrained import anchored_model, normalised
from netwright.experiment.settings import TrainSettings
from netwright.experiment.sources import SourceMaker, pair_maker
from netwright.experiment.teacher import find_teacher, taught
from netwright.experiment.vocabulary import readable_data, with_vocabulary
from netwright.models.weights.reading import Normalisation
from netwright.tasks import TASKS, Task, task_class
from netwright.training.engine import Engine, Updater
from netwright.training.hooks.base import Hook
from netwright.training.placing import place
from netwright.training.session import Plan, Session

__all__ = ["Assembly", "Given", "assemble"]

_SMALL_BATCH = 16  # where the examples are few, and nobody says how many make a step


@dataclass(frozen=True)
class Given:
    """Objects that the user brings instead of naming them in the config."""

    model: nn.Module | None = None
    loss: Callable[..., Tensor] | None = None
    optimizer: torch.optim.Optimizer | None = None
    bundle: DataBundle | None = None
    hooks: tuple[Hook, ...] = ()


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


def assemble(config: Config, folder: Path, given: Given | None = None, *, quiet: bool = False) -> Assembly:
    """Build everything for a run in `folder`; nothing is written and no step is taken.

    Raises:
        ConfigError: what the config names does not fit the data or each other.
        DataError: data that cannot be used.
    """
    with config.placing():
        return _assemble(config, folder, given or Given(), quiet)


def _assemble(config: Config, folder: Path, given: Given, quiet: bool) -> Assembly:
    if config.train.threads is not None:
        torch.set_num_threads(config.train.threads)
    device = choose_device(config.train.device)
    config, bundle = _read(config, folder, given)
    settings, schema = config.train, bundle.schema
    seeds.seed_everything(settings.seed)
    built, preprocess = _network(config, bundle, given, folder)
    precision = choose_precision(settings.precision, device, built.network)
    channels_last = wants_channels_last(built.network, schema.input_shape)
    model = place(built.network.train(), device, channels_last)
    loss = _loss(config, bundle, given)
    start_from_vectors(model, config, preprocess, folder)
    sources = _sources(config, bundle, preprocess, model, device)
    train = sources.training()
    plan = Plan(settings.epochs, settings.validate_every, settings.checkpoint_every, settings.steps)
    steps = plan.last_step(train.steps_per_epoch)
    task = _task(config, bundle, preprocess, loss, steps, device)
    sources = replace(sources, task=task)
    updaters, average = _updaters(config, task, model, max(1, steps // settings.accumulate), given)
    session = Session(
        folder, model, task, Engine(updaters, device, precision, settings.accumulate, average),
        task.batches(train, training=True), sources.validation(), plan, (task.monitor, task.sense),
        [*make_hooks(config, folder, task, schema.kind, train.steps_per_epoch, steps, quiet), *given.hooks],
    )  # fmt: skip
    seeds.seed_everything(seeds.mix(settings.seed, 1))  # however much chance the building above took
    name, values = _named_task(config)
    recipe = {"model": built.recipe, "task": {"name": name, **values, **task.decided()}, "schema": schema.to_dict()}
    return Assembly(config, bundle, preprocess, model, loss, session, sources, precision, channels_last, recipe)


def _named_task(config: Config) -> tuple[str, dict[str, Any]]:
    """Name and settings of the task, which a complete config has."""
    name, values = config.named("task")
    assert name is not None
    return name, values


def _read(config: Config, folder: Path, given: Given) -> tuple[Config, DataBundle]:
    """The config with nothing left out, and its data."""
    config = config if given.bundle else with_vocabulary(config)
    bundle = given.bundle or load_data(readable_data(config, folder), base=config.folder)
    return _complete(config, bundle, given, folder), bundle


def _complete(config: Config, bundle: DataBundle, given: Given, folder: Path) -> Config:
    """Fill in what the config leaves to the data."""
    chosen: dict[str, Any] = {"data": anchored(config.sections.data, config.folder)}
    if config.sections.model is not None:
        chosen["model"] = anchored_model(config.sections.model, config.folder)
    own = {"batch_size", "batch_tokens", "per_class"} & set(config.sections.train)
    if not own and 0 < len(bundle.train) <= 2 * TrainSettings.batch_size:  # an epoch of two steps teaches nothing
        chosen["train"] = {**config.sections.train, "batch_size": min(_SMALL_BATCH, len(bundle.train))}
    if config.sections.task is None:
        chosen["task"] = bundle.schema.default_task()
    task = str(chosen.get("task") or config.named("task")[0])
    if config.sections.model is None and given.model is None:
        chosen["model"] = default_model(task, bundle.schema)
    usual_loss = task_class(task).default_loss
    if config.sections.loss is None and given.loss is None and usual_loss is not None:
        chosen["loss"] = usual_loss
    if config.sections.optimizer is None and given.optimizer is None:
        chosen["optimizer"] = {"name": "adamw", "lr": 1e-3}
    if config.distill is not None:
        teacher = find_teacher(config.distill.teacher, config.folder, folder.parent)
        chosen["distill"] = {**asdict(config.distill), "teacher": teacher}
    return config.resolved(**chosen)


def _network(config: Config, bundle: DataBundle, given: Given, folder: Path) -> tuple[Built, Preprocessor | None]:
    """The network, and what prepares the data for it."""
    name, values = _named_task(config)
    check_task(name, bundle.schema)
    sizes = network_sizes(name, values, bundle.schema)
    built = build_network(config, sizes, bundle.schema.input_shape, given.model, folder)
    preprocess = _preprocessor(bundle, task_class(name), built.normalisation)
    if given.model is not None:
        make_layers(given.model, bundle, preprocess)
        part_memory(given.model)
        check_savable(given.model)
    return built, preprocess


def _preprocessor(bundle: DataBundle, task: type[Task], seen: Normalisation | None) -> Preprocessor | None:
    """Fitted on the training part, but for what a task needs (`input_range`) or pretrained weights expect."""
    if bundle.schema.kind == "environment":
        return None
    if task.input_range is not None and bundle.schema.kind == "image":
        (low, high), channels = task.input_range, bundle.schema.input_shape[0]
        return ImagePreprocessor(bundle.schema, [(0 - low) / (high - low)] * channels, [1 / (high - low)] * channels)
    return normalised(bundle.schema, seen, lambda: Preprocessor.fit(bundle.train))


def _loss(config: Config, bundle: DataBundle, given: Given) -> Any:
    if given.loss is not None:
        return losses.build_loss(given.loss)
    if config.sections.loss is None:
        return None
    task, _ = _named_task(config)
    if "loss" not in schemas.parameters(TASKS.load(task)):
        raise ConfigError("task {task} makes its own loss; remove the loss section", path="loss", task=task)
    kind = bundle.schema.target.kind
    counts = list(bundle.split.get("classes", {}).values()) if kind in ("class", "mask") else []
    bound = {"num_classes": bundle.schema.target.outputs, "class_counts": counts or None}
    bound |= {"ignore_index": IGNORED} if kind == "mask" else {}
    return losses.build_loss(config.sections.loss, "loss", {k: v for k, v in bound.items() if v is not None})


def _sources(
    config: Config, bundle: DataBundle, preprocess: Preprocessor | None, model: nn.Module, device: torch.device
) -> SourceMaker:
    """What makes the batches; the task, which may change those it is measured on, comes to it later."""
    name, values = _named_task(config)
    kind = task_class(name)
    augment = _augment(config, bundle, kind.views(values))
    pairs = pair_maker(kind.pairs(values), bundle, preprocess, model)
    made = SourceMaker(bundle, preprocess, model, config.train, device, augment, pairs=pairs)
    return replace(made, rollouts=kind.rollouts(values))


def _augment(config: Config, bundle: DataBundle, views: int) -> Augment | None:
    """What `augment` says, for as many views of an example as the task wants."""
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


def _task(
    config: Config, bundle: DataBundle, preprocess: Preprocessor | None, loss: Any, steps: int, device: torch.device
) -> Task:
    """The task, with what the data and the config decide bound to its signature, and its teacher where it has one."""
    name, values = _named_task(config)
    bound = {
        "schema": bundle.schema, "preprocess": preprocess, "loss": loss, "metrics": config.sections.metrics,
        "seed": config.train.seed, "total_steps": steps, "judge_network": _judge(values),
    }  # fmt: skip
    bound = {key: value for key, value in bound.items() if value is not None}
    task: Task = schemas.build(TASKS.load(name), values, "task", bound)
    return task if config.distill is None else taught(task, config, bundle, preprocess, device)


def _judge(values: dict[str, Any]) -> nn.Module | None:
    """The classifier that a generative task asked to be judged by, from its model folder."""
    if values.get("judge") in (None, "auto", "none"):
        return None
    from netwright.experiment.predictor import load

    judge = load(values["judge"])
    if judge.preprocess is None:
        raise ConfigError("task.judge={judge} is no classifier of pictures", path="task.judge", judge=values["judge"])
    return _FromUnitRange(judge.network, judge.preprocess)


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
