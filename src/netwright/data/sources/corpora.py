"""The prepared corpora as built-in sets: their files through the loader that any user's files go through."""

from functools import partial

from netwright.data.corpora.catalog import CORPORA, prepared
from netwright.data.sources import documents, graphs, node_graph
from netwright.data.sources.loaded import Loaded, Origin

__all__ = ["load", "load_graph", "load_help", "load_molecules", "load_newsgroups", "load_synopses", "load_wordnet"]


def load(name: str) -> Loaded:
    """A prepared corpus with its own split.

    Raises:
        DataError: it was not prepared; says the command that does it.
    """
    corpus, files = CORPORA[name], {part: str(path) for part, path in prepared(name).items()}
    others = {f"{part}_path": path for part, path in files.items() if part != "train"}
    loaded = documents.load(files["train"], **corpus.columns, **others)  # type: ignore[arg-type]
    return _known(loaded, name, files["train"])


load_newsgroups = partial(load, "newsgroups")
load_help = partial(load, "help-en-de")
load_synopses = partial(load, "synopses")
load_wordnet = partial(load, "wordnet")


def load_molecules(target: str = "class") -> Loaded:
    """Molecules with how they dissolve, as a class, or as `logS`, the decadic logarithm of moles in a litre.

    Raises:
        DataError: they were not prepared.
    """
    files = {part: str(path) for part, path in prepared("solubility").items()}
    loaded = graphs.load(files["train"], target=target, test_path=files["test"])
    return _known(loaded, "solubility", files["train"])


def load_graph() -> Loaded:
    """Debian's packages as one graph.

    Raises:
        DataError: it was not prepared.
    """
    file = str(prepared("debian-packages")["graph"])
    return _known(node_graph.load(file), "debian-packages", file)


def _known(loaded: Loaded, name: str, file: str) -> Loaded:
    """The same under the corpus's name, source and licence."""
    corpus = CORPORA[name]
    loaded.dataset.name, loaded.origin = name, Origin(f"{corpus.source} ({file})", corpus.licence)
    return loaded
