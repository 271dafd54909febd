"""`netwright report`: write the report of a run again."""

from netwright.cli.options import AsJson, RunFolder
from netwright.cli.output import emit, quiet_stdout

__all__ = ["HELP", "command"]

HELP = "Write the report of a run again. One HTML file, from what stands in the run folder."


def command(run: RunFolder, as_json: AsJson = False) -> None:
    with quiet_stdout(as_json):
        from netwright.reports import write_report

        path = write_report(run)
    if as_json:
        emit({"run": str(run), "report": str(path)})
    else:
        print(path)
