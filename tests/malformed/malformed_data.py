# ruff: noqa: E501 - a table reads best with a case a line
"""Data that cannot be used: tables, JSON lines, Parquet, arrays, texts, pictures, environments, splits."""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
from malformed_case import Case, config, config_text, data
from PIL import Image

from netwright.experiment.run import train

__all__ = ["CASES"]

LABEL, PRICE, AUTO = "{path: t.csv, target: label}", "{path: t.csv, target: price}", "model: -"


def rows(header: str, *lines: str, count: int = 40) -> str:
    """A CSV: the lines over and over, `count` of them, with # for the row's number."""
    body = [lines[n % len(lines)].replace("#", str(n)) for n in range(count)]
    return "\n".join([header, *body]) + "\n"


GOOD_ROWS = rows("a,b,label", "#,#.5,x", "#.25,1,y")


def table(name: str, text: str | bytes, pattern: str, section: str = LABEL, code: int = 3, more: str = AUTO) -> Case:
    return data(f"csv {name}", {"t.csv": text}, section, pattern, code, more)


def lines(name: str, text: str | bytes, pattern: str, section: str = "{path: t.jsonl, target: label}") -> Case:
    return data(f"jsonl {name}", {"t.jsonl": text}, section, pattern, more=AUTO)


TABLES = [
    data("csv missing", {}, "{path: tabel.csv, target: label}", r"tabel\.csv does not exist; did you mean table\.csv\?"),
    data("csv in a missing folder", {}, "{path: no/t.csv, target: label}", r"no/t\.csv does not exist, nor does its folder"),
    data("a folder called csv", {"t.csv/x": "a"}, "t.csv", r"t\.csv holds no pictures.*check data\.path"),
    data("unknown suffix", {"t.xlsx": "a"}, "{path: t.xlsx}", r"t\.xlsx: .*\.xlsx.*known: \.csv"),
    data("a pickle", {"t.pkl": b"\x80\x04."}, "{path: t.pkl}", r"t\.pkl: .*\.pkl.*known: \.csv"),
    data("json", {"t.json": "[]"}, "{path: t.json}", r"t\.json: .*\.json.*known: \.csv"),
    data("no suffix", {"t": "a,b\n1,2\n"}, "{path: t}", r"t: .*known: \.csv"),
    table("empty", "", r"t\.csv is empty; there is nothing to learn from"),
    table("blank", " \n\n \n", r"t\.csv is empty; there is nothing to learn from"),
    table("header only", "a,b,label\n", r"t\.csv has no rows; there is nothing to learn from"),
    table("one row", "a,b,label\n1,2,x\n", r"target label .*one class only \(x\).*1 row"),
    table("without header", rows("1,2,3", "#,1,2"), r"t\.csv: the first line \(1, 2, 3.*looks like data; add a line of column names"),
    table("columns named alike", rows("a,a,label", "#,1,x"), r"t\.csv has two columns named 'a'; rename one"),
    table("NUL bytes", b"a,label\n1,x\n2,\0\n", r"t\.csv:3 holds NUL bytes; this is no text file"),
    table("a picture", bytes(range(256)) * 10, r"t\.csv:\d.*(not utf-8|NUL bytes|must be readable)"),
    table("utf-16", GOOD_ROWS.encode("utf-16"), r"t\.csv is not utf-8; it begins like UTF-16: set data\.encoding: utf-16"),
    table("latin-1", rows("a,label", "#,h\xf6h", "#,y").encode("latin-1"), r"t\.csv: 20 of .*byte 0xf6.*set data\.encoding"),
    table("latin-1 header", rows("\xe4,label", "#,x", "#,y").encode("latin-1"), r"t\.csv:1: byte 0xe4.*first line must be readable"),
    table("unknown encoding", GOOD_ROWS, r"data\.encoding=utf-9 is not an encoding; use utf-8", LABEL[:-1] + ", encoding: utf-9}"),
    table("no target column", GOOD_ROWS, r"t\.csv has no column 'lable'; did you mean label\?", "{path: t.csv, target: lable}"),
    table("no such ignored column", GOOD_ROWS, r"t\.csv has no column 'c'", LABEL[:-1] + ", ignore: [c]}"),
    table("only feature ignored", rows("a,label", "#.5,x", "#,y"), r"no usable feature \(a: left out by data\.ignore\)", "{path: t.csv, target: label, ignore: [a]}"),
    table("no target given", GOOD_ROWS, r"no target.*set data\.target to a column", "{path: t.csv}", 2),
    table("target only", rows("label", "x", "y"), r"t\.csv has no usable feature.*keep at least one column"),
    table("one class", rows("a,label", "#,x"), r"target label has one class only \(x\) in all 40 rows"),
    table("target all missing", rows("a,label", "#,"), r"target label has no usable value in 40 rows; choose another column"),
    table("target an identifier", rows("a,label", "#,k#q"), r"target label has 40 different values.*choose another column"),
    table("target constant", rows("a,price", "#,5.5"), r"target price is 5\.5 in every row; there is nothing to learn", PRICE),
    table(
        "target of words, numbers wanted", rows("a,price", "#,cheap", "#,dear"),
        r"target price holds words \('cheap', …\) where numbers are wanted; set data\.target_kind: class",
        "{path: t.csv, target: price, target_kind: number}",
    ),
    table("features all missing", rows("a,b,label", ",,x", ",,y"), r"t\.csv has no usable feature \(a: empty, b: empty\)"),
    table("features constant", rows("a,label", "1,x", "1,y"), r"t\.csv has no usable feature \(a: constant\)"),
    table("features identifiers", rows("id,label", "#,x", "#,y"), r"t\.csv has no usable feature \(id: an identifier\)"),
    table("ragged", rows("a,b,label", "#,1,x", "#,y"), r"t\.csv: 20 of 40 examples are bad.*t\.csv:3: 2 fields.*data\.bad: skip"),
    table("a little ragged, refused", rows("a,b,label", *["#,1,x"] * 30, "#,y"), r"1 of 40 examples are bad.*t\.csv:32", LABEL[:-1] + ", bad: refuse}"),
    table("all ragged", rows("a,b,label", "#,1"), r"t\.csv: all 40 examples are bad.*2 fields where the header has 3"),
    table("unclosed quote", 'a,label\n1,"x\n' + "2,y\n" * 40, r"t\.csv:2: a quote that begins here is never closed; close it"),
    table("target infinite", rows("a,price", "#,inf", "#,#.5"), r"20 of 40 examples are bad.*price=inf is not a finite number", PRICE),
    table("half the numbers words", rows("a,label", "#.5,x", "#.5,y", "#.5,x", "#.5,y", "what#,x"), r"8 of 40 examples are bad.*a='what4' is not a number"),
    table("two characters between fields", GOOD_ROWS, r"data\.delimiter=';;'.*one character", LABEL[:-1] + ", delimiter: ;;}", 2),
    table("nothing between fields", GOOD_ROWS, r"data\.delimiter=''.*one character", LABEL[:-1] + ", delimiter: ''}", 2),
    table("wrong delimiter", GOOD_ROWS, r"t\.csv has no column 'label'", LABEL[:-1] + ", delimiter: ;}"),
    table("unknown key", GOOD_ROWS, r":1: data\.tagret is not a known setting; did you mean target\?", "{path: t.csv, tagret: label}", 2),
    table("target of a wrong type", GOOD_ROWS, r":1: data\.target=5 does not fit", "{path: t.csv, target: 5}", 2),
    table("target_kind unknown", GOOD_ROWS, r":1: data\.target_kind='klass' .*did you mean class\?", LABEL[:-1] + ", target_kind: klass}", 2),
    table("bad unknown", GOOD_ROWS, r":1: data\.bad='drop' is not one of skip or refuse", LABEL[:-1] + ", bad: drop}", 2),
    table("ignore no list", GOOD_ROWS, r":1: data\.ignore='b' does not fit; expected a list", LABEL[:-1] + ", ignore: b}", 2),
    table("validation file missing", GOOD_ROWS, r"v\.csv does not exist", LABEL[:-1] + ", validation_path: v.csv}"),
    table("validation file a folder", GOOD_ROWS, r"photos is a folder; expected a file", LABEL[:-1] + ", validation_path: photos}"),
    table("test file with other columns", GOOD_ROWS, r"different columns.*give them the same", LABEL[:-1] + ", test_path: prices.csv}"),
    table("several labels no flags", GOOD_ROWS, r"targets a, b hold other values than 0 and 1", "{path: t.csv, target: [a, b], target_kind: multilabel}"),
    table("too few for a batch", rows("a,label", "#,x", "#,y", count=6), r":2: train\.batch_size=8 is larger than the data", code=2),
]  # fmt: skip

