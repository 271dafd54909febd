"""Figures that a network on text must be compared with: python tools/baseline_text.py [NAME ...]

newsgroups: TF-IDF and logistic regression (scikit-learn). wordnet: bits per byte of `xz -9e`, which has seen the
training part first. help-en-de: the source copied. synopses: the first words of the text. The corpora are those that
`netwright data fetch NAME` prepared.
"""

import argparse
import json
import lzma
import sys
import time
from collections.abc import Callable

from netwright.core.errors import NetwrightError, need
from netwright.data.corpora.catalog import prepared

_FIRST_WORDS = 8  # of a description: about as long as a synopsis is


def main() -> int:
    """Print a line a corpus; 3 where one is not prepared."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(_BASELINES)}; all by default")
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(_BASELINES):
        parser.error(f"no baseline for {', '.join(sorted(unknown))}")
    failed = 0
    for name in chosen.names or _BASELINES:
        start = time.perf_counter()
        try:
            figures = _BASELINES[name]()
        except NetwrightError as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = 3
            continue
        shown = ", ".join(f"{key} {value:.4g}" for key, value in figures.items())
        print(f"{name}: {shown} ({time.perf_counter() - start:.1f} s)")
    return failed


def newsgroups() -> dict[str, float]:
    """Accuracy on the test part: words weighted by how rare they are, and a linear classifier."""
    linear = need("sklearn.linear_model", "tables")
    words = need("sklearn.feature_extraction.text", "tables").TfidfVectorizer(sublinear_tf=True, min_df=2)
    train, test = _rows("newsgroups", "train"), _rows("newsgroups", "test")
    seen = words.fit_transform(row["text"] for row in train)
    fitted = linear.LogisticRegression(C=10.0, max_iter=200).fit(seen, [row["label"] for row in train])
    said = fitted.predict(words.transform(row["text"] for row in test))
    return {"accuracy": sum(a == row["label"] for a, row in zip(said, test, strict=True)) / len(test)}


def wordnet() -> dict[str, float]:
    """Bits per byte of the test part, alone and after the training part; the dictionary is longer than both."""
    train, test = (_text(part) for part in ("train", "test"))
    alone, first, both = (_packed(content) for content in (test, train, train + test))
    return {"bits_per_byte": 8 * (both - first) / len(test), "bits_per_byte_alone": 8 * alone / len(test)}


def help_en_de() -> dict[str, float]:
    """BLEU and chrF of English handed in as German: names and numbers that are the same in both."""
    rows = _rows("help-en-de", "test")
    return _scores([row["en"] for row in rows], [row["de"] for row in rows])


def synopses() -> dict[str, float]:
    """BLEU and chrF of the description's first words handed in as its synopsis."""
    rows = _rows("synopses", "test")
    firsts = [" ".join(row["text"].partition(": ")[2].split()[:_FIRST_WORDS]) for row in rows]
    return _scores(firsts, [row["synopsis"] for row in rows])


def _scores(said: list[str], wanted: list[str]) -> dict[str, float]:
    sacrebleu = need("sacrebleu", "text")
    return {"bleu": sacrebleu.corpus_bleu(said, [wanted]).score, "chrf": sacrebleu.corpus_chrf(said, [wanted]).score}


def _rows(name: str, part: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in prepared(name)[part].read_text("utf-8").splitlines()]


def _text(part: str) -> bytes:
    return "".join(row["text"] + "\n" for row in _rows("wordnet", part)).encode("utf-8")


def _packed(content: bytes) -> int:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 26}]
    return len(lzma.compress(content, filters=filters))


_BASELINES: dict[str, Callable[[], dict[str, float]]] = {
    "newsgroups": newsgroups,
    "wordnet": wordnet,
    "help-en-de": help_en_de,
    "synopses": synopses,
}

if __name__ == "__main__":
    sys.exit(main())
