"""Changes of texts: what they do, and that they are pure."""

from pathlib import Path

import pytest
import torch

from netwright.core.errors import ConfigError, DataError
from netwright.data.augment import build_augment
from netwright.data.augment.text import BackTranslation, DeleteWords, InsertWords, SwapWords, Synonyms
from netwright.data.augment.wordnet import WordNet

TEXT = "The quick brown Dog jumps over\nthe lazy cat, and  the big house was quite happy about it."


@pytest.fixture
def dictionary(tmp_path) -> str:
    """WordNet's format with two sets: {dog, hound, man's_best_friend} and {happy, glad(p)}."""
    for kind, words in (
        ("noun", ["dog", "hound", "man's_best_friend"]), ("verb", []), ("adj", ["happy", "glad(p)"]), ("adv", []),
    ):  # fmt: skip
        head = "  1 This is the licence, set in.\n"
        line = f"{len(head):08d} 05 n {len(words):02x} {' '.join(f'{word} 0' for word in words)} 000 | an animal  \n"
        plain = [word.removesuffix("(p)") for word in words]
        index = "".join(f"{word} n 1 1 @ 1 0 {len(head):08d}  \n" for word in sorted(plain))
        (tmp_path / f"data.{kind}").write_text(head + line * bool(words))
        (tmp_path / f"index.{kind}").write_text(head + index)
    return str(tmp_path)


def test_synonyms_are_those_of_the_sets(dictionary) -> None:
    source = WordNet(dictionary)
    assert source.synonyms("Dog") == ("hound", "man's best friend")
    assert source.synonyms("happy") == ("glad",) and source.synonyms("cat") == ()
    change = Synonyms(share=1.0, folder=dictionary)
    (said,) = change([TEXT], [1])
    assert said in (TEXT.replace("Dog", new).replace("happy", "glad") for new in ("Hound", "Man's best friend"))
    assert change(["", "the of"], [1, 2]) == ["", "the of"]


def test_where_wordnet_is_not_installed_one_is_told_how(tmp_path) -> None:
    with pytest.raises(DataError, match=r"apt install wordnet-base"):
        build_augment([{"synonyms": {"folder": str(tmp_path)}}], input_shape=())


@pytest.mark.skipif(not Path("/usr/share/wordnet/index.noun").exists(), reason="WordNet is not installed")
def test_the_real_wordnet() -> None:
    source = WordNet()
    assert {"domestic dog", "frank"} <= set(source.synonyms("dog"))
    assert "quickly" in source.synonyms("rapidly")


def test_words_are_put_in_left_out_and_exchanged(dictionary) -> None:
    (more,) = InsertWords(share=0.2, folder=dictionary)([TEXT], [4])
    added = [word for word in more.split() if word not in TEXT.split()]
    assert len(more.split()) >= len(TEXT.split()) + 3 and set(added) <= {"hound", "man's", "best", "friend", "glad"}
    (other,) = SwapWords(share=0.2)([TEXT], [4])
    assert sorted(other.split()) == sorted(TEXT.split()) and other != TEXT
    assert [len(piece) for piece in other.split("\n")] != [0, 0] and "\n" in other
    lost = [DeleteWords(share=0.3)([TEXT], [seed])[0] for seed in range(200)]
    kept = sum(len(text.split()) for text in lost) / (200 * len(TEXT.split()))
    assert 0.65 < kept < 0.75
    assert {len(text.split()) for text in DeleteWords(share=1.0)([TEXT] * 9, list(range(9)))} == {1}
    assert SwapWords()(["one", ""], [0, 1]) == ["one", ""]


def test_changes_are_a_function_of_seed_epoch_and_index() -> None:
    augment = build_augment(["swap-words", {"delete-words": {"share": 0.3, "p": 0.5}}], input_shape=())
    texts = [TEXT] * 8

    def changed(index, epoch, seed):
        return augment.worded([texts[i] for i in index], torch.tensor(index), epoch, seed)

    whole = changed(list(range(8)), 3, 1)
    assert [changed([i], 3, 1)[0] for i in range(8)] == whole
    assert len(set(whole)) > 4 and changed(list(range(8)), 4, 1) != whole != changed(list(range(8)), 3, 2)
    assert bool(augment) and not augment.on_images


def test_texts_and_pictures_are_not_mixed_up() -> None:
    with pytest.raises(ConfigError, match=r"swap-words is for texts"):
        build_augment(["swap-words"], input_shape=(3, 8, 8))
    with pytest.raises(ConfigError, match=r"flip is for pictures"):
        build_augment(["flip"], input_shape=())
    with pytest.raises(ConfigError, match=r"texts cannot be blended"):
        build_augment(["mixup"], input_shape=())


def test_texts_are_translated_there_and_back_once() -> None:
    asked = []
    change = BackTranslation("there", "back", p=1.0)
    with pytest.raises(ConfigError, match=r"needs a run"):
        change.prepare(["a"])
    change.bind(lambda texts: [asked.append(text) or text.upper() for text in texts], lambda texts: [
        text.lower() + "!" if text != "BAD" else " " for text in texts
    ])  # fmt: skip
    change.prepare(["Hello You", "abc", "abc", "bad"])
    assert change(["abc", "Hello You", "bad"], [0, 1, 2]) == ["abc!", "hello you!", "bad"]
    assert sorted(asked) == ["Hello You", "abc", "bad"] or asked.count("abc") == 1
    half = BackTranslation("there", "back", p=0.5)
    half.bind(list, lambda texts: [text + "!" for text in texts])
    assert 20 < sum(text.endswith("!") for text in half(["x"] * 100, list(range(100)))) < 80
