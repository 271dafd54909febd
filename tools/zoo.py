"""Write docs/zoo.md: every kin of the catalog with its idea, paper, use, variants and drawing.

    python tools/zoo.py

Parameters, shapes and multiply-accumulates are measured on the networks as they are built; nothing is trained. The
drawings are files of their own in docs/zoo/, one a kin, drawn by `netwright.reports.diagram`.
"""

import argparse
import math
import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from netwright import models
from netwright.core.messages import set_language
from netwright.experiment.explaining import explain
from netwright.metrics.architecture import Architecture
from netwright.models import ModelCard
from netwright.reports.diagram import draw

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "zoo.md"
DRAWINGS = ROOT / "docs" / "zoo"
WIDTH = 860  # px, what a page of GitHub gives a picture
Kin = tuple[str, dict[str, ModelCard]]


def main() -> int:
    """Measure, draw, write; drawings of networks that are gone are removed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    set_language("en")
    DRAWINGS.mkdir(parents=True, exist_ok=True)
    sections, drawn = [], []
    for family, kins in groupby(_kins(), key=lambda kin: next(iter(kin[1].values())).family):
        sections += [f"# {family.capitalize()}", ""]
        for kin, cards in kins:
            print(kin, flush=True)
            sections += _section(kin, cards)
            drawn.append(f"{kin}.svg")
    for file in DRAWINGS.glob("*.svg"):
        if file.name not in drawn:
            file.unlink()
    PAGE.write_text("\n".join([*_head(), *sections]), "utf-8")
    print(f"{PAGE.relative_to(ROOT)}: {len(models.MODELS)} networks of {len(drawn)} kinds")
    return 0


def _kins() -> Iterable[Kin]:
    """Kin by kin within a family; variants from small to large."""
    order = ["vision", "language"]
    rows = sorted(
        models.MODELS.items(),
        key=lambda item: (
            order.index(item[1].family) if item[1].family in order else len(order), item[1].family,
            item[1].kin or item[0], item[1].parameters or 0, item[0],
        ),
    )  # fmt: skip
    for kin, members in groupby(rows, key=lambda item: item[1].kin or item[0]):
        yield kin, dict(members)


def _head() -> list[str]:
    return [
        "<!-- Written by `make zoo`; what stands here comes from the cards and from the networks themselves. -->",
        "",
        "# The networks",
        "",
        "The networks by family. `netwright models` lists them, `netwright explain NAME` shows one with its stages,",
        "and `model: NAME` in a config trains it. Work is for one example of the input shown, in 10⁹",
        "multiply-accumulates of convolutions, matrix products and attention. In the drawings a box is the higher the",
        "more positions its map has and the wider the more channels; thin bars are vectors, lines past boxes are paths",
        "that skip them. Under a box stand its name in the network, what it is made of, the shape of its output and",
        "its number of parameters.",
        "",
    ]


def _section(kin: str, cards: dict[str, ModelCard]) -> list[str]:
    measured = {name: explain(name) for name in cards}
    shown = _typical(kin, cards)
    card = cards.get(kin, cards[shown])  # the paper of the kin, not that of the size drawn
    tasks = dict.fromkeys((*card.tasks, *(task for one in cards.values() for task in one.tasks)))
    (DRAWINGS / f"{kin}.svg").write_text(draw(measured[shown], WIDTH, "file") + "\n", "utf-8")
    return [
        f"## {kin}",
        "",
        card.idea,
        "",
        f"*When:* {card.when}",
        "",
        f"*Paper:* {card.paper}. *Tasks:* {', '.join(tasks)}.",
        "",
        f"[![{shown}](zoo/{kin}.svg)](zoo/{kin}.svg)",
        "",
        *([f"The drawing is of `{shown}`.", ""] if len(cards) > 1 else []),
        "| name | parameters | GMACs | input | |",
        "|---|---:|---:|---|---|",
        *(_variant(name, one, measured[name]) for name, one in cards.items()),
        "",
    ]


def _typical(kin: str, cards: dict[str, ModelCard]) -> str:
    """The variant that is drawn: the kin's namesake where it is a size of its own, else the middle of the others."""
    others = [name for name in cards if name != kin]
    if kin in cards and all(cards[name].parameters != cards[kin].parameters for name in others):
        return kin
    return others[(len(others) - 1) // 2]


def _variant(name: str, card: ModelCard, measured: Architecture) -> str:
    shape = "×".join(map(str, card.input))
    return f"| `{name}` | {measured.parameters:,} | {_gmacs(measured.flops / 2e9)} | {shape} | {card.summary} |"


def _gmacs(amount: float) -> str:
    """Three digits, one of what is less than a thousandth; never with an exponent."""
    if amount >= 999.5:
        return f"{amount:,.0f}"
    return f"{amount:.3g}" if amount >= 1e-3 else f"{amount:.{1 - math.ceil(math.log10(amount))}f}"


if __name__ == "__main__":
    sys.exit(main())
