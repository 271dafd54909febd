"""`load_pretrained`: a network of the catalog with published weights, or with those of a run of ours.

The sizes come from the file, the rest from the caller. Classification heads of another size are replaced by fresh ones,
as in fine-tuning (Yosinski et al., 2014, "How transferable are features in deep neural networks?"). ``C`` channels.
"""

import itertools
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from netwright.core import schemas
from netwright.core.errors import CheckpointError, ConfigError
from netwright.core.messages import say
from netwright.models.catalog import card, catalog
from netwright.models.weights.matching import OURS, Found, load_exactly, recognise
from netwright.models.weights.reading import Checkpoint, Normalisation, read_checkpoint

__all__ = ["IMAGENET", "Pretrained", "load_pretrained", "pretrained", "value_of", "wrong_vocabulary"]

log = logging.getLogger("netwright")

# Mean and deviation of ImageNet's colours, which nearly all published weights expect; the others want -1 to 1.
IMAGENET: Normalisation = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
_HALF: Normalisation = ([0.5] * 3, [0.5] * 3)
_OTHERS = {  # (kin, source)
    ("googlenet", "torchvision"), ("mobilenet_v1", "timm"), ("vit", "timm"), ("vit", "transformers"),
}  # fmt: skip
_COLOURS = 3
_REPLACED = ("image_size", "in_channels", "num_classes")  # sizes that fine-tuning may change
_CLASSLESS = ("masked-language-modeling", "question-answering")  # heads of BERT that no number of classes concerns


@dataclass(frozen=True)
class Pretrained:
    """A loaded network: `name` and `arguments` build its like again, without the file.

    source: the project whose layout the file has. normalisation: mean and deviation of each channel that the weights
    expect of pictures, None where nobody says. fresh_head: the head is new and untrained.
    """

    network: nn.Module
    name: str
    arguments: dict[str, Any]
    source: str
    normalisation: Normalisation | None
    fresh_head: bool


def load_pretrained(name: str, path: str | os.PathLike[str] | None = None, **overrides: Any) -> nn.Module:
    """The network called `name` with the weights at `path`, in evaluation mode and on the CPU.

    Args:
        path: a `.pth` or `.safetensors` file, a Hugging Face folder (`config.json` beside `model.safetensors`, its
            shards, or `pytorch_model.bin`), or the folder of a run of ours. Names and layout are the reference
            project's own (torchvision, timm, transformers), or ours. Nothing in it is run.
        overrides: arguments of the network. The file decides the sizes, so what remains is the likes of `dropout`;
            `num_classes`: another number than the file's puts a fresh head on the pretrained rest; `image_size`, for
            which a ViT's positions are interpolated; `task`: another of BERT's heads than the file's, which starts
            fresh; and `in_channels=1` for weights of colour pictures: the first filters are summed over the colours,
            and see a grey picture as they saw three equal channels.

    Pictures must be normalised as for the reference: for most with ImageNet's mean and deviation; to -1..1 for
    torchvision's GoogLeNet, timm's MobileNet v1 and the ViT of timm (but not DeiT's) and transformers. A config's
    `model.weights` sees to it.

    Raises:
        ConfigError: an unknown name (says the nearest), or arguments that do not fit.
        CheckpointError: no file, a damaged one, or one with Python code in it; weights of another network (says which
            it looks like), or that are missing, unexpected or of another shape, all in one message.
    """
    if path is None:
        template = (
            "load_pretrained({name!r}) needs the path of its weights: a .pth or .safetensors file, or a folder; "
            "nothing is downloaded"
        )
        raise CheckpointError(template, name=name)
    made = pretrained(name, Path(path).expanduser(), overrides)
    if made.fresh_head and "num_classes" not in overrides:
        log.warning(say("{file} holds no such head: that of {model} is new and untrained", file=path, model=made.name))
    return made.network.eval()


def pretrained(name: str, path: Path, asked: Mapping[str, Any], data: Mapping[str, Any] | None = None) -> Pretrained:
    """Build and load; see `load_pretrained`.

    Args:
        asked: arguments that the user gives. data: sizes that the data decide; a head is made to fit them, and other
            sizes that differ from the file's are refused.
    """
    known = catalog()
    factory = known.load(name)
    schemas.arguments(factory, asked, "model", partial=True)
    file = read_checkpoint(path)
    wanted = {key: value for key, value in (data or {}).items() if key in schemas.parameters(factory)} | dict(asked)
    told = {key: value for key, value in wanted.items() if key not in ("in_channels", "num_classes")}
    found = recognise(known.canonical(name) or name, file, told)
    factory = known.load(found.name)
    found = _with_channels(factory, _with_task(found, wanted), file, wanted, asked)
    _check_data(factory, found, file, {key: value for key, value in wanted.items() if key not in asked})
    network, arguments, fresh = _network(factory, found, file, wanted, asked)
    if _value(factory, arguments, "task") in _CLASSLESS:
        wanted.pop("num_classes", None)
    before = {size: _value(factory, arguments, size) for size in ("image_size", "num_classes")}
    changed = {size: wanted[size] for size in before if wanted.get(size, before[size]) != before[size]}
    _change(network, changed, before, file)
    fresh = fresh or "num_classes" in changed
    return Pretrained(network, found.name, arguments | changed, found.source, _normalisation(found, file), fresh)


