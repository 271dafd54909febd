import math

import pytest
import torch

from netwright.metrics.running import Surprise
from netwright.metrics.text import (
    answer_f1,
    answer_match,
    bleu,
    chrf,
    exact_match,
    normalised_answer,
    overlaps,
    text_figures,
)

SAID = ["the cat sat on the mat", "there is a dog in the house", "no"]
TRUE = ["the cat sat on the mat", "there is a big dog in the garden", "yes"]


def test_bleu_counts_clipped_n_grams_and_the_length():
    said, true = ["the the the the the the the"], ["the cat is on the mat today"]
    assert bleu(SAID[:1], TRUE[:1]) == pytest.approx(100)
    assert bleu(said, true) < 10  # 2 of 7 words count, and no longer n-gram
    whole = "one two three four five six seven eight"
    assert bleu([whole[:-6]], [whole]) == pytest.approx(100 * math.exp(1 - 8 / 7), rel=1e-6)  # brevity alone


def test_bleu_is_of_the_corpus_not_a_mean_of_sentences():
    alone = [bleu([one], [other]) for one, other in zip(SAID, TRUE, strict=True)]
    assert bleu(SAID, TRUE) != pytest.approx(sum(alone) / len(alone), rel=1e-2)


def test_chinese_is_cut_into_characters():
    assert bleu(["今天天气很好"], ["今天天气不好"]) > 20  # as one word, nothing would be shared


def test_chrf_is_between_0_and_100_and_sees_parts_of_words():
    assert chrf(TRUE, TRUE) == pytest.approx(100)
    assert 0 < chrf(["houses"], ["house"]) < 100 and chrf(["xyz"], ["house"]) == 0
    assert overlaps(SAID, TRUE)[0] == pytest.approx(100) and overlaps(SAID, TRUE)[2] < 30


def test_exact_match_overlooks_white_space_only():
    assert exact_match(["a  b ", "A b", "a b"], ["a b", "a b", "a b"]) == pytest.approx(2 / 3)


def test_no_texts_have_no_figures():
    assert all(math.isnan(value) for value in text_figures([], []).values())
    assert set(text_figures(SAID, TRUE)) == {"bleu", "chrf", "exact_match"}


def test_answers_are_compared_as_squad_does():
    assert normalised_answer(" The  Eiffel-Tower, in a Paris! ") == "eiffeltower in paris"
    assert answer_match("the house.", "House") == 1 and answer_match("houses", "house") == 0
    assert answer_f1("in the old house", "the old house") == pytest.approx(0.8)  # 2 of 3 and 2 of 2 words
    assert answer_f1("a a b", "a b b c") == pytest.approx(2 * 1 / (1 + 3))  # "a" is an article
    assert answer_f1("", "") == 1 and answer_f1("x", "") == 0
    assert answer_f1("白色的房子", "房子") == pytest.approx(2 * 2 / 7)


def test_a_byte_is_the_unit_that_all_tokenizers_share():
    nats = torch.tensor([2.0, 1.0, 3.0])
    measure = Surprise("bits_per_token", torch.tensor([0, 1, 4]))
    measure.update(nats, torch.tensor([[2, 1, -100], [-100, 0, -100]]))
    found = measure.compute()
    assert found["bits_per_token"] == pytest.approx(2 / math.log(2))
    assert found["bits_per_byte"] == pytest.approx(6 / math.log(2) / 5)
    assert found["perplexity"] == pytest.approx(math.exp(2))
    assert "bits_per_byte" not in Surprise().compute()


def test_batches_of_any_size_give_one_mean():
    parts, whole = Surprise(), Surprise()
    nats, targets = torch.rand(9), torch.ones(1, 9, dtype=torch.int64)
    whole.update(nats, targets)
    for piece in (slice(0, 2), slice(2, 9)):
        parts.update(nats[piece], targets[:, piece])
    assert parts.compute()["perplexity"] == pytest.approx(whole.compute()["perplexity"])
