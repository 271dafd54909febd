"""`netwright report`: write the report of a run again."""

from pathlib import Path
from typing import Annotated

import typer

from netwright.cli.options import AsJson
from netwright.cli.output import emit, quiet_stdout
from netwright.core.messages import say

__all__ = ["HELP", "command"]

HELP = "Write the report of a run again. One HTML file, from what stands in the run folder."


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help=say("A run folder."), show_default=False)],
    as_json: AsJson = False,
) -> None:
    with quiet_stdout(as_json):
        from netwright.reports import write_report

        path = write_report(run)
    if as_json:
        emit({"run": str(run), "report": str(path)})
    else:
        print(path)
