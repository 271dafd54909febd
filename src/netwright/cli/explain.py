"""`netwright explain`: what a network is made of."""

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netwright.cli.options import AsJson, Overrides
from netwright.cli.output import emit, quiet_stdout
from netwright.core.errors import ConfigError
from netwright.core.messages import say

if TYPE_CHECKING:
    from netwright.metrics.architecture import Architecture

__all__ = ["HELP", "command"]

HELP = "What a network is made of. Stages, shapes, parameters, FLOPs, memory, receptive field; idea, paper, use."

_NETWORK = say("A name of the catalog, or a config.")
_SHAPE = say("Shape of one example.")


def command(
    network: Annotated[str, typer.Argument(metavar="NAME|CONFIG", help=_NETWORK, show_default=False)],
    size: Annotated[str | None, typer.Option("--input", metavar="3x224x224", help=_SHAPE)] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    shape = _shape(size) if size is not None else None
    with quiet_stdout(as_json):
        from netwright.experiment.explaining import explain

        architecture = explain(network, shape) if not overrides else _overridden(network, shape, overrides)
    if as_json:
        emit(architecture.to_dict())
    else:
        print(architecture)


def _overridden(config: str, shape: tuple[int, ...] | None, overrides: list[str]) -> "Architecture":
    from netwright.experiment.config import load_config
    from netwright.experiment.explaining import explain

    with tempfile.TemporaryDirectory() as folder:  # explain reads files only
        file = Path(folder) / "config.yaml"
        file.write_text(load_config(config, overrides).to_yaml(), "utf-8")
        return explain(file, shape)


def _shape(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"[1-9]\d*([x×,][1-9]\d*)*", text.strip()):
        raise ConfigError("--input {text!r} is not a shape; write it as 3x224x224", text=text)
    return tuple(int(part) for part in re.split("[x×,]", text.strip()))
