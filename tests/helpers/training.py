"""Options, data and quick arguments that the tests of training share."""

import numpy as np

from lightrnn.training.history import TrainingOptions

QUICK = {"cell": "rnn", "hidden_layer_sizes": (4,), "random_state": 0}


def options(**changes):
    defaults = {
        "solver": "adam",
        "learning_rate": "constant",
        "learning_rate_init": 0.1,
        "alpha": 0.0,
        "batch_size": 4,
        "max_iter": 100,
        "truncate": None,
        "clip_norm": 1.0,
        "shuffle": True,
        "tol": 0.0,
        "n_iter_no_change": 3,
        "early_stopping": False,
        "callbacks": (),
        "threads": 1,
        "verbose": 0,
    }
    return TrainingOptions(**defaults | changes)


def sums(n=40, F=2, seed=0):
    """Sequences of numbers and the sum of their first feature."""
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(length, F)) for length in rng.integers(2, 7, n)]
    return X, np.array([x[:, 0].sum() for x in X])
