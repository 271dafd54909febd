"""What the callbacks share: a watch over somebody else's loop, looked at now and then, told once, closed in any case.

A callback says `begin`, `passed` for every loss that was sent back, `done` after every batch, and `end`. Whether the
batch made an optimizer step is seen from the optimizers themselves, so gradient accumulation, several optimizers and
steps that mixed precision skips need no special case.
"""

import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from netwright.core.errors import ConfigError
from netwright.core.records import write_jsonl
from netwright.doctor.callbacks.rerun import Rerun
from netwright.doctor.callbacks.together import Together
from netwright.doctor.check import check
from netwright.doctor.findings import Finding, ranked
from netwright.doctor.watch import Watch

__all__ = ["Attending"]

_log = logging.getLogger("netwright")
_FIRST, _LEAST, _MOST = 32, 16, 1000  # steps to the first look, and between two looks
Teller = Callable[[Finding], None]


class Attending:
    """The part of a callback that knows no library.

    Args:
        every: the watch's hooks are on for one step in so many.
        path: a findings.jsonl to be written, again with each new finding.
        seconds: budget of a diagnosis at the end, or as soon as the loss is not a number; 0 for none.
    """

    def __init__(self, every: int = 10, path: str | Path | None = None, seconds: float = 0.0) -> None:
        if every < 1 or seconds < 0:
            template = "every={every} and diagnose={seconds} cannot be; every must be 1 or more, diagnose 0 or more"
            raise ConfigError(template, every=every, seconds=seconds)
        self._every, self._path, self._seconds = every, Path(path) if path is not None else None, seconds
        self._watch: Watch | None = None
        self._reset()

    def _reset(self) -> None:
        self._static: list[Finding] = []
        self._live: list[Finding] = []
        self._diagnosed: list[Finding] | None = None
        self._told: set[str] = set()
        self._suspected: set[str] = set()
        self._losses: list[Tensor] = []
        self._count, self._next = 0, _FIRST
        self._rerun: Rerun | None = None
        self._teller: Teller | None = None
        self._heard = True

    @property
    def running(self) -> bool:
        """Whether a loop is being watched."""
        return self._watch is not None

    @property
    def steps(self) -> int:
        """Optimizer steps seen."""
        return self._count

    @property
    def findings(self) -> list[Finding]:
        """What is known so far, worst first; a diagnosis says it in its own order, the likeliest cause first."""
        if self._diagnosed is not None:
            return list(self._diagnosed)
        kept: dict[str, Finding] = {}
        for finding in ranked([*self._static, *self._live]):
            kept.setdefault(finding.fault, finding)
        return list(kept.values())

    def begin(
        self, net: nn.Module, optimizers: Sequence[Optimizer], rerun: Rerun | None = None,
        teller: Teller | None = None, heard: bool = True,
    ) -> None:  # fmt: skip
        """A loop starts.

        Args:
            rerun: how the loop's first steps are made again, for a diagnosis.
            teller: puts a new finding into the library's own log.
            heard: False on all processes but the first; these watch in silence.
        """
        self.close()
        self._reset()
        self._teller, self._heard = teller, heard
        self._rerun = rerun if self._seconds and heard else None
        self._joint = Together(optimizers)
        self._write()  # a path that cannot be written is said now
        self._watch = Watch(net, cast(Optimizer, self._joint), self._every)
        self._watch.__enter__()

    def pause(self) -> None:
        """Take the hooks off for a while, so that the network can be pickled; `resume` puts them on."""
        if self._watch is not None:
            self._watch.close()

    def resume(self) -> None:
        """Go on after a `pause`."""
        if self._watch is not None:
            self._watch.__enter__()

    def examine(self, net: nn.Module, inputs: Any, targets: Any, loss: Any, examples: int | None = None) -> None:
        """The static rules on the first batch."""
        if self._heard and self._watch is not None:
            own = {id(parameter) for parameter in net.parameters()}
            groups = self._joint.param_groups if len(self._joint.optimizers) == 1 else []
            ours = any(id(parameter) in own for group in groups for parameter in group["params"])  # not those of a copy
            given = self._joint.optimizers[0] if ours else None
            found = check(net, inputs, targets, loss=loss, optimizer=given, examples=examples)
            self._static = [replace(finding, where=finding.where.removeprefix("model.")) for finding in found]
            self._tell(self._static)

    def keep(self, batch: Any) -> None:
        """A batch of the first ones, for a diagnosis."""
        if self._rerun is not None:
            self._rerun.keep(batch)

    @property
    def wants_batches(self) -> bool:
        """Whether `keep` still has use for batches."""
        return self._rerun is not None and not self._rerun.full

    def passed(self, loss: Any) -> None:
        """A loss was sent back through the network."""
        self._losses.append(loss.detach() if isinstance(loss, Tensor) else torch.tensor(float(loss)))

    def done(self, targets: Any = None, total: bool = False) -> None:
        """A batch is done. If the optimizer has stepped, its loss is the mean of those passed, or their `total`."""
        if self._watch is None or not self._joint.finish() or not self._losses:
            return
        losses, self._losses = self._losses, []
        loss = losses[0]
        if len(losses) > 1:
            loss = torch.stack([value.reshape(-1)[0].float() for value in losses])
            loss = loss.sum() if total else loss.mean()
        self._watch.step(loss, targets if isinstance(targets, Tensor) else None)
        self._count += 1
        if self._count >= self._next:
            self._next = self._count + min(max(self._count // 2, _LEAST), _MOST)
            self._look()

    def end(self, broken: bool = False) -> None:
        """The loop is over, or `broken` by an exception: then only a loss that is not a number is diagnosed."""
        if self._watch is None:
            return
        try:
            self._look(last=True, whole=not broken)
        finally:
            self.close()

    def close(self) -> None:
        """Take every hook off."""
        if self._watch is not None:
            self._watch.close()
            self._joint.close()
            self._watch = None

    def _look(self, last: bool = False, whole: bool = False) -> None:
        """A suspicion counts when two looks in a row have it, or the last one; what was seen itself at once."""
        if self._watch is None or not self._heard or self._diagnosed is not None:
            return
        found = self._watch.findings
        sure = [one for one in found if last or one.proven or one.fault in self._suspected | self._told]
        self._suspected = {finding.fault for finding in found}
        self._live = sure
        if self._rerun is not None and (whole or any(finding.fault == "non-finite" for finding in sure)):
            rerun, self._rerun = self._rerun, None
            told = rerun.diagnose(self._seconds, self._count)
            if told is not None:
                self._diagnosed = sure = told.findings
                _log.warning("%s", told.verdict)
        self._tell(sure)

    def _tell(self, findings: Sequence[Finding]) -> None:
        fresh = []
        for finding in findings if self._heard else ():
            key = finding.fault if finding.severity != "note" else f"{finding.fault}, noted"
            if key in self._told:
                continue
            self._told.add(key)
            fresh.append(finding)
            _log.log(logging.INFO if finding.severity == "note" else logging.WARNING, "%s", finding)
            if self._teller is not None and finding.severity != "note":
                with contextlib.suppress(Exception):  # whatever another library's logger raises must not end the run
                    self._teller(finding)
        if fresh or self._diagnosed is not None:
            self._write()

    def _write(self) -> None:
        if self._path is not None and self._heard:
            write_jsonl(self._path, (finding.to_dict() for finding in self.findings))
