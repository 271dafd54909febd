"""`netwright doctor`: what is wrong with a run or a config, with proof, and its repair."""

import math
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from netwright.cli.options import AsJson, Overrides, Trust
from netwright.cli.output import emit, figures, quiet_stdout
from netwright.core.messages import cells, filled, say

__all__ = ["HELP", "command"]

HELP = "Diagnose a run or a config: probes on copies prove the cause. Exit code 1 when an error stands."

_SUBJECT = say("A run folder, a YAML file, or the name of a gallery example.")
_REPAIR = say("Apply the proven remedy and train on from the last healthy checkpoint; a config is trained first.")
_BUDGET = say("Seconds that probes may take.")
_SEVERITIES = {"error": "error", "warning": "warning", "note": "note"}
_WIDE = 50  # from here on curves are drawn by their logarithms
_BARS, _PLAIN_BARS = "▁▂▃▄▅▆▇█", "_.:-=+*#"


def command(
    subject: Annotated[str, typer.Argument(metavar="RUN|CONFIG", help=_SUBJECT, show_default=False)],
    repair: Annotated[bool, typer.Option("--repair", help=_REPAIR)] = False,
    budget: Annotated[float, typer.Option("--budget", metavar="SECONDS", help=_BUDGET, min=1.0)] = 60.0,
    overrides: Overrides = None,
    trust: Trust = False,
    as_json: AsJson = False,
) -> int:
    with quiet_stdout(as_json):
        from netwright.core.catalogs import set_trust
        from netwright.experiment.doctor.doctoring import doctor

        set_trust(trust)
        told = doctor(subject, overrides or (), budget, repair)
    if as_json:
        emit(told)
    else:
        _show(told)
    return 0 if told["ok"] else 1


def _show(told: dict[str, Any]) -> None:
    print(told["verdict"])
    if told["note"]:
        print(told["note"])
    for finding in told["findings"]:
        print()
        _show_finding(finding)
    repairs = told.get("repairs")
    if repairs is not None:
        print()
        for one in repairs["attempts"]:
            _show_attempt(one)
        print(repairs["verdict"])


def _show_finding(finding: dict[str, Any]) -> None:
    print(f"{finding['code']} {say(_SEVERITIES[finding['severity']])} {finding['fault']} [{finding['where']}]")
    rows = [(say("evidence"), finding["evidence"]), (say("why"), finding["why"]), (say("do"), finding["remedy"])]
    if finding["effect"] is not None:
        rows.append((say("effect"), say("takes away {share:.0%} of the error in a probe", share=finding["effect"])))
    if finding["fix"]:
        rows.append((say("config"), ", ".join(_patched(*item) for item in finding["fix"].items())))
    _show_rows(rows)
    if finding["probe"] is not None:
        _show_probe(finding["probe"])


def _patched(path: str, value: Any) -> str:
    return say("leave out {path}", path=path) if value is None else f"{path}: {value}"


def _show_probe(probe: dict[str, Any]) -> None:
    """The losses of the unchanged twin and of the changed one, on one scale."""
    both = [*probe["unchanged"], *probe["changed"]]
    if both:
        low, high = min(both), max(both)
        rows = [(say("unchanged"), probe["unchanged"]), (probe["words"], probe["changed"])]
        _show_rows([(name, f"{_bars(curve, low, high)}  {_ends(curve)}") for name, curve in rows])


def _show_attempt(one: dict[str, Any]) -> None:
    state = say("holds") if one["held"] else say("does not hold")
    head = say("attempt {number}: {fault}, from step {step}: {state}", number=one["number"], fault=one["fault"],
               step=one["from_step"], state=state)  # fmt: skip
    print(head)
    print(one["diff"].rstrip("\n"))
    _show_rows([(say("before"), figures(one["before"])), (say("after"), figures(one["after"]) or one["note"])])
    print()


def _show_rows(rows: Sequence[tuple[str, str]]) -> None:
    width = max(cells(name) for name, _ in rows)
    for name, text in rows:
        print(f"  {filled(name, width)}  {text}")


def _bars(curve: Sequence[float], low: float, high: float) -> str:
    unicode = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
    bars = _BARS if unicode else _PLAIN_BARS
    if low > 0 and high > _WIDE * low:  # beside one spike all else would look flat
        curve, low, high = [math.log(value) for value in curve], math.log(low), math.log(high)
    return "".join(bars[round((value - low) / max(high - low, 1e-12) * (len(bars) - 1))] for value in curve)


def _ends(curve: Sequence[float]) -> str:
    return f"{curve[0]:.3g} → {curve[-1]:.3g}" if curve else ""
