"""Train the twins, ask Netwright about the faulty one, and put down what was seen."""

import inspect
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

import netwright as nw
from netwright.doctor.findings import FAULTS, Finding
from netwright.doctor.words import CODES
from twins.base import MEASURES, Program

__all__ = ["checked", "record"]

_MARKS = 60  # points of a curve
Curve = dict[str, list[float | None]]


def record(fault: str, make: Callable[[bool], Program], budget: float) -> dict[str, Any]:
    """Both curves and every finding; JSON-able."""
    begun = time.perf_counter()
    faulty, broken = _tried(make)
    shown = {"program": inspect.cleandoc(make.__doc__ or ""), "shows": _fresh(make, False).shows,
             "over": _fresh(make, False).over, "faulty": faulty, "repaired": trained(_fresh(make, False)),
             "broken": broken}  # fmt: skip
    found = checked(make)
    if fault in CODES or FAULTS[fault] == "live":
        found += [(finding, "diagnose") for finding in _diagnosed(_fresh(make, True), budget)]
    mine: dict[str, tuple[Finding, str]] = {}
    for finding, by in found:
        if finding.fault == fault:
            mine.setdefault(finding.code, (finding, by))
    rows = [{"code": finding.code, "by": by, "text": str(finding), "effect": finding.effect}
            for finding, by in mine.values()]  # fmt: skip
    others = {f"{finding.code} {finding.severity} {finding.fault} [{finding.where}]": None
              for finding, _ in found if finding.fault != fault and finding.severity != "note"}  # fmt: skip
    seconds = round(time.perf_counter() - begun, 1)
    return {**shown, "findings": rows, "others": list(others), "budget": budget, "seconds": seconds}


def checked(make: Callable[[bool], Program]) -> list[tuple[Finding, str]]:
    """What the static rules say of the faulty twin."""
    program = _fresh(make, True)
    data, told = program.data, {"validation": (program.data.held_x, program.data.held_y), **program.told}
    findings = nw.check(program.net, data.x, data.y, loss=program.loss, optimizer=program.opt, **told)
    return [(finding, "check") for finding in findings]


def _diagnosed(program: Program, budget: float) -> list[Finding]:
    held = (program.data.held_x, program.data.held_y)
    loader = _loader(program)
    epochs = max(1, math.ceil(program.steps / len(loader)))
    diagnosis = nw.diagnose(
        program.net, program.opt, program.loss, loader, held, step=program.step, epochs=epochs, budget_seconds=budget
    )
    return list(diagnosis.findings)


def _fresh(make: Callable[[bool], Program], faulty: bool) -> Program:
    torch.manual_seed(0)
    return make(faulty)


def _tried(make: Callable[[bool], Program]) -> tuple[Curve, str]:
    """The faulty twin's curve, or why it does not run."""
    try:
        return trained(_fresh(make, True)), ""
    except (RuntimeError, ValueError, IndexError) as error:
        return {"xs": [], "ys": []}, str(error).partition("\n")[0]


def trained(program: Program) -> Curve:
    """Train it, and measure as it goes."""
    _, _, measure = MEASURES[program.shows]
    per_epoch, every = len(_loader(program)), max(1, program.steps // _MARKS)
    unit = per_epoch if program.over == "epoch" else 1
    xs, ys, losses = [], [], []
    if measure is not None:
        xs, ys = [0.0], [_measured(program)]
    for step, batch in enumerate(_batches(program), 1):
        losses.append(_stepped(program, batch))
        if step % every == 0 or step == program.steps:
            xs.append(step / unit)
            ys.append(_measured(program) if measure is not None else sum(losses) / len(losses))
            losses = []
    return {"xs": xs, "ys": [float(f"{y:.4g}") if math.isfinite(y) else None for y in ys]}


def _stepped(program: Program, batch: tuple[Tensor, Tensor]) -> float:
    if program.step is not None:
        return float(program.step(program.net, program.opt, batch).detach())
    program.net.train()
    program.opt.zero_grad()
    loss = program.loss(program.net(batch[0]), batch[1])
    loss.backward()
    program.opt.step()
    return float(loss.detach())


@torch.no_grad()
def _measured(program: Program) -> float:
    mode = program.net.training
    program.net.eval()
    x, y = program.data.held_x, program.data.held_y
    if program.alone:
        x, y = x[:100], y[:100]
        output = torch.cat([program.net(row[None]) for row in x])
    else:
        output = program.net(x)
    program.net.train(mode)
    measure = MEASURES[program.shows][2]
    return measure(program, output, y) if measure is not None and bool(torch.isfinite(output).all()) else math.nan


def _loader(program: Program) -> DataLoader:
    return DataLoader(TensorDataset(program.data.x, program.data.y), program.batch, shuffle=program.shuffle)


def _batches(program: Program) -> Iterator[tuple[Tensor, Tensor]]:
    loader, count = _loader(program), 0
    while True:
        for x, y in loader:
            yield x, y
            count += 1
            if count == program.steps:
                return
