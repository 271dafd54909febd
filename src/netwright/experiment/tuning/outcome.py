"""What a search tells in the end: a verdict in words, and the winning config as a file, comments kept."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from netwright.core.errors import ConfigError
from netwright.core.messages import say
from netwright.core.records import write_text
from netwright.data.section import anchored
from netwright.experiment.config import Config
from netwright.experiment.doctor.remedies import patched
from netwright.experiment.pretrained import anchored_model
from netwright.experiment.reading import plain
from netwright.experiment.tuning.changing import with_settings
from netwright.tuning.results import Tuning

__all__ = ["verdict", "write_best"]


def verdict(told: Tuning) -> str:
    """What came out, in a sentence or two."""
    best, baseline, metric = told.best, told.baseline, told.metric
    if best is None or best.value is None:
        return say("no trial came to a figure; see the reasons")
    if best.number == 0:
        template = "none of {count} trials was better than the config as it is: {metric} {value:.4f} on validation"
        return say(template, count=len(told.trials), metric=metric, value=best.value)
    words = {"number": best.number, "count": len(told.trials), "metric": metric, "value": best.value}
    if baseline is None or baseline.value is None:
        template = "trial {number} is the best of {count}: {metric} {value:.4f} on validation; your config failed"
        return say(template, **words)
    template = "trial {number} is the best of {count}: {metric} {value:.4f} on validation, {before:.4f} as it was"
    return "; ".join([say(template, **words, before=baseline.value), *_held(told)])


def _held(told: Tuning) -> list[str]:
    """Whether it held when both were trained again."""
    if told.again is None:
        return [say("the best of many is flattered by chance, and neither was trained again")] * (told.kept == "best")
    again = told.again
    template = (
        "trained again with other seeds ({count}) it is {value:.4f} against {before:.4f} on average: the gain holds"
        if again.holds
        else "trained again with other seeds ({count}) it is {value:.4f} against {before:.4f} on average: no gain "
        "beyond chance, so that your config stays as it is"
    )
    return [say(template, count=len(again.seeds), value=fmean(again.best), before=fmean(again.baseline))]


def write_best(path: Path, config: Config, complete: Mapping[str, Any], told: Tuning) -> None:
    """Write the winning config: the user's file with the winning settings, where it can be changed line by line.

    Args:
        complete: the config with nothing left out, whose sections take the settings.
    """
    wanted = _wanted(config, complete, told.settings if told.kept == "best" else {})
    text = _from_file(config, wanted) or replace(config, values=wanted).to_yaml()
    write_text(path, f"# {say('From `netwright tune`')}: {told.verdict}\n{text}")


def _wanted(config: Config, complete: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The user's config with its paths made absolute, and the sections that are changed as they were trained."""
    values = config.to_dict()
    values["data"] = anchored(values["data"], config.folder)
    if values.get("model") is not None:
        values["model"] = anchored_model(values["model"], config.folder)
    changed = with_settings(dict(complete), settings)
    touched = dict.fromkeys(path.partition(".")[0] for path in settings)
    return {**values, **{section: changed[section] for section in touched}}


def _from_file(config: Config, wanted: dict[str, Any]) -> str:
    """The user's text with what differs patched in; empty where that would not say the same."""
    if len(config.marks) != 1:  # there is no file, or it takes over what another says
        return ""
    try:
        text = Path(config.marks[0][1]).read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
        patch = _differences(plain(config.marks[0][0]), wanted)
        mended, _ = patched(text, patch)
        return mended if plain(YAML(typ="safe", pure=True).load(mended)) == wanted else ""
    except (ConfigError, OSError, UnicodeDecodeError, YAMLError):
        return ""


def _differences(old: Any, new: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Paths and new values; None for what is gone."""
    known = {"name": old} if isinstance(old, str) else old if isinstance(old, Mapping) else {}
    found: dict[str, Any] = {}
    for key, value in new.items():
        path = f"{where}.{key}" if where else str(key)
        if key in known and known[key] == value:
            continue
        section = isinstance(known.get(key), Mapping | str) and isinstance(value, Mapping) and "." not in str(key)
        found |= _differences(known[key], value, path) if section else {path: value}
    return found | {f"{where}.{key}" if where else str(key): None for key in known if key not in new}
