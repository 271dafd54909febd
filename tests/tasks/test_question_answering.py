from dataclasses import replace

import pytest
import torch
from task_helpers import measured
from torch import nn

from netwright.data.batching import Bucketed
from netwright.data.schema import Schema, Target
from netwright.data.texts import TextDataset
from netwright.data.textual import TextPreprocessor
from netwright.data.tokenizing import LibraryTokenizer, TokenSettings, WordTokenizer
from netwright.models import build
from netwright.tasks import Phase
from netwright.tasks.question_answering import QuestionAnswering, best_spans

QUESTIONS = ["Who sees the dog?", "Where is the very old cat?", "What?"]
CONTEXTS = ["The cat sees the dog.", "In the big barn, there is an old cat. It sleeps.", "A bee, and a long way home"]
ANSWERS = ["cat", "the big barn", "A bee"]
SPANS = torch.tensor([[c.index(a), c.index(a) + len(a)] for c, a in zip(CONTEXTS, ANSWERS, strict=True)])


def prepared(kind="words", max_length=64):
    schema = Schema(
        "text", (), "int64", Target("span", names=("answer",)), tokens=TokenSettings(kind, max_length=max_length)
    )
    texts = QUESTIONS + CONTEXTS
    tokenizer = WordTokenizer.fitted(texts, 200) if kind == "words" else LibraryTokenizer.fitted(texts * 3, 600)
    data = TextDataset(QUESTIONS, SPANS, schema, "questions", second=CONTEXTS)
    return data, TextPreprocessor(schema, tokenizer)


class Marks(nn.Module):
    """Begins at one token, ends at another; everything else is worth as little, but for special tokens, worth more."""

    def __init__(self, begin, end, special=()):
        super().__init__()
        self.begin, self.end, self.special, self.widths = begin, end, special, []

    def forward(self, tokens, mask, segments):
        self.widths.append(tokens.shape[1])
        scores = torch.stack([tokens == self.begin, tokens == self.end], dim=1).float() * 5
        for code in self.special:
            scores = scores + 50 * (tokens == code)[:, None]
        return scores + 40 * (segments == 0)[:, None]  # the question says more, but no answer lies there


def test_the_best_span_is_in_order_and_not_too_long():
    scores = torch.zeros(1, 2, 6)
    scores[0, 0, 4], scores[0, 1, 1], scores[0, 1, 5], scores[0, 0, 0] = 3, 9, 2, 1
    (place,), (share,) = best_spans(scores, 30)
    assert place.tolist() == [0, 1]  # 4 to 1 is no span
    expected = scores.softmax(2)
    assert share.item() == pytest.approx((expected[0, 0, 0] * expected[0, 1, 1]).item(), rel=1e-5)
    assert best_spans(scores, 1)[0].tolist() == [[1, 1]]
    many = torch.randn(70, 2, 9)
    alone = torch.cat([best_spans(one, 4)[0] for one in many.split(1)])
    assert torch.equal(best_spans(many, 4)[0], alone) and ((alone[:, 1] - alone[:, 0]) < 4).all()


@pytest.mark.parametrize("kind", ["words", "bpe"])
def test_figures_of_answers(kind):
    data, preprocess = prepared(kind)
    source = Bucketed(data, preprocess, batch_size=3, shuffle=False)
    (batch,) = source.epoch(0)

    class Right(nn.Module):
        def forward(self, tokens, mask, segments):
            return torch.nn.functional.one_hot(batch.targets, tokens.shape[1]).float() * 30

    task = QuestionAnswering(preprocess)
    right = measured(task, Right(), source)
    assert right["exact_match"] == 1 == right["f1"] and right["loss"] < 1e-3
    code = preprocess.tokenizer.encode("barn" if kind == "words" else " barn")[0]
    wrong = measured(task, Marks(code, code, [preprocess.tokenizer.sep]), source)
    assert wrong["exact_match"] == 0 and 0 < wrong["f1"] < 0.5


