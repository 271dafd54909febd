import math

import pytest
import torch
from task_helpers import measured
from torch import nn

from netwright.core.errors import ConfigError, DataError
from netwright.data.batching import Batch, Bucketed, Windows
from netwright.data.schema import Schema, Target
from netwright.data.texts import TextDataset
from netwright.data.textual import TextPreprocessor
from netwright.data.tokenizing import CharTokenizer, LibraryTokenizer, WordTokenizer
from netwright.models import build
from netwright.tasks import Phase
from netwright.tasks.masked_language import MaskedLanguageModeling
from netwright.tasks.masking import MaskedSource, Masking, word_borders

WORDS = [f"w{number}" for number in range(40)]
TOKENIZER = WordTokenizer(WORDS)
SCHEMA = Schema("text", (), "int64", Target("class", ("a", "b")))
PREPROCESS = TextPreprocessor(SCHEMA, TOKENIZER)
FIRST = 7  # the first ordinary code


def tokens_of(rows=200, time=40):
    torch.manual_seed(1)
    return torch.randint(FIRST, len(TOKENIZER), (rows, time))


def test_fifteen_in_a_hundred_and_what_becomes_of_them():
    tokens_BT = tokens_of(400)
    hidden_BT, targets_BT = Masking(TOKENIZER, 0.15, False)(tokens_BT, None, torch.arange(400), 0, 1)
    chosen_BT = targets_BT != -100
    assert (chosen_BT.sum(1) == 6).all()  # 15 % of 40, in every row
    assert torch.equal(targets_BT[chosen_BT], tokens_BT[chosen_BT])
    assert torch.equal(hidden_BT[~chosen_BT], tokens_BT[~chosen_BT])
    masked = (hidden_BT[chosen_BT] == TOKENIZER.mask).float().mean().item()
    same = (hidden_BT[chosen_BT] == tokens_BT[chosen_BT]).float().mean().item()
    assert masked == pytest.approx(0.8, abs=0.03) and same == pytest.approx(0.1 + 0.1 / len(WORDS), abs=0.03)
    others = hidden_BT[chosen_BT & (hidden_BT != TOKENIZER.mask)]
    assert int(others.min()) >= FIRST and int(others.max()) < len(TOKENIZER)
    assert chosen_BT.float().mean(0).std() < 0.04  # every place alike


def test_masks_depend_on_seed_epoch_and_index_alone():
    tokens_BT, masking = tokens_of(8), Masking(TOKENIZER, 0.15, False)
    index = torch.arange(8)
    hidden, targets = masking(tokens_BT, None, index, 3, 2)
    rows = torch.tensor([5, 1])
    longer = torch.cat([tokens_BT[rows], torch.zeros(2, 9, dtype=torch.int64)], dim=1)
    seen = torch.arange(49).expand(2, 49) < 40
    again, same = masking(longer, seen, index[rows], 3, 2)  # another batch, and filled up
    assert torch.equal(again[:, :40], hidden[rows]) and torch.equal(same[:, :40], targets[rows])
    assert (same[:, 40:] == -100).all()
    for other in ((4, 2), (3, 3)):
        assert not torch.equal(masking(tokens_BT, None, index, *other)[1], targets)
    assert not torch.equal(masking(tokens_BT, None, index + 1, 3, 2)[1], targets)


def test_special_tokens_and_what_fills_up_are_never_hidden_and_short_texts_have_one():
    row = [TOKENIZER.cls, FIRST, FIRST + 1, TOKENIZER.unknown, TOKENIZER.sep, 0, 0]
    tokens_BT = torch.tensor([row] * 300)
    seen_BT = torch.tensor([[True] * 5 + [False] * 2] * 300)
    _, targets_BT = Masking(TOKENIZER, 0.15, False)(tokens_BT, seen_BT, torch.arange(300), 0, 0)
    counts = (targets_BT != -100).sum(0).tolist()
    assert counts[0] == counts[3] == counts[4] == counts[5] == counts[6] == 0
    assert counts[1] + counts[2] == 300 and min(counts[1:3]) > 100


