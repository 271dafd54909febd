"""Small models of every kind, as `load` gives them: real preprocessing around networks that have learnt nothing."""

from collections.abc import Callable
from typing import Any

import torch

from netwright.core.schemas import build as build_settings
from netwright.data.encoding import TablePreprocessor
from netwright.data.normalising import ArrayPreprocessor, ImagePreprocessor
from netwright.data.schema import Column, Schema, Target
from netwright.data.series_scaling import SeriesPreprocessor
from netwright.data.textual import TextPreprocessor
from netwright.data.tokenizing import TokenSettings, fit_tokenizer
from netwright.experiment.predictor import Predictor
from netwright.models import build
from netwright.models.layers import LayerStack
from netwright.tasks import TASKS

__all__ = ["MODELS", "TEXTS"]

TEXTS = ["the cat sees a dog", "a dog bites the cow and the cat", "the cow hears", "a cat"]
CLASSES = Target("class", ("low", "mid", "high"))
COLUMNS = (
    Column("age", "numeric", missing=3, indicator=True),
    Column("city", "category", categories=("Rome", "Oslo")),
    Column("member", "boolean"),
    Column("since", "datetime", origin=18000.0),
)


def _model(task: str, schema: Schema, preprocess: Any, network: Any, name: str) -> Predictor:
    torch.manual_seed(0)
    made = network()
    bound = {"schema": schema, "preprocess": preprocess, "seed": 0, "total_steps": 1}
    built = build_settings(TASKS.load(task), {}, "task", {k: v for k, v in bound.items() if v is not None})
    config = {"model": {"name": name}, "task": {"name": task}}
    return Predictor(made.eval(), built, schema, preprocess, config)


def _image(
    task: str, target: Target, name: str, shape: tuple[int, int, int] = (1, 12, 12), **arguments: Any
) -> Predictor:
    schema = Schema("image", shape, "uint8", target)
    preprocess = ImagePreprocessor(schema, [0.4] * shape[0], [0.3] * shape[0])
    return _model(task, schema, preprocess, lambda: build(name, **arguments), name)


def _table(task: str, target: Target) -> Predictor:
    schema = Schema("table", (7,), "float32", target, COLUMNS)
    preprocess = TablePreprocessor(schema, [40.0, 1.0, 3.0], [41.0, 0.0, 4.0], [12.0, 1.0, 9.0])
    preprocess._target_mean, preprocess._target_std = ([1000.0], [250.0]) if target.kind == "number" else (None, None)
    outputs = target.outputs
    return _model(task, schema, preprocess, lambda: build("mlp", in_features=7, num_classes=outputs, hidden=[8]), "mlp")


def _text(task: str, target: Target, name: str, /, **arguments: Any) -> Predictor:
    settings = TokenSettings("words", max_length=24)
    tokenizer = fit_tokenizer(settings, TEXTS)
    schema = Schema("text", (), "int64", target, vocab_size=len(tokenizer), tokens=settings)
    network = lambda: build(name, vocab_size=len(tokenizer), **arguments)  # noqa: E731
    return _model(task, schema, TextPreprocessor(schema, tokenizer), network, name)


def _forecaster(name: str) -> Predictor:
    schema = Schema("series", (9, 2), "float64", Target("forecast", names=("y",), horizon=3))
    preprocess = SeriesPreprocessor(schema, [5.0, -2.0], [2.0, 0.5], [1.0])
    network = lambda: build(name, in_channels=2, num_classes=3, hidden_size=5)  # noqa: E731
    return _model("forecasting", schema, preprocess, network, name)


def _array() -> Predictor:
    schema = Schema("array", (5,), "float32", CLASSES)
    network = lambda: LayerStack([{"linear": 6}, "relu", "linear"], [5], num_classes=3)  # noqa: E731
    return _model("tabular-classification", schema, ArrayPreprocessor(schema, [0.5] * 5, [2.0] * 5), network, "layers")


def _agent() -> Predictor:
    schema = Schema("environment", (4,), "float32", Target("action", ("left", "right")))
    return _model("q-learning", schema, None, lambda: build("dqn", in_features=4, num_actions=2, hidden=[8]), "dqn")


def _gan() -> Predictor:
    schema = Schema("image", (1, 6, 6), "uint8", Target("none"))
    preprocess = ImagePreprocessor(schema, [0.5], [0.5])
    network = lambda: build("gan", image_shape=(1, 6, 6), noise_size=5, generator_hidden=[8])  # noqa: E731
    return _model("gan", schema, preprocess, network, "gan")


_SMALL = {"num_layers": 1, "num_heads": 2, "hidden_size": 8}
_PAIR = {**_SMALL, "inner_size": 12}

MODELS: dict[str, Callable[[], Predictor]] = {
    "image": lambda: _image("image-classification", CLASSES, "lenet5", in_channels=1, image_size=12, num_classes=3,
                            variant="modern", norm="batch"),
    "colour": lambda: _image("image-classification", CLASSES, "resnet", (3, 16, 16), num_classes=3, width=4,
                             depths=[1], stem="small"),
    "mask": lambda: _image("image-segmentation", Target("mask", ("ground", "thing")), "unet", in_channels=1,
                           num_classes=2, width=4, depth=1),
    "table": lambda: _table("tabular-classification", CLASSES),
    "regression": lambda: _table("regression", Target("number", names=("price",))),
    "array": _array,
    "series-lstm": lambda: _forecaster("lstm_forecaster"),
    "series-rnn": lambda: _forecaster("rnn_forecaster"),
    "bert": lambda: _text("text-classification", CLASSES, "bert", num_classes=3, context=24, inner_size=12, **_SMALL),
    "lstm": lambda: _text("text-classification", CLASSES, "lstm", num_classes=3, embedding_size=6, hidden_size=5),
    "gru": lambda: _text("text-classification", CLASSES, "gru", num_classes=3, embedding_size=6, hidden_size=5),
    "rnn": lambda: _text("text-classification", CLASSES, "rnn", num_classes=3, embedding_size=6, hidden_size=5),
    "multilabel": lambda: _text("multilabel-classification", Target("multilabel", names=("a", "b")), "lstm",
                                num_classes=2, embedding_size=6, hidden_size=5),
    "gpt": lambda: _text("language-modeling", Target("next-token"), "gpt", context=24, **_SMALL),
    "lstm-lm": lambda: _text("language-modeling", Target("next-token"), "lstm_lm", context=24, hidden_size=6),
    "masked": lambda: _text("masked-language-modeling", Target("next-token"), "bert", context=24, inner_size=12,
                            task="masked-language-modeling", **_SMALL),
    "questions": lambda: _text("question-answering", Target("span", names=("answer",)), "bert", context=24,
                               inner_size=12, task="question-answering", **_SMALL),
    "transformer": lambda: _text("sequence-to-sequence", Target("text"), "transformer", **_PAIR),
    "t5": lambda: _text("sequence-to-sequence", Target("text"), "t5", num_layers=1, num_heads=2, hidden_size=8,
                        head_size=4, inner_size=12),
    "seq2seq": lambda: _text("sequence-to-sequence", Target("text"), "seq2seq", hidden_size=8),
    "gan": _gan,
    "agent": _agent,
}  # fmt: skip
