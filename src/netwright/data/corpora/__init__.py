"""Texts that packages carry, prepared as JSON lines: one recipe a file, and the table of them in `catalog`."""
