"""Floor 2: sources become examples, examples become batches.

`load_data` is the way in; `describe` shows what was inferred and audits for leakage.
"""

from netwright.data.bundle import DataBundle
from netwright.data.dataset import BadRow, Dataset, FileDataset, TensorDataset
from netwright.data.describe import Description, describe
from netwright.data.load import load_data, load_like
from netwright.data.preprocess import Preprocessor
from netwright.data.schema import Column, Schema, Target
from netwright.data.seal import SealedDataset
from netwright.data.sources.builtin import fetch, list_data

__all__ = [
    "BadRow",
    "Column",
    "DataBundle",
    "Dataset",
    "Description",
    "FileDataset",
    "Preprocessor",
    "Schema",
    "SealedDataset",
    "Target",
    "TensorDataset",
    "describe",
    "fetch",
    "list_data",
    "load_data",
    "load_like",
]
