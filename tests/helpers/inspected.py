"""Sequences, and fitted estimators with known or redrawn weights, for the tests of inspections."""

import numpy as np
from helpers.fitted import QUICK
from helpers.networks import randomize

from lightrnn import RNNRegressor


def sequences(lengths, F=2):
    """Return sequences of standard normal numbers with these lengths."""
    rng = np.random.default_rng(0)
    return [rng.normal(size=(T, F)) for T in lengths]


def fitted(cell, sizes=(3,), *, X, y, estimator=RNNRegressor, **options):
    """Return a fitted float64 estimator whose weights are drawn anew, larger than at the start."""
    options = QUICK | {"dtype": "float64", "window": 3, "standardize": False} | options
    model = estimator(cell, sizes, **options).fit(X, y)
    randomize(model._model.network, np.random.default_rng(1), 0.6)
    return model


def random_rnn(radius, H=64, T=120, seed=0):
    """Return a plain net whose recurrent matrix has this spectral radius, and sequences for it.

    The sequences are so small that tanh is linear for them.
    """
    rng = np.random.default_rng(seed)
    X = 1e-9 * rng.normal(size=(5, T, 2))
    options = QUICK | {"patch": 1, "dtype": "float64", "random_state": seed, "standardize": False}
    model = RNNRegressor("rnn", (H,), **options).fit(X, np.arange(5.0))
    W = rng.normal(size=(H, H))
    W *= radius / abs(np.linalg.eigvals(W)).max()
    arrays = model.weights_ | {"layer0.W_hh": W}
    model._model.network.assign(
        {name: 0 * a if name.endswith("b") else a for name, a in arrays.items()}
    )
    return model, X
