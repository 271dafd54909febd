"""The tables and tiny pictures that scikit-learn brings (BSD): digits, breast cancer, wine, iris, diabetes."""

from typing import Any

import numpy as np
import torch

from netwright.core.errors import need
from netwright.core.messages import say
from netwright.data.dataset import TensorDataset
from netwright.data.schema import Schema, Target
from netwright.data.sources.loaded import Loaded, Origin
from netwright.data.table import RawTable, load_table
from netwright.data.targets import Wanted

__all__ = ["load_breast_cancer", "load_diabetes", "load_digits", "load_iris", "load_wine"]

_ORIGIN = Origin("scikit-learn", "BSD-3-Clause")


def load_digits() -> Loaded:
    """1,797 handwritten digits, 8x8, grey values 0 to 16 stretched to 0 to 255 (Alpaydin & Kaynak, 1998)."""
    bunch = need("sklearn.datasets", "tables").load_digits()
    pictures = torch.from_numpy(np.rint(bunch.images * (255 / 16)).astype(np.uint8))[:, None]
    schema = Schema("image", (1, 8, 8), "uint8", Target("class", tuple(str(label) for label in bunch.target_names)))
    dataset = TensorDataset(pictures, torch.from_numpy(bunch.target.astype(np.int64)), schema, "digits")
    return Loaded(dataset, _ORIGIN, len(pictures))


def load_breast_cancer() -> Loaded:
    """569 tumours, 30 measurements of cell nuclei; malignant or benign (Street, Wolberg & Mangasarian, 1993)."""
    return _table("breast-cancer", need("sklearn.datasets", "tables").load_breast_cancer())


def load_wine() -> Loaded:
    """178 wines of three growers, 13 chemical measurements (Forina et al., 1991)."""
    return _table("wine", need("sklearn.datasets", "tables").load_wine())


def load_iris() -> Loaded:
    """150 irises of three species, 4 lengths in cm (Fisher, 1936)."""
    return _table("iris", need("sklearn.datasets", "tables").load_iris())


def load_diabetes() -> Loaded:
    """442 patients, 10 measurements in their own units, progression after a year as a number (Efron et al., 2004)."""
    return _table("diabetes", need("sklearn.datasets", "tables").load_diabetes(scaled=False), target="progression")


def _table(name: str, bunch: Any, target: str = "class") -> Loaded:
    columns = {str(feature): bunch.data[:, place] for place, feature in enumerate(bunch.feature_names)}
    labels = np.asarray(bunch.target_names)[bunch.target].astype(object) if target == "class" else bunch.target
    table = RawTable(name, columns | {target: labels}, np.arange(1, len(labels) + 1), unit=say(" row "))
    kind: Wanted = "class" if target == "class" else "number"
    return load_table(table, name, _ORIGIN, target=target, target_kind=kind)
