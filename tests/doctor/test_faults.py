"""Every static rule names its fault, and stays silent on the healthy twin beside it."""

from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch
import torch.nn.functional as F
from healthy import Program, Recurrent, TimeFirst, autoencoder, classifier, labels, mlp, numbers
from torch import Tensor, nn

from netwright.doctor import FAULTS
from netwright.doctor.check import check

CASES: list[tuple[str, str, Callable[[], Program], Callable[[], Program] | None]] = []


def case(
    fault: str, severity: str, twin: Callable[[], Program] | None = None
) -> Callable[[Callable[[], Program]], Any]:
    def add(make: Callable[[], Program]) -> Callable[[], Program]:
        CASES.append((fault, severity, make, twin))
        return make

    return add


def plain() -> Program:
    return classifier(mlp(), numbers(64, 20))


def regression(net: nn.Module | None = None, **more: Any) -> Program:
    x = numbers(64, 4)
    net = net or nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
    program = {"net": net, "inputs": x, "targets": x[:, :1] * 2 + 0.5 * numbers(64, 1, seed=3), "loss": nn.MSELoss()}
    return program | {"optimizer": torch.optim.Adam(net.parameters(), 1e-3)} | more


def binary(net: nn.Module | None = None, **more: Any) -> Program:
    program = regression(net)
    return program | {"targets": (program["inputs"][:, :1] > 0).float(), "loss": nn.BCEWithLogitsLoss()} | more


def ending(*layers: nn.Module, **more: Any) -> Program:
    return classifier(nn.Sequential(mlp(), *layers), numbers(64, 20), **more)


@case("shape-mismatch", "error", plain)
def wrong_in_features() -> Program:
    return classifier(
        nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(100, 5)), numbers(16, 3, 12, 12)
    )


@case("shape-mismatch", "error")
def channels_last() -> Program:
    return classifier(
        nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)),
        numbers(16, 12, 12, 3),
    )


@case("shape-mismatch", "error")
def map_shrunk_to_nothing() -> Program:
    part = [nn.Conv2d(3, 3, 3), nn.ReLU(), nn.MaxPool2d(2)]
    return classifier(
        nn.Sequential(*part, *part, nn.Conv2d(3, 3, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3, 5)),
        numbers(16, 3, 12, 12),
    )


@case("shape-mismatch", "warning")
def convolutions_on_one_cell() -> Program:
    stages = [m for _ in range(5) for m in (nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))]
    late = [nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()]
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), *stages, *late, nn.Flatten(), nn.Linear(8, 5))
    return classifier(net, numbers(16, 3, 32, 32))


@case("shape-mismatch", "error", binary)
def flat_targets_refused() -> Program:
    program = binary()
    return program | {"targets": program["targets"].squeeze(1)}


@case("shape-mismatch", "error")
def classes_on_the_last_axis() -> Program:
    net = nn.Sequential(nn.Embedding(40, 16), nn.Linear(16, 40))
    tokens = torch.randint(0, 40, (16, 12), generator=torch.Generator().manual_seed(0))
    return classifier(net, tokens, targets=tokens)


@case("wrong-loss", "error")
def class_numbers_against_columns() -> Program:
    return classifier(mlp(), numbers(64, 20), loss=nn.MSELoss())


@case("head-size-mismatch", "error", plain)
def too_few_units() -> Program:
    return classifier(mlp(o=4), numbers(64, 20))


@case("head-size-mismatch", "error")
def labels_from_one() -> Program:
    return classifier(mlp(), numbers(64, 20), targets=labels(64, 5) + 1)


@case("head-size-mismatch", "warning")
def too_many_units() -> Program:
    return classifier(mlp(o=1000), numbers(64, 20), classes=10)


@case("head-size-mismatch", "error")
def columns() -> Program:
    return regression(nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)), targets=numbers(64, 2))


