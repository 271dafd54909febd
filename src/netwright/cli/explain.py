"""`netwright explain`: what a network is made of."""

import re
from typing import Annotated

import typer

from netwright.cli.options import AsJson, Overrides, Trust
from netwright.cli.output import emit, quiet_stdout
from netwright.core.errors import ConfigError
from netwright.core.messages import say

__all__ = ["HELP", "command"]

HELP = "What a network is made of. Stages, shapes, parameters, FLOPs, memory, receptive field; idea, paper, use."

_LAYERS = say("Every layer in place of the stages.")
_NETWORK = say("A name of the catalog, or a config.")
_SHAPE = say("Shape of one example.")


def command(
    network: Annotated[str, typer.Argument(metavar="NAME|CONFIG", help=_NETWORK, show_default=False)],
    size: Annotated[str | None, typer.Option("--input", metavar="3x224x224", help=_SHAPE)] = None,
    layers: Annotated[bool, typer.Option("--layers", help=_LAYERS)] = False,
    overrides: Overrides = None,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    shape = _shape(size) if size is not None else None
    with quiet_stdout(as_json):
        from netwright.core.catalogs import set_trust
        from netwright.experiment.explaining import explain

        set_trust(trust)
        architecture = explain(network, shape, overrides or ())
    if as_json:
        emit(architecture.to_dict())
    else:
        print(architecture.text("layers" if layers else "stages"))


def _shape(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"[1-9]\d*([x×,][1-9]\d*)*", text.strip()):
        raise ConfigError("--input {text!r} is not a shape; write it as 3x224x224", text=text)
    return tuple(int(part) for part in re.split("[x×,]", text.strip()))
