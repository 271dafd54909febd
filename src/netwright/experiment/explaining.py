"""`explain`: what a network is made of - one by name, one from a config, or anybody's module."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from netwright import models
from netwright.core import schemas
from netwright.core.errors import ConfigError, suggest
from netwright.experiment.reading import example_names, example_path
from netwright.metrics.architecture import Architecture, trace

__all__ = ["explain"]


def explain(network: nn.Module | str | Path, input_shape: Sequence[int] | None = None) -> Architecture:
    """Stages, shapes, parameters, FLOPs, activation memory and receptive field; idea, paper and use for known names.

    Args:
        network: a module, a name of the catalog, or a config (its data decide the sizes).
        input_shape: of one example, without the batch.

    Raises:
        ConfigError: unknown name, or an input that does not fit the network.
    """
    if input_shape is not None and not all(isinstance(size, int) and size > 0 for size in input_shape):
        template = "input_shape={got!r} does not fit; expected sizes, such as (3, 224, 224)"
        raise ConfigError(template, got=tuple(input_shape))
    if isinstance(network, nn.Module):
        if input_shape is None:
            raise ConfigError("explain needs input_shape for a module, such as (3, 224, 224)")
        return trace(network, input_shape=tuple(input_shape))
    if str(network) in models.MODELS:
        return _by_name(str(network), input_shape)
    _find(str(network))
    return _by_config(network, input_shape)


def _find(name: str) -> None:
    """Names of networks, files and examples are all taken; the nearest of all is what a misspelt one may mean."""
    if Path(name).suffix not in (".yaml", ".yml") and not Path(name).exists() and not example_path(name).exists():
        near = suggest(name, [*models.list_models(), *example_names()])
        template = "{name} is neither a network, nor a file, nor an example{near}"
        raise ConfigError(template, name=name, near=near)


def _by_name(name: str, input_shape: Sequence[int] | None) -> Architecture:
    card = models.card(name)
    shape = tuple(input_shape or card.input)
    sizes: dict[str, object] = {}
    if input_shape is not None:
        sizes = {"in_channels": shape[0], "image_size": shape[-1], "in_features": int(torch.tensor(shape).prod())}
        sizes |= {"image_shape": shape} if len(shape) == 3 else {}
    factory = models.catalog().load(name)
    net = schemas.build(factory, {}, "model", sizes)
    named = replace(trace(net, _example(card.input_kind, shape)), name=name)
    return replace(named, idea=card.idea, paper=card.paper, when=card.when)


def _by_config(source: str | Path, input_shape: Sequence[int] | None) -> Architecture:
    from netwright.data import load_data
    from netwright.experiment.assemble import build_network
    from netwright.experiment.config import load_config

    config = load_config(source)
    schema = load_data(config.sections.data, base=config.folder).schema
    net, recipe = build_network(config, schema.sizes(), schema.input_shape, None)
    card = models.MODELS.get(recipe["name"])
    shape = tuple(input_shape or schema.input_shape) or (int(getattr(net, "context", 1)),)
    kind = card.input_kind if card else "float"
    shape = (int(getattr(net, "noise_size", 1)),) if kind == "noise" else shape
    named = replace(trace(net, _example(kind, shape)), name=recipe["name"])
    return replace(named, idea=card.idea, paper=card.paper, when=card.when) if card else named


def _example(kind: str, shape: tuple[int, ...]) -> Tensor:
    return torch.zeros(1, *shape, dtype=torch.int64 if kind == "tokens" else torch.float32)
