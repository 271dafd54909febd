"""Batches of texts: of like length, the same for the same epoch, and exactly the texts."""

import json
import logging

import pytest
import torch

from netwright.core.errors import ConfigError
from netwright.data import Preprocessor, load_data
from netwright.data.augment import build_augment
from netwright.data.batching import BatchSource, Bucketed
from netwright.data.batching.lengths import LengthPlan
from netwright.data.ragged import Ragged

WORDS = [f"w{n}" for n in range(40)]


def lengths(count: int, columns: int = 1, seed: int = 0) -> torch.Tensor:
    """Skewed as those of real texts; of two texts the second is about as long as the first."""
    dice = torch.Generator().manual_seed(seed)
    base = torch.randn(count, 1, generator=dice) * 0.7 + 3.2
    both = base + 0.15 * torch.randn(count, columns, generator=dice)
    return both.exp().clamp(2, 200).long()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("texts")
    dice = torch.Generator().manual_seed(1)
    rows = []
    for n, count in enumerate(lengths(300)[:, 0].clamp(max=60).tolist()):
        words = [WORDS[k] for k in torch.randint(40, (count,), generator=dice)]
        at = int(torch.randint(count, (), generator=dice))
        start = len(" ".join(words[:at])) + (at > 0)
        rows.append({
            "text": " ".join(words), "upper": " ".join(words).upper(), "label": "ab"[n % 2], "group": n // 10,
            "question": f"where is {words[at]}", "answer": {"text": words[at], "start": start},
        })  # fmt: skip
    (place / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return place


def read(folder, **section):
    tokens = section.pop("tokens", {"kind": "words", "lower": False})
    data = load_data({"path": str(folder / "a.jsonl"), "text": "text", "tokens": tokens, **section})
    return data, Preprocessor.fit(data.train)


def test_ragged_rows_are_padded_cut_wrapped_and_joined() -> None:
    rows = Ragged.of([[1, 2, 3], [], [4]])
    tokens, mask = rows.padded(torch.tensor([2, 0, 1]), 3, 9)
    assert tokens.tolist() == [[4, 9, 9], [1, 2, 3], [9, 9, 9]] and mask.sum(1).tolist() == [1, 3, 0]
    whole = rows.within((7,), (8, 8))
    assert [whole[i].tolist() for i in range(3)] == [[7, 1, 2, 3, 8, 8], [7, 8, 8], [7, 4, 8, 8]]
    assert [rows.shortened(torch.tensor([2, 1, 0]))[i].tolist() for i in range(3)] == [[1, 2], [], []]
    both = rows.joined(Ragged.of([[5], [6], []]))
    assert [both[i].tolist() for i in range(3)] == [[1, 2, 3, 5], [6], [4]]
    nothing = Ragged.of([[], []])
    assert nothing.padded(torch.tensor([1]), 2, 0)[0].tolist() == [[0, 0]]


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize(("size", "budget"), [(32, None), (64, None), (1, 2048), (1, 4096)])
def test_little_is_padding_and_every_example_comes_once(columns: int, size: int, budget: int | None) -> None:
    count = 12_000 * columns
    given = lengths(count, columns)
    plan = LengthPlan(given, size, budget, seed=3)
    assert plan.waste < (0.03 if columns == 1 else 0.06)
    for epoch in range(2):
        batches = list(plan.batches(epoch))
        assert len(batches) == plan.steps
        assert torch.equal(torch.cat([rows for rows, _ in batches]).sort().values, torch.arange(count))
        for rows, places in batches:
            assert places == given[rows].amax(0).tolist()
            assert len(rows) * sum(places) <= (budget or 1 << 40) and (budget or len(rows) <= size)
    if budget is None:
        assert sum(len(rows) < size for rows, _ in batches) <= 1
    else:
        assert given.sum() / (plan.steps * budget) > 0.7  # batches are full


def test_epochs_differ_and_resume_is_exact() -> None:
    plan = LengthPlan(lengths(2000), 16, seed=3)
    first, other = ([rows for rows, _ in plan.batches(epoch)] for epoch in (0, 1))
    assert not all(torch.equal(one, two) for one, two in zip(first, other, strict=True))
    members = {frozenset(rows.tolist()) for rows in first} & {frozenset(rows.tolist()) for rows in other}
    assert len(members) < 0.5 * plan.steps  # not the same company each time
    rest = [rows for rows, _ in plan.batches(1, start=7)]
    assert all(torch.equal(one, two) for one, two in zip(other[7:], rest, strict=True))
    twin = LengthPlan(lengths(2000), 16, seed=4)
    assert not all(torch.equal(one, two[0]) for one, two in zip(first, twin.batches(0), strict=True))


def test_impossible_batches_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"train\.batch_tokens=100 .*use 200 or more"):
        LengthPlan(torch.tensor([[200], [3]]), 1, 100)
    with pytest.raises(ConfigError, match=r"train\.batch_size=9"):
        LengthPlan(lengths(5), 9)
    assert LengthPlan(lengths(5), 9, shuffle=False).steps == 1
    assert LengthPlan(torch.tensor([[5]]), 1, 8).steps == 1


