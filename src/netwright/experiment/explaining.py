"""`explain`: what a network is made of - one by name, one from a config, or anybody's module."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from netwright import models
from netwright.core import schemas
from netwright.core.errors import ConfigError, suggest
from netwright.experiment.compatible import construct, default_model
from netwright.experiment.reading import example_names, example_path
from netwright.metrics.architecture import Architecture, trace
from netwright.models.layers import LayerStack

__all__ = ["explain", "titled"]

Source = str | Path | Mapping[str, Any]

_RING = 24  # nodes of the graph that a network of graphs is shown
_UNKNOWN = models.ModelCard(target="", family="own", tasks=(), summary="")


def explain(
    network: nn.Module | Source, input_shape: Sequence[int] | None = None, overrides: Sequence[str] = ()
) -> Architecture:
    """Stages, shapes, parameters, FLOPs, activation memory and receptive field; idea, paper and use for known names.

    Args:
        network: a module, a name of the catalog, a `model:` section as a mapping (`{"name": "resnet18", "width": 16}`),
            or a config: a file, an example's name or a mapping with `data`, which decides the sizes.
        input_shape: of one example, without the batch.
        overrides: `path=value` strings for a name or a config, such as `model.width=16`.

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
    source: Source = network
    if not isinstance(network, Mapping):
        name = _name(str(network))
        if name is None:
            _find(str(network))
        else:
            source = {"name": name}
    return _from(source, input_shape, overrides)


def _from(source: Source, input_shape: Sequence[int] | None, overrides: Sequence[str]) -> Architecture:
    from netwright.experiment.config import check_sections, overridden  # slow to import, and a module needs neither

    if not isinstance(source, Mapping) or "data" in source:
        return _by_config(source, input_shape, overrides)
    whole = overridden({"model": _section(source.get("model", source))}, overrides)
    if "data" in whole:
        return _by_config(whole, input_shape, ())
    check_sections(whole)
    return _by_section(_section(whole["model"]), input_shape)


def _section(value: Any) -> Any:
    """`model: lenet5` and `model: {name: lenet5}` mean the same."""
    return {"name": value} if isinstance(value, str) else value or {}


def _name(text: str) -> str | None:
    """The name of a network, in the catalog or in the user's own code; None for a file or an example."""
    return models.catalog().canonical(text) or (text if re.fullmatch(r"[\w.]+:[\w.]+", text) else None)


def _find(name: str) -> None:
    """Names of networks, files and examples are all taken; the nearest of all is what a misspelt one may mean."""
    if Path(name).suffix not in (".yaml", ".yml") and not Path(name).exists() and not example_path(name).exists():
        near = suggest(name, [*models.list_models(), *example_names()])
        template = "{name} is neither a network, nor a file, nor an example{near}"
        raise ConfigError(template, name=name, near=near)


def _by_section(section: Mapping[str, Any], input_shape: Sequence[int] | None) -> Architecture:
    """A network without data: the card's own input, in the sizes that the section asks for, or the shape given."""
    values = {key: value for key, value in section.items() if key != "name"}
    name, layers = section.get("name"), "layers" in section
    factory = LayerStack if layers else models.catalog().load(str(name))
    card = _UNKNOWN if layers else models.card(str(name))
    shape = tuple(input_shape) if input_shape is not None else _card_shape(card.input, values)
    if not shape:
        raise ConfigError("explain needs input_shape for {name}, such as (3, 224, 224)", name=name or "layers")
    sizes = _sizes(shape) if input_shape is not None else {}
    arguments = schemas.arguments(factory, values, "model", sizes)
    title = "layers" if layers else models.catalog().canonical(str(name)) or str(name)
    examples = _examples(card.input_kind, shape, values.get("edge_features", 0))
    known = _measured(partial(construct, factory, arguments, title), examples)
    return titled(known, title)


