"""The loops that are compared, each as its users write it; every one is run in a process of its own.

A contender trains the same network on the same pictures in shuffled batches of 128 with Adam, some steps at a time,
when it is told to (`fresh.Contender`): all take turns, so that each meets the machine in the same moods. No validation,
no checkpoints, no progress bars, for anybody.

    python benchmarks/contenders.py CONTENDER WORKLOAD
"""

import ctypes
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BATCH = 128
COPIES = 8  # of the 6,000 bundled pictures, so that an epoch has as many steps as one of full Fashion-MNIST, nearly
WARM = {"mlp": 360, "cnn": 36}  # steps before the first timed ones
NAMES = ("ours", "best by hand", "usual", "lightning", "keras")
WORKLOADS = {"mlp": "MLP 784-128-10", "cnn": "CNN: 3x3 convolutions 32 and 64 with pools, linear"}


def network(workload: str) -> nn.Module:
    """The network of a workload, at the same seed for everybody."""
    torch.manual_seed(0)
    if workload == "mlp":
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 7 * 7, 10),
    )  # fmt: skip


def data() -> tuple[Tensor, Tensor]:
    """Real pictures, standardised. Shapes: (N, 1, 28, 28) float32, (N,) int64."""
    import numpy

    import netwright

    with numpy.load(Path(netwright.__file__).parent / "data" / "bundled" / "fashion_mnist_small.npz") as file:
        names = {name: file[name] for name in file.files}
    x = torch.from_numpy(names["train_x"]).reshape(-1, 1, 28, 28).float().div(255)
    y = torch.from_numpy(names["train_y"]).long()
    return ((x - x.mean()) / x.std()).repeat(COPIES, 1, 1, 1), y.repeat(COPIES)


class Clock:
    """Called between steps; waits to be told how many to take, and says what one of them took."""

    def __init__(self, workload: str, precision: str = "float32") -> None:
        self.left = WARM[workload]
        self.asked = 0
        self.began = 0.0
        self.precision = precision

    def tick(self) -> None:
        """Count a step; when all are done, say so and wait for more. The first after a wait is not timed."""
        if self.left == self.asked:
            self.began = time.perf_counter()
        if self.left:
            self.left -= 1
            return
        seconds = time.perf_counter() - self.began
        print(json.dumps([seconds / self.asked] if self.asked else {"precision": self.precision}), flush=True)
        self.left = self.asked = int(sys.stdin.readline())


def ours(workload: str) -> None:
    """`nw.fit` as it comes; the clock ticks where a batch enters the network."""
    import netwright as nw
    from netwright.core.devices import choose_precision

    net = network(workload)
    clock = Clock(workload, choose_precision("auto", torch.device("cpu"), net).name)
    net.register_forward_pre_hook(lambda *_: clock.tick())
    with tempfile.TemporaryDirectory() as folder:
        nw.fit(
            net, data(), validation=0.0, loss="cross-entropy", optimizer={"name": "adam", "lr": 1e-3},
            epochs=1_000_000, batch_size=BATCH, out=Path(folder) / "run", quiet=True, checkpoint_every=1_000_000_000,
        )  # fmt: skip


def best_by_hand(workload: str) -> None:
    """Resident tensors, batches by index, fused Adam, no `.item()`, kept memory; for the CNN bf16 and channels-last."""
    _keep_freed_memory()
    x, y = data()
    net = network(workload)
    bf16 = workload == "cnn" and bool(
        torch.cpu.get_capabilities().get("avx512_bf16") or torch.cpu.get_capabilities().get("amx_bf16")
    )
    clock = Clock(workload, "bf16" if bf16 else "float32")
    if workload == "cnn":
        net, x = net.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    while True:
        for index in torch.randperm(len(x)).split(BATCH):
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                loss = F.cross_entropy(net(x[index]), y[index])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            clock.tick()


def usual(workload: str) -> None:
    """The loop of the tutorials."""
    from torch.utils.data import DataLoader, TensorDataset

    loader = DataLoader(TensorDataset(*data()), batch_size=BATCH, shuffle=True)
    net, clock = network(workload), Clock(workload)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()
    running = 0.0
    while True:
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = criterion(net(inputs), targets)
            loss.backward()
            optimizer.step()
            running += loss.item()
            clock.tick()


def lightning(workload: str) -> None:
    """Lightning's Trainer at its defaults, its logger, checkpoints and bars turned off."""
    import logging

    from netwright.metrics import torchvision_guard  # noqa: F401 - before torchmetrics, which Lightning imports

    # isort: split
    import lightning as L
    from torch.utils.data import DataLoader, TensorDataset

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    clock = Clock(workload)

    class Module(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = network(workload)

        def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
            return F.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=1e-3)

    class Ticks(L.Callback):
        def on_train_batch_end(self, *_: object) -> None:
            clock.tick()

    trainer = L.Trainer(
        max_epochs=-1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[Ticks()],
    )  # fmt: skip
    trainer.fit(Module(), DataLoader(TensorDataset(*data()), batch_size=BATCH, shuffle=True))


def keras(workload: str) -> None:
    """Keras on the torch backend, `compile` and `fit` at their defaults."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras as K

    clock = Clock(workload)
    same = {"padding": "same", "activation": "relu"}
    layers = K.layers
    body = (
        [layers.Flatten(), layers.Dense(128, activation="relu")]
        if workload == "mlp"
        else [
            layers.Conv2D(32, 3, **same),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, **same),
            layers.MaxPooling2D(),
            layers.Flatten(),
        ]
    )
    net = K.Sequential([layers.Input((28, 28, 1)), *body, layers.Dense(10)])
    net.compile(K.optimizers.Adam(1e-3), K.losses.SparseCategoricalCrossentropy(from_logits=True))

    class Ticks(K.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            clock.tick()

    x, y = data()
    inputs, targets = x.permute(0, 2, 3, 1).numpy(), y.numpy()
    net.fit(inputs, targets, batch_size=BATCH, epochs=1_000_000, verbose=0, callbacks=[Ticks()])


def _keep_freed_memory() -> None:
    """Sets glibc's M_MMAP_THRESHOLD and M_TRIM_THRESHOLD: freed memory stays with the process."""
    if platform.system() == "Linux":
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-3, 1 << 30)
        libc.mallopt(-1, -1)


CONTENDERS: dict[str, Callable[[str], None]] = dict(
    zip(NAMES, (ours, best_by_hand, usual, lightning, keras), strict=True)
)

if __name__ == "__main__":
    CONTENDERS[sys.argv[1]](sys.argv[2])
