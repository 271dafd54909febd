"""The network of a config, whichever way it comes: handed over, in layers, by name, or from weights.

A run that goes on though the weights it began with are gone builds it by what it kept of them (`beginning`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from netwright import models
from netwright.core import schemas
from netwright.data.schema import Schema
from netwright.experiment.beginning import beginning
from netwright.experiment.compatible import check_sizes, construct
from netwright.experiment.config import Config
from netwright.experiment.pretrained import FineTuning, expected, frozen, is_gone, split_model, start_from
from netwright.experiment.vocabulary import belongs_to_weights
from netwright.models.layers import LayerStack
from netwright.models.weights.reading import Normalisation
from netwright.tasks import task_class

__all__ = ["Built", "build_network", "network_sizes"]


class Built(NamedTuple):
    """A network, what `model/config.json` must say to build it again, and what its weights expect of pictures."""

    network: nn.Module
    recipe: dict[str, Any]
    normalisation: Normalisation | None = None


def network_sizes(task: str, values: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """The sizes that the data decide, and the network's head and outputs where the task decides them.

    Args:
        values: the settings of `task:`.
    """
    kind = task_class(task)
    own = {"task": kind.head, "num_classes": kind.outputs(values)}
    return schema.sizes() | {name: size for name, size in own.items() if size is not None}


def build_network(
    config: Config,
    sizes: Mapping[str, Any],
    input_shape: tuple[int, ...],
    given: nn.Module | None = None,
    run: Path | None = None,
) -> Built:
    """The network of a config, with pretrained weights and frozen parts where it names them.

    Args:
        given: a network of the user's, which is taken as it is.
        run: a folder that may hold what its run began with.

    Raises:
        ConfigError: arguments that do not fit.
        CheckpointError: weights of another network.
    """
    if given is not None:
        kind = type(given)
        return Built(given, {"python": f"{kind.__module__}:{kind.__qualname__}"})
    name, values = config.named("model")
    if name is None:
        stack = schemas.arguments(LayerStack, values, "model", {**sizes, "input_shape": list(input_shape)})
        return _made("layers", stack)
    values, settings = split_model(name, values)
    check_sizes(name, {**sizes, **values}, config.named("task")[0])
    if settings.weights is None:
        built = _made(name, schemas.arguments(models.catalog().load(name), values, "model", sizes))
    elif run is not None and is_gone(settings.weights, config.folder, run):
        begun = beginning(run)
        built = _made(begun.name, begun.arguments, begun.normalisation)
    else:
        built = _from_weights(name, values, settings, sizes, config)
    return built._replace(network=frozen(built.network, settings))


def _made(name: str, arguments: dict[str, Any], normalisation: Normalisation | None = None) -> Built:
    factory = LayerStack if name == "layers" else models.catalog().load(name)
    return Built(construct(factory, arguments, name), _recipe(name, arguments), normalisation)


def _from_weights(
    name: str, values: Mapping[str, Any], settings: FineTuning, sizes: Mapping[str, Any], config: Config
) -> Built:
    made = start_from(name, values, settings, sizes, config.folder, belongs_to_weights(config))
    return Built(made.network, _recipe(made.name, made.arguments), expected(settings, made))


def _recipe(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "arguments": _jsonable(arguments)}


def _jsonable(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_jsonable(item) for item in value]
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    return value
