"""Tokenizers: what they learn, that texts come back, that nothing else than the training part is seen."""

import json
import subprocess
import sys
import time

import pytest
import torch

from netwright.core.errors import CheckpointError, ConfigError, DataError
from netwright.data import Preprocessor
from netwright.data.schema import Schema, Target
from netwright.data.textual import TextPreprocessor
from netwright.data.tokenizing import (
    CharTokenizer,
    LibraryTokenizer,
    TokenSettings,
    WordTokenizer,
    fit_tokenizer,
    read_tokenizer,
    token_settings,
    tokenizer_from_dict,
)

TEXTS = [f"The cat number {n} sat on the mat; it's a café, isn't it? 你好世界" for n in range(40)]
ODD = "naïve 🙂👩‍👩‍👧 \t\n  two  spaces <eos> [MASK] \x00 ﷽ עברית"


def made(kind: str, **options: object):
    return fit_tokenizer(token_settings({"kind": kind, **options}), TEXTS)


def again(tokenizer):
    return tokenizer_from_dict(json.loads(json.dumps(tokenizer.to_dict())))


@pytest.mark.parametrize("kind", ["characters", "words", "bpe"])
def test_special_codes_are_the_first_seven_and_texts_are_never_taken_for_them(kind: str) -> None:
    tokenizer = again(made(kind, **({"size": 400} if kind == "bpe" else {})))
    roles = (
        tokenizer.pad, tokenizer.unknown, tokenizer.bos, tokenizer.eos, tokenizer.mask, tokenizer.cls, tokenizer.sep,
    )  # fmt: skip
    assert roles == tuple(range(7))
    plain = tokenizer.encode("cat <eos><mask>")
    assert not set(plain.tolist()) & {0, 2, 3, 4, 5, 6}
    whole = tokenizer.encode("cat", add_special=True)
    assert whole[0] == tokenizer.cls and whole[-1] == tokenizer.sep
    assert torch.equal(whole[1:-1], tokenizer.encode("cat"))
    many = tokenizer.encode_many(["cat", "", "the mat"])
    assert [len(row) > 0 for row in many] == [True, False, True] and torch.equal(many[2], tokenizer.encode("the mat"))
    assert all(row.dtype == torch.int64 for row in many)


@pytest.mark.parametrize("kind", ["characters", "words", "bpe"])
def test_spans_say_which_characters_a_code_stands_for(kind: str) -> None:
    tokenizer, text = made(kind, **({"size": 400} if kind == "bpe" else {})), TEXTS[3]
    codes, spans = tokenizer.spans(text)
    assert torch.equal(codes, tokenizer.encode(text))
    for code, (begin, end) in zip(codes.tolist(), spans.tolist(), strict=True):
        if text[begin:end].isascii():
            assert tokenizer.decode([code]).strip() == text[begin:end].strip()


@pytest.mark.parametrize("size", [263, 300, 500])
def test_bytes_bring_any_text_back(size: int) -> None:
    tokenizer = again(made("bpe", size=size))
    assert len(tokenizer) <= size
    for text in (ODD, *TEXTS[:2], "".join(map(chr, range(32, 1200)))):
        codes = tokenizer.encode(text)
        assert tokenizer.unknown not in codes.tolist()
        assert tokenizer.decode(codes) == text


def test_lone_surrogates_do_not_stop_it() -> None:
    assert made("bpe", size=300).decode(made("bpe", size=300).encode("a\ud800b")) == "a\N{REPLACEMENT CHARACTER}b"
    assert len(CharTokenizer.fitted(["a\ud800"]).encode("\ud800a")) == 2


def test_merges_shorten_what_was_seen() -> None:
    assert len(made("bpe", size=500).encode(TEXTS[0])) < 0.4 * len(TEXTS[0].encode())


def test_too_small_a_vocabulary_for_bytes_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.tokens\.size=100.*263"):
        made("bpe", size=100)


