"""Twins for faults of the optimisation: step sizes, schedules, batches, gradients, modes."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from twins.base import Loss, Program, adam, cancer, cnn, diabetes, digits, mlp, sgd

__all__ = [
    "batch_too_large",
    "batch_too_small",
    "exploding_gradient",
    "lr_too_high",
    "lr_too_low",
    "missing_zero_grad",
    "non_finite",
    "oscillation",
    "over_regularized",
    "overfitting",
    "schedule_collapsed",
    "slow_convergence",
    "undertrained",
    "wrong_mode",
    "wrong_optimizer",
]

Optimizer = torch.optim.Optimizer
Batch = tuple[Tensor, Tensor]


def _step(loss: Loss, clear: bool = True, before: Callable[..., None] | None = None,
          after: Callable[[], None] | None = None, inputs: Callable[[Tensor], Tensor] | None = None,
          ) -> Callable[..., Tensor]:  # fmt: skip
    """A loop's step with something left out or added."""

    def step(net: nn.Module, opt: Optimizer, batch: Batch) -> Tensor:
        if before is not None:
            before(net)
        if clear:
            opt.zero_grad()
        value = loss(net(inputs(batch[0]) if inputs is not None else batch[0]), batch[1])
        value.backward()
        opt.step()
        if after is not None:
            after()
        return value

    return step


def lr_too_high(faulty: bool) -> Program:
    """Two hidden layers on the digits, Adam at 0.5 or at 0.003."""
    net = mlp(64, 48, 48, 10)
    return Program(net, adam(net, 0.5 if faulty else 3e-3), nn.CrossEntropyLoss(), digits())


def lr_too_low(faulty: bool) -> Program:
    """Two hidden layers on the digits, Adam at 0.000001 or at 0.003."""
    net = mlp(64, 48, 48, 10)
    return Program(net, adam(net, 1e-6 if faulty else 3e-3), nn.CrossEntropyLoss(), digits())


def schedule_collapsed(faulty: bool) -> Program:
    """Two hidden layers on the digits. The faulty twin multiplies its learning rate by 0.7 every step; the repaired one
    follows a cosine over the whole run.
    """
    net, loss = mlp(64, 48, 48, 10), nn.CrossEntropyLoss()
    opt = adam(net)
    rates = torch.optim.lr_scheduler
    schedule = rates.ExponentialLR(opt, 0.7) if faulty else rates.CosineAnnealingLR(opt, 200)
    return Program(net, opt, loss, digits(), step=_step(loss, after=schedule.step))


def slow_convergence(faulty: bool) -> Program:
    """A network on 8×8 digits. The faulty twin begins with averages of the left and the right half: two numbers are
    left of each picture, enough to tell a few apart, and no setting of the training can bring the rest back.
    """
    first = [nn.AvgPool2d((8, 4)), nn.Flatten(), nn.Linear(2, 48)] if faulty else [nn.Flatten(), nn.Linear(64, 48)]
    net = nn.Sequential(*first, nn.ReLU(), *mlp(48, 48, 10))
    return Program(net, adam(net), nn.CrossEntropyLoss(), digits(pictures=True))


def oscillation(faulty: bool) -> Program:
    """Disease progression, SGD with a momentum of 0.995 or of 0.9."""
    net = mlp(10, 24, 1)
    opt = sgd(net, 0.005, 0.995 if faulty else 0.9)
    return Program(net, opt, nn.MSELoss(), diabetes(), shows="rmse", decide=lambda out: out)


class _Pixels(nn.Module):
    """Reads a digit pixel by pixel, four at a time, with a plain recurrent layer of ReLU units."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.RNN(4, 48, nonlinearity="relu", batch_first=True)
        self.head = nn.Linear(48, 10)
        nn.init.orthogonal_(self.rnn.weight_hh_l0, 1.2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


def exploding_gradient(faulty: bool) -> Program:
    """A plain recurrent layer reads digits in sixteen steps, SGD. The repaired twin clips the gradient's norm at 1."""
    net, loss = _Pixels(), nn.CrossEntropyLoss()

    def step(net: nn.Module, opt: Optimizer, batch: Batch) -> Tensor:
        opt.zero_grad()
        value = loss(net(batch[0]), batch[1])
        value.backward()
        if not faulty:
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        return value

    data = digits().mapped(lambda rows: rows.view(-1, 16, 4))
    return Program(net, sgd(net, 0.1), loss, data, step=step, steps=300)