SPLITS = [
    table("split nothing left", GOOD_ROWS, r":1: data\.split leaves nothing to train on", LABEL[:-1] + ", split: {validation: 0.5, test: 0.5}}", 2),
    table("split negative", GOOD_ROWS, r":1: data\.split\.validation=-0\.1 does not fit", LABEL[:-1] + ", split: {validation: -0.1}}", 2),
    table("split of one", GOOD_ROWS, r":1: data\.split\.test=1\.0 does not fit; expected less than 1", LABEL[:-1] + ", split: {test: 1.0}}", 2),
    table("split no section", GOOD_ROWS, r":1: data\.split=5 does not fit; expected a section", LABEL[:-1] + ", split: 5}", 2),
    table("split unknown key", GOOD_ROWS, r":1: data\.split\.valid is not a known setting; did you mean validation\?", LABEL[:-1] + ", split: {valid: 0.1}}", 2),
    table("split unknown way", GOOD_ROWS, r":1: data\.split\.by='grup' .*did you mean group\?", LABEL[:-1] + ", split: {by: grup}}", 2),
    table("split by group without column", GOOD_ROWS, r":1: data\.split\.by=group needs data\.split\.column", LABEL[:-1] + ", split: {by: group}}", 2),
    table("split column without way", GOOD_ROWS, r"data\.split\.column=a needs data\.split\.by", LABEL[:-1] + ", split: {column: a}}", 2),
    table("split by no column", GOOD_ROWS, r"data\.split\.column=aa is not a column.*did you mean a\?", LABEL[:-1] + ", split: {by: group, column: aa}}"),
    table("split by two groups", rows("a,g,label", "#,1,x", "#,2,y"), r"has 2 groups; at least 3 are needed", LABEL[:-1] + ", split: {by: group, column: g}}"),
    table("split numbers by class", rows("a,price", "#.5,#.5"), r"by=stratified needs classes.*use random", PRICE[:-1] + ", split: {by: stratified}}"),
    table("split seed", GOOD_ROWS, r":1: data\.split\.seed='x' does not fit", LABEL[:-1] + ", split: {seed: x}}", 2),
]  # fmt: skip

