"""The catalog: names, cards, validation, and that listing costs no torch."""

import subprocess
import sys

import pytest

from netwright.core.errors import ConfigError
from netwright.models import build, card, list_models


def test_names_are_sorted_and_filtered_by_family() -> None:
    assert list_models() == sorted(list_models())
    assert {"dqn", "gan", "gpt", "lenet5", "mlp"} <= set(list_models())
    assert {"bert", "gpt", "t5_small", "transformer"} <= set(list_models("language"))
    assert not {"dqn", "lenet5"} & set(list_models("language"))
    assert {"resnet", "resnet18", "resnet152"} <= set(list_models("resnet")) and "vgg16" not in list_models("resnet")
    assert list_models("alexnet") == ["alexnet", "alexnet_classroom"]
    with pytest.raises(ConfigError, match="known: generative"):
        list_models("wizardry")


def test_an_unknown_name_gives_the_nearest() -> None:
    for look_up in (build, card):
        with pytest.raises(ConfigError, match="did you mean lenet5"):
            look_up("lenet6")
    with pytest.raises(ConfigError, match="did you mean mobilenet_v1 / mobilenet_v2"):
        build("mobilenet_v4")


def test_every_mistake_of_the_arguments_comes_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        build("mlp", hiden=[3], dropout=1.0, activation="rellu", in_features=0)
    text = str(error.value)
    for part in ("model.hiden", "did you mean hidden", "model.dropout=1.0", "did you mean relu", "model.in_features=0"):
        assert part in text


def test_softmax_is_no_hidden_activation() -> None:
    with pytest.raises(ConfigError, match="activation='softmax'"):
        build("mlp", activation="softmax")


def test_listing_imports_no_torch() -> None:
    code = "import sys, netwright.models as m; m.list_models(); m.card('gpt'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_cards_are_json_able() -> None:
    assert card("lenet5").to_dict()["parameters"] == 61_706


@pytest.mark.parametrize("name", ["resnet", "densenet", "swin", "vgg"])
def test_a_network_without_stages_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"model\.depths"):
        build(name, depths=[])
