"""The tasks by name. Each factory's signature is the config of `task:`; what the data and the loss decide is bound."""

from netwright.core.catalogs import Catalog

__all__ = ["TASKS"]

_TABLE = {
    "forecasting": "netwright.tasks.forecasting:Forecasting",
    "gan": "netwright.tasks.gan:AdversarialGeneration",
    "image-classification": "netwright.tasks.classification:Classification",
    "image-segmentation": "netwright.tasks.segmentation:Segmentation",
    "language-modeling": "netwright.tasks.language:LanguageModeling",
    "metric-learning": "netwright.tasks.metric_learning:MetricLearning",
    "q-learning": "netwright.tasks.q_learning:QLearning",
    "regression": "netwright.tasks.regression:Regression",
    "tabular-classification": "netwright.tasks.classification:Classification",
}

_ALIASES = {"segmentation": "image-segmentation", "semantic-segmentation": "image-segmentation"}

TASKS = Catalog("task", _TABLE, "netwright.tasks", _ALIASES)
