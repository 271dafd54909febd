"""The doctor's watch round other libraries' loops: Lightning, Hugging Face's Trainer and skorch.

    trainer = L.Trainer(callbacks=[doctor := LightningDoctor()])
    trainer.fit(module, loader)
    print(doctor.findings)

Each is imported when it is first used, so that none of the libraries is needed for the others.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netwright.doctor.callbacks.lightning import LightningDoctor
    from netwright.doctor.callbacks.skorch import SkorchDoctor
    from netwright.doctor.callbacks.transformers import TransformersDoctor

__all__ = ["LightningDoctor", "SkorchDoctor", "TransformersDoctor"]

_WHERE = {"LightningDoctor": "lightning", "SkorchDoctor": "skorch", "TransformersDoctor": "transformers"}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'netwright.doctor.callbacks' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"netwright.doctor.callbacks.{_WHERE[name]}"), name)
    globals()[name] = value  # the next use finds it without coming here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