JSONL = [
    lines("broken lines", '{"a": 1, "label": "x"}\n{"a": \n' * 20, r"t\.jsonl: 20 of 40 examples are bad.*t\.jsonl:2: not JSON"),
    lines("all broken", "hello\n" * 20, r"t\.jsonl: all 20 examples are bad.*not JSON"),
    lines("lists", "[1, 2]\n" * 20, r"t\.jsonl: all 20 examples are bad.*a list where an object is expected"),
    lines("one array", '[{"a": 1, "label": "x"},\n{"a": 2, "label": "y"}]\n', r"t\.jsonl: all 2 examples are bad.*not JSON"),
    lines("empty", "", r"t\.jsonl is empty"),
    lines("not utf-8", b'{"a": 1, "label": "\xff"}\n' * 30, r"t\.jsonl.*(byte 0xff|first line must be readable)"),
    lines("no target", '{"a": 1, "label": "x"}\n' * 30, r"t\.jsonl has no column 'lable'; did you mean label\?", "{path: t.jsonl, target: lable}"),
    lines("text field missing", '{"text": "abc"}\n' * 30, r"t\.jsonl has no column 'txt'; did you mean text\?", "{path: t.jsonl, text: txt}"),
    lines("text field no text", '{"text": 5}\n' * 30, r"t\.jsonl: all 30 examples are bad.*no text in field 'text'", "{path: t.jsonl, text: text}"),
]  # fmt: skip

PARQUET = [
    data(
        "parquet of words",
        {"t.parquet": "a,b\n1,2\n"},
        "{path: t.parquet, target: b}",
        r"t\.parquet is not a readable Parquet file",
    ),
    data(
        "parquet empty",
        {"t.parquet": b""},
        "{path: t.parquet, target: b}",
        r"t\.parquet is (empty|not a readable Parquet file)",
    ),
    data(
        "parquet cut short",
        {"t.parquet": b"PAR1" + b"\0" * 50},
        "{path: t.parquet, target: b}",
        r"t\.parquet is not a readable Parquet file",
    ),
    data("parquet missing", {}, "{path: t.parquet, target: b}", r"t\.parquet does not exist"),
]


