"""Options that several commands share; one place, so that they read the same everywhere."""

from typing import Annotated

import typer

from netwright.core.messages import say

__all__ = ["AsJson", "ConfigFile", "Overrides", "Trust"]

AsJson = Annotated[
    bool, typer.Option("--json", help=say("Print one JSON document on standard output and nothing else there."))
]
ConfigFile = Annotated[
    str, typer.Argument(metavar="CONFIG", help=say("A YAML file, or the name of a gallery example."), show_default=False)
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help=say("Override a setting, such as train.epochs=3; repeatable.")),
]
Trust = Annotated[bool, typer.Option("--trust", help=say("Import Python code that the config names; only for your own."))]
