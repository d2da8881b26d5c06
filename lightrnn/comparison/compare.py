"""When an LSTM, when a feed-forward net? Answered on one's own data: every cell beside two baselines, cross-validated.

On the command line: ``python -m lightrnn compare data.npz``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..cells import CELLS
from ..data.sequences import as_sequences
from ..estimators import RNNClassifier, RNNRegressor
from ..inspection import memory_horizon
from ..metrics import accuracy, r_squared
from ..preprocessing import SequenceScaler
from ..utils import checks
from ..utils.checks import random_generator, shown
from ..utils.tables import as_table
from .baselines import Naive, SummaryLinear

_SHARES = (0.1, 0.33, 1.0)  # the windows, as shares of the median length


class Result(NamedTuple):
    """One row of the comparison.

    Attributes
    ----------
    name : str
        The net or baseline.
    scores : ndarray (folds,)
        Accuracy, resp. R^2, on each fold's held-out sequences.
    n_parameters : int
        Parameters.
    seconds : float
        Time of a fit, the median over folds: the first may have compiled the cell.
    horizon : float
        Memory horizon in steps, the median over folds; inf beyond the longest sequence, NaN for a
        baseline.
    """

    name: str
    scores: np.ndarray
    n_parameters: int
    seconds: float
    horizon: float


class Comparison(NamedTuple):
    """What `compare` returns; printed, it is a table.

    Attributes
    ----------
    results : tuple of Result
        Baselines first.
    score : {"accuracy", "R^2"}
        What the scores are.
    """

    results: tuple[Result, ...]
    score: str

    def __str__(self) -> str:
        """Put it into columns."""
        header = "net", self.score, "parameters", "seconds a fit", "memory horizon"
        return as_table(header, [_row(result) for result in self.results])


def compare(
    X: Any,
    y: Any,
    *,
    hidden_layer_sizes: tuple[int, ...] = (64,),
    max_iter: int = 50,
    folds: int = 5,
    windows: tuple[int, ...] | None = None,
    random_state: Any = 0,
    progress: Callable[[str], None] | None = None,
) -> Comparison:
    """Cross-validate every cell and two baselines on the same data, with the same training.

    Parameters
    ----------
    X : as for `RNNClassifier`
        n sequences of numbers; each fold standardises them by what it trains on.
    y : array-like (n,)
        Labels (text, integers or bools), or numbers (floats) to regress on.
    hidden_layer_sizes : tuple of int
        Units of each net's layers.
    max_iter : int >= 1
        Epochs; the learning rate falls over them by a cosine.
    folds : int >= 2
        Parts that are held out in turn, by class where there are classes.
    windows : tuple of int, optional
        Of the feed-forward nets; by default a tenth, a third and all of the median length.
    random_state : None, int, RandomState or Generator
        Draws folds and weights.
    progress : callable, optional
        Told in a line what is being fitted.

    Returns
    -------
    Comparison
        The score, parameters, time and memory horizon of each.

    Raises
    ------
    ValueError, TypeError
        If an argument or the data are not as they must be.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn.comparison import compare
    >>> X = np.random.default_rng(0).normal(size=(40, 6, 1))
    >>> found = compare(X, X[:, -1, 0], hidden_layer_sizes=(4,), max_iter=2, folds=2)
    >>> [result.name for result in found.results]
    ['last value', 'summary + linear', 'ffnn, window 1', 'ffnn, window 2', 'ffnn, window 6', 'rnn', 'gru', 'lstm']
    """
    items, lengths = _sequences(X)
    y = _targets(y, len(items))
    classifies = y.dtype.kind != "f"
    rng, folds = random_generator(random_state), checks.integer("folds", folds, 2, len(items) // 2)
    parts = _folds(y if classifies else np.zeros(len(y)), folds, rng)
    kind: Any = RNNClassifier if classifies else RNNRegressor
    seed = int(rng.integers(2**31))
    options = {"max_iter": max_iter, "learning_rate": "cosine", "random_state": seed}
    candidates: list[tuple[str, Callable[[], Any]]] = [
        ("", Naive),
        (SummaryLinear.name, SummaryLinear),
    ]
    for name, cell in _cells(windows or _default_windows(lengths)):
        candidates.append(
            (name, partial(kind, hidden_layer_sizes=hidden_layer_sizes, **cell, **options))
        )
    say = progress or (lambda line: None)
    results = tuple(_result(name, make, items, y, parts, say) for name, make in candidates)
    return Comparison(results, "accuracy" if classifies else "R^2")


def _sequences(X: Any) -> tuple[list[np.ndarray], np.ndarray]:
    sequences = as_sequences(X)
    if len(sequences.items) < 4:
        raise ValueError(
            f"X must have at least 4 sequences to compare on, got {len(sequences.items)}. Give more."
        )
    return [np.asarray(x, np.float32) for x in sequences.items], sequences.lengths


def _targets(y: Any, n: int) -> np.ndarray:
    """Return y as one value a sequence."""
    values = np.asarray(y)
    if values.shape != (n,):
        raise ValueError(
            f"y must be one value for each of the {n} sequences, got {shown(values)}. Give an (n,) array."
        )
    return values


def _cells(windows: tuple[int, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    for window in windows:
        yield f"ffnn, window {window}", {"cell": "ffnn", "window": window}
    yield from ((name, {"cell": name}) for name, cell in CELLS.items() if cell.recurrent)


def _default_windows(lengths: np.ndarray) -> tuple[int, ...]:
    return tuple(
        sorted({max(1, math.ceil(share * float(np.median(lengths)))) for share in _SHARES})
    )


def _folds(groups: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """Return the fold of each sequence, such that each has the same share of every group."""
    order = rng.permutation(len(groups))
    order = order[np.argsort(groups[order], kind="stable")]
    fold = np.empty(len(groups), np.int64)
    fold[order] = np.arange(len(groups)) % folds
    return fold


def _result(
    name: str,
    make: Callable[[], Any],
    X: list[np.ndarray],
    y: np.ndarray,
    fold: np.ndarray,
    say: Callable[[str], None],
) -> Result:
    """Fit and score on every fold."""
    scores, seconds, horizons, net = [], [], [], None
    for held in range(fold.max() + 1):
        say(f"{name or 'baseline'}: fold {held + 1} of {fold.max() + 1}")
        net = make()
        score, took, horizon = _fitted(
            net, X, y, np.flatnonzero(fold != held), np.flatnonzero(fold == held)
        )
        scores.append(score)
        seconds.append(took)
        horizons.append(horizon)
    assert net is not None
    name = name or net.name
    return Result(
        name,
        np.array(scores),
        net.n_parameters_,
        float(np.median(seconds)),
        float(np.median(horizons)),
    )


def _fitted(
    net: Any, X: list[np.ndarray], y: np.ndarray, train: np.ndarray, test: np.ndarray
) -> tuple[float, float, float]:
    """Return a fold's score, seconds and horizon."""
    seen, unseen = [X[i] for i in train], [X[i] for i in test]
    baseline = isinstance(net, Naive | SummaryLinear)
    if not baseline:
        scaler = SequenceScaler().fit(seen)
        seen, unseen = scaler.transform(seen), scaler.transform(unseen)
    start = time.perf_counter()
    net.fit(seen, y[train])
    seconds = time.perf_counter() - start
    predicted = net.predict(unseen)
    score = _score(predicted, y[test])
    longest = max(map(len, unseen))
    return (
        score,
        seconds,
        math.nan if baseline or longest < 2 else memory_horizon(net, unseen).horizon,
    )


def _score(predicted: np.ndarray, y: np.ndarray) -> float:
    if y.dtype.kind != "f":
        return accuracy(predicted == y)
    return r_squared(y[:, None], np.asarray(predicted, np.float64)[:, None], np.ones(len(y)))


def _row(result: Result) -> tuple[str, ...]:
    horizon = (
        ""
        if math.isnan(result.horizon)
        else "beyond"
        if math.isinf(result.horizon)
        else f"{result.horizon:.0f}"
    )
    score = f"{result.scores.mean():.3f} ± {result.scores.std():.3f}"
    return result.name, score, f"{result.n_parameters:,}", f"{result.seconds:.2f}", horizon