@case("double-softmax", "error", plain)
def softmax_then_cross_entropy() -> Program:
    return ending(nn.Softmax(dim=1))


@case("double-softmax", "error", plain)
def functional_softmax() -> Program:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp()

        def forward(self, x: Tensor) -> Tensor:
            return torch.softmax(self.body(x), -1)

    return classifier(Net(), numbers(64, 20), loss=lambda out, y: 2 * F.cross_entropy(out, y))


@case("double-softmax", "error")
def softmax_by_hand() -> Program:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp()

        def forward(self, x: Tensor) -> Tensor:
            e = self.body(x).exp()
            return e / e.sum(1, keepdim=True)

    return classifier(Net(), numbers(64, 20))


@case("double-softmax", "warning", lambda: ending(nn.LogSoftmax(1), loss=nn.NLLLoss()))
def log_softmax_then_cross_entropy() -> Program:
    return ending(nn.LogSoftmax(1))


@case("double-softmax", "error", binary)
def sigmoid_then_bce_with_logits() -> Program:
    return binary(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid()))


@case("double-softmax", "error")
def softmax_inside_the_loss() -> Program:
    return classifier(mlp(), numbers(64, 20), loss=lambda out, y: F.cross_entropy(out.softmax(1), y))


@case("double-softmax", "error")
def softmax_twice() -> Program:
    return ending(nn.Softmax(1), nn.LogSoftmax(1), loss=nn.NLLLoss())


@case("missing-output-activation", "error", lambda: ending(nn.LogSoftmax(1), loss=nn.NLLLoss()))
def raw_scores_into_nll() -> Program:
    return classifier(mlp(), numbers(64, 20), loss=nn.NLLLoss())


@case("missing-output-activation", "error")
def probabilities_into_nll() -> Program:
    return ending(nn.Softmax(1), loss=nn.NLLLoss())


@case(
    "missing-output-activation",
    "error",
    lambda: binary(nn.Sequential(nn.Linear(4, 1), nn.Sigmoid()), loss=nn.BCELoss()),
)
def raw_scores_into_bce() -> Program:
    return binary(loss=nn.BCELoss())


@case("single-unit-softmax", "error", lambda: binary(nn.Sequential(nn.Linear(4, 1), nn.Sigmoid()), loss=nn.BCELoss()))
def softmax_over_one() -> Program:
    return binary(nn.Sequential(nn.Linear(4, 1), nn.Softmax(dim=1)), loss=nn.BCELoss())


@case("single-unit-softmax", "error")
def cross_entropy_over_one() -> Program:
    return classifier(mlp(o=1), numbers(64, 20), targets=torch.zeros(64, dtype=torch.long))


@case("wrong-loss", "warning", plain)
def squared_error_on_one_hot() -> Program:
    return classifier(mlp(), numbers(64, 20), targets=F.one_hot(labels(64, 5), 5).float(), loss=nn.MSELoss())


@case("wrong-loss", "warning")
def squared_error_on_one_hot_inside() -> Program:
    return classifier(mlp(), numbers(64, 20), loss=lambda out, y: ((out - F.one_hot(y, 5)) ** 2).mean())


@case("wrong-loss", "warning", regression)
def squared_error_on_class_numbers() -> Program:
    return classifier(mlp(o=1), numbers(64, 20), loss=lambda out, y: F.mse_loss(out.squeeze(1), y.float()))


@case("wrong-loss", "warning")
def absolute_error_on_yes_and_no() -> Program:
    return binary(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid()), loss=nn.L1Loss())


@case("wrong-loss", "error", regression)
def bce_for_numbers() -> Program:
    return regression(loss=nn.BCEWithLogitsLoss())


@case("wrong-loss", "error")
def cross_entropy_for_numbers() -> Program:
    return regression(nn.Linear(4, 3), targets=numbers(64, 3), loss=nn.CrossEntropyLoss())


