"""MNIST-1D: choose a small GRU on the training set, then score it once on the test set.

    python -m pip install mnist1d
    python -m bench.choose_mnist1d [--write]

The data are those of Greydanus and Kobak (2024), Scaling down deep learning with MNIST-1D, ICML,
generated with the arguments of their package: 4,000 training and 1,000 test series of 40 steps, ten
distorted shapes at random places. Their GRU reads in both directions, has 6 units in each, and its
output layer reads the states of all steps: 5,134 parameters. Here no candidate has more; the
pooling decides which states the output layer reads.
"""

from typing import Any

import numpy as np

from .choosing import Choice, Data, combinations, main

POOLINGS = ("last", "mean", "max", "attention")
GRID: dict[str, tuple[Any, ...]] = {
    "patch": (1, 2),
    "learning_rate_init": (3e-3, 1e-2),
}
# 24 units in each of two directions: some 4,500 parameters.
FIXED: dict[str, Any] = {
    "cell": "gru",
    "hidden_layer_sizes": (24,),
    "bidirectional": True,
    "batch_size": 32,
    "max_iter": 40,
}
CANDIDATES = {
    pooling: [FIXED | {"pooling": pooling} | arguments for arguments in combinations(GRID)]
    for pooling in POOLINGS
}


def load(part: str) -> Data:
    """Return the series (40, 1) and digits of "train" or "test"."""
    from mnist1d.data import make_dataset

    # With the official arguments and seed, so that nothing is downloaded.
    data = make_dataset()
    end = {"train": "", "test": "_test"}[part]
    return list(data[f"x{end}"][:, :, np.newaxis].astype(np.float32)), data[f"y{end}"]


MNIST1D = Choice(
    name="mnist1d",
    title="MNIST-1D: accuracy of a GRU of at most 5,134 parameters, chosen on the training set",
    note="The test column is the mean accuracy of five seeds on the 1,000 test series; the next "
    "two columns are the lowest and the highest of the five. The bar applies to the pooling that "
    "cross-validation chose. Published: a GRU of 5,134 parameters 91 %, a convolutional net 94 %, "
    "an MLP 68 %.",
    group="pooling",
    candidates=CANDIDATES,
    load=load,
    folds=3,
    search_seeds=(0,),
    test_seeds=range(100, 105),
    bar=94.0,
)

if __name__ == "__main__":
    main(MNIST1D)
