"""Every name that a catalog offers can be imported, and what is promised to users is there."""

import importlib
import subprocess
import sys

import pytest
from source import PACKAGE, project

import netwright
from netwright.core import schemas
from netwright.core.catalogs import Catalog, load_target


def _tables() -> dict[str, dict[str, str]]:
    from netwright.data.catalog import AUGMENTATIONS
    from netwright.data.sources.builtin import BUILTIN
    from netwright.losses.catalog import LOSSES
    from netwright.models.catalog import MODELS
    from netwright.optim.catalog import AVERAGES, OPTIMIZERS, SCHEDULES
    from netwright.tasks.catalog import TASKS

    return {
        "augmentations": dict(AUGMENTATIONS),
        "averages": dict(AVERAGES),
        "data": {name: card.target for name, card in BUILTIN.items()},
        "losses": dict(LOSSES),
        "models": {name: card.target for name, card in MODELS.items()},
        "optimizers": dict(OPTIMIZERS),
        "schedules": dict(SCHEDULES),
        "tasks": dict(TASKS._table),
    }


@pytest.mark.parametrize(("table", "name"), [(table, name) for table, names in _tables().items() for name in names])
def test_every_entry_can_be_imported(table, name):
    assert callable(load_target(_tables()[table][name]))


@pytest.mark.parametrize("table", ["models", "losses", "optimizers", "schedules", "averages", "tasks", "augmentations"])
def test_every_signature_is_a_schema(table):
    for name, target in _tables()[table].items():
        factory = load_target(target)
        for parameter in schemas.parameters(factory).values():
            assert parameter.kind is not parameter.VAR_KEYWORD, f"{name} takes **{parameter.name}"
            assert parameter.annotation is not parameter.empty, f"{name}: {parameter.name} has no type"
        assert len(schemas.parameters(factory)) <= 13, f"{name} takes too many arguments"


def test_names_are_written_in_one_way():
    for table, names in _tables().items():
        for name in names:  # networks have the names of their projects: vgg11_bn, vit_b_16
            assert name == name.lower() and ("_" not in name or table == "models"), f"{table}: {name}"


def test_a_catalog_refuses_unknown_names():
    with pytest.raises(netwright.NetwrightError, match="did you mean adam"):
        Catalog("optimizer", _tables()["optimizers"], "netwright.optimizers").load("adan")


def test_public_names_are_there_and_sorted():
    assert set(netwright._WHERE) == set(netwright.__all__)
    for name in netwright.__all__:
        assert getattr(netwright, name) is getattr(importlib.import_module(netwright._WHERE[name]), name)
    promised = {"build", "train", "fit", "load", "check", "explain", "list_models"}
    assert promised <= set(dir(netwright))
    with pytest.raises(AttributeError):
        netwright.no_such_name  # noqa: B018


def test_importing_the_package_imports_no_torch():
    code = "import sys, netwright; sys.exit('torch' in sys.modules or 'pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_version_stands_in_two_places_that_agree():
    assert netwright.__version__ == project()["project"]["version"]


def test_the_package_says_that_it_is_typed():
    assert (PACKAGE / "py.typed").is_file()
