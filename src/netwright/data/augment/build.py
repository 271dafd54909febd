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

from netwright.core import seeds
from netwright.core.catalogs import Catalog
from netwright.core.errors import ConfigError, Problem
from netwright.core.schemas import build, parameters
from netwright.data.augment.base import Draws, ImageAugmentation, Mixing, TextAugmentation, choose
from netwright.data.catalog import AUGMENTATIONS

__all__ = ["Augment", "build_augment", "catalog"]

_MIXING_PLACE = 128  # streams of mixing lie behind those of the image augmentations
_CHOICE_PLACE = 255
_TEXTS = 0x7E97  # keeps the chances of texts apart from everybody else's
_VIEW = 0x71E3  # keeps the chances of a further view apart from those of the first

Change = ImageAugmentation | Mixing | TextAugmentation


def catalog() -> Catalog:
    """The augmentations, and those that users add through the entry points `netwright.augmentations`."""
    return Catalog("augmentation", AUGMENTATIONS, "netwright.augmentations")


@dataclass(frozen=True)
class Augment:
    """What is done to the examples of training: pictures first, one by one; then mixing, over the batch.

    Args:
        num_classes: K, where targets are classes and examples are mixed.
        views: V, differently augmented forms of each picture; a batch then holds the first of all, then the second of
            all (SimCLR: Chen et al., 2020).
        masks: whether targets are masks, which move with their pictures.
    """

    pictures: tuple[ImageAugmentation, ...] = ()
    mixing: tuple[Mixing, ...] = ()
    num_classes: int | None = None
    views: int = 1
    masks: bool = False
    texts: tuple[TextAugmentation, ...] = ()

    @property
    def on_images(self) -> bool:
        """Whether pixels are needed before they are normalised."""
        return bool(self.pictures)

    def __bool__(self) -> bool:
        return bool(self.pictures or self.mixing or self.texts)

    def images(self, x_BCHW: Tensor, index: Tensor, epoch: int, seed: int) -> Tensor:
        """Augment pictures, each a pure function of (seed, epoch, index).

        Shapes: x (B, C, H, W) floats in [0, 1], index (B,) int64 on the same device -> (V * B, C, H, W) in [0, 1].
        """
        chances = [seed, *(seeds.mix(seed, _VIEW, view) for view in range(1, self.views))]
        views = [self._view(x_BCHW, index, epoch, chance) for chance in chances]
        return views[0] if self.views == 1 else torch.cat(views)

    def moved(self, masks_BHW: Tensor, index: Tensor, epoch: int, seed: int) -> Tensor:
        """Masks after what `images` does to their pictures. Shapes: (B, H, W) codes -> (B, H, W)."""
        for place, augmentation in enumerate(self.pictures):
            masks_BHW = augmentation.on_masks(masks_BHW, Draws(seed, epoch, index, place))
        return masks_BHW

    def worded(self, texts: list[str], index: Tensor, epoch: int, seed: int) -> list[str]:
        """Augment texts, each a pure function of (seed, epoch, index). Shapes: index (B,) int64."""
        for place, augmentation in enumerate(self.texts):
            texts = augmentation(texts, [seeds.mix(seed, epoch, i, place, _TEXTS) for i in index.tolist()])
        return texts

    def mix(self, inputs: Tensor, targets: Tensor, index: Tensor, epoch: int, seed: int) -> tuple[Tensor, Tensor]:
        """Blend examples of the batch; of several ways, each example takes one by chance. Unchanged without mixing.

        Shapes: inputs (B, ...), targets (B,) classes or (B, ...) numbers -> inputs; targets (B, K) float for classes.
        """
        if not self.mixing:
            return inputs, targets
        shares = targets if self.masks else self._shares(targets)
        mixed, mixed_shares = self._blend(self.mixing[0], inputs, shares, Draws(seed, epoch, index, _MIXING_PLACE))
        if len(self.mixing) == 1:
            return mixed, mixed_shares
        choice = Draws(seed, epoch, index, _CHOICE_PLACE).integer(len(self.mixing))
        for k, way in enumerate(self.mixing[1:], start=1):
            x, y = self._blend(way, inputs, shares, Draws(seed, epoch, index, _MIXING_PLACE + k))
            mixed, mixed_shares = choose(choice == k, x, mixed), choose(choice == k, y, mixed_shares)
        return mixed, mixed_shares

    def _view(self, x_BCHW: Tensor, index: Tensor, epoch: int, seed: int) -> Tensor:
        for place, augmentation in enumerate(self.pictures):
            x_BCHW = augmentation(x_BCHW, Draws(seed, epoch, index, place))
        return x_BCHW

    def _blend(self, way: Mixing, inputs: Tensor, targets: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        blended = way.with_masks(inputs, targets, draws) if self.masks else way(inputs, targets, draws)
        assert blended is not None, "build_augment refuses such ways"
        return blended

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
    masks: bool = False,
    where: str = "augment",
) -> Augment:
    """Check the entries of a config's `augment:` list and build them.

    Args:
        input_shape: of one example, (C, H, W) for pictures; None skips the checks that need it.
        num_classes: where targets are classes.
        masks: whether targets are masks.

    Raises:
        ConfigError: with every problem of the list.
    """
    if isinstance(specs, str | Mapping) or not isinstance(specs or [], Sequence):
        template = "{where}={got!r} does not fit; expected a list, like [flip, {{crop: {{padding: 2}}}}]"
        raise ConfigError(template, path=where, where=where, got=specs)
    built, problems = [], []
    for i, spec in enumerate(specs or []):
        try:
            built.append(_build_one(spec, f"{where}[{i}]", input_shape, masks))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError.of(problems)
    pictures = tuple(one for one in built if isinstance(one, ImageAugmentation))
    texts = tuple(one for one in built if isinstance(one, TextAugmentation))
    mixing = tuple(one for one in built if isinstance(one, Mixing))
    return Augment(pictures, mixing, num_classes, masks=masks, texts=texts)


