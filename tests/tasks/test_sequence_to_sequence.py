from dataclasses import replace

import pytest
import torch
from task_helpers import measured
from torch import nn

from netwright.core.schemas import build
from netwright.data.batching import Bucketed
from netwright.data.schema import Schema, Target
from netwright.data.texts import TextDataset
from netwright.data.textual import TextPreprocessor
from netwright.data.tokenizing import TokenSettings, WordTokenizer
from netwright.models import build as build_model
from netwright.tasks import TASKS, Phase
from netwright.tasks.sequence_to_sequence import SequenceToSequence
from netwright.tasks.texts import IGNORED

WORDS = [f"w{number}" for number in range(9)]
SOURCES = [" ".join(WORDS[(start + k) % 9] for k in range(1 + start % 5)) for start in range(20)]
SCHEMA = Schema("text", (), "int64", Target("text", names=("de",)))
TOKENIZER = WordTokenizer(WORDS)
PREPROCESS = TextPreprocessor(SCHEMA, TOKENIZER)
DATA = TextDataset(SOURCES, torch.empty(0), SCHEMA, "pairs", second=SOURCES)  # to be copied


def source(batch_size=7, shuffle=False):
    return Bucketed(DATA, PREPROCESS, batch_size=batch_size, shuffle=shuffle)


class Copier(nn.Module):
    """Knows the answer, or says w0 again and again."""

    def __init__(self, right=True):
        super().__init__()
        self.weight, self.right, self.asked = nn.Parameter(torch.zeros(1)), right, []

    def forward(self, source_BS, target_BT, source_mask=None):
        self.seen = target_BT
        wanted = nn.functional.pad(source_BS, (0, max(0, target_BT.shape[1] - source_BS.shape[1])))
        hot = nn.functional.one_hot(wanted[:, : target_BT.shape[1]], len(TOKENIZER)).float()
        return 9 * hot + self.weight

    def generate(self, source_BS, source_mask=None, max_new_tokens=64, *, bos=None, eos=None, **how):
        self.asked.append({"rows": len(source_BS), "most": max_new_tokens, "bos": bos, "eos": eos, **how})
        said = source_BS if self.right else torch.full_like(source_BS, TOKENIZER.encode("w0").item())
        return torch.cat([torch.full_like(source_BS[:, :1], bos), said], dim=1)


def small(name, **more):
    sizes = {"vocab_size": len(TOKENIZER), "hidden_size": 16, "num_layers": 1, "dropout": 0.0}
    return build_model(name, **{**sizes, **more})


def transformer():
    return small("transformer", num_heads=2, inner_size=16)


def test_padding_teaches_nothing_and_changes_nothing():
    net, task = transformer().eval(), SequenceToSequence(PREPROCESS, measure=0)
    one, many = (
        measured(task, net, task.batches(source(1), False)),
        measured(task, net, task.batches(source(20), False)),
    )
    assert one == pytest.approx(many, rel=1e-4)
    (batch,) = source(20).epoch(0)
    assert (batch.targets == IGNORED).any()
    loss = task.training_step(net, batch, Phase()).loss
    assert loss.item() == pytest.approx(many["loss"], rel=1e-4)


def test_figures_are_of_what_is_written_without_the_reference():
    task = SequenceToSequence(PREPROCESS)
    right = measured(task, Copier(), task.batches(source(), False))
    assert right["exact_match"] == 1 and right["bleu"] == pytest.approx(100) and right["chrf"] == pytest.approx(100)
    wrong = measured(task, Copier(right=False), task.batches(source(), False))
    assert wrong["exact_match"] < 0.2 and wrong["bleu"] < 20 and wrong["perplexity"] == right["perplexity"]
    assert set(right) == {"loss", "perplexity", "bleu", "chrf", "exact_match"}


def test_a_bounded_number_is_written_drawn_over_all_lengths():
    net = Copier()
    task = build(TASKS.load("sequence-to-sequence"), {"measure": 6, "beams": 4, "length_penalty": 0.6}, "task",
                 {"preprocess": PREPROCESS})  # fmt: skip
    feed = task.batches(source(3), training=False)
    lengths = []
    for batch in feed.epoch(0):
        wrote = task.evaluation_step(net, batch).predictions
        lengths += [len(text.split()) for text in wrote.wanted]
    assert [asked["rows"] for asked in net.asked] == [6] and len(lengths) == 6 and max(lengths) > 3  # all at once
    assert {(asked["num_beams"], asked["length_penalty"], asked["temperature"]) for asked in net.asked} == {
        (4, 0.6, 1.0)
    }
    assert {(asked["bos"], asked["eos"]) for asked in net.asked} == {(TOKENIZER.bos, TOKENIZER.eos)}
    greedy = SequenceToSequence(PREPROCESS, max_new_tokens=5)
    greedy.replies(net, ["w1 w2"])
    assert net.asked[-1]["temperature"] == 0 and net.asked[-1]["most"] == 5


