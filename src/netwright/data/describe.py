"""What `netwright data describe` shows: the inferred schema, statistics of the training part, the leakage audit."""

from typing import Any

import torch

from netwright.core.messages import cells, filled, say
from netwright.data.audit import audit
from netwright.data.bundle import DataBundle, mask_pixels
from netwright.data.graphs import GraphDataset, NodeDataset, graph_statistics
from netwright.data.preprocess import Preprocessor
from netwright.data.schema import Schema
from netwright.data.text_statistics import contradictions, text_statistics, vocabulary
from netwright.data.texts import TextDataset

__all__ = ["Description", "describe", "target_candidates"]

_LIKELY = (
    "target",
    "label",
    "class",
    "y",
    "outcome",
    "category",
    "species",
    "price",
    "quality",
    "diagnosis",
    "survived",
    "churn",
)
_SHOWN = 12
_PARTS = ("train", "validation", "test")
_STATISTICS = (
    "characters", "tokens", "cut", "unknown", "tokenizer", "channels", "vocabulary",
    "lines", "beginning", "inputs", "target", "pixels", "graph",
)  # fmt: skip


class Description(dict[str, Any]):
    """A JSON-able dict that prints as a page."""

    def __str__(self) -> str:
        return "\n".join(_page(self))


def describe(data: DataBundle) -> Description:
    """Describe a bundle. Statistics are of the training part only; the audit compares all parts.

    Keys: name, origin, licence, kind, input_shape, target, task, sizes, network_sizes, split, classes, statistics,
    columns, target_candidates, leaks, problems, warnings.
    """
    schema = data.schema
    known = schema.target.kind != "none" or schema.kind == "image"
    return Description(
        name=data.name,
        origin=data.split["origin"],
        licence=data.split["licence"],
        kind=schema.kind,
        input_shape=list(schema.input_shape),
        target={"kind": schema.target.kind, "classes": list(schema.target.classes), "names": list(schema.target.names)},
        task=schema.default_task() if known else None,
        sizes=data.split["sizes"],
        network_sizes={name: list(size) if isinstance(size, tuple) else size for name, size in schema.sizes().items()},
        split={"method": data.split["method"], "seed": data.split["seed"], "sha256": data.split["sha256"]},
        classes=data.split["classes"],
        statistics=_statistics(data),
        columns=_columns(data),
        target_candidates=target_candidates(schema) if schema.target.kind == "none" else [],
        leaks=[leak.to_dict() for leak in audit(data)],
        problems=data.split["problems"],
        warnings=_warnings(data),
    )


def target_candidates(schema: Schema) -> list[str]:
    """Columns of a table without a target that look like one: those called so, then the last."""
    usable = [column.name for column in schema.columns if column.kind not in ("id", "text") and column.unique > 1]
    likely = [name for name in usable if name.strip().lower() in _LIKELY]
    return list(dict.fromkeys([*likely, *usable[-1:]]))


def _statistics(data: DataBundle) -> dict[str, Any]:
    """Of pictures each channel's mean and deviation, of a text its characters, of numbers to predict their spread."""
    tensors, found = data.train.tensors(), dict[str, Any]()
    if data.schema.target.kind == "mask" and len(data.train):
        found["pixels"] = _pixels(data)
    if isinstance(data.train, TextDataset) and len(data.train):
        return text_statistics(data.train)
    if isinstance(data.train, GraphDataset | NodeDataset):
        found["graph"] = graph_statistics(data.train)
    if tensors is None or not len(data.train):
        return found
    inputs, targets = tensors
    if data.schema.kind == "image":
        sample = inputs[:4096].float() / (255 if inputs.dtype == torch.uint8 else 1)
        found["channels"] = [
            {"mean": round(float(sample[:, c].mean()), 4), "std": round(float(sample[:, c].std()), 4)}
            for c in range(inputs.shape[1])
        ]
    elif data.schema.kind == "text":
        tokenizer = Preprocessor.fit(data.train).tokenizer
        assert tokenizer is not None
        found |= {"tokenizer": tokenizer.kind, "vocabulary": vocabulary(tokenizer)}
        found["lines"] = int((inputs == ord("\n")).sum())
        found["beginning"] = "".join(map(chr, inputs[:160].tolist()))
    elif data.schema.kind == "array" and inputs.is_floating_point():
        found["inputs"] = _spread(inputs)
    if data.schema.target.kind == "number":
        columns = targets if targets.ndim == 2 else targets.reshape(-1, 1)
        found["target"] = {
            name: _spread(columns[:, k]) for k, name in enumerate(data.schema.target.names[: columns.shape[1]])
        }
    return found


def _pixels(data: DataBundle) -> dict[str, float]:
    """The share of all pixels that each class has, and that are ignored."""
    counts = mask_pixels(data.train).double()
    names = (*data.schema.target.classes, say("ignored"))
    return {name: round(float(share), 4) for name, share in zip(names, counts / counts.sum(), strict=True)}


def _spread(values: torch.Tensor) -> dict[str, float]:
    values = values.double()
    spread = {"min": values.min(), "mean": values.mean(), "max": values.max(), "std": values.std(correction=0)}
    return {name: float(f"{float(value):.6g}") for name, value in spread.items()}


