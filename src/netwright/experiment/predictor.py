"""A trained network with everything around it: preprocessing in, words out."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright import models
from netwright.core import schemas
from netwright.core.catalogs import trusting
from netwright.core.errors import CheckpointError, ConfigError, because
from netwright.core.records import read_json
from netwright.data import Preprocessor, Schema
from netwright.data.masks import whole_mask
from netwright.data.textual import TextPreprocessor
from netwright.experiment.embeddings import word_vectors
from netwright.experiment.foreign import part_memory
from netwright.experiment.model_folder import FORMAT, find_model_folder, load_weights
from netwright.experiment.writing import Emit, in_pieces, write_text
from netwright.models.layers import LayerStack
from netwright.models.sequence.word2vec import WordVectors
from netwright.tasks import TASKS, Task

__all__ = ["Predictor", "load"]

_BATCH = 256
_TOGETHER = 64  # texts or graphs of a batch
_MASK_PIXELS = 2**19  # of a batch whose answer is a class for every pixel: such networks keep large maps


def load(path: str | Path, network: nn.Module | None = None, trust: bool = False) -> "Predictor":
    """Load a model folder (or a run folder) for prediction, on the CPU.

    Args:
        network: needed when `fit` trained a class of your own, whose code no model folder holds.
        trust: import the Python objects that the run's config named.

    Raises:
        CheckpointError: no model there, damaged, or weights of another network.
    """
    if not isinstance(path, str | Path):
        raise ConfigError("the model is {got!r}; expected a model folder or a run folder", got=path)
    folder = find_model_folder(Path(path))
    config = read_json(folder / "config.json")
    if "model_type" in config:
        template = (
            "{folder} is a Hugging Face folder; load it with netwright.load_pretrained, or train from model.weights"
        )
        raise CheckpointError(template, folder=folder)
    if config.get("format") != FORMAT:
        template = "{folder} is not a model folder that this version reads; give one that a run wrote, or train again"
        raise CheckpointError(template, folder=folder)
    try:
        schema = Schema.from_dict(config["schema"])
        preprocess = _preprocess(folder, schema)
        with trusting(trust):
            net = network if network is not None else _network(config["model"])
            task = _task(config["task"], schema, preprocess)
    except ConfigError as error:
        if ":" in str(config["model"].get("name", "")):  # a name in the user's own code, which the error is about
            raise
        # nobody wrote this config: it was changed, or is of another version
        template = "{file} is damaged or of another version ({error}); restore it or train again"
        raise CheckpointError(template, file=folder / "config.json", error=error) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        template = "{file} is damaged ({reason}); restore it or train again"
        raise CheckpointError(template, file=folder / "config.json", reason=because(error)) from error
    part_memory(net)
    load_weights(net, folder / "model.safetensors")
    return Predictor(net.eval(), task, schema, preprocess, config)


class Predictor:
    """Call it on inputs of the kind it was trained on.

    One input is a path or PIL picture, an array or tensor, a row as a dictionary, a graph, or a text; several are a
    list of those, or an array with one more dimension. Of a graph whose nodes are classified there is an answer a node.
    `network` is the plain module.
    """

    def __init__(
        self, network: nn.Module, task: Task, schema: Schema, preprocess: Preprocessor | None, config: dict[str, Any]
    ) -> None:
        self.network, self.task, self.schema = network, task, schema
        self.preprocess, self.config = preprocess, config

    def __call__(self, inputs: Any) -> list[dict[str, Any]]:
        """What the network says of each input, in the user's words: label and probabilities, the predicted numbers, or
        a mask (an array of class codes at the input's own size) with the share of each class.

        Raises:
            DataError: an input that does not fit the schema.
        """
        return self.answers(inputs)

    def answers(self, inputs: Any) -> list[dict[str, Any]]:
        """See `__call__`."""
        several = self._each(inputs)
        if not len(several):
            return []
        with torch.inference_mode():
            said = self.task.replies(self.network, several)
        if said is not None:
            return said
        told = self.task.answers(self.outputs(several))
        if self.schema.target.kind != "mask" or self.schema.kind != "image" or self.schema.input_dtype != "uint8":
            return told
        return [{**answer, "mask": whole_mask(answer["mask"], x)} for answer, x in zip(told, several, strict=True)]

    @torch.inference_mode()
    def outputs(self, inputs: Any) -> Tensor:
        """The network's raw outputs for the inputs. Shapes: N inputs -> (N, …)."""
        several = self._each(inputs)
        if self.schema.kind in ("text", "graph") and self.preprocess is not None:
            return self._together(several, self.preprocess)
        raw = [self._raw(x) for x in several]
        parts = []
        size = max(1, min(_BATCH, _MASK_PIXELS // raw[0].numel())) if self.schema.target.kind == "mask" else _BATCH
        for first in range(0, len(raw), size):
            batch = torch.stack(raw[first : first + size])
            as_seen = getattr(torch, self.schema.input_dtype)
            ready = self.preprocess.inputs(batch) if self.preprocess else batch.to(as_seen)
            parts.append(self.task.predict(self.network, ready))
        return torch.cat(parts)

    def _together(self, inputs: Sequence[Any], preprocess: Preprocessor) -> Tensor:
        """Graphs side by side, or texts filled up to the longest; places that a batch lacks are never the answer."""
        parts = []
        for first in range(0, len(inputs), _TOGETHER):
            arguments = preprocess.batch(inputs[first : first + _TOGETHER])
            parts.append(self.network(*arguments) if isinstance(arguments, tuple) else self.network(arguments))
        places = max(part.shape[-1] for part in parts)
        return torch.cat([F.pad(part, (0, places - part.shape[-1]), value=-torch.inf) for part in parts])

    @cached_property
    def vectors(self) -> WordVectors:
        """The vectors of the network's words, to look up; `nearest` and `analogy` ask the two usual questions.

        Raises:
            ConfigError: it reads no words.
        """
        return word_vectors(self.network, self.preprocess.tokenizer if self.preprocess else None)

    def nearest(self, word: str, k: int = 10) -> list[tuple[str, float]]:
        """The `k` words whose vectors are closest to that of `word`, and their cosines."""
        return self.vectors.nearest(word, k)

    def analogy(self, a: str, b: str, c: str, k: int = 1) -> list[tuple[str, float]]:
        """What is to `c` as `b` is to `a`: the closest words, and their cosines."""
        return self.vectors.analogy(a, b, c, k)

    def generate(self, prompt: str, max_new_tokens: int = 200, **options: Any) -> str:
        """The prompt and what the network writes after it; the new text alone where it reads one and writes another.

        Raises:
            ConfigError: this network does not write text.
        """
        written = self.write(prompt, lambda piece: False, max_new_tokens, **options)
        return prompt + written if self.goes_on else written

    def write(self, prompt: str, emit: Emit, max_new_tokens: int = 200, **options: Any) -> str:
        """Give `emit` the new text piece by piece as it is written; a true answer of it ends the writing.

        Args:
            options: `stop` (strings), `seed`, and the settings of `blocks.generation.generate_tokens`.

        Raises:
            ConfigError: this network does not write text.
        """
        preprocess = self.preprocess
        if not isinstance(preprocess, TextPreprocessor) or not hasattr(self.network, "generate"):
            raise ConfigError("this model does not write text; use predict", path="")
        return write_text(self.network, preprocess, prompt, emit, max_new_tokens, **options)

    def stream(self, prompt: str, max_new_tokens: int = 200, **options: Any) -> Iterator[str]:
        """The new text piece by piece, for whoever would rather ask than be told; see `write`."""
        return in_pieces(lambda emit: self.write(prompt, emit, max_new_tokens, **options))

    @property
    def goes_on(self) -> bool:
        """Whether what the network writes follows its input, and is no answer to it."""
        return self.schema.target.kind != "text"

    def _each(self, inputs: Any) -> Sequence[Any]:
        if isinstance(inputs, list | tuple):
            return inputs
        if isinstance(inputs, Tensor | np.ndarray) and inputs.ndim > len(self.schema.input_shape):
            return list(inputs)
        if hasattr(inputs, "to_dict") and hasattr(inputs, "columns"):  # a pandas or polars table: a row an input
            rows: list[Any] = inputs.to_dict("records") if hasattr(inputs, "iloc") else inputs.to_dicts()
            return rows
        return [inputs]

    def _raw(self, x: Any) -> Tensor:
        return self.preprocess.raw(x) if self.preprocess else torch.as_tensor(np.asarray(x))


def _network(recipe: dict[str, Any]) -> nn.Module:
    if "python" in recipe:
        template = "this model's network is your own class {name}; build it and give it: nw.load(path, network=net)"
        raise CheckpointError(template, name=recipe["python"])
    factory = LayerStack if recipe["name"] == "layers" else models.catalog().load(recipe["name"])
    network: nn.Module = schemas.build(factory, recipe["arguments"], "model")
    return network


def _preprocess(folder: Path, schema: Schema) -> Preprocessor | None:
    """The preprocessor, tried on one example of zeros; environments have none."""
    if schema.kind == "environment":
        return None
    file = folder / "preprocessor.json"
    made = Preprocessor.from_dict(read_json(file))
    if schema.kind == "text":
        return made
    shape = (len(schema.features),) if schema.kind == "table" else schema.input_shape
    try:
        fits = (
            made.inputs(torch.zeros(1, *shape, dtype=getattr(torch, schema.input_dtype))).shape[1:]
            == schema.input_shape
        )
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):
        fits = False
    if not fits:
        raise CheckpointError(
            "{file} is damaged (its values do not fit the data); restore it or train again", file=file
        )
    return made


def _task(recipe: dict[str, Any], schema: Schema, preprocess: Preprocessor | None) -> Task:
    values = {key: value for key, value in recipe.items() if key not in ("name", "judge")}
    bound = {"schema": schema, "preprocess": preprocess, "seed": 0, "total_steps": 1}
    task: Task = schemas.build(
        TASKS.load(recipe["name"]), values, "task", {k: v for k, v in bound.items() if v is not None}
    )
    return task
