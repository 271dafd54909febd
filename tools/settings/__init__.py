"""The parts of docs/config.md."""
