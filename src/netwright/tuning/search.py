"""Which trial comes next, and whether one is worth going on with: a study, as one worker sees it.

Values come from the tree-structured Parzen estimator (Bergstra et al., "Algorithms for hyper-parameter optimization",
2011). Its chance is seeded by trial and setting, so that a study that was killed goes on as if nothing had happened.
Trials are ended early by the median of those that were done (Golovin et al., "Google Vizier", 2017), or by successive
halving (Li et al., "A system for massively parallel hyperparameter tuning", 2020).
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from netwright.core.errors import need
from netwright.core.seeds import mix
from netwright.tuning.results import Sense, Status, Trial
from netwright.tuning.space import Choices, Dimension, Space
from netwright.tuning.store import open_study, quietly, reached

__all__ = ["PRUNERS", "Pruner", "Search", "Ticket"]

Pruner = Literal["median", "asha", "none"]
PRUNERS: tuple[Pruner, ...] = ("median", "asha", "none")
_AT_RANDOM = 8  # trials before anything is known to learn from
_BEFORE = 4  # finished trials before one is ended early
_WARM = 0.2  # of a run's validations, before which nothing is said of it
_HALVING = 3
_ENDED = ("status", "value", "seconds", "epochs", "reason", "findings")
_LEAST_KNOWN = 6  # trials that an importance is worth telling from


@dataclass(frozen=True)
class Ticket:
    """A trial that is to be done. `chosen` has a raw value for each setting of the space, and none for trial 0."""

    number: int
    chosen: dict[str, Any]
    trial: Any


class Search:
    """A study in a store.

    Args:
        first: the config as it is as a point of the space, from which the others are learnt too; None where it is
            outside.
        worker: tells this process's trials from those of others that share the store.
        shared: whether there may be others.
        validations: of a run that comes to its end.
    """

    def __init__(
        self, url: str, name: str, space: Space, sense: Sense, *, seed: int, first: Mapping[str, Any] | None,
        worker: str, shared: bool, pruner: Pruner = "median", validations: int = 1,
    ) -> None:  # fmt: skip
        need("optuna", "tune")
        self.space, self.sense = space, sense
        self._url, self._seed, self._worker, self._shared = url, seed, worker, shared
        direction = "maximize" if sense == "max" else "minimize"
        self._study = open_study(url, name, direction, _pruner(pruner, validations))
        self._first = {path: _as_kept(space[path], value) for path, value in (first or {}).items()}

    def next(self, most: float) -> Ticket | None:
        """The next trial: one of this worker's that was not ended, or a new one; None when there are `most`."""
        with reached(self._url), quietly():
            unfinished = [frozen for frozen in self._visible() if self._is_mine(frozen)]
            if unfinished:
                return self._ticket(self._resumed(unfinished[0]))
            if len(self._visible()) >= most:
                return None
            if self._first and not self._study.get_trials(deepcopy=False):
                self._study.enqueue_trial(self._first)
            trial = self._study.ask()
            trial.set_user_attr("worker", self._worker)
            before = sum(frozen.number < trial.number for frozen in self._visible())
            if before >= most:  # another worker was quicker
                self._hide(trial)
                return None
            return self._ticket(trial)

    def begin(self, ticket: Ticket, config: str, folder: str, settings: Mapping[str, Any]) -> bool:
        """Write down what a trial trains; False where an earlier one trained the same, and this one is given up.

        Args:
            config: tells equal configs from others.
        """
        with reached(self._url), quietly():
            alike = [one for one in self._visible() if one.number < ticket.number]
            if any(_begun(one).get("config") == config for one in alike):
                self._hide(ticket.trial)
                return False
            begun = {"config": config, "folder": folder, "settings": dict(settings)}
            ticket.trial.set_user_attr("begun", begun)  # one write to the disk for all of them
            return True

    def is_behind(self, ticket: Ticket, validation: int, value: float) -> bool:
        """Tell a figure of a running trial; whether it is so far behind that it should end. Trial 0 never is."""
        with reached(self._url), quietly():
            ticket.trial.report(value, validation)
            return ticket.number > 0 and bool(ticket.trial.should_prune())

    def end(self, ticket: Ticket, told: Trial) -> None:
        """Write down how a trial ended."""
        optuna = need("optuna", "tune")
        states = optuna.trial.TrialState
        with reached(self._url), quietly():
            ticket.trial.set_user_attr("ended", {key: getattr(told, key) for key in _ENDED})
            if told.status == "pruned":
                self._study.tell(ticket.trial, state=states.PRUNED)
            elif told.counts:
                self._study.tell(ticket.trial, told.value)
            else:
                self._study.tell(ticket.trial, state=states.FAIL)

    def trials(self) -> list[Trial]:
        """All trials of all workers, in their order."""
        with reached(self._url), quietly():
            return [_told(frozen) for frozen in self._visible()]

    def others_at_work(self) -> bool:
        """Whether another worker's trial is running."""
        with reached(self._url), quietly():
            return any(not one.state.is_finished() and not self._is_mine(one) for one in self._visible())

    def importance(self) -> dict[str, float]:
        """Each setting's share in how much the figures of finished trials differ (fANOVA: Hutter, Hoos &
        Leyton-Brown, 2014); empty where they are too few.
        """
        optuna = need("optuna", "tune")
        need("sklearn", "tune")
        with reached(self._url), quietly():
            known = [one for one in self._visible() if one.params and one.value is not None]
            known = [one for one in known if math.isfinite(one.value) and one.params.keys() == self.space.keys()]
            if len(known) < _LEAST_KNOWN or len({one.value for one in known}) < 2:
                return {}
            study = optuna.create_study(direction=self._study.direction.name.lower())
            finished = optuna.trial.TrialState.COMPLETE
            study.add_trials([
                optuna.trial.create_trial(
                    state=finished, value=one.value, params=one.params, distributions=one.distributions
                )
                for one in known
            ])  # fmt: skip
            measure = optuna.importance.FanovaImportanceEvaluator(seed=self._seed % 2**31)
            shares = optuna.importance.get_param_importances(study, evaluator=measure)
        return {path: round(float(share), 4) for path, share in shares.items()}

    def _ticket(self, trial: Any) -> Ticket:
        if trial.number == 0 and not self._first:
            return Ticket(0, {}, trial)
        chosen = {}
        for place, (path, dimension) in enumerate(self.space.items()):
            self._study.sampler = self._sampler(trial.number, place)
            chosen[path] = _suggested(trial, path, dimension)
        return Ticket(trial.number, chosen if trial.number else {}, trial)

    def _sampler(self, number: int, place: int) -> Any:
        samplers = need("optuna.samplers", "tune")
        seed = mix(self._seed, place, number) % 2**32
        return samplers.TPESampler(seed=seed, n_startup_trials=_AT_RANDOM, constant_liar=self._shared)

    def _resumed(self, frozen: Any) -> Any:
        """A trial that was not ended, to be gone on with."""
        trial = need("optuna", "tune").trial.Trial(self._study, frozen._trial_id)
        trial.set_user_attr("worker", self._worker)
        return trial

    def _visible(self) -> list[Any]:
        """Trials that are trials: not those that were given up before they began, nor what a kill left of one."""
        every = self._study.get_trials(deepcopy=False)
        begun = [one for one in every if one.state.name != "WAITING" and not one.user_attrs.get("hidden")]
        return [one for one in begun if "worker" in one.user_attrs or not self._shared]

    def _is_mine(self, frozen: Any) -> bool:
        """Whether a trial is this worker's to go on with: without a shared store there is no other."""
        owner = frozen.user_attrs.get("worker", self._worker)
        return not frozen.state.is_finished() and (not self._shared or owner == self._worker)

    def _hide(self, trial: Any) -> None:
        trial.set_user_attr("hidden", True)
        self._study.tell(trial, state=need("optuna", "tune").trial.TrialState.FAIL)


