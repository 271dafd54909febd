"""The catalog of networks: name -> where its constructor is, and the card that `models` and `explain` print.

Imports no network and no torch: listing must be instant.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from netwright.core.catalogs import Catalog
from netwright.core.errors import ConfigError

__all__ = ["MODELS", "ModelCard", "card", "catalog", "list_models"]


@dataclass(frozen=True)
class ModelCard:
    """What a catalog knows of a network without building it.

    parameters: of a build with no arguments. input: shape of one example for that build. input_kind: "float", "tokens"
    (int64 below the vocabulary) or "noise".
    """

    target: str
    family: str
    tasks: tuple[str, ...]
    summary: str
    parameters: int | None = None
    input: tuple[int, ...] = ()
    input_kind: str = "float"
    paper: str = ""
    idea: str = ""
    when: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The card as JSON-able values."""
        return asdict(self)


MODELS: Mapping[str, ModelCard] = {
    "dqn": ModelCard(
        target="netwright.models.policy.dqn:DQN",
        family="policy",
        tasks=("q-learning",),
        summary="value of every action from an observation; plain or dueling head",
        parameters=10_934,
        input=(4,),
        paper="Mnih et al., 2015, Human-level control through deep reinforcement learning",
        idea="One network gives the expected return of all actions at once, learned by bootstrapping from its own "
        "later estimates. Replay and a slowly following copy keep that stable.",
        when="Few discrete actions, observations that are short vectors, and a simulator cheap enough for many steps.",
    ),
    "gan": ModelCard(
        target="netwright.models.generative.gan:dense_gan",
        family="generative",
        tasks=("gan",),
        summary="generator against discriminator, both fully connected",
        parameters=1_093_905,
        input=(100,),
        input_kind="noise",
        paper="Goodfellow et al., 2014, Generative adversarial nets",
        idea="A generator turns noise into examples while a discriminator learns to tell them from real ones. Each is "
        "the other's loss function, so no likelihood has to be written down.",
        when="Small grey images and teaching; a convolutional GAN or a VAE for anything larger.",
    ),
    "gpt": ModelCard(
        target="netwright.models.language.gpt:GPT",
        family="language",
        tasks=("language-modeling",),
        summary="causal Transformer with tied head, key-value cache and sampling; defaults are GPT-2 small",
        parameters=124_439_808,
        input=(1024,),
        input_kind="tokens",
        paper="Radford et al., 2019, Language models are unsupervised multitask learners",
        idea="Every place attends to the places before it, and all places predict their next token at once. Pre-norm "
        "residual blocks and a head tied to the embedding keep depth trainable and the vocabulary cheap.",
        when="Generating text or any sequence of tokens; start with 4 layers 128 wide for characters.",
    ),
    "lenet5": ModelCard(
        target="netwright.models.vision.lenet:LeNet5",
        family="vision",
        tasks=("image-classification",),
        summary="two convolutions and three dense layers; classic (tanh, average) or modern (ReLU, max)",
        parameters=61_706,
        input=(1, 28, 28),
        paper="LeCun et al., 1998, Gradient-based learning applied to document recognition",
        idea="Small filters shared over the image find local patterns, pooling makes them bear small shifts. Dense "
        "layers then read the few remaining maps.",
        when="Small images (28 to 64 pixels) of one centred object, on any machine; a ResNet for more accuracy.",
    ),
    "mlp": ModelCard(
        target="netwright.models.vision.mlp:MLP",
        family="vision",
        tasks=("image-classification", "tabular-classification", "regression"),
        summary="linear layers of any depth and width, with norm, activation and dropout",
        parameters=235_146,
        input=(784,),
        paper="Rumelhart, Hinton and Williams, 1986, Learning representations by back-propagating errors",
        idea="Each layer is a linear map followed by a fixed nonlinear function, and a stack of them approximates any "
        "function. It knows nothing of the input's structure.",
        when="Tables and other inputs without an order or neighbourhood, and as the baseline that others must beat.",
    ),
}


def catalog() -> Catalog:
    """The networks by name, the users' own (entry points `netwright.models`) among them."""
    return Catalog("model", {name: entry.target for name, entry in MODELS.items()}, "netwright.models")


def list_models(family: str | None = None) -> list[str]:
    """Names in the catalog, sorted; only those of one family if it is given.

    Raises:
        ConfigError: no network is of that family.
    """
    if family is None:
        return catalog().names()
    names = sorted(name for name, entry in MODELS.items() if entry.family == family)
    if not names:
        families = ", ".join(sorted({entry.family for entry in MODELS.values()}))
        raise ConfigError("unknown family {family!r}; known: {families}", family=family, families=families)
    return names


def card(name: str) -> ModelCard:
    """What the catalog knows of a network; little for one that an entry point adds.

    Raises:
        ConfigError: no such name (says the nearest).
    """
    if name in MODELS:
        return MODELS[name]
    known = catalog()
    if name not in known:
        known.load(name)  # says which names come nearest
    return ModelCard(target=name, family="own", tasks=(), summary="added by an installed package")
