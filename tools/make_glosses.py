"""Make `data/bundled/glosses.txt.gz`: a megabyte of definitions from WordNet 3.0, a line each: `word: definition`.

The nouns are taken in the order of a hash, so that any two stretches of the file are alike and contiguous blocks make
honest splits. A definition stands once. Run: python tools/make_glosses.py   (Debian: apt install wordnet-base)
"""

import gzip
import hashlib
import re
import sys
from pathlib import Path

BUNDLED = Path(__file__).resolve().parents[1] / "src" / "netwright" / "data" / "bundled"
SOURCE = Path("/usr/share/wordnet/data.noun")
BYTES = 1_000_000
NOTICE_HEAD = (
    "glosses.txt.gz: definitions of nouns from WordNet 3.0 (https://wordnet.princeton.edu), a hash-ordered sample,\n"
    "examples of use left out. Made by tools/make_glosses.py. This is a modified part of the database; its licence:\n\n"
)


def main(source: Path) -> None:
    """Read WordNet's noun file and write the sample with its notice."""
    notice, lines = [], {}
    for line in source.read_text("latin-1").splitlines():
        if line.startswith("  "):
            notice.append(line[2:].lstrip("0123456789").strip())
        elif (entry := definition(line)) is not None:
            lines.setdefault(entry.split(": ", 1)[1], entry)
    ordered = sorted(lines.values(), key=lambda entry: hashlib.sha256(entry.encode()).hexdigest())
    text, size = [], 0
    for entry in ordered:
        size += len(entry) + 1
        if size > BYTES:
            break
        text.append(entry + "\n")
    BUNDLED.mkdir(exist_ok=True)
    packed = gzip.compress("".join(text).encode("ascii"), compresslevel=9, mtime=0)
    (BUNDLED / "glosses.txt.gz").write_bytes(packed)
    (BUNDLED / "glosses.LICENSE.txt").write_text(NOTICE_HEAD + "\n".join(notice) + "\n", "utf-8")


def definition(line: str) -> str | None:
    """`word: definition` of one synset, or None where it is not plain ASCII or too short to be a sentence."""
    head, _, gloss = line.partition(" | ")
    word = head.split(" ")[4].replace("_", " ")
    text = re.split(r'; (?=")', gloss.strip())[0].strip().rstrip(";")
    plain = word.isascii() and text.isascii() and text.count("(") == text.count(")")
    return f"{word}: {text}" if plain and len(text) >= 12 and ": " not in word else None


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else SOURCE)
