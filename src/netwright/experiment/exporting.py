"""`export`: a trained model as one file for other programs, tried on the run's own data before it is written."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

import netwright
from netwright.core.errors import ConfigError, NetwrightError, suggest
from netwright.data import Preprocessor, load_data
from netwright.data.dataset import Dataset
from netwright.data.texts import TextDataset
from netwright.data.textual import TextPreprocessor, stream_of
from netwright.experiment.config import load_config
from netwright.experiment.describing import about_model
from netwright.experiment.model_folder import find_model_folder
from netwright.experiment.predictor import Predictor, load
from netwright.experiment.vocabulary import readable_data, with_vocabulary
from netwright.export.formats import Format, suffix_of
from netwright.export.graph import graph_of
from netwright.export.shipping import Exported, free_path, ship
from netwright.export.specimens import Specimens

__all__ = ["export"]

_FORMATS: tuple[Format, ...] = ("onnx", "torch")
_EXAMPLES = 16


def export(
    model: str | Path | Predictor,
    out: str | Path | None = None,
    format: Format = "onnx",
    *,
    bare: bool = False,
    overwrite: bool = False,
    trust: bool = False,
) -> Exported:
    """Write a trained model as one file: ONNX, or a program of PyTorch's (`torch.export.load` reads it).

    What prepares the inputs is part of the file where tensors can say it: bytes of pictures, raw rows and windows go
    in, and numbers come out in their own unit; texts go in as tokens. The batch is of any size, and the time of a text
    where the network allows it. The file is written only after it was run and agreed with the network; a model card,
    JSON of the same name, lies beside it and within it. An ONNX file holds no code; PyTorch's loader reads expressions
    as Python does, so load only .pt2 files that you trust.

    Args:
        model: a run folder, a model folder, or what `load` gave.
        out: by default beside the model folder.
        bare: the network alone, for inputs that are prepared already.
        overwrite: write over a file that is there.
        trust: import the Python objects that the run's config named.

    Raises:
        ConfigError: an unknown format, a file that is there, or a network that cannot go into such a file.
        MismatchError: the file does not say what the network says.
        MissingExtra: the libraries for the format are not installed.
        ResourceError: it cannot be written.
    """
    if format not in _FORMATS:
        raise ConfigError("format {got!r} is not known{near}", got=format, near=suggest(format, _FORMATS))
    folder = None if isinstance(model, Predictor) else find_model_folder(Path(model))
    if folder is None and out is None:
        raise ConfigError("a loaded model has no folder to put the file beside; give out")
    path = Path(out) if out is not None else Path(f"{folder}{suffix_of(format)}")
    path = free_path(path, format, overwrite)
    loaded = model if isinstance(model, Predictor) else load(model, trust=trust)
    loaded.network.cpu().eval()
    preprocess = loaded.preprocess
    graph = graph_of(loaded.network, loaded.task, loaded.schema, preprocess, bare)
    real, part = ((), "") if folder is None else _real(folder.parent, preprocess)
    specimens = Specimens(graph, loaded.schema, preprocess, real, part or "generated")
    about = about_model(loaded, folder)
    about["preprocessor"] = None if preprocess is None else preprocess.to_dict() | {"schema": about["schema"]}
    return ship(graph, specimens, format, path, about)


def _real(run: Path, preprocess: Preprocessor | None) -> tuple[Sequence[Tensor], str]:
    """Raw examples of the run's validation or training part (the test set stays sealed); none where they are gone."""
    if not (run / "config.yaml").is_file() or preprocess is None:
        return (), ""
    try:
        config = with_vocabulary(load_config(run / "config.yaml"))
        bundle = load_data(readable_data(config, run), base=config.folder)
        part = "validation" if bundle.validation else "train"
        dataset = bundle.validation or bundle.train
        if bundle.schema.input_shape != preprocess.schema.input_shape:  # the data have changed since
            return (), ""
        return _examples(dataset, preprocess), part
    except (NetwrightError, OSError):
        return (), ""


def _examples(dataset: Dataset, preprocess: Preprocessor) -> list[Tensor]:
    some = dataset.subset(torch.arange(min(_EXAMPLES, len(dataset))))
    if isinstance(dataset, TextDataset) and isinstance(preprocess, TextPreprocessor):
        return [preprocess.encoded(some.texts).first.values.long()]  # type: ignore[attr-defined]
    if dataset.schema.kind == "text":
        return [stream_of(dataset, preprocess)]
    return [some.read(row)[0] for row in range(len(some))]


# A room of the house has the function's name, and importing it put the room in the function's place.
netwright.export = export
