"""The networks that are compared, ours and the reference's own module, and the two ways in which they are run.

    python benchmarks/zoo_contenders.py equal NAME              prints {"train": …, "infer": …, …} as one JSON line
    python benchmarks/zoo_contenders.py usual|engine NAME       takes steps when told to (`fresh.Contender`)

*equal*: both modules with the same weights in one process, step by step in turns (ours, theirs, theirs, ours), under
the usual loop: float32, contiguous memory, `Adam()`, `.item()` on each step. *usual*: theirs alone, in that loop.
*engine*: ours alone, as `netwright train` runs it: the precision and memory format that pay on this machine, a fused
optimizer, freed memory kept, and for inference what a validation does. Steps of training come first, passes for
inference after "next".
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fresh
import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEAST, WARM = 16, 2  # timed steps of each, however long they take; steps before them
SECONDS = {"train": 4.0, "infer": 1.2}  # for the timed steps of one contender


@dataclass(frozen=True)
class Row:
    """A network of the catalog and the module it is held against, on batches of random images.

    doubled: whether bf16 and channels-last are to make it twice as fast, as they are on the convolutions of large maps.
    """

    reference: str
    side: int = 64
    batch: int = 16
    channels: int = 3
    doubled: bool = True
    arguments: dict[str, Any] = field(default_factory=dict)


ROWS = {
    "lenet5": Row("plain nn.Sequential", 28, 128, 1, doubled=False),
    "alexnet": Row("torchvision alexnet", 160, 32),
    "vgg11_bn": Row("torchvision vgg11_bn", 96, 16),
    "googlenet": Row("torchvision googlenet", 128, 16),
    "resnet18": Row("torchvision resnet18", 160, 16),
    "resnet50": Row("torchvision resnet50", 160, 16),
    "densenet121": Row("torchvision densenet121", 128, 16),
    "mobilenet_v1": Row("timm mobilenetv1_100", 96, 16),
    "mobilenet_v2": Row("torchvision mobilenet_v2", 96, 16),
    "mobilenet_v3_large": Row("torchvision mobilenet_v3_large", 96, 16),
    "vit_s_16": Row("torchvision VisionTransformer", 112, 16, doubled=False, arguments={"image_size": 112}),
    "swin_t": Row("torchvision swin_t", 112, 16, doubled=False),
}


def ours(name: str) -> nn.Module:
    """Our module at its defaults."""
    from netwright import models

    torch.manual_seed(0)
    return models.build(name, **ROWS[name].arguments)


def theirs(name: str) -> nn.Module:
    """The reference's module, of the same sizes."""
    torch.manual_seed(0)
    if name == "lenet5":
        return nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
            nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10),
        )  # fmt: skip
    import netwright.metrics.torchvision_guard  # noqa: F401 - declares the operators that a broken build lacks

    if ROWS[name].reference.startswith("timm"):
        import timm

        return timm.create_model(ROWS[name].reference.split()[1])  # type: ignore[no-any-return]
    from torchvision import models

    if name == "vit_s_16":
        return models.VisionTransformer(112, 16, num_layers=12, num_heads=6, hidden_dim=384, mlp_dim=1536)
    settings = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    return models.get_model(name, **settings)  # type: ignore[no-any-return]


def batch(name: str) -> tuple[Tensor, Tensor]:
    """Noise for images, random classes."""
    row = ROWS[name]
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(row.batch, row.channels, row.side, row.side, generator=generator)
    return images, torch.randint(10, (row.batch,), generator=generator)


def equal(name: str) -> dict[str, Any]:
    """Both under the usual loop, in turns; the order turns too, so that no one always comes second."""
    x, y = batch(name)
    reference = theirs(name)
    nets = {"ours": _twin(name, reference), "theirs": reference}
    sizes = {who: sum(p.numel() for p in net.parameters()) for who, net in nets.items()}
    assert sizes["ours"] == sizes["theirs"], f"{name} is not the same network: {sizes} parameters"
    steps = {who: _usual_step(net, x, y) for who, net in nets.items()}
    train = _in_turns(steps, SECONDS["train"])
    for net in nets.values():
        net.eval()
    with torch.inference_mode():
        infer = _in_turns({who: lambda net=net: net(x) for who, net in nets.items()}, SECONDS["infer"])
    return {"train": train, "infer": infer}