def test_a_text_of_special_tokens_only_has_nothing_to_hide():
    tokens_BT = torch.tensor([[TOKENIZER.cls, TOKENIZER.sep]])
    hidden_BT, targets_BT = Masking(TOKENIZER, 0.15, False)(tokens_BT, None, torch.arange(1), 0, 0)
    assert torch.equal(hidden_BT, tokens_BT) and (targets_BT == -100).all()


TEXT = "Unbelievable understanding: the neighbourhood's houses, 猫很大 (well-built) überall!"


def pieces_of(tokenizer, text):
    """The words of a text, as the borders of its tokens say."""
    begins_V, ends_V = word_borders(tokenizer)
    codes, spans = tokenizer.spans(text)
    words = []
    for place, (code, (start, end)) in enumerate(zip(codes.tolist(), spans.tolist(), strict=True)):
        if place == 0 or bool(begins_V[code]) or bool(ends_V[codes[place - 1]]):
            words.append([start, end])
        words[-1][1] = max(end, words[-1][1])
    return [text[start:end].strip() for start, end in words if text[start:end].strip()]


@pytest.mark.parametrize(
    "tokenizer",
    [
        CharTokenizer.fitted([TEXT]),
        LibraryTokenizer.fitted([TEXT], 270),
        LibraryTokenizer.fitted([TEXT, "the houses und überall " * 9], 330),
    ],
)
def test_words_end_at_spaces_and_signs(tokenizer):
    found = pieces_of(tokenizer, TEXT)
    for word in ("Unbelievable", "understanding", "the", "houses", "well", "built", "überall"):
        assert word in found
    assert not {"猫很大", "猫很", "很大"} & set(found)


def test_whole_words_are_hidden_whole():
    tokenizer = LibraryTokenizer.fitted([TEXT], 270)
    begins_V, ends_V = word_borders(tokenizer)
    tokens_T = tokenizer.encode(TEXT)
    starts_T = begins_V[tokens_T]
    starts_T[1:] |= ends_V[tokens_T[:-1]]
    starts_T[0] = True
    word_T = starts_T.cumsum(0)
    index = torch.arange(200)
    _, targets_BT = Masking(tokenizer, 0.3, True)(tokens_T.expand(200, -1), None, index, 0, 0)
    _, loose_BT = Masking(tokenizer, 0.3, False)(tokens_T.expand(200, -1), None, index, 0, 0)
    torn = {True: 0, False: 0}
    for whole, found in ((True, targets_BT), (False, loose_BT)):
        for row in found != -100:
            torn[whole] += sum(0 < int(row[word_T == word].sum()) < int((word_T == word).sum()) for word in range(1, 9))
    assert torn[True] == 0 and torn[False] > 100
    share = (targets_BT != -100).float().mean().item()
    assert 0.15 < share <= 0.3 + 1 / len(tokens_T)


def test_training_hides_anew_and_measuring_always_alike():
    data = TextDataset([" ".join(WORDS[k : k + 12]) for k in range(20)], torch.zeros(20).long(), SCHEMA, "texts")
    source = Bucketed(data, PREPROCESS, batch_size=20, shuffle=False)

    def targets(seed, training, epoch):
        task = MaskedLanguageModeling(PREPROCESS, seed=seed)
        (batch,) = task.batches(source, training).epoch(epoch)
        return batch.targets

    assert torch.equal(targets(0, True, 0), targets(0, True, 0))
    assert not torch.equal(targets(0, True, 0), targets(0, True, 1))
    assert not torch.equal(targets(0, True, 0), targets(1, True, 0))
    assert torch.equal(targets(0, False, 0), targets(1, False, 7))