@case("wrong-loss", "error", binary)
def negative_bce() -> Program:
    return binary(loss=lambda out, y: -F.binary_cross_entropy_with_logits(out, y))


@case("wrong-loss", "warning", plain)
def one_hot_bce() -> Program:
    return classifier(mlp(), numbers(64, 20), targets=F.one_hot(labels(64, 5), 5).float(), loss=nn.BCEWithLogitsLoss())


@case("wrong-loss", "error")
def labels_one_and_two() -> Program:
    return binary(targets=labels(64, 2).float().view(64, 1) + 1)


@case("output-range", "error", autoencoder)
def sigmoid_for_standardised_targets() -> Program:
    return autoencoder() | {"targets": numbers(64, 64)}


@case("output-range", "error", regression)
def relu_for_negative_targets() -> Program:
    return regression(nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1), nn.ReLU()))


@case("output-range", "error", regression)
def tanh_for_large_targets() -> Program:
    return regression(nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1), nn.Tanh()))


@case("output-range", "error", plain)
def tanh_before_cross_entropy() -> Program:
    return ending(nn.Tanh())


@case("output-range", "warning", plain)
def relu_before_cross_entropy() -> Program:
    return ending(nn.ReLU())


@case("multilabel-as-multiclass", "error", plain)
def many_labels_one_winner() -> Program:
    return classifier(mlp(), numbers(64, 20), targets=(numbers(64, 5, seed=8) > 0).float())


@case("multilabel-as-multiclass", "error")
def many_labels_softmax() -> Program:
    return ending(nn.Softmax(1), targets=(numbers(64, 5, seed=8) > 0).float(), loss=nn.BCELoss())


@case("broadcast-loss", "error", regression)
def flat_targets() -> Program:
    program = regression()
    return program | {"targets": program["targets"].squeeze(1)}


@case("broadcast-loss", "error", lambda: flat_targets() | {"loss": lambda out, y: F.mse_loss(out.squeeze(1), y)})
def flat_targets_any_loss() -> Program:
    return flat_targets() | {"loss": lambda out, y: ((out - y) ** 2).mean()}


@case("broadcast-loss", "error")
def flat_output() -> Program:
    return regression(nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1), nn.Flatten(0)))


@case("missing-nonlinearity", "error", plain)
def no_activation_at_all() -> Program:
    return classifier(
        nn.Sequential(nn.Linear(20, 32), nn.Linear(32, 32), nn.Dropout(0.1), nn.Linear(32, 5)), numbers(64, 20)
    )


@case("missing-nonlinearity", "warning")
def one_activation_forgotten() -> Program:
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 8, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    )
    return classifier(net, numbers(64, 3, 12, 12))


@case("redundant-activation", "warning", plain)
def relu_of_relu() -> Program:
    return classifier(
        nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Dropout(0.1), nn.ReLU(), nn.Linear(32, 5)), numbers(64, 20)
    )


@case("redundant-activation", "error")
def relu_before_sigmoid() -> Program:
    return binary(
        nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1), nn.ReLU(), nn.Sigmoid()), loss=nn.BCELoss()
    )


@case(
    "bias-before-norm",
    "note",
    lambda: classifier(
        nn.Sequential(nn.Linear(20, 32, bias=False), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 5)), numbers(64, 20)
    ),
)
def bias_then_norm() -> Program:
    return classifier(
        nn.Sequential(nn.Linear(20, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 5)), numbers(64, 20)
    )


@case(
    "dropout-misuse",
    "warning",
    lambda: classifier(
        nn.Sequential(nn.Linear(20, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 5)),
        numbers(64, 20),
    ),
)
def dropout_before_norm() -> Program:
    return classifier(
        nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Dropout(0.5), nn.BatchNorm1d(32), nn.Linear(32, 5)),
        numbers(64, 20),
    )


@case("dropout-misuse", "error")
def dropout_on_the_output() -> Program:
    return ending(nn.Dropout(0.5))


