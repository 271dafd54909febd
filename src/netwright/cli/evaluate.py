"""`netwright evaluate`: a finished run measured on its sealed test set or on new data."""

from typing import Annotated, Any

import typer

from netwright.cli.options import AsJson, RunFolder, Trust
from netwright.cli.output import emit, number, quiet_stdout, table
from netwright.core.messages import say

__all__ = ["HELP", "command"]

HELP = "Measure a run on its sealed test set or new data. Looks at the test set are counted."

_DATA = say("New data instead of the test set.")


def command(
    run: RunFolder,
    data: Annotated[str | None, typer.Option("--data", metavar="SOURCE", help=_DATA)] = None,
    robustness: Annotated[bool, typer.Option("--robustness", help=say("Measure under growing noise as well."))] = False,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    with quiet_stdout(as_json):
        from netwright.core.catalogs import set_trust
        from netwright.experiment.evaluating import evaluate_run

        set_trust(trust)
        result = evaluate_run(run, data, robustness)
    if as_json:
        emit(result)
    else:
        _show(result)


def _show(result: dict[str, Any]) -> None:
    rows = [[result["data"], *map(number, result["metrics"].values())]]
    for worse in result.get("robustness", []):
        metrics = {name: value for name, value in worse.items() if name != "noise"}
        rows.append([say("noise {size}", size=worse["noise"]), *map(number, metrics.values())])
    table([say("data"), *result["metrics"]], rows, right=range(1, len(rows[0])))
    if "test_looks" in result:
        print(say("looks at the test set: {count}", count=result["test_looks"]))