def _pruner(name: Pruner, validations: int) -> Any:
    pruners = need("optuna.pruners", "tune")
    if name == "median":
        warm = max(1, math.ceil(_WARM * validations)) + 1
        return pruners.MedianPruner(n_startup_trials=_BEFORE, n_warmup_steps=warm)
    if name == "asha":
        least = max(1, validations // _HALVING**2)
        return pruners.SuccessiveHalvingPruner(min_resource=least, reduction_factor=_HALVING)
    return pruners.NopPruner()


def _as_kept(dimension: Dimension, value: Any) -> Any:
    """A value as the study keeps it."""
    return json.dumps(value) if isinstance(dimension, Choices) else value


def _suggested(trial: Any, path: str, dimension: Dimension) -> Any:
    if isinstance(dimension, Choices):
        return json.loads(trial.suggest_categorical(path, [json.dumps(value) for value in dimension.values]))
    if dimension.whole:
        return trial.suggest_int(path, int(dimension.low), int(dimension.high), log=dimension.scale == "log")
    return float(f"{trial.suggest_float(path, dimension.low, dimension.high, log=dimension.scale != 'linear'):.4g}")


def _told(frozen: Any) -> Trial:
    begun, ended = _begun(frozen), frozen.user_attrs.get("ended", {})
    status: Status = ended.get("status", "failed") if frozen.state.is_finished() else "running"
    return Trial(
        frozen.number, status, ended.get("value"), begun.get("settings", {}), ended.get("seconds", 0.0),
        ended.get("epochs", 0.0), ended.get("reason", ""), begun.get("folder", ""), ended.get("findings", []),
        _curve(frozen.intermediate_values),
    )  # fmt: skip


def _begun(frozen: Any) -> Mapping[str, Any]:
    kept: Mapping[str, Any] = frozen.user_attrs.get("begun", {})
    return kept


def _curve(reported: Mapping[int, float]) -> list[float | None]:
    """The figure of each validation in its order; None for what is no number."""
    known: Sequence[float] = [reported[step] for step in sorted(reported)]
    return [value if math.isfinite(value) else None for value in known]