@case("dropout-misuse", "error")
def dropout_of_nearly_all() -> Program:
    return classifier(nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Dropout(0.95), nn.Linear(32, 5)), numbers(64, 20))


def deep(norm: bool, depth: int = 20) -> Program:
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [
            nn.Linear(20 if i == 0 else 32, 32, bias=not norm),
            *([nn.BatchNorm1d(32)] if norm else []),
            nn.ReLU(),
        ]
    return classifier(nn.Sequential(*layers, nn.Linear(32, 5)), numbers(64, 20))


@case("missing-normalization", "error", lambda: deep(True))
def deep_and_plain() -> Program:
    return deep(False)


@case("missing-normalization", "error")
def deep_sigmoids() -> Program:
    layers = [m for _ in range(12) for m in (nn.Linear(20, 20), nn.Sigmoid())]
    return classifier(nn.Sequential(*layers, nn.Linear(20, 5)), numbers(64, 20))


@case("dense-parameter-explosion", "warning", plain)
def dense_on_a_map() -> Program:
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 32 * 32, 256),
        nn.ReLU(),
        nn.Linear(256, 5),
    )
    return classifier(net, numbers(16, 3, 32, 32))


def filled(value: float, bias: float = 0.0) -> nn.Module:
    net = mlp()
    for parameter in net.parameters():
        nn.init.constant_(parameter, value if parameter.dim() > 1 else bias)
    return net


@case("symmetric-init", "error", plain)
def constant_weights() -> Program:
    return classifier(filled(0.01), numbers(64, 20))


@case("symmetric-init", "error")
def zero_weights() -> Program:
    return classifier(filled(0.0), numbers(64, 20))


@case("symmetric-init", "error")
def constant_recurrence() -> Program:
    net = Recurrent()
    for parameter in net.lstm.parameters():
        nn.init.constant_(parameter, 0.1)
    return classifier(net, numbers(64, 10, 6))


@case("bad-init-scale", "error", plain)
def normal_of_one() -> Program:
    net = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    for module in net.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=20.0)
    return classifier(net, numbers(64, 784), classes=10)


@case("bad-init-scale", "warning")
def weights_of_nearly_nothing() -> Program:
    net = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 5))
    for module in net.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=1e-4)
    return classifier(net, numbers(64, 20))


@case("bad-init-scale", "warning")
def loud_head() -> Program:
    net = mlp()
    nn.init.normal_(net[2].weight, std=2.0)
    return classifier(net, numbers(64, 20) * 3)


@case("input-not-normalized", "warning", plain)
def pixels_up_to_255() -> Program:
    x = torch.randint(0, 256, (64, 3, 12, 12)).float()
    return classifier(
        nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)), x
    )


@case(
    "input-not-normalized",
    "warning",
    lambda: classifier(nn.Sequential(nn.BatchNorm1d(20), mlp()), numbers(64, 20) * torch.logspace(-2, 3, 20)),
)
def features_of_all_sizes() -> Program:
    return classifier(mlp(), numbers(64, 20) * torch.logspace(-2, 3, 20))


@case("input-degenerate", "error", plain)
def all_examples_equal() -> Program:
    return classifier(mlp(), numbers(1, 20).repeat(64, 1))


@case("input-degenerate", "error")
def no_examples() -> Program:
    return {"net": mlp(), "inputs": torch.zeros(0, 20)}


@case("input-degenerate", "warning")
def divided_twice() -> Program:
    return classifier(mlp(), torch.rand(64, 20, generator=torch.Generator().manual_seed(0)) / 255)


@case("input-degenerate", "warning", plain)
def a_constant_column() -> Program:
    x = numbers(64, 20)
    x[:, 3] = 1.5
    return classifier(mlp(), x)


@case("target-not-normalized", "warning", regression)
def prices() -> Program:
    return regression(targets=200_000 + 50_000 * numbers(64, 1))


