"""Write docs/config.md: every setting of a config, from the signatures that check it.

    python tools/settings_page.py

Names and defaults are those of the signatures, what they mean stands in the docstrings. Nothing is built or trained.
"""

import argparse
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from settings.entry import about, defaults, entry, meanings, shown
from settings.words import DATA, HEAD, SECTIONS

from netwright.core.catalogs import load_target
from netwright.data.catalog import AUGMENTATIONS
from netwright.data.environments import ReplayOptions, RolloutOptions
from netwright.data.split import split_rule
from netwright.data.tokenizing.settings import TokenSettings
from netwright.experiment.pretrained import FineTuning
from netwright.experiment.settings import DistillSettings, EarlyStopSettings, TrainSettings
from netwright.losses.catalog import LOSSES
from netwright.metrics import METRICS
from netwright.models import MODELS
from netwright.models.layers import LayerStack
from netwright.models.layers.kinds import KINDS
from netwright.optim.catalog import AVERAGES, OPTIMIZERS, SCHEDULES
from netwright.optim.groups import Grouping
from netwright.optim.plan import Surroundings
from netwright.tasks.base import Task
from netwright.tasks.catalog import TASKS

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "config.md"


def main() -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    PAGE.write_text(page(), "utf-8")
    print(PAGE.relative_to(ROOT))
    return 0


def page() -> str:
    """The whole page."""
    parts = {
        "data": _data, "task": _tasks, "model": _models, "loss": _losses, "optimizer": _optimizer,
        "augment": _augmentations, "train": _train, "distill": _distill, "metrics": _metrics,
    }  # fmt: skip
    lines = [HEAD]
    for section, words in SECTIONS.items():
        lines += [f"## {section}", "", words, "", *parts.get(section, lambda: iter(()))()]
    return "\n".join(lines).rstrip() + "\n"


def _data() -> Iterator[str]:
    for title, example, target in DATA:
        yield from entry(title, load_target(target), example=example)
    yield from entry("{environment: CartPole-v1}", ReplayOptions, example="{environment: CartPole-v1}")
    yield from entry("", RolloutOptions)
    yield from entry("data.split", split_rule)
    yield from entry("data.tokens", TokenSettings)


def _tasks() -> Iterator[str]:
    for target, names in groupby(TASKS.names(), key=TASKS.load):
        yield from _task(list(names), target)


def _task(names: list[str], task: Any) -> Iterator[str]:
    """Tasks of one class are told together."""
    yield from entry(", ".join(names), task, name=names[0])
    told = []
    if any("monitor" in vars(kind) for kind in task.__mro__ if kind is not Task):  # else it depends on the data
        told.append(f"Watches `{task.monitor}` ({'more' if task.sense == 'max' else 'less'} is better).")
    if task.default_loss:
        told.append(f"Its loss, unless one is set, is `{task.default_loss}`.")
    yield from (" ".join(told), "") if told else ()


def _models() -> Iterator[str]:
    yield from entry("", FineTuning)
    yield from ("### Layers of your own", "", about(inspect.cleandoc(LayerStack.__doc__ or "")), "")
    for name, make in KINDS.items():
        yield from _layer(name, make)
    yield from ("", "### Networks of the catalog", "")
    by_kin = sorted(MODELS.items(), key=lambda item: (item[1].kin or item[0], item[1].parameters or 0, item[0]))
    for kin, members in groupby(by_kin, key=lambda item: item[1].kin or item[0]):
        yield from _kin(kin, {name: load_target(card.target) for name, card in members})


def _layer(name: str, make: Callable[..., Any]) -> Iterator[str]:
    options = defaults(make)
    options.pop(name.replace("-", "_"), None)
    rest = f" `{{{shown(options)}}}`" if options else ""
    told = (make.__doc__ or "The activation of that name.").partition("Shapes:")[0]
    yield f"- `{name}`: {' '.join(told.split())}{rest}"


def _kin(kin: str, makers: Mapping[str, Callable[..., Any]]) -> Iterator[str]:
    """The networks of a paper; those that take the same settings are told together, with where they differ."""
    groups: dict[tuple[str, ...], dict[str, Callable[..., Any]]] = {}
    for name, make in makers.items():
        groups.setdefault(tuple(defaults(make)), {})[name] = make
    for members in groups.values():
        base = kin if kin in members else next(iter(members))
        yield from entry(base, members[base], name=base, level=4)
        usual = defaults(members[base])
        for name, make in members.items():
            own = {key: value for key, value in defaults(make).items() if value != usual[key]}
            if name != base:
                yield f"- `{name}`: " + (f"`{shown(own)}`" if own else "the same")
        if len(members) > 1:
            yield ""


def _losses() -> Iterator[str]:
    for name, target in LOSSES.items():
        yield from entry(name, load_target(target), name=name)


def _optimizer() -> Iterator[str]:
    for name, target in OPTIMIZERS.items():
        yield from entry(name, load_target(target), name=name)
    yield from ("Beside the settings of any optimizer:", "")
    yield from entry("", Surroundings)
    told = inspect.cleandoc(Grouping.__doc__ or "")
    yield from (*(f"- {line}" for line in meanings(told, set(defaults(Grouping)))), "")
    for title, table in (("Schedules", SCHEDULES), ("Averages", AVERAGES)):
        yield from (f"### {title}", "")
        for name, target in table.items():
            yield from entry(name, load_target(target), name=name, level=4)


def _augmentations() -> Iterator[str]:
    for name, target in AUGMENTATIONS.items():
        yield from entry(name, load_target(target), name=name)


def _train() -> Iterator[str]:
    yield from entry("", TrainSettings)
    yield from entry("train.early_stop", EarlyStopSettings)


def _distill() -> Iterator[str]:
    yield from entry("", DistillSettings)


def _metrics() -> Iterator[str]:
    kinds: dict[str, list[str]] = {}
    for name, card in METRICS.items():
        for kind in card.kinds:
            kinds.setdefault(kind, []).append(f"`{name}`" + (" (less is better)" if card.direction == "min" else ""))
    yield from (f"- {kind}: {', '.join(names)}" for kind, names in kinds.items())
    yield ""


if __name__ == "__main__":
    sys.exit(main())
