"""Figures of written texts: BLEU and chrF of translations, exact match and F1 of answers.

BLEU: Papineni et al., "BLEU: a method for automatic evaluation of machine translation", 2002; chrF: Popović, "chrF:
character n-gram F-score for automatic MT evaluation", 2015; both by sacrebleu (Post, "A call for clarity in reporting
BLEU scores", 2018), on its scale from 0 to 100. Answers: Rajpurkar et al., "SQuAD: 100,000+ questions for machine
comprehension of text", 2016; from 0 to 1, as all figures here that are shares.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Any

from netwright.core.errors import need

__all__ = [
    "answer_f1",
    "answer_match",
    "bleu",
    "chrf",
    "exact_match",
    "normalised_answer",
    "overlaps",
    "text_figures",
]

_CHINESE = re.compile("[\N{CJK UNIFIED IDEOGRAPH-4E00}-\N{CJK UNIFIED IDEOGRAPH-9FFF}]")
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def text_figures(written: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
    """`bleu`, `chrf` and `exact_match` of texts against one reference each; NaN where there is none."""
    if not wanted:
        return dict.fromkeys(("bleu", "chrf", "exact_match"), float("nan"))
    return {
        "bleu": bleu(written, wanted),
        "chrf": chrf(written, wanted),
        "exact_match": exact_match(written, wanted),
    }


def bleu(written: Sequence[str], wanted: Sequence[str]) -> float:
    """Corpus BLEU-4 in 0..100: words as mteval-13a cuts them, Chinese by characters.

    Raises:
        MissingExtra: sacrebleu is not installed.
    """
    made = _sacrebleu().corpus_bleu(list(written), [list(wanted)], tokenize=_cutting(wanted))
    return float(made.score)


def chrf(written: Sequence[str], wanted: Sequence[str]) -> float:
    """Corpus chrF2 in 0..100: F-score of character n-grams up to 6, recall counting twice.

    Raises:
        MissingExtra: sacrebleu is not installed.
    """
    return float(_sacrebleu().corpus_chrf(list(written), [list(wanted)]).score)


def exact_match(written: Sequence[str], wanted: Sequence[str]) -> float:
    """Share of texts that are the reference but for white space at the ends and its amount within."""
    return sum(_plain(one) == _plain(other) for one, other in zip(written, wanted, strict=True)) / len(wanted)


def overlaps(written: Sequence[str], wanted: Sequence[str]) -> list[float]:
    """chrF2 of each text alone, to find the best and the worst."""
    score = _sacrebleu().sentence_chrf
    return [float(score(one, [other]).score) for one, other in zip(written, wanted, strict=True)]


def normalised_answer(text: str) -> str:
    """SQuAD's form for comparing: small letters, no punctuation, no articles, single spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def answer_match(said: str, wanted: str) -> float:
    """1 where two answers are the same after `normalised_answer`, else 0."""
    return float(normalised_answer(said) == normalised_answer(wanted))


def answer_f1(said: str, wanted: str) -> float:
    """Harmonic mean of precision and recall of the words two answers share, as bags; 1 where both are empty.

    Chinese characters count as words of their own, since no spaces stand between them.
    """
    said_words, wanted_words = _words(said), _words(wanted)
    if not said_words or not wanted_words:
        return float(said_words == wanted_words)
    shared = sum((Counter(said_words) & Counter(wanted_words)).values())
    return 2 * shared / (len(said_words) + len(wanted_words))


def _words(text: str) -> list[str]:
    return _CHINESE.sub(r" \g<0> ", normalised_answer(text)).split()


def _plain(text: str) -> str:
    return " ".join(text.split())


def _cutting(wanted: Sequence[str]) -> str:
    """How sacrebleu is to cut words: `zh` where a third of what stands in the references is Chinese."""
    whole = "".join(wanted)
    return "zh" if 3 * len(_CHINESE.findall(whole)) > len(whole) else "13a"


def _sacrebleu() -> Any:
    return need("sacrebleu", "text")
