"""Documents from files and folders: what is inferred, what is refused, what is told of them."""

import json
import logging
from pathlib import Path

import pytest
import torch

from netwright.core.errors import ConfigError, DataError
from netwright.data import Preprocessor, describe, load_data, load_like
from netwright.data.section import anchored, check_section
from netwright.data.texts import TextDataset
from netwright.data.textual import stream_of

ROWS = [{"text": f"text number {n} of {n * n}", "label": "good" if n % 3 else "bad", "n": n / 7} for n in range(60)]


def jsonl(path: Path, rows=ROWS) -> str:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    return str(path)


def spec(tmp_path, **section):
    return {"path": jsonl(tmp_path / "a.jsonl"), "text": "text", "tokens": {"kind": "words"}, **section}


def test_classes_numbers_labels_and_texts_are_inferred(tmp_path) -> None:
    data = load_data(spec(tmp_path, target="label"))
    assert data.schema.target.classes == ("bad", "good") and data.schema.default_task() == "text-classification"
    assert data.split["sizes"] == {"train": 48, "validation": 6, "test": 6} and data.split["method"] == "stratified"
    assert data.schema.sizes() == {"vocab_size": data.schema.vocab_size, "num_classes": 2}
    number = load_data(spec(tmp_path, target="n"))
    assert number.schema.default_task() == "regression"
    scaled = Preprocessor.fit(number.train).targets(number.train.labels())
    assert abs(float(scaled.mean())) < 1e-5
    written = load_data(spec(tmp_path, target_text="label"))
    assert isinstance(written.train, TextDataset) and written.train.second is not None
    alone = load_data(spec(tmp_path))
    assert alone.schema.default_task() == "language-modeling" and alone.split["method"] == "contiguous blocks"


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_tables_hold_documents_too(tmp_path, suffix) -> None:
    pandas = pytest.importorskip("pandas")
    path, frame = tmp_path / f"a{suffix}", pandas.DataFrame(ROWS)
    if suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
    data = load_data({"path": str(path), "text": "text", "target": "label", "tokens": {"kind": "words"}})
    assert data.train.texts[0].startswith("text number") and len(data.train) == 48


def test_official_parts_and_the_tokenizer_of_the_training_part_only(tmp_path) -> None:
    other = jsonl(tmp_path / "b.jsonl", [{"text": f"unseen{n}", "label": "good", "n": 0} for n in range(9)])
    data = load_data(spec(tmp_path, target="label", test_path=other))
    assert data.split["sizes"] == {"train": 54, "validation": 6, "test": 9}
    tokenizer = Preprocessor.fit(data.train).tokenizer
    assert tokenizer.encode("unseen3").tolist() == [1] and 1 not in tokenizer.encode("text number").tolist()
    assert len(tokenizer) == data.schema.vocab_size


def test_a_folder_of_classes(tmp_path) -> None:
    for name, words in (("cats", "meow purr"), ("dogs", "woof")):
        (tmp_path / name).mkdir()
        for n in range(12):
            (tmp_path / name / f"{n}.txt").write_text(f"{words} {n}\nagain\n")
    data = load_data({"path": str(tmp_path), "tokens": {"kind": "words"}})
    assert data.schema.target.classes == ("cats", "dogs") and len(data.train) == 20
    assert load_like(str(tmp_path), data.schema).schema == data.schema
    stream = load_data({"path": str(tmp_path), "target": "none"})
    assert stream.schema.default_task() == "language-modeling"
    (tmp_path / "cats" / "0.txt").rename(tmp_path / "cats" / "0.TXT")
    assert len(load_data(str(tmp_path)).train) == 20 and len(load_data({"path": str(tmp_path / "cats")}).train) > 99
    (tmp_path / "cats" / "empty.txt").write_text(" \n")
    assert "empty.txt" in load_data({"path": str(tmp_path), "tokens": {"kind": "words"}}).problems[0].place
    (tmp_path / "dogs" / "bad.txt").write_bytes(b"fine\nnot \xff fine")
    with pytest.raises(DataError, match=r"bad\.txt:2.*0xff at position 5"):
        load_data({"path": str(tmp_path), "bad": "refuse"})


def test_texts_in_memory() -> None:
    texts, labels = [row["text"] for row in ROWS], [row["label"] for row in ROWS]
    data = load_data((texts, labels))
    assert data.schema.kind == "text" and data.schema.target.classes == ("bad", "good")
    assert load_data((texts, [row["n"] for row in ROWS])).schema.default_task() == "regression"
    written = load_data((texts, [text.upper() for text in texts]))
    assert written.schema.default_task() == "sequence-to-sequence" and written.train.references[0][0].isupper()
    with pytest.raises(DataError, match=r"60 inputs but 3 targets"):
        load_data((texts, labels[:3]))


