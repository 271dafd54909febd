"""Other tools that look for faults in training, on the same programs: each is run as its documentation says, and what
it says is mapped to our names of faults, generously: a saying counts for every fault that it may mean.

They are no requirements of ours and are imported only here. Make an environment with those to be compared and run
`rivals/bin/python benchmarks/doctor/rivals.py`; what is not installed is left out.

    python -m venv rivals && rivals/bin/pip install -e . -c constraints.txt scikit-learn
    rivals/bin/pip install -c constraints.txt torch-audit torchtest2 torchtest gradsnitch mldoct preflight-ml runmedic

detected: anything said of a faulty program; first / top 3: a saying that may mean the fault; alarm: anything said of a
healthy program. Hints that are about speed alone are not counted.
"""

import argparse
import contextlib
import csv
import importlib.util
import io
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import torch  # noqa: E402
from cases import FAULTY, HEALTHY, HELD_OUT  # noqa: E402
from one_case import ALSO  # noqa: E402
from programs import Built, build  # noqa: E402
from rivals_meanings import MEANS  # noqa: E402

from netwright.doctor.check.reading import pair_of  # noqa: E402
from netwright.doctor.probe.fork import call, plain_step  # noqa: E402

torch.set_num_threads(1)
Case = tuple[str, str, dict[str, Any], dict[str, Any]]
Said = list[tuple[str, bool]]  # what, and whether the tool is sure


