"""Options that several commands share; one place, so that they read the same everywhere."""

from pathlib import Path
from typing import Annotated

import typer

from netwright.core.messages import say

__all__ = ["AsJson", "ConfigFile", "ModelFolder", "Overrides", "RunFolder", "Trust"]

_CONFIG = say("A YAML file, or the name of a gallery example.")
_JSON = say("Print one JSON document on standard output and nothing else there.")
_MODEL = say("A model folder or a run folder.")
_OVERRIDES = say("Override a setting, such as train.epochs=3; repeatable.")
_TRUST = say("Import Python code that the config names; only for your own.")

AsJson = Annotated[bool, typer.Option("--json", help=_JSON)]
ConfigFile = Annotated[str, typer.Argument(metavar="CONFIG", help=_CONFIG, show_default=False)]
ModelFolder = Annotated[Path, typer.Argument(metavar="MODEL", help=_MODEL, show_default=False)]
Overrides = Annotated[list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help=_OVERRIDES)]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help=say("A run folder."), show_default=False)]
Trust = Annotated[bool, typer.Option("--trust", help=_TRUST)]
