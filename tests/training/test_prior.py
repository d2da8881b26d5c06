"""The prior is the best constant prediction, and a fit that is no better warns of it, once."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor
from lightrnn.exceptions import ConvergenceWarning
from lightrnn.losses import LOSSES, make_loss
from lightrnn.training.learning_check import has_learned
from lightrnn.training.prior import Prior, prior_of

RNG = np.random.default_rng(0)
NOTHING = "Nothing was learned in"
BRIEF = {"hidden_layer_sizes": (4,), "learning_rate": "cosine", "random_state": 0}


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(LOSSES), seed=st.integers(0, 99), k=st.integers(1, 3))
def test_no_constant_is_better_than_the_prior(name, seed, k):
    rng = np.random.default_rng(seed)
    weights = rng.exponential(size=200) * (rng.random(200) < 0.8)
    quantile = tuple(np.sort(rng.uniform(0.1, 0.9, k)).tolist()) if k > 1 else 0.7
    loss = make_loss(name, quantile=quantile, delta=3.0)
    targets = rng.normal(size=(200, k)) ** 3
    if name == "softmax":
        targets = rng.integers(0, k + 1, 200)
    elif name == "sigmoid":
        targets = (targets > 0).astype(np.float32)
    elif name == "quantile":
        targets = np.repeat(targets[:, :1], k, axis=1)
    prior = prior_of(loss, targets, weights)
    columns = k + 1 if name == "softmax" else k
    for _ in range(10):
        raw = np.tile(rng.normal(size=columns), (200, 1))
        # The median is not quite the best of Huber's loss, nor a quantile of few numbers.
        assert prior.loss <= loss(raw, targets, weights)[0] / weights.sum() * 1.02


def of(loss):
    """Return a prior of this loss."""
    return Prior(loss, 0.01 * loss, "")


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 999),
    epochs=st.integers(10, 60),
    prior=st.sampled_from([0.02, 0.69, 30.0]),
    scatter=st.sampled_from([1e-5, 1e-3, 1e-2]),
)
def test_noise_about_the_prior_is_nothing_and_a_slope_is_something(seed, epochs, prior, scatter):
    noise = np.random.default_rng(seed).normal(size=epochs)
    noise[1::2] = noise[:-1:2][: epochs // 2]
    flat = prior * (1 + scatter * np.sort(noise))  # it rises
    assert not has_learned(list(flat), of(prior * (1 - 4 * scatter)), epochs)
    # Merely slow: another such number of epochs brings it well below.
    slow = prior * (1.01 - 0.02 / epochs * np.arange(epochs))
    assert has_learned(list(slow), of(prior), epochs)
    assert has_learned([*flat[:-1], prior * 0.8], of(prior), epochs)


def nothing_warned(model, X, y):
    """Return the warnings of a fit that say that nothing was learned."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    return [str(w.message) for w in caught if NOTHING in str(w.message)]


CLASSES = RNG.integers(0, 3, 40)
CASES = [
    (RNNClassifier, {}, CLASSES, "frequencies of the classes"),
    (RNNClassifier, {"class_weight": {0: 5, 1: 1, 2: 1}}, CLASSES, "frequencies of the classes"),
    (RNNClassifier, {}, RNG.integers(0, 2, (40, 3)), "frequencies of the labels"),
    (RNNClassifier, {"target": "step"}, RNG.integers(0, 2, (40, 5)), "frequencies of the classes"),
    (RNNClassifier, {"alpha": 1.0}, CLASSES, "a lower alpha (it is 1)"),
    (RNNRegressor, {}, RNG.normal(size=40), "the mean of y"),
    (RNNRegressor, {"loss": "huber"}, RNG.exponential(size=40), "the median of y"),
    (RNNRegressor, {"loss": "quantile", "quantile": (0.2, 0.8)}, RNG.normal(size=40), "quantile"),
]


@pytest.mark.parametrize(("kind", "arguments", "y", "text"), CASES, ids=str)
def test_a_fit_to_inputs_that_say_nothing_warns_once(kind, arguments, y, text):
    arguments = BRIEF | {"cell": "gru", "max_iter": 60, "learning_rate_init": 0.02} | arguments
    (message,) = nothing_warned(kind(**arguments), np.ones((40, 5, 2)), y)
    assert text in message and "y[i] belongs to X[i]" in message


def test_a_rate_of_nearly_nothing_learns_nothing():
    X = RNG.normal(size=(40, 5, 1))
    y = X[:, -1, 0] > 0
    model = RNNClassifier(**BRIEF, learning_rate_init=1e-8, max_iter=25)
    with pytest.warns(ConvergenceWarning, match=r"learning_rate_init \(it is 1e-08\)"):
        model.fit(X, y)
    text = "".join(RNG.choice(list("abc"), 300))
    texts = RNNLanguageModel("rnn", (4,), learning_rate_init=1e-8, max_iter=100, random_state=0)
    (message,) = nothing_warned(texts, text, None)
    assert "frequencies of the tokens" in message and "y[i]" not in message


def test_what_moves_is_left_in_peace():
    X = RNG.normal(size=(40, 5, 1))
    y = X[:, -1, 0] > 0
    slow = {"learning_rate_init": 1e-3, "max_iter": 60}
    for arguments in ({}, {"solver": "lbfgs"}, slow, {"dropout": 0.5}):
        assert not nothing_warned(RNNClassifier(**BRIEF | {"max_iter": 30} | arguments), X, y)
    # Few epochs are not judged, and a constant y has nothing to learn.
    assert not nothing_warned(RNNClassifier(**BRIEF, max_iter=5), X * 0, y)
    assert not nothing_warned(RNNRegressor(**BRIEF, max_iter=30), X, np.ones(40))
