"""Networks: one file a family, each a plain `nn.Module` that takes typed keyword arguments.

Importing this package imports no torch; `build` does, and only the file of the network it is asked for.
"""

from typing import TYPE_CHECKING, Any

from netwright.models.catalog import MODELS, ModelCard, card, catalog, list_models

if TYPE_CHECKING:
    from torch import nn

__all__ = ["MODELS", "ModelCard", "build", "card", "catalog", "list_models"]


def build(name: str, /, **arguments: Any) -> "nn.Module":
    """Build the network called `name` from keyword arguments, checked against its constructor.

    Raises:
        ConfigError: no such network, or arguments that do not fit; all of them, in one message.
    """
    from netwright.core import schemas

    network: nn.Module = schemas.build(catalog().load(name), arguments, where="model")
    return network