def test_references_are_those_of_the_data():
    """Neither the end that was cut off nor a word without a code may be left out of what is to be written."""
    texts = ["w0 w1 w2", "w3 w4 strange"]
    schema = replace(SCHEMA, tokens=TokenSettings("words", max_length=3))
    task = SequenceToSequence(TextPreprocessor(schema, TOKENIZER))
    data = TextDataset(texts, torch.empty(0), schema, "cut", second=texts)
    source = Bucketed(data, TextPreprocessor(schema, TOKENIZER), batch_size=2, shuffle=False)
    (batch,) = task.batches(source, training=False).epoch(0)
    wrote = task.evaluation_step(Copier(), batch).predictions
    assert sorted(wrote.wanted) == texts and "w2" not in " ".join(wrote.texts)
    (alone,) = source.epoch(0)
    assert SequenceToSequence(task._preprocess).evaluation_step(Copier(), alone).predictions.wanted  # of nobody's data


def test_what_is_written_does_not_depend_on_what_stands_beside_it():
    class Endless(Copier):
        def generate(self, source_BS, source_mask=None, max_new_tokens=64, **how):
            return torch.full((len(source_BS), max_new_tokens + 1), TOKENIZER.encode("w0").item())

    net, task = Endless(), SequenceToSequence(PREPROCESS)
    alone = task.replies(net, ["w1"])
    assert task.replies(net, ["w1", "w2 " * 30])[:1] == alone and len(alone[0]["text"].split()) == 2 * 2 + 20


def test_nothing_is_written_where_nothing_is_asked():
    net, task = Copier(), SequenceToSequence(PREPROCESS, measure=0)
    assert set(measured(task, net, task.batches(source(), False))) == {"loss", "perplexity"} and not net.asked


def test_own_words_come_in_by_and_by():
    task = SequenceToSequence(PREPROCESS, total_steps=10, own_share=0.5, measure=0)
    (batch,) = source(20).epoch(0)
    forced = batch.inputs[1]
    net = Copier()
    with torch.no_grad():
        own = torch.cat([forced[:, :1], net(*batch.inputs).argmax(-1)[:, :-1]], dim=1)
    other = own != forced
    shares = []
    for _ in range(40):
        out = task.training_step(net, batch, Phase())
        assert torch.equal(net.seen[:, 0], forced[:, 0])  # the begin is never its own
        assert torch.equal(net.seen[~other], forced[~other])
        shares.append((net.seen[other] == own[other]).float().mean().item())
        assert bool(out.logs) == (len(shares) > 1)
    assert shares[0] == 0 and 0 < sum(shares[2:5]) / 3 < 0.35
    assert sum(shares[12:]) / len(shares[12:]) == pytest.approx(0.5, abs=0.08)  # the end is reached, and kept
    again = SequenceToSequence(PREPROCESS, total_steps=10, own_share=0.5, measure=0)
    again.load_state(task.state())
    assert float(again.training_step(net, batch, Phase()).logs["own_share"]) == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["seq2seq", "transformer"])
def test_real_networks_write_and_show(name, tmp_path):
    net = small("seq2seq") if name == "seq2seq" else transformer()
    task = SequenceToSequence(PREPROCESS, max_new_tokens=6, beams=2)
    shown = task.exhibits(net.eval(), task.batches(source(), training=False), tmp_path)
    table = shown[0]
    assert [len(row) for row in table["rows"]] == [4] * 16 and table["rows"][0][0] <= table["rows"][-1][0]
    assert {row[1] for row in table["rows"]} <= set(SOURCES)
    assert len(shown) == (2 if name == "seq2seq" else 1)
    if name == "seq2seq":
        looks = shown[1]
        assert all(sum(row[1:]) == pytest.approx(1, abs=0.05 * len(row)) for row in looks["rows"])
        assert [row[0] for row in looks["rows"]][-1] == "<eos>" and len(looks["columns"]) == len(looks["rows"][0])
    told = task.replies(net, ["w1 w2 w3", "w4"])
    assert len(told) == 2 and all(isinstance(answer["text"], str) for answer in told)
    assert told[1] == task.replies(net, ["w4"])[0]  # what fills up a batch changes nothing
