"""Fitted estimators of every kind, small and with random weights, for tests of conversions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from helpers import networks
from helpers.strategies import POOLINGS
from hypothesis import strategies as st

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor
from lightrnn.cells import HEAD_CELLS

WORDS = ("to", "be", "or", "not", "don't", "süß", ",", "nobler")
QUICK = {"max_iter": 1, "learning_rate": "cosine", "random_state": 0}


@dataclass
class Fitted:
    """An estimator and sequences for it; it was fitted on the first `known` of them."""

    est: Any
    X: list
    known: int

    @property
    def numbers(self) -> bool:
        return self.est._model.vocabulary is None


def randomize(est, rng):
    """Draw an estimator's weights anew, as large as training might make them."""
    networks.randomize(est._model.network, rng, 0.4)


def sequences(kind, lengths, F, rng):
    """Return sequences of numbers, of categories of either kind, or texts."""
    if kind == "number":
        return [rng.normal(size=(T, F)) for T in lengths]
    if kind == "integers":
        return [rng.integers(0, 7, T).tolist() for T in lengths]
    if kind == "char":
        return ["".join("abcü \0"[i] for i in rng.integers(0, 6, T)) for T in lengths]
    words = [rng.choice(WORDS, T).tolist() for T in lengths]
    return [" ".join(some) for some in words] if kind == "word" else words


def targets(task, step, lengths, k, rng):
    """Return random targets of every class."""

    def drawn(n):
        if task == "labels":
            return rng.integers(0, 2, (n, max(2, k)))
        return rng.normal(3, 5, (n, k)) if task == "numbers" and k > 1 else rng.normal(3, 5, n)

    if task != "classes":
        return [drawn(T) for T in lengths] if step else drawn(len(lengths))
    names = np.array(["no", "yes", "perhaps"])[: max(2, k)]
    if step:
        return [names[(np.arange(T) + i) % len(names)] for i, T in enumerate(lengths)]
    return names[np.arange(len(lengths)) % len(names)]


@st.composite
def fitted(draw, cells=("ffnn", "rnn", "gru", "lstm"), dtypes=("float32", "float64")):
    """Draw a classifier or a regressor."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    cell = draw(st.sampled_from(cells))
    step = draw(st.booleans())
    task = draw(st.sampled_from(["classes", "labels", "numbers"]))
    kind = draw(st.sampled_from(["number", "number", "char", "word", "category", "integers"]))
    lengths = [6, 7, *draw(st.lists(st.integers(1, 12), min_size=1, max_size=4))]
    arguments = QUICK | {
        "hidden_layer_sizes": draw(st.lists(st.integers(1, 20), min_size=1, max_size=3).map(tuple)),
        "target": "step" if step else "sequence",
        "bidirectional": cell != "ffnn" and draw(st.booleans()),
        "window": draw(st.integers(1, 6)),
        "pooling": "last" if step else draw(st.sampled_from(POOLINGS)),
        "head_layer_sizes": draw(st.lists(st.integers(1, 20), max_size=2).map(tuple)),
        "head_activation": draw(st.sampled_from(list(HEAD_CELLS))),
        "dropout": draw(st.sampled_from([0.0, 0.4])),
        "dtype": draw(st.sampled_from(dtypes)),
        "embedding_size": draw(st.integers(1, 9)),
        "standardize": draw(st.booleans()),
        "patch": 1 if step or kind != "number" else draw(st.sampled_from([1, 2, 5])),
        "tokens": {"number": "auto", "integers": "category"}.get(kind, kind),
    }
    X = sequences(kind, lengths, draw(st.integers(1, 5)), rng)
    if kind == "number":
        X = [3 * x + 10 for x in X]
        arguments["missing"] = draw(st.sampled_from(["error", "mask"]))
        if arguments["missing"] == "mask":
            X = [np.where(rng.random(x.shape) < 0.3, np.nan, x) for x in X]
    y = targets(task, step, lengths, draw(st.integers(1, 3)), rng)
    est = (RNNRegressor if task == "numbers" else RNNClassifier)(cell, **arguments)
    return _finished(est.fit(X[:-1], y[:-1]), X, rng)


@st.composite
def language_models(draw, cells=("ffnn", "rnn", "gru", "lstm"), dtypes=("float32", "float64")):
    """Draw a language model with any of the output layers."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    kind = draw(st.sampled_from(["char", "word", "category", "integers"]))
    output = draw(st.sampled_from(["softmax", "tied", "adaptive"]))
    sizes = draw(st.lists(st.integers(4, 20), min_size=1, max_size=3).map(tuple))
    arguments = {
        "hidden_layer_sizes": sizes,
        "embedding_size": sizes[-1] if output == "tied" else draw(st.integers(1, 9)),
        "window": draw(st.integers(1, 6)),
        "dtype": draw(st.sampled_from(dtypes)),
        "tokens": "category" if kind == "integers" else kind,
        "tie_weights": output == "tied",
        "output": "adaptive" if output == "adaptive" else "softmax",
        "max_iter": 1,
        "random_state": 0,
    }
    X = sequences(kind, [9, *draw(st.lists(st.integers(1, 12), min_size=2, max_size=4))], 1, rng)
    est = RNNLanguageModel(draw(st.sampled_from(cells)), **arguments).fit([*X[:-1], *X[:-1]])
    return _finished(est, X, rng)


def _finished(est, X, rng):
    randomize(est, rng)
    return Fitted(est, X, len(X) - 1)
