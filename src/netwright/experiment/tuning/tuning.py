"""`tune`: many runs of one config with other settings, the best of which is written down as a config of its own.

Trial 0 is the config as it is. The others are compared with it on the validation part; the test set stays sealed.
"""

import logging
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netwright import models
from netwright.core.catalogs import set_trust
from netwright.core.devices import keep_freed_memory
from netwright.core.errors import ConfigError, MissingExtra, need
from netwright.core.messages import say
from netwright.core.records import write_json
from netwright.experiment.assemble import Assembly, assemble
from netwright.experiment.checking import check_assembly
from netwright.experiment.config import Config, load_config
from netwright.experiment.ending import report, resources
from netwright.experiment.tuning.again import train_again
from netwright.experiment.tuning.changing import as_point, check_space, fitting_space, settled, with_settings
from netwright.experiment.tuning.limits import Limits, check_limits
from netwright.experiment.tuning.outcome import verdict, write_best
from netwright.experiment.tuning.places import STORE, command_of, digest, folder_of, keep_study, study_of
from netwright.experiment.tuning.progress import Progress
from netwright.experiment.tuning.trials import Bench, train_trial
from netwright.training.hooks.judge import Judge
from netwright.tuning.results import Sense, Trial, Tuning, best_of
from netwright.tuning.search import Pruner, Search, Ticket
from netwright.tuning.space import Space, plain_space, points, read_space
from netwright.tuning.usual import usual_space

__all__ = ["tune"]

_log = logging.getLogger("netwright")
_USUAL_TRIALS = 20
_REPEATS = 50  # points in a row that were all tried before: the space has no others


def tune(
    config: str | Path | Mapping[str, Any],
    trials: int | None = None,
    minutes: float | None = None,
    storage: str | None = None,
    space: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    *,
    overrides: Sequence[str] = (),
    pruner: Pruner = "median",
    again: int = 2,
    trust: bool = False,
    quiet: bool = False,
    **sections: Any,
) -> Tuning:
    """Search for better settings of a config.

    Args:
        trials: how many there are to be in all, trial 0 among them; 20 where no time is set either.
        minutes: after which the search ends; a trial that is running is cut and counts with what it reached.
        storage: a store that several machines share, such as `postgresql://…`; by default a file in the folder.
        space: what may be changed, as a `tune:` section has it, in addition to the config's own one; without either it
            follows from the config. See `tuning.space`.
        out: the folder; one with the same search in it is gone on with. By default a new one below `runs/`.
        overrides: `path=value` strings; `sections`: whole sections, such as `train={"epochs": 3}`.
        pruner: how trials are ended early: `median`, `asha` or `none`.
        again: with how many other seeds the best one and the config as it is are trained once more in the end.
        trust: import Python objects that the config names.

    Raises:
        NetwrightError: see `core.errors`; every kind has its exit code.
    """
    began = time.monotonic()
    check_limits(trials, minutes, again, pruner)
    need("optuna", "tune")
    set_trust(trust)
    keep_freed_memory()
    read = load_config(config, overrides, **sections)
    limits = Limits(
        trials or (_USUAL_TRIALS if minutes is None else math.inf),
        math.inf if minutes is None else began + 60 * minutes, minutes, again,
    )  # fmt: skip
    folder, lock = folder_of(out, read)
    limited = {"--trials": trials, "--minutes": minutes, "--storage": storage}
    command = command_of(config if not sections else {}, folder, overrides, space, limited)
    try:
        with resources(folder), Progress(quiet, limits.trials) as progress:
            work = _Work.begin(read, folder, space, storage, pruner, command)
            work.search_on(limits, progress)
            return work.finish(limits, progress, began)
    finally:
        lock.release()


