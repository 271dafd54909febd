"""Imported before torchmetrics: a torchvision that cannot be imported must not take our metrics with it.

torchmetrics imports torchvision wherever it is installed. One that was built for another torch (a CUDA build beside a
CPU torch, say) lacks its compiled operators, and its Python part fails because they are not declared. Declared, though
still not there, they let it be imported; none of our metrics calls them.
"""

import contextlib
import importlib.util
import sys

import torch

__all__: list[str] = []

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)

if "torchvision" not in sys.modules and importlib.util.find_spec("torchvision") is not None:
    try:
        import torchvision
    except Exception:  # whatever a broken build raises
        _declared = torch.library.Library("torchvision", "FRAGMENT")  # kept: they go when it goes
        for _schema in _SCHEMAS:
            with contextlib.suppress(RuntimeError):  # declared by somebody else
                _declared.define(_schema)
        with contextlib.suppress(Exception):  # torchmetrics will say what is wrong
            import torchvision  # noqa: F401
