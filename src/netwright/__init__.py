"""Netwright: from a data set and an idea to a well-built, well-trained network.

    import netwright as nw
    run = nw.train("lenet-fashion-mnist")
    predict = nw.load(run.folder)

Names are imported when they are first used, so `import netwright` imports no torch.
"""

import importlib

TYPE_CHECKING = False  # as in `typing`, which would be half of what is imported before Ctrl-C is taken care of
if TYPE_CHECKING:
    from typing import Any

    from netwright.core.architecture import Architecture
    from netwright.core.errors import NetwrightError
    from netwright.doctor.check import check
    from netwright.doctor.diagnose import Diagnosis, diagnose
    from netwright.doctor.findings import Finding
    from netwright.doctor.watch import watch
    from netwright.experiment.explaining import explain
    from netwright.experiment.exporting import export
    from netwright.experiment.fit import fit
    from netwright.experiment.folders import Run
    from netwright.experiment.predictor import Predictor, load
    from netwright.experiment.run import train
    from netwright.experiment.serving import serve
    from netwright.experiment.tuning.tuning import tune
    from netwright.models import build, list_models
    from netwright.models.weights import load_pretrained
    from netwright.tuning.results import Tuning

__version__ = "0.1.0"

__all__ = [
    "Architecture",
    "Diagnosis",
    "Finding",
    "NetwrightError",
    "Predictor",
    "Run",
    "Tuning",
    "build",
    "check",
    "diagnose",
    "explain",
    "export",
    "fit",
    "list_models",
    "load",
    "load_pretrained",
    "serve",
    "train",
    "tune",
    "watch",
]

_WHERE = {
    "Architecture": "netwright.core.architecture",
    "Diagnosis": "netwright.doctor.diagnose",
    "Finding": "netwright.doctor.findings",
    "NetwrightError": "netwright.core.errors",
    "Predictor": "netwright.experiment.predictor",
    "Run": "netwright.experiment.folders",
    "Tuning": "netwright.tuning.results",
    "build": "netwright.models",
    "check": "netwright.doctor.check",
    "diagnose": "netwright.doctor.diagnose",
    "explain": "netwright.experiment.explaining",
    "export": "netwright.experiment.exporting",
    "fit": "netwright.experiment.fit",
    "list_models": "netwright.models",
    "load": "netwright.experiment.predictor",
    "load_pretrained": "netwright.models.weights",
    "serve": "netwright.experiment.serving",
    "train": "netwright.experiment.run",
    "tune": "netwright.experiment.tuning.tuning",
    "watch": "netwright.doctor.watch",
}


def __getattr__(name: str) -> "Any":
    if name not in _WHERE:
        raise AttributeError(f"module 'netwright' has no attribute {name!r}")
    value = getattr(importlib.import_module(_WHERE[name]), name)
    globals()[name] = value  # the next use finds it without coming here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
