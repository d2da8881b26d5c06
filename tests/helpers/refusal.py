"""Assert that calls with bad input are refused, and how."""

import re

import numpy as np
import pytest

QUICK = {"hidden_layer_sizes": (2,), "max_iter": 1, "learning_rate": "cosine", "random_state": 0}


def sequences(n=6, F=2):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(3 + i % 4, F)) for i in range(n)]


X = sequences()
Y = [0, 1, 0, 1, 0, 1]
STEPS = [np.arange(len(x)) % 2 for x in X]


def state(estimator):
    """Return everything that an estimator holds, in a form that can be compared."""
    weights = (
        {name: array.tobytes() for name, array in estimator.weights_.items()}
        if hasattr(estimator, "_model")
        else None
    )
    return {name: id(value) for name, value in vars(estimator).items()}, weights


def refuses(estimator, method, *data, error=ValueError, match, **keywords):
    """Assert that a call raises, says what to do about it, and changes nothing; fitted or not."""
    for subject in (
        estimator,
        type(estimator)(**QUICK).fit(X, Y).set_params(**estimator.get_params()),
    ):
        before = state(subject)
        with pytest.raises(error, match=match) as caught:
            getattr(subject, method)(*data, **keywords)
        assert state(subject) == before
        # One sentence of what is wrong, then what to do about it.
        assert re.search(r"[.:] \w.*\S", str(caught.value)), str(caught.value)
