"""Which part something belongs to, by a hash of its name: the same on every machine, whatever else there is."""

import hashlib

__all__ = ["part_of"]


def part_of(name: str, validation: float, test: float) -> str:
    """`train`, `validation` or `test`, in these shares over many names."""
    place = int.from_bytes(hashlib.sha256(name.encode("utf-8")).digest()[:6]) / (1 << 48)
    return "test" if place < test else "validation" if place < test + validation else "train"
