import math

import pytest
import torch
from task_helpers import Source, make_batch, measured
from torch import nn

from netwright.core.schemas import build
from netwright.data.schema import Schema, Target
from netwright.data.textual import TextPreprocessor
from netwright.data.tokenizing import CharTokenizer
from netwright.models import build as build_model
from netwright.tasks import TASKS, Phase
from netwright.tasks.language import LanguageModeling

SCHEMA = Schema("text", (), "int64", Target("next-token"), vocab_size=10)
TEXT = TextPreprocessor(SCHEMA, CharTokenizer("abc"))  # codes 7, 8 and 9, behind the special ones


class Table(nn.Module):
    """Scores of the next token by the current one."""

    def __init__(self, vocabulary=10):
        super().__init__()
        self.scores = nn.Parameter(torch.randn(vocabulary, vocabulary))

    def forward(self, tokens_bt):
        return self.scores[tokens_bt]


def windows():
    tokens = torch.randint(7, 10, (5, 7))
    return Source(make_batch(tokens[:3, :-1], tokens[:3, 1:]), make_batch(tokens[3:, :-1], tokens[3:, 1:])), tokens


def test_every_place_counts():
    source, tokens = windows()
    net, task = Table(), LanguageModeling(TEXT)
    out = task.training_step(net, make_batch(tokens[:, :-1], tokens[:, 1:]), Phase())
    nats = -net.scores.log_softmax(1)[tokens[:, :-1], tokens[:, 1:]]
    assert out.loss.item() == pytest.approx(nats.mean().item(), rel=1e-5)
    figures = measured(task, net, source)
    assert figures["loss"] == pytest.approx(nats.mean().item(), rel=1e-5)
    assert figures["perplexity"] == pytest.approx(math.exp(nats.mean().item()), rel=1e-5)
    assert figures["bits_per_char"] == pytest.approx(nats.mean().item() / math.log(2), rel=1e-5)
    assert figures["bits_per_byte"] == pytest.approx(figures["bits_per_char"])  # ASCII


def test_perplexity_is_of_the_text_whatever_the_loss():
    source, _ = windows()
    net = Table()
    plain = measured(LanguageModeling(TEXT), net, source)
    smoothed = measured(LanguageModeling(TEXT, nn.CrossEntropyLoss(label_smoothing=0.2)), net, source)
    assert smoothed["perplexity"] == plain["perplexity"] and smoothed["loss"] != plain["loss"]


def test_scores_are_not_kept():
    source, _ = windows()
    batch = next(source.epoch(0))
    assert LanguageModeling(TEXT).evaluation_step(Table(), batch).predictions.shape == (18,)


def test_exhibits_are_texts_that_begin_with_the_prompt(tmp_path):
    net = build_model("gpt", vocab_size=10, context=6, num_layers=1, num_heads=1, hidden_size=8)
    source, tokens = windows()
    task = build(TASKS.load("language-modeling"), {"prompt": "ab", "sample_tokens": 9}, "task", {"preprocess": TEXT})
    (shown,) = task.exhibits(net, source, tmp_path)
    assert [item["text"][:2] for item in shown["items"]] == ["ab"] * 3
    assert task.exhibits(net, source, tmp_path) == [shown]  # the same every time
    (shown,) = LanguageModeling(TEXT, sample_tokens=1).exhibits(net, source, tmp_path)
    assert shown["items"][0]["text"].startswith(TEXT.tokenizer.decode(tokens[0, :6]))


def test_answers_are_the_likeliest_next_tokens():
    scores = torch.tensor([[[0.0] * 10, [0] * 7 + [9, 3, 1]]])
    first = LanguageModeling(TEXT).answers(scores)[0]["next"]
    assert [entry["token"] for entry in first][:3] == ["a", "b", "c"] and len(first) == 5
