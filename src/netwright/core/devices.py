"""What pays on the machine at hand: device, precision, memory layout and threads - chosen, and said.

Choices are rules, not timings, so that the same config on the same machine gives the same run.
"""

import ctypes
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from netwright.core.errors import ConfigError
from netwright.core.messages import say

__all__ = [
    "Precision", "choose_device", "choose_precision", "describe_machine", "keep_freed_memory", "wants_channels_last",
]  # fmt: skip

# glibc's names for mallopt: from which size on memory is given back at once, and when the heap's top is trimmed.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD = -1, -3, 1 << 30
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_BF16_WIDTH = 64  # narrower matrices lose more by the casts than they gain by the multiplications


@dataclass(frozen=True)
class Precision:
    """The type the heavy operations run in (None: float32, no autocast) and the reason for it, in words."""

    dtype: torch.dtype | None
    reason: str

    @property
    def name(self) -> str:
        """`"bf16"` or `"float32"`."""
        return "float32" if self.dtype is None else "bf16"


def choose_device(wanted: str = "auto") -> torch.device:
    """The device for `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.

    Raises:
        ConfigError: this machine has no such device.
    """
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        if device.type == "meta":
            raise RuntimeError(wanted)  # holds shapes only; nothing can be learnt there
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        have = (
            ["cpu"]
            + (["cuda"] if torch.cuda.is_available() else [])
            + (["mps"] if torch.backends.mps.is_available() else [])
        )
        template = "train.device={wanted!r} is not on this machine; use auto or one of {have}"
        raise ConfigError(template, "train.device", wanted=wanted, have=", ".join(have)) from error
    return device


def choose_precision(wanted: Literal["auto", "float32", "bf16"], device: torch.device, net: nn.Module) -> Precision:
    """bf16 autocast where the hardware multiplies bf16 and the network has enough to multiply, float32 otherwise."""
    if wanted == "float32":
        return Precision(None, say("as the config asks"))
    if wanted == "bf16":
        return Precision(torch.bfloat16, say("as the config asks"))
    if not _multiplies_bf16(device):
        return Precision(None, say("{device} has no bf16 arithmetic", device=device.type))
    if device.type == "cpu" and _has_depthwise_elsewhere(net):
        return Precision(None, say("depthwise convolutions are slower in bf16 on {device}", device=device.type))
    if device.type == "cuda" or _has_convolution(net) or _has_wide_attention(net):
        return Precision(
            torch.bfloat16, say("{device} multiplies bf16, and this network gains by it", device=device.type)
        )
    return Precision(None, say("plain linear layers are as fast in float32 on {device}", device=device.type))


def wants_channels_last(net: nn.Module, input_shape: Sequence[int | None]) -> bool:
    """Whether channels-last memory pays: a network with convolutions on images."""
    return _has_convolution(net) and len(input_shape) == 3


def _has_convolution(net: nn.Module) -> bool:
    return any(isinstance(module, _CONVOLUTIONS) for module in net.modules())


def _has_depthwise_elsewhere(net: nn.Module) -> bool:
    """Depthwise convolutions of other kinds than those whose slow bf16 gradients `training.convolutions` mends."""
    others = tuple(kind for kind in _CONVOLUTIONS if kind is not nn.Conv2d)
    return any(isinstance(part, others) and part.groups == part.in_channels > 1 for part in net.modules())


def keep_freed_memory() -> None:
    """Let glibc keep what tensors give back, so that a step does not pay page faults for the same memory again and
    again.

    Elsewhere than on glibc this does nothing. On a small convolution network the faults cost a third of a CPU step.
    """
    if platform.system() == "Linux":
        try:
            libc = ctypes.CDLL("libc.so.6")
            libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
            libc.mallopt(_M_TRIM_THRESHOLD, -1)
        except (OSError, AttributeError):  # musl and others have no mallopt: memory is then handled as they do
            return


def describe_machine(device: torch.device) -> dict[str, Any]:
    """What `environment.json` says of the hardware and the libraries."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
    }


def _multiplies_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))
    return False


def _has_wide_attention(net: nn.Module) -> bool:
    """A deep stack of wide matrices over many positions: attention's projections, in ours and in torch's modules."""
    for module in net.modules():
        if "attention" in type(module).__name__.lower():
            return any(p.ndim == 2 and min(p.shape) >= _BF16_WIDTH for p in module.parameters())
    return False


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