def test_the_loss_is_of_beginnings_and_ends_over_the_context_alone():
    data, preprocess = prepared()
    net = build("bert", vocab_size=len(preprocess.tokenizer), task="question-answering", num_layers=1, num_heads=1,
                hidden_size=8, inner_size=8, context=64, dropout=0.0).eval()  # fmt: skip
    task = QuestionAnswering(preprocess)
    (whole,) = Bucketed(data, preprocess, batch_size=3, shuffle=False).epoch(0)
    losses = [
        task.evaluation_step(net, one).loss.item()
        for one in Bucketed(data, preprocess, batch_size=1, shuffle=False).epoch(0)
    ]
    assert task.evaluation_step(net, whole).loss.item() == pytest.approx(sum(losses) / 3, rel=1e-4)
    tokens, mask, segments = whole.inputs
    allowed = mask & (segments == 1) & (tokens != preprocess.tokenizer.sep)
    scores = net(*whole.inputs)
    wanted = 0.0
    for row, (start, end) in enumerate(whole.targets.tolist()):
        for side, place in ((0, start), (1, end)):
            inside = scores[row, side][allowed[row]].log_softmax(0)
            wanted -= inside[int(allowed[row][:place].sum())].item() / 6
    assert task.training_step(net, whole, Phase()).loss.item() == pytest.approx(wanted, rel=1e-4)


def test_labels_may_be_smoothed():
    data, preprocess = prepared()
    (batch,) = Bucketed(data, preprocess, batch_size=3, shuffle=False).epoch(0)

    class Right(nn.Module):
        def forward(self, tokens, mask, segments):
            return torch.nn.functional.one_hot(batch.targets, tokens.shape[1]).float() * 5

    task = QuestionAnswering(preprocess, nn.CrossEntropyLoss(label_smoothing=0.1))
    assert task.evaluation_step(Right(), batch).loss.item() < 5


def test_an_answer_that_was_cut_off_counts_as_wrong_and_teaches_nothing(tmp_path):
    data, preprocess = prepared(max_length=12)
    long = TextDataset(["What?"], torch.tensor([[60, 64]]), data.schema, "cut", second=["word " * 12 + "home"])
    source = Bucketed(long, preprocess, batch_size=1, shuffle=False)
    (batch,) = source.epoch(0)
    assert (batch.targets == -100).all()
    task, net = QuestionAnswering(preprocess), Marks(1, 1)
    found = measured(task, net, source)
    assert found["exact_match"] == 0 == found["f1"] and found["loss"] == 0
    (table,) = task.exhibits(net, source, tmp_path)
    assert table["rows"][0][0] == 0 and "cut off" in table["rows"][0][2]


class Nothing(Marks):
    """Finds nothing, unless the one token is there."""

    def forward(self, tokens, mask, segments):
        scores = super().forward(tokens, mask, segments) - 40 * (segments == 0)[:, None]
        scores[:, :, 0] = 3
        return scores


def lacking(max_length=64):
    data, preprocess = prepared(max_length=max_length)
    schema = replace(data.schema, target=replace(data.schema.target, may_lack=True))
    spans = torch.cat([SPANS[:2], torch.zeros(1, 2, dtype=torch.int64)])
    return TextDataset(QUESTIONS, spans, schema, "open", second=CONTEXTS), TextPreprocessor(
        schema, preprocess.tokenizer
    )


def test_a_question_without_an_answer_has_the_first_place(tmp_path):
    data, preprocess = lacking()
    source = Bucketed(data, preprocess, batch_size=3, shuffle=False)
    (batch,) = source.epoch(0)
    assert (batch.targets == 0).all(1).tolist() == [data.references[i] == ("",) for i in batch.index]
    task = QuestionAnswering(preprocess)
    nothing = measured(task, Nothing(-1, -1), task.batches(source, training=False))
    assert nothing["exact_match"] == pytest.approx(1 / 3) == nothing["f1"]
    (table,) = task.exhibits(Nothing(-1, -1), task.batches(source, training=False), tmp_path)
    assert "no answer" in table["rows"][-1][2] and table["rows"][-1][3] == "" and table["rows"][-1][0] == 1
    scores = torch.zeros(1, 2, 6)
    scores[0, 0, 0], scores[0, 1, 3], scores[0, 1, 0] = 9, 9, 1  # none begins there and ends elsewhere
    assert best_spans(scores, 30)[0].tolist() == [[0, 3]] and best_spans(scores, 30, may_lack=True)[0].tolist() == [
        [0, 0]
    ]


