"""Floor 7: a command a file - parse, call, print. Nothing here imports torch before a command runs."""
