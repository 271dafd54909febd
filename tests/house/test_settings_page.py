"""docs/config.md says what the signatures say: nobody reads of a setting that is gone, or misses one that is there."""

import sys

import pytest
from source import ROOT


@pytest.fixture
def tools(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT / "tools"), *sys.path])


def test_the_page_is_of_the_settings_as_they_are(tools):
    from settings_page import page

    assert (ROOT / "docs" / "config.md").read_text("utf-8") == page(), "run make settings"


def test_an_entry_tells_names_defaults_choices_and_meanings(tools):
    from settings.entry import entry

    from netwright.losses.focal import Focal

    told = "\n".join(entry("focal", Focal, name="focal"))
    assert "{name: focal, gamma: 2, alpha: null, ignore_index: -100, reduction: mean|sum|none}" in told
    assert "- `gamma`: how much easy examples are played down; 0 is cross-entropy." in told


def test_what_the_data_decide_is_not_asked_of_users(tools):
    from settings.entry import defaults

    from netwright.data.sources.series import load
    from netwright.models.vision.densenet import DenseNet

    assert not {"in_channels", "num_classes"} & set(defaults(DenseNet)) and "growth_rate" in defaults(DenseNet)
    assert "horizon" in defaults(load) and "like" not in defaults(load)
