"""What the graph of a pass says of its stages: which reads which, where paths meet, and what an axis means."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from netwright.metrics.architecture.node import Node, Shape

__all__ = ["Links", "kind_of", "links", "measures"]

_FIRST: tuple[str, ...] = (  # operators with channels before positions
    "conv", "batch_norm", "group_norm", "instance_norm", "max_pool", "avg_pool", "lp_pool", "adaptive_", "interpolate",
    "upsample", "pixel_shuffle", "local_response_norm",
)  # fmt: skip
_LAST = {"linear", "layer_norm", "rms_norm", "embedding", "scaled_dot_product_attention", "lstm", "gru", "rnn_tanh"}
_LAST |= {"multi_head_attention_forward", "rnn_relu"}  # and those with features after positions
_FARTHEST = 80  # calls that are followed back to learn what an axis means
_KINDS = (
    ("attention", ("scaled_dot_product_attention", "multi_head_attention_forward")),
    ("recurrence", ("lstm", "gru", "rnn_")),
    ("convolution", ("conv",)),
    ("embedding", ("embedding",)),
    ("linear", ("linear", "addmm", "matmul", "bmm", "einsum", "bilinear")),
    ("pooling", ("max_pool", "avg_pool", "lp_pool", "adaptive_", "mean")),
    ("resizing", ("interpolate", "upsample", "pixel_shuffle")),
    ("normalization", ("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm", "local_response_norm")),
)


@dataclass
class Links:
    """Of one stage: the stages it reads, how it joins several, and what meets inside; see `core.architecture.Stage`."""

    sources: tuple[int, ...] = ()
    joined: str = ""
    inside: tuple[str, ...] = ()


def kind_of(nodes: Iterable[Node]) -> str:
    """What does most of the telling among these calls: the first of `_KINDS` that occurs."""
    names = {node.op for node in nodes}
    if "softmax" in names and names & {"matmul", "bmm", "einsum"}:
        return "attention"
    for kind, starts in _KINDS:
        if any(name.startswith(starts) for name in names):
            return kind
    return "other"


def measures(node: Node | None, shape: Shape) -> tuple[int, Shape]:
    """Features a position, and positions on each axis, of one example's `shape`, which `node` made."""
    if len(shape) < 2:
        return (shape[0] if shape else 1), ()
    if node is not None and _features_last(node, default=len(shape) == 2):
        return shape[-1], shape[:-1]
    return shape[0], shape[1:]


def _features_last(node: Node, default: bool) -> bool:
    """Walk back along the newest parents to a call that knows; every permutation on the way turns the answer."""
    turned = False
    for _ in range(_FARTHEST):
        if node.op in _LAST:
            return not turned
        if node.op.startswith(_FIRST):
            return turned
        turned ^= node.op in ("permute", "transpose")
        if not node.parents:
            break
        node = max(node.parents, key=lambda parent: parent.index)
    return default


def links(nodes: Sequence[Node], stage_of: Mapping[str, int], count: int) -> list[Links]:
    """The links of `count` stages; `stage_of` gives the stage of each module path, and of the paths inside it.

    Calls in no stage (`torch.cat` between two of them) hand on the stages that they come from.
    """
    walk = _Walk(stage_of, count)
    for node in nodes:
        walk.see(node)
    return walk.done()


class _Walk:
    """Sees the calls in their order. `origins`: the stages that a tensor comes from; `live`: what follows the input."""

    def __init__(self, stage_of: Mapping[str, int], count: int) -> None:
        self._stage_of = stage_of
        self._links = [Links() for _ in range(count)]
        self._sources: list[set[int]] = [set() for _ in range(count)]
        self._origins: dict[Node, frozenset[int]] = {}
        self._live: set[Node] = set()
        self._between: dict[Node, str] = {}  # how calls in no stage joined several stages
        self._meetings: list[tuple[int, str, frozenset[int]]] = []

    def see(self, node: Node) -> None:
        before: frozenset[int] = frozenset().union(*(self._origins[parent] for parent in node.parents))
        if node.op == "input" or any(parent in self._live for parent in node.parents):
            self._live.add(node)
        place = self._stage(node.path)
        if place is None:
            self._origins[node] = frozenset([-1]) if node.op == "input" else before
            self._join_between(node, before)
            return
        self._origins[node] = frozenset([place])
        self._sources[place] |= {source for source in before if source < place}
        for parent in node.parents:
            if parent in self._between and not self._links[place].joined:
                self._links[place].joined = self._between[parent]
        if meeting := _meeting(node, [parent for parent in node.parents if parent in self._live]):
            self._meetings.append((place, meeting, before))

    def done(self) -> list[Links]:
        for link, reads in zip(self._links, self._sources, strict=True):
            link.sources = tuple(sorted(reads))
        for place, meeting, before in self._meetings:
            self._note(place, meeting, before)
        return self._links

    def _join_between(self, node: Node, before: frozenset[int]) -> None:
        if node.op in ("add", "cat") and len(before) > 1:
            self._between[node] = node.op
        elif told := next((self._between[parent] for parent in node.parents if parent in self._between), ""):
            self._between[node] = told

    def _note(self, place: int, meeting: str, before: frozenset[int]) -> None:
        """Paths that meet in a stage: inside of it, or where it takes in one that came past other stages."""
        link = self._links[place]
        if before - {place, max(link.sources, default=-1)}:
            link.joined = link.joined or (meeting if meeting in ("add", "cat") else "")
            return
        word = {"add": "residual", "cat": "concatenation", "mul": "gate"}[meeting]
        link.inside = tuple(dict.fromkeys((*link.inside, word)))

    def _stage(self, path: str) -> int | None:
        while path:
            if path in self._stage_of:
                return self._stage_of[path]
            path = path.rpartition(".")[0]
        return None


def _meeting(node: Node, fed: Sequence[Node]) -> str:
    """`add` of two like tensors, `cat`, or `mul` of a map by one value a channel, among what follows the input."""
    if len(fed) < 2:
        return ""
    shapes = [parent.shape for parent in fed]
    if node.op == "cat" or (node.op == "add" and shapes[0] == shapes[1]):
        return node.op
    gated = node.op == "mul" and len(shapes[0]) > 2 and shapes[0] != shapes[1]
    return "mul" if gated and min(math.prod(shape[2:]) for shape in shapes) == 1 else ""
