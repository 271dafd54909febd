"""Train, validation and test: official splits are kept, the rest is cut stratified, by group, block, time or at random.

Which example goes where is a pure function of the data, the rule and its seed. A text is cut into contiguous blocks at
line ends, and what comes last is the test. Blocks are for examples whose neighbours are alike, such as the slices of a
scan or the pictures of a film: whole stretches go to a part, with a gap between parts.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from netwright.core.errors import ConfigError, DataError
from netwright.core.messages import say
from netwright.core.schemas import Count, Probability, Size
from netwright.core.seeds import generator
from netwright.data.dataset import Dataset, FileDataset, PairedFiles
from netwright.data.graphs import GraphDataset, NodeDataset
from netwright.data.policy import nearest
from netwright.data.series import SeriesDataset, cut_in_time
from netwright.data.sources.loaded import Loaded
from netwright.data.texts import TextDataset

__all__ = ["By", "Split", "SplitRule", "apart", "content_hash", "split_rows", "split_rule"]

By = Literal["stratified", "group", "block", "time", "random"]

_SPLIT = 0x5711
_ENOUGH_FOR_EACH = 5  # a class with fewer training examples than this gives none away


@dataclass(frozen=True)
class SplitRule:
    """How to split, by shares of all examples; None is the default: 0.1, but no test out of an official split."""

    validation: float | None = None
    test: float | None = None
    by: By | None = None
    column: str | None = None
    seed: int = 0
    block: int = 10
    gap: int = 0


@dataclass(frozen=True)
class Split:
    """Row numbers of each part, ascending, and how they were chosen."""

    rows: dict[str, Tensor]
    method: str


def split_rule(
    validation: Probability | None = None,
    test: Probability | None = None,
    by: By | None = None,
    column: str | None = None,
    seed: int | None = None,
    block: Size | None = None,
    gap: Count | None = None,
) -> SplitRule:
    """The `split` section of the data.

    Args:
        validation, test: shares of all examples, 0.1 each by default; 0 for none.
        by: `stratified` keeps the shares of the classes; `group` keeps rows with the same value in `column` together;
            `block` keeps stretches of `block` neighbouring examples together and leaves out `gap` examples beside
            each stretch of another part; `time` puts the latest rows (by `column`) into the test; `random`.
        column: what to group or order by.
        block, gap: 10 examples and none, unless they are set.

    Raises:
        ConfigError: shares that leave nothing to train on, or a column missing or without use.
    """
    if (0.1 if validation is None else validation) + (test or 0.0) >= 1:
        raise ConfigError(
            "data.split leaves nothing to train on; validation and test must add up to less than 1", path="data.split"
        )
    if by in ("group", "time") and column is None:
        raise ConfigError(
            "data.split.by={by} needs data.split.column; name the column to split by", path="data.split.by", by=by
        )
    if column is not None and by not in ("group", "time"):
        raise ConfigError(
            "data.split.column={column} needs data.split.by: group or time", path="data.split.column", column=column
        )
    if by != "block" and (block is not None or gap is not None):
        name, value = ("block", block) if block is not None else ("gap", gap)
        template = "data.split.{name}={value} needs data.split.by: block"
        raise ConfigError(template, path=f"data.split.{name}", name=name, value=value)
    return SplitRule(validation, test, by, column, seed or 0, block or 10, gap or 0)


def split_rows(loaded: Loaded, rule: SplitRule) -> Split:
    """The rows of each part; parts that would be empty are absent.

    Raises:
        DataError: nothing to train on, no such column, no classes to stratify by.
    """
    official = dict(loaded.official)
    pool = official.get("train", torch.arange(len(loaded.dataset)))
    default_test = 0.0 if official else 0.1
    shares = {
        "validation": 0.0 if "validation" in official else (0.1 if rule.validation is None else rule.validation),
        "test": 0.0 if "test" in official else (default_test if rule.test is None else rule.test),
    }
    method, cut = _cutter(loaded, rule)
    parts = cut(pool, shares) if any(shares.values()) else {"train": pool}
    kept = {name: part for name, part in official.items() if name != "train"}
    rows = {name: part for name, part in {**parts, **kept}.items() if len(part)}
    if "train" not in rows:
        raise DataError(
            "{name} has too few examples to train on: {count}", name=loaded.dataset.name, count=len(loaded.dataset)
        )
    if official:
        method = say("official") if not any(shares.values()) else say("official, then {method}", method=method)
    return Split(rows, method)


def content_hash(dataset: Dataset) -> str:
    """SHA-256 of what a part holds, targets too: the same data in the same order hash the same on every machine."""
    digest = hashlib.sha256()
    tensors = dataset.tensors()
    if tensors is None and isinstance(dataset, FileDataset):
        digest.update("\n".join(str(item) for item in dataset.items).encode())
        tensors = (torch.empty(0), dataset.targets)
    elif tensors is None and isinstance(dataset, PairedFiles):
        digest.update("\n".join(str(item) for item in dataset.items).encode())
        tensors = (torch.empty(0), dataset.pixels)
    elif isinstance(dataset, SeriesDataset):
        tensors = (dataset.rows[dataset.covered()], dataset.starts)
    elif isinstance(dataset, GraphDataset | NodeDataset):
        for part in dataset.parts():
            digest.update(part.contiguous().numpy().view("uint8").data if part.numel() else b"")
    elif isinstance(dataset, TextDataset):
        for text in (*dataset.texts, *(dataset.second or ())):
            digest.update(f"{len(text)}:{text}".encode("utf-8", "surrogatepass"))
        tensors = (torch.empty(0), dataset.targets)
    for part in tensors or ():
        digest.update(part.contiguous().numpy().view("uint8").data if part.numel() else b"")
    return digest.hexdigest()


Cut = Callable[[Tensor, Mapping[str, float]], dict[str, Tensor]]


def _cutter(loaded: Loaded, rule: SplitRule) -> tuple[str, Cut]:
    dataset = loaded.dataset
    if (in_order := _in_order_cutter(loaded, rule)) is not None:
        return in_order
    classes = dataset.schema.target.kind == "class" and dataset.labels().ndim == 1
    by = rule.by or ("stratified" if classes else "random")
    if by == "stratified":
        if not classes:
            raise DataError(
                "data.split.by=stratified needs classes; the target is of kind {kind}: use random",
                kind=dataset.schema.target.kind,
            )
        return by, lambda pool, shares: _stratified(dataset.labels(), pool, shares, rule.seed)
    if by == "random":
        return by, lambda pool, shares: _stratified(torch.zeros(len(dataset)), pool, shares, rule.seed)
    if by == "block":
        method = say("blocks of {block}, {gap} apart", block=rule.block, gap=rule.gap)
        return method, lambda pool, shares: _in_blocks(pool, shares, rule)
    keys = _keys(loaded, str(rule.column))
    if by == "group":
        return f"group ({rule.column})", lambda pool, shares: _grouped(keys, pool, shares, rule.seed)
    return f"time ({rule.column})", lambda pool, shares: _timed(keys, pool, shares)


def _in_order_cutter(loaded: Loaded, rule: SplitRule) -> tuple[str, Cut] | None:
    """The cut of what is one long stretch: a text, documents for a language model, a series."""
    dataset = loaded.dataset
    if dataset.schema.target.kind == "next-token" and not (rule.by and isinstance(dataset, TextDataset)):
        return say("contiguous blocks"), lambda pool, shares: _blocks(loaded, pool, shares)
    if not isinstance(dataset, SeriesDataset):
        return None
    if rule.by not in (None, "time"):
        template = "data.split.by={by} would put rows beside the test's into training; a series is split by time"
        raise ConfigError(template, path="data.split.by", by=rule.by)
    return say("time"), lambda pool, shares: cut_in_time(dataset, pool, shares)


def _keys(loaded: Loaded, column: str) -> Tensor:
    if column not in loaded.keys:
        near = nearest(column, loaded.keys)
        raise DataError(
            "data.split.column={column} is not a column of {name}{near}",
            column=column,
            name=loaded.dataset.name,
            near=near,
        )
    return loaded.keys[column]


def _stratified(labels: Tensor, pool: Tensor, shares: Mapping[str, float], seed: int) -> dict[str, Tensor]:
    """Each class shuffled and dealt out by the shares, so that small classes are in every part where they can be."""
    parts: dict[str, list[Tensor]] = {"train": [], **{name: [] for name in shares}}
    pool_labels = labels[pool]
    for label in pool_labels.unique().tolist():
        rows = pool[pool_labels == label]
        rows = rows[torch.randperm(len(rows), generator=generator(seed, int(label), _SPLIT))]
        for name, share in shares.items():
            count = (
                max(1, round(share * len(pool_labels[pool_labels == label])))
                if share and len(rows) >= _ENOUGH_FOR_EACH
                else 0
            )
            parts[name].append(rows[:count])
            rows = rows[count:]
        parts["train"].append(rows)
    return {name: torch.cat(pieces).sort().values for name, pieces in parts.items()}


def _grouped(keys: Tensor, pool: Tensor, shares: Mapping[str, float], seed: int) -> dict[str, Tensor]:
    """Whole groups in random order, until a part has its share; a row without a group is a group of its own."""
    values = keys[pool].clone()
    lone = values.isnan()
    values[lone] = -1.0 - torch.arange(int(lone.sum()), dtype=values.dtype) - values.nan_to_num(0).abs().max()
    groups, member = torch.unique(values, return_inverse=True)
    if len(groups) < (least := 1 + sum(map(bool, shares.values()))):
        template = "the column to group by has {count} groups; at least {least} are needed"
        raise DataError(template, count=len(groups), least=least)
    counts, order = torch.bincount(member), torch.randperm(len(groups), generator=generator(seed, _SPLIT))
    part_of = torch.zeros(len(groups), dtype=torch.int64)
    place = 0
    for code, share in enumerate(shares.values(), start=1):
        filled = 0
        while (
            share
            and place < len(order) - 1
            and (filled == 0 or filled + int(counts[order[place]]) <= share * len(pool))
        ):
            filled += int(counts[order[place]])
            part_of[order[place]] = code
            place += 1
    return {name: pool[part_of[member] == code] for code, name in enumerate(("train", *shares))}


def _in_blocks(pool: Tensor, shares: Mapping[str, float], rule: SplitRule) -> dict[str, Tensor]:
    """Whole blocks of neighbours dealt out like groups, then the gaps; the order is that of the examples."""
    places = torch.arange(len(pool))
    if (count := -(-len(pool) // rule.block)) < 3:
        template = "data.split.block={block} makes {count} blocks of {examples} examples; at least 3 are needed"
        raise DataError(template, block=rule.block, count=count, examples=len(pool))
    parts = _grouped((places // rule.block).double(), places, shares, rule.seed)
    return {name: pool[rows] for name, rows in apart(parts, rule.gap).items()}


def apart(parts: Mapping[str, Tensor], gap: int) -> dict[str, Tensor]:
    """Parts of one sequence without what lies within `gap` places of another part: training gives way, then validation.

    Shapes: rows (n,) of each part -> fewer, in the same order.
    """
    kept: dict[str, Tensor] = {}
    for name in ("test", "validation", "train"):
        rows = parts.get(name, torch.zeros(0, dtype=torch.int64))
        for other in kept:
            distance = (rows[:, None] - parts[other][None, :]).abs()
            near = (distance <= gap).any(1) if distance.numel() else torch.zeros(len(rows), dtype=torch.bool)
            rows = rows[~near]
        kept[name] = rows
    return {name: kept[name] for name in parts}


def _timed(keys: Tensor, pool: Tensor, shares: Mapping[str, float]) -> dict[str, Tensor]:
    """The latest rows are the test, those before them the validation; rows of the same time stay together."""
    times = keys[pool].nan_to_num(float(keys[~keys.isnan()].min()) if bool((~keys.isnan()).any()) else 0.0)
    ordered = times.sort().values
    ends = [len(pool)]
    for name in ("test", "validation"):
        at = max(0, ends[-1] - round(shares[name] * len(pool)))
        ends.append(int(torch.searchsorted(ordered, ordered[at])) if at < ends[-1] else at)
    rank = torch.searchsorted(ordered, times)  # of the first row with the same time
    inside = {"train": (0, ends[2]), "validation": (ends[2], ends[1]), "test": (ends[1], ends[0])}
    return {
        name: pool[(rank >= low) & (rank < high)]
        for name, (low, high) in inside.items()
        if name == "train" or shares[name]
    }


def _blocks(loaded: Loaded, pool: Tensor, shares: Mapping[str, float]) -> dict[str, Tensor]:
    stream = loaded.dataset.tensors()
    if stream is None:  # documents: none is cut
        ends = [round(len(pool) * (1 - sum(shares.values()))), round(len(pool) * (1 - shares["test"]))]
        return {"train": pool[: ends[0]], "validation": pool[ends[0] : ends[1]], "test": pool[ends[1] :]}
    characters = stream[0][pool]
    total = len(characters)
    train_end = _line_end(characters, round(total * (1 - shares["validation"] - shares["test"])))
    test_start = _line_end(characters, round(total * (1 - shares["test"])))
    return {"train": pool[:train_end], "validation": pool[train_end:test_start], "test": pool[test_start:]}


def _line_end(characters: Tensor, at: int) -> int:
    """The first line end after `at`, if one is near; texts without lines are cut where it comes."""
    ends = torch.nonzero(characters[at : at + max(100, len(characters) // 100)] == ord("\n"))
    return at + int(ends[0]) + 1 if len(ends) and at < len(characters) else at
