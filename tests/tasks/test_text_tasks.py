import math

import pytest
import torch
from task_helpers import Source, measured
from torch import nn
from torch.nn import functional as F

from netwright.data.batching import Batch, Bucketed, part_of
from netwright.data.schema import Schema, Target
from netwright.data.texts import TextDataset
from netwright.data.textual import TextPreprocessor
from netwright.data.tokenizing import CharTokenizer, LibraryTokenizer, WordTokenizer
from netwright.losses import build_loss
from netwright.models import build
from netwright.tasks import TASKS, Phase
from netwright.tasks.classification import Classification
from netwright.tasks.language import LanguageModeling
from netwright.tasks.texts import counted_loss, token_bytes, until_end

TEXTS = [
    "the film was good",
    "a bad, bad film",
    "good",
    "the worst that I have ever seen",
    "well made and good",
    "poor",
]
CODES = torch.tensor([1, 0, 1, 0, 1, 0])


def documents():
    schema = Schema("text", (), "int64", Target("class", ("no", "yes")))
    tokenizer = WordTokenizer.fitted(TEXTS, 100)
    return TextDataset(TEXTS, CODES, schema, "films"), TextPreprocessor(schema, tokenizer)


def test_documents_are_told_apart_whatever_fills_them_up():
    data, preprocess = documents()
    net = build("gru", vocab_size=len(preprocess.tokenizer), num_classes=2, embedding_size=8, hidden_size=8).eval()
    task = Classification(data.schema, preprocess)
    whole = next(Bucketed(data, preprocess, batch_size=6, shuffle=False).epoch(0))
    together = task.evaluation_step(net, whole)
    ones = list(Bucketed(data, preprocess, batch_size=1, shuffle=False).epoch(0))
    alone = {int(one.index): task.evaluation_step(net, one) for one in ones}
    assert len(alone) == 6 and whole.inputs[1].sum() < whole.inputs[1].numel()
    said = torch.cat([alone[row].predictions for row in whole.index.tolist()])
    assert torch.allclose(together.predictions, said, atol=1e-5)
    assert together.loss.item() == pytest.approx(sum(one.loss.item() for one in alone.values()) / 6, rel=1e-4)


def test_every_word_of_a_worst_mistake_is_shown(tmp_path):
    data, preprocess = documents()

    class Contrary(nn.Module):
        def forward(self, tokens, mask):
            good = preprocess.tokenizer.encode("good")
            said = ((tokens == good) & mask).any(1).float()
            return torch.stack([said, 1 - said], dim=1) * 5

    task = Classification(data.schema, preprocess)
    shown = task.exhibits(Contrary(), Bucketed(data, preprocess, batch_size=4, shuffle=False), tmp_path)
    table = next(item for item in shown if item["kind"] == "table")
    assert table["columns"][-1] == "text" and len(table["rows"]) == 6
    for row, true, said, _, text in table["rows"]:
        assert text == " ".join(" ".join(TEXTS[row].replace(",", " ,").split()).split())
        assert (true, said) == (("yes", "no") if CODES[row] else ("no", "yes"))


def test_the_task_of_documents_is_found_by_its_name():
    assert TASKS.load("text-classification") is Classification
    assert Schema("text", (), "int64", Target("text")).default_task() == "sequence-to-sequence"
    assert Schema("text", (), "int64", Target("span")).default_task() == "question-answering"
    assert Schema("text", (), "int64", Target("class", ("a", "b"))).default_task() == "text-classification"


TEXT = "Zoë läuft, 猫 schläft: ein Satz mit Umlauten äöü und einem Ende.\n" * 3


@pytest.mark.parametrize(
    ("tokenizer", "known"),
    [
        (CharTokenizer.fitted([TEXT]), True),
        (LibraryTokenizer.fitted([TEXT], 300), True),
        (WordTokenizer.fitted([TEXT], 50), False),  # spaces are lost
        (CharTokenizer.fitted([TEXT], lower=True), False),
        (LibraryTokenizer.fitted([TEXT], 300, lower=True), False),
    ],
)
def test_tokens_stand_for_all_bytes_of_a_text_or_for_none(tokenizer, known):
    bytes_V = token_bytes(tokenizer)
    assert (bytes_V is not None) == known
    if bytes_V is not None:
        assert len(bytes_V) == len(tokenizer)
        assert int(bytes_V[tokenizer.encode(TEXT)].sum()) == len(TEXT.encode())
        assert not bytes_V[sorted(tokenizer.special)].any()