def test_windows_without_an_answer_do_not_hide_the_one_that_has_it():
    _, preprocess = lacking(max_length=24)
    context = "A bee, and a long way home. " * 9 + "In the big barn, there is an old cat. " + "It sleeps. " * 9
    begin, end = (int(preprocess.tokenizer.encode(word)[0]) for word in ("big", "barn"))
    told = []
    for net in (Nothing(begin, end), Nothing(-1, -1)):
        net.register_parameter("weight", nn.Parameter(torch.zeros(1)))
        told += QuestionAnswering(preprocess).replies(net, [("Where?", context)])
    assert told[0]["answer"] == "big barn" and told[1]["answer"] == "" and told[1]["end"] == 0
    assert 0 < told[1]["probability"] <= 1


def test_answers_are_held_against_those_of_the_data():
    """A token that is longer than the answer is not right for holding it."""
    data, preprocess = prepared()
    begin = CONTEXTS[0].index("cat")
    part = TextDataset(QUESTIONS[:1], torch.tensor([[begin, begin + 2]]), data.schema, "part", second=CONTEXTS[:1])
    task, code = QuestionAnswering(preprocess), int(preprocess.tokenizer.encode("cat")[0])
    source = Bucketed(part, preprocess, batch_size=1, shuffle=False)
    assert measured(task, Marks(code, code), task.batches(source, training=False))["exact_match"] == 0
    several = TextDataset(
        QUESTIONS[:1], part.targets, data.schema, "several", second=CONTEXTS[:1], answers=[["ca", "Cat"]]
    )
    source = Bucketed(several.subset(torch.tensor([0])), preprocess, batch_size=1, shuffle=False)
    assert measured(task, Marks(code, code), task.batches(source, training=False))["exact_match"] == 1


@pytest.mark.parametrize("kind", ["words", "bpe"])
def test_a_long_context_is_read_in_windows_and_answers_are_its_characters(kind):
    _, preprocess = prepared(kind, max_length=24)
    tokenizer = preprocess.tokenizer
    context = "A bee, and a long way home. " * 9 + "In the big barn, there is an old cat. " + "It sleeps. " * 9
    begin, end = (
        int(tokenizer.encode(word)[0]) for word in (("big", "barn") if kind == "words" else (" big", " barn"))
    )
    net = Marks(begin, end, [tokenizer.sep, tokenizer.cls])
    net.register_parameter("weight", nn.Parameter(torch.zeros(1)))
    (told,) = QuestionAnswering(preprocess).replies(net, [{"question": "Where?", "context": context}])
    assert told["answer"] == "big barn" and context[told["start"] : told["end"]] == told["answer"]
    assert 0 < told["probability"] <= 1 and max(net.widths) <= 24 and len(net.widths) > 3
    (again,) = QuestionAnswering(preprocess, stride=1).replies(net, [("Where?", context)])
    assert again["answer"] == told["answer"]


def test_every_token_of_a_long_context_is_in_a_window():
    _, preprocess = prepared(max_length=16)
    task = QuestionAnswering(preprocess)
    for length in (1, 5, 9, 10, 11, 30, 31):
        codes = torch.arange(100, 100 + length)
        windows = task._windows("Where is it?", codes, 16)
        seen = {int(code) for tokens, _, _ in windows for code in tokens if code >= 100}
        assert seen == set(codes.tolist()) and all(len(tokens) <= 16 for tokens, _, _ in windows)
        assert all(int(tokens[border]) == 100 + first for tokens, border, first in windows)
