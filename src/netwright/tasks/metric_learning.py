"""Learning where things lie: the network gives a point on the unit sphere, and what is alike must lie near.

Any network embeds whose head gives `embedding_size` numbers. Alike are examples of one class (triplet loss with mining:
Hermans et al., "In defense of the triplet loss for person re-identification", 2017; InfoNCE: Khosla et al., "Supervised
contrastive learning", 2020), or two augmented views of one picture (Chen et al., "A simple framework for contrastive
learning of visual representations", SimCLR, 2020).
Letters: B batch, D width of the embedding, N examples.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.blocks.heads import AuxiliaryLogits
from netwright.core.errors import ConfigError
from netwright.core.schemas import Size
from netwright.data.batching import Batch, BatchSource
from netwright.data.preprocess import Preprocessor
from netwright.data.schema import Schema
from netwright.losses import Loss, LossFunction
from netwright.metrics.neighbours import Neighbours
from netwright.tasks.base import Phase, StepOutput, Task, with_monitor
from netwright.tasks.retrieval import Embeddings, maps, worst_queries

__all__ = ["MetricLearning"]

_SIZE = 64


@final
class MetricLearning(Task):
    """Triplet loss, InfoNCE, or any loss of (embeddings_BD, kinds_B); measured by looking for neighbours.

    Args:
        embedding_size: numbers that the head of the network gives.
        alike: examples of one class (`labels`), or two augmented views of one picture (`views`); the labels then only
            serve to measure, and the loss on examples held out, of which there is one view, takes them too.
        metrics: the figures of an evaluation, in place of the usual ones.

    Shapes: the network gives (B, D), which is scaled to length 1; of two views (2 B, D), first views first.

    Raises:
        ConfigError: an unknown metric, or a loss that compares no examples; in a step, targets that are mixed.

    Differs from SimCLR: no projection head that is thrown away afterwards; what is trained is what is used.
    """

    monitor = "recall_at_1"
    sense = "max"
    default_loss = "triplet"
    target_kinds = ("class",)
    like_tasks = ("image-classification", "tabular-classification")
    default_metrics = ("recall_at_1", "recall_at_5")
    least_batch = 2  # a lone example has nothing to be compared with
    output_name = "embedding"

    def __init__(
        self,
        schema: Schema,
        preprocess: Preprocessor | None = None,
        loss: LossFunction | None = None,
        metrics: list[str] | None = None,
        seed: int = 0,
        embedding_size: Size = _SIZE,
        alike: Literal["labels", "views"] = "labels",
    ) -> None:
        self._schema, self._preprocess, self._seed = schema, preprocess, seed
        self._loss = self.chosen_loss(loss)
        if isinstance(self._loss, Loss) and self._loss.target_kind not in ("identity", "pair"):
            template = (
                "loss {name} compares no examples with each other, as metric learning does; use triplet or contrastive"
            )
            raise ConfigError(template, path="loss", name=type(self._loss).__name__)
        self._alike = alike
        self._metrics = with_monitor(metrics, self.monitor, self.default_metrics)
        self.measure()  # an unknown metric is refused now, not after the first epoch

    @staticmethod
    def outputs(values: Mapping[str, Any]) -> int:
        """How many numbers the network's head must give, by the settings of `task:`."""
        return int(values.get("embedding_size", _SIZE))

    @staticmethod
    def views(values: Mapping[str, Any]) -> int:
        """How many augmented forms of a picture a batch must hold, by the settings of `task:`."""
        return 2 if values.get("alike") == "views" else 1

    def training_step(self, model: nn.Module, batch: Batch, phase: Phase) -> StepOutput:
        """The loss of one batch."""
        embedding_BD = self.embed(model, batch.inputs)
        kinds_B = self._kinds(batch, len(embedding_BD)).to(embedding_BD.device)
        return StepOutput(self._loss(embedding_BD, kinds_B), predictions=embedding_BD)

    def evaluation_step(self, model: nn.Module, batch: Batch) -> StepOutput:
        """Loss by the labels, and embeddings."""
        embedding_BD = self.embed(model, batch.inputs)
        return StepOutput(self._loss(embedding_BD, batch.targets), predictions=embedding_BD)

    def measure(self) -> Neighbours:
        """The metrics, fresh."""
        return Neighbours(self._metrics)

    def exhibits(self, model: nn.Module, source: BatchSource, folder: Path) -> list[dict[str, Any]]:
        """Maps of the embeddings (PCA, t-SNE), and the queries whose nearest neighbours are most wrong."""
        seen = Embeddings.of(source, lambda inputs: self.embed(model, inputs), model)
        if seen is None or len(seen.class_N) < 3:
            return []
        classes = self._schema.target.classes
        names = [classes[code] if code < len(classes) else str(code) for code in seen.class_N.tolist()]
        pictured = self._preprocess if self._schema.kind == "image" else None
        return [*maps(seen.unit_ND, names, self._seed), *worst_queries(seen, names, source, pictured, folder)]

    def exported(self, outputs: Tensor) -> Tensor:
        """Embeddings of length 1."""
        return F.normalize(outputs.float(), dim=1)

    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """The embedding, of length 1."""
        return [{"embedding": row} for row in self.exported(outputs).tolist()]

    def embed(self, model: nn.Module, inputs: Any) -> Tensor:
        """The network's outputs on the unit sphere. Shapes: -> (B, D) float32."""
        outputs = model(inputs)
        outputs = outputs.logits if isinstance(outputs, AuxiliaryLogits) else outputs  # heads aside have other widths
        if outputs.dim() != 2:
            template = "the network gives {got} an example; metric learning needs one row of numbers"
            raise ConfigError(template, path="model", got=tuple(outputs.shape[1:]))
        return F.normalize(outputs.float(), dim=1)

    def _kinds(self, batch: Batch, count: int) -> Tensor:
        """Which rows are alike: those with the same number."""
        if self._alike == "views":
            return torch.arange(count // 2).repeat(2)
        assert batch.targets is not None
        if batch.targets.is_floating_point():
            template = "mixup and cutmix leave no example of one kind, which metric learning needs; take them out"
            raise ConfigError(template, path="augment")
        return batch.targets
