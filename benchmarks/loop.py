"""How fast is the loop? Ours against hand-written PyTorch, the usual loop, Lightning and Keras - as ratios in one run.

    python benchmarks/loop.py [--rounds 5] [--write]

Every measurement is a process of its own, so that no contender inherits another's memory settings; the contenders take
turns, round by round, and what is compared are medians. The work is the same for all: Fashion-MNIST as float tensors in
memory, batches of 128, Adam at 1e-3, cross-entropy, no validation. Seconds are those of training, imports left out;
ours include its log, its checkpoints and the look at every loss. `--write` puts the table into docs/bench.md.
"""

import argparse
import contextlib
import ctypes
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BATCH = 128
WORK = {"mlp": (20_000, 5), "cnn": (10_000, 2)}  # examples, epochs
CONTENDERS = ("netwright", "hand-written", "usual loop", "lightning", "keras")
NEEDS = {"lightning": "lightning", "keras": "keras"}


def data(kind: str) -> tuple[Any, Any]:
    """Normalised images (N, 1, 28, 28) float32 and labels (N,) int64."""
    from netwright.data import load_data

    raw, labels = load_data("fashion-mnist").train.tensors()  # type: ignore[misc]
    examples = WORK[kind][0]
    while len(raw) < examples:  # the bundled subset, repeated, where the full set is not installed
        raw, labels = raw.repeat(2, 1, 1, 1), labels.repeat(2)
    return (raw[:examples].float() / 255 - 0.286) / 0.353, labels[:examples].long()