def _by_hand(output: Tensor, y: Tensor) -> Tensor:
    p = output.sigmoid()
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


def non_finite(faulty: bool) -> Program:
    """Benign or malignant, Adam at 0.01. The faulty twin writes binary cross-entropy by hand: as soon as one
    probability rounds to 1, zero times the logarithm of zero is not a number.
    """
    net, data = mlp(30, 24, 1), cancer().mapped(targets=lambda y: y.float()[:, None])
    loss = _by_hand if faulty else nn.BCEWithLogitsLoss()
    return Program(net, adam(net, 1e-2), loss, data, decide=lambda out: (out > 0).float(), steps=300)


def overfitting(faulty: bool) -> Program:
    """Disease progression from 120 patients, two hidden layers of 128 units. The repaired twin is the same one, stopped
    where validation was best.
    """
    net = mlp(10, 128, 128, 1)
    return Program(
        net, adam(net), nn.MSELoss(), diabetes().some(120), shows="held-out loss", steps=600 if faulty else 30
    )


def undertrained(faulty: bool) -> Program:
    """Two hidden layers on the digits, Adam at 0.0005, for one epoch or for fifteen."""
    net = mlp(64, 48, 48, 10)
    return Program(net, adam(net, 5e-4), nn.CrossEntropyLoss(), digits(), steps=45 if faulty else 675)


def batch_too_large(faulty: bool) -> Program:
    """Two convolutions on 8×8 digits, Adam at 0.001, six epochs in batches of 1,437 (all examples) or of 32."""
    net = cnn()
    size, steps = (1437, 6) if faulty else (32, 270)
    told = {"config": {"train": {"batch_size": size, "epochs": 6}}, "examples": 1437}
    return Program(
        net, adam(net, 1e-3), nn.CrossEntropyLoss(), digits(pictures=True), batch=size, steps=steps, over="epoch",
        told=told,
    )  # fmt: skip


def batch_too_small(faulty: bool) -> Program:
    """Two convolutions with a batch norm on 8×8 digits, SGD at 0.05, in batches of 2 or of 32."""
    net, size = cnn(norm=True), 2 if faulty else 32
    told = {"config": {"train": {"batch_size": size}}}
    return Program(net, sgd(net), nn.CrossEntropyLoss(), digits(pictures=True), batch=size, told=told)


def over_regularized(faulty: bool) -> Program:
    """Two convolutions on 8×8 digits, Adam. The faulty twin's weight decay is 1."""
    net = cnn()
    return Program(net, adam(net, weight_decay=1.0 if faulty else 0.0), nn.CrossEntropyLoss(), digits(pictures=True))


def wrong_optimizer(faulty: bool) -> Program:
    """Two hidden layers on the digits, at a learning rate of 0.001 with Adadelta or with Adam."""
    net = mlp(64, 48, 48, 10)
    opt = torch.optim.Adadelta(net.parameters(), lr=1e-3) if faulty else adam(net, 1e-3)
    return Program(net, opt, nn.CrossEntropyLoss(), digits())


def missing_zero_grad(faulty: bool) -> Program:
    """Two convolutions on 8×8 digits, SGD at 0.05. The faulty twin's loop does not clear the gradients."""
    net, loss = cnn(), nn.CrossEntropyLoss()
    return Program(net, sgd(net), loss, digits(pictures=True), step=_step(loss, clear=not faulty))


def wrong_mode(faulty: bool) -> Program:
    """Two convolutions with a batch norm on 8×8 digits whose pixels are all moved by 3. The faulty twin was put into
    evaluation mode by its first validation and trains on.
    """
    net, loss = cnn(norm=True), nn.CrossEntropyLoss()
    data = digits(pictures=True).mapped(lambda x: x + 3)
    if faulty:
        net.eval()
    step = _step(loss, before=nn.Module.eval if faulty else nn.Module.train)
    return Program(net, sgd(net), loss, data, step=step)
