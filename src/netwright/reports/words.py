"""Names that come out of a run folder (metrics, statuses, data kinds) and how a reader knows them.

They reach `say` as values of a table, so this table is also where their translations are looked for.
"""

from __future__ import annotations

from typing import Any

from netwright.core.messages import say

__all__ = ["LOWER_IS_BETTER", "METRICS", "VALUES", "metric_name", "value_name"]

METRICS = {
    "above_noise": "true words above noise",
    "accuracy": "accuracy",
    "auroc": "AUROC",
    "bits_per_char": "bits per character",
    "bits_per_token": "bits per token",
    "classifier_score": "classifier score",
    "dice": "Dice",
    "discriminator": "discriminator",
    "ece": "calibration error",
    "environment_steps": "steps in the environment",
    "episode_length": "episode length",
    "episode_return": "return of an episode in training",
    "epsilon": "exploration rate ε",
    "error_rate": "error rate",
    "examples_per_second": "examples per second",
    "f1": "F1",
    "frechet": "Fréchet distance",
    "generator": "generator",
    "grad_norm": "gradient norm",
    "iou": "IoU",
    "loss": "loss",
    "lr": "learning rate",
    "mae": "MAE",
    "mean_average_precision": "mean average precision",
    "mse": "MSE",
    "perplexity": "perplexity",
    "precision": "precision",
    "q_mean": "mean Q value",
    "r2": "R²",
    "recall": "recall",
    "recall_at_1": "recall@1",
    "recall_at_10": "recall@10",
    "recall_at_5": "recall@5",
    "related": "related words closer",
    "return": "return",
    "return_max": "highest return",
    "return_mean": "mean return",
    "return_min": "lowest return",
    "return_std": "spread of returns",
    "rmse": "RMSE",
    "top5": "top-5 accuracy",
    "update_ratio": "update-to-weight ratio",
}
VALUES = {
    "action": "an action",
    "array": "arrays",
    "class": "one class of several",
    "diverged": "diverged",
    "environment": "an environment",
    "error": "error",
    "failed": "failed",
    "finished": "finished",
    "given in Python": "given in Python",
    "image": "images",
    "interrupted": "interrupted",
    "mask": "a class for each pixel",
    "multilabel": "several labels at once",
    "next-token": "the next token",
    "none": "nothing",
    "note": "note",
    "number": "a number",
    "preempted": "preempted",
    "running": "running",
    "table": "a table",
    "test": "test",
    "text": "text",
    "train": "train",
    "validation": "validation",
    "warning": "warning",
}
LOWER_IS_BETTER = frozenset(
    (
        "bits_per_char",
        "bits_per_token",
        "cer",
        "ece",
        "error_rate",
        "frechet",
        "loss",
        "mae",
        "mse",
        "perplexity",
        "return_std",
        "rmse",
        "wer",
    )
)


def metric_name(key: str) -> str:
    """`top5` -> "top-5 accuracy"; a name we do not know is shown as it stands, underscores opened."""
    known = METRICS.get(key)
    return say(known) if known else key.replace("_", " ").strip()


def value_name(value: Any) -> str:
    known = VALUES.get(str(value))
    return say(known) if known else str(value)