def test_windows_of_a_stream_are_hidden_too():
    source = Windows(tokens_of(1, 100)[0], context=16, batch_size=2)
    masked = MaskedSource(source, Masking(TOKENIZER, 0.15, False), 0, True)
    assert masked.steps_per_epoch == source.steps_per_epoch and masked.examples == source.examples
    batches = list(masked.epoch(0))
    assert all(
        batch.inputs[0].shape == batch.targets.shape and batch.inputs[0].shape[1] == 16 and batch.inputs[1].all()
        for batch in batches
    )
    resumed = list(masked.epoch(0, 1))
    assert torch.equal(resumed[0].inputs[0], batches[1].inputs[0])


class Sure(nn.Module):
    """Takes every token for the same one."""

    def __init__(self):
        super().__init__()
        self.scores = nn.Parameter(torch.linspace(0, 3, len(TOKENIZER)))

    def forward(self, tokens, mask=None):
        return self.scores.expand(*tokens.shape, -1)


def test_figures_are_of_the_hidden_tokens_alone():
    tokens_BT = tokens_of(4)
    targets_BT = torch.full_like(tokens_BT, -100)
    targets_BT[:, 3], targets_BT[1, 5] = len(TOKENIZER) - 1, FIRST
    net, task = Sure(), MaskedLanguageModeling(PREPROCESS)
    batch = Batch((tokens_BT, torch.ones_like(tokens_BT, dtype=torch.bool)), targets_BT, torch.arange(4))
    out = task.evaluation_step(net, batch)
    measure = task.measure()
    measure.update(out.predictions, targets_BT)
    nats = -net.scores.log_softmax(0)[[len(TOKENIZER) - 1] * 4 + [FIRST]].mean().item()
    assert len(out.predictions) == 5 and measure.compute()["accuracy"] == pytest.approx(0.8)
    assert measure.compute()["perplexity"] == pytest.approx(math.exp(nats), rel=1e-5)
    assert out.loss.item() == pytest.approx(nats, rel=1e-5)
    assert task.training_step(net, batch, Phase()).loss.item() == pytest.approx(nats, rel=1e-5)


def bert():
    sizes = {"num_layers": 1, "num_heads": 1, "hidden_size": 8, "inner_size": 8, "context": 40, "dropout": 0.0}
    return build("bert", vocab_size=len(TOKENIZER), task="masked-language-modeling", **sizes).eval()


def test_a_head_that_scores_only_hidden_places_gives_the_same_loss():
    net, task = bert(), MaskedLanguageModeling(PREPROCESS)

    class Whole(nn.Module):
        def forward(self, *inputs):
            return net(*inputs)

    data = TextDataset([" ".join(WORDS[k : k + 12]) for k in range(20)], torch.zeros(20).long(), SCHEMA, "texts")
    source = task.batches(Bucketed(data, PREPROCESS, batch_size=8, shuffle=False), training=False)
    some, every = measured(task, net, source), measured(task, Whole(), source)
    assert some == pytest.approx(every, rel=1e-5)


def test_holes_are_filled(tmp_path):
    net, task = bert(), MaskedLanguageModeling(PREPROCESS)
    (told,) = task.replies(net, ["w1 <mask> w3 [MASK]"])
    assert len(told["masks"]) == 2 and len(told["masks"][0]) == 5
    words = told["text"].split()
    assert words[0] == "w1" and words[2] == "w3" and len(words) <= 4
    best = told["masks"][0][0]
    assert best["probability"] >= told["masks"][0][1]["probability"]
    with pytest.raises(DataError, match="<mask>"):
        task.replies(net, ["w1 w2"])
    data = TextDataset([" ".join(WORDS[k : k + 12]) for k in range(20)], torch.zeros(20).long(), SCHEMA, "texts")
    source = task.batches(Bucketed(data, PREPROCESS, batch_size=8, shuffle=False), training=False)
    (table,) = task.exhibits(net, source, tmp_path)
    assert table["kind"] == "table" and all("____" in row[0] and row[1] in WORDS for row in table["rows"])


def test_a_tokenizer_without_masks_is_refused():
    tokenizer = WordTokenizer(WORDS)
    tokenizer.mask = None
    with pytest.raises(ConfigError, match="masks"):
        MaskedLanguageModeling(TextPreprocessor(SCHEMA, tokenizer))
