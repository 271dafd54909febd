"""Fixes are applied to YAML text with comments, order and quoting kept."""

import pytest

from netwright.core.errors import ConfigError
from netwright.doctor.check import apply_fixes
from netwright.doctor.findings import Finding

TEXT = """\
# my run
data: digits            # bundled
model:
  layers:
    - {linear: 64}      # hidden
    - relu
    - relu              # twice
    - linear
    - softmax
loss: mse
optimizer: {name: "adam", lr: 0.0}
"""


def finding(**fix: object) -> Finding:
    patch = {key.replace("__", "."): value for key, value in fix.items()}
    return Finding("NW103", "double-softmax", "error", "x", "e", "w", "r", fix=patch)


def test_values_and_deletions_keep_the_comments() -> None:
    fixes = [Finding("NW103", "double-softmax", "error", "x", "e", "w", "r", fix={"model.layers[4]": None})]
    fixes += [Finding("NW111", "redundant-activation", "warning", "x", "e", "w", "r", fix={"model.layers[2]": None})]
    fixes += [finding(loss__name="cross-entropy"), finding(optimizer__lr=1e-3), finding(optimizer__lr=9.0)]
    text, diff = apply_fixes(TEXT, fixes, "my.yaml")
    assert "- {linear: 64}      # hidden" in text and "# my run" in text and '"adam"' in text and "# bundled" in text
    assert "softmax" not in text and text.count("relu") == 1 and "- linear\n" in text
    assert "loss: cross-entropy" in text and "lr: 0.001" in text
    assert (
        diff.startswith("--- a/my.yaml\n+++ b/my.yaml\n")
        and "-    - softmax\n" in diff
        and "+loss: cross-entropy\n" in diff
    )
    assert "data: digits" not in [line[1:] for line in diff.splitlines() if line[0] in "+-"]


def test_nothing_to_fix_changes_nothing() -> None:
    plain = Finding("NW103", "double-softmax", "error", "x", "e", "w", "r")
    assert apply_fixes(TEXT, [plain]) == (TEXT, "")
    assert apply_fixes(TEXT, [finding(model__nothing__here=None), finding(loss__name="mse")]) == (TEXT, "")


def test_missing_sections_are_made() -> None:
    text, _ = apply_fixes("data: digits\nloss: bce\n", [finding(train__batch_size=16), finding(loss__weight=2)])
    assert "train:\n  batch_size: 16" in text and "loss:\n  name: bce\n  weight: 2" in text


def test_a_list_is_refused() -> None:
    with pytest.raises(ConfigError, match="not a mapping"):
        apply_fixes("- a\n", [finding(a=1)])


def test_layers_in_a_row_keep_their_braces() -> None:
    text = "model: {layers: [flatten, {linear: 64}, relu, {linear: 10}, softmax]}\n"
    fixed, _ = apply_fixes(text, [finding(**{"model.layers[4]": None})])
    assert fixed == "model: {layers: [flatten, {linear: 64}, relu, {linear: 10}]}\n"
