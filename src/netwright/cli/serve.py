"""`netwright serve`: a trained model behind HTTP, with a page to try it on."""

from typing import Annotated

import typer

from netwright.cli.options import AsJson, ModelFolder, Trust
from netwright.cli.output import line, quiet_stdout
from netwright.core.messages import say

__all__ = ["HELP", "command"]

HELP = "A model behind HTTP: a page to try it on, and JSON for programs. Ctrl-C ends it."

_HOST = say("The address to listen at; 0.0.0.0 lets other machines ask too.")
_PORT = say("0 takes any that is free.")
_TOGETHER = say("Inputs of waiting requests that the network gets at once; the last digit may then vary.")


def command(
    model: ModelFolder,
    host: Annotated[str, typer.Option("--host", help=_HOST)] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help=_PORT, min=0, max=65535)] = 8000,
    together: Annotated[int, typer.Option("--together", metavar="N", help=_TOGETHER, min=1)] = 1,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    def announce(url: str) -> None:
        if as_json:
            line({"url": url, "model": str(model)})
        else:
            print(url, flush=True)

    with quiet_stdout(as_json):
        from netwright.core.catalogs import set_trust
        from netwright.experiment.serving import serve

        set_trust(trust)
    serve(model, host, port, together=together, trust=trust, announce=announce)
