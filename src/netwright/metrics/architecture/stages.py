"""Finding the stages of any network by its structure alone: the rows that a paper's table would have.

The modules that ran are a tree. From the top, a container is *opened* where it holds several stages: maps of three
sizes or more, vectors of several widths, or a third of the network that is no row of equal blocks. In what is opened,
leaf layers become one stage up to the next pooling or the next layer of another width (convolution, norm, activation,
pool), and neighbours that are alike become one ("4 x InvertedResidual"). All else stays a stage: an Inception block,
the 23 bottlenecks of a ResNet's third stage. What the network computes between its stages, and weights that it holds
itself (class tokens, positions), are a last row, so that the rows add up to the whole.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from netwright.core.architecture import LayerRow, Stage
from netwright.metrics.architecture.flow import Links, kind_of, links, measures
from netwright.metrics.architecture.node import Node
from netwright.metrics.architecture.record import Recorder
from netwright.metrics.architecture.tree import (
    Part,
    chained,
    contents,
    folded,
    grown,
    is_light,
    is_norm,
    is_pool,
    is_worker,
    listed,
    repetition,
)

__all__ = ["find_stages"]

_LARGE = 0.3  # share of the network from which a container that is no repetition is opened
_OTHER_SIZE = 1.7  # ratio of positions from which two maps count as of different size: unpadded edges are no step


@dataclass
class _Draft:
    """Parts that make one stage; `blocks` are those that are alike."""

    parts: list[Part]
    blocks: int = 1


def find_stages(net: nn.Module, rows: list[LayerRow], seen: Recorder, totals: tuple[int, int]) -> list[Stage]:
    """The stages in the order of execution.

    Args:
        totals: FLOPs and bytes of the whole pass for one example.
    """
    root = grown(rows, seen.calls)
    every = _folded(_cut(root, root.row)) or [_Draft([root])]
    drafts = [draft for draft in every if not all(map(_serves_many, draft.parts))]
    stage_of = {part.path: place for place, draft in enumerate(drafts) for part in _steps(draft)}
    linked = links(seen.nodes, stage_of, len(drafts))
    homes = Counter(row.path.rpartition(".")[0] for row in rows if row.path)
    nodes = _by_stage(seen.nodes, stage_of, len(drafts))
    stages = [_stage(draft, link, inside, homes) for draft, link, inside in zip(drafts, linked, nodes, strict=True)]
    paths = [part.path for draft in drafts for part in draft.parts]
    shared = [part.path for draft in every if draft not in drafts for part in draft.parts]
    return [*stages, *_rest(net, stages, paths, shared, totals)]


def _serves_many(part: Part) -> bool:
    """One pooling or activation that is called between many stages is of none."""
    return part.row.calls > 1 and not part.row.parameters and part.leaf


def _steps(draft: _Draft) -> list[Part]:
    """The parts by which calls are told to be of this stage: not by an activation, which may follow several."""
    steps = [part for part in draft.parts if not (is_light(part) or _serves_many(part))]
    return steps or draft.parts


def _cut(home: Part, whole: LayerRow) -> list[_Draft]:
    """What is in an opened container, as stages."""
    drafts: list[_Draft] = []
    run: list[Part] = []

    def close() -> None:
        if run and drafts and all(is_light(part) for part in run):
            drafts[-1].parts.extend(run)
        elif run:
            drafts.append(_Draft(list(run)))
        run.clear()

    for part in home.inside:
        if not part.leaf:
            close()
            inner = _cut(part, whole) if _opens(part, home.inside, whole) else []
            drafts += inner if len(inner) > 1 else [_Draft([part])]
            continue
        if run and not _joins(run, part, home.plain):
            close()
        run.append(part)
    close()
    if len(drafts) > 1 and all(is_light(part) for part in drafts[0].parts):
        drafts[1].parts[:0] = drafts.pop(0).parts
    return drafts


def _opens(part: Part, siblings: Sequence[Part], whole: LayerRow) -> bool:
    if _map_sizes(part) >= 3 or _vector_widths(part) >= 2 or _pools_between(part):
        return True
    row = part.row
    share = max(row.parameters / max(1, whole.parameters), row.flops / max(1, whole.flops))
    alone = all(each is part or each.kind != part.kind for each in siblings if not each.leaf)
    return share > _LARGE and alone and not repetition(part)


def _pools_between(part: Part) -> bool:
    """Whether a plain row has a pooling between blocks."""
    return part.plain and any(
        is_pool(each) and not (before.leaf or after.leaf)
        for before, each, after in zip(part.inside, part.inside[1:], part.inside[2:], strict=False)
    )


def _map_sizes(part: Part) -> int:
    """How many clearly different numbers of positions occur from the input to the entries' outputs."""
    shapes = [(part.call.inputs, part.call.input_shapes)]
    shapes += [(each.call.outputs, each.call.output_shapes) for each in part.inside]
    counts = sorted({
        math.prod(measures(nodes[0] if nodes else None, given[0][1:])[1]) for nodes, given in shapes if given
    } - {1})  # fmt: skip
    return sum(1 for i, count in enumerate(counts) if i == 0 or count > _OTHER_SIZE * counts[i - 1])


