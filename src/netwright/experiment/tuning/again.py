"""The best of many is flattered by chance: so it is trained again with other seeds, and the config as it is beside it.

Both use the same seeds, so that the difference says more than either figure.
"""

import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from netwright.core.messages import say
from netwright.experiment.config import overridden
from netwright.experiment.tuning.trials import Bench, train_trial
from netwright.training.hooks.judge import Judge
from netwright.tuning.results import Again, Sense, Trial

__all__ = ["train_again"]


def train_again(
    bench: Bench, best: dict[str, Any], sense: Sense, times: int, folder: Path, deadline: float,
    tell: Callable[[Trial, str], None],
) -> tuple[Again | None, str]:
    """Train both `times` more; what came out, and a note where not all of it could be done.

    Args:
        best: the config of the best trial.
        deadline: by `time.monotonic`; a pair that is not done by then does not count.
        tell: hears each run with its name.
    """
    first = int((bench.values.get("train") or {}).get("seed", 0))
    seeds: list[int] = []
    figures: dict[str, list[float]] = {"baseline": [], "best": []}
    note, words = "", {"baseline": say("the config as it is"), "best": say("best trial")}
    for seed in range(first + 1, first + 1 + times):
        pair = {}
        for name, values in (("baseline", bench.values), ("best", best)):
            if time.monotonic() > deadline:
                break
            judge = Judge(lambda *_: False, deadline)
            place = folder / "again" / f"{name}-{seed}"
            done = train_trial(bench, -1, overridden(values, [f"train.seed={seed}"]), {}, place, judge)
            tell(done, say("{name}, seed {seed}", name=words[name], seed=seed))
            # What is done is not gone on with; what was cut is to be done whole when there is time.
            shutil.rmtree(place / "checkpoints" if done.status == "finished" else place, ignore_errors=True)
            if done.status != "finished" or done.value is None:
                template = "{name} failed with seed {seed}: {reason}"
                note = done.reason and say(template, seed=seed, name=words[name], reason=done.reason)
                break
            pair[name] = done.value
        if len(pair) < 2:
            late = say("there was no time to train both again with more seeds") if math.isfinite(deadline) else ""
            note = note or late
            break
        seeds.append(seed)
        for name, value in pair.items():
            figures[name].append(value)
    return (Again(seeds, figures["baseline"], figures["best"], sense) if seeds else None), note
