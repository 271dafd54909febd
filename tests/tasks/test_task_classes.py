"""What a task's class says before there are data to build it for, and the loss that it takes where none is given."""

from itertools import product
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from netwright import models
from netwright.core.catalogs import trusting
from netwright.core.errors import ConfigError
from netwright.data.masks import IGNORED
from netwright.data.schema import Kind, Schema, Target, TargetKind
from netwright.experiment.compatible import default_model, networks_for
from netwright.losses import LOSSES, Loss
from netwright.tasks import TASKS, Task, task_class
from netwright.tasks.regression import Regression

NAMES = TASKS.names()
LOGITS, CODES = torch.randn(8, 3, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 3
NUMBERS, WANTED = 3 * LOGITS, LOGITS.flip(0)
PICTURES, MASKS = LOGITS.T.reshape(1, 3, 4, 2), torch.tensor([[[0, 1], [2, IGNORED], [1, 1], [IGNORED, 0]]])


@pytest.mark.parametrize("name", NAMES)
def test_what_a_task_names_is_in_the_catalogs(name: str) -> None:
    kind = task_class(name)
    assert issubclass(kind, Task) and set(kind.like_tasks) <= set(NAMES)
    assert kind.default_loss is None or kind.default_loss in LOSSES
    assert set(kind.data_kinds) <= set(get_args(Kind)) and set(kind.target_kinds) <= set(get_args(TargetKind))
    assert networks_for(name), "no network of the catalog is for it"
    for data in kind.data_kinds or get_args(Kind):
        usual = default_model(name, Schema(data, (1,), "float32", Target("none")))
        assert (usual if isinstance(usual, str) else usual["name"]) in models.MODELS


def test_the_task_of_any_data_is_one_of_the_catalog() -> None:
    found = set()
    for kind, target in product(get_args(Kind), get_args(TargetKind)):
        schema = Schema(kind, (1,), "float32", Target(target))
        if target != "none":
            found.add(schema.default_task())
    assert len(found) == 12 and found <= set(NAMES)
    assert Schema("image", (1, 8, 8), "uint8", Target("none")).default_task() == "gan"
    with pytest.raises(ConfigError, match="no target"):
        Schema("table", (1,), "float32", Target("none")).default_task()


def make(schema: Schema) -> Task:
    return Regression(schema)


def test_a_user_s_function_that_makes_a_task_is_as_usual() -> None:
    with trusting(True):
        assert task_class(f"{__name__}:make") is Task
    assert Task.outputs({}) is None and Task.views({}) == 1 and Task.pairs({}) is None


@pytest.mark.parametrize(("name", "theirs", "pair"), [
    ("image-classification", nn.CrossEntropyLoss(), (LOGITS, CODES)),
    ("image-classification", nn.CrossEntropyLoss(), (LOGITS, LOGITS.flip(0).softmax(1))),
    ("image-segmentation", nn.CrossEntropyLoss(ignore_index=IGNORED), (PICTURES, MASKS)),
    ("language-modeling", nn.CrossEntropyLoss(), (LOGITS, CODES)),
    ("masked-language-modeling", nn.CrossEntropyLoss(), (LOGITS, CODES)),
    ("sequence-to-sequence", nn.CrossEntropyLoss(), (LOGITS, CODES)),
    ("question-answering", nn.CrossEntropyLoss(), (LOGITS, CODES)),
    ("multilabel-classification", nn.BCEWithLogitsLoss(), (LOGITS, (LOGITS.flip(0) > 0).float())),
    ("forecasting", nn.L1Loss(), (NUMBERS, WANTED)),
    ("regression", nn.MSELoss(), (NUMBERS, WANTED)),
    ("q-learning", nn.HuberLoss(), (NUMBERS[:, 0], WANTED[:, 0])),
])  # fmt: skip
def test_the_usual_loss_is_torch_s_of_that_name(name: str, theirs: nn.Module, pair: tuple[Tensor, Tensor]) -> None:
    bound = {"ignore_index": IGNORED} if name == "image-segmentation" else {}
    ours = task_class(name).chosen_loss(None, **bound)
    assert isinstance(ours, Loss)
    scores = [pair[0].clone().requires_grad_() for _ in range(2)]
    values = [loss(one, pair[1]) for loss, one in zip((ours, theirs), scores, strict=True)]
    gradients = [torch.autograd.grad(value, one)[0] for value, one in zip(values, scores, strict=True)]
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*gradients)


def test_a_loss_that_is_given_is_taken() -> None:
    given = nn.MSELoss()
    assert task_class("regression").chosen_loss(given) is given