def _measured(build: Callable[[], nn.Module], examples: Sequence[Tensor]) -> Architecture:
    """Built without memory and without drawing weights, where the constructor allows it: a ViT-L takes no longer."""
    try:
        with torch.device("meta"):
            known = trace(build(), *examples)
        if known.method == "meta":
            return known
    except Exception:  # it wants values; the real one succeeds, or says what is wrong
        pass
    return trace(build(), *examples)


def _sizes(shape: tuple[int, ...]) -> dict[str, Any]:
    """What an input's shape decides, under the names that constructors have for it."""
    sizes: dict[str, Any] = {"in_channels": shape[0], "image_size": shape[-1], "in_features": math.prod(shape)}
    sizes["input_shape"] = list(shape)
    return {**sizes, "image_shape": shape} if len(shape) == 3 else sizes


def _card_shape(shape: tuple[int, ...], values: Mapping[str, Any]) -> tuple[int, ...]:
    """The card's input in the channels, the size or the length that a section sets."""
    if "image_shape" in values and len(shape) == 3:
        return tuple(values["image_shape"])
    if len(shape) == 3:
        side = values.get("image_size")
        return (values.get("in_channels", shape[0]), *((side, side) if isinstance(side, int) else shape[1:]))
    own = next((values[key] for key in ("in_features", "context", "noise_size") if key in values), None)
    return (own,) if len(shape) == 1 and isinstance(own, int) else shape


def _by_config(source: Source, input_shape: Sequence[int] | None, overrides: Sequence[str]) -> Architecture:
    from netwright.data import load_data
    from netwright.experiment.config import load_config
    from netwright.experiment.networks import build_network, network_sizes
    from netwright.experiment.vocabulary import with_vocabulary

    config = with_vocabulary(load_config(source, overrides))
    schema = load_data(config.sections.data, base=config.folder).schema
    name, values = config.named("task")
    if config.sections.model is None:
        config = config.resolved(model=default_model(name or schema.default_task(), schema))
    sizes = network_sizes(name, values, schema) if name else schema.sizes()
    net, recipe, _ = build_network(config, sizes, schema.input_shape)
    card = models.MODELS.get(recipe["name"], _UNKNOWN)
    if card is _UNKNOWN and schema.kind == "text":
        card = replace(card, input_kind="token-pairs" if schema.target.kind == "text" else "tokens")
    edge_features = 0
    if schema.graph is not None:
        card, edge_features = replace(card, input_kind="graph"), schema.graph.edge_features
    shape = tuple(input_shape or schema.input_shape) or (int(getattr(net, "context", 1)),)
    shape = (int(getattr(net, "noise_size", 1)),) if card.input_kind == "noise" else shape
    return titled(trace(net, *_examples(card.input_kind, shape, edge_features)), recipe["name"])


def titled(known: Architecture, name: str) -> Architecture:
    """An architecture under its name in the catalog, with the words of its card."""
    card = models.MODELS.get(name, _UNKNOWN)
    return replace(known, name=name, idea=card.idea, paper=card.paper, when=card.when)


def _examples(kind: str, shape: tuple[int, ...], edge_features: int = 0) -> tuple[Tensor, ...]:
    if kind == "graph":
        ring_N = torch.arange(_RING)
        edges_2E = torch.stack([torch.cat([ring_N, ring_N.roll(1)]), torch.cat([ring_N.roll(1), ring_N])])
        return torch.zeros(_RING, math.prod(shape)), edges_2E, torch.zeros(edges_2E.shape[1], edge_features)
    try:
        example = torch.zeros(1, *shape, dtype=torch.int64 if kind in ("tokens", "token-pairs") else torch.float32)
    except (RuntimeError, TypeError) as error:  # more values than memory holds, or than can be counted
        template = "input_shape={got!r} is larger than this machine's memory; give a smaller one"
        raise ConfigError(template, got=shape) from error
    return (example, example) if kind == "token-pairs" else (example,)
