"""Changes of texts that leave their meaning: synonyms, words added, exchanged, left out; and a translation to and fro.

The first four are Wei & Zou, "EDA: easy data augmentation techniques for boosting performance on text classification
tasks", 2019. Differs from the paper: there each change makes a further example; here a text is changed anew in each
epoch, by all the changes that a config lists. Spaces and line ends stay as they are.
"""

import random
import re
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import final

from netwright.core.errors import ConfigError
from netwright.core.schemas import Fraction
from netwright.data.augment.base import TextAugmentation
from netwright.data.augment.wordnet import FOLDER, WordNet, wordnet

__all__ = ["BackTranslation", "DeleteWords", "InsertWords", "SwapWords", "Synonyms"]

_PIECES = re.compile(r"\S+|\s+")
_CORE = re.compile(r"^(\W*)(.*?)(\W*)$", re.DOTALL)
_SMALL_WORDS = """
    a about after all also am an and any are as at be been before being between both but by can could did do
    does for from had has have he her here hers him his how i if in into is it its just may me might more most
    must my no nor not of off on once one only or other our out over own s same she should so some such t than
    that the their them then there these they this those through to too under until up very was we were what
    when where which while who whom why will with would you your
"""
_SMALL = frozenset(_SMALL_WORDS.split())


class _ByWords(TextAugmentation):
    """Each text by itself, with chance numbers of its own."""

    p: float

    def __call__(self, texts: Sequence[str], chances: Sequence[int]) -> list[str]:
        """Change texts."""
        return [self._maybe(text, random.Random(seed)) for text, seed in zip(texts, chances, strict=True)]

    def _maybe(self, text: str, dice: random.Random) -> str:
        return self.change(text, dice) if dice.random() < self.p else text

    @abstractmethod
    def change(self, text: str, dice: random.Random) -> str:
        """One text, changed."""


@final
@dataclass(frozen=True)
class Synonyms(_ByWords):
    """Words in another of WordNet's words for the same.

    Args:
        share: of the words, those that are changed; at least one of those that have a synonym. Small words are left.
        p: chance that a text is changed at all.
        folder: where WordNet is installed.

    Raises:
        DataError: it is not.
    """

    share: Fraction = 0.1
    p: Fraction = 1.0
    folder: str = FOLDER

    def __post_init__(self) -> None:
        wordnet(self.folder)

    def change(self, text: str, dice: random.Random) -> str:
        """One text, changed."""
        pieces, source = _PIECES.findall(text), wordnet(self.folder)
        places = [place for place, piece in enumerate(pieces) if _choices(piece, source)]
        for place in dice.sample(places, min(len(places), _count(self.share, pieces))):
            before, word, after = _split(pieces[place])
            pieces[place] = before + _cased(dice.choice(_choices(word, source)), word) + after
        return "".join(pieces)


@final
@dataclass(frozen=True)
class InsertWords(_ByWords):
    """Synonyms of some words, put anywhere. Arguments as of `Synonyms`."""

    share: Fraction = 0.1
    p: Fraction = 1.0
    folder: str = FOLDER

    def __post_init__(self) -> None:
        wordnet(self.folder)

    def change(self, text: str, dice: random.Random) -> str:
        """One text, changed."""
        pieces, source = _PIECES.findall(text), wordnet(self.folder)
        known = [choices for piece in pieces if (choices := _choices(piece, source))]
        for _ in range(_count(self.share, pieces) if known else 0):
            place = dice.choice(_words(pieces))
            pieces[place] = f"{dice.choice(dice.choice(known))} {pieces[place]}"
        return "".join(pieces)


@final
@dataclass(frozen=True)
class SwapWords(_ByWords):
    """Two words in each other's place, again and again.

    Args:
        share: exchanges for each word of the text; at least one.
        p: chance that a text is changed at all.
    """

    share: Fraction = 0.1
    p: Fraction = 1.0

    def change(self, text: str, dice: random.Random) -> str:
        """One text, changed."""
        pieces = _PIECES.findall(text)
        places = _words(pieces)
        for _ in range(_count(self.share, pieces) if len(places) > 1 else 0):
            one, other = dice.sample(places, 2)
            pieces[one], pieces[other] = pieces[other], pieces[one]
        return "".join(pieces)


@final
@dataclass(frozen=True)
class DeleteWords(_ByWords):
    """Words left out.

    Args:
        share: chance that a word is left out; one word stays whatever the dice say.
        p: chance that a text is changed at all.
    """

    share: Fraction = 0.1
    p: Fraction = 1.0

    def change(self, text: str, dice: random.Random) -> str:
        """One text, changed."""
        pieces = _PIECES.findall(text)
        places = _words(pieces)
        gone = {place for place in places if dice.random() < self.share}
        if places and len(gone) == len(places):
            gone.discard(dice.choice(places))
        gone |= {place + 1 for place in gone}  # with the space behind it
        return "".join(piece for place, piece in enumerate(pieces) if place not in gone)


Translator = Callable[[Sequence[str]], list[str]]


@final
@dataclass(frozen=True)
class BackTranslation(TextAugmentation):
    """What becomes of a text that one network translates and another translates back (Sennrich et al., "Improving
    neural machine translation models with monolingual data", 2016; for augmentation Xie et al., "Unsupervised data
    augmentation", 2020).

    All texts are translated once, before the first step. Differs from the papers: the likeliest translation, not a
    drawn one, so that it can be kept.

    Args:
        there, back: run or model folders of two translations in opposite directions.
        p: chance that a text is read in its new form in an epoch.
    """

    there: str
    back: str
    p: Fraction = 0.5
    _translators: list[Translator] = field(default_factory=list, init=False, repr=False, compare=False)
    _kept: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    def bind(self, there: Translator, back: Translator) -> None:
        """Hand over the two networks; only the floor above can load them."""
        self._translators[:] = [there, back]

    def prepare(self, texts: Sequence[str]) -> None:
        """Translate what is not known yet.

        Raises:
            ConfigError: nobody handed over networks.
        """
        made = sorted({text for text in texts if text not in self._kept}, key=lambda text: (len(text), text))
        if made and not self._translators:
            raise ConfigError("augment.back-translation needs a run to load its networks; use train", path="augment")
        changed = made
        for translate in self._translators if made else ():
            changed = translate(changed)
        self._kept.update((old, new) for old, new in zip(made, changed, strict=True) if new.strip())

    def __call__(self, texts: Sequence[str], chances: Sequence[int]) -> list[str]:
        """Change texts."""
        self.prepare(texts)
        pairs = zip(texts, chances, strict=True)
        return [self._kept.get(text, text) if random.Random(seed).random() < self.p else text for text, seed in pairs]


def _words(pieces: Sequence[str]) -> list[int]:
    return [place for place, piece in enumerate(pieces) if not piece.isspace()]


def _count(share: float, pieces: Sequence[str]) -> int:
    return max(1, round(share * len(_words(pieces)))) if share else 0


def _split(piece: str) -> tuple[str, str, str]:
    """What stands before a word, the word, what stands behind it."""
    match = _CORE.match(piece)
    assert match is not None
    return match[1], match[2], match[3]


def _choices(piece: str, source: WordNet) -> tuple[str, ...]:
    _, word, _ = _split(piece)
    return () if word.lower() in _SMALL else source.synonyms(word)


def _cased(new: str, old: str) -> str:
    """With a capital, where the old word had one."""
    return new[:1].upper() + new[1:] if old[:1].isupper() else new
