"""Names that come out of a run folder (metrics, statuses, data kinds) and how a reader knows them.

They reach `say` as values of a table, so this table is also where their translations are looked for.
"""

from __future__ import annotations

import re
from typing import Any

from netwright.core.messages import say

__all__ = ["LOWER_IS_BETTER", "METRICS", "RECALL", "VALUES", "metric_name", "value_name"]

RECALL = re.compile(r"recall_at_(\d+)")
_OF_A_CLASS = re.compile(r"(dice|iou)_(.+)")

METRICS = {
    "above_noise": "true words above noise",
    "accuracy": "accuracy",
    "approx_kl": "distance from the policy that acted (KL)",
    "active_units": "units of the code in use",
    "activity": "activity of the code",
    "auroc": "AUROC",
    "beta": "weight of the divergence β",
    "bits_per_byte": "bits per byte",
    "bits_per_char": "bits per character",
    "bits_per_token": "bits per token",
    "bleu": "BLEU",
    "chrf": "chrF",
    "classifier_score": "classifier score",
    "clip_fraction": "share of clipped moves",
    "dice": "Dice",
    "discriminator": "discriminator",
    "ece": "calibration error",
    "elbo": "evidence lower bound",
    "entropy": "entropy of the policy",
    "environment_steps": "steps in the environment",
    "episode_length": "episode length",
    "episode_return": "return of an episode in training",
    "epsilon": "exploration rate ε",
    "error_rate": "error rate",
    "exact_match": "exact matches",
    "examples_per_second": "examples per second",
    "explained_variance": "variance that the critic explains",
    "f1": "F1",
    "frechet": "Fréchet distance",
    "generator": "generator",
    "grad_norm": "gradient norm",
    "input_error": "squared error of the spoilt input",
    "iou": "IoU",
    "kl": "KL divergence",
    "last_mase": "MASE of the last value",
    "loss": "loss",
    "lr": "learning rate",
    "mae": "MAE",
    "mase": "MASE",
    "mean_average_precision": "mean average precision",
    "mse": "MSE",
    "perplexity": "perplexity",
    "policy_loss": "loss of the policy",
    "precision": "precision",
    "q_mean": "mean Q value",
    "r2": "R²",
    "recall": "recall",
    "related": "related words closer",
    "return": "return",
    "return_max": "highest return",
    "return_mean": "mean return",
    "return_min": "lowest return",
    "return_std": "spread of returns",
    "rmse": "RMSE",
    "seasonal_mase": "MASE of the last season",
    "sparsity": "price of the sparse code",
    "surprise": "surprise in nats",
    "top5": "top-5 accuracy",
    "update_ratio": "update-to-weight ratio",
    "value_loss": "loss of the critic",
}
VALUES = {
    "action": "an action",
    "array": "arrays",
    "class": "one class of several",
    "control": "an action of numbers",
    "cut": "cut short",
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
    "pruned": "ended early",
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
        "bits_per_byte",
        "bits_per_char",
        "bits_per_token",
        "cer",
        "ece",
        "error_rate",
        "frechet",
        "input_error",
        "kl",
        "last_mase",
        "loss",
        "mae",
        "mase",
        "mse",
        "perplexity",
        "return_std",
        "rmse",
        "seasonal_mase",
        "wer",
    )
)


def metric_name(key: str) -> str:
    """`top5` -> "top-5 accuracy"; a name we do not know is shown as it stands, underscores opened."""
    if found := RECALL.fullmatch(key):
        return say("recall@{count}", count=found[1])
    known = METRICS.get(key)
    if known is None and (part := _OF_A_CLASS.fullmatch(key)):
        return f"{say(METRICS[part[1]])} {part[2].replace('_', ' ').strip()}"
    return say(known) if known else key.replace("_", " ").strip()


def value_name(value: Any) -> str:
    known = VALUES.get(str(value))
    return say(known) if known else str(value)
