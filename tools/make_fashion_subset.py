"""Make `data/bundled/fashion_mnist_small.npz`: the first n pictures of each class of Fashion-MNIST's official splits.

Run: python tools/make_fashion_subset.py [folder of the idx files]   (Debian: apt install dataset-fashion-mnist)
"""

import sys
from pathlib import Path

import numpy as np

from netwright.data.sources.fashion import DEBIAN, read_split

BUNDLED = Path(__file__).resolve().parents[1] / "src" / "netwright" / "data" / "bundled"
PER_CLASS = {"train": 600, "test": 100}

NOTICE = """\
fashion_mnist_small.npz: 6,000 training and 1,000 test pictures of Fashion-MNIST, the first 600 and 100 of each class of
the official splits, unchanged. Made by tools/make_fashion_subset.py from https://github.com/zalandoresearch/fashion-mnist
Xiao, Rasul & Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms", 2017.

The MIT License (MIT)

Copyright (c) 2017 Zalando SE, https://tech.zalando.com

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""


def first_of_each_class(labels: np.ndarray, count: int) -> np.ndarray:
    """Indices of the first `count` examples of each class, in the order of the file."""
    return np.sort(np.concatenate([np.flatnonzero(labels == label)[:count] for label in range(10)]))


def main(folder: Path) -> None:
    """Read the full set from `folder` and write the subset with its notice."""
    arrays = {}
    for split, count in PER_CLASS.items():
        pictures, labels = read_split(folder, split)
        chosen = first_of_each_class(labels, count)
        arrays[f"{split}_x"], arrays[f"{split}_y"] = pictures[chosen], labels[chosen]
    BUNDLED.mkdir(exist_ok=True)
    np.savez_compressed(BUNDLED / "fashion_mnist_small.npz", **arrays)
    (BUNDLED / "fashion_mnist_small.LICENSE.txt").write_text(NOTICE, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DEBIAN)
