"""From a finding to a patch of the config: every probe's change in the words of a config, or none."""

from typing import Any

import pytest

from netwright.doctor import Finding
from netwright.doctor.findings import Probe
from netwright.doctor.probe import CHANGES
from netwright.experiment.config import load_config
from netwright.experiment.doctor.patches import patch_for
from netwright.experiment.doctor.remedies import Remedy, patched, remedies

LAYERS = ["flatten", {"linear": 32}, "sigmoid", {"dropout": 0.9}, {"linear": 32}, "sigmoid", "linear", "softmax"]
NAMED: dict[str, Any] = {
    "data": "digits", "task": "image-classification",
    "model": {"name": "mlp", "hidden": [8], "activation": "tanh", "dropout": 0.9}, "loss": "mse",
    "optimizer": {
        "name": "sgd", "lr": 0.5, "momentum": 0.99, "clip": 1e-4, "l1": 0.1, "schedule": "cosine",
        "freeze": ["trunk"],
    },
    "train": {"epochs": 1, "batch_size": 512, "accumulate": 4},
}  # fmt: skip
STACKED: dict[str, Any] = {**NAMED, "model": {"layers": LAYERS}}


def finding(**changes: Any) -> Finding:
    told: dict[str, Any] = {"code": "NW205", "fault": "lr-too-high", "severity": "error", "where": "optimizer.lr"}
    return Finding(**{**told, "evidence": "", "why": "", "remedy": "", "proven": True, **changes})


@pytest.mark.parametrize(
    ("change", "patch"),
    [
        ("lr/10", {"optimizer.lr": 0.05}),
        ("lr*100", {"optimizer.lr": 50.0}),
        ("constant-rate", {"optimizer.schedule": None}),
        ("clipped", {"optimizer.clip": 1.0}),
        ("unclipped", {"optimizer.clip": None}),
        ("plain-loss", {"optimizer.clip": None, "optimizer.l1": None}),
        ("no-decay", {"optimizer.weight_decay": 0.0}),
        ("no-dropout", {"model.dropout": 0.0}),
        ("adam", {"optimizer": {"name": "adam", "lr": 1e-3}}),
        ("smaller-batches", {"train.batch_size": 64, "train.accumulate": None}),
        ("larger-batches", None),
        ("less-momentum", {"optimizer.momentum": 0.9}),
        ("loss", {"loss": "cross-entropy"}),
        ("relu", {"model.activation": "relu"}),
        ("normalised", {"model.norm": "batch"}),
        ("unfrozen", {"optimizer.freeze": None}),
        ("wider", {"model.hidden": [64]}),
        ("raw-scores", None),
        ("targets", None),
    ],
)
def test_a_change_is_written_into_a_named_network(change: str, patch: dict[str, Any] | None) -> None:
    assert patch_for(change, NAMED) == patch


@pytest.mark.parametrize(
    ("change", "layers"),
    [
        ("raw-scores", LAYERS[:-1]),
        ("no-dropout", [entry for entry in LAYERS if entry != {"dropout": 0.9}]),
        ("relu", ["relu" if entry == "sigmoid" else entry for entry in LAYERS]),
        ("inputs", ["flatten", "norm", *LAYERS[1:]]),
        ("normalised", [*LAYERS[:2], "norm", *LAYERS[2:5], "norm", *LAYERS[5:]]),
        ("wider", ["flatten", {"linear": 64}, *LAYERS[2:4], {"linear": 64}, *LAYERS[5:]]),
    ],
)
def test_a_change_is_written_into_a_list_of_layers(change: str, layers: list[Any]) -> None:
    assert patch_for(change, STACKED) == {"model.layers": layers}
    if change != "raw-scores":
        load_config({**STACKED, "model": {"layers": layers}, "optimizer": "adam", "loss": "cross-entropy"})


def test_every_patch_of_a_probe_gives_a_config_that_stands() -> None:
    values = {**NAMED, "loss": "cross-entropy"}
    from ruamel.yaml import YAML

    text = load_config({**values, "optimizer": {**NAMED["optimizer"], "freeze": []}}).to_yaml()
    for change in CHANGES:
        patch = patch_for(change, {**values, "optimizer": {**NAMED["optimizer"], "freeze": []}})
        if patch is not None:
            mended, diff = patched(text, patch)
            assert diff, change
            load_config(YAML(typ="safe", pure=True).load(mended))


def test_the_diff_shows_what_changes_and_nothing_else() -> None:
    text = "optimizer:\n  lr: 0.5  # too much?\n  clip: 1.0\ndata: digits\n"
    mended, diff = patched(text, {"optimizer.lr": 0.05})
    assert mended == text.replace("lr: 0.5 ", "lr: 0.05 ") or "lr: 0.05" in mended
    changed = [line for line in diff.splitlines() if line[0] in "+-" and line[:3] not in ("+++", "---")]
    assert len(changed) == 2


def test_a_probes_change_comes_first_and_the_best_other_probes_after_it() -> None:
    proved = finding(probe=Probe("lr/100", "", 10, [1.0], [0.5]), effect=0.5)
    made = remedies([proved], NAMED, {"lr/100": 0.2, "adam": 0.3, "no-decay": 0.9})
    assert [one.change for one in made[:4]] == ["lr/100", "adam", "usual", "no-decay"]
    assert made[0].patch == {"optimizer.lr": 0.005}


def test_a_static_fix_is_taken_as_it_is() -> None:
    made = remedies([finding(fault="double-softmax", fix={"model.layers[7]": None})], STACKED, {})
    assert made[0] == Remedy("double-softmax", "fix", {"model.layers[7]": None})
    assert not made[0].keeps_network


def test_notes_and_mild_suspicions_are_left_alone() -> None:
    weak = finding(severity="warning", proven=False, effect=0.1, probe=Probe("lr/10", "", 10, [1.0], [0.9]))
    assert remedies([weak, finding(severity="note")], NAMED, {"adam": 0.1}) == []


def test_what_no_setting_mends_is_not_tried() -> None:
    assert remedies([finding(fault="overfitting", severity="warning")], NAMED, {"adam": 0.1}) == []
