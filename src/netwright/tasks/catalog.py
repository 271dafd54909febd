"""The tasks by name. Each factory's signature is the config of `task:`; what the data and the loss decide is bound."""

from netwright.core.catalogs import Catalog
from netwright.tasks.base import Task

__all__ = ["TASKS", "task_class"]

_TABLE = {
    "actor-critic": "netwright.tasks.actor_critic:ActorCritic",
    "forecasting": "netwright.tasks.forecasting:Forecasting",
    "gan": "netwright.tasks.gan:AdversarialGeneration",
    "graph-classification": "netwright.tasks.classification:Classification",
    "graph-regression": "netwright.tasks.regression:Regression",
    "image-classification": "netwright.tasks.classification:Classification",
    "image-segmentation": "netwright.tasks.segmentation:Segmentation",
    "language-modeling": "netwright.tasks.language:LanguageModeling",
    "masked-language-modeling": "netwright.tasks.masked_language:MaskedLanguageModeling",
    "metric-learning": "netwright.tasks.metric_learning:MetricLearning",
    "multilabel-classification": "netwright.tasks.multilabel:MultilabelClassification",
    "node-classification": "netwright.tasks.classification:Classification",
    "policy-gradient": "netwright.tasks.policy_gradient:PolicyGradient",
    "q-learning": "netwright.tasks.q_learning:QLearning",
    "question-answering": "netwright.tasks.question_answering:QuestionAnswering",
    "reconstruction": "netwright.tasks.reconstruction:Reconstruction",
    "regression": "netwright.tasks.regression:Regression",
    "sequence-to-sequence": "netwright.tasks.sequence_to_sequence:SequenceToSequence",
    "tabular-classification": "netwright.tasks.classification:Classification",
    "text-classification": "netwright.tasks.classification:Classification",
    "variational": "netwright.tasks.variational:Variational",
    "word2vec": "netwright.tasks.word2vec:Word2VecTask",
}

_ALIASES = {"segmentation": "image-segmentation", "semantic-segmentation": "image-segmentation"}

TASKS = Catalog("task", _TABLE, "netwright.tasks", _ALIASES)


def task_class(name: str) -> type[Task]:
    """The class of a task, which says what is known of it before it is built; `Task` itself for a user's function.

    Raises:
        ConfigError: see `Catalog.load`.
    """
    factory = TASKS.load(name)
    return factory if isinstance(factory, type) and issubclass(factory, Task) else Task
