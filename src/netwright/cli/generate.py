"""`netwright generate`: text from a language model, token by token as it is written."""

from typing import Annotated, Any

import typer

from netwright.cli.options import AsJson, ModelFolder, Trust
from netwright.cli.output import emit, quiet_stdout
from netwright.core.messages import say

__all__ = ["HELP", "command"]

HELP = "Go on with a text, by a language model; translate or shorten it, by a model that was trained to."

_HEAT = say("Above 1 wilder, towards 0 the likeliest; 0.8 unless beams search.")
_TOP_K = say("Choose among the k likeliest tokens only.")
_TOP_P = say("Choose among the likeliest tokens that make up this share.")
_REPEAT = say("Above 1 repeats less.")
_BEAMS = say("2 or more search for the likeliest text, which is shown when it is found.")
_LENGTH = say("Of that search: above 0 favours longer texts.")
_STOP = say("End before this text; may be given several times.")


def command(
    model: ModelFolder,
    prompt: Annotated[
        str, typer.Option("--prompt", help=say("The beginning of the text, or the text to answer."))
    ] = "",
    max_new_tokens: Annotated[int, typer.Option("--max-new-tokens", min=1, help=say("Tokens to write."))] = 200,
    temperature: Annotated[float | None, typer.Option("--temperature", min=0.0, help=_HEAT)] = None,
    top_k: Annotated[int | None, typer.Option("--top-k", min=1, help=_TOP_K)] = None,
    top_p: Annotated[float | None, typer.Option("--top-p", min=0.0, max=1.0, help=_TOP_P)] = None,
    repetition_penalty: Annotated[float, typer.Option("--repetition-penalty", min=0.01, help=_REPEAT)] = 1.0,
    num_beams: Annotated[int, typer.Option("--num-beams", min=1, help=_BEAMS)] = 1,
    length_penalty: Annotated[float, typer.Option("--length-penalty", help=_LENGTH)] = 1.0,
    stop: Annotated[list[str] | None, typer.Option("--stop", help=_STOP)] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help=say("The same seed writes the same text."))] = None,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    how: dict[str, Any] = {
        "temperature": temperature, "top_k": top_k, "top_p": top_p, "repetition_penalty": repetition_penalty,
        "num_beams": num_beams, "length_penalty": length_penalty, "stop": stop or (), "seed": seed,
    }  # fmt: skip
    with quiet_stdout(as_json):
        from netwright.core.catalogs import set_trust
        from netwright.experiment.predictor import load

        set_trust(trust)
        predict = load(model)
        begun = prompt if predict.goes_on else ""
        if as_json:
            written = predict.write(prompt, lambda piece: False, max_new_tokens, **how)
    if as_json:
        emit({"prompt": prompt, "text": begun + written, "continuation": written})
        return
    waiting = begun  # shown with the first piece: a mistake is told before anything is printed

    def show(piece: str) -> None:
        nonlocal waiting
        print(waiting + piece, end="", flush=True)
        waiting = ""

    predict.write(prompt, show, max_new_tokens, **how)
    print(waiting)
