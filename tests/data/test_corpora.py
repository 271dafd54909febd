"""Corpora that packages bring: each recipe on a piece of its real form, splits, and the command that prepares one."""

import json
import shutil
from pathlib import Path

import pytest

from netwright.core.errors import ConfigError, DataError
from netwright.data import list_data, load_data
from netwright.data.corpora import catalog, help_pairs, newsgroups, synopses, wordnet
from netwright.data.corpora.catalog import CORPORA, is_prepared, prepare, prepared
from netwright.data.corpora.shares import part_of
from netwright.data.sources.builtin import BUILTIN, fetch

PAGE = """<h1 id="hd_1" dir="auto">{title}</h1><p id="par_1" class="paragraph" dir="auto">{menu}</p>
<p id="par_2" dir="auto">=SUM(A1)</p><p id="par_3">{twice}</p><p id="par_3">{twice}</p><p>{title}</p>"""
MENU = """Choose <span id="s" class="switchinline"><span hidden="true" id="MACx" class="MAC"><span class="emph">
LibreOffice</span></span><span hidden="true" id="defaultx"><span class="emph">Tools</span></span></span> &amp; more."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NETWRIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_parts_are_decided_by_name_in_the_shares_that_were_asked_for() -> None:
    parts = [part_of(f"page {i}", 0.1, 0.2) for i in range(5000)]
    assert parts == [part_of(f"page {i}", 0.1, 0.2) for i in range(5000)]
    assert 0.08 < parts.count("validation") / 5000 < 0.12 and 0.18 < parts.count("test") / 5000 < 0.22


def test_paragraphs_of_two_pages_are_paired_by_id_and_stripped() -> None:
    english = PAGE.format(title="Opening files", menu=MENU, twice="said twice")
    german = PAGE.format(title="Dateien öffnen", menu=MENU.replace("Choose", "Wählen Sie"), twice="doppelt gesagt")
    assert help_pairs.pairs_of(english, german) == [
        ("Opening files", "Dateien öffnen"), ("Choose Tools & more.", "Wählen Sie Tools & more."),
    ]  # fmt: skip


def test_no_english_of_the_test_stands_in_training(tmp_path: Path) -> None:
    for number in range(200):
        for language, words in (("en-US", ("Page", "Click here")), ("de", ("Seite", "Hier klicken"))):
            page = tmp_path / language / "text" / f"page{number}.html"
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(f'<p id="par_1">{words[0]} number {number}</p><p id="par_2">{words[1]}</p>')
    parts = help_pairs.read(tmp_path)
    everything = [row["en"] for rows in parts.values() for row in rows]
    assert len(everything) == len(set(everything)) == 201
    assert {"en": "Click here", "de": "Hier klicken"} in parts["train"] and parts["test"] and parts["validation"]
    with pytest.raises(DataError, match="apt install libreoffice-help-en-us libreoffice-help-de"):
        help_pairs.read(tmp_path / "nowhere")


def test_newsgroups_drops_test_posts_that_training_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = "Category\tText\nd\tstring\nclass\t\n"
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets/20newsgroups-train.tab").write_text(head + "sci.med\tone\nsci.med\tone\nsci.space\ttwo\n")
    (tmp_path / "datasets/20newsgroups-test.tab").write_text(head + "sci.space\tthree\nsci.med\ttwo\nsci.med\t \n")
    monkeypatch.setattr(newsgroups, "_folder", lambda: tmp_path)
    parts = newsgroups.read()
    assert [row["text"] for row in parts["train"]] == ["one", "two"]
    assert parts["test"] == [{"text": "three", "label": "sci.space"}]


def test_a_gloss_is_a_line() -> None:
    line = '00002942 29 v 02 force_out 0 x 1 002 @ 1 v 0000 01 + 02 00 | expel  air; "he coughed"  '
    assert wordnet.gloss(line) == ("force out", 'expel air; "he coughed"')
    assert wordnet.gloss("  1 This software") is None and wordnet.gloss(line.replace("air", "café")) is None


def test_glosses_stand_once(tmp_path: Path) -> None:
    for kind in ("noun", "verb", "adj", "adv"):
        lines = [f"0000000{i} 03 n 01 word{i} 0 000 | meaning {i if kind == 'noun' else 0}" for i in range(9)]
        (tmp_path / f"data.{kind}").write_text("  1 licence\n" + "\n".join(lines))
    rows = [row["text"] for part in wordnet.read(tmp_path).values() for row in part]
    assert len(rows) == 9 and "word0 (n.): meaning 0" in rows


@pytest.mark.skipif(shutil.which("apt-cache") is None, reason="no apt here")
def test_synopses_are_split_by_source(tmp_path: Path) -> None:
    packages, translations = [], []
    for source in range(200):
        for binary in ("", "-doc"):
            name = f"thing{source}{binary}"
            packages.append(f"Package: {name}\nSource: thing{source} (1.0)\nVersion: 1\n")
            text = f" A thing of kind {source}{binary} that does what such things usually do, which is a great deal,\n"
            translations.append(
                f"Package: {name}\nDescription-en: thing {source}{binary}\n{text} and more.\n .\n Also this.\n"
            )
    (tmp_path / "x_Packages").write_text("\n".join(packages))
    (tmp_path / "x_i18n_Translation-en").write_text("\n".join(translations))
    parts = synopses.read(tmp_path)
    assert sum(map(len, parts.values())) == 400 and min(map(len, parts.values())) > 0
    sources = [{row["synopsis"].split()[1].removesuffix("-doc") for row in rows} for rows in parts.values()]
    assert sum(map(len, sources)) == 200 == len(set().union(*sources))
    assert parts["train"][0]["text"].startswith("thing")
    assert parts["train"][0]["text"].endswith("a great deal, and more. Also this.")
    with pytest.raises(DataError, match="apt-get update -o Acquire::Languages=en"):
        synopses.read(tmp_path / "nowhere")


def test_a_corpus_is_prepared_once_and_then_loads_like_any_file(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def read() -> dict[str, list[dict[str, str]]]:
        calls.append(1)
        rows = [{"text": f"post {i} of {label}", "label": label} for i in range(20) for label in ("a", "b")]
        return {"train": rows, "test": rows[:4]}

    with pytest.raises(
        DataError, match=r"newsgroups is not prepared yet; run: netwright data fetch newsgroups \(it ne"
    ):
        load_data("newsgroups")
    assert not next(card for card in list_data() if card["name"] == "newsgroups")["installed"]
    monkeypatch.setattr(catalog, "load_target", lambda recipe: read)
    folder = fetch("newsgroups")
    assert folder == cache / "newsgroups" == prepare("newsgroups") and len(calls) == 1 and is_prepared(folder)
    prepare("newsgroups", again=True)
    about = json.loads((folder / "corpus.json").read_text())
    assert len(calls) == 2 and about["sizes"] == {"train": 40, "test": 4} and "AGPL" in about["licence"]
    data = load_data({"name": "newsgroups", "tokens": {"kind": "words"}, "split": {"validation": 0.2}})
    assert data.split["sizes"] == {"train": 32, "validation": 8, "test": 4} and data.schema.target.classes == ("a", "b")
    assert data.name == "newsgroups" and prepared("newsgroups")["test"].name == "test.jsonl"


def test_every_corpus_is_a_built_in_set_and_unknown_names_are_told() -> None:
    assert set(CORPORA) <= set(BUILTIN)
    with pytest.raises(ConfigError, match="no corpus is called 'newsgroup'; did you mean newsgroups"):
        prepare("newsgroup")