def _twin(name: str, reference: nn.Module) -> nn.Module:
    """Our module with the reference's weights: how long max pooling takes follows from the numbers in the maps."""
    if name == "lenet5":
        net = ours(name)
        tensors = zip(net.state_dict(), reference.state_dict().values(), strict=True)
        net.load_state_dict(dict(tensors))
        return net
    from netwright import load_pretrained

    with tempfile.TemporaryDirectory() as folder:
        torch.save(reference.state_dict(), file := Path(folder) / "reference.pth")
        return load_pretrained(name, file).train()


def _usual_step(net: nn.Module, x: Tensor, y: Tensor) -> Callable[[], object]:
    optimizer, criterion = torch.optim.Adam(net.parameters(), lr=1e-4), nn.CrossEntropyLoss()

    def step() -> float:
        optimizer.zero_grad()
        loss = criterion(net(x), y)
        loss.backward()
        optimizer.step()
        return float(loss.item())

    return step


def usual(name: str) -> None:
    """Theirs alone, as most people train it."""
    (x, y), net = batch(name), theirs(name)
    step = _usual_step(net, x, y)
    print(json.dumps({"precision": "fp32"}), flush=True)
    fresh.answer(step)
    net.eval()
    with torch.inference_mode():
        fresh.answer(lambda: net(x))


def engine(name: str) -> None:
    """Ours by the parts of a run: the choices of `core.devices`, our optimizer, `training.engine`."""
    from netwright import optim
    from netwright.core.devices import choose_precision, keep_freed_memory, wants_channels_last
    from netwright.tasks.base import Phase
    from netwright.training.engine import Engine, Updater
    from netwright.training.folding import folded
    from netwright.training.placing import place

    keep_freed_memory()
    (x, y), net, device = batch(name), ours(name), torch.device("cpu")
    channels_last = wants_channels_last(net, x.shape[1:])
    net = place(net, device, channels_last)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    precision, phase = choose_precision("auto", device, net), Phase()
    plan = optim.split_spec({"name": "adam", "lr": 1e-4})
    optimizer = plan.build(net)
    run = Engine({phase.name: Updater(optimizer, plan.build_schedule(optimizer, 10_000))}, device, precision)

    def step() -> None:
        with run.autocast():
            loss = F.cross_entropy(net(x), y)
        run.backward(loss, phase)
        run.update_if_due(phase)

    print(json.dumps({"precision": precision.name}), flush=True)
    fresh.answer(step)
    net.eval()
    with torch.inference_mode(), run.autocast(), folded(net):
        fresh.answer(lambda: net(x))


def _in_turns(steps: dict[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """The median seconds of each one's step, and the ratio of their lower quartiles: what disturbs one lengthens it."""
    times: dict[str, list[float]] = {who: [] for who in steps}
    order = list(steps)
    for _ in range(WARM):
        for who in order:
            steps[who]()
    began = time.perf_counter()
    turn = 0
    while turn < LEAST or time.perf_counter() - began < seconds * len(steps):
        for who in order if turn % 2 else reversed(order):
            times[who].append(fresh.timed(steps[who]))
        turn += 1
    low = {who: statistics.quantiles(found, n=4)[0] for who, found in times.items()}
    return {who: statistics.median(found) for who, found in times.items()} | {"ratio": low["ours"] / low["theirs"]}


if __name__ == "__main__":
    way, name = sys.argv[1:]
    if way == "equal":
        print(json.dumps(equal(name)))
    else:
        {"usual": usual, "engine": engine}[way](name)
