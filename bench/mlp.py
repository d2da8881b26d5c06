"""The feed-forward cell beside scikit-learn's MLPClassifier: the same windows, layer, minibatches and epochs."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lightrnn import RNNClassifier

from . import peers
from .report import Row, Run, Table, shown, times_faster
from .timing import alternate, median, ratio

WINDOW, UNITS, EPOCHS, RATE = 20, 64, 10, 3e-3
CASES = ((2000, 1, 32), (2000, 8, 32), (2000, 8, 200))  # sequences, features, batch
NAMES = ("lightrnn", "scikit-learn")


def make_data(n: int, F: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return windows (n, WINDOW, F), and which of their two halves has the larger sum."""
    X = np.random.default_rng(seed).standard_normal((n, WINDOW, F)).astype(np.float32)
    sums = X.sum(axis=2)
    return X, (sums[:, : WINDOW // 2].sum(axis=1) > sums[:, WINDOW // 2 :].sum(axis=1)).astype(
        np.int64
    )


def sides(X: np.ndarray, y: np.ndarray, batch: int, threads: int) -> dict[str, Callable[[], Any]]:
    """Return a whole training for each side; both run every epoch, without decay or clipping."""
    common = {"batch_size": batch, "max_iter": EPOCHS, "n_iter_no_change": EPOCHS, "alpha": 0.0}
    common |= {"learning_rate_init": RATE, "random_state": 0}
    ours = RNNClassifier("ffnn", (UNITS,), window=WINDOW, clip_norm=None, n_jobs=threads, **common)
    calls: dict[str, Callable[[], Any]] = {NAMES[0]: lambda: ours.fit(X, y)}
    if peers.HAS_SKLEARN:
        from sklearn.neural_network import MLPClassifier

        theirs, table = MLPClassifier((UNITS,), **common), X.reshape(len(X), -1)
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
            accuracy = [
                call().score(test, y_test)
                for call, test in zip(calls.values(), tests, strict=False)
            ]
        seconds = (shown(median(times, name), "{:.3f}") for name in NAMES)
        figures = (
            times_faster(ratio(times, NAMES[1])),
            " / ".join(f"{100 * value:.1f}" for value in accuracy),
        )
        yield f"n {n}, F {F}, batch {batch}", str(threads), *seconds, *figures


MLP = Table(
    "mlp",
    f"`cell='ffnn'` beside MLPClassifier, s: window {WINDOW}, {UNITS} units, {EPOCHS} epochs, Adam, float32",
    ("what", "threads", "lightrnn", "scikit-learn", "scikit-learn / lightrnn", "accuracy %"),
    _rows,
    "scikit-learn gets each window as one row. Weights start and minibatches are drawn differently; the "
    "accuracies (lightrnn / scikit-learn), on 2,000 fresh windows, say that both sides learn. scikit-learn "
    "multiplies by the BLAS that NumPy brings. Not shown: wide layers, where both approach the same GEMM.",
)
