"""Settings that are far from what trains networks are found before a step, with a patch; healthy ones are not."""

from pathlib import Path
from typing import Any

import pytest

from netwright.experiment.assemble import Assembly, assemble
from netwright.experiment.checking import check_config
from netwright.experiment.config import load_config
from netwright.experiment.doctor.remedies import remedies
from netwright.experiment.doctor.unusual import UNUSUAL, unusual_settings

DIGITS: dict[str, Any] = {
    "data": "digits", "model": {"name": "mlp", "hidden": [16]}, "optimizer": {"name": "sgd", "lr": 0.05},
    "train": {"epochs": 10, "batch_size": 32},
}  # fmt: skip
CONV: dict[str, Any] = {**DIGITS, "model": {"layers": [{"conv": 4, "kernel": 3}, "relu", "flatten", "linear"]}}
STEP: dict[str, Any] = {"name": "step", "milestones": [0.02], "gamma": 1e-4}


def assembled(config: dict[str, Any], folder: Path, *overrides: str) -> Assembly:
    return assemble(load_config(config, overrides), folder, quiet=True)


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        ("optimizer.dampening=1.0", "lr-too-low"),
        ("optimizer={name: adam, lr: 1e-3, eps: 10.0}", "lr-too-low"),
        ("optimizer={name: adam, lr: 1e-3, betas: [0.9999, 0.999]}", "oscillation"),
        ("optimizer={name: adagrad, lr: 0.01, initial_accumulator_value: 1e6}", "lr-too-low"),
        ("optimizer={name: adagrad, lr: 0.01, lr_decay: 100.0}", "lr-too-low"),
        ("optimizer.momentum=0.999", "oscillation"),
        ("optimizer.l1=0.1", "over-regularized"),
        ("optimizer.clip=1e-5", "over-regularized"),
        ("optimizer.clip_value=1e-7", "over-regularized"),
        ("optimizer.warmup=5000", "schedule-collapsed"),
        ("optimizer.schedule={name: step, milestones: [0.02], gamma: 1e-4}", "schedule-collapsed"),
        ("optimizer.schedule={name: plateau, patience: 0, threshold: 5.0}", "schedule-collapsed"),
        ("optimizer.average={name: ema, every: 100000}", "invalid-setting"),
        ("optimizer.freeze=[trunk]", "frozen-parameters"),
        ("optimizer.lr_scale={trunk: 1e-6}", "frozen-parameters"),
        ("optimizer.layer_decay=0.001", "frozen-parameters"),
        ("train.accumulate=200", "batch-too-large"),
        ("train.batch_size=1400", "batch-too-large"),
        ("train.early_stop={patience: 1, min_delta: 5.0}", "undertrained"),
        ("loss={name: cross-entropy, label_smoothing: 0.9}", "wrong-loss"),
        ("loss={name: cross-entropy, class_weights: [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]}", "wrong-loss"),
        ("loss={name: cross-entropy, ignore_index: 1}", "wrong-loss"),
        ("loss={name: focal, gamma: 60.0}", "wrong-loss"),
        ("augment=[{mixup: {alpha: 100.0}}]", "over-regularized"),
        ("augment=[{noise: {std: 1.0}}]", "over-regularized"),
    ],
)
def test_what_is_far_off_is_named_with_a_patch(override: str, fault: str, tmp_path: Path) -> None:
    made = assembled(DIGITS, tmp_path, override)
    (finding,) = unusual_settings(made)
    assert (finding.code, finding.fault, finding.severity) == (UNUSUAL, fault, "warning")
    assert finding.fix and finding.where.split(".")[0] == override.split("=", maxsplit=1)[0].split(".", maxsplit=1)[0]
    (first, *_) = remedies([finding], made.config.to_dict(), {})
    assert first.patch == finding.fix


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("optimizer={name: adamw, lr: 1e-3, weight_decay: 0.05, schedule: cosine, warmup: 0.05, clip: 1.0}",),
        ("optimizer={name: sgd, lr: 0.1, momentum: 0.9, nesterov: true, schedule: one-cycle}",),
        ("optimizer={name: rmsprop, lr: 1e-3, eps: 1.0}",),
        ("optimizer={name: adam, lr: 1e-3, betas: [0.5, 0.999], average: ema}",),
        ("optimizer={name: adam, lr: 1e-3, average: {name: swa, start: 0.75, every: 45}}",),
        ("optimizer={name: adam, lr: 1e-3, layer_decay: 0.75, lr_scale: {trunk: 0.1}}",),
        ("optimizer={name: sgd, lr: 0.1, schedule: {name: step, milestones: [0.5, 0.75]}}",),
        ("optimizer={name: sgd, lr: 0.1, schedule: warm-restarts}",),
        ("optimizer={name: adam, lr: 1e-3, clip: 1e-4}",),
        ("train.accumulate=4", "train.batch_size=16"),
        ("train.early_stop={patience: 3, min_delta: 0.001}",),
        ("loss={name: cross-entropy, label_smoothing: 0.2, class_weights: balanced}",),
        ("loss={name: focal, gamma: 5.0}",),
        ("augment=[{rotate: 15}, {mixup: {alpha: 0.4}}, {noise: {std: 0.1}}]",),
    ],
)
def test_what_is_usual_is_not_named(overrides: tuple[str, ...], tmp_path: Path) -> None:
    assert unusual_settings(assembled(DIGITS, tmp_path, *overrides)) == []


def test_a_part_with_weights_of_its_own_may_be_frozen(tmp_path: Path) -> None:
    from netwright.experiment.run import train

    small = {**DIGITS, "train": {"epochs": 1, "batch_size": 256, "threads": 1}}
    run = train(small, tmp_path / "run", quiet=True).folder
    tuned = {**small, "model": {"name": "mlp", "hidden": [16], "weights": str(run / "model")}}
    tuned["optimizer"] = {"name": "adam", "lr": 1e-3, "freeze": ["trunk"]}
    assert [f for f in unusual_settings(assembled(tuned, tmp_path / "tuned")) if f.fault == "frozen-parameters"] == []


def test_a_check_tells_them_too() -> None:
    found = check_config({**CONV, "optimizer": {"name": "sgd", "lr": 0.05, "schedule": STEP}})
    assert ("schedule-collapsed", "optimizer.schedule") in {(finding.fault, finding.where) for finding in found}


def test_several_make_one_attempt(tmp_path: Path) -> None:
    made = assembled(DIGITS, tmp_path, "optimizer.dampening=1.0", "optimizer.clip=1e-6")
    first = remedies(unusual_settings(made), made.config.to_dict(), {})[0]
    assert first.change == "settings" and first.patch == {"optimizer.dampening": None, "optimizer.clip": None}


def test_the_last_attempt_is_for_all_usual_settings(tmp_path: Path) -> None:
    made = assembled(DIGITS, tmp_path, "optimizer.dampening=1.0", "augment=[{mixup: {alpha: 100.0}}]")
    found = remedies(unusual_settings(made), made.config.to_dict(), {"lr*10": 0.1, "lr*100": 0.2, "lr*1000": 0.3})
    assert found[2].change == "usual"
    assert found[2].patch == {"optimizer": {"name": "adam", "lr": 2e-3}, "augment": None}
