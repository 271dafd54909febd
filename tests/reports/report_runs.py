"""Run folders as the report meets them, made up but lifelike."""

import json
import math
import random
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

FASHION = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
CONFIG = """\
# resolved by netwright
task: {name: image-classification}
data: fashion-mnist
model: {name: lenet5, activation: relu}
optimizer:
  name: adamw
  lr: 2e-3          # from the range test
  weight_decay: 0.05
  schedule: cosine
train:
  epochs: 8
  batch_size: 128
  precision: auto
  early_stop: {patience: 5}
doctor: advise
expect: {accuracy: 0.86}
"""
LAYERS = [
    ("", "LeNet5", [10], 61706, 833_000, 0),
    ("stages", "Sequential", [16, 5, 5], 2572, 714_000, 1),
    ("stages.0", "Conv2d", [6, 28, 28], 156, 235_200, 2),
    ("stages.1", "ReLU", [6, 28, 28], 0, 0, 2),
    ("stages.2", "MaxPool2d", [6, 14, 14], 0, 0, 2),
    ("stages.3", "Conv2d", [16, 10, 10], 2416, 480_000, 2),
    ("stages.4", "ReLU", [16, 10, 10], 0, 0, 2),
    ("stages.5", "MaxPool2d", [16, 5, 5], 0, 0, 2),
    ("hidden.0", "Linear", [120], 48120, 96_000, 1),
    ("hidden.2", "Linear", [84], 10164, 20_160, 1),
    ("head", "Linear", [10], 850, 1_680, 1),
]


def finding(severity: str = "warning", **changes: Any) -> dict[str, Any]:
    return {
        "code": "NW121",
        "fault": "dense-parameter-explosion",
        "severity": severity,
        "where": "hidden.0",
        "evidence": "48,120 of 61,706 parameters (78 %) sit in one linear layer.",
        "why": "It sees every position apart, so it learns places rather than shapes.",
        "remedy": "Pool before the linear layer.",
        "effect": None,
        "proven": False,
        "fix": None,
        **changes,
    }