def test_bpe_is_the_same_in_another_process() -> None:
    code = (
        "import json,hashlib;from netwright.data.tokenizing import LibraryTokenizer;"
        "t=[f'The cat number {n} sat on the mat, ab ba abba baab {n*7}' for n in range(200)];"
        "print(hashlib.sha256(json.dumps(LibraryTokenizer.fitted(t,400).to_dict()).encode()).hexdigest())"
    )
    command = [sys.executable, "-c", code]
    said = {subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(2)}
    assert len(said) == 1 and len(said.pop()) == 65


def test_words_are_counted_and_cut() -> None:
    tokenizer = again(WordTokenizer.fitted(["b a a", "it's B 你好!"], size=7 + 3, lower=True))
    assert tokenizer.words == ("a", "b", "!")
    assert tokenizer.decode(tokenizer.encode("A b it's !")) == "a b <unk> !"
    assert WordTokenizer.fitted(["b a a"], size=99, min_count=2).words == ("a",)
    assert WordTokenizer.fitted(["你好 it’s"], size=99).words == ("it’s", "你", "好")


def test_lower_is_kept() -> None:
    for kind in ("characters", "words", "bpe"):
        tokenizer = again(made(kind, lower=True))
        assert torch.equal(tokenizer.encode("THE CAT"), tokenizer.encode("the cat"))


@pytest.mark.parametrize("kind", ["characters", "words", "bpe"])
def test_small_letters_keep_their_places(kind: str) -> None:
    """Python makes two characters of the Turkish capital; a place found in the one text must hold in the other."""
    tokenizer = fit_tokenizer(token_settings({"kind": kind, "lower": True, "size": 400}), ["is istanbul big?"] * 3)
    text = "IS İSTANBUL BIG?"
    codes, spans = tokenizer.spans(text)
    assert torch.equal(codes, tokenizer.encode(text)) and text[slice(*spans[-1].tolist())] == "?"


def test_words_keep_their_accents_and_vowel_signs() -> None:
    text = "नमस्ते दुनिया cafe\u0301 שָׁלוֹם ภาษา it's"
    tokenizer = WordTokenizer.fitted([text], size=99)
    assert sorted(tokenizer.words) == sorted(text.split()) and tokenizer.decode(tokenizer.encode(text)) == text


def test_how_a_text_is_spelled() -> None:
    text = "A  CAT, unheard-of"
    assert made("characters").spelled(text) == text == made("bpe").spelled(text)
    assert made("characters", lower=True).spelled(text) == text.lower() == made("bpe", lower=True).spelled(text)
    assert made("words").spelled(text) == "A CAT , unheard - of"


def test_a_word_of_a_million_letters_does_not_stop_it() -> None:
    begin = time.monotonic()
    tokenizer = LibraryTokenizer.fitted(["ab" * 200_000, "plain words " * 9], 280)
    assert time.monotonic() - begin < 5 and len(tokenizer.encode("ab" * 50)) < 10


def test_a_preprocessor_with_another_tokenizer_is_damaged() -> None:
    tokenizer = made("words")
    schema = Schema("text", (), "int64", Target("next-token"), vocab_size=len(tokenizer))
    values = TextPreprocessor(schema, tokenizer).to_dict()
    assert isinstance(Preprocessor.from_dict(values), TextPreprocessor)
    values["values"]["words"] = values["values"]["words"][:-1]
    with pytest.raises(CheckpointError, match=rf"{len(tokenizer) - 1} codes where the network has {len(tokenizer)}"):
        Preprocessor.from_dict(values)


def test_settings_are_checked() -> None:
    assert token_settings({"path": "x"}).kind == "library"
    assert token_settings(None, "characters") == TokenSettings("characters")
    with pytest.raises(ConfigError, match=r"max_length"):
        token_settings({"max_len": 3})
    with pytest.raises(ConfigError, match=r"kind: library only"):
        token_settings({"kind": "words", "path": "x"})
    with pytest.raises(ConfigError, match=r"kind: library only"):
        token_settings({"kind": "library"})


