"""Regression by default on five tasks of scikit-learn and statsmodels, beside ridge regression.

The tasks were chosen before anything was measured. Nothing but `random_state` is passed to
`RNNRegressor`. Both sides get the same windows, and the last quarter of them tests.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lightrnn import RNNRegressor

from . import peers
from .report import Row, Run, Table, verdict

SEEDS = (0, 1, 2)
STEPS = 24  # of a window of a natural series
TEST = 4  # the last of so many parts of the windows
# A share of the variance below it counts as predicting the mean.
NOTHING = 0.05

Task = tuple[np.ndarray, np.ndarray]  # windows (n, T, F), what follows each (n,)


def _windows(series: np.ndarray) -> Task:
    """Return all windows of a series (T,), and the value after each."""
    windows = np.lib.stride_tricks.sliding_window_view(series[:-1], STEPS)
    return windows[:, :, None], series[STEPS:]


def load_sunspots() -> Task:
    """Return windows of yearly sunspot numbers."""
    from statsmodels.datasets import sunspots

    return _windows(sunspots.load_pandas().data["SUNACTIVITY"].to_numpy(float))


def load_elnino() -> Task:
    """Return windows of the sea's monthly surface temperature off Peru."""
    from statsmodels.datasets import elnino

    return _windows(elnino.load_pandas().data.iloc[:, 1:].to_numpy(float).ravel())


def load_co2() -> Task:
    """Return windows of the weekly changes of the air's carbon dioxide at Mauna Loa."""
    from statsmodels.datasets import co2

    return _windows(np.diff(co2.load_pandas().data["co2"].interpolate().to_numpy(float)))


def load_friedman() -> Task:
    """Return Friedman's first function, the ten variables of which are read as ten steps."""
    from sklearn.datasets import make_friedman1

    X, y = make_friedman1(2000, noise=1.0, random_state=0)
    return X[:, :, None], y


def load_digits() -> Task:
    """Return the first seven rows of pixels of handwritten digits, and the ink of the last row."""
    from sklearn import datasets

    images = datasets.load_digits().images  # (n, 8, 8)
    return images[:, :-1], images[:, -1].sum(axis=1)


TASKS: dict[str, Callable[[], Task]] = {
    "sunspots": load_sunspots,
    "El Nino": load_elnino,
    "CO2": load_co2,
    "Friedman 1": load_friedman,
    "digits": load_digits,
}


def _rows(run: Run) -> Iterator[Row]:
    if not (peers.HAS_SKLEARN and peers.HAS_STATSMODELS):
        run.progress("regression: needs scikit-learn and statsmodels, which [bench] installs")
        return
    for name, load in TASKS.items():
        X, y = load()
        cut = len(X) - len(X) // TEST
        train, test = (X[:cut], y[:cut]), (X[cut:], y[cut:])
        ridge = _ridge().fit(train[0].reshape(cut, -1), train[1])
        bar = ridge.score(test[0].reshape(len(test[0]), -1), test[1])
        start = time.perf_counter()
        seeds = SEEDS[:1] if run.quick else SEEDS
        scores = [RNNRegressor(random_state=seed).fit(*train).score(*test) for seed in seeds]
        seconds = (time.perf_counter() - start) / len(seeds)
        ours = float(np.mean(scores))
        yield (
            name,
            f"{cut:,} x {X.shape[1]} x {X.shape[2]}",
            f"{ours:.3f}",
            f"{min(scores):.3f}",
            f"{bar:.3f}",
            f"{seconds:.1f}",
            *verdict(ours, max(bar, NOTHING), "{:.3f}"),
        )


def _ridge() -> Any:
    """Return ridge regression on standardised windows, its strength by cross-validation."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 13)))


REGRESSION = Table(
    "regression",
    "Regression: R2 of `RNNRegressor()` and of ridge regression on the same windows",
    ("task", "training", "lightrnn", "worst seed", "ridge", "lightrnn, s", "bar", "reached"),
    _rows,
    f"R2 on the last quarter of the windows, means of {len(SEEDS)} seeds. Sunspots by year, the "
    "surface temperature off Peru by month and the weekly changes of carbon dioxide, of "
    f"statsmodels: {STEPS} steps predict the next one. Of scikit-learn: make_friedman1(2000, "
    "noise=1), its ten variables read as ten steps, and the digits, seven rows of pixels that "
    "predict the ink of the eighth. Ridge regression has standardised windows, and its strength "
    "from leave-one-out. The bar is ridge's R2, which four of the five tasks should reach.",
)
