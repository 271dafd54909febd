"""`netwright generate`: text from a language model, as it is written."""

from typing import Annotated

import typer

from netwright.cli.options import AsJson, ModelFolder
from netwright.cli.output import emit, quiet_stdout
from netwright.core.messages import say

__all__ = ["HELP", "command"]

HELP = "Go on with a text, by a language model."

_HEAT = say("Above 1 wilder, towards 0 the likeliest.")
_TOP_K = say("Choose among the k likeliest tokens only.")
_TOP_P = say("Choose among the likeliest tokens that make up this share.")


def command(
    model: ModelFolder,
    prompt: Annotated[str, typer.Option("--prompt", help=say("The beginning of the text."))] = "",
    max_new_tokens: Annotated[int, typer.Option("--max-new-tokens", min=1, help=say("Tokens to write."))] = 200,
    temperature: Annotated[float, typer.Option("--temperature", min=0.0, help=_HEAT)] = 0.8,
    top_k: Annotated[int | None, typer.Option("--top-k", min=1, help=_TOP_K)] = None,
    top_p: Annotated[float | None, typer.Option("--top-p", min=0.0, max=1.0, help=_TOP_P)] = None,
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
