"""Which parameters train, with how much of the learning rate, and which of them decay.

Decay pulls weights that multiply inputs towards zero; on norms' scales and on biases it only hurts, so they are left
out by default (as in He et al., 2019, "Bag of tricks"). A parameter that modules share is trained once, under its first
name.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from netwright.core.errors import ConfigError
from netwright.optim.freezing import freeze
from netwright.optim.naming import Names

__all__ = ["Grouping", "depths", "parameter_groups"]

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm)


@dataclass(frozen=True)
class Grouping:
    """How a network's parameters are told apart.

    Names are prefixes (`layer4`, `blocks.0`), patterns (`*.bias`), or `backbone` for everything but the head.

    Args:
        no_decay: the kinds `norms`, `biases` (every parameter with one dimension), `embeddings`, and names.
        freeze: names that do not train; a part with no other parameters stays in evaluation mode (see `freezing`).
        lr_scale: name -> multiplier of the learning rate; the longest name that fits counts, `backbone` least.
        layer_decay: multiplier for each layer away from the output (discriminative rates; Howard & Ruder, 2018).
    """

    no_decay: tuple[str, ...] = ("norms", "biases")
    freeze: tuple[str, ...] = ()
    lr_scale: Mapping[str, float] = field(default_factory=dict)
    layer_decay: float = 1.0


def parameter_groups(
    module: nn.Module, lr: float, weight_decay: float, rules: Grouping | None = None
) -> list[dict[str, Any]]:
    """Groups for any torch optimizer: `params` (named), `lr` and `weight_decay`, in the order of the network.

    Parameters whose `requires_grad` is off are left out; `rules.freeze` turns it off.

    Raises:
        ConfigError: a name in the rules fits no parameter, or nothing is left to train.
    """
    rules = rules or Grouping()
    _check_names(module, rules)
    freeze(module, rules.freeze)
    names = Names(module)
    spared = _undecayed(module, rules.no_decay, names)
    depth = depths(module) if rules.layer_decay != 1 else {}
    groups: dict[tuple[float, float], dict[str, Any]] = {}  # as few as can be: an optimizer makes a pass a group
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        nearest = names.nearest(name, list(rules.lr_scale))
        scale = (rules.lr_scale[nearest] if nearest else 1.0) * rules.layer_decay ** depth.get(name, 0)
        decay = 0.0 if id(parameter) in spared else weight_decay
        fresh: dict[str, Any] = {"params": [], "lr": lr * scale, "weight_decay": decay}
        groups.setdefault((decay, scale), fresh)["params"].append((name, parameter))
    if not groups:
        template = (
            "nothing to train: no parameter of {kind} requires a gradient; "
            "freeze less, or give the model layers with weights"
        )
        raise ConfigError(template, path="optimizer.freeze" if rules.freeze else "model", kind=type(module).__name__)
    return list(groups.values())


def depths(module: nn.Module) -> dict[str, int]:
    """Layers between each parameter and the output: 0 for the last module that has parameters, 1 for the one before, …

    Layers are the network's children in their order; plain containers (Sequential, ModuleList) are opened.
    """
    layers = [(prefix, layer) for prefix, layer in _layers("", module) if any(True for _ in layer.parameters())]
    last = len(layers) - 1
    found: dict[str, int] = {}
    for position, (prefix, layer) in enumerate(layers):
        for name, _ in layer.named_parameters():
            found[f"{prefix}.{name}" if prefix else name] = last - position
    # Parameters that hang directly on the network (class tokens, position tables) belong to its input.
    return {name: found.get(name, last + 1) for name, _ in module.named_parameters()}


def _layers(prefix: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, child in module.named_children():
        path = f"{prefix}.{name}" if prefix else name
        if isinstance(child, (nn.Sequential, nn.ModuleList, nn.ModuleDict)):
            yield from _layers(path, child)
        else:
            yield path, child
    if not prefix and not any(True for _ in module.children()):
        yield "", module


def _undecayed(module: nn.Module, kinds: Sequence[str], names: Names) -> set[int]:
    """Identities of the parameters that decay spares."""
    spared: set[int] = set()
    for path, part in module.named_modules(remove_duplicate=False):
        norm = "norms" in kinds and (isinstance(part, _NORMS) or type(part).__name__.lower().endswith("norm"))
        table = "embeddings" in kinds and isinstance(part, (nn.Embedding, nn.EmbeddingBag))
        for name, parameter in part.named_parameters(recurse=False):
            bias = "biases" in kinds and parameter.ndim <= 1
            if norm or table or bias or any(names.fits(f"{path}.{name}" if path else name, kind) for kind in kinds):
                spared.add(id(parameter))
    return spared


def _check_names(module: nn.Module, rules: Grouping) -> None:
    names = Names(module)
    decaying = [name for name in rules.no_decay if name not in ("norms", "biases", "embeddings")]
    problems = names.problems("optimizer.no_decay", decaying)
    problems += names.problems("optimizer.freeze", rules.freeze)
    problems += names.problems("optimizer.lr_scale", list(rules.lr_scale))
    if problems:
        raise ConfigError.of(problems)