class RunFolder:
    """Builds a run folder in steps; each method writes one file and returns the builder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        folder.mkdir(parents=True, exist_ok=True)

    def json(self, name: str, value: Any) -> "RunFolder":
        (self.path / name).write_text(json.dumps(value), encoding="utf-8")
        return self

    def text(self, name: str, value: str) -> "RunFolder":
        (self.path / name).write_text(value, encoding="utf-8")
        return self

    def lines(self, name: str, rows: list[dict[str, Any]]) -> "RunFolder":
        return self.text(name, "".join(json.dumps(row) + "\n" for row in rows))

    def summary(self, **changes: Any) -> "RunFolder":
        base: dict[str, Any] = {
            "run": self.path.name, "status": "finished", "note": "", "model": "lenet5", "task": "image-classification",
            "data": "fashion-mnist",
            "metrics": {
                "train": {"loss": 0.2614, "accuracy": 0.9047, "f1": 0.9046},
                "validation": {"loss": 0.3391, "accuracy": 0.8817, "f1": 0.8811},
                "test": {"loss": 0.3502, "accuracy": 0.8764, "f1": 0.8759},
            },
            "monitor": ["accuracy", "max"], "best_step": 294, "best_epoch": 7, "steps": 336, "epochs": 8,
            "seconds": 31.42,
            "examples_per_second": 8423.7, "parameters": 61706,
            "expect": {"accuracy": {"wanted": 0.86, "got": 0.8764, "ok": True}},
        }  # fmt: skip
        return self.json("summary.json", {**base, **changes})

    def environment(self) -> "RunFolder":
        return self.json("environment.json", {
            "netwright": "0.1.0", "python": "3.11.7", "torch": "2.13.0+cpu", "platform": "Linux-6.1-x86_64",
            "cpu": "Xeon",
            "cores": 2, "threads": 2, "device": "cpu", "precision": "bf16", "memory_format": "channels-last",
            "precision_reason": "AMX multiplies bf16 on this processor", "started": "2026-01-21T05:12:44+0000",
            "command": "netwright train examples/lenet5-fashion.yaml --set train.epochs=8",
        })  # fmt: skip

    def data(self, classes: dict[str, int] | None = None, **changes: Any) -> "RunFolder":
        counts = classes if classes is not None else dict.fromkeys(FASHION, 540)
        base = {
            "name": "fashion-mnist", "origin": "Zalando Research", "licence": "MIT",
            "method": "official, then stratified",
            "sizes": {"train": 5400, "validation": 600, "test": 1000}, "seed": 0, "problems": [], "test_looks": 1,
            "sha256": {"train": "a3" * 32, "validation": "7c" * 32, "test": "e1" * 32}, "classes": counts,
        }  # fmt: skip
        self.json("split.json", {**base, **changes})
        target = {"kind": "class", "classes": list(counts), "names": []}
        return self.json(
            "schema.json", {"kind": "image", "input_shape": [1, 28, 28], "target": target, "vocab_size": None}
        )

    def network(self) -> "RunFolder":
        rows = [
            {"path": path, "type": kind, "input_shape": [1, 28, 28], "output_shape": shape, "parameters": parameters,
             "flops": flops, "activation_bytes": 4 * math.prod(shape),
             "receptive_field": 14 if len(shape) == 3 else None,
             "depth": depth, "calls": 1}
            for path, kind, shape, parameters, flops, depth in LAYERS
        ]  # fmt: skip
        return self.json("architecture.json", {
            "name": "LeNet5", "input_shape": [1, 28, 28], "output_shape": [10], "layers": rows, "parameters": 61706,
            "trainable_parameters": 61706, "flops": 833_000, "activation_bytes": 45_000, "receptive_field": 16,
            "idea": "Convolutions share one small filter over the whole picture.", "paper": "LeCun et al., 1998.",
            "when": "",
        })  # fmt: skip

    def log(
        self, steps: int = 336, epochs: int = 8, *, validate: bool = True, seed: int = 0, figure: str = "accuracy"
    ) -> "RunFolder":
        dice, rows, per_epoch = random.Random(seed), [], max(1, steps // max(1, epochs))
        for step in range(1, steps + 1):
            done = step / steps
            loss = 0.26 + 2.0 * math.exp(-9 * done) + dice.gauss(0, 0.05) * (1.2 - done)
            rows.append({
                "kind": "train", "step": step, "epoch": step / per_epoch, "loss": max(0.05, loss),
                "lr": 2e-3 * min(1, step / 20) * (1 + math.cos(math.pi * done)) / 2,
                "grad_norm": 1.4 * math.exp(dice.gauss(0, 0.4)),
                "update_ratio": 3e-3 * math.exp(dice.gauss(-2 * done, 0.3)),
                "examples_per_second": 8400 + dice.gauss(0, 300),
                "seconds": 31 * done,
            })  # fmt: skip
            if validate and step % per_epoch == 0:
                figures = {
                    "accuracy": 0.882 - 0.2 * math.exp(-5 * done) - 0.02 * max(0, done - 0.9),
                    "perplexity": 4.1 + 20 * math.exp(-5 * done), "rmse": 53 + 60 * math.exp(-5 * done),
                }  # fmt: skip
                rows.append({
                    "kind": "validation", "step": step, "epoch": step // per_epoch,
                    "best": step // per_epoch == epochs - 1,
                    "loss": 0.33 + 0.5 * math.exp(-5 * done) + 0.02 * max(0, done - 0.8),
                    figure: figures[figure], "seconds": 31 * done,
                })  # fmt: skip
        return self.lines("metrics.jsonl", rows)

    def pictures(self, count: int, side: int = 28, words: str = "") -> list[dict[str, str]]:
        (self.path / "exhibits").mkdir(exist_ok=True)
        items, dice = [], random.Random(count)
        for number in range(count):
            picture = Image.new("L", (side, side))
            pen, half = ImageDraw.Draw(picture), side // 2
            for _ in range(3):
                a, b = dice.randrange(half), dice.randrange(half)
                pen.ellipse(
                    (a, b, a + dice.randrange(4, half), b + dice.randrange(4, half)), fill=dice.randrange(60, 256)
                )
            name = f"exhibits/{side}-{count}-{number}.png"
            picture.save(self.path / name)
            items.append({"file": name, "caption": words and f"Shirt, taken for T-shirt/top ({dice.random():.2f})"})
        return items


def confusion(labels: list[str], each: int = 100, seed: int = 3) -> dict[str, Any]:
    dice, size = random.Random(seed), len(labels)
    matrix = [[0] * size for _ in labels]
    for true in range(size):
        right = 0.72 if true == 6 else dice.uniform(0.8, 0.98)
        for _ in range(each):
            near = dice.choice([max(0, true - 2), min(size - 1, true + 2), dice.randrange(size)])
            matrix[true][true if dice.random() < right else near] += 1
    return {"kind": "confusion", "title": "Confusion matrix (test)", "labels": labels, "matrix": matrix}


def lenet(folder: Path) -> RunFolder:
    """A whole, healthy run."""
    run = RunFolder(folder).summary().environment().data().network().log().text("config.yaml", CONFIG)
    run.lines("findings.jsonl", [
        finding(),
        finding("note", code="NW305", fault="undertrained", where="train.epochs", proven=True, effect=0.012,
                evidence="Training and validation loss still fell over the last two epochs (−1.1 % an epoch).",
                why="The run ended before the network had learned what it can.", remedy="Train longer.",
                fix={"train.epochs": 16}),
    ])  # fmt: skip
    mistakes = {"kind": "pictures", "title": "Worst mistakes", "items": run.pictures(16, words="x")}
    return run.json("exhibits.json", [mistakes, confusion(FASHION)])


def gan(folder: Path) -> RunFolder:
    run = RunFolder(folder).environment().data().text("config.yaml", "task: {name: gan}\ndoctor: advise\n")
    run.summary(
        model="gan", task="gan", monitor=["frechet", "min"], expect={}, best_step=900, best_epoch=9, steps=1000,
        epochs=10,
        metrics={"train": {}, "validation": {"loss": 1.1, "frechet": 41.2, "classifier_score": 5.2},
                 "test": {"loss": 1.2, "frechet": 43.7, "classifier_score": 5.11}},
    )  # fmt: skip
    dice, rows = random.Random(1), []
    for step in range(1, 1001):
        both = {"discriminator_loss": 1.1 + dice.gauss(0, 0.1), "generator_loss": 1 + step / 900 + dice.gauss(0, 0.2)}
        lr = {
            "lr_generator": 2e-4,
            "lr_discriminator": 1e-4,
            "grad_norm_generator": 0.5 + dice.random(),
            "grad_norm_discriminator": 1.0,
        }
        rows.append({"kind": "train", "step": step, "epoch": step / 100, "loss": both["generator_loss"], **both, **lr})
        if step % 100 == 0:
            rows.append({"kind": "validation", "step": step, "epoch": step / 100, "loss": 1.2,
            "frechet": 40 + 300 * 0.99**step,
                         "classifier_score": 5 - 4 * 0.995**step, "best": step == 900})  # fmt: skip
    made, real = run.pictures(1, 240)[0], run.pictures(2, 240)[1]
    grid = {"kind": "pictures", "title": "Made and real pictures",
            "items": [{**made, "caption": "made by the network"}, {**real, "caption": "real"}]}  # fmt: skip
    samples = {"kind": "pictures", "title": "Samples", "items": run.pictures(40)}
    return run.lines("metrics.jsonl", rows).json("exhibits.json", [grid, samples])


def writer(folder: Path) -> RunFolder:
    """A language model, still under way."""
    run = (
        RunFolder(folder)
        .environment()
        .log(2000, 4, figure="perplexity")
        .text("config.yaml", "task: {name: language-modeling}\ntrain: {epochs: 9}\n")
    )
    run.summary(status="running", model="gpt", task="language-modeling", data="wordnet", monitor=["loss", "min"],
    metrics={}, expect={},
                best_step=1500, best_epoch=3, epochs=4)  # fmt: skip
    run.data({}, test_looks=0, name="wordnet", sizes={"train": 8_400_000, "validation": 930_000})
    schema = {"kind": "text", "input_shape": [], "target": {"kind": "next-token"}, "vocab_size": 96}
    texts = [
        {"caption": f"temperature {t}", "text": "a small <b>boat</b> with\n  a deck and a mast, used by " * 4}
        for t in (0.5, 1.0)
    ]
    return run.json("schema.json", schema).json(
        "exhibits.json", [{"kind": "text", "title": "What the network writes", "items": texts}]
    )


def regression(folder: Path) -> RunFolder:
    run = (
        RunFolder(folder)
        .environment()
        .log(400, 10, figure="rmse")
        .text("config.yaml", "task: {name: regression}\n")
        .network()
    )
    metrics = {"rmse": 53.1, "mae": 42.9, "r2": 0.481, "loss": 0.51}
    run.summary(
        model="mlp", task="regression", data="diabetes", best_step=360, best_epoch=9, epochs=10, monitor=["rmse",
        "min"], metrics={"validation": metrics, "test": metrics},
        expect={"rmse": {"wanted": 52.0, "got": 53.1, "ok": False}},
    )  # fmt: skip
    columns = [
        {"name": name, "kind": "numeric", "missing": 3, "unique": 88, "note": ""}
        for name in ("age", "bmi", "blood pressure")
    ]
    run.data(
        {},
        name="diabetes",
        problems=[{"place": f"diabetes.csv:{n}", "reason": "bmi is empty"} for n in range(3)],
        test_looks=4,
    )
    run.json(
        "schema.json",
        {"kind": "table", "input_shape": [10], "target": {"kind": "number", "names": ["y"]}, "columns": columns},
    )
    dice = random.Random(2)
    true = [dice.uniform(25, 340) for _ in range(500)]
    made = [0.6 * value + 60 + dice.gauss(0, 35) for value in true]
    return run.json("exhibits.json", [
        {"kind": "scatter", "title": "Predicted against true", "x": true, "y": made, "x_label": "true",
         "y_label": "predicted"},
        {"kind": "histogram", "title": "Errors", "values": [a - b for a, b in zip(true, made, strict=True)] + [None],
         "label": "error"},
        {"kind": "table", "title": "Worst predictions", "columns": ["row", "true", "predicted"],
         "rows": [["a<i>", 1.5, 210.25], ["b", 3, 4]]},
        {"kind": "curve", "title": "Calibration", "x": [0, 0.5, 1], "y": [0, 0.4, 1], "x_label": "confidence",
         "y_label": "share right"},
    ])  # fmt: skip
