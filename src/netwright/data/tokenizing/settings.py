"""The `tokens` part of a data section; its signature is its schema."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from netwright.core.errors import ConfigError
from netwright.core.schemas import Size, build

__all__ = ["TokenKind", "TokenSettings", "token_settings"]

TokenKind = Literal["characters", "words", "bpe", "library"]


@dataclass(frozen=True)
class TokenSettings:
    """How texts become tokens.

    Args:
        kind: `characters`; `words`; `bpe`, parts of words that stand for any bytes; `library`, what `path` holds.
        size: most codes of the vocabulary, special ones included; characters have as many as the text has.
        lower: whether capitals and small letters are the same.
        min_count: words that are rarer in the training part are unknown.
        max_length: most tokens of an example, special ones included; the rest is cut off.
        path: a tokenizer.json, or the folder that holds one; then nothing is fitted.
    """

    kind: TokenKind = "bpe"
    size: Size = 8000
    lower: bool = False
    min_count: Size = 1
    max_length: Size = 256
    path: str | None = None


def token_settings(values: Mapping[str, Any] | None, kind: TokenKind = "bpe") -> TokenSettings:
    """The checked `tokens` part.

    Args:
        kind: where the config does not say.

    Raises:
        ConfigError: unknown keys, values out of range, a path without its kind.
    """
    given = dict(values or {})
    default = "library" if given.get("path") is not None else kind
    made: TokenSettings = build(TokenSettings, {"kind": default} | given, "data.tokens")
    if (made.kind == "library") != (made.path is not None):
        template = "data.tokens.kind={kind} does not go with data.tokens.path={file}; set a path for kind: library only"
        raise ConfigError(template, path="data.tokens", kind=made.kind, file=made.path)
    return made