def test_questions_need_an_answer_in_their_context(tmp_path) -> None:
    rows = [
        {"q": f"who {n}", "c": f"it was Bob {n}", "a": {"text": f"Bob {n}", "start": 7}} for n in range(40)
    ]  # fmt: skip
    section = {"text": "q", "context": "c", "answer": "a", "tokens": {"kind": "words"}}
    data = load_data({"path": jsonl(tmp_path / "q.jsonl", rows), **section})
    assert data.schema.default_task() == "question-answering"
    assert data.train.targets[0].tolist() == [7, 7 + len("Bob 0")] if data.train.texts[0] == "who 0" else True
    squad = [row | {"a": {"text": [row["a"]["text"], "Bob"], "answer_start": [7, 7]}} for row in rows]
    several = load_data({"path": jsonl(tmp_path / "s.jsonl", squad), **section})
    assert torch.equal(several.train.targets, data.train.targets)
    assert several.train.references == [(text.replace("who", "Bob"), "Bob") for text in several.train.texts]
    assert not data.schema.target.may_lack
    for nothing in ({"text": [], "answer_start": []}, {"text": "", "start": 0}):
        open_ = load_data({"path": jsonl(tmp_path / "n.jsonl", [{**rows[0], "a": nothing}, *rows[1:]]), **section})
        assert open_.schema.target.may_lack and not open_.problems
    misplaced = {"text": "Bob", "start": 6}
    for wrong, said in ((misplaced, "stand at character 6"), ({"text": "Bob"}, r"\{text, start\}"), ("x", "form")):
        path = jsonl(tmp_path / "w.jsonl", [{**rows[0], "a": wrong}, *rows[1:]])
        with pytest.raises(DataError, match=said):
            load_data({"path": path, **section, "bad": "refuse"})
    with pytest.raises(ConfigError, match=r"data\.context needs data\.answer"):
        load_data({"path": jsonl(tmp_path / "q.jsonl", rows), "text": "q", "context": "c"})


def test_blank_and_undecodable_texts_are_counted_and_named(tmp_path, caplog) -> None:
    path = tmp_path / "a.jsonl"
    jsonl(path, [*ROWS, {"text": " ", "label": "bad"}, {"text": None, "label": "bad"}])
    with caplog.at_level(logging.WARNING):
        data = load_data({"path": str(path), "text": "text", "target": "label", "tokens": {"kind": "words"}})
    told = "2 of 62 examples of a.jsonl are bad - a.jsonl:61: the text in 'text' is empty; a.jsonl:62: no text in field"
    assert [record.getMessage() for record in caplog.records] == [f"{told} 'text'"]
    (tmp_path / "no.jsonl").write_text("{bad\n" * 3 + json.dumps(ROWS[0]))
    with pytest.raises(DataError, match=r"3 of 4 .*no\.jsonl:1: not JSON"):  # and not: there is one class only
        load_data({"path": str(tmp_path / "no.jsonl"), "text": "text", "target": "label"})
    assert [problem.place for problem in data.problems] == [f"{path}:61", f"{path}:62"]
    assert "is empty" in data.problems[0].reason and "no text" in data.problems[1].reason
    with pytest.raises(DataError, match=r"2 of 62 examples are bad"):
        load_data({"path": str(path), "text": "text", "target": "label", "bad": "refuse"})
    path.write_bytes(path.read_bytes() + b'\n{"text": "caf\xe9", "label": "bad"}')
    with pytest.raises(DataError, match=r"a\.jsonl:63: byte 0xe9 at position 14 is not utf-8"):
        load_data({"path": str(path), "text": "text", "target": "label", "bad": "refuse"})


def test_a_byte_order_mark_is_no_text_though_a_line_is_bad(tmp_path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbffirst\n" + b"fine\n" * 40 + b"caf\xe9")
    data = load_data(str(tmp_path / "a.txt"))
    assert len(data.problems) == 1 and data.train.tensors()[0][:5].tolist() == [*b"first"]


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"target": "lable"}, r"no column 'lable'; did you mean label"),
        ({"text": "txt"}, r"no column 'txt'; did you mean text"),
        ({"target": "label", "target_text": "label"}, r"target and data\.target_text are two targets"),
        ({"tokens": {"kind": "word"}}, r"data\.tokens\.kind"),
        ({"tokens": {"siez": 3}}, r"data\.tokens\.siez.*did you mean size"),
        ({"target": "label", "tokens": {"path": "nowhere"}}, r"nowhere.*does not exist"),
    ],
)
def test_mistakes_are_one_line(tmp_path, section, said) -> None:
    with pytest.raises((ConfigError, DataError), match=said) as caught:
        load_data(spec(tmp_path, **section))
    assert "\n" not in str(caught.value)


