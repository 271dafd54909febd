"""Which batch source serves which data: the only place that chooses between resident, streaming, windows and
environments.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from netwright.core import schemas
from netwright.core.errors import ConfigError
from netwright.data import DataBundle, Dataset, Preprocessor
from netwright.data.augment import Augment
from netwright.data.batching import (
    BatchSource,
    Bucketed,
    GraphBatches,
    Resident,
    SeriesWindows,
    Streaming,
    WholeGraph,
    Windows,
)
from netwright.data.batching.skipgram import PairMaker, PairSettings
from netwright.data.environments import (
    EpisodeSource,
    ReplayOptions,
    ReplaySource,
    RolloutOptions,
    RolloutSettings,
    RolloutSource,
)
from netwright.data.graph_scaling import GraphPreprocessor
from netwright.data.graphs import GraphDataset, NodeDataset
from netwright.data.series import SeriesDataset
from netwright.data.texts import TextDataset
from netwright.data.textual import TextPreprocessor, stream_of
from netwright.experiment.settings import TrainSettings
from netwright.tasks import Task

__all__ = ["SourceMaker", "pair_maker"]

_CONTEXT = 128  # tokens of a window for networks that do not say how many they can read
_EVALUATION_BATCH = 512
_VALIDATION_EPISODES, _TEST_EPISODES = 20, 100


@dataclass(frozen=True)
class SourceMaker:
    """Makes the sources of one run. `augment` is for training only; `task` may change the batches it measures on."""

    bundle: DataBundle
    preprocess: Preprocessor | None
    model: nn.Module
    settings: TrainSettings
    device: torch.device
    augment: Augment | None = None
    task: Task | None = None
    pairs: PairMaker | None = None  # in place of the data's own batches, for vectors of words
    rollouts: RolloutSettings | None = None  # in place of a memory, for what is learnt while it is done

    def training(self) -> BatchSource:
        """Batches to train on: shuffled, augmented.

        Raises:
            ConfigError: a batch size that does not fit the data.
        """
        settings, bundle = self.settings, self.bundle
        if settings.per_class is not None and bundle.schema.target.kind != "class":
            template = "train.per_class={per_class} needs classes as targets, and the data have none; leave it out"
            raise ConfigError(template, path="train.per_class", per_class=settings.per_class)
        if bundle.schema.kind == "environment":
            return self._acting()
        if self.pairs is not None:
            return self.pairs.training(settings.batch_size, settings.seed, self.device)
        return self._of_examples()

    def _of_examples(self) -> BatchSource:
        """Batches as the kind of the data asks for."""
        settings, bundle = self.settings, self.bundle
        common: dict[str, Any] = {"batch_size": settings.batch_size, "seed": settings.seed, "device": self.device}
        if self.augment is not None and self.augment.texts and bundle.schema.target.kind in ("next-token", "span"):
            template = "augment changes texts, and the targets of these data are in the texts; leave it out"
            raise ConfigError(template, path="augment")
        if bundle.schema.target.kind == "next-token":
            return Windows(self._tokens(bundle.train), context=self._context(), **common)
        assert self.preprocess is not None
        if isinstance(bundle.train, TextDataset):
            return self._bucketed(bundle.train, augment=self.augment, **common)
        if isinstance(bundle.train, SeriesDataset | GraphDataset | NodeDataset):
            return self._linked(bundle.train, **common)
        common["per_class"] = settings.per_class
        if bundle.train.tensors() is None:
            return Streaming(bundle.train, self.preprocess, augment=self.augment, workers=settings.workers, **common)
        return Resident(bundle.train, self.preprocess, augment=self.augment, **common)

    def validation(self) -> BatchSource | None:
        """Batches to validate on, or None where nothing was held out."""
        if self.bundle.schema.kind == "environment":
            return self._episodes("validation", _VALIDATION_EPISODES)
        return None if not self.bundle.validation else self.measuring(self.bundle.validation)

    def test(self, dataset: Dataset | None) -> BatchSource | None:
        """Batches of the opened test set; environments play fresh episodes instead."""
        if self.bundle.schema.kind == "environment":
            return self._episodes("test", _TEST_EPISODES)
        return None if dataset is None or len(dataset) == 0 else self.measuring(dataset)

    def measuring(self, dataset: Dataset) -> BatchSource:
        """Batches in the order of the data (texts by their lengths), without augmentation."""
        source = self._in_order(dataset)
        return source if self.task is None else self.task.batches(source, training=False)

    def _in_order(self, dataset: Dataset) -> BatchSource:
        if self.pairs is not None:
            return self.pairs.measuring(dataset, self.settings.batch_size, self.device)
        size = max(self.settings.batch_size, _EVALUATION_BATCH)
        if self.bundle.schema.target.kind == "next-token":
            tokens, size = self._tokens(dataset), max(self.settings.batch_size, 32)
            return Windows(tokens, context=self._context(), batch_size=size, shuffle=False, device=self.device)
        if self.bundle.schema.target.kind == "mask":  # a network that answers for every pixel keeps large maps
            size = self.settings.batch_size
        assert self.preprocess is not None
        if isinstance(dataset, TextDataset):
            return self._bucketed(dataset, batch_size=self.settings.batch_size, shuffle=False, device=self.device)
        if isinstance(dataset, SeriesDataset | GraphDataset | NodeDataset):
            return self._linked(dataset, batch_size=size, shuffle=False, device=self.device)
        if dataset.tensors() is None:
            workers = self.settings.workers
            return Streaming(
                dataset, self.preprocess, batch_size=size, shuffle=False, device=self.device, workers=workers
            )
        return Resident(dataset, self.preprocess, batch_size=size, shuffle=False, device=self.device)

    def _bucketed(self, dataset: TextDataset, **options: Any) -> BatchSource:
        """Documents by their lengths, none longer than the network takes."""
        assert isinstance(self.preprocess, TextPreprocessor)
        longest = getattr(self.model, "context", None)
        budget = self.settings.batch_tokens
        return Bucketed(dataset, self.preprocess, batch_tokens=budget, longest=longest, **options)

    def _linked(self, dataset: SeriesDataset | GraphDataset | NodeDataset, **options: Any) -> BatchSource:
        """Windows of a series, some graphs at a time, or the nodes of one all together."""
        assert self.preprocess is not None
        if isinstance(dataset, SeriesDataset):
            return SeriesWindows(dataset, self.preprocess, **options)
        assert isinstance(self.preprocess, GraphPreprocessor)
        if isinstance(dataset, GraphDataset):
            return GraphBatches(dataset, self.preprocess, **options)
        return WholeGraph(dataset, self.preprocess, options["device"])

    def _context(self) -> int:
        return int(getattr(self.model, "context", _CONTEXT))

    def _tokens(self, dataset: Dataset) -> torch.Tensor:
        assert self.preprocess is not None
        return stream_of(dataset, self.preprocess)

    def _acting(self) -> BatchSource:
        """Experience: remembered, or fresh for every update."""
        given = {"batch_size": self.settings.batch_size, **self.bundle.options}
        how: dict[str, Any] = {"seed": self.settings.seed, "device": self.device}
        source: ReplaySource | RolloutSource
        if self.rollouts is None:
            replay = schemas.build(ReplayOptions, given, "data")
            source = ReplaySource(self.bundle.name, epochs=self.settings.epochs, options=replay, **how)
        else:
            rollout = schemas.build(RolloutOptions, given, "data")
            source = RolloutSource(self.bundle.name, settings=self.rollouts, options=rollout, **how)
        source.bind(self.model)
        return source

    def _episodes(self, purpose: str, episodes: int) -> BatchSource:
        source = EpisodeSource(
            self.bundle.name,
            episodes=episodes,
            purpose="test" if purpose == "test" else "validation",
            seed=self.settings.seed,
            device=self.device,
        )
        source.bind(self.model)
        return source


def pair_maker(
    settings: PairSettings | None, bundle: DataBundle, preprocess: Preprocessor | None, model: nn.Module
) -> PairMaker | None:
    """What makes the batches of a task that learns from words and their neighbours; None for the others.

    Raises:
        ConfigError: another network than such a task trains.
    """
    if settings is None:
        return None
    mode = getattr(model, "mode", None)
    if mode not in ("skip-gram", "cbow") or preprocess is None:
        template = "task word2vec trains vectors of words alone; set model: {do}"
        raise ConfigError(template, path="model", do="{name: word2vec}")
    return PairMaker(bundle.train, preprocess, settings, mode)
