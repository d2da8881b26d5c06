"""The feed-forward cell and MLPClassifier on the same windows, layer, batch size and epochs."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lightrnn import RNNClassifier

from . import peers
from .report import Row, Run, Table, shown, times_faster, verdict
from .timing import alternate, median, ratio

WINDOW = 20
UNITS = 64
EPOCHS = 10
RATE = 3e-3
CASES = ((2000, 1, 32), (2000, 8, 32), (2000, 8, 200))  # sequences, features, batch
NAMES = ("lightrnn", "scikit-learn")
BAR = 1.5  # times as fast


def make_data(n: int, F: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return windows (n, WINDOW, F), and whether the first half of each has the larger sum."""
    X = np.random.default_rng(seed).standard_normal((n, WINDOW, F)).astype(np.float32)
    half = WINDOW // 2
    first = X[:, :half].sum(axis=2).sum(axis=1)
    second = X[:, half:].sum(axis=2).sum(axis=1)
    return X, (first > second).astype(np.int64)


def sides(X: np.ndarray, y: np.ndarray, batch: int, threads: int) -> dict[str, Callable[[], Any]]:
    """Return a whole training for each side, without weight decay or clipping."""
    # Neither side stops before its last epoch.
    common = {"batch_size": batch, "max_iter": EPOCHS, "n_iter_no_change": EPOCHS, "alpha": 0.0}
    common |= {"learning_rate_init": RATE, "random_state": 0}
    ours = RNNClassifier("ffnn", (UNITS,), window=WINDOW, clip_norm=None, n_jobs=threads, **common)
    calls: dict[str, Callable[[], Any]] = {NAMES[0]: lambda: ours.fit(X, y)}
    if peers.HAS_SKLEARN:
        from sklearn.neural_network import MLPClassifier

        theirs = MLPClassifier((UNITS,), **common)
        table = X.reshape(len(X), -1)
        calls[NAMES[1]] = lambda: theirs.fit(table, y)
    return calls


def _rows(run: Run) -> Iterator[Row]:
    for threads, (n, F, batch) in itertools.product(run.threads, CASES):
        X, y = make_data(n, F, 0)
        X_test, y_test = make_data(n, F, 1)
        with peers.limited(threads):
            calls = sides(X, y, batch, threads)
            times = alternate(calls, quick=run.quick)
            tests = (X_test, X_test.reshape(n, -1))
            # Without scikit-learn there is only one call.
            pairs = zip(calls.values(), tests, strict=False)
            accuracy = [call().score(test, y_test) for call, test in pairs]
        faster = ratio(times, NAMES[1])
        yield (
            f"n {n}, F {F}, batch {batch}",
            str(threads),
            *(shown(median(times, name), "{:.3f}") for name in NAMES),
            times_faster(faster),
            " / ".join(f"{100 * value:.1f}" for value in accuracy),
            *verdict(faster, BAR),
        )


MLP = Table(
    "mlp",
    f"`cell='ffnn'` and MLPClassifier, s: window {WINDOW}, {UNITS} units, {EPOCHS} epochs, Adam, "
    "float32",
    (
        "data",
        "threads",
        "lightrnn",
        "scikit-learn",
        "scikit-learn / lightrnn",
        "accuracy %",
        "bar",
        "reached",
    ),
    _rows,
    "scikit-learn gets each window as one row. Initial weights and minibatches are drawn "
    "differently; the accuracies (lightrnn / scikit-learn) on 2,000 fresh windows show that both "
    "sides learn. scikit-learn multiplies with the BLAS that NumPy ships. Not shown: wide layers, "
    "where both approach the same GEMM.",
)