def _vector_widths(part: Part) -> int:
    """How many widths the layers of a plain row of layers have, where all of them give vectors."""
    workers = [each for each in part.inside if is_worker(each)]
    if not part.plain or not all(each.leaf for each in part.inside):
        return 0
    shapes = [each.row.output_shape for each in workers]
    return len(set(shapes)) if all(len(shape) == 1 for shape in shapes) else 0


def _joins(run: Sequence[Part], leaf: Part, plain: bool) -> bool:
    """Whether a leaf goes on with the stage of the leaves before it."""
    if is_pool(run[-1]):
        return False
    workers = [part for part in run if is_worker(part)]
    if not is_worker(leaf):
        return not is_pool(leaf) or bool(workers)
    if not workers:
        return plain or all(is_light(part) for part in run)
    return (workers[-1].kind, workers[-1].row.output_shape) == (leaf.kind, leaf.row.output_shape)


def _folded(drafts: Sequence[_Draft]) -> list[_Draft]:
    """Neighbours that are one block each, alike and one after the other, become one stage."""
    done: list[_Draft] = []
    for draft in drafts:
        if done and _alike(done[-1], draft):
            done[-1].parts.extend(draft.parts)
            done[-1].blocks += 1
        else:
            done.append(draft)
    return done


def _alike(before: _Draft, after: _Draft) -> bool:
    one, two = _blocks(before), _blocks(after)
    if not one or len(two) != 1:
        return False
    same = (one[-1].home, one[-1].row.output_shape, contents(one[-1])) == (
        two[0].home,
        two[0].row.output_shape,
        contents(two[0]),
    )
    return same and chained(one[-1], two[0])


def _blocks(draft: _Draft) -> list[Part]:
    return [part for part in draft.parts if not part.leaf]


def _stage(draft: _Draft, link: Links, nodes: Sequence[Node], homes: Counter[str]) -> Stage:
    rows = [part.row for part in draft.parts]
    last = draft.parts[-1]
    made = last.call.outputs[0] if last.call.outputs else None
    channels, size = measures(made, last.row.output_shape)
    blocks = _blocks(draft)
    repeats = draft.blocks if draft.blocks > 1 else max(1, len(repetition(blocks[0]))) if len(blocks) == 1 else 1
    return Stage(
        name=_name(draft, homes),
        holds=folded(contents(blocks[0]), draft.blocks) if blocks else listed(draft.parts),
        kind=kind_of(nodes),
        output_shape=last.row.output_shape,
        parameters=sum(row.parameters for row in rows),
        flops=sum(row.flops for row in rows),
        activation_bytes=sum(row.activation_bytes for row in rows),
        receptive_field=last.row.receptive_field,
        channels=channels,
        size=size,
        repeats=repeats,
        inside=link.inside,
        sources=link.sources,
        joined=link.joined,
    )


def _name(draft: _Draft, homes: Counter[str]) -> str:
    """The path of its block, of its first layer that works, or the span of a row's numbers."""
    blocks = _blocks(draft)
    if len(blocks) > 1:
        return _span(blocks, homes)
    numbered = [part for part in draft.parts if part.path.rpartition(".")[2].isdigit()]
    if not blocks and len(numbered) == len(draft.parts) > 1:
        return _span(draft.parts, homes)
    workers = [part for part in draft.parts if is_worker(part)]
    telling = blocks or workers or [part for part in draft.parts if is_norm(part) or is_pool(part)] or draft.parts
    return telling[0].path


def _span(parts: Sequence[Part], homes: Counter[str]) -> str:
    first, last = parts[0], parts[-1]
    if first.home and homes[first.home] == len(parts):
        return first.home
    return f"{first.path}-{last.path[len(first.home) + 1 :] if first.home else last.path}"


def _by_stage(nodes: Sequence[Node], stage_of: dict[str, int], count: int) -> list[list[Node]]:
    inside: list[list[Node]] = [[] for _ in range(count)]
    for node in nodes:
        path = node.path
        while path and path not in stage_of:
            path = path.rpartition(".")[0]
        if path:
            inside[stage_of[path]].append(node)
    return inside


def _rest(
    net: nn.Module, stages: Sequence[Stage], paths: Sequence[str], shared: Sequence[str], totals: tuple[int, int]
) -> list[Stage]:
    """What the network does and holds outside its stages; nothing where there is none."""
    parameters = sum(parameter.numel() for parameter in net.parameters()) - sum(stage.parameters for stage in stages)
    flops = totals[0] - sum(stage.flops for stage in stages)
    made = totals[1] - sum(stage.activation_bytes for stage in stages)
    if max(parameters, flops, made) <= 0:
        return []
    names = [name for name, _ in net.named_parameters() if not any(f"{name}.".startswith(f"{path}.") for path in paths)]
    # Of a module that did not run at all (a head that only training uses) its own name is enough.
    used = {path[:end] for path in paths for end in range(len(path) + 1)}
    short = dict.fromkeys(name if (top := name.partition(".")[0]) in used else top for name in names)
    return [Stage("", ", ".join([*shared, *short]), "rest", (), max(0, parameters), max(0, flops), max(0, made), None)]