def npz(**arrays: np.ndarray) -> bytes:
    """The bytes of an `.npz` file."""
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def arrays(
    name: str, content: bytes, pattern: str, section: str = "{path: t.npz}", code: int = 3, more: str = AUTO
) -> Case:
    return data(f"npz {name}", {"t.npz": content}, section, pattern, code, more)


X, Y = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32), np.arange(40) % 3
PHOTOS = np.random.default_rng(0).integers(0, 255, (40, 16, 24), dtype=np.uint8)
ARRAYS = [
    arrays("of words", b"hello", r"t\.npz is no \.npz file.*write it with numpy\.savez"),
    arrays("empty", b"", r"t\.npz is no \.npz file.*numpy\.savez"),
    arrays("cut short", npz(x=X, y=Y)[:200], r"t\.npz is no \.npz file, or cut short; write it"),
    arrays("pickled objects", npz(x=np.array([{}, []], dtype=object), y=Y), r"t\.npz holds pickled Python objects, which are never loaded; save plain arrays"),
    arrays("no inputs", npz(z=X, y=Y), r"t\.npz has no array 'x'; known: z, y"),
    arrays("no targets", npz(x=X, z=Y), r"t\.npz has no array 'y'; known: x, z"),
    arrays("no targets wanted", npz(x=X), r"no target", "{path: t.npz, target: ~}", 2),
    arrays("different lengths", npz(x=X, y=Y[:30]), r"40 inputs but 30 targets; give one target an example"),
    arrays("no examples", npz(x=X[:0], y=Y[:0]), r"t\.npz: no examples"),
    arrays("a single number", npz(x=np.array(3.0), y=np.array(1)), r"t\.npz: no examples, shape \(\)"),
    arrays("all NaN", npz(x=X * np.nan, y=Y), r"t\.npz: all 40 examples are bad.*NaN or infinity"),
    arrays("half infinite", npz(x=np.where(np.arange(40)[:, None] % 2 == 0, np.inf, X), y=Y), r"t\.npz: 20 of 40 examples are bad"),
    arrays("words", npz(x=np.array([["a", "b"]] * 40), y=Y), r"inputs are not numbers in one shape \(type .*\); give an array"),
    arrays("complex", npz(x=X.astype(np.complex64), y=Y), r"inputs are not numbers in one shape \(complex numbers\)"),
    arrays("dates", npz(x=np.full((40, 2), "2024-01-01", dtype="datetime64[D]"), y=Y), r"inputs are not numbers"),
    arrays("one class", npz(x=X, y=Y * 0), r"one class only"),
    arrays("targets NaN", npz(x=X, y=X[:, 0] * np.nan), r"all 40 examples are bad.*target is NaN"),
    arrays("class targets of fractions", npz(x=X, y=X[:, 0]), r"class targets hold fractions.*target_kind", "{path: t.npz, target_kind: class}"),
    arrays("no columns", npz(x=np.zeros((40, 0), np.float32), y=Y), r"t\.npz: no examples, shape \(40, 0\)"),
    arrays("target of a wrong type", npz(x=X, y=Y), r":1: data\.target=5 does not fit", "{path: t.npz, target: 5}", 2),
    arrays("lenet5 on oblong pictures", npz(x=PHOTOS, y=Y), r":2: model lenet5.*image_size; use .*mlp", code=2, more="model: lenet5"),
    arrays("lenet5 on vectors", npz(x=X, y=Y), r":2: model lenet5.*in_channels, image_size; use mlp", code=2, more="model: lenet5"),
    data("npy", {"t.npy": b"x"}, "{path: t.npy}", r"t\.npy: .*\.npy.*known: .*\.npz"),
]  # fmt: skip


def text(name: str, content: str | bytes, pattern: str, section: str = "t.txt", code: int = 3) -> Case:
    more = "model: {name: gpt, num_layers: 1, num_heads: 2, hidden_size: 8, context: 16}"
    return data(f"text {name}", {"t.txt": content}, section, pattern, code, more)


