"""The published weights of the MobileNets: timm's layout for v1, torchvision's for v2 and v3.

timm numbers stages and the layers in each, as we do. torchvision numbers all blocks in one row, and the layers of a
block by position, so what a position is (expansion, depthwise, squeeze-and-excitation, projection) depends on how many
there are. The stem's strides stand in no checkpoint: `stem: small` is for whoever asks for it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor

from netwright.blocks.separable import rounded_channels
from netwright.models.weights.layout import Layout, Tensors, renamed

__all__ = ["LAYOUTS"]

_BLOCKS = {  # blocks a stage
    "mobilenet_v2": (1, 2, 3, 4, 3, 3, 1),
    "mobilenet_v3_large": (1, 2, 3, 4, 2, 3),
    "mobilenet_v3_small": (1, 2, 3, 2, 3),
}
_CHANNELS = {  # of the stem and of each stage, at width 1
    "mobilenet_v1": (32, 64, 128, 256, 512, 1024),
    "mobilenet_v2": (32, 16, 24, 32, 64, 96, 160, 320),
    "mobilenet_v3_large": (16, 16, 24, 40, 80, 112, 160),
    "mobilenet_v3_small": (16, 16, 24, 40, 48, 96),
}
_WIDTHS = (1.0, 0.25, 0.35, 0.5, 0.75, 1.25, 1.3, 1.4)  # published
_V1_RULES = (
    (r"^conv_stem\.", "stem.conv."),
    (r"^bn1\.", "stem.norm."),
    (r"^blocks\.", "stages."),
    (r"\.conv_dw\.", ".depthwise.conv."),
    (r"\.bn1\.", ".depthwise.norm."),
    (r"\.conv_pw\.", ".pointwise.conv."),
    (r"\.bn2\.", ".pointwise.norm."),
    (r"^classifier\.", "head."),
)
_BLOCK = re.compile(r"features\.(\d+)\.(?:conv|block)\.(\d+)\.")
_UNIT = ("conv", "norm")


def _identify_v1(tensors: Tensors, config: Mapping[str, Any]) -> str | None:
    separable = {"conv_stem.weight", "blocks.3.5.conv_dw.weight", "blocks.4.1.conv_pw.weight"} <= tensors.keys()
    other = any("conv_pwl" in name or ".se." in name or "conv_head" in name for name in tensors)
    return "mobilenet_v1" if separable and not other else None


def _sizes_v1(tensors: Tensors, config: Mapping[str, Any]) -> dict[str, Any]:
    last = (0, 1, 1, 5, 1)
    stages = (f"blocks.{stage}.{layer}.conv_pw.weight" for stage, layer in enumerate(last))
    return _sizes("mobilenet_v1", tensors, ["conv_stem.weight", *stages], "classifier.weight")


def _rename_v1(tensors: Tensors) -> dict[str, Tensor]:
    return renamed(tensors, _V1_RULES)


def _identify(tensors: Tensors, config: Mapping[str, Any]) -> str | None:
    if "features.17.conv.2.weight" in tensors and "features.18.0.weight" in tensors:
        return "mobilenet_v2"
    if "features.1.block.0.0.weight" not in tensors:
        return None
    if "features.16.0.weight" in tensors:
        return "mobilenet_v3_large"
    return "mobilenet_v3_small" if "features.12.0.weight" in tensors else None


def _sizes_torchvision(tensors: Tensors, config: Mapping[str, Any]) -> dict[str, Any]:
    kin = _identify(tensors, config)
    assert kin is not None
    ours = {name: theirs for theirs, name in _names(tensors, kin).items()}
    stages = (f"stages.{stage}.0.branch.project.conv.weight" for stage in range(len(_BLOCKS[kin])))
    wanted = [ours[name] for name in ("stem.conv.weight", *stages)]
    return _sizes(kin, tensors, wanted, ours.get("head.weight", ""))


def _rename_torchvision(tensors: Tensors) -> dict[str, Tensor]:
    """Our names, and linear layers where torchvision squeezes and excites by 1x1 convolutions."""
    names = _names(tensors, _identify(tensors, {}) or "mobilenet_v2")
    found = {}
    for theirs, tensor in tensors.items():
        flat = tensor.dim() == 4 and "squeeze_excite" in names[theirs]
        found[names[theirs]] = tensor.flatten(1) if flat else tensor
    return found


def _names(tensors: Iterable[str], kin: str) -> dict[str, str]:
    """Each of torchvision's names with ours; one that is no part of the family keeps its own."""
    places = _prefixes(tensors, kin)
    named = {}
    for name in tensors:
        prefix, place = next((pair for pair in places.items() if name.startswith(pair[0])), ("", ""))
        named[name] = place + name[len(prefix) :]
    return named