def test_an_unknown_character_costs_bits_and_makes_no_text():
    tokenizer = CharTokenizer("abc")
    assert int(token_bytes(tokenizer)[tokenizer.encode("abxä")].sum()) == 2


@pytest.mark.parametrize("tokenizer", [CharTokenizer.fitted([TEXT]), LibraryTokenizer.fitted([TEXT], 300)])
def test_a_byte_costs_the_same_for_every_tokenizer_that_knows_as_little(tokenizer):
    class Even(nn.Module):
        def forward(self, tokens):
            return torch.zeros(*tokens.shape, len(tokenizer))

    tokens = tokenizer.encode(TEXT)
    schema = Schema("text", (), "int64", Target("next-token"), vocab_size=len(tokenizer))
    task = LanguageModeling(TextPreprocessor(schema, tokenizer))
    found = measured(task, Even(), Source(Batch(tokens[None, :-1], tokens[None, 1:], None)))
    bits = (len(tokens) - 1) * math.log2(len(tokenizer))
    read = len(TEXT.encode()) - int(token_bytes(tokenizer)[tokens[0]])
    assert found["bits_per_byte"] == pytest.approx(bits / read, rel=1e-5)
    per_token = found["bits_per_char" if isinstance(tokenizer, CharTokenizer) else "bits_per_token"]
    assert per_token == pytest.approx(math.log2(len(tokenizer)), rel=1e-5)


def test_a_continuation_is_the_same_every_time():
    tokenizer = LibraryTokenizer.fitted([TEXT], 300)
    schema = Schema("text", (), "int64", Target("next-token"), vocab_size=len(tokenizer))
    net = build("gpt", vocab_size=len(tokenizer), context=8, num_layers=1, num_heads=1, hidden_size=8).eval()
    task = LanguageModeling(TextPreprocessor(schema, tokenizer))
    prompts = ["Zoë läuft, ein sehr sehr langer Satz mit Ende", "ein"]  # longer than the context, and of two lengths
    first, second = task.replies(net, prompts), task.replies(net, prompts)
    assert first == second and len(first) == 2
    assert first[0]["continuation"] and len(first[0]["next"]) == 5
    assert not first[1]["continuation"].startswith("ein sehr")


@pytest.mark.parametrize("spec", ["cross-entropy", {"name": "cross-entropy", "label_smoothing": 0.1}, "focal"])
def test_places_without_a_target_do_not_count(spec):
    loss = build_loss(spec)
    scores, targets = torch.randn(3, 5, 7, requires_grad=True), torch.randint(0, 7, (3, 5))
    targets[0, 2:] = -100
    kept = targets != -100
    expected = loss(scores[kept], targets[kept])
    found = counted_loss(loss, scores, targets)
    found.backward()
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    assert not scores.grad[0, 2:].any() and scores.grad[0, :2].any()


def test_a_batch_without_any_target_teaches_nothing_and_breaks_nothing():
    scores = torch.randn(2, 3, requires_grad=True)
    loss = counted_loss(nn.CrossEntropyLoss(), scores, torch.tensor([-100, -100]), may_be_none=True)
    loss.backward()
    assert loss.item() == 0 and not scores.grad.any()


def test_rows_and_ends():
    both = (torch.arange(6).view(3, 2), torch.arange(3))
    assert [part.tolist() for part in part_of(both, slice(2))] == [[[0, 1], [2, 3]], [0, 1]]
    assert until_end([4, 5, 3, 6, 3], 3) == [4, 5] and until_end([4, 5], None) == [4, 5]


def test_a_smoothed_loss_is_not_the_perplexity():
    _, preprocess = documents()
    scores, targets = torch.randn(2, 3, len(preprocess.tokenizer)), torch.randint(7, 12, (2, 3))

    class Fixed(nn.Module):
        def forward(self, tokens):
            return scores

    schema = Schema("text", (), "int64", Target("next-token"))
    task = LanguageModeling(TextPreprocessor(schema, preprocess.tokenizer), nn.CrossEntropyLoss(label_smoothing=0.3))
    found = measured(task, Fixed(), Source(Batch(torch.zeros(2, 3), targets, None)))
    nats = F.cross_entropy(scores.flatten(0, 1), targets.flatten()).item()
    assert found["perplexity"] == pytest.approx(math.exp(nats), rel=1e-5) and found["loss"] != pytest.approx(nats)
    step = task.training_step(Fixed(), Batch(torch.zeros(2, 3), targets, None), Phase())
    assert step.loss.item() == pytest.approx(found["loss"], rel=1e-5)