def _columns(data: DataBundle) -> list[dict[str, Any]]:
    """The columns of a table; numbers with their spread among the training rows."""
    train = data.rows.get("train")
    described = []
    for column in data.schema.columns:
        line: dict[str, Any] = {
            "name": column.name,
            "kind": column.kind,
            "missing": column.missing,
            "unique": column.unique,
            "features": column.width,
            "note": column.note,
        }
        keys = data.keys.get(column.name)
        if column.kind in ("numeric", "boolean") and keys is not None and train is not None:
            known = keys[train][~keys[train].isnan()]
            line |= _spread(known) if len(known) else {}
        if column.kind == "category":
            line["categories"] = list(column.categories[:_SHOWN])
        described.append(line)
    return described


def _warnings(data: DataBundle) -> list[str]:
    found, counts = [], data.split["classes"]
    absent = [label for label, count in counts.items() if not count]
    if absent:
        found.append(say("no training example of {classes}", classes=", ".join(absent[:_SHOWN])))
    present = [count for count in counts.values() if count]
    if present and max(present) >= 10 * min(present):
        template = "classes are unequal: {most} training examples of the largest, {least} of the smallest"
        if data.schema.target.kind == "mask":
            template = "classes are unequal: {most} training pixels of the largest, {least} of the smallest"
        found.append(say(template, most=max(present), least=min(present)))
    if isinstance(data.train, TextDataset) and (count := contradictions(data.train)):
        found.append(say("{count} training texts stand there with different classes; correct them", count=count))
    if data.schema.kind != "environment" and len(data.train) < 100:
        found.append(
            say(
                "only {count} training examples; expect figures to vary much from split to split", count=len(data.train)
            )
        )
    found += [
        say("column {name}: {missing} values are missing", name=column.name, missing=column.missing)
        for column in data.schema.features
        if column.missing > 0.5 * max(1, len(data.keys.get(column.name, ())))
    ]
    return found


def _page(it: Description) -> list[str]:
    sizes = ", ".join(f"{say(part)} {it['sizes'][part]:,}" for part in _PARTS if part in it["sizes"])
    lines = [
        f"{it['name']}  ({it['origin']}{', ' + it['licence'] if it['licence'] else ''})",
        _line("kind", f"{it['kind']} {tuple(it['input_shape']) or ''}".rstrip()),
        _line("target", _target_words(it)),
        _line("task", it["task"] or say("none without a target")),
        _line("examples", sizes),
        _line("split", say("{method}, seed {seed}", method=it["split"]["method"], seed=it["split"]["seed"])),
    ]
    if it["target_candidates"]:
        lines.append(f"  {say('perhaps the target: {names}', names=', '.join(it['target_candidates']))}")
    if it["classes"]:
        shown = [f"{label} {count:,}" for label, count in list(it["classes"].items())[:_SHOWN]]
        lines.append(_line("classes", ", ".join(shown) + (", …" if len(it["classes"]) > _SHOWN else "")))
    lines += [_line(name, _short(it["statistics"][name])) for name in _STATISTICS if name in it["statistics"]]
    lines += _table(it["columns"])
    for title, found in (("leaks", [leak["message"] for leak in it["leaks"]]), ("warnings", it["warnings"])):
        lines += [
            _line(title, found[0] if found else say("none found")),
            *(f"            {more}" for more in found[1:]),
        ]
    if it["problems"]:
        lines.append(_line("bad rows", str(len(it["problems"]))))
        lines += [f"            {problem['place']}: {problem['reason']}" for problem in it["problems"][:_SHOWN]]
    return lines


def _line(title: str, words: str) -> str:
    return f"  {filled(say(title), 9)} {words}"


def _target_words(it: Description) -> str:
    target = it["target"]
    if target["kind"] == "class":
        return say("one of {count} classes", count=len(target["classes"]))
    if target["kind"] == "mask":
        return say("one of {count} classes for each pixel", count=len(target["classes"]))
    return str(target["kind"]) + (f" ({', '.join(target['names'][:_SHOWN])})" if target["names"] else "")


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_short(entry)}" for name, entry in value.items())
    if isinstance(value, list):
        return "; ".join(_short(entry) for entry in value)
    return repr(value) if isinstance(value, str) and not value.isidentifier() else f"{value}"


def _table(columns: list[dict[str, Any]]) -> list[str]:
    if not columns:
        return []
    width = min(32, max(6, *(cells(column["name"]) for column in columns)))
    numbers = " ".join(filled(say(title), 8, right=True) for title in ("missing", "unique", "features"))
    lines = [f"  {filled(say('column'), width)}  {filled(say('kind'), 9)} {numbers}  "]
    for column in columns:
        spread = f"{column['min']:g} … {column['mean']:g} … {column['max']:g}" if "mean" in column else ""
        words = column["note"] or ", ".join(column.get("categories", ())) or spread
        counts = f"{column['missing']:>8,} {column['unique']:>8,} {column['features']:>8}"
        lines.append(f"  {filled(column['name'][:width], width)}  {column['kind']:<9} {counts}  {words}")
    return [line.rstrip() for line in lines]