@case("invalid-values", "error", plain)
def nan_in_inputs() -> Program:
    x = numbers(64, 20)
    x[5, 3] = float("nan")
    return classifier(mlp(), x)


@case("invalid-values", "error")
def infinite_targets() -> Program:
    y = numbers(64, 1)
    y[3] = float("inf")
    return regression(targets=y)


@case("invalid-values", "error", lambda: classifier(mlp(), numbers(64, 20).double().numpy()))
def integers_into_linear() -> Program:
    return classifier(mlp(), torch.randint(0, 5, (64, 20)))


@case("invalid-values", "error")
def doubles() -> Program:
    return classifier(mlp(), numbers(64, 20).double())


@case("invalid-values", "error")
def bytes_into_convolution() -> Program:
    x = torch.randint(0, 256, (16, 3, 12, 12), dtype=torch.uint8)
    return classifier(
        nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)), x
    )


@case("invalid-values", "error")
def float_class_numbers() -> Program:
    return classifier(mlp(), numbers(64, 20), targets=labels(64, 5).float())


@case("invalid-values", "error")
def token_beyond_the_table() -> Program:
    net = nn.Sequential(nn.Embedding(10, 8), nn.Flatten(), nn.Linear(40, 5))
    return classifier(net, torch.randint(5, 20, (64, 5)))


@case("class-imbalance", "warning", plain)
def one_in_twenty() -> Program:
    y = torch.zeros(400, dtype=torch.long)
    y[torch.randperm(400)[:20]] = 1
    return classifier(mlp(o=2), numbers(400, 20), targets=y)


@case("frozen-parameters", "warning", plain)
def optimizer_with_the_head_only() -> Program:
    net = mlp()
    return classifier(net, numbers(64, 20), optimizer=torch.optim.Adam(net[2].parameters()))


@case("frozen-parameters", "error")
def optimizer_of_another_network() -> Program:
    return classifier(mlp(), numbers(64, 20), optimizer=torch.optim.Adam(mlp().parameters()))