@dataclass
class _Work:
    """A search as this process does it."""

    config: Config
    folder: Path
    bench: Bench
    space: Space
    search: Search
    sense: Sense

    @classmethod
    def begin(
        cls, config: Config, folder: Path, told: Mapping[str, Any] | None, storage: str | None, pruner: Pruner,
        command: str,
    ) -> "_Work":  # fmt: skip
        """Read the data once, settle the space, and open the study."""
        made = assemble(config, folder, quiet=True)
        metric, sense = made.session.monitor
        if made.session.validation_source is None:
            raise ConfigError("nothing is held out to compare trials on; set data.split, such as {{validation: 0.15}}")
        values = _complete(made.config)
        space = _space(config, values, told, made)
        study, worker = study_of(folder, config, space, metric, storage)
        accepted = frozenset(finding.fault for finding in _errors(made))
        bench = Bench(values, made.bundle, metric, accepted, command)
        every = made.config.train.validate_every
        validations = made.config.train.epochs if every == "epoch" else made.session.total_steps // every
        search = Search(
            storage or str(folder / STORE), study, space, sense, seed=made.config.train.seed,
            first=as_point(values, space), worker=worker, shared=storage is not None, pruner=pruner,
            validations=max(1, validations),
        )  # fmt: skip
        keep_study(folder, study, worker, space, storage)
        return cls(config, folder, bench, space, search, sense)

    def search_on(self, limits: Limits, progress: Progress) -> None:
        """Trial after trial, until there are enough, time is up, or there is nothing left to try."""
        repeats = 0
        known = self.search.trials()
        progress.known(known, self.bench.metric, self.sense)
        while repeats < _REPEATS and len(known) < points(self.space) + 1:
            deadline = limits.end - limits.reserve(known)
            if known and time.monotonic() > deadline:
                return
            ticket = self.search.next(limits.trials)
            if ticket is None:
                return
            done = self._trial(ticket, deadline, progress)
            repeats = repeats + 1 if done is None else 0
            known = self.search.trials()
            if done is not None:
                self._forget_checkpoints(known)
                write_json(self.folder / "tuning.json", self._told(known).to_dict())
                progress.done(done, best_of(known, self.sense))

    def finish(self, limits: Limits, progress: Progress, began: float) -> Tuning:
        """Train the best one again, and write down what came out."""
        told = self._told(self.search.trials())
        told.importance = self._importance(told)
        if told.best is not None and told.best.number > 0:
            told.kept = "best"
            self._train_again(told, limits, progress)
        told.verdict, told.seconds = verdict(told), round(time.monotonic() - began, 3)
        if told.best is not None:
            write_best(self.folder / "best.yaml", self.config, self.bench.values, told)
            told.config = self.folder / "best.yaml"
        write_json(self.folder / "tuning.json", told.to_dict())
        report(self.folder)
        return told

    def _trial(self, ticket: Ticket, deadline: float, progress: Progress) -> Trial | None:
        """Do a trial; None where it would be one that there was before."""
        values, settings = settled(self.bench.values, self.space, ticket.chosen)
        folder = self.folder / "trials" / f"{ticket.number:03d}"
        if not self.search.begin(ticket, digest(values), str(folder.absolute()), settings):
            return None
        progress.begun(ticket.number)
        judge = Judge(lambda at, value: self.search.is_behind(ticket, at, value), deadline)
        done = train_trial(self.bench, ticket.number, values, settings, folder, judge)
        self.search.end(ticket, done)
        return done

    def _train_again(self, told: Tuning, limits: Limits, progress: Progress) -> None:
        if told.baseline is None or not told.baseline.counts or not limits.again:
            return
        if self.search.others_at_work():
            told.notes.append(say("other workers are still at it; the last one to end trains the best trial again"))
            return
        best = with_settings(self.bench.values, told.settings)
        told.again, note = train_again(
            self.bench, best, self.sense, limits.again, self.folder, limits.end, progress.again
        )
        if told.again is not None and not told.again.holds:
            told.kept = "original"
        told.notes += [note] * bool(note)

    def _told(self, trials: list[Trial]) -> Tuning:
        baseline = next((trial for trial in trials if trial.number == 0), None)
        space = plain_space(self.space)
        return Tuning(
            self.folder, None, self.bench.metric, self.sense, trials, best_of(trials, self.sense), baseline, space
        )

    def _importance(self, told: Tuning) -> dict[str, float]:
        try:
            return self.search.importance()
        except MissingExtra as error:
            told.notes.append(str(error))
            return {}

    def _forget_checkpoints(self, trials: Sequence[Trial]) -> None:
        """Only the best trial and the config as it is keep what they could be resumed from: it is most of a run."""
        best = best_of(trials, self.sense)
        for trial in trials:
            own = Path(trial.folder).parent == (self.folder / "trials").absolute()
            if own and trial.status != "running" and trial.number not in (0, best.number if best else 0):
                shutil.rmtree(Path(trial.folder) / "checkpoints", ignore_errors=True)


def _complete(config: Config) -> dict[str, Any]:
    """What trials are made from. `expect` speaks of the test set, and a trial is not repaired."""
    values = {key: value for key, value in config.to_dict().items() if key not in ("expect", "tune")}
    return {**values, "doctor": "advise"} if values.get("doctor") == "repair" else values


def _space(config: Config, values: dict[str, Any], told: Mapping[str, Any] | None, made: Assembly) -> Space:
    """What was told, else what is usual.

    Raises:
        ConfigError: it does not fit the config, or nothing in the config can be searched.
    """
    metric = made.session.monitor[0]
    if section := {**(config.sections.tune or {}), **(told or {})}:
        space = read_space(section)
        check_space(space, config, values, metric)
        return space
    recipe = made.recipe["model"]
    name = recipe.get("name")
    factory = models.catalog().load(name) if name and name != "layers" else None
    examples = made.session.train_source.examples
    space = fitting_space(usual_space(values, factory, recipe.get("arguments", {}), examples), values, metric)
    if not space:
        raise ConfigError("nothing in this config is usually searched; tell what to change, such as "
                          "--space train.batch_size=16,32,64")  # fmt: skip
    return space


def _errors(made: Assembly) -> list[Any]:
    """What `check` finds wrong with the config as it is, which every trial has then."""
    if made.config.sections.doctor == "off":
        return []
    try:
        found = [finding for finding in check_assembly(made) if finding.severity == "error"]
    except ConfigError as refusal:  # the first trial tells it better
        _log.debug(str(refusal))
        return []
    for finding in found:
        _log.warning("%s", finding)
    return found