TEXTS = [
    text("empty", "", r"t\.txt is empty; there is nothing to learn from"),
    text("blank", "\n\n  \n", r"t\.txt is empty; there is nothing to learn from"),
    text("short", "abc", r"(\d tokens, and one window needs 17|too few).*(more text|shorter context)"),
    text(
        "of latin-1",
        "h\xf6h\n".encode("latin-1") * 40,
        r"t\.txt: (all )?4\d .*examples are bad.*byte 0xf6.*set data\.encoding",
    ),
    text("binary", bytes(range(256)) * 20, r"t\.txt"),
    text("NUL bytes", b"abc\0def\n" * 40, r"t\.txt:1 holds NUL bytes"),
    text("missing", "abc", r"s\.txt does not exist", "s.txt"),
    text("unknown key", "abc\n" * 90, r":1: data\.target is not a known setting", "{path: t.txt, target: x}", 2),
    text(
        "unknown encoding",
        "abc\n" * 90,
        r"data\.encoding=klingon is not an encoding",
        "{path: t.txt, encoding: klingon}",
    ),
    data("text folder of empty files", {"d/a.txt": "", "d/b.txt": ""}, "d", r"d.*(is empty|no usable)", more=AUTO),
]


def png(side: int = 16, tone: int = 99) -> bytes:
    """The bytes of a grey picture."""
    stream = io.BytesIO()
    Image.new("L", (side, side), tone).save(stream, "PNG")
    return stream.getvalue()


def pictures(
    name: str, files: dict[str, bytes], pattern: str, section: str = "pics", code: int = 3, more: str = "model: lenet5"
) -> Case:
    return data(
        f"pictures {name}", {f"pics/{place}": content for place, content in files.items()}, section, pattern, code, more
    )


def good(*classes: str, count: int = 10, side: int = 16) -> dict[str, bytes]:
    return {f"{label}/{n}.png": png(side, 20 * len(label) + n) for label in classes for n in range(count)}


def empty_class(folder: Path) -> Callable[[], object]:
    """Two classes with pictures, and a folder of a third without."""
    for place, content in good("cats", "dogs").items():
        (folder / "pics" / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / "pics" / place).write_bytes(content)
    (folder / "pics" / "owls").mkdir()
    (folder / "config.yaml").write_text(config_text("data: pics\nmodel: lenet5"))
    return lambda: train(folder / "config.yaml", out=folder / "out", quiet=True)


PICTURES = [
    data("pictures missing", {}, "phots/", r"phots.* does not exist; did you mean photos\?"),
    pictures("none", {"readme.md": b"hi"}, r"pics holds no pictures.*check data\.path"),
    pictures("one class", good("cats"), r"pics has one class only \(cats\); add a folder for each class"),
    Case("pictures with an empty class", 3, r"pics/owls holds no pictures; add some or remove the folder", empty_class),
    pictures("beside the classes", good("cats", "dogs") | {"stray.png": png()}, r"stray\.png stands beside the class folders"),
    pictures("all cut short", {k: v[:40] for k, v in good("cats", "dogs").items()}, r"pics: all 20 examples are bad.*\.png"),
    pictures("many cut short", good("cats", "dogs") | {f"cats/x{n}.png": png()[:50] for n in range(5)}, r"pics: 5 of 25 examples are bad.*cats/x0\.png"),
    pictures("many of zero bytes", good("cats", "dogs") | {f"cats/x{n}.png": b"" for n in range(5)}, r"pics: 5 of 25 .*x0\.png: empty file.*data\.bad: skip"),
    pictures("many renamed texts", good("cats", "dogs") | {f"cats/x{n}.jpg": b"hello" for n in range(5)}, r"pics: 5 of 25 .*x0\.jpg: not a picture"),
    pictures("one bad, refused", good("cats", "dogs", count=30) | {"cats/x.png": b"x"}, r"pics: 1 of 61 .*cats/x\.png", "{path: pics, bad: refuse}"),
    pictures("size 0", good("cats", "dogs"), r":1: data\.image_size=0 does not fit; expected greater than 0", "{path: pics, image_size: 0}", 2),
    pictures("size of words", good("cats", "dogs"), r":1: data\.image_size='big' does not fit", "{path: pics, image_size: big}", 2),
    pictures("two channels", good("cats", "dogs"), r":1: data\.channels=2 is not one of 1 or 3", "{path: pics, channels: 2}", 2),
    pictures("memory negative", good("cats", "dogs"), r":1: data\.memory_gb=-1 does not fit", "{path: pics, memory_gb: -1}", 2),
    pictures("unknown key", good("cats", "dogs"), r":1: data\.imagesize .*did you mean image_size\?", "{path: pics, imagesize: 8}", 2),
    pictures("target", good("cats", "dogs"), r":1: data\.target is not a known setting", "{path: pics, target: x}", 2),
    pictures("too small for lenet5", good("cats", "dogs", side=8), r":2: model\.image_size=8 is too small.*mlp", code=2),
    pictures("fewer than a batch", good("cats", "dogs", count=3), r":3: train\.batch_size=8 is larger than the data", code=2),
    pictures("gpt", good("cats", "dogs"), r":2: model gpt is for other data.*use lenet5, mlp", code=2, more="model: gpt"),
]  # fmt: skip

