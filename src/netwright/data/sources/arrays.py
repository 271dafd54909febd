"""What a Python user already holds: arrays, tensors, somebody's torch Dataset or DataLoader.

Floats are taken as they are: whoever hands over arrays has prepared them, and their own network expects them so. Bytes
of pictures are normalised like any picture.
"""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from netwright.core.errors import DataError
from netwright.core.messages import say
from netwright.data.dataset import BadRow, FileDataset, TensorDataset
from netwright.data.policy import Bad, missing_file, settle
from netwright.data.schema import Kind, Schema, Target
from netwright.data.sources.array_masks import array_masks, made_masks
from netwright.data.sources.loaded import Loaded, Origin
from netwright.data.targets import MadeTarget, Wanted, class_target, looks_like_classes, make_target, no_target

__all__ = ["load_arrays", "load_npz", "load_torch"]

_GIVEN = Origin("given in Python")
_MANY = 1000  # classes that an integer array may name: ImageNet's


def load_npz(
    path: str,
    inputs: str = "x",
    *,
    target: str | None = "y",
    target_kind: Wanted | None = None,
    bad: Bad | None = None,
    split: dict[str, Any] | None = None,
) -> Loaded:
    """Arrays in an `.npz` file, under the names `inputs` and `target`.

    Raises:
        DataError: missing or damaged file, no such array, other problems of `load_arrays`.
    """
    if not Path(path).is_file():
        raise missing_file(Path(path))
    if not zipfile.is_zipfile(path):
        raise DataError("{path} is no .npz file, or cut short; write it with numpy.savez", path=path)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # zip, zlib, header and pickle errors have no common type
        if "pickle" in str(error):
            template = "{path} holds pickled Python objects, which are never loaded; save plain arrays with numpy.savez"
            raise DataError(template, path=path) from error
        template = "{path} cannot be read as arrays: {error}; write it again with numpy.savez"
        raise DataError(template, path=path, error=str(error).partition("\n")[0]) from error
    for name in (inputs, target):
        if name is not None and name not in arrays:
            raise DataError(
                "{path} has no array {name!r}; known: {names}", path=path, name=name, names=", ".join(arrays)
            )
    y = arrays[target] if target else None
    made = load_arrays(arrays[inputs], y, Path(path).name, target_kind=target_kind, bad=bad, as_given=False)
    made.origin = Origin(path)
    return made


def load_arrays(
    inputs: Any,
    targets: Any = None,
    name: str = "arrays",
    *,
    target_kind: Wanted | None = None,
    bad: Bad | None = None,
    as_given: bool = True,
) -> Loaded:
    """Inputs and targets as arrays, tensors or lists.

    Shapes: inputs (N, …); bytes (N, H, W), (N, C, H, W) or (N, H, W, C) are pictures. Targets (N,), (N, K), or None;
        for inputs (N, C, H, W) a class code a pixel, (N, H, W) or (N, 1, H, W), is a mask.

    Raises:
        DataError: empty, of different lengths, not numbers, one class only, or with NaN in too many examples.
    """
    x = _tensor(inputs, "inputs")
    if x.ndim == 0 or x.numel() == 0:
        raise DataError(
            "{name}: no examples, shape {shape}; there is nothing to learn from", name=name, shape=tuple(x.shape)
        )
    kind, x = _kind(x)
    if targets is None:
        made = no_target(len(x))
    elif (masks := array_masks(targets, x.shape, target_kind)) is not None:
        made = made_masks(masks, name)
    else:
        made = _target(targets, target_kind, as_given, len(x))
    reasons = dict(made.bad)
    if x.is_floating_point():
        for row in torch.nonzero(~torch.isfinite(x).reshape(len(x), -1).all(dim=1)).flatten().tolist():
            reasons.setdefault(row, say("NaN or infinity in the inputs"))
    problems = [BadRow(say("{name} row {row}", name=name, row=row), reasons[row]) for row in sorted(reasons)]
    settle(problems, len(x), bad, name)
    values, total = made.values, len(x)
    if problems:
        good = torch.ones(total, dtype=torch.bool)
        good[list(reasons)] = False
        x, values = x[good], values[good]
    vocabulary = int(x.max()) + 1 if x.dtype == torch.int64 and x.ndim == 2 else None
    schema = Schema(
        kind,
        tuple(x.shape[1:]),
        str(x.dtype).removeprefix("torch."),
        made.target,
        vocab_size=vocabulary,
        as_given=as_given,
    )
    return Loaded(TensorDataset(x, values, schema, name, problems), _GIVEN, total, problems)