def test_a_file_that_is_no_tokenizer_is_named(tmp_path) -> None:
    with pytest.raises(DataError, match=r"does not exist"):
        read_tokenizer(tmp_path)
    for content in ("{}", "[]", "no", '{"type": "words"}', '{"model": {"type": "BPE"}}'):
        (tmp_path / "tokenizer.json").write_text(content)
        with pytest.raises(DataError, match=r"tokenizer\.json is no tokenizer"):
            read_tokenizer(tmp_path)


def test_a_hugging_face_file_has_its_own_special_codes(tmp_path) -> None:
    library = pytest.importorskip("tokenizers")
    bert = library.implementations.BertWordPieceTokenizer()
    bert.train_from_iterator(TEXTS, vocab_size=200, show_progress=False)
    bert.enable_truncation(4)
    bert.enable_padding(length=9)
    (tmp_path / "tokenizer.json").write_text(bert.to_str())
    tokenizer = read_tokenizer(tmp_path)
    assert isinstance(tokenizer, LibraryTokenizer)
    wanted = [bert.token_to_id(name) for name in ("[PAD]", "[UNK]", "[MASK]", "[CLS]", "[SEP]")]
    assert [tokenizer.pad, tokenizer.unknown, tokenizer.mask, tokenizer.cls, tokenizer.sep] == wanted
    assert tokenizer.bos is None and tokenizer.eos is None and tokenizer.end == tokenizer.sep
    assert tokenizer.start == tokenizer.cls
    bert.no_truncation()
    bert.no_padding()
    text = "The Café sat on the mat"
    assert tokenizer.encode(text, add_special=True).tolist() == bert.encode(text).ids
    assert tokenizer.decode(tokenizer.encode(text, add_special=True)) == "the cafe sat on the mat"
    assert len(tokenizer) == bert.get_vocab_size() == len(again(tokenizer))


def test_t5_ends_a_text_and_begins_with_padding() -> None:
    library = pytest.importorskip("tokenizers")
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁the", -1.0), ("▁", -2.0), ("c", -3.0), ("a", -3.0)]
    inner = library.Tokenizer(library.models.Unigram(pieces, unk_id=2))
    inner.pre_tokenizer = library.pre_tokenizers.Metaspace()
    inner.decoder = library.decoders.Metaspace()
    inner.add_special_tokens(["<pad>", "</s>", "<unk>"])
    inner.post_processor = library.processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = LibraryTokenizer(inner.to_str())
    assert (tokenizer.pad, tokenizer.eos, tokenizer.unknown, tokenizer.bos, tokenizer.cls) == (0, 1, 2, None, None)
    assert tokenizer.start == 0 and tokenizer.end == 1 and (tokenizer.before, tokenizer.after) == ((), (1,))
    assert tokenizer.encode("the ca", add_special=True).tolist() == [3, 4, 5, 6, 1]


def test_gpt2_has_one_code_for_begin_and_end() -> None:
    library = pytest.importorskip("tokenizers")
    inner = library.ByteLevelBPETokenizer()
    inner.train_from_iterator(TEXTS, vocab_size=300, special_tokens=["<|endoftext|>"], show_progress=False)
    tokenizer = LibraryTokenizer(inner.to_str())
    assert tokenizer.bos == tokenizer.eos == 0 and tokenizer.pad is None and tokenizer.filler == 0
    assert tokenizer.decode(tokenizer.encode(ODD)) == ODD
    assert (tokenizer.before, tokenizer.after) == ((), ())


def test_codes_with_gaps_count_up_to_the_largest() -> None:
    """A network has a vector for each code below the size of its vocabulary."""
    values = made("bpe", size=400).to_dict()
    values["model"]["vocab"]["late"] = 500
    assert len(tokenizer_from_dict(values)) == 501
