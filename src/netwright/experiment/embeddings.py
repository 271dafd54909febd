"""Vectors of words that one run learned: looking them up, and starting another network's embedding from them.

Words are matched by their spelling, so that both runs may have their own vocabulary. ``V`` vocabulary, ``D`` width.
"""

import logging
from pathlib import Path

import torch
from torch import Tensor, nn

from netwright.core.errors import ConfigError
from netwright.core.messages import say
from netwright.data import Preprocessor
from netwright.data.section import resolve
from netwright.data.tokenizing import Tokenizer
from netwright.experiment.config import Config
from netwright.experiment.pretrained import is_gone, split_model
from netwright.models.sequence.word2vec import WordVectors
from netwright.tasks.word2vec import vectors_of

__all__ = ["start_embeddings", "start_from_vectors", "word_vectors"]

log = logging.getLogger("netwright")


def word_vectors(network: nn.Module, tokenizer: Tokenizer | None) -> WordVectors:
    """The vectors that a network has for its words; special codes have no name.

    Raises:
        ConfigError: it reads no words.
    """
    table_VD = None if tokenizer is None else next(iter(_tables(network, len(tokenizer))), None)
    if tokenizer is None or table_VD is None:
        raise ConfigError("this model has no vectors of words; train one with task: word2vec", path="")
    return vectors_of(table_VD, tokenizer)


def start_from_vectors(network: nn.Module, config: Config, preprocess: Preprocessor | None, run: Path) -> None:
    """Do what `model.embeddings` of a config says, if anything; see `start_embeddings`. A run that goes on without
    that file has them in its checkpoints.
    """
    name, values = config.named("model")
    path = split_model(name, values)[1].embeddings if name is not None else None
    if path is not None and not is_gone(path, config.folder, run):
        start_embeddings(network, resolve(path, config.folder), preprocess)


def start_embeddings(network: nn.Module, path: Path, preprocess: Preprocessor | None) -> None:
    """Let the network's embedding start from the vectors of the run at `path`, in place; words it lacks stay fresh.

    Raises:
        ConfigError: vectors of another width, or a network that reads no words.
        CheckpointError: no run there.
    """
    from netwright.experiment.predictor import load

    tokenizer = preprocess.tokenizer if preprocess is not None else None
    tables = _tables(network, len(tokenizer)) if tokenizer is not None else []
    if tokenizer is None or not tables:
        template = "model.embeddings={file} needs a network that reads words; leave it out"
        raise ConfigError(template, path="model.embeddings", file=path)
    other = load(path)
    learned = word_vectors(other.network, other.preprocess.tokenizer if other.preprocess else None)
    for table_VD in tables:
        if table_VD.shape[1] != learned.table_VD.shape[1]:
            template = (
                "model.embeddings={file} holds vectors of {got} numbers, and the network's have {wanted}; "
                "set its width (embedding_size or hidden_size) to {got}"
            )
            got, wanted = learned.table_VD.shape[1], table_VD.shape[1]
            raise ConfigError(template, path="model.embeddings", file=path, got=got, wanted=wanted)
        known = _copy(table_VD, learned, tokenizer)
    template = "{known} of {total} words start from the vectors of {file}"
    log.info(say(template, known=known, total=len(tokenizer) - len(tokenizer.special), file=path))


@torch.no_grad()
def _copy(table_VD: Tensor, learned: WordVectors, tokenizer: Tokenizer) -> int:
    """Write the vectors that there are; how many."""
    words = {code: tokenizer.decode([code]) for code in range(len(tokenizer)) if code not in tokenizer.special}
    codes = [code for code, word in words.items() if word in learned]
    if codes:
        table_VD[codes] = torch.stack([learned[words[code]] for code in codes]).to(table_VD)
    return len(codes)


def _tables(network: nn.Module, vocab_size: int) -> list[Tensor]:
    """The weights of the embeddings of words, those of the input first."""
    found = [module for module in network.modules() if isinstance(module, nn.Embedding)]
    return [module.weight for module in found if module.num_embeddings == vocab_size]
