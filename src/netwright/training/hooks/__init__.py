"""Hooks: the log, the progress bar, early stopping, signals and trackers."""
