"""The prepared corpora as built-in sets: their files through the loader that any user's files go through."""

from functools import partial

from netwright.data.corpora.catalog import CORPORA, prepared
from netwright.data.sources import documents
from netwright.data.sources.loaded import Loaded, Origin

__all__ = ["load", "load_help", "load_newsgroups", "load_synopses", "load_wordnet"]


def load(name: str) -> Loaded:
    """A prepared corpus with its own split.

    Raises:
        DataError: it was not prepared; says the command that does it.
    """
    corpus, files = CORPORA[name], {part: str(path) for part, path in prepared(name).items()}
    others = {f"{part}_path": path for part, path in files.items() if part != "train"}
    loaded = documents.load(files["train"], **corpus.columns, **others)  # type: ignore[arg-type]
    loaded.dataset.name = name
    loaded.origin = Origin(f"{corpus.source} ({files['train']})", corpus.licence)
    return loaded


load_newsgroups = partial(load, "newsgroups")
load_help = partial(load, "help-en-de")
load_synopses = partial(load, "synopses")
load_wordnet = partial(load, "wordnet")