def load_torch(value: Any, target_kind: Wanted | None = None, bad: Bad | None = None) -> Loaded:
    """Somebody's torch Dataset or DataLoader: read whole where it fits in 2 GB, otherwise example by example.

    Raises:
        DataError: examples that are no (input, target) pairs, or of different shapes.
    """
    source = getattr(value, "dataset", value) if hasattr(value, "batch_size") else value
    if not hasattr(source, "__len__") or not hasattr(source, "__getitem__"):
        pairs = [_pair(example, row) for row, example in enumerate(source)]
        return _stacked(pairs, target_kind, bad)
    if len(source) == 0:
        raise DataError("{name}: no examples; there is nothing to learn from", name=type(source).__name__)
    first = _pair(source[0], 0)[0]
    if first.numel() * first.element_size() * len(source) <= 2e9:
        return _stacked([_pair(source[row], row) for row in range(len(source))], target_kind, bad)
    targets = torch.stack([_pair(source[row], row)[1] for row in range(len(source))])
    masks = array_masks(targets, torch.Size((len(source), *first.shape)), target_kind)
    name = type(source).__name__
    made = _target(targets, target_kind, True, len(source)) if masks is None else made_masks(masks, name)
    schema = Schema("array", tuple(first.shape), str(first.dtype).removeprefix("torch."), made.target, as_given=True)
    dataset = FileDataset(list(range(len(source))), made.values, _Reader(source), schema, name)
    return Loaded(dataset, _GIVEN, len(source))


