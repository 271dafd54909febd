"""Whose weights these are, and whether each of them has its place in a network of ours.

A checkpoint is recognised by asking the layouts of the network it is to be loaded into; when none of them knows it, all
layouts of the catalog are asked, so that the message can say what it looks like instead.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from netwright.core import schemas
from netwright.core.catalogs import load_target
from netwright.core.errors import CheckpointError, NetwrightError, because
from netwright.core.messages import few, say
from netwright.models.card import ModelCard
from netwright.models.catalog import MODELS, card, catalog
from netwright.models.weights.layout import Layout, Tensors
from netwright.models.weights.names import current_names, their_names
from netwright.models.weights.reading import Checkpoint

__all__ = ["OURS", "Found", "load_exactly", "recognise"]

OURS = "netwright"
_SHOWN = 240  # characters of names in each part of a message
_STRANGE = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)  # of a spoilt file


@dataclass(frozen=True)
class Found:
    """A checkpoint that was recognised: the network it is of, its arguments, and the tensors under our names.

    layout: how the file names them; None where that is as we do.
    """

    name: str
    source: str
    arguments: dict[str, Any]
    tensors: dict[str, Tensor]
    layout: Layout | None = None


def recognise(name: str, file: Checkpoint, given: Mapping[str, Any]) -> Found:
    """What `file` holds, when that is a `name` (or of its kin, where `name` is the kin's own name).

    Args:
        given: arguments that are known without the file; they decide what a file under our own names says nothing of.

    Raises:
        CheckpointError: another network's weights (says which they look like), or nobody's.
    """
    if isinstance(file.config.get("model"), Mapping) and "format" in file.config:
        return _of_a_run(name, file, file.config["model"])
    wanted = card(name)
    native = _renamed(Found(name, OURS, {**given, **_told(name, file.tensors)}, file.tensors))
    if _own_names(native) == native.tensors.keys():
        return native
    for layout in _layouts(wanted):
        found = _asked(layout, file)
        if found is not None and _is_a(found, name):
            return _read(found, layout, file, given)
    if _fits_mostly(native):
        return native
    looks = next(_looks(file), None)
    if looks is not None:
        raise _other(name, file, *looks)
    for layout in _layouts(wanted):  # a file that lacks what its layout is known by
        if (spoilt := _spoilt(name, layout, file, given)) is not None:
            return spoilt
    template = (
        "{file} holds the weights of no network known here ({count} tensors, such as {names}{kind}); "
        "check the file, or give the sizes it was made with"
    )
    kind = file.config.get("model_type")
    kind = say("; config.json says model_type={kind}", kind=kind) if isinstance(kind, str) else ""
    names = few(list(file.tensors)[:4], _SHOWN)
    raise CheckpointError(template, file=file.path, count=len(file.tensors), names=names, kind=kind)


def load_exactly(network: nn.Module, found: Found, file: Checkpoint, spare_head: bool = False) -> bool:
    """Load every tensor into its place; whether a part stays fresh that the network may start without.

    Args:
        spare_head: a file without a head will do; the network's fresh one stays.

    Raises:
        CheckpointError: with all that is missing, unexpected or of another shape.
    """
    wanted, tensors = network.state_dict(), current_names(network, found.tensors)
    for name, first in _tied(wanted).items():
        if name not in tensors and first in tensors:
            tensors[name] = tensors[first]
    may_lack: tuple[str, ...] = getattr(network, "fresh_weights", ("head.",) if spare_head else ())
    lacking = tuple(part for part in may_lack if not any(name.startswith(part) for name in wanted.keys() & tensors))
    missing = {name: wanted[name] for name in wanted if name not in tensors and not _is_optional(name, lacking)}
    spare: tuple[str, ...] = getattr(network, "spare_weights", ())  # beginnings of names that it may do without
    unexpected = [name for name in tensors if name not in wanted and not name.startswith(spare)]
    misshapen = [name for name in wanted if name in tensors and tensors[name].shape != wanted[name].shape]
    if missing or unexpected or misshapen:
        raise _misfit(found, file, missing, unexpected, {name: wanted[name] for name in misshapen})
    network.load_state_dict(tensors, strict=False)
    return any(name.startswith(lacking) for name in wanted)


def _misfit(
    found: Found, file: Checkpoint, missing: Tensors, unexpected: Sequence[str], misshapen: Tensors
) -> CheckpointError:
    """All that does not match, under the names of whoever wrote the file."""
    theirs = their_names(found.layout, file.tensors, found.tensors, missing) if found.layout else {}
    shapes = [
        say("{name} is {got}, not {wanted}", name=theirs.get(name, name), got=tuple(found.tensors[name].shape),
            wanted=tuple(tensor.shape))
        for name, tensor in misshapen.items()
    ]  # fmt: skip
    lists = (
        (" {count} missing ({names});", [theirs.get(name, name) for name in missing]),
        (" {count} unexpected ({names});", [theirs.get(name, name) for name in unexpected]),
        (" {count} of another shape ({names});", shapes),
    )
    told = "".join(say(template, count=len(names), names=few(names, _SHOWN)) for template, names in lists if names)
    classes = "num_classes" in schemas.parameters(catalog().load(found.name))
    headless = classes and all(name.startswith("head.") for name in (*missing, *unexpected, *misshapen))
    do = say("set num_classes for a fresh head") if headless else say("check the file and the arguments")
    return CheckpointError("{file} does not fit {name}:{told} {do}", file=file.path, name=found.name, told=told, do=do)


def _is_optional(name: str, lacking: tuple[str, ...]) -> bool:
    """Batch norm's counter of batches came with PyTorch 0.4.1; older files go without."""
    return name.endswith(".num_batches_tracked") or name.startswith(lacking)


def _is_a(found: str, name: str) -> bool:
    """Whether weights of a `found` may be loaded as a `name`: the same network, or one of the kin of that name."""
    return found == name or (found in MODELS and MODELS[found].kin == name)


def _layouts(entry: ModelCard) -> tuple[Layout, ...]:
    layouts: tuple[Layout, ...] = load_target(entry.layouts) if entry.layouts else ()
    return layouts


def _asked(layout: Layout, file: Checkpoint) -> str | None:
    """What a layout takes the file for; a file that makes it stumble is none of its own."""
    try:
        return layout.identify(file.tensors, file.config)
    except _STRANGE:
        return None


def _read(name: str, layout: Layout, file: Checkpoint, given: Mapping[str, Any]) -> Found:
    try:
        sizes = layout.sizes(file.tensors, file.config)
        return Found(name, layout.source, sizes, layout.rename(file.tensors), layout)
    except NetwrightError:
        raise
    except _STRANGE as error:
        if (spoilt := _spoilt(name, layout, file, given)) is not None:
            return spoilt
        template = "{file} looks like a {found} ({source}), and is not whole: {reason}; fetch it again"
        reason = because(error)
        raise CheckpointError(template, file=file.path, found=name, source=layout.source, reason=reason) from error


def _spoilt(name: str, layout: Layout, file: Checkpoint, given: Mapping[str, Any]) -> Found | None:
    """The file as that of a `name` whose sizes cannot be read, if most of it fits: what is wrong can then be told."""
    try:
        tensors = layout.rename(file.tensors)
    except _STRANGE:
        return None
    classes = {size: value for size, value in _told(name, tensors).items() if size == "num_classes"}
    found = Found(name, layout.source, {**given, **classes}, tensors, layout)
    return found if _fits_mostly(found) else None


def _fits_mostly(found: Found) -> bool:
    """Whether more than half of the network's weights are there by name."""
    own = _own_names(found)
    return 2 * len(own & found.tensors.keys()) > max(len(own), 1)


def _looks(file: Checkpoint) -> Iterator[tuple[str, str]]:
    """Networks of the catalog, with their project, that the file may be of."""
    for target in dict.fromkeys(entry.layouts for entry in MODELS.values() if entry.layouts):
        for layout in load_target(target):
            if (found := _asked(layout, file)) is not None:
                yield found, layout.source


def _other(name: str, file: Checkpoint, looks: str, source: str) -> CheckpointError:
    template = (
        "{file} is not of a {name}: this file looks like a {looks} ({source}); "
        "load it as load_pretrained({looks!r}, …), or set model.name: {looks}"
    )
    return CheckpointError(template, file=file.path, name=name, looks=looks, source=source)


def _of_a_run(name: str, file: Checkpoint, recipe: Mapping[str, Any]) -> Found:
    """A model folder of ours says itself what it holds."""
    holds, arguments = recipe.get("name"), recipe.get("arguments")
    if not isinstance(holds, str) or not isinstance(arguments, dict) or holds not in catalog():
        template = "{file} holds a network of your own making; open it with nw.load, or give it to nw.fit"
        raise CheckpointError(template, file=file.path)
    if not _is_a(holds, name):
        raise _other(name, file, holds, OURS)
    return Found(holds, OURS, dict(arguments), file.tensors)


def _renamed(found: Found) -> Found:
    """With the names of today, where an earlier version of ours wrote the file."""
    own = _own(found)
    return found if own is None else replace(found, tensors=current_names(own, found.tensors))


def _own_names(found: Found) -> set[str]:
    """Names of our own network's weights; none where they cannot be had."""
    own = _own(found)
    return set() if own is None else set(own.state_dict())


def _own(found: Found) -> nn.Module | None:
    """Our own network without memory; None for a constructor that looks at its weights, or lacks sizes."""
    try:
        with torch.device("meta"):
            network: nn.Module = schemas.build(catalog().load(found.name), found.arguments, "model")
            return network
    except (NetwrightError, *_STRANGE):
        return None


def _told(name: str, tensors: Tensors) -> dict[str, Any]:
    """What tensors under our own names tell of the sizes: classes from the head, channels from the first filters."""
    head, filters = tensors.get("head.weight"), next((t for t in tensors.values() if t.dim() == 4), None)
    told = {
        "num_classes": head.shape[0] if head is not None and head.dim() else 0,
        "in_channels": filters.shape[1] if filters is not None else 0,
    }
    known = schemas.parameters(catalog().load(name))
    return {size: value for size, value in told.items() if size in known and value}


def _tied(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Names that lead to a tensor which has another name already: a file need hold it only once."""
    first: dict[tuple[int, ...], str] = {}
    tied = {}
    for name, tensor in tensors.items():
        place = (tensor.data_ptr(), tensor.storage_offset(), *tensor.shape)
        if tensor.data_ptr() and first.setdefault(place, name) != name:  # 0: empty, or without memory
            tied[name] = first[place]
    return tied
