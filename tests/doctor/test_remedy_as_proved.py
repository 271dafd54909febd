"""A remedy says what the experiment beside it showed."""

import torch
from torch import nn

import netwright as nw
from netwright.doctor.probe.compare import in_words
from netwright.doctor.probe.running import Outcome


def test_a_rate_is_to_be_changed_by_the_factor_that_was_tried() -> None:
    torch.manual_seed(0)
    x = torch.randn(256, 8)
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
    slow = torch.optim.Adam(net.parameters(), lr=1e-7)
    found = nw.diagnose(net, slow, nn.CrossEntropyLoss(), (x, (x[:, 0] > 0).long()), epochs=10, budget_seconds=30)
    (first, *_) = [one for one in found.findings if one.fault == "lr-too-low"]
    assert first.probe is not None and (factor := int(first.probe.change.removeprefix("lr*"))) > 10
    assert first.remedy == f"Multiply the learning rate by {factor:,}."


def test_what_stays_does_not_rise_by_nothing() -> None:
    def ended(level: float) -> list[Outcome]:
        return [Outcome(losses=[level], each=torch.full((2,), level))]

    assert in_words("more", ended(1.001), ended(0.1), 1.0, 50).endswith("unchanged, -0.1%.")
    assert in_words("more", ended(1.0), ended(0.1), 1.0, 50).endswith("unchanged, 0.0%.")
    assert in_words("more", ended(1.2), ended(0.1), 1.0, 50).endswith("it rises 20%.")
