"""Fashion-MNIST: 28x28 grey pictures of clothes in ten classes; 60,000 + 10,000, or a bundled 6,000 + 1,000 of them.

Xiao, Rasul & Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms", 2017 (MIT).
The full set is read from Debian's package `dataset-fashion-mnist`, or from the cache that `fetch` fills.
The files are in MNIST's idx format: two zero bytes, type, rank, then the sizes and the numbers, all big-endian.
"""

import hashlib
import os
import struct
import urllib.request
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from netwright.core.errors import DataError
from netwright.core.records import write_bytes
from netwright.data.dataset import TensorDataset
from netwright.data.schema import Schema, Target
from netwright.data.sources.loaded import Loaded, Origin

__all__ = ["CLASSES", "DEBIAN", "fetch", "full_folder", "load", "load_small", "read_idx", "read_split"]

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
BUNDLED = Path(__file__).parents[1] / "bundled" / "fashion_mnist_small.npz"
ADDRESS = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
# SHA-256 of the unpacked files: the packed ones differ between mirrors.
FILES = {
    "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
_PREFIX = {"train": "train", "test": "t10k"}


def load() -> Loaded:
    """The full set where it is installed or fetched, otherwise the bundled part of it."""
    folder = full_folder()
    if folder is None:
        return load_small()
    arrays = {}
    for split in _PREFIX:
        arrays[f"{split}_x"], arrays[f"{split}_y"] = read_split(folder, split)
    return _loaded("fashion-mnist", arrays, str(folder))


def load_small() -> Loaded:
    """The bundled, class-balanced 6,000 + 1,000: the first of each class in the official splits."""
    with np.load(BUNDLED, allow_pickle=False) as arrays:
        return _loaded("fashion-mnist-small", arrays, "netwright (bundled)")


def full_folder() -> Path | None:
    """The folder that holds all four files of the full set, or None."""
    folders = (DEBIAN, cache_folder())
    return next((folder for folder in folders if all((folder / name).is_file() for name in FILES)), None)


def cache_folder() -> Path:
    """Where fetched files are kept: `$NETWRIGHT_CACHE`, else the user's cache folder."""
    chosen = os.environ.get("NETWRIGHT_CACHE")
    base = Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "netwright"
    return base / "fashion-mnist"


def fetch(address: str = ADDRESS) -> Path:
    """Download the full set into the cache, checked and atomically.

    Raises:
        DataError: no network, or a file is not what it should be.
    """
    for name, wanted in FILES.items():
        if (cache_folder() / name).is_file():
            continue
        try:
            with urllib.request.urlopen(address + name, timeout=60) as answer:
                packed = answer.read()
        except OSError as error:
            template = "{address} cannot be fetched ({error}); without a network: apt install dataset-fashion-mnist"
            raise DataError(template, address=address + name, error=error) from error
        if hashlib.sha256(_unpack(cache_folder() / name, packed)).hexdigest() != wanted:
            raise DataError("{address} did not give the file it should; try again later", address=address + name)
        write_bytes(cache_folder() / name, packed)
    return cache_folder()


def read_split(folder: Path, split: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pictures and labels of `"train"` or `"test"`. Shapes: (N, 28, 28) and (N,) uint8."""
    prefix = _PREFIX[split]
    return read_idx(folder / f"{prefix}-images-idx3-ubyte.gz"), read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz")


def read_idx(path: Path) -> NDArray[np.uint8]:
    """An idx file of bytes, packed or not. Shapes: as its header says.

    Raises:
        DataError: damaged, or another type than bytes.
    """
    content = path.read_bytes()
    content = _unpack(path, content) if path.suffix == ".gz" else content
    if len(content) < 4 or content[:3] != b"\0\0\x08" or len(content) < 4 + 4 * content[3]:
        raise DataError("{path} is not an idx file of bytes; fetch it again", path=path)
    rank = content[3]
    shape = struct.unpack(f">{rank}I", content[4 : 4 + 4 * rank])
    values = np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * rank)
    if values.size != np.prod(shape):
        raise DataError(
            "{path} is cut short: {got} of {wanted} values; fetch it again",
            path=path,
            got=values.size,
            wanted=int(np.prod(shape)),
        )
    return values.reshape(shape)


def _unpack(path: Path, packed: bytes) -> bytes:
    try:
        return zlib.decompress(packed, wbits=31)
    except zlib.error as error:
        raise DataError("{path} is damaged ({error}); fetch it again", path=path, error=error) from error


def _loaded(name: str, arrays: Mapping[str, NDArray[np.uint8]], source: str) -> Loaded:
    counts = {split: len(arrays[f"{split}_y"]) for split in _PREFIX}
    pictures = torch.from_numpy(np.concatenate([arrays[f"{split}_x"] for split in _PREFIX]))[:, None]
    labels = torch.from_numpy(np.concatenate([arrays[f"{split}_y"] for split in _PREFIX]).astype(np.int64))
    schema = Schema("image", (1, 28, 28), "uint8", Target("class", CLASSES))
    official = {"train": torch.arange(counts["train"]), "test": torch.arange(counts["train"], len(labels))}
    return Loaded(TensorDataset(pictures, labels, schema, name), Origin(source, "MIT"), len(labels), official=official)
