"""The catalog of networks: name -> where its constructor is, and its card. The cards stand beside each kind's networks.

Imports no network and no torch: listing must be instant.
"""

from collections.abc import Mapping

from netwright.core.catalogs import Catalog
from netwright.core.errors import ConfigError
from netwright.models.card import ModelCard
from netwright.models.generative import cards as generative
from netwright.models.graph import cards as graph
from netwright.models.language import cards as language
from netwright.models.policy import cards as policy
from netwright.models.sequence import cards as sequence
from netwright.models.vision import cards as vision

__all__ = ["MODELS", "ModelCard", "card", "catalog", "list_models"]


MODELS: Mapping[str, ModelCard] = {
    **vision.CARDS, **sequence.CARDS, **language.CARDS, **generative.CARDS, **policy.CARDS,
    **graph.CARDS,
}  # fmt: skip


def catalog() -> Catalog:
    """The networks by name, the users' own (entry points `netwright.models`) among them."""
    targets = {name: entry.target for name, entry in MODELS.items()}
    aliases = {alias: name for name, entry in MODELS.items() for alias in entry.aliases}
    return Catalog("model", targets, "netwright.models", aliases)


def list_models(family: str | None = None) -> list[str]:
    """Names in the catalog, sorted; only those of one family if it is given, large (`vision`) or small (`resnet`).

    Raises:
        ConfigError: no network is of that family.
    """
    if family is None:
        return catalog().names()
    names = sorted(name for name, entry in MODELS.items() if family in (entry.family, entry.kin or name))
    if not names:
        families = ", ".join(sorted({entry.family for entry in MODELS.values()}))
        template = "unknown family {family!r}; known: {families}, or a small one such as resnet"
        raise ConfigError(template, family=family, families=families)
    return names


def card(name: str) -> ModelCard:
    """What the catalog knows of a network; little for one that an entry point adds.

    Raises:
        ConfigError: no such name (says the nearest).
    """
    known = catalog()
    canonical = known.canonical(name)
    if canonical is None:
        known.load(name)  # says which names come nearest
    if canonical is not None and canonical in MODELS:
        return MODELS[canonical]
    return ModelCard(target=name, family="own", tasks=(), summary="added by an installed package")
