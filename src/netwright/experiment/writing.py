"""What a network writes, as text, while it is being written.

Tokens are no letters: a tokenizer of bytes may cut a character in two, and a tokenizer of words joins its words by
blanks. So a piece of text is what decoding says more with the newest tokens than without, once its last character is
whole; and what may be the beginning of a stop string is held back until it is known.
"""

from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Any, cast

import torch
from torch import Tensor, nn

from netwright.core.errors import ConfigError
from netwright.data.textual import TextPreprocessor
from netwright.data.tokenizing import Tokenizer

__all__ = ["Emit", "TextFlow", "in_pieces", "write_text"]

Emit = Callable[[str], object]

_WARMTH = 0.8  # how daring a text is unless one says so
_BACK = 8  # tokens of the prompt that decoding sees, for the blanks between
_WHOLE = 4  # tokens by which a character is whole, if it ever is
_BROKEN = "\N{REPLACEMENT CHARACTER}"


class TextFlow:
    """Takes tokens one by one and emits text, up to the first stop string; a true answer of `emit` ends it as well."""

    def __init__(self, tokenizer: Tokenizer, before: Sequence[int], emit: Emit, stop: Sequence[str] = ()) -> None:
        self._tokenizer, self._emit, self._stop = tokenizer, emit, [text for text in stop if text]
        self._codes = list(before)[-_BACK:]
        self._first, self._read = 0, len(self._codes)  # decoding starts at one; tokens before the other are emitted
        self._held = ""
        self._ended = False
        self.text = ""

    def add(self, token: int) -> bool:
        """Take the next token; whether the text has ended."""
        self._codes.append(token)
        known = self._tokenizer.decode(self._codes[self._first : self._read])
        now = self._tokenizer.decode(self._codes[self._first :])
        if now.endswith(_BROKEN) and len(self._codes) - self._read < _WHOLE:
            return self._ended
        self._first, self._read = self._read, len(self._codes)
        return self._pass_on(now[len(known) :])

    def finish(self) -> None:
        """Nothing more comes: what was held back is no stop string."""
        if not self._ended:
            known = self._tokenizer.decode(self._codes[self._first : self._read])
            self._say(self._held + self._tokenizer.decode(self._codes[self._first :])[len(known) :])
        self._held, self._ended = "", True

    def _pass_on(self, piece: str) -> bool:
        text = self._held + piece
        found = [place for stop in self._stop if (place := text.find(stop)) >= 0]
        if found:
            self._held = ""
            self._say(text[: min(found)])
            self._ended = True
            return True
        kept = max((_overlap(text, stop) for stop in self._stop), default=0)
        self._held = text[len(text) - kept :]
        self._say(text[: len(text) - kept])
        return self._ended

    def _say(self, text: str) -> None:
        self.text += text
        if text and self._emit(text):
            self._ended = True


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of `text` may be the beginning of `stop`."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)


def write_text(
    network: nn.Module,
    preprocess: TextPreprocessor,
    prompt: str,
    emit: Emit,
    max_new_tokens: int = 200,
    *,
    stop: str | Sequence[str] = (),
    seed: int | None = None,
    temperature: float | None = None,
    **how: Any,
) -> str:
    """Let the network go on with `prompt`, or answer it where it reads one text and writes another.

    Args:
        emit: gets each piece as it is written; a true answer ends the writing.
        stop: a string, or several, before which the text ends.
        how: the other settings of `blocks.generation.generate_tokens`.

    Returns:
        The new text alone.
    """
    tokenizer = preprocess.tokenizer
    if temperature is None:
        temperature = _WARMTH if how.get("num_beams", 1) == 1 else 1.0
    how |= {"temperature": temperature, "eos": tokenizer.end}
    how["generator"] = torch.Generator().manual_seed(seed) if seed is not None else None
    place = next(network.parameters()).device
    if preprocess.schema.target.kind == "text":
        if not prompt or prompt.isspace():
            raise ConfigError("this model answers a text, and the prompt is empty; give the text to answer (--prompt)")
        inputs = tuple(part.to(place) for part in preprocess.batch([prompt]))
        how["bos"], before = tokenizer.start, [tokenizer.start]
    else:
        inputs = (_beginning(tokenizer, prompt).to(place)[None],)
        before = inputs[0][0].tolist()
    flow = TextFlow(tokenizer, before, emit, [stop] if isinstance(stop, str) else stop)

    def listen(next_B: Tensor) -> bool:
        token = int(next_B[0])
        return flow.add(token) if token != tokenizer.end else False

    cast(Any, network).generate(*inputs, max_new_tokens=max_new_tokens, on_token=listen, **how)
    flow.finish()
    return flow.text


def _beginning(tokenizer: Tokenizer, prompt: str) -> Tensor:
    """The tokens to go on from: where the prompt has none, those that a new text or line begins after."""
    for text in (prompt, "\n"):
        if len(codes_T := tokenizer.encode(text)):
            return codes_T
    return torch.tensor([tokenizer.end if tokenizer.end is not None else tokenizer.start])


def in_pieces(write: Callable[[Emit], object]) -> Iterator[str]:
    """What `write` emits, one piece after the other; it works in a thread, and ends when nobody reads on."""
    pieces: SimpleQueue[str | BaseException | None] = SimpleQueue()
    left = False

    def emit(piece: str) -> bool:
        pieces.put(piece)
        return left

    def work() -> None:
        try:
            write(emit)
            pieces.put(None)
        except BaseException as error:
            pieces.put(error)

    Thread(target=work, daemon=True).start()
    try:
        while (piece := pieces.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece
    finally:
        left = True
