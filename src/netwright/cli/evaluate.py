"""`netwright evaluate`: a finished run measured on its sealed test set or on new data."""

from pathlib import Path
from typing import Annotated, Any

import typer

from netwright.cli.options import AsJson
from netwright.cli.output import emit, quiet_stdout, table
from netwright.core.messages import say

__all__ = ["HELP", "command"]

HELP = "Measure a run on its sealed test set or new data. Looks at the test set are counted."


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help=say("A run folder."), show_default=False)],
    data: Annotated[str | None, typer.Option("--data", metavar="SOURCE", help=say("New data instead of the test set."))] = None,
    robustness: Annotated[bool, typer.Option("--robustness", help=say("Measure under growing noise as well."))] = False,
    as_json: AsJson = False,
) -> None:
    with quiet_stdout(as_json):
        from netwright.experiment.evaluating import evaluate_run

        result = evaluate_run(run, data, robustness)
    if as_json:
        emit(result)
    else:
        _show(result)


def _show(result: dict[str, Any]) -> None:
    rows = [[result["data"], *_numbers(result["metrics"])]]
    for worse in result.get("robustness", []):
        metrics = {name: value for name, value in worse.items() if name != "noise"}
        rows.append([say("noise {size}", size=worse["noise"]), *_numbers(metrics)])
    table([say("data"), *result["metrics"]], rows, right=range(1, len(rows[0])))
    if "test_looks" in result:
        print(say("looks at the test set: {count}", count=result["test_looks"]))


def _numbers(metrics: dict[str, Any]) -> list[str]:
    return [f"{value:.4f}" if isinstance(value, float) else str(value) for value in metrics.values()]
