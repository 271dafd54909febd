"""The modules of a traced network as a tree, and in words: what a container is made of."""

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from torch import nn

from netwright.core.architecture import LayerRow
from netwright.metrics.architecture.node import Call, Node

__all__ = [
    "Part",
    "chained",
    "contents",
    "folded",
    "grown",
    "is_light",
    "is_norm",
    "is_pool",
    "is_worker",
    "repetition",
]

_PLAIN = (nn.Sequential, nn.ModuleList, nn.ModuleDict)  # names that say nothing of what is inside
_MOST_KINDS = 4  # different things that a stage's words name
_HALF = 0.5


@dataclass(eq=False)
class Part:
    """A module that ran: its row, its first call, and the modules inside that ran, in order."""

    row: LayerRow
    call: Call
    inside: list["Part"] = field(default_factory=list)

    @property
    def path(self) -> str:
        return self.row.path

    @property
    def home(self) -> str:
        """The path of the module (or of the list, which never runs itself) that it is an entry of."""
        return self.row.path.rpartition(".")[0]

    @property
    def kind(self) -> str:
        return self.row.type

    @property
    def leaf(self) -> bool:
        """Whether it is one layer: nothing inside, or only an activation and the like."""
        return all(is_light(part) for part in self.inside)

    @property
    def plain(self) -> bool:
        """Whether it is only a row of others, with a name that tells nothing."""
        return isinstance(self.call.module, _PLAIN)


def grown(rows: Iterable[LayerRow], calls: Iterable[Call]) -> Part:
    """The tree over all rows; the network itself is its root."""
    first: dict[str, Call] = {}
    for call in calls:
        first.setdefault(call.path, call)
    parts: dict[str, Part] = {}
    for row in rows:
        part = parts[row.path] = Part(row, first[row.path])
        path = row.path
        while path:
            path = path.rpartition(".")[0]
            if path in parts:
                parts[path].inside.append(part)
                break
    return parts[""]


def is_norm(part: Part) -> bool:
    return "norm" in part.kind.lower() and part.leaf


def is_pool(part: Part) -> bool:
    """Pooling as a layer of its own; global pooling too."""
    return "pool" in part.kind.lower() and part.leaf and not part.row.parameters


def is_worker(part: Part) -> bool:
    """A layer that does the work: with weights, or with products, and no norm."""
    return not is_norm(part) and bool(part.row.parameters or part.row.flops)


def is_light(part: Part) -> bool:
    """Activation, dropout, flatten: nothing that a stage would be named after."""
    return part.leaf and not (part.row.parameters or part.row.flops or is_pool(part))


def chained(before: Part, after: Part) -> bool:
    """Whether `after` reads, directly or through further steps, what `before` made."""
    if not before.call.outputs:
        return False
    made = before.call.outputs[0]
    return _reaches(after.call.inputs, lambda node: node is made, made.index)


def _reaches(nodes: Sequence[Node], wanted: Callable[[Node], bool], oldest: int) -> bool:
    seen: set[Node] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if wanted(node):
            return True
        if node not in seen and node.index > oldest:
            seen.add(node)
            waiting += node.parents
    return False


def repetition(part: Part) -> list[Part]:
    """The blocks of one class that follow each other and make most of `part`; none where it is built otherwise."""
    kinds: dict[str, list[Part]] = {}
    for each in part.inside:
        if not each.leaf:
            kinds.setdefault(_block(each), []).append(each)
    for blocks in kinds.values():
        most = len(blocks) > 1 and _share(blocks, part) >= _HALF
        if most and all(chained(before, after) for before, after in itertools.pairwise(blocks)):
            return blocks
    return []


def _share(blocks: Sequence[Part], whole: Part) -> float:
    """Of the parameters, or of the work where there are none."""
    if whole.row.parameters:
        return sum(block.row.parameters for block in blocks) / whole.row.parameters
    return sum(block.row.flops for block in blocks) / max(1, whole.row.flops)


def contents(part: Part) -> str:
    """A leaf or a class by its name; a row of blocks by what is in it."""
    if part.leaf:
        return _leaf(part)
    if part.plain or repetition(part):
        return listed(part.inside)
    return part.kind


def listed(parts: Sequence[Part]) -> str:
    """Parts in the order of their first appearance, each kind once with its number; what does the work, if anything."""
    telling = [part for part in parts if not (is_light(part) or is_norm(part))]
    telling = telling or [part for part in parts if is_norm(part)] or list(parts)
    counts: dict[str, int] = {}
    for part in telling:
        words = _block(part)
        counts[words] = counts.get(words, 0) + 1
    told = [folded(words, count) for words, count in counts.items()]
    return ", ".join([*told[:_MOST_KINDS], "…"] if len(told) > _MOST_KINDS else told)


def _block(part: Part) -> str:
    """A block in words: where it has no name of its own, its layers without their steps, which only the first takes."""
    words = contents(part)
    return f"({re.sub(' /[0-9]+', '', words)})" if part.plain and "," in words else words


def folded(words: str, count: int) -> str:
    """`3 × Bottleneck`."""
    if count > 1 and ("," in words or re.match(r"\d+ × ", words)) and not words.startswith("("):
        words = f"({words})"
    return words if count == 1 else f"{count} × {words}"


def _leaf(part: Part) -> str:
    """`Conv2d 3×3 /2`: the class, the window and a step that is not the usual one."""
    module = part.call.module
    window = getattr(module, "kernel_size", None)
    if window is None:
        return part.kind
    stride = getattr(module, "stride", None)
    usual = window if is_pool(part) else 1
    sizes = _sizes(window)
    depthwise = " depthwise" if 1 < getattr(module, "groups", 1) == getattr(module, "in_channels", 0) else ""
    sizes = sizes * 2 if len(sizes) == 1 and part.kind.endswith("2d") else sizes
    words = f"{part.kind}{depthwise} {'×'.join(map(str, sizes))}"
    if stride is not None and set(_sizes(stride)) not in (set(_sizes(usual)), {1}):
        words += f" /{_sizes(stride)[0]}"
    return words


def _sizes(value: object) -> list[int]:
    return [int(size) for size in value] if isinstance(value, tuple | list) else [int(value)]  # type: ignore[call-overload]