def main() -> int:
    """Run the tools that are here."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=list(TOOLS))
    parser.add_argument("--families", nargs="+")
    parser.add_argument("--budget", type=float, default=20.0, help="seconds for our own diagnosis")
    parser.add_argument("--every", type=int, default=1, help="only each so-manieth program")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker:
        _work(chosen)
        return 0
    cases: list[Case] = [*FAULTY, *((family, "", dials, dials) for family, dials in HEALTHY)]
    cases = [case for case in cases if not chosen.families or case[0] in chosen.families][:: chosen.every]
    words = ["--budget", str(chosen.budget), *(["--verbose"] if chosen.verbose else [])]
    print(_table({name: found for name in chosen.tools if (found := _of_a_tool(name, cases, words))}))
    return 0


def rows(cases: Sequence[Case]) -> str:
    """The table of all tools but ours as Markdown, for docs/bench-doctor.md; "" where none is installed.

    RIVALS_PYTHON names the interpreter of their environment, where it is another one.
    """
    found = {name: _of_a_tool(name, cases, []) for name in TOOLS if name != "netwright"}
    return _table({name: rows for name, rows in found.items() if rows})


def _of_a_tool(name: str, cases: Sequence[Case], words: list[str]) -> list[dict[str, Any]]:
    """A row a case, measured in a process of the tool's own; nothing where it is not installed."""
    python = os.environ.get("RIVALS_PYTHON", sys.executable)
    command = [python, str(Path(__file__).resolve()), "--worker", "--tools", name]
    done = subprocess.run([*command, *words], input=json.dumps(cases), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    print(done.stderr, end="", file=sys.stderr)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def _work(chosen: argparse.Namespace) -> None:
    """The rows of the cases on the standard input, a JSON line each."""
    name, out = chosen.tools[0], sys.stdout
    module, tool = TOOLS[name]
    if importlib.util.find_spec(module) is None:
        return
    for family, fault, dials, *_ in json.load(sys.stdin):
        with contextlib.redirect_stdout(io.StringIO()):
            row = _row(name, tool, family, fault, dials, chosen)
        print(json.dumps(row), file=out, flush=True)


def _row(
    name: str, tool: Callable[[Built, float], Said], family: str, fault: str, dials: dict[str, Any],
    chosen: argparse.Namespace,
) -> dict[str, Any]:  # fmt: skip
    built, began, failed, said = build(family, **dials), time.monotonic(), "", []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            said = tool(built, chosen.budget)
        except Exception as error:  # a tool that cannot be run on this program has said nothing
            failed = f"{type(error).__name__}: {error}"[:200]
    means = MEANS.get(name)
    kept = [(means[what] if means else {what}, sure) for what, sure in said if means is None or what in means]
    good = {fault, *ALSO.get(fault, set())}
    hits = [bool(meant & good) for meant, _ in kept]
    if chosen.verbose:
        print(f"{name}: {family} {fault or 'healthy'} {dials} -> {failed or said}", file=sys.stderr)
    return {"family": family, "fault": fault, "detected": bool(kept), "first": hits[:1] == [True],
            "three": any(hits[:3]), "error": any(sure for _, sure in kept), "failed": failed,
            "seconds": time.monotonic() - began}  # fmt: skip


def _table(found: dict[str, list[dict[str, Any]]]) -> str:
    """A line a tool, and one for the families that ours was never tuned on."""
    if not found:
        return ""
    lines = ["| tool | faulty | detected | first | top 3 | healthy | an error | anything | failed | s a case |",
             "|---|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for name, every in found.items():
        lines.append(_line(name, every))
        lines.append(_line(f"{name}, held out", [row for row in every if row["family"] in HELD_OUT]))
    return "\n".join(line for line in lines if line)


def _line(name: str, every: list[dict[str, Any]]) -> str:
    faulty, healthy = [row for row in every if row["fault"]], [row for row in every if not row["fault"]]
    if not every:
        return ""
    shares = [statistics.mean(row[key] for row in faulty) if faulty else 0.0 for key in ("detected", "first", "three")]
    errors, alarms = sum(row["error"] for row in healthy), sum(row["detected"] for row in healthy)
    took, failed = statistics.mean(row["seconds"] for row in every), sum(bool(row["failed"]) for row in every)
    told = " | ".join(f"{share:.2f}" for share in shares)
    return f"| {name} | {len(faulty)} | {told} | {len(healthy)} | {errors} | {alarms} | {failed} | {took:.1f} |"


# What the tools are run on: the whole training, step by step, with what their documentation has one log.


def _steps(b: Built, before_update: Callable[[int, float], None] | None = None) -> Iterator[tuple[int, float]]:
    """Train; yields epoch and loss after each step. `before_update` is called when gradients are there."""
    step, at, heard = b.step or plain_step(b.loss), 0, {"loss": float("nan")}
    backward = torch.Tensor.backward

    def remembered(self: torch.Tensor, *given: Any, **named: Any) -> None:
        heard["loss"] = float(self.detach())
        backward(self, *given, **named)
        if before_update is not None:
            before_update(at, heard["loss"])

    torch.Tensor.backward = remembered  # type: ignore[assignment,method-assign]
    try:
        for epoch in range(b.epochs):
            for batch in b.train:
                b.net.train()
                step(b.net, b.opt, pair_of(batch))
                yield epoch, heard["loss"]
                at += 1
    finally:
        torch.Tensor.backward = backward  # type: ignore[method-assign]


def _validation_loss(b: Built) -> float:
    if b.validation is None:
        return math.nan
    b.net.eval()
    inputs, targets = b.validation
    with torch.no_grad():
        return float(b.loss(call(b.net, inputs), targets))


def _gradient_norm(b: Built) -> float:
    return float(sum(float(p.grad.norm()) ** 2 for p in b.net.parameters() if p.grad is not None)) ** 0.5


def _curves(b: Built) -> Iterator[dict[str, float]]:
    """A row a step, as loggers write it; `val_loss` where an epoch ends."""
    count = len(b.train)
    for at, (epoch, loss) in enumerate(_steps(b)):
        row = {"step": at, "epoch": epoch + 1, "train_loss": loss, "lr": b.opt.param_groups[0]["lr"],
               "grad_norm": _gradient_norm(b)}  # fmt: skip
        yield row | ({"val_loss": _validation_loss(b)} if (at + 1) % count == 0 else {})


def _written(rows: list[dict[str, float]], folder: str, fields: tuple[str, ...]) -> Path:
    path = Path(folder) / "metrics.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fields, extrasaction="ignore", restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def ours(b: Built, budget: float) -> Said:
    """`nw.diagnose`, notes left out."""
    import netwright as nw

    told = nw.diagnose(b.net, b.opt, b.loss, train=b.train, validation=b.validation, step=b.step, epochs=b.epochs,
                       budget_seconds=budget)  # fmt: skip
    return [(finding.fault, finding.severity == "error") for finding in told.findings if finding.severity != "note"]


def torch_audit(b: Built, _: float) -> Said:
    """`autopatch` at each tenth step of the training, with the static rules."""
    from torch_audit import autopatch

    auditor = autopatch(b.net, optimizer=b.opt, every_n_steps=10, reporters=[], run_static=True, run_init=True)
    try:
        for _at in _steps(b):
            pass
        found = sorted(auditor.finish().findings, key=lambda one: one.severity, reverse=True)
    finally:
        auditor.unpatch()
    sure = {one.rule_id: one.severity.value in ("ERROR", "FATAL") for one in reversed(found)}
    return [(rule, sure[rule]) for rule in dict.fromkeys(one.rule_id for one in found if one.severity.value != "INFO")]


def torchtest2(b: Built, _: float) -> Said:
    """`check_model` on the first batch."""
    import torchtest2 as tool

    x, y = pair_of(next(iter(b.train)))
    told = tool.check_model(b.net, x, y, loss_fn=b.loss, optimizer=b.opt)
    found = [(one.name, one.status.value == "FAIL") for one in told.results if one.status.value in ("FAIL", "WARN")]
    return sorted(found, key=lambda one: not one[1])


def torchtest(b: Built, _: float) -> Said:
    """`test_suite` on the first batch: variables change, nothing is NaN or infinite."""
    from torchtest import test_suite

    given = {"test_vars_change": True, "test_nan_vals": True, "test_inf_vals": True}
    names = [(name, p) for name, p in b.net.named_parameters() if p.requires_grad]
    try:
        test_suite(b.net, b.loss, b.opt, list(next(iter(b.train))), train_vars=names, **given)
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "torchtest":
            raise
        return [(type(error).__name__, True)]
    return []


def gradsnitch(b: Built, _: float) -> Said:
    """`watch` with a `log` after each backward pass, the validation loss at the end of epochs."""
    import gradsnitch as tool

    monitor, count, last = tool.watch(b.net, b.opt), len(b.train), {}

    def log(at: int, loss: float) -> None:
        monitor.log(at, loss, **last)
        last.clear()

    for at, _step in enumerate(_steps(b, log)):
        if (at + 1) % count == 0:
            last["val_loss"] = _validation_loss(b)
    found = sorted(monitor.report(), key=lambda one: one.severity != "error")
    return [(one.code, one.severity == "error") for one in found]


def mldoct(b: Built, _: float) -> Said:
    """`diagnose` of a table with a row an epoch; its classifier's verdict."""
    from mldoctor.advisor import diagnose_csv

    rows = list(_curves(b))
    epochs = [[row for row in rows if row["epoch"] == epoch] for epoch in range(1, b.epochs + 1)]
    table = [{"epoch": part[0]["epoch"], "val_loss": part[-1]["val_loss"],
              **{key: statistics.fmean(row[key] for row in part) for key in ("train_loss", "grad_norm")}}
             for part in epochs]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        told = diagnose_csv(str(_written(table, folder, ("epoch", "train_loss", "val_loss", "grad_norm"))))
    return [(str(told["label"]), True)]


def preflight(b: Built, _: float) -> Said:
    """All its checks, with network, loss and both loaders."""
    from preflight.runner import run_checks

    plain = b.validation is not None and all(isinstance(part, torch.Tensor) for part in b.validation)
    held = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*b.validation), 32) if plain else None
    told = run_checks(b.train, b.net, b.loss, {"val_dataloader": held})
    found = [one for one in told if not one.passed and one.severity.value != "info"]
    return [(one.name, one.severity.value == "fatal") for one in sorted(found, key=lambda one: one.severity.value)]


def runmedic(b: Built, _: float) -> Said:
    """`runmedic diagnose` of a table with a row a step."""
    with tempfile.TemporaryDirectory() as folder:
        path = _written(list(_curves(b)), folder, ("step", "train_loss", "val_loss", "lr", "grad_norm"))
        command = [sys.executable, "-m", "runmedic", "diagnose", str(path), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = [one for run in json.loads(done.stdout) for one in run["findings"] if one["severity"] != "info"]
    return [(one["check"], one["severity"] == "critical") for one in found]


TOOLS: dict[str, tuple[str, Callable[[Built, float], Said]]] = {  # its module, and how it is run
    "netwright": ("netwright", ours),
    "torch-audit": ("torch_audit", torch_audit),
    "torchtest2": ("torchtest2", torchtest2),
    "torchtest": ("torchtest", torchtest),
    "gradsnitch": ("gradsnitch", gradsnitch),
    "mldoct": ("mldoctor", mldoct),
    "preflight": ("preflight", preflight),
    "runmedic": ("runmedic", runmedic),
}

if __name__ == "__main__":
    sys.exit(main())
