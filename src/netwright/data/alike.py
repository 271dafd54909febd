"""New data read as the training data were: under a schema that is already settled, with nothing inferred anew.

Categories and classes keep the codes they had in training, pictures come in the size of training, and a file of one
class or of three rows is fine, because there is nothing to learn from it.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from netwright.core.errors import DataError
from netwright.core.messages import say
from netwright.data.dataset import BadRow, TensorDataset
from netwright.data.encoding import cell_value
from netwright.data.policy import Bad, settle
from netwright.data.schema import Column, Schema, Target
from netwright.data.sources.loaded import Loaded, Origin, official_parts
from netwright.data.table import RawTable, check_columns

__all__ = ["class_codes", "recoded", "table_like", "target_values"]


def table_like(table: RawTable, name: str, origin: Origin, schema: Schema, bad: Bad | None = None) -> Loaded:
    """Encode a table by the columns of `schema`. Shapes: as `table.load_table`.

    Raises:
        DataError: training was on no table, a column is lacking, or too many rows do not fit.
    """
    if schema.kind != "table":
        template = "the data are {got}, the model was trained on {wanted}; give data like that"
        raise DataError(template, got=say("a table"), wanted=schema)
    targets, features = schema.target.names, schema.features
    check_columns(table, [column.name for column in features if not column.missing])
    check_columns(table, targets)
    if not len(table):
        raise DataError("{source} has no rows; there is nothing to measure on", source=table.source)
    reasons: dict[int, str] = {}
    inputs = torch.stack([_feature(table, column, reasons) for column in features], dim=1).float()
    decimal = "," if any(column.form == "," for column in schema.columns) else ""
    values = target_values(table, schema.target, reasons, decimal)
    problems = [*table.problems, *(BadRow(table.place(row), reasons[row]) for row in sorted(reasons))]
    total = len(table) + len(table.problems)
    settle(problems, total, bad, table.source)
    good = torch.ones(len(table), dtype=torch.bool)
    good[list(reasons)] = False
    parts = torch.zeros(len(table), dtype=torch.int8) if table.parts is None else torch.from_numpy(table.parts)
    dataset = TensorDataset(inputs[good], values[good], schema, name, problems)
    return Loaded(dataset, origin, total, problems, official_parts(parts[good]))


def class_codes(labels: Sequence[object], classes: tuple[str, ...], where: str) -> Tensor:
    """Codes of labels among the classes of training.

    Raises:
        DataError: a label that training did not have.
    """
    lookup = {label: code for code, label in enumerate(classes)}
    if unknown := sorted({str(label) for label in labels} - set(lookup)):
        template = "{where}: the model does not know the class {unknown}; its classes are {known}"
        known = ", ".join(classes[:12]) + (", …" if len(classes) > 12 else "")
        raise DataError(template, where=where, unknown=", ".join(unknown[:5]), known=known)
    return torch.tensor([lookup[str(label)] for label in labels], dtype=torch.int64)


def recoded(codes: Tensor, got: Target, wanted: Target, where: str) -> Tensor:
    """Class codes of one target as those of another; other kinds of targets as they are. Shapes: any.

    Raises:
        DataError: a class that training did not have.
    """
    if wanted.kind == "mask":
        class_codes(got.classes[len(wanted.classes) :], wanted.classes, where)  # masks hold codes, named or not
    if wanted.kind != "class" or got.classes == wanted.classes or not codes.numel():
        return codes
    used = codes.unique()
    lookup = torch.zeros(len(got.classes), dtype=torch.int64)
    lookup[used] = class_codes([got.classes[code] for code in used.tolist()], wanted.classes, where)
    return lookup[codes]


def _feature(table: RawTable, column: Column, reasons: dict[int, str]) -> Tensor:
    """One column as training stored it. Shapes: -> (N,)."""
    if column.name not in table.columns:
        return torch.full((len(table),), torch.nan)
    return _read(table, column, reasons)


def _read(table: RawTable, column: Column, reasons: dict[int, str]) -> Tensor:
    values = np.full(len(table), np.nan)
    for row, cell in enumerate(table.columns[column.name].tolist()):
        try:
            values[row] = cell_value(column, cell)
        except DataError as error:
            reasons.setdefault(row, str(error))
    return torch.from_numpy(values)


def target_values(table: RawTable, target: Target, reasons: dict[int, str], decimal: str = "") -> Tensor:
    """The targets of new rows by the codes of training; why a row has none goes into `reasons`.

    Args:
        decimal: "," where numbers are written with one.

    Shapes: -> (N,) or (N, K).
    """
    if target.kind not in ("class", "number", "multilabel"):
        return torch.zeros(len(table), 0)
    if target.kind != "class":
        columns = [_read(table, Column(name, "numeric", form=decimal), reasons) for name in target.names]
        return _known(torch.stack(columns, dim=1), target, reasons)
    lookup = {label: float(code) for code, label in enumerate(target.classes)}
    codes = [lookup.get(_label(cell), -1.0) for cell in table.columns[target.names[0]].tolist()]
    for row, code in enumerate(codes):
        if code < 0:
            cell = str(table.columns[target.names[0]][row])[:40]
            reasons.setdefault(row, say("{label!r} is no class of the model", label=cell))
    return torch.tensor(codes).long()


def _known(values: Tensor, target: Target, reasons: dict[int, str]) -> Tensor:
    for row in torch.nonzero(values.isnan().any(dim=1)).flatten().tolist():
        reasons.setdefault(row, say("{name} is missing, and it is the target", name=target.names[0]))
    return values


def _label(cell: object) -> str:
    """A label the way training wrote it: 3.0 is "3"."""
    text = str(cell).strip()
    try:
        return f"{float(text):g}"
    except ValueError:
        return text
