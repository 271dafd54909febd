"""Text as it is written: whole characters, stop strings that come in pieces, and networks that answer."""

import itertools
import random

import pytest
import torch
from torch import Tensor, nn

from netwright.core.errors import ConfigError
from netwright.data.schema import Schema, Target
from netwright.data.textual import TextPreprocessor
from netwright.data.tokenizing import CharTokenizer, Tokenizer
from netwright.experiment.writing import TextFlow, in_pieces, write_text
from netwright.models import build


class Bytes:
    """A tokenizer of single bytes: characters beyond ASCII take several tokens."""

    def decode(self, codes: list[int], skip_special: bool = True) -> str:
        return bytes(codes).decode("utf-8", "replace")


class Words:
    """Words joined by blanks."""

    def decode(self, codes: list[int], skip_special: bool = True) -> str:
        return " ".join("abcdefgh"[code] * 2 for code in codes)


def _flow(tokenizer: object, tokens: list[int], stop: tuple[str, ...] = (), before: tuple[int, ...] = ()) -> list[str]:
    pieces: list[str] = []
    flow = TextFlow(tokenizer, before, pieces.append, stop)  # type: ignore[arg-type]
    for token in tokens:
        if flow.add(token):
            break
    flow.finish()
    assert flow.text == "".join(pieces)
    return pieces


def test_a_character_comes_whole() -> None:
    text = "Grüße, 世界! 🙂."
    assert _flow(Bytes(), list(text.encode())) == list(text)
    assert _flow(Bytes(), [*b"a", 0xF0, 0x9F]) == ["a", "\ufffd"]  # what never becomes whole comes at the end


def test_bytes_that_are_no_character_do_not_hold_up_the_rest() -> None:
    assert "".join(_flow(Bytes(), [*b"a", 0xFF, 0xFF, 0xFF, 0xFF, *b"bcd"])) == "a" + "\ufffd" * 4 + "bcd"


def test_words_keep_their_blanks_after_the_prompt_too() -> None:
    assert _flow(Words(), [0, 1, 2]) == ["aa", " bb", " cc"]
    assert _flow(Words(), [0, 1], before=tuple([3] * 20)) == [" aa", " bb"]


@pytest.mark.parametrize("stop", [("\n\n",), ("END", "EN."), ("aab",), ("b", "abab"), ("",)])
def test_a_stop_string_ends_the_text_before_it_wherever_it_is_cut(stop: tuple[str, ...]) -> None:
    dice = random.Random(0)
    for _ in range(200):
        text = "".join(dice.choice(["a", "b", "E", "N", "D", ".", "\n", "\n\n"]) for _ in range(12))
        found = [place for one in stop if one and (place := text.find(one)) >= 0]
        assert "".join(_flow(Bytes(), list(text.encode()), stop)) == text[: min(found, default=None)]


def test_the_reader_can_end_it() -> None:
    heard: list[str] = []
    flow = TextFlow(Bytes(), (), lambda piece: heard.append(piece) or len(heard) == 2)  # type: ignore[arg-type, func-returns-value]
    assert [flow.add(code) for code in b"abcd"][:2] == [False, True]
    flow.finish()
    assert heard[:2] == ["a", "b"]


def test_pieces_can_be_asked_for() -> None:
    told: list[int] = []

    def write(emit: object) -> None:
        for number in itertools.count():
            told.append(number)
            if emit(str(number)):  # type: ignore[operator]
                return

    pieces = in_pieces(write)
    assert [next(pieces) for _ in range(3)] == ["0", "1", "2"]
    pieces.close()

    def fail(emit: object) -> None:
        emit("x")  # type: ignore[operator]
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        list(in_pieces(fail))


def _preprocess(kind: str) -> TextPreprocessor:
    tokenizer = CharTokenizer("abcdefgh \n")
    assert isinstance(tokenizer, Tokenizer)
    schema = Schema("text", (), "int64", Target(kind), vocab_size=len(tokenizer))  # type: ignore[arg-type]
    return TextPreprocessor(schema, tokenizer)


def test_a_language_model_goes_on_and_the_text_is_its_tokens() -> None:
    torch.manual_seed(0)
    preprocess = _preprocess("next-token")
    net = build("lstm_lm", vocab_size=len(preprocess.tokenizer), hidden_size=16)
    pieces: list[str] = []
    text = write_text(net, preprocess, "abc", pieces.append, 12, seed=3)
    assert text == "".join(pieces) == write_text(net, preprocess, "abc", lambda piece: False, 12, seed=3)
    pairs = [text[n : n + 2] for n in range(1, len(text) - 1)]
    pair = next(one for one in pairs if set(one) & set(text[: text.index(one)]))
    written = write_text(net, preprocess, "abc", pieces.append, 12, stop=pair, seed=3)
    assert written == text[: text.index(pair)]  # bare, it is one string, not its letters
    prompt_BT = preprocess.tokenizer.encode("abc")[None]
    how = {"temperature": 0.8, "eos": preprocess.tokenizer.end, "generator": torch.Generator().manual_seed(3)}
    assert preprocess.tokenizer.decode(net.generate(prompt_BT, 12, **how)[0, 3:]) == text
    assert write_text(net, preprocess, "", lambda piece: False, 3, seed=0) is not None  # begins by itself
    heard: list[str] = []
    write_text(net, preprocess, "abc", lambda piece: heard.append(piece) or True, 12, seed=3)  # type: ignore[func-returns-value]
    assert len(heard) == 1


def test_an_encoder_decoder_answers() -> None:
    torch.manual_seed(0)
    preprocess = _preprocess("text")

    class Heard(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def generate(
            self, source_BS: Tensor, mask_BS: Tensor, *, max_new_tokens: int, on_token: object, **how: object
        ) -> None:
            assert preprocess.tokenizer.decode(source_BS[0]) == "bad" and mask_BS.all()
            assert how["bos"] == preprocess.tokenizer.start and how["num_beams"] == 4 and how["temperature"] == 1.0
            for code in [*preprocess.tokenizer.encode("cab").tolist(), how["eos"]]:
                on_token(torch.tensor([code]))  # type: ignore[operator]

    assert write_text(Heard(), preprocess, "bad", lambda piece: False, num_beams=4) == "cab"


@pytest.mark.parametrize("prompt", ["", " \n"])
def test_what_answers_a_text_needs_one(prompt: str) -> None:
    net = nn.Linear(1, 1)
    with pytest.raises(ConfigError, match="this model answers a text, and the prompt is empty; give the text"):
        write_text(net, _preprocess("text"), prompt, lambda piece: False)


@pytest.mark.parametrize("name", ["t5", "transformer", "seq2seq"])
def test_a_source_without_tokens_is_refused(name: str) -> None:
    small = {"hidden_size": 8, "num_layers": 1, "vocab_size": 12}
    net = build(name, **small, **({} if name == "seq2seq" else {"num_heads": 2, "inner_size": 8}))
    with pytest.raises(ConfigError, match=r"a source of shape \[B, S\] with one token or more, got \[1, 0\]"):
        net.generate(torch.zeros(1, 0, dtype=torch.int64), max_new_tokens=2)  # type: ignore[operator]
