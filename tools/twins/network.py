"""Twins for faults of the network: its layers, its activations, its first weights."""

from torch import Tensor, nn

from twins.base import Program, adam, cancer, cnn, digits, fashion, mlp, sgd

__all__ = [
    "bad_init_scale",
    "batch_mixing",
    "bias_before_norm",
    "capacity_too_small",
    "dead_relu",
    "dense_parameter_explosion",
    "dropout_misuse",
    "frozen_parameters",
    "missing_nonlinearity",
    "missing_normalization",
    "redundant_activation",
    "saturation",
    "symmetric_init",
    "vanishing_gradient",
]


def _linears(net: nn.Module) -> list[nn.Linear]:
    return [module for module in net.modules() if isinstance(module, nn.Linear)]


def missing_nonlinearity(faulty: bool) -> Program:
    """Is the digit even? Three linear layers; the faulty twin has no activation between them."""
    net = mlp(64, 64, 64, 2, act=nn.Identity if faulty else nn.ReLU)
    return Program(net, adam(net), nn.CrossEntropyLoss(), digits().mapped(targets=lambda y: y % 2), steps=300)


def redundant_activation(faulty: bool) -> Program:
    """Benign or malignant. The faulty twin puts a ReLU before its last sigmoid."""
    net = mlp(30, 24, 1)
    if faulty:
        net.append(nn.ReLU())
    net.append(nn.Sigmoid())
    data = cancer().mapped(targets=lambda y: y.float()[:, None])
    return Program(net, adam(net), nn.BCELoss(), data, shows="held-out loss")


def bias_before_norm(faulty: bool) -> Program:
    """Two convolutions with a batch norm behind the first, on 8×8 digits. The repaired twin has no bias there and the
    same other weights.
    """
    net = cnn(norm=True)
    if not faulty:
        net[0].bias = None
    return Program(net, adam(net), nn.CrossEntropyLoss(), digits(pictures=True))


def dropout_misuse(faulty: bool) -> Program:
    """One hidden layer on the digits, dropout at 0.5. In the faulty twin it stands on the output."""
    places = (3, 2) if faulty else (2, 3)
    net = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))
    net.insert(places[0], nn.Dropout(0.5))
    return Program(net, adam(net), nn.CrossEntropyLoss(), digits(), shows="loss")


def missing_normalization(faulty: bool) -> Program:
    """Twenty-four layers of 48 units on the digits, with or without batch norms."""
    net = mlp(64, *[48] * 24, 10, norm=not faulty)
    return Program(net, adam(net), nn.CrossEntropyLoss(), digits(), steps=400)


def dense_parameter_explosion(faulty: bool) -> Program:
    """14×14 clothes, 400 examples. The faulty twin reads the whole map of its one convolution with 512 units, 3.2
    million parameters; the repaired one pools, convolves and pools again before 64 units, 29 thousand. Both are about
    as good: what the fault costs here is a hundredfold of memory and work.
    """
    rest = [nn.Flatten(), nn.Linear(32 * 196, 512), nn.ReLU(), nn.Linear(512, 10)]
    if not faulty:
        more = [nn.MaxPool2d(2), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
        rest = [*more, nn.Linear(32 * 9, 64), nn.ReLU(), nn.Linear(64, 10)]
    net = nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), *rest)
    return Program(net, adam(net), nn.CrossEntropyLoss(), fashion().some(400))


def capacity_too_small(faulty: bool) -> Program:
    """Two hidden layers on the digits, of 48 units or of a single one."""
    width = 1 if faulty else 48
    net = mlp(64, width, width, 10)
    return Program(net, adam(net), nn.CrossEntropyLoss(), digits(), steps=300)


def symmetric_init(faulty: bool) -> Program:
    """Two hidden layers on the digits. In the faulty twin every weight begins as 0.1."""
    net = mlp(64, 48, 48, 10)
    for layer in _linears(net) if faulty else []:
        nn.init.constant_(layer.weight, 0.1)
    return Program(net, adam(net), nn.CrossEntropyLoss(), digits())


def bad_init_scale(faulty: bool) -> Program:
    """Two hidden layers on the digits. The faulty twin's weights are drawn with a standard deviation of 3."""
    net = mlp(64, 48, 48, 10)
    for layer in _linears(net) if faulty else []:
        nn.init.normal_(layer.weight, std=3.0)
    return Program(net, adam(net), nn.CrossEntropyLoss(), digits())


def vanishing_gradient(faulty: bool) -> Program:
    """Eight hidden layers on the digits, with sigmoids or with ReLU."""
    net = mlp(64, *[48] * 8, 10, act=nn.Sigmoid if faulty else nn.ReLU)
    return Program(net, adam(net), nn.CrossEntropyLoss(), digits(), steps=300)


def dead_relu(faulty: bool) -> Program:
    """Two hidden layers on the digits. The faulty twin's hidden biases begin at -8."""
    net = mlp(64, 48, 48, 10)
    for layer in _linears(net)[:-1] if faulty else []:
        nn.init.constant_(layer.bias, -8.0)
    return Program(net, adam(net), nn.CrossEntropyLoss(), digits())


def saturation(faulty: bool) -> Program:
    """Two hidden layers of sigmoids on the digits, SGD at 0.05. The faulty twin's hidden biases begin at 10, so that
    every sigmoid starts at its end.
    """
    net = mlp(64, 48, 48, 10, act=nn.Sigmoid)
    for layer in _linears(net)[:-1] if faulty else []:
        nn.init.constant_(layer.bias, 10.0)
    return Program(net, adam(net), nn.CrossEntropyLoss(), digits(), steps=300)


class _Reader(nn.Module):
    """Reads a digit row by row, as a sequence of eight."""

    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 32, batch_first=batch_first)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0][:, -1])


def batch_mixing(faulty: bool) -> Program:
    """An LSTM reads digits row by row, and is asked for one example at a time. In the faulty twin it takes the batch
    for the sequence.
    """
    net = _Reader(batch_first=not faulty)
    data = digits().mapped(lambda rows: rows.view(-1, 8, 8))
    return Program(net, adam(net, 1e-2), nn.CrossEntropyLoss(), data, alone=True, steps=300)


def frozen_parameters(faulty: bool) -> Program:
    """One hidden layer on the digits. The faulty twin's optimizer was made for the network before it was rebuilt."""
    net = mlp(64, 48, 10)
    held = mlp(64, 48, 10) if faulty else net
    return Program(net, sgd(held), nn.CrossEntropyLoss(), digits())
