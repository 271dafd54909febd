"""Names of calls, in the groups that rules speak of."""

__all__ = [
    "ACTIVATIONS",
    "CONVOLUTIONS",
    "DROPOUTS",
    "NORMS",
    "ODDS",
    "POOLS",
    "PREPARED",
    "RECURRENT",
    "RESHAPES",
    "SQUASHES",
    "WEIGHTED",
]

CONVOLUTIONS = {"conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"}
WEIGHTED = CONVOLUTIONS | {"linear"}
RECURRENT = {"lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"}
NORMS = {"batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm", "local_response_norm", "normalize"}
DROPOUTS = {
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "alpha_dropout",
    "feature_alpha_dropout",
    "feature_dropout",
}
POOLS = {f"{kind}_pool{n}d" for kind in ("max", "avg", "adaptive_avg", "adaptive_max") for n in (1, 2, 3)}
RESHAPES = {
    "view",
    "reshape",
    "flatten",
    "squeeze",
    "unsqueeze",
    "permute",
    "transpose",
    "t",
    "contiguous",
    "getitem",
    "clone",
    "to",
    "float",
    "double",
    "half",
    "bfloat16",
    "type",
    "unflatten",
    "narrow",
    "select",
    "expand",
    "view_as",
    "reshape_as",
    "ravel",
    "type_as",
    "alias",
}
# What makes odds, or logarithms of them, from scores.
ODDS = {"softmax", "log_softmax", "softmin", "sigmoid", "logsigmoid"}
# What bounds or normalises scores when it stands last.
SQUASHES = ODDS | {"tanh", "relu", "relu6", "softplus", "hardsigmoid", "hardtanh"}
ACTIVATIONS = SQUASHES | {
    "leaky_relu",
    "elu",
    "selu",
    "celu",
    "gelu",
    "silu",
    "mish",
    "prelu",
    "rrelu",
    "hardswish",
    "softsign",
    "tanhshrink",
    "softshrink",
    "hardshrink",
    "threshold",
    "gumbel_softmax",
    "glu",
}
# What may stand between an input and the first weights and still leave it the input.
PREPARED = RESHAPES | {"mul", "div", "sub", "add", "clamp", "log", "log1p", "sqrt", "pad", "dropout", "cat", "stack"}
