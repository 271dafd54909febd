"""A run from config to report: `train`. What it leaves behind is the run folder; what it gives back is a `Run`."""

import logging
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from netwright.core.catalogs import set_trust
from netwright.core.devices import keep_freed_memory
from netwright.core.errors import CheckpointError, ConfigError
from netwright.core.messages import say
from netwright.core.records import RunLock, write_json
from netwright.data.batching import first_of
from netwright.doctor.findings import Finding
from netwright.experiment.assemble import Assembly, Given, assemble
from netwright.experiment.checking import check_assembly
from netwright.experiment.config import Config, load_config
from netwright.experiment.ending import merged, recorded_ending, report, resources
from netwright.experiment.explaining import titled
from netwright.experiment.fitting import check_fit
from netwright.experiment.folders import Run, finished_run, held, next_folder, refuse_used
from netwright.experiment.model_folder import save_model
from netwright.experiment.record import check_data, write_findings, write_start, write_summary
from netwright.metrics.architecture import Architecture, trace
from netwright.training import checkpoints, loop
from netwright.training.hooks.doctor import live_findings
from netwright.training.hooks.signals import graceful_exit
from netwright.training.placing import release

__all__ = ["carry_out", "train"]

log = logging.getLogger("netwright")
_TRAIN_SHARE = 10_000  # examples of the training set that its final figures are measured on


def train(
    source: str | Path | Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    overrides: Sequence[str] = (),
    trust: bool = False,
    quiet: bool = False,
    given: Given | None = None,
    **sections: Any,
) -> Run:
    """Train what a config describes, in a run folder.

    Args:
        source: a YAML file, the name of a gallery example, or a mapping; not needed to resume.
        out: the run folder; by default a new one below `runs/`.
        resume: a run folder to go on with; it ends with the same bits as a run that was never interrupted.
        overrides: `path=value` strings; `sections`: whole sections, such as `train={"epochs": 3}`.
        trust: import Python objects that the config names.

    Raises:
        NetwrightError: see `core.errors`; every kind has its exit code.
    """
    set_trust(trust)
    keep_freed_memory()
    if resume is not None:
        folder = Path(resume)
        if not (folder / "config.yaml").is_file():
            template = "{folder} holds no run to resume; check the path, or start one with --out"
            raise CheckpointError(template, folder=folder)
        source = folder / "config.yaml"
    elif source is None:
        raise ConfigError("there is no config; give a YAML file or the name of an example")
    config = load_config(source, overrides, **sections)
    if resume is None:
        folder, lock = held(out) if out is not None else next_folder(config.file)
    else:
        lock = RunLock(folder)
    try:
        with resources(folder):
            if resume is None:
                refuse_used(folder)  # another run may have been quicker
            elif not overrides and not sections and (finished := finished_run(config, folder)) is not None:
                log.info(say("{folder} is finished already; nothing is left to do", folder=folder))
                return finished
            by_name = f"netwright train --resume {shlex.quote(str(folder))}"
            command = by_name if given is None else f"fit(…, out={str(folder)!r}, resume=True)"
            how: dict[str, Any] = {"quiet": quiet, "resumed": resume is not None, "command": command}
            if config.sections.doctor == "repair":
                from netwright.experiment.doctor.repairing import train_and_repair

                return train_and_repair(config, folder, given, **how)
            return carry_out(config, folder, given, **how)
    finally:
        lock.release()


def carry_out(
    config: Config,
    folder: Path,
    given: Given | None = None,
    *,
    quiet: bool = False,
    resumed: bool = False,
    command: str = "",
    start: Path | None = None,
) -> Run:
    """Train in a folder that the caller holds.

    Args:
        command: goes on with the run when it is stopped.
        start: a checkpoint whose weights the network begins with.
    """
    with resources(folder):
        return _run(assemble(config, folder, given, quiet=quiet), command, start, resumed=resumed)


