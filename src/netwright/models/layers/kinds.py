"""The table of layer kinds: the name in a list of layers -> the function that checks its options and builds it.

A kind's options are its function's parameters after `signal`, and the one that carries the kind's own name is what
stands beside it: `{conv: 32, kernel: 3}` is `conv(signal, conv=32, kernel=3)`. The joins (`residual`, `dense`,
`branches`) belong to the stack, because what they hold are lists of layers again.
"""

from collections.abc import Callable, Mapping

from torch import nn

from netwright.models.layers import general, sequence, spatial
from netwright.models.layers.signal import Layer

__all__ = ["KINDS", "OUTPUT_KINDS"]

KINDS: Mapping[str, Callable[..., Layer]] = {
    "adaptive-pool": spatial.adaptive_pool,
    "attention": sequence.attention,
    "conv": spatial.conv,
    "depthwise-conv": spatial.depthwise_conv,
    "drop-path": general.drop_path,
    "dropout": general.dropout,
    "elu": general.elu,
    "embedding": sequence.embedding,
    "flatten": general.flatten,
    "gelu": general.plain("gelu"),
    "gelu-tanh": general.plain("gelu-tanh"),
    "global-pool": spatial.global_pool,
    "gru": sequence.gru,
    "hardswish": general.plain("hardswish"),
    "identity": general.plain("identity"),
    "leaky-relu": general.leaky_relu,
    "linear": general.linear,
    "log-softmax": general.output_only(nn.LogSoftmax),
    "lstm": sequence.lstm,
    "mish": general.plain("mish"),
    "norm": general.norm,
    "patches": spatial.patches,
    "pool": spatial.pool,
    "relu": general.plain("relu"),
    "relu6": general.plain("relu6"),
    "reshape": general.reshape,
    "rnn": sequence.rnn,
    "selu": general.plain("selu"),
    "separable-conv": spatial.separable_conv,
    "sigmoid": general.plain("sigmoid"),
    "silu": general.plain("silu"),
    "softmax": general.output_only(nn.Softmax),
    "softplus": general.plain("softplus"),
    "squeeze-excite": spatial.squeeze_excite,
    "tanh": general.plain("tanh"),
    "transposed-conv": spatial.transposed_conv,
    "upsample": spatial.upsample,
}

OUTPUT_KINDS = ("log-softmax", "softmax")  # they normalise over all units, so nothing may come after them