def test_a_sections_tokens_are_checked_and_anchored(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"siez"):
        check_section({"path": "nowhere.txt", "tokens": {"siez": 3}})
    (tmp_path / "tok").mkdir()
    section = anchored({"path": "x", "tokens": {"path": "tok"}}, tmp_path)
    assert section["tokens"]["path"] == str(tmp_path / "tok")
    with pytest.raises(ConfigError, match=r"digits holds none"):
        load_data({"name": "digits", "tokens": {"kind": "words"}})


def test_new_data_are_read_as_the_training_data_were(tmp_path) -> None:
    data = load_data(spec(tmp_path, target="label"))
    new = jsonl(tmp_path / "new.jsonl", [{"label": "good", "text": "a"}, {"label": "bad", "text": "b"}])
    dataset = load_like(new, data.schema)
    assert dataset.labels().tolist() == [1, 0] and dataset.schema == data.schema
    with pytest.raises(DataError, match=r"'ugly' is no class of the model"):
        load_like(jsonl(tmp_path / "new.jsonl", [{"label": "ugly", "text": "a"}]), data.schema)
    (tmp_path / "a.txt").write_text("a text\n" * 40)
    with pytest.raises(DataError, match="the data are a table, the model was trained on text"):
        load_like(new, load_data(str(tmp_path / "a.txt")).schema)


def test_the_schema_survives_json(tmp_path) -> None:
    schema = load_data(spec(tmp_path, target="label")).schema
    assert type(schema).from_dict(json.loads(json.dumps(schema.to_dict()))) == schema


def test_documents_of_a_language_model_end_with_their_end(tmp_path) -> None:
    for kind in ("words", "characters"):
        data = load_data(spec(tmp_path, tokens={"kind": kind}))
        preprocess = Preprocessor.fit(data.train)
        stream = stream_of(data.train, preprocess)
        assert int((stream == preprocess.tokenizer.eos).sum()) == len(data.train) and stream[-1] == 3
    text = load_data({"name": "glosses", "tokens": {"kind": "bpe", "size": 500}})
    preprocess = Preprocessor.fit(text.train)
    tokens = stream_of(text.train, preprocess)
    assert len(tokens) < 0.6 * len(text.train)
    assert torch.equal(preprocess.tokenizer.encode(preprocess.tokenizer.decode(tokens[:50])), tokens[:50])


def test_groups_stay_together(tmp_path) -> None:
    rows = [row | {"file": f"f{n // 6}"} for n, row in enumerate(ROWS)]
    section = {
        "path": jsonl(tmp_path / "g.jsonl", rows),
        "text": "text",
        "target": "label",
        "tokens": {"kind": "words"},
    }
    data = load_data({**section, "split": {"by": "group", "column": "file", "test": 0.2}})
    parts = [{ROWS_OF[text] for text in part.texts} for part in (data.train, data.validation) if part is not None]
    assert not parts[0] & parts[1]


ROWS_OF = {row["text"]: n // 6 for n, row in enumerate(ROWS)}


def test_what_is_told_of_documents(tmp_path) -> None:
    rows = [*ROWS, {"text": ROWS[1]["text"].upper(), "label": "bad", "n": 0}]
    test = jsonl(tmp_path / "b.jsonl", [ROWS[0], {"text": "  text NUMBER 3 of 9", "label": "bad", "n": 1}])
    path = jsonl(tmp_path / "a.jsonl", rows)
    section = {
        "text": "text",
        "target": "label",
        "tokens": {"kind": "words", "max_length": 6},
        "split": {"validation": 0},
    }
    told = describe(load_data({"path": path, "test_path": test, **section}))
    assert told["task"] == "text-classification"
    assert told["statistics"]["characters"]["max"] == max(len(row["text"]) for row in ROWS)
    assert told["statistics"]["tokens"] == {"min": 5, "median": 5, "p95": 5, "max": 5}
    assert told["statistics"]["cut"] == 1.0 and told["statistics"]["unknown"] == 0
    assert [leak["count"] for leak in told["leaks"] if leak["where"] == "train/test"] == [2]
    assert any("2 training texts" in warning for warning in told["warnings"])
    assert "characters" in str(told) and "stand in train too" in str(told)
    pair = describe(load_data({"path": path, "text": "text", "target_text": "label", "tokens": {"kind": "words"}}))
    assert set(pair["statistics"]["tokens"]) == {"text", "label"}


def test_a_fitted_tokenizer_is_not_fitted_twice(tmp_path, monkeypatch, caplog) -> None:
    from netwright.data.tokenizing import fitting

    data = load_data(spec(tmp_path, target="label", tokens={"kind": "bpe", "size": 300}))
    monkeypatch.setattr(fitting, "_fit", lambda *_: pytest.fail("fitted again"))
    with caplog.at_level(logging.WARNING):
        assert len(Preprocessor.fit(data.train).tokenizer) == data.schema.vocab_size
