"""From the `augment:` list of a config to one object that batching can call.

An entry is a name (`flip`), a name with its arguments (`{crop: {padding: 2}}`), with its first one alone (`{rotate:
15}`), or in the style of other sections (`{name: crop, padding: 2}`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.core.catalogs import Catalog
from netwright.core.errors import ConfigError, Problem
from netwright.core.schemas import build, parameters
from netwright.data.augment.base import Draws, ImageAugmentation, Mixing, choose
from netwright.data.catalog import AUGMENTATIONS

__all__ = ["Augment", "build_augment", "catalog"]

_MIXING_PLACE = 128  # streams of mixing lie behind those of the image augmentations
_CHOICE_PLACE = 255


def catalog() -> Catalog:
    """The augmentations, and those that users add through the entry points `netwright.augmentations`."""
    return Catalog("augmentation", AUGMENTATIONS, "netwright.augmentations")


@dataclass(frozen=True)
class Augment:
    """What is done to the examples of training: pictures first, one by one; then mixing, over the batch.

    Args:
        num_classes: K, where targets are classes and examples are mixed.
    """

    pictures: tuple[ImageAugmentation, ...] = ()
    mixing: tuple[Mixing, ...] = ()
    num_classes: int | None = None

    @property
    def on_images(self) -> bool:
        """Whether pixels are needed before they are normalised."""
        return bool(self.pictures)

    def __bool__(self) -> bool:
        return bool(self.pictures or self.mixing)

    def images(self, x_BCHW: Tensor, index: Tensor, epoch: int, seed: int) -> Tensor:
        """Augment pictures, each a pure function of (seed, epoch, index).

        Shapes: x (B, C, H, W) floats in [0, 1], index (B,) int64 on the same device -> (B, C, H, W) in [0, 1].
        """
        for place, augmentation in enumerate(self.pictures):
            x_BCHW = augmentation(x_BCHW, Draws(seed, epoch, index, place))
        return x_BCHW

    def mix(self, inputs: Tensor, targets: Tensor, index: Tensor, epoch: int, seed: int) -> tuple[Tensor, Tensor]:
        """Blend examples of the batch; of several ways, each example takes one by chance. Unchanged without mixing.

        Shapes: inputs (B, ...), targets (B,) classes or (B, ...) numbers -> inputs; targets (B, K) float for classes.
        """
        if not self.mixing:
            return inputs, targets
        shares = self._shares(targets)
        mixed, mixed_shares = self.mixing[0](inputs, shares, Draws(seed, epoch, index, _MIXING_PLACE))
        if len(self.mixing) == 1:
            return mixed, mixed_shares
        choice = Draws(seed, epoch, index, _CHOICE_PLACE).integer(len(self.mixing))
        for k, way in enumerate(self.mixing[1:], start=1):
            x, y = way(inputs, shares, Draws(seed, epoch, index, _MIXING_PLACE + k))
            mixed, mixed_shares = choose(choice == k, x, mixed), choose(choice == k, y, mixed_shares)
        return mixed, mixed_shares

    def _shares(self, targets: Tensor) -> Tensor:
        if targets.is_floating_point():
            return targets
        if targets.ndim != 1 or self.num_classes is None:
            template = "mixup and cutmix need classes or numbers as targets; leave them out of augment"
            raise ConfigError(template, path="augment")
        return F.one_hot(targets, self.num_classes).to(torch.float32)


def build_augment(
    specs: Sequence[Any] | None,
    *,
    input_shape: tuple[int, ...] | None = None,
    num_classes: int | None = None,
    where: str = "augment",
) -> Augment:
    """Check the entries of a config's `augment:` list and build them.

    Args:
        input_shape: of one example, (C, H, W) for pictures; None skips the checks that need it.
        num_classes: where targets are classes.

    Raises:
        ConfigError: with every problem of the list.
    """
    if isinstance(specs, str | Mapping) or not isinstance(specs or [], Sequence):
        template = "{where}={got!r} does not fit; expected a list, like [flip, {{crop: {{padding: 2}}}}]"
        raise ConfigError(template, path=where, where=where, got=specs)
    built, problems = [], []
    for i, spec in enumerate(specs or []):
        try:
            built.append(_build_one(spec, f"{where}[{i}]", input_shape))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError.of(problems)
    pictures = tuple(one for one in built if isinstance(one, ImageAugmentation))
    return Augment(pictures, tuple(one for one in built if isinstance(one, Mixing)), num_classes)


def _build_one(spec: Any, where: str, input_shape: tuple[int, ...] | None) -> ImageAugmentation | Mixing:
    name, values = _parse(spec, where)
    path = f"{where}.{name}"
    factory = _find(name, where)
    if not isinstance(values, dict):
        values = {next(iter(parameters(factory))): values}
    try:
        built = build(factory, values, path)
    except ConfigError as error:
        raise ConfigError.of(_placed(problem, path) for problem in error.problems) from None
    if not isinstance(built, ImageAugmentation | Mixing):
        template = "{where} gives a {kind}; expected an ImageAugmentation or a Mixing"
        raise ConfigError(template, path=path, where=path, kind=type(built).__name__)
    _check_fit(built, path, input_shape)
    return built


def _parse(spec: Any, where: str) -> tuple[str, Any]:
    """Name and arguments of an entry: a dict, or the value of the first argument."""
    if isinstance(spec, str):
        return spec, {}
    if isinstance(spec, Mapping) and isinstance(spec.get("name"), str):
        return spec["name"], {key: value for key, value in spec.items() if key != "name"}
    if isinstance(spec, Mapping) and len(spec) == 1:
        name, values = next(iter(spec.items()))
        if isinstance(name, str):
            return name, dict(values) if isinstance(values, Mapping) else {} if values is None else values
    template = "{where}={got!r} does not fit; expected a name or {{name: {{argument: value}}}}"
    raise ConfigError(template, path=where, where=where, got=spec)


def _find(name: str, where: str) -> Any:
    try:
        return catalog().load(name)
    except ConfigError as error:
        raise ConfigError("{where}: {reason}", path=where, where=where, reason=str(error)) from None


def _placed(problem: Problem, path: str) -> Problem:
    """Problems found by a constructor itself do not know where they stand in the config."""
    return problem if problem.path else Problem(path, f"{path}: {problem.message}")


def _check_fit(built: ImageAugmentation | Mixing, path: str, input_shape: tuple[int, ...] | None) -> None:
    if input_shape is None:
        return
    pictures = isinstance(built, ImageAugmentation) or built.needs_images
    if pictures and len(input_shape) != 3:
        template = "{where} is for pictures, and an example here has shape {shape}; leave it out"
        raise ConfigError(template, path=path, where=path, shape=tuple(input_shape))
    if isinstance(built, ImageAugmentation) and (why := built.misfit((input_shape[0], input_shape[1], input_shape[2]))):
        raise ConfigError("{where}: {why}", path=path, where=path, why=why)