def _build_one(spec: Any, where: str, input_shape: tuple[int, ...] | None, masks: bool) -> Change:
    name, values = _parse(spec, where)
    path = f"{where}.{name}"
    factory = _find(name, where)
    if not isinstance(values, dict):
        values = {next(iter(parameters(factory))): values}
    try:
        built = build(factory, values, path)
    except ConfigError as error:
        raise ConfigError.of(_placed(problem, path) for problem in error.problems) from None
    if not isinstance(built, Change):
        template = "{where} gives a {kind}; expected an ImageAugmentation or a Mixing"
        raise ConfigError(template, path=path, where=path, kind=type(built).__name__)
    _check_fit(built, path, input_shape)
    if masks:
        _check_masks(built, path)
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


def _check_fit(built: Change, path: str, input_shape: tuple[int, ...] | None) -> None:
    if input_shape is None:
        return
    if isinstance(built, TextAugmentation) and input_shape:
        template = "{where} is for texts, and an example here has shape {shape}; leave it out"
        raise ConfigError(template, path=path, where=path, shape=tuple(input_shape))
    if isinstance(built, Mixing) and not input_shape:
        template = "{where} blends inputs, and texts cannot be blended; leave it out"
        raise ConfigError(template, path=path, where=path)
    pictures = isinstance(built, ImageAugmentation) or (isinstance(built, Mixing) and built.needs_images)
    if pictures and len(input_shape) != 3:
        template = "{where} is for pictures, and an example here has shape {shape}; leave it out"
        raise ConfigError(template, path=path, where=path, shape=tuple(input_shape))
    if isinstance(built, ImageAugmentation) and (why := built.misfit((input_shape[0], input_shape[1], input_shape[2]))):
        raise ConfigError("{where}: {why}", path=path, where=path, why=why)


def _check_masks(built: Change, path: str) -> None:
    """Whether masks can go with the pictures."""
    masks, draws = torch.zeros(2, 8, 8, dtype=torch.uint8), Draws(0, 0, torch.arange(2), 0)
    if isinstance(built, Mixing) and built.with_masks(torch.zeros(2, 1, 8, 8), masks, draws) is None:
        template = "{where} blends targets, and the classes of a mask cannot be blended; use cutmix, or leave it out"
        raise ConfigError(template, path=path, where=path)
    if isinstance(built, ImageAugmentation) and type(built).on_masks is ImageAugmentation.on_masks:
        built.on_masks(masks, draws)
