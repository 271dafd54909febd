"""Runs command lines, each in a process of its own: torch is imported once, then every command is a fork of that.

Reads a JSON list of command lines; prints a JSON list of [exit code, stdout, stderr]. All run in the working folder.
"""

import json
import os
import sys
import tempfile

import netwright.experiment.evaluating
import netwright.experiment.explaining
import netwright.experiment.predictor
import netwright.experiment.run  # noqa: F401 - imported before the forks
from netwright.cli.main import main


def forked(arguments: list[str]) -> tuple[int, str, str]:
    """Run one command line in a child; its exit code and what it wrote."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as error:
        child = os.fork()
        if child == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(error.fileno(), 2)
            _leave(arguments)
        _, status = os.waitpid(child, 0)
        out.seek(0)
        error.seek(0)
        return os.waitstatus_to_exitcode(status), out.read(), error.read()


def _leave(arguments: list[str]) -> None:
    """What the child does: the command, and an end without the parent's clean-up."""
    code = 70
    try:
        code = main(arguments)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    print(json.dumps([forked(arguments) for arguments in json.load(sys.stdin)]))