def network(kind: str) -> Any:
    """The same small network for every PyTorch contender."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    if kind == "mlp":
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 49, 10),
    )  # fmt: skip


def netwright(kind: str) -> float:
    """`nw.fit`, as a user calls it."""
    import netwright as nw

    adam = {"name": "adam", "lr": 1e-3}
    with tempfile.TemporaryDirectory() as folder:
        run = nw.fit(
            network(kind), data(kind), validation=0.0, optimizer=adam, epochs=WORK[kind][1], batch_size=BATCH,
            doctor="off", out=f"{folder}/run", quiet=True,
        )  # fmt: skip
        return run.seconds


def hand_written(kind: str) -> float:
    """The best loop we can write by hand: resident tensors, fused Adam, no `.item()`; bf16, channels-last, kept memory."""
    import torch
    from torch import nn

    if platform.system() == "Linux":
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-3, 1 << 30)
        libc.mallopt(-1, -1)
    x, y = data(kind)
    net = network(kind)
    half = kind == "cnn" and torch.cpu.get_capabilities().get("avx512_bf16", False)
    if kind == "cnn":
        net = net.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    criterion = nn.CrossEntropyLoss()
    context = torch.autocast("cpu", torch.bfloat16) if half else contextlib.nullcontext()
    began = time.perf_counter()
    for _ in range(WORK[kind][1]):
        for index in torch.randperm(len(x)).split(BATCH):
            with context:
                loss = criterion(net(x.index_select(0, index)), y.index_select(0, index))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    return time.perf_counter() - began


def usual_loop(kind: str) -> float:
    """What a tutorial teaches: DataLoader, `Adam()`, `.item()` on each step."""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    loader = DataLoader(TensorDataset(*data(kind)), batch_size=BATCH, shuffle=True)
    net, criterion, total = network(kind), nn.CrossEntropyLoss(), 0.0
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    began = time.perf_counter()
    for _ in range(WORK[kind][1]):
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(net(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item()
    return time.perf_counter() - began


def lightning(kind: str) -> float:
    """Lightning's defaults, its progress bar, logger and checkpoints off."""
    import logging
    import warnings

    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    import torch
    from lightning import pytorch as pl
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.criterion = network(kind), nn.CrossEntropyLoss()

        def training_step(self, batch: Any, index: int) -> Any:
            return self.criterion(self.net(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), lr=1e-3)

    loader = DataLoader(TensorDataset(*data(kind)), batch_size=BATCH, shuffle=True)
    trainer = pl.Trainer(
        max_epochs=WORK[kind][1], accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    began = time.perf_counter()
    trainer.fit(Module(), loader)
    return time.perf_counter() - began


def keras(kind: str) -> float:
    """Keras on its torch backend, `fit` on arrays."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras as k

    x, y = data(kind)
    images, labels = x.permute(0, 2, 3, 1).contiguous().numpy(), y.numpy()
    layers: list[Any] = [k.Input((28, 28, 1))]
    if kind == "mlp":
        layers += [k.layers.Flatten(), k.layers.Dense(128, activation="relu"), k.layers.Dense(10)]
    else:
        for width in (32, 64):
            layers += [k.layers.Conv2D(width, 3, padding="same", activation="relu"), k.layers.MaxPooling2D()]
        layers += [k.layers.Flatten(), k.layers.Dense(10)]
    net = k.Sequential(layers)
    net.compile("adam", k.losses.SparseCategoricalCrossentropy(from_logits=True))
    began = time.perf_counter()
    net.fit(images, labels, batch_size=BATCH, epochs=WORK[kind][1], verbose=0)
    return time.perf_counter() - began


RUNNERS: dict[str, Callable[[str], float]] = {
    "netwright": netwright, "hand-written": hand_written, "usual loop": usual_loop, "lightning": lightning, "keras": keras,
}  # fmt: skip


def measure(contender: str, kind: str) -> float:
    """Seconds of one contender, in a process of its own."""
    command = [sys.executable, __file__, "--one", contender, kind]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{contender} failed on {kind}:\n{done.stderr[-2000:]}")
    return float(json.loads(done.stdout.strip().splitlines()[-1])["seconds"])


def table(kind: str, rounds: int, contenders: list[str]) -> list[str]:
    """Rows of the table for one network."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name in contenders:
            seconds[name].append(measure(name, kind))
            print(f"  round {number + 1} {kind} {name}: {seconds[name][-1]:.2f} s", file=sys.stderr)
    ours = statistics.median(seconds["netwright"])
    steps = WORK[kind][1] * -(-WORK[kind][0] // BATCH)
    rows = []
    for name in contenders:
        median, least = statistics.median(seconds[name]), min(seconds[name])
        ratio = median / ours
        rows.append(f"| {kind} | {name} | {1e3 * median / steps:.3f} | {1e3 * least / steps:.3f} | {ratio:.2f}x |")
    return rows


def main() -> None:
    """Measure, print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=list(WORK))
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--one", nargs=2, metavar=("CONTENDER", "NET"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps({"seconds": RUNNERS[options.one[0]](options.one[1])}))
        return
    here = [name for name in CONTENDERS if importlib.util.find_spec(NEEDS.get(name, "torch"))]
    rows = ["| network | loop | ms a step (median) | least | time against netwright's |", "|---|---|---|---|---|"]
    for kind in [options.only] if options.only else WORK:
        rows += table(kind, options.rounds, here)
    import torch

    from netwright.core.devices import describe_machine

    machine = describe_machine(torch.device("cpu"))
    said = f"{machine['cpu']}, {machine['threads']} threads, torch {machine['torch']}, python {machine['python']}"
    text = "\n".join(["# Speed of the training loop", "", f"`make bench` on {said}; {options.rounds} rounds.", "", *rows, ""])
    print(text)
    if options.write:
        page = Path(__file__).parents[1] / "docs" / "bench.md"
        page.parent.mkdir(exist_ok=True)
        page.write_text(f"{text}\n{NOTES}", "utf-8")


NOTES = """The MLP is 784-128-10; the CNN two 3x3 convolutions (32, 64) with max pooling and a linear layer. A ratio above 1 means
slower than Netwright. Netwright's time includes its log, its checkpoints and the guard that looks at every loss before the
optimizer moves; `hand-written` has none of these. `benchmarks/loop.py` says what each contender does.
"""

if __name__ == "__main__":
    main()
