"""X whose steps and features look swapped is warned of, and nothing else is."""

import numpy as np
import pytest

from lightrnn import RNNRegressor

QUICK = {"hidden_layer_sizes": (3,), "max_iter": 1, "learning_rate": "cosine", "random_state": 0}


@pytest.mark.parametrize(("T", "F"), [(1, 20), (3, 60)])
def test_an_array_whose_axes_look_swapped_is_warned_of(T, F):
    X = np.ones((4, T, F))
    y = [1.0, 2, 3, 4]
    with pytest.warns(UserWarning, match=rf"{T} steps of {F} features.*X\.swapaxes\(1, 2\)"):
        RNNRegressor("rnn", **QUICK).fit(X, y)
    # Neither of these warns, and pytest makes errors of warnings.
    for plain in (list(X), X.swapaxes(1, 2), X[..., : F - 1]):
        RNNRegressor("ffnn" if T == 1 else "rnn", **QUICK).fit(plain, y)


@pytest.mark.parametrize("form", [list, np.array])
def test_single_steps_of_many_features_are_warned_of(form):
    X = [np.ones((1, 10))] * 4
    y = [1.0, 2, 3, 4]
    with pytest.warns(UserWarning, match=r"one step of 10 features, .* \('rnn'\) .*cell='ffnn'"):
        model = RNNRegressor("rnn", **QUICK).fit(form(X), y)
    # None of these warns, and pytest makes errors of warnings.
    RNNRegressor("ffnn", **QUICK).fit(form(X), y)
    RNNRegressor("rnn", **QUICK).fit([*X[1:], np.ones((2, 10))], y)
    RNNRegressor("rnn", **QUICK).fit(form([x[:, :9] for x in X]), y)
    model.partial_fit(form(X), y).predict(form(X))