@case("frozen-parameters", "error")
def detached() -> Program:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(20, 32), nn.Linear(32, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(F.relu(self.a(x)).detach())

    return classifier(Net(), numbers(64, 20))


@case("frozen-parameters", "warning")
def never_called() -> Program:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(20, 32), nn.Linear(32, 5), nn.Linear(32, 32)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(F.relu(self.a(x)))

    return classifier(Net(), numbers(64, 20))


@case("frozen-parameters", "error")
def layers_in_a_list() -> Program:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers, self.head = [nn.Linear(20, 20), nn.Linear(20, 20)], nn.Linear(20, 5)

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = F.relu(layer(x))
            return self.head(x)

    return classifier(Net(), numbers(64, 20))


@case("invalid-setting", "error", plain)
def no_learning_rate() -> Program:
    net = mlp()
    return classifier(net, numbers(64, 20), optimizer=torch.optim.SGD(net.parameters(), 0.0))


@case("invalid-setting", "error")
def clipped_to_nothing() -> Program:
    return plain() | {"config": {"train": {"clip": 0}}}


@case("invalid-setting", "error")
def batch_larger_than_the_data() -> Program:
    return plain() | {"config": {"train": {"batch_size": 512}}, "examples": 100}


@case("invalid-setting", "error")
def accuracy_of_numbers() -> Program:
    return regression(metrics=["accuracy"])


@case("batch-mixing", "error", lambda: classifier(TimeFirst(), numbers(64, 10, 6)))
def batch_taken_for_time() -> Program:
    net = Recurrent()
    net.lstm = nn.LSTM(6, 16, 2)
    return classifier(net, numbers(64, 10, 6))


@case("batch-mixing", "error")
def softmax_over_the_batch() -> Program:
    return ending(nn.LogSoftmax(0), loss=nn.NLLLoss())


@case("batch-mixing", "error")
def reshaped_across_examples() -> Program:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(20, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.a(x.t().reshape(x.shape[0], -1))

    return classifier(Net(), numbers(64, 20))


def with_batch_norm(rows: int) -> Program:
    return classifier(
        nn.Sequential(nn.Linear(20, 32, bias=False), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 5)), numbers(rows, 20)
    )


@case("batch-too-small", "error", lambda: with_batch_norm(32))
def batch_norm_on_one() -> Program:
    return with_batch_norm(1)


@case("batch-too-small", "warning")
def batch_norm_on_two() -> Program:
    return with_batch_norm(2)


@case(
    "wrong-mode",
    "error",
    lambda: classifier(nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 5)), numbers(64, 20)),
)
def dropout_never_off() -> Program:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(20, 32), nn.Linear(32, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(F.dropout(F.relu(self.a(x)), 0.3))

    return classifier(Net(), numbers(64, 20))


@case("wrong-mode", "warning")
def asleep() -> Program:
    program = with_batch_norm(32)
    program["net"].eval()
    return program


@case("over-regularized", "warning", plain)
def decay_of_ten() -> Program:
    net = mlp()
    return classifier(net, numbers(64, 20), optimizer=torch.optim.SGD(net.parameters(), 0.1, weight_decay=10))


@case("over-regularized", "warning")
def decoupled_decay_of_ten() -> Program:
    net = mlp()
    return classifier(net, numbers(64, 20), optimizer=torch.optim.AdamW(net.parameters(), 1e-2, weight_decay=10))


@case("lr-too-high", "note", plain)
def learning_rate_of_one() -> Program:
    net = mlp()
    return classifier(net, numbers(64, 20), optimizer=torch.optim.Adam(net.parameters(), 1.0))


@case("preprocessing-mismatch", "warning", lambda: plain() | {"validation": (numbers(64, 20, seed=5), labels(64, 5))})
def validation_not_scaled() -> Program:
    return plain() | {"validation": (numbers(64, 20, seed=5) * 255, labels(64, 5))}


@case("leakage", "error", lambda: plain() | {"validation": (numbers(64, 20, seed=5), labels(64, 5))})
def shared_examples() -> Program:
    return plain() | {"validation": (torch.cat([numbers(64, 20)[:20], numbers(20, 20, seed=5)]), labels(40, 5))}


@case("leakage", "warning", regression)
def answer_among_the_features() -> Program:
    x = numbers(64, 4)
    return regression(inputs=x, targets=3 * x[:, 2:3] + 1)


@case("not-shuffled", "warning", plain)
def sorted_labels() -> Program:
    return classifier(mlp(), numbers(64, 20), targets=labels(64, 5).sort().values)


@pytest.mark.parametrize(("fault", "severity", "make", "twin"), CASES, ids=[c[2].__name__ for c in CASES])
def test_fault_is_named(
    fault: str, severity: str, make: Callable[[], Program], twin: Callable[[], Program] | None
) -> None:
    torch.manual_seed(0)
    numpy.random.seed(0)
    findings = check(**make())
    found = [f for f in findings if f.fault == fault]
    assert found, [str(f) for f in findings]
    assert found[0].severity == severity, str(found[0])
    assert all(f.fault in FAULTS for f in findings), [str(f) for f in findings if f.fault not in FAULTS]
    assert all(f.evidence and f.why and f.remedy and f.where for f in findings)
    if twin is not None:
        assert not [str(f) for f in check(**twin()) if f.fault == fault]


@pytest.mark.parametrize("make", [c[2] for c in CASES], ids=[c[2].__name__ for c in CASES])
def test_no_error_of_another_name(make: Callable[[], Program]) -> None:
    """A fault may have two names, but a faulty program is not buried under unrelated errors."""
    torch.manual_seed(0)
    errors = {f.fault for f in check(**make()) if f.severity == "error"}
    assert len(errors) <= 2, errors
