"""`netwright generate`: text from a language model, as it is written."""

from pathlib import Path
from typing import Annotated

import typer

from netwright.cli.options import AsJson
from netwright.cli.output import emit, quiet_stdout
from netwright.core.messages import say

__all__ = ["HELP", "command"]

HELP = "Go on with a text, by a language model."


def command(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help=say("A model folder or a run folder."), show_default=False)],
    prompt: Annotated[str, typer.Option("--prompt", help=say("The beginning of the text."))] = "",
    max_new_tokens: Annotated[int, typer.Option("--max-new-tokens", min=1, help=say("Tokens to write."))] = 200,
    temperature: Annotated[float, typer.Option("--temperature", min=0.0, help=say("Above 1 wilder, towards 0 the likeliest."))] = 0.8,
    top_k: Annotated[int | None, typer.Option("--top-k", min=1, help=say("Choose among the k likeliest tokens only."))] = None,
    top_p: Annotated[
        float | None, typer.Option("--top-p", min=0.0, max=1.0, help=say("Choose among the likeliest tokens that make up this share."))
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help=say("The same seed writes the same text."))] = None,
    as_json: AsJson = False,
) -> None:
    with quiet_stdout(as_json):
        from netwright.experiment.predictor import load

        predict = load(model)
        pieces = predict.stream(prompt, max_new_tokens, temperature, top_k, top_p, seed)
        text = "".join(pieces) if as_json else ""
    if as_json:
        emit({"prompt": prompt, "text": prompt + text, "continuation": text})
        return
    print(prompt, end="", flush=True)
    for piece in pieces:
        print(piece, end="", flush=True)
    print()
