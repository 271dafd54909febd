"""The old place of two names; see `data.tokenizing` and `data.textual`."""

from netwright.data.textual import TextPreprocessor
from netwright.data.tokenizing import CharTokenizer

__all__ = ["CharTokenizer", "TextPreprocessor"]