def _network(
    factory: Any, found: Found, file: Checkpoint, wanted: Mapping[str, Any], asked: Mapping[str, Any]
) -> tuple[nn.Module, dict[str, Any], bool]:
    """The network as the file has it, loaded, its arguments, and whether the file had no head for it."""
    chosen = {key: value for key, value in asked.items() if key not in _REPLACED}
    try:
        arguments = schemas.arguments(factory, {**found.arguments, **chosen}, "model")
    except ConfigError as error:  # `asked` has been checked: what is left comes from the file
        template = "{file} tells of sizes that {name} cannot have ({error}); fetch it again"
        raise CheckpointError(template, file=file.path, name=found.name, error=error) from error
    network: nn.Module = factory(**arguments)
    return network, arguments, load_exactly(network, found, file, spare_head="num_classes" in wanted)


def _with_task(found: Found, wanted: Mapping[str, Any]) -> Found:
    """The head that is wanted, of networks with several: as asked, as the task or the classes need, else the file's."""
    task = wanted.get("task", found.arguments.get("task"))
    if "task" not in wanted and task in _CLASSLESS and "num_classes" in wanted:
        task = None
    others = {name: value for name, value in found.arguments.items() if name != "task"}
    return replace(found, arguments=others if task is None else {**others, "task": task})


def _change(network: nn.Module, changed: Mapping[str, Any], before: Mapping[str, Any], file: Checkpoint) -> None:
    """A fresh head for other classes; other positions for pictures of another size, where a network has any."""
    if "num_classes" in changed:
        network.reset_head(changed["num_classes"])  # type: ignore[operator]
    if "image_size" in changed:
        if not hasattr(network, "resize_positions"):
            raise _misfit("image_size", before["image_size"], changed["image_size"], file)
        network.resize_positions(changed["image_size"])  # type: ignore[operator]


def _misfit(size: str, has: Any, got: Any, file: Checkpoint) -> CheckpointError:
    template = "the weights of {file} are for model.{size}={has}, and {got} is wanted; {do}"
    do = say("resize the pictures to that") if size == "image_size" else say("use other weights, or none")
    return CheckpointError(template, file=file.path, size=size, has=has, got=got, do=do)


def value_of(name: str, values: Mapping[str, Any], size: str) -> Any:
    """The value of an argument of a network in the catalog, its constructor's own where none is given."""
    return _value(catalog().load(name), values, size)


def wrong_vocabulary(file: Path, has: int, got: int) -> ConfigError:
    """What is said of texts in other codes than the weights are for."""
    template = (
        "the tokenizer of the data has {got} codes, and the weights of {file} have vectors for {has}; "
        "set data.tokens.path to the tokenizer.json that belongs to the weights"
    )
    return ConfigError(template, path="data.tokens", got=got, file=file, has=has)


def _value(factory: Any, values: Mapping[str, Any], size: str) -> Any:
    """The value of an argument, the constructor's own where none is given."""
    known = schemas.parameters(factory)
    return values.get(size, known[size].default if size in known else None)


def _check_data(factory: Any, found: Found, file: Checkpoint, data: Mapping[str, Any]) -> None:
    """Whether the data have the sizes that the weights are for, but for those that fine-tuning can change."""
    for size in data:
        has = _value(factory, found.arguments, size)
        if size == "vocab_size" and data[size] != has:
            raise wrong_vocabulary(file.path, has, data[size])
        if size not in _REPLACED and data[size] != has:
            raise _misfit(size, has, data[size], file)


def _with_channels(
    factory: Any, found: Found, file: Checkpoint, wanted: Mapping[str, Any], asked: Mapping[str, Any]
) -> Found:
    """The weights for pictures of as many channels as are wanted."""
    has, channels = _value(factory, found.arguments, "in_channels"), wanted.get("in_channels")
    if channels is None or channels == has:
        return found
    if has == _COLOURS and channels == 1 and "in_channels" in asked:
        return replace(found, arguments={**found.arguments, "in_channels": 1}, tensors=_summed(found.tensors))
    template = "pictures of {got} channels do not fit the weights of {file}, which are for {has}; {do}"
    do = say("give pictures with that many")
    if has == _COLOURS and channels == 1:
        do = say("set model.in_channels: 1 to sum the filters over the colours, or give colour pictures")
    raise CheckpointError(template, got=channels, file=file.path, has=has, do=do)


def _summed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with the first filters over three channels made filters over one, [O, 3, H, W] -> [O, 1, H, W]."""
    filters = (name for name, tensor in tensors.items() if tensor.dim() == 4 and tensor.shape[1] == _COLOURS)
    return {**tensors, **{name: tensors[name].sum(dim=1, keepdim=True) for name in itertools.islice(filters, 1)}}


def _normalisation(found: Found, file: Checkpoint) -> Normalisation | None:
    if file.normalisation is not None or found.source == OURS or card(found.name).family != "vision":
        return file.normalisation
    return _HALF if (card(found.name).kin, found.source) in _OTHERS else IMAGENET