class _Reader:
    """Reads the input of one example; a class, so that it can be sent to worker processes."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def __call__(self, row: int) -> Tensor:
        return _pair(self._source[row], row)[0]


def _stacked(pairs: Sequence[tuple[Tensor, Tensor]], target_kind: Wanted | None, bad: Bad | None) -> Loaded:
    if not pairs:
        raise DataError("{name}: no examples; there is nothing to learn from", name="data")
    inputs, targets = [x for x, _ in pairs], [y for _, y in pairs]
    for row, x in enumerate(inputs):
        if x.shape != inputs[0].shape:
            template = "example {row} has shape {got}, the first one {wanted}; give them the same"
            raise DataError(template, row=row, got=tuple(x.shape), wanted=tuple(inputs[0].shape))
    return load_arrays(torch.stack(inputs), torch.stack(targets), "data", target_kind=target_kind, bad=bad)


def _pair(example: Any, row: int) -> tuple[Tensor, Tensor]:
    if not isinstance(example, tuple | list) or len(example) != 2:
        kind = type(example).__name__
        raise DataError("example {row} is a {kind}; expected a pair (input, target)", row=row, kind=kind)
    x = np.asarray(example[0]) if type(example[0]).__module__.startswith("PIL") else example[0]
    return _tensor(x, "inputs"), _tensor(example[1], "targets")


def _tensor(value: Any, what: str) -> Tensor:
    if isinstance(value, Tensor):
        return value.detach().cpu()
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            kind = say("complex numbers") if array.dtype.kind == "c" else say("type {kind}", kind=array.dtype)
            raise ValueError(kind)
        if array.dtype.kind == "f":
            array = array.astype(np.float32)
        elif array.dtype.kind in "iu" and array.dtype != np.uint8:
            array = array.astype(np.int64)
        return torch.from_numpy(np.ascontiguousarray(array) if array.ndim else array.copy())
    except (TypeError, ValueError) as error:
        template = "{what} are not numbers in one shape ({error}); give an array or tensor"
        raise DataError(template, what=what, error=str(error).partition(". ")[0]) from error


def _kind(x: Tensor) -> tuple[Kind, Tensor]:
    """Bytes in two or three dimensions are pictures; so are floats from 0 to 1 with one or three channels."""
    if x.dtype in (torch.float16, torch.bfloat16, torch.float64) or x.dtype == torch.bool:
        x = x.float()
    elif not x.is_floating_point() and x.dtype != torch.uint8:
        x = x.long()
    if x.dtype == torch.uint8:
        if x.ndim == 3:
            return "image", x[:, None]
        if x.ndim == 4 and x.shape[1] not in (1, 3) and x.shape[3] in (1, 3):
            return "image", x.permute(0, 3, 1, 2).contiguous()
        return ("image", x) if x.ndim == 4 and x.shape[1] in (1, 3) else ("array", x.float())
    pixels = x.is_floating_point() and x.ndim == 4 and x.shape[1] in (1, 3) and min(x.shape[2:]) > 1
    return ("image" if pixels and float(x.min()) >= 0 and float(x.max()) <= 1 else "array"), x


def _target(targets: Any, wanted: Wanted | None, as_given: bool, rows: int) -> MadeTarget:
    words = np.asarray(targets) if not isinstance(targets, Tensor) else None
    if words is not None and words.dtype.kind in "OUSb" and words.ndim == 1:
        _same_length(rows, len(words))
        return make_target(["target"], [words.astype(object) if words.dtype.kind != "b" else words], wanted, ".")
    y = _tensor(targets, "targets")
    _same_length(rows, len(y) if y.ndim else 0)
    flat = y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1)
    if flat and (wanted == "class" or (wanted is None and _labels(y, as_given))):
        return _classes(y.reshape(-1), as_given)
    if y.ndim == 2 and wanted != "number" and bool(((y == 0) | (y == 1)).all()):
        if wanted in (None, "class") and bool((y.sum(dim=1) == 1).all()):
            return _classes(y.argmax(dim=1), True, y.shape[1])
        return MadeTarget(Target("multilabel", names=tuple(str(k) for k in range(y.shape[1]))), y.float())
    if y.ndim > 1 and not y.is_floating_point() and wanted in (None, "class"):
        return MadeTarget(
            Target("class", tuple(str(code) for code in range(int(y.max()) + 1))), y.long()
        )  # a label a place
    bad = {
        row: say("the target is NaN or infinite")
        for row in torch.nonzero(~torch.isfinite(y.float()).reshape(rows, -1).all(dim=1)).flatten().tolist()
    }
    values = y.float() if as_given or y.ndim > 1 else y.float()[:, None]
    count = values.shape[1] if values.ndim in (2, 4) else 1  # of pictures, the channels
    return MadeTarget(
        Target("number", names=tuple(f"target {k}" for k in range(count)) if count > 1 else ("target",)), values, bad
    )


def _same_length(inputs: int, targets: int) -> None:
    if inputs != targets:
        template = "{inputs} inputs but {targets} targets; give one target an example"
        raise DataError(template, inputs=inputs, targets=targets)


def _labels(y: Tensor, as_given: bool) -> bool:
    """Whether targets are labels: whole numbers in an integer array are, as in torch, unless they are far apart; floats
    handed over in Python are numbers, and in a file they are labels if they look like it.
    """
    numbers = y.double().numpy().reshape(-1)
    if y.is_floating_point():
        return not as_given and bool(np.isfinite(numbers).all()) and looks_like_classes(numbers)
    handful = len(numbers) < 60 and numbers.min() >= 0 and numbers.max() < 100
    return handful or looks_like_classes(numbers, _MANY)


def _classes(y: Tensor, as_given: bool, count: int | None = None) -> MadeTarget:
    """Class codes; those handed over in Python keep their numbers: the user's network has an output for each."""
    if y.is_floating_point() and not bool(torch.isfinite(y).all() and (y == y.round()).all()):
        raise DataError(
            "class targets hold fractions, NaN or infinity; give whole numbers, or set target_kind to number"
        )
    codes = y.long()
    low, high = int(codes.min()), int(codes.max())
    if count is not None or (as_given and low >= 0 and high < 100_000):
        if low == high:
            raise DataError(
                "target has one class only ({label}) in all {rows} rows; there is nothing to tell apart",
                label=low,
                rows=len(codes),
            )
        return MadeTarget(Target("class", tuple(str(code) for code in range(count or high + 1))), codes)
    unique, places = torch.unique(codes, return_inverse=True)
    good = np.ones(len(codes), dtype=bool)
    return class_target("y", places.double().numpy(), [str(value) for value in unique.tolist()], good)