def _run(made: Assembly, command: str, start: Path | None, *, resumed: bool) -> Run:
    session = made.session
    findings = _checked(made) if made.config.sections.doctor != "off" else []
    with made.config.placing():
        check_fit(made, findings)
    architecture = _architecture(made)
    if resumed:
        check_data(session.folder, made.bundle)
    restored = resumed and session.restore()  # before anything is written: what cannot be resumed stays as it is
    if start is not None and not restored:
        session.model.load_state_dict(checkpoints.read(start)["model"])
    with recorded_ending(made, findings):
        write_start(made, architecture, findings)
        _announce(made, findings)
        if restored:
            log.info(say("resumed at step {step} of {total}", step=session.progress.step, total=session.total_steps))
        try:
            with graceful_exit(session, command):
                loop.train(session)
                return _finish(made, findings)
        finally:
            release(session.model)
            session.close()


def _checked(made: Assembly) -> list[Finding]:
    """Static findings; none where network, loss and batch cannot even be called, of which `check_fit` tells more."""
    try:
        return check_assembly(made)
    except ConfigError as refusal:
        log.debug(str(refusal))
        return []


def _finish(made: Assembly, findings: list[Finding]) -> Run:
    """Measure the best weights once on everything, test last, and write down what there is to see."""
    session, folder = made.session, made.session.folder
    session.load_best()
    session.model.eval()
    figures: dict[str, dict[str, float]] = {}
    validation = session.validation_source
    if made.bundle.schema.kind != "environment":
        sample = made.bundle.train
        if len(sample) > _TRAIN_SHARE and made.bundle.schema.target.kind != "next-token":
            sample = sample.subset(torch.arange(0, len(sample), len(sample) // _TRAIN_SHARE))
        if made.bundle.schema.target.kind != "next-token":
            figures["train"] = session.measure(made.sources.measuring(sample))
    if validation is not None:
        figures["validation"] = session.measure(validation)
    sealed = made.bundle.test
    test = made.sources.test(sealed.open(folder, session.progress.step) if sealed is not None else None)
    if test is not None:
        figures["test"] = session.measure(test)
    shown = test or validation
    with torch.inference_mode():
        exhibits = session.task.exhibits(session.model, shown, folder) if shown is not None else []
    write_json(folder / "exhibits.json", exhibits)
    save_model(folder / "model", session.model, made.recipe, made.preprocess)
    summary = write_summary(made, "finished", figures, session.stop_reason or "")
    findings = merged(findings, live_findings(session))
    write_findings(folder, findings)
    report(folder)
    return Run(
        folder, summary["metrics"], findings, summary["seconds"], summary["model"], session.model, summary["expect"]
    )


def _architecture(made: Assembly) -> Architecture | None:
    """The network as it is run; None where it cannot be traced, which does not stop a run."""
    path = made.session.folder / "architecture.json"
    if path.exists():
        return None
    try:
        batch = next(iter(made.sources.measuring(made.bundle.train).epoch(0))) if made.preprocess else None
        shape = made.bundle.schema.input_shape
        one = first_of(batch, 1).inputs if batch is not None else torch.zeros(1, *shape)
        example = made.model.noise(1) if hasattr(made.model, "noise") else one  # type: ignore[operator]
        known = trace(made.model, *(example if isinstance(example, tuple) else (example,)))
        name = made.recipe["model"].get("name")
        return titled(known, name) if name else known
    except Exception as error:  # a network of anybody's, and perhaps one that torch has compiled or scripted
        log.warning(say("the network could not be traced for the report: {error}", error=error))
        return None


def _announce(made: Assembly, findings: list[Finding]) -> None:
    parameters = sum(p.numel() for p in made.model.parameters())
    log.info(say(
        "{model} ({parameters:,} parameters) on {data}: {train:,} examples to train on",
        model=made.recipe["model"].get("name") or made.recipe["model"].get("python"), parameters=parameters,
        data=made.bundle.name, train=made.session.train_source.examples,
    ))  # fmt: skip
    log.info(say(
        "{device}, threads: {threads}, {precision}: {reason}", device=made.session.engine.device,
        threads=torch.get_num_threads(), precision=made.precision.name, reason=made.precision.reason,
    ))  # fmt: skip
    for finding in findings:
        if finding.severity != "note":
            log.warning("%s", finding)