def _prefixes(tensors: Iterable[str], kin: str) -> dict[str, str]:
    """Where torchvision's modules stand in ours."""
    places = [f"stages.{stage}.{block}" for stage, blocks in enumerate(_BLOCKS[kin]) for block in range(blocks)]
    found = _unit("features.0", "stem") | _unit(f"features.{len(places) + 1}", "last")
    found |= {"classifier.1.": "head."} if kin == "mobilenet_v2" else {
        "classifier.0.": "dense.linear.", "classifier.3.": "head."
    }  # fmt: skip
    for number, layers in _layers(tensors).items():
        if not 1 <= number <= len(places):
            continue
        read = _block_v2 if kin == "mobilenet_v2" else _block_v3
        found |= read(f"features.{number}", f"{places[number - 1]}.branch", layers)
    return found


def _layers(tensors: Iterable[str]) -> dict[int, list[set[str]]]:
    """What stands at each position of each block: the rests of the names there."""
    found: dict[int, dict[int, set[str]]] = {}
    for name in tensors:
        if match := _BLOCK.match(name):
            number, position = map(int, match.groups())
            found.setdefault(number, {}).setdefault(position, set()).add(name[match.end() :])
    return {number: [positions[at] for at in sorted(positions)] for number, positions in found.items()}


def _block_v2(theirs: str, ours: str, layers: Sequence[set[str]]) -> dict[str, str]:
    """[expand], depthwise, and the projection's convolution and norm as positions of their own."""
    parts = ("expand", "depthwise")[-(len(layers) - 2) :]
    found = {f"{theirs}.conv.{len(parts) + k}.": f"{ours}.project.{layer}." for k, layer in enumerate(_UNIT)}
    for at, part in enumerate(parts):
        found |= _unit(f"{theirs}.conv.{at}", f"{ours}.{part}")
    return found


def _block_v3(theirs: str, ours: str, layers: Sequence[set[str]]) -> dict[str, str]:
    """[expand], depthwise, [squeeze-and-excitation], project."""
    squeezing = [at for at, names in enumerate(layers) if "fc1.weight" in names]
    units = [at for at in range(len(layers)) if at not in squeezing]
    found: dict[str, str] = {}
    for at, part in zip(units, ("expand", "depthwise", "project")[-len(units) :], strict=True):
        found |= _unit(f"{theirs}.block.{at}", f"{ours}.{part}")
    for at in squeezing:
        place = f"{ours}.squeeze_excite"
        found |= {f"{theirs}.block.{at}.fc1.": f"{place}.squeeze.", f"{theirs}.block.{at}.fc2.": f"{place}.excite."}
    return found


def _unit(theirs: str, ours: str) -> dict[str, str]:
    return {f"{theirs}.{k}.": f"{ours}.{layer}." for k, layer in enumerate(_UNIT)}


def _sizes(kin: str, tensors: Tensors, channels: Sequence[str], head: str) -> dict[str, Any]:
    """in_channels, num_classes and width, where they are not the defaults; `channels`: stem's and stages' weights."""
    found: dict[str, Any] = {"in_channels": tensors[channels[0]].shape[1]}
    if head in tensors:
        found["num_classes"] = tensors[head].shape[0]
    found["width"] = _width([tensors[name].shape[0] for name in channels], _CHANNELS[kin])
    defaults = {"in_channels": 3, "num_classes": 1000, "width": 1.0}
    return {name: value for name, value in found.items() if value != defaults[name]}


def _width(got: Sequence[int], published: Sequence[int]) -> float:
    """The width multiplier that makes `got` of the published channels; the nearest guess if none does."""
    guesses = [*_WIDTHS, *(n / full for n, full in zip(got, published, strict=True))]
    fitting = (width for width in guesses if [rounded_channels(full * width) for full in published] == list(got))
    return next(fitting, max(got) / max(published))


LAYOUTS: tuple[Layout, ...] = (
    Layout("timm", _identify_v1, _sizes_v1, _rename_v1),
    Layout("torchvision", _identify, _sizes_torchvision, _rename_torchvision),
)
