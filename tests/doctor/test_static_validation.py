"""Validation data prepared differently from the training data, and healthy splits that look a little like it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from healthy import numbers
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from netwright.core.errors import ConfigError
from netwright.doctor.check import check

Change = Callable[[Tensor], Tensor]


def pictures(count: int, seed: int) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 4, (count,), generator=chance)
    shapes = F.avg_pool2d(numbers(4, 3, 16, 16, seed=99), 5, 1, 2) * 5
    return shapes[labels] * 0.6 + torch.randn(count, 3, 16, 16, generator=chance), labels


def shifted(x: Tensor) -> Tensor:
    chance = torch.Generator().manual_seed(5)
    rows = []
    for picture in F.pad(x, (4, 4, 4, 4)):
        i, j = (int(v) for v in torch.randint(0, 9, (2,), generator=chance))
        rows.append(picture[:, i : i + 16, j : j + 16])
    return torch.stack(rows)


def flipped(x: Tensor) -> Tensor:
    turned = torch.rand(len(x), generator=torch.Generator().manual_seed(5)) < 0.5
    return torch.where(turned[:, None, None, None], x.flip(-1), x)


def covered(x: Tensor) -> Tensor:
    twin = x.clone()
    twin[:, :, 4:10, 4:10] = 0
    return twin


def net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))


def named(training: Any, validation: Any) -> list[str]:
    torch.manual_seed(0)
    given = (training, None) if isinstance(training, DataLoader) else training
    found = check(net(), *given, loss=nn.CrossEntropyLoss(), validation=validation)
    return [str(f) for f in found if f.fault == "preprocessing-mismatch"]


@pytest.mark.parametrize("change", [shifted, flipped, covered, lambda x: x.flip(1), lambda x: x.flip(2)])
def test_pictures_prepared_otherwise_for_validation(change: Change) -> None:
    training, (x, y) = pictures(300, 1), pictures(160, 2)
    assert named(training, (change(x), y))
    assert named(training, (x, y)) == []


@pytest.mark.parametrize("change", [shifted, flipped, covered])
def test_augmented_training_data_with_plain_validation_are_healthy(change: Change) -> None:
    x, y = pictures(300, 1)
    assert named((change(x), y), pictures(160, 2)) == []


def test_swapped_columns_of_a_table() -> None:
    x = numbers(500, 8)
    y = (x[:, 0] + x[:, 1] > 0).long()
    table = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))

    def told(held: Tensor) -> bool:
        found = check(table, x[:300], y[:300], loss=nn.CrossEntropyLoss(), validation=(held, y[300:]))
        return any(f.fault == "preprocessing-mismatch" for f in found)

    assert told(x[300:].roll(4, 1)) and not told(x[300:])


class Changed(Dataset[Any]):
    """Examples that a transform changes whenever they are read."""

    def __init__(self, change: Change, clean: bool = False) -> None:
        self.x, self.y = pictures(80, 2)
        self.change, self.clean = change, clean

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, at: int) -> tuple[Tensor, Tensor]:
        return self.change(self.x[at]), self.x[at] if self.clean else self.y[at]


def noisy(x: Tensor) -> Tensor:
    return x + 0.05 * torch.randn(x.shape)


def test_a_validation_loader_that_changes_its_examples() -> None:
    training = DataLoader(TensorDataset(*pictures(300, 1)), 32, shuffle=True)
    varied = named(training, DataLoader(Changed(noisy), 16))
    assert len(varied) == 1 and "error" in varied[0] and "read again" in varied[0]
    assert named(training, DataLoader(Changed(lambda x: x), 16, shuffle=True)) == []
    assert named(training, Changed(lambda x: x)) == []


def test_noise_on_the_inputs_is_the_task_where_the_clean_picture_is_the_target() -> None:
    clean = nn.Conv2d(3, 3, 3, padding=1)
    found = check(clean, Changed(noisy, True), loss=nn.MSELoss(), validation=DataLoader(Changed(noisy, True), 16))
    assert not [f for f in found if f.fault == "preprocessing-mismatch"]


def test_reading_a_loader_leaves_the_random_states_as_they_were() -> None:
    model, loader = net(), DataLoader(Changed(noisy), 16, shuffle=True)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    check(model, loader, loss=nn.CrossEntropyLoss(), validation=loader)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_lone_tensor_is_no_validation_set() -> None:
    with pytest.raises(ConfigError, match="no pair"):
        named(pictures(100, 1), numbers(4, 3))


def test_another_mixture_of_classes_is_no_other_preparation() -> None:
    (x, y), held = pictures(600, 1), pictures(160, 2)
    mostly = (y == 0) | (torch.rand(600, generator=torch.Generator().manual_seed(1)) < 0.2)
    assert named((x[mostly], y[mostly]), held) == []
