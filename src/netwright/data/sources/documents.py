"""Documents, one a row of a table (JSON lines, CSV, Parquet): texts with classes or numbers, pairs of texts, questions.

Which it is follows from the columns that are named: `target` for classes and numbers, `target_text` for what is to be
written (translation, summaries), `context` and `answer` for answers found in a text, and the text alone for language
models.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from netwright.core.errors import ConfigError, DataError
from netwright.core.messages import say
from netwright.data.alike import target_values
from netwright.data.dataset import BadRow
from netwright.data.decimals import Decimal
from netwright.data.policy import Bad, settle
from netwright.data.schema import Column, Schema, Target
from netwright.data.sources.delimited import read_parts
from netwright.data.sources.loaded import Loaded, Origin, official_parts
from netwright.data.table import RawTable, check_columns
from netwright.data.targets import Wanted, make_target, too_many
from netwright.data.texts import TextDataset
from netwright.data.tokenizing.settings import TokenSettings, token_settings

__all__ = ["load", "of_pairs", "of_texts"]


def load(
    path: str,
    text: str,
    *,
    target: str | list[str] | None = None,
    target_kind: Wanted | None = None,
    target_text: str | None = None,
    context: str | None = None,
    answer: str | None = None,
    tokens: dict[str, Any] | None = None,
    delimiter: str | None = None,
    encoding: str = "utf-8",
    decimal: Decimal | None = None,
    validation_path: str | None = None,
    test_path: str | None = None,
    bad: Bad | None = None,
    split: dict[str, Any] | None = None,
    like: Schema | None = None,
) -> Loaded:
    """The rows of a file as documents.

    Args:
        text: the column that is read by the network; of questions that of the question.
        target: a column of classes or numbers, or several.
        target_text: the column that is to be written.
        context, answer: the columns of the text that holds the answer, and of the answer: `{text, start}`, with the
            place of its first character in the context, or lists of them as SQuAD has: the first is to be learnt, any
            is right. An empty text, or list, says that the context does not answer the question.
        tokens: see `TokenSettings`.
        decimal: what stands before a fraction of a target; by default a point.
        validation_path, test_path: files of an official split; `path` is then the training part.
        like: a settled schema to read by, for new data (`load_like`).

    Raises:
        ConfigError: columns that do not go together.
        DataError: no such column, no documents, a target that cannot be learnt, too many bad rows.
    """
    _check_columns(target, target_text, context, answer)
    files = (path, validation_path, test_path)
    table = read_parts(files, delimiter=delimiter, encoding=encoding, bad="skip")
    targets = [target] if isinstance(target, str) else list(target or ())
    names = [text, *targets, *(name for name in (target_text, context, answer) if name is not None)]
    settle(table.problems, len(table) + len(table.problems), bad, table.source)
    if not len(table):
        raise DataError("{source} has no rows; there is nothing to learn from", source=table.source)
    check_columns(table, names)
    settings = None if like is None else like.tokens
    settings = settings or token_settings(tokens, "characters" if names == [text] else "bpe")
    reasons = _blank(table, [name for name in (text, target_text, context) if name is not None])
    answers: list[tuple[str, ...]] = []
    if answer is not None and context is not None:
        made, answers = _answers(table, context, answer, reasons)
    elif target_text is not None:
        return of_pairs(table, Origin(path), (text, target_text), settings, bad)
    else:
        made = _target(table, targets, target_kind, like, reasons, decimal)
    columns = tuple(_column(table, name) for name in (text, context) if name is not None)
    schema = Schema("text", (), "int64", made[0], columns, tokens=settings)
    loaded = _loaded(table, Path(path).name, Origin(path), schema, made[1], (text, context), reasons, bad)
    if answers and isinstance(loaded.dataset, TextDataset):
        loaded.dataset.answers = [answers[row] for row in range(len(table)) if row not in reasons]
    return loaded


def of_pairs(
    table: RawTable, origin: Origin, names: tuple[str, str], settings: TokenSettings, bad: Bad | None
) -> Loaded:
    """Rows with a text and one that is to be written.

    Raises:
        DataError: too many bad rows.
    """
    target, nothing = Target("text", names=names[1:]), torch.empty(0, dtype=torch.int64)
    schema = Schema("text", (), "int64", target, (_column(table, names[0]),), tokens=settings)
    name = Path(origin.source).name
    return _loaded(table, name, origin, schema, nothing, names, _blank(table, names), bad)


def of_texts(texts: Sequence[str], targets: Any, target_kind: Wanted | None = None) -> Loaded:
    """Texts with their classes or numbers, already in memory; targets that are texts and nearly all differ are to be
    written.

    Raises:
        DataError: as `load`.
    """
    import numpy as np

    rows = [list(row) if isinstance(row, tuple) else row for row in getattr(targets, "tolist", lambda: targets)()]
    if len(rows) != len(texts):
        template = "{inputs} inputs but {targets} targets; give one target an example"
        raise DataError(template, inputs=len(texts), targets=len(rows))
    cells: dict[str, list[Any]] = {"text": list(texts), "target": list(rows)}
    columns: dict[str, Any] = {name: np.empty(len(rows), dtype=object) for name in cells}
    for name, column in cells.items():
        columns[name][:] = column
    table = RawTable(say("the data"), columns, np.arange(1, len(rows) + 1), unit=say(" row "))
    if target_kind is None and all(isinstance(row, str) for row in rows) and too_many(len(set(rows)), len(rows)):
        return of_pairs(table, Origin("given in Python"), ("text", "target"), token_settings(None), None)
    reasons = _blank(table, ["text"])
    made = _target(table, ["target"], target_kind, None, reasons, ".")
    schema = Schema("text", (), "int64", made[0], (_column(table, "text"),), tokens=token_settings(None))
    return _loaded(table, "texts", Origin("given in Python"), schema, made[1], ("text", None), reasons, None)


def _check_columns(target: Any, target_text: str | None, context: str | None, answer: str | None) -> None:
    if (context is None) != (answer is None):
        template = "data.{given} needs data.{lacking}; a question is answered by a place in its context"
        given, lacking = ("context", "answer") if answer is None else ("answer", "context")
        raise ConfigError(template, path=f"data.{given}", given=given, lacking=lacking)
    several = [
        name for name, value in (("target", target), ("target_text", target_text), ("answer", answer)) if value
    ]  # fmt: skip
    if len(several) > 1:
        template = "data.{one} and data.{other} are two targets; keep one of them"
        raise ConfigError(template, path=f"data.{several[1]}", one=several[0], other=several[1])


def _column(table: RawTable, name: str) -> Column:
    known = [cell for cell in table.columns[name].tolist() if isinstance(cell, str) and cell.strip()]
    return Column(name, "text", missing=len(table) - len(known), unique=len(set(known)))


def _blank(table: RawTable, names: Sequence[str]) -> dict[int, str]:
    """Rows without a text in one of the columns."""
    reasons: dict[int, str] = {}
    for name in names:
        for row, cell in enumerate(table.columns[name].tolist()):
            if not isinstance(cell, str):
                reasons.setdefault(row, say("no text in field {field!r}", field=name))
            elif not cell.strip():
                reasons.setdefault(row, say("the text in {field!r} is empty", field=name))
    return reasons


def _target(
    table: RawTable, names: Sequence[str], kind: Wanted | None, like: Schema | None, reasons: dict[int, str],
    decimal: Decimal | None,
) -> tuple[Target, Tensor]:  # fmt: skip
    if not names:
        return Target("next-token"), torch.empty(0, dtype=torch.int64)
    if like is not None:
        return like.target, target_values(table, like.target, reasons, decimal or "")
    made = make_target(names, [table.columns[name] for name in names], kind, decimal)
    for row, reason in made.bad.items():
        reasons.setdefault(row, reason)
    return made.target, made.values


def _answers(
    table: RawTable, context: str, answer: str, reasons: dict[int, str]
) -> tuple[tuple[Target, Tensor], list[tuple[str, ...]]]:
    """Where each answer begins and ends in its context, both 0 where there is none, and all the right ones.

    Shapes: places (N, 2) int64.
    """
    places = torch.zeros(len(table), 2, dtype=torch.int64)
    cells = zip(table.columns[context].tolist(), table.columns[answer].tolist(), strict=True)
    right: list[tuple[str, ...]] = []
    for row, (where, cell) in enumerate(cells):
        found = _answer(cell)
        right.append(found[2] if found is not None else ())
        if found is None:
            template = "the answer in {field!r} is not of the form {{text, start}}"
            reasons.setdefault(row, say(template, field=answer))
            continue
        words, start, _ = found
        if not isinstance(where, str) or where[start : start + len(words)] != words:
            template = "the answer {words!r} does not stand at character {start} of its context"
            reasons.setdefault(row, say(template, words=words[:40], start=start))
        places[row, 0], places[row, 1] = start, start + len(words)
    return (Target("span", names=(answer,), may_lack=("",) in right), places), right


def _answer(cell: Any) -> tuple[str, int, tuple[str, ...]] | None:
    """Text and place of `{text, start}`, or of the first of SQuAD's lists, and all its texts (Rajpurkar et al., 2016
    and 2018).
    """
    try:
        value = json.loads(cell) if isinstance(cell, str) else cell
    except ValueError:
        return None
    if not isinstance(value, Mapping):
        return None
    found = value.get("text"), value.get("start", value.get("answer_start"))
    if found[0] in ("", []):
        return "", 0, ("",)
    words, start = (part[0] if isinstance(part, list) and part else part for part in found)
    if not isinstance(words, str) or not isinstance(start, int) or isinstance(start, bool):
        return None
    all_words = tuple(map(str, found[0])) if isinstance(found[0], list) else (words,)
    return (words, start, all_words) if words and start >= 0 else None


def _loaded(
    table: RawTable,
    name: str,
    origin: Origin,
    schema: Schema,
    targets: Tensor,
    texts: tuple[str, str | None],
    reasons: Mapping[int, str],
    bad: Bad | None,
) -> Loaded:
    problems = [*table.problems, *(BadRow(table.place(row), reasons[row]) for row in sorted(reasons))]
    total = len(table) + len(table.problems)
    settle(problems, total, bad, table.source)
    kept = [row for row in range(len(table)) if row not in reasons]
    first = table.columns[texts[0]].tolist()
    second = table.columns[texts[1]].tolist() if texts[1] is not None else None
    dataset = TextDataset(
        [first[row] for row in kept],
        targets[torch.tensor(kept, dtype=torch.int64)] if len(targets) else targets,
        schema,
        name,
        second=[second[row] for row in kept] if second is not None else None,
        problems=problems,
    )
    parts = torch.zeros(len(kept), dtype=torch.int8) if table.parts is None else torch.from_numpy(table.parts[kept])
    keys = {
        column: torch.from_numpy(_codes(values.tolist(), kept))
        for column, values in table.columns.items()
        if column not in texts
    }
    return Loaded(dataset, origin, total, problems, official_parts(parts), keys, lambda row: table.place(kept[row]))


def _codes(cells: Sequence[Any], kept: Sequence[int]) -> Any:
    """A column as numbers, to group and order by: numbers as they are, words in their order."""
    import numpy as np

    chosen = [cells[row] for row in kept]
    if all(isinstance(cell, int | float) or cell is None for cell in chosen):
        return np.array([np.nan if cell is None else float(cell) for cell in chosen], dtype=np.float64)
    words = [None if cell is None else str(cell) for cell in chosen]
    order = {word: code for code, word in enumerate(sorted({word for word in words if word is not None}))}
    return np.array([np.nan if word is None else float(order[word]) for word in words], dtype=np.float64)
