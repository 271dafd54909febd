"""LibreOffice's help in English and German (MPL-2.0), paragraph by paragraph: both pages give a paragraph one id.

Split by page, so that test sentences come from pages that training never saw. What recurs on many pages ("Click OK")
stands once, in the part where it comes first, and no English paragraph of validation or test stands in training.
"""

import html
import re
from pathlib import Path

from netwright.core.errors import DataError
from netwright.data.corpora.shares import part_of

__all__ = ["pairs_of", "read"]

INSTALLED = Path("/usr/share/libreoffice/help")
_LONGEST, _STRETCH = 160, 2.5  # characters of a paragraph, and how much longer one side may be

_PARAGRAPH = re.compile(r'<(p|h[1-6])\b[^>]*\bid="((?:par|hd|tit)_[^"]+)"[^>]*>(.*?)</\1>', re.S)
_MAC = re.compile(r'<span hidden="true" id="MAC[^"]*" class="MAC">(?:<span[^>]*>[^<]*</span>|[^<])*</span>')
_TAG, _SPACE, _WORD = re.compile(r"<[^>]+>"), re.compile(r"\s+"), re.compile(r"[^\W\d_]{2,}")


def read(folder: Path = INSTALLED) -> dict[str, list[dict[str, str]]]:
    """Rows {en, de}.

    Raises:
        DataError: one of the two languages is not installed.
    """
    english, german = (folder / language / "text" for language in ("en-US", "de"))
    if not (english.is_dir() and german.is_dir()):
        template = "{folder} lacks a language; run: apt install libreoffice-help-en-us libreoffice-help-de"
        raise DataError(template, folder=folder)
    parts: dict[str, list[dict[str, str]]] = {"train": [], "validation": [], "test": []}
    pages = sorted(path.relative_to(german).as_posix() for path in german.rglob("*.html"))
    taken: set[str] = set()
    for part, rows in parts.items():  # training first: what stands there is not asked for later
        for page in (page for page in pages if part_of(page, 0.04, 0.04) == part):
            if not (english / page).is_file():
                continue
            for en, de in pairs_of((english / page).read_text("utf-8"), (german / page).read_text("utf-8")):
                if en.lower() not in taken:
                    taken.add(en.lower())
                    rows.append({"en": en, "de": de})
    return parts


def pairs_of(english: str, german: str) -> list[tuple[str, str]]:
    """The paragraphs that two pages share by id, and that are translated prose."""
    one, other = _paragraphs(english), _paragraphs(german)
    return [(text, other[key]) for key, text in one.items() if key in other and _translated(text, other[key])]


def _paragraphs(page: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for _, key, content in _PARAGRAPH.findall(page):
        text = html.unescape(_TAG.sub("", _MAC.sub("", content)))
        found[key] = "" if key in found else _SPACE.sub(" ", text).strip()  # an id that stands twice says nothing
    return found


def _translated(en: str, de: str) -> bool:
    """Two texts of some words and of like lengths, that are not the same (names, code)."""
    if not (_WORD.search(en) and _WORD.search(de)) or en == de or max(len(en), len(de)) > _LONGEST:
        return False
    return max(len(en), len(de)) <= _STRETCH * min(len(en), len(de)) + 10
