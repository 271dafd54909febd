"""Texts to codes and back: characters, words, parts of words."""

from netwright.data.tokenizing.base import Tokenizer
from netwright.data.tokenizing.characters import CharTokenizer
from netwright.data.tokenizing.fitting import fit_tokenizer, read_tokenizer, tokenizer_from_dict
from netwright.data.tokenizing.library import LibraryTokenizer
from netwright.data.tokenizing.settings import TokenSettings, token_settings
from netwright.data.tokenizing.words import WordTokenizer

__all__ = [
    "CharTokenizer",
    "LibraryTokenizer",
    "TokenSettings",
    "Tokenizer",
    "WordTokenizer",
    "fit_tokenizer",
    "read_tokenizer",
    "token_settings",
    "tokenizer_from_dict",
]
