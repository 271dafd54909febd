"""The tasks by name. Each factory's signature is the config of `task:`; what the data and the loss decide is bound."""

from netwright.core.catalogs import Catalog

__all__ = ["TASKS"]

_TABLE = {
    "forecasting": "netwright.tasks.forecasting:Forecasting",
    "gan": "netwright.tasks.gan:AdversarialGeneration",
    "image-classification": "netwright.tasks.classification:Classification",
    "image-segmentation": "netwright.tasks.segmentation:Segmentation",
    "language-modeling": "netwright.tasks.language:LanguageModeling",
    "masked-language-modeling": "netwright.tasks.masked_language:MaskedLanguageModeling",
    "metric-learning": "netwright.tasks.metric_learning:MetricLearning",
    "multilabel-classification": "netwright.tasks.multilabel:MultilabelClassification",
    "q-learning": "netwright.tasks.q_learning:QLearning",
    "question-answering": "netwright.tasks.question_answering:QuestionAnswering",
    "regression": "netwright.tasks.regression:Regression",
    "sequence-to-sequence": "netwright.tasks.sequence_to_sequence:SequenceToSequence",
    "tabular-classification": "netwright.tasks.classification:Classification",
    "text-classification": "netwright.tasks.classification:Classification",
    "word2vec": "netwright.tasks.word2vec:Word2VecTask",
}

_ALIASES = {"segmentation": "image-segmentation", "semantic-segmentation": "image-segmentation"}

TASKS = Catalog("task", _TABLE, "netwright.tasks", _ALIASES)