@pytest.mark.parametrize("tokens", [{"kind": "words"}, {"kind": "characters"}, {"kind": "bpe", "size": 300}])
def test_classes_come_with_their_texts(folder, tokens) -> None:
    data, preprocess = read(folder, target="label", tokens=tokens)
    source = Bucketed(data.train, preprocess, batch_size=16, seed=0)
    assert isinstance(source, BatchSource) and source.logs() == {"padding": source.waste}
    for batch in source.epoch(0):
        tokens_BT, mask_BT = batch.inputs
        assert mask_BT.sum(1).max() == tokens_BT.shape[1] and bool((tokens_BT[~mask_BT] == 0).all())
        for row, i in enumerate(batch.index.tolist()):
            text = preprocess.tokenizer.decode(tokens_BT[row])
            assert text == data.train.texts[i] and batch.targets[row] == data.train.targets[i]


def test_what_is_written_is_shifted_by_one(folder) -> None:
    data, preprocess = read(folder, target_text="upper")
    tokenizer = preprocess.tokenizer
    assert data.schema.default_task() == "sequence-to-sequence"
    for batch in Bucketed(data.train, preprocess, batch_size=16).epoch(0):
        source_BS, so_far_BT, mask_BS = batch.inputs
        assert source_BS.shape == mask_BS.shape and so_far_BT.shape == batch.targets.shape
        for row, i in enumerate(batch.index.tolist()):
            wanted = batch.targets[row][batch.targets[row] != -100]
            assert wanted[-1] == tokenizer.eos and tokenizer.decode(wanted) == data.train.second[i]
            assert so_far_BT[row, 0] == tokenizer.bos and torch.equal(so_far_BT[row, 1 : len(wanted)], wanted[:-1])
            read_ = source_BS[row][mask_BS[row]]
            assert read_[-1] == tokenizer.eos and tokenizer.decode(read_) == data.train.texts[i]


@pytest.mark.parametrize("tokens", [{"kind": "words"}, {"kind": "bpe", "size": 300}])
def test_answers_are_where_the_tokens_say(folder, tokens) -> None:
    section = {"text": "question", "context": "text", "answer": "answer"}
    data, preprocess = read(folder, tokens={**tokens, "max_length": 40}, **section)
    cut = 0
    for batch in Bucketed(data.train, preprocess, batch_size=16).epoch(0):
        tokens_BT, mask_BT, segments_BT = batch.inputs
        assert tokens_BT.shape[1] <= 40
        ends = torch.tensor([row[keep][-1] for row, keep in zip(tokens_BT, mask_BT, strict=True)])
        assert bool((ends == preprocess.tokenizer.sep).all())
        for row, i in enumerate(batch.index.tolist()):
            begin, end = batch.targets[row].tolist()
            if begin == -100:
                cut += 1
                continue
            assert segments_BT[row, begin] == segments_BT[row, end] == 1
            first, last = data.train.targets[i].tolist()
            said = preprocess.tokenizer.decode(tokens_BT[row, begin : end + 1]).strip()
            assert said == data.train.second[i][first:last]
    assert 0 < cut < len(data.train) / 2


def test_long_texts_are_cut_counted_and_said(folder, caplog) -> None:
    data, preprocess = read(folder, target="label", tokens={"kind": "words", "max_length": 12})
    with caplog.at_level(logging.WARNING, "netwright"):
        source = Bucketed(data.train, preprocess, batch_size=16)
    wanted = sum(len(text.split()) > 10 for text in data.train.texts)
    assert source.cut == wanted > 0 and f"{wanted} of {len(data.train)}" in caplog.text
    assert max(batch.inputs[0].shape[1] for batch in source.epoch(0)) == 12
    short = Bucketed(data.train, preprocess, batch_size=16, longest=5)
    assert {batch.inputs[0].shape[1] for batch in short.epoch(0)} <= {4, 5}


def test_a_users_texts_become_the_same_batch(folder) -> None:
    data, preprocess = read(folder, target="label")
    batch = next(Bucketed(data.train, preprocess, batch_size=8).epoch(0))
    texts = [data.train.texts[i] for i in batch.index.tolist()]
    tokens_BT, mask_BT = preprocess.batch(texts)
    assert torch.equal(tokens_BT, batch.inputs[0]) and torch.equal(mask_BT, batch.inputs[1])
    assert torch.equal(preprocess.batch([{"text": texts[0]}])[0][0], tokens_BT[0][mask_BT[0]])


def test_changed_texts_are_a_function_of_seed_epoch_and_index(folder) -> None:
    data, preprocess = read(folder, target="label")
    augment = build_augment([{"delete-words": 0.3}, "swap-words"], input_shape=())
    one = Bucketed(data.train, preprocess, batch_size=16, augment=augment, seed=5)
    other = Bucketed(data.train, preprocess, batch_size=4, augment=augment, seed=5)

    def texts(source, epoch):
        return {
            int(i): preprocess.tokenizer.decode(row)
            for batch in source.epoch(epoch)
            for i, row in zip(batch.index, batch.inputs[0], strict=True)
        }

    assert texts(one, 1) == texts(other, 1) != texts(one, 0)
    assert texts(one, 1) != {i: data.train.texts[i] for i in range(len(data.train))}
    full, rest = list(one.epoch(2)), list(one.epoch(2, start=3))
    assert all(torch.equal(a.inputs[0], b.inputs[0]) for a, b in zip(full[3:], rest, strict=True))
