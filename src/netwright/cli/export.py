"""`netwright export`: a trained model as one file for other programs."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from netwright.cli.options import AsJson, ModelFolder, Trust
from netwright.cli.output import emit, quiet_stdout
from netwright.core.messages import say

__all__ = ["HELP", "command"]

HELP = "A model as one file for other programs: ONNX, or a program of PyTorch's. Tried before it is written."

_BARE = say("The network alone, without what prepares its inputs.")
_FORCE = say("Write over a file that is there.")
_FORMAT = say("onnx, or torch for a .pt2 file.")
_OUT = say("The file; by default beside the model folder.")
_PARTS = {"generated": "made up", "train": "train", "validation": "validation"}


def command(
    model: ModelFolder,
    format: Annotated[Literal["onnx", "torch"], typer.Option("--format", help=_FORMAT)] = "onnx",
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help=_OUT, show_default=False)] = None,
    bare: Annotated[bool, typer.Option("--bare", help=_BARE)] = False,
    force: Annotated[bool, typer.Option("--force", help=_FORCE)] = False,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    with quiet_stdout(as_json):
        from netwright.core.catalogs import set_trust
        from netwright.experiment.exporting import export

        set_trust(trust)
        made = export(model, out, format, bare=bare, overwrite=force, trust=trust)
    if as_json:
        emit(made.to_dict())
    else:
        _show(made)


def _show(made: Any) -> None:
    card, latency = made.card, made.latency
    print(made.path)
    print(made.card_path)
    print(f"  {', '.join(map(str, made.inputs))} → {made.output}")
    if card["time"] is not None:
        print(say("  the time is fixed: give every text {time} places, and a mask that is false where it ends",
                  time=card["time"]))  # fmt: skip
    template = (
        "  {bytes:,} bytes; run on inputs ({part}) in batches of {batches}: differs from the network by "
        "{difference:.1e} at most"
    )
    values = {"part": say(_PARTS[card["verified"]["on"]]), "batches": ", ".join(map(str, made.proof.batches))}
    print(say(template, bytes=card["bytes"], difference=made.proof.difference, **values))
    template = "  one input takes {file} ms, in PyTorch {network} ms (median of {runs}; threads: {threads})"
    print(say(template, file=latency.file, network=latency.network, runs=latency.runs, threads=latency.threads))