ENVIRONMENTS = [
    config("data: {environment: CartPol-v1}\nmodel: -", r":1: unknown environment 'CartPol-v1'; did you mean CartPole"),
    config("data: {environment: xyzzy}\nmodel: -", r":1: unknown environment 'xyzzy'; gymnasium's registry"),
    config("data: {environment: ''}\nmodel: -", r":1: (unknown environment|data\.environment)"),
    config("data: {environment: CartPole-v99}\nmodel: -", r":1: unknown environment.*did you mean CartPole-v1"),
    config(
        "data: {environment: 5}\nmodel: -", r":1: data\.environment=5 does not fit; expected a name such as CartPole-v1"
    ),
    config("data: {environment: ~}\nmodel: -", r":1: data\.environment=None does not fit; expected a name"),
    config("data: {enviroment: CartPole-v1}\nmodel: -", r":1: .*enviroment.*did you mean environment\?"),
    config(
        "data: {environment: Pendulum-v1}\nmodel: -\ntask: q-learning",
        r":3: task q-learning needs an environment with a fixed set.*whose actions are numbers; use task: actor-critic",
    ),
    config(
        "data: {environment: CartPole-v1, rolout_steps: 5}\nmodel: -",
        r":1: data\.rolout_steps .*did you mean rollout_steps\?",
    ),
    config(
        "data: {environment: CartPole-v1, rollout_steps: 5}\nmodel: -",
        r":1: data\.rollout_steps is not a known setting.*",
    ),
    config(
        "data: {environment: CartPole-v1, buffer_size: 50}\nmodel: -\ntask: actor-critic",
        r":1: data\.buffer_size is not a known setting",
    ),
    config(
        "data: {environment: CartPole-v1, rollout_steps: 0}\nmodel: -\ntask: actor-critic",
        r":1: data\.rollout_steps=0 does not fit; expected greater than 0",
    ),
    config(
        "data: {environment: LunarLander-v3}\nmodel: -", r"environment LunarLander-v3 needs more than gymnasium.*box2d"
    ),
    config(
        "data: {environment: CartPole-v1, bufer_size: 5}\nmodel: -",
        r":1: data\.bufer_size .*did you mean buffer_size\?",
    ),
    config(
        "data: {environment: CartPole-v1, buffer_size: 0}\nmodel: -",
        r":1: data\.buffer_size=0 does not fit; expected greater than 0",
    ),
    config(
        "data: {environment: CartPole-v1, buffer_size: 4}\nmodel: -",
        r":\d: .*batch_size=8 is larger than buffer_size=4",
    ),
    config("data: {environment: CartPole-v1, epsilon_start: 2}\nmodel: -", r":1: data\.epsilon_start=2 does not fit"),
    config(
        "data: {environment: CartPole-v1}\nmodel: -\ntask: regression",
        r"task regression needs numbers.*use task: q-learning",
    ),
]


def without(module: str, name: str, section: str, pattern: str) -> Case:
    """Data that need a library which is not installed."""

    def make(folder: Path) -> Callable[[], object]:
        (folder / "t.parquet").write_bytes(b"PAR1")
        (folder / "config.yaml").write_text(config_text(f"data: {section}\nmodel: -"))

        def call() -> object:
            with patch.dict(sys.modules, {module: None}):
                return train(folder / "config.yaml", out=folder / "out", quiet=True)

        return call

    return Case(f"without {name}", 2, pattern, make)


EXTRAS = [
    without("gymnasium", "gymnasium", "{environment: CartPole-v1}", r"gymnasium is not installed; run: pip install 'netwright\[rl\]'"),
    without("pyarrow.parquet", "pyarrow", "{path: t.parquet, target: a}", r"pyarrow is not installed; run: pip install 'netwright\[tables\]'"),
]  # fmt: skip

CASES = [*EXTRAS, *TABLES, *SPLITS, *JSONL, *PARQUET, *ARRAYS, *TEXTS, *PICTURES, *ENVIRONMENTS]
