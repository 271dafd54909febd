"""Make `metrics/judges/fashion_mnist.safetensors`: the classifier that judges generated pictures of clothes.

A LeNet-5 (ReLU, max pooling, batch norm) on the official training split of Fashion-MNIST, pictures in [-1, 1], mirrored
at random. A generator's validation pictures may have been seen by the judge, its test pictures have not. Deterministic
for one version of torch and one thread; prints the accuracy on the official test split and stores it with the weights.

Run: python tools/make_judge.py [folder of the idx files]   (Debian: apt install dataset-fashion-mnist)
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.data.sources.fashion import DEBIAN, read_split
from netwright.models.vision.lenet import LeNet5

JUDGE = Path(__file__).resolve().parents[1] / "src" / "netwright" / "metrics" / "judges" / "fashion_mnist.safetensors"
EPOCHS, BATCH, PEAK = 12, 256, 4e-3


def pictures(folder: Path, split: str) -> tuple[Tensor, Tensor]:
    """Pictures in [-1, 1] and labels. Shapes: (N, 1, 28, 28), (N,)."""
    images, labels = read_split(folder, split)
    return torch.from_numpy(images.copy())[:, None].float().div_(127.5).sub_(1), torch.from_numpy(labels.copy()).long()


def train(net: nn.Module, x: Tensor, y: Tensor) -> None:
    """Plain Adam with a one-cycle schedule."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=PEAK, weight_decay=1e-2)
    steps = EPOCHS * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, total_steps=steps)
    net.train()
    for epoch in range(EPOCHS):
        total = 0.0
        for rows in torch.randperm(len(x))[: len(x) // BATCH * BATCH].split(BATCH):
            mirrored = torch.rand(BATCH)[:, None, None, None] < 0.5
            batch = x[rows]
            loss = F.cross_entropy(net(torch.where(mirrored, batch.flip(3), batch)), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}: loss {total / (steps / EPOCHS):.4f}", flush=True)


@torch.no_grad()
def accuracy(net: nn.Module, x: Tensor, y: Tensor) -> float:
    """The share that is told right."""
    net.eval()
    return torch.cat([net(part).argmax(1) for part in x.split(1000)]).eq(y).float().mean().item()


def main(folder: Path) -> None:
    """Train, measure, write."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = LeNet5(variant="modern", norm="batch")
    train(net, *pictures(folder, "train"))
    reached = accuracy(net, *pictures(folder, "test"))
    print(f"test accuracy {reached:.4f}")
    JUDGE.parent.mkdir(exist_ok=True)
    made = {"network": "lenet5", "variant": "modern", "norm": "batch"}
    save_file(net.state_dict(), JUDGE, made | {"data": "fashion-mnist", "test_accuracy": f"{reached:.4f}"})


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DEBIAN)
