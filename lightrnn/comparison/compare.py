"""Cross-validate every cell and two baselines on one's own data, to choose a cell for it.

On the command line: ``python -m lightrnn compare data.npz``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .. import cpu
from ..cells import CELLS
from ..data.labels import read_labels
from ..data.ragged import read
from ..data.sequences import as_sequences
from ..estimators import RNNClassifier, RNNRegressor
from ..inspection import memory_horizon
from ..metrics import accuracy, r_squared
from ..utils import checks
from ..utils.checks import random_generator, shown
from ..utils.indexing import take
from ..utils.tables import as_table
from .baselines import Naive, SummaryLinear

_ONE_VALUE = "Give an (n,) array of class labels or of floats."

_Candidate = tuple[str, Callable[[], Any]]  # a name, and a function that makes the model

_BEYOND = "beyond"  # of a horizon
_KEY = {
    SummaryLinear.name: "a linear model on each feature's mean, deviation, range and ends.",
    _BEYOND: "the net remembers further back than the longest sequence reaches.",
}

_SHARES = (0.1, 0.33, 1.0)  # default windows of the ffnn as fractions of the median length


class Result(NamedTuple):
    """Result of one network or baseline in a comparison.

    Attributes
    ----------
    name : str
        Name of the network or baseline.
    scores : ndarray of shape (folds,)
        Accuracy or R^2 on the held-out sequences of each fold.
    n_parameters : int
        Number of parameters.
    seconds : float
        Seconds of a fit, the median over folds, without those in which kernels were compiled.
    horizon : float
        Memory horizon in steps, the median over folds; inf if it lies beyond the longest sequence,
        NaN for a baseline.
    predicted : ndarray of shape (n,) or None, default=None
        Prediction for each sequence by the model of the fold that holds it out.
    loss_curve : tuple of float, default=()
        Training loss by epoch of the last fold's model; empty for a baseline.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn.comparison import Result
    >>> result = Result("lstm", np.array([0.9, 0.8]), 16_960, 1.5, 40.0)
    >>> float(result.scores.mean().round(3))
    0.85
    """

    name: str
    scores: np.ndarray
    n_parameters: int
    seconds: float
    horizon: float
    predicted: np.ndarray | None = None
    loss_curve: tuple[float, ...] = ()


class Comparison(NamedTuple):
    """Results of `compare`; printing it shows a table.

    Attributes
    ----------
    results : tuple of Result
        One for each baseline and network, the baselines first.
    score : {"accuracy", "R^2"}
        Name of the score.
    y : ndarray of shape (n,) or None, default=None
        The targets, as the predictions of the results are to be.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn.comparison import Comparison, Result
    >>> lstm = Result("lstm", np.array([0.9, 0.8]), 16_960, 1.5, 40.0)
    >>> print(Comparison((lstm,), "accuracy"))
    net        accuracy  parameters  seconds per fit  memory horizon
    lstm  0.850 ± 0.050      16,960             1.50              40
    """

    results: tuple[Result, ...]
    score: str
    y: np.ndarray | None = None

    def __str__(self) -> str:
        """Return a table with one line per result, and a key to it."""
        return "\n".join([as_table(*rows_of(self)), *key_to(self)])


def rows_of(comparison: Comparison) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the header and the rows of the table of a comparison."""
    header = ("net", comparison.score, "parameters", "seconds per fit", "memory horizon")
    return header, [_row(result) for result in comparison.results]


def key_to(comparison: Comparison) -> list[str]:
    """Return a line for each term of the table of a comparison that does not explain itself."""
    cells = {cell for row in rows_of(comparison)[1] for cell in row}
    return [f"{term}: {meaning}" for term, meaning in _KEY.items() if term in cells]


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
    """Cross-validate every cell and two baselines on the same data with the same training.

    The baselines are the most frequent class, the last value or the mean, and a linear model on
    summaries of each sequence. Each fold standardises the features by its training sequences.

    Parameters
    ----------
    X : list of n arrays (T_i, F), array (n, T, F), or another form of sequences
        At least 4 sequences of numbers, as for `RNNClassifier`.
    y : array-like of shape (n,)
        Class labels (text, bools, or integers that each occur in `folds` sequences or more), or
        floats for a regression.
        Integers that are no labels, such as counts, are given as ``y.astype(float)``.
    hidden_layer_sizes : tuple of int, default=(64,)
        Units of each layer of the networks.
    max_iter : int, default=50
        Epochs of each fit, at least 1; the learning rate falls over them by a cosine.
    folds : int, default=5
        Number of folds, at least 2; classes are distributed evenly over them.
    windows : tuple of int, default=None
        Windows of the feed-forward networks. None takes a tenth, a third and all of the median
        length.
    random_state : None, int, RandomState or Generator, default=0
        Source of randomness for folds and weights.
    progress : callable, default=None
        Called as ``progress(line)`` before each fit, with a line of text that names it.

    Returns
    -------
    Comparison
        Score, number of parameters, time and memory horizon of each network and baseline.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range, X or y are no such data, or there are
        fewer than 4 sequences.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn.comparison import compare
    >>> X = np.random.default_rng(0).normal(size=(40, 6, 1))
    >>> found = compare(X, X[:, -1, 0], hidden_layer_sizes=(4,), max_iter=2, folds=2)
    >>> [result.name for result in found.results[:3]]
    ['last value', 'summary + linear', 'ffnn, window 1']
    >>> [result.name for result in found.results[3:]]
    ['ffnn, window 2', 'ffnn, window 6', 'rnn', 'gru', 'lstm']
    """
    items, lengths = _sequences(X)
    y = _targets(y, lengths)
    classifies = y.dtype.kind != "f"
    rng = random_generator(random_state)
    # Two sequences or more in each fold: R^2 means nothing for a single one.
    folds = checks.integer("folds", folds, 2, len(items) // 2)
    _check_are_classes(y, folds)
    fold = _folds(y if classifies else np.zeros(len(y)), folds, rng)
    estimator: Any = RNNClassifier if classifies else RNNRegressor
    options = {
        "hidden_layer_sizes": hidden_layer_sizes,
        "max_iter": max_iter,
        "learning_rate": "cosine",
        "random_state": int(rng.integers(2**31)),  # one seed, so that only the cells differ
    }
    # The first baseline names itself once it has seen the data.
    candidates: list[_Candidate] = [("", Naive), (SummaryLinear.name, SummaryLinear)]
    for name, cell in _cells(_windows(windows, lengths)):
        candidates.append((name, partial(estimator, **cell, **options)))
    report = progress or (lambda line: None)
    results = tuple(_result(candidate, items, y, fold, report) for candidate in candidates)
    return Comparison(results, "accuracy" if classifies else "R^2", y)


def _sequences(X: Any) -> tuple[list[np.ndarray], np.ndarray]:
    """Return X as float32 sequences (T_i, F), and their lengths."""
    sequences = as_sequences(X)
    if len(sequences.items) < 4:
        raise ValueError(
            f"X must have at least 4 sequences to compare on, got {len(sequences.items)}. "
            "Give more."
        )
    return [np.asarray(x, np.float32) for x in sequences.items], sequences.lengths


def _targets(y: Any, lengths: np.ndarray) -> np.ndarray:
    """Return y as an array of one number or label per sequence."""
    values = read(y, "y", _ONE_VALUE)
    if values.dtype.kind == "O":
        values = read(values.tolist(), "y", _ONE_VALUE)  # its items may be all numbers, or all text
    if values.shape != (len(lengths),):
        raise ValueError(
            f"y must be one value for each of the {len(lengths)} sequences, got {shown(values)}. "
            f"{_ONE_VALUE}"
        )
    if values.dtype.kind != "f":
        read_labels(values, lengths)  # for its errors
    return values


def _check_are_classes(y: np.ndarray, folds: int) -> None:
    """Refuse integers that can hardly be labels, and classes of which a fold would see one."""
    if y.dtype.kind == "f":
        return
    labels, counts = np.unique(y, return_counts=True)
    if len(labels) == 2 and counts.min() < 2:
        raise ValueError(
            f"y must hold each of two classes at least twice, got {shown(labels[counts.argmin()])} "
            "once. A fold that predicts it has none to learn from."
        )
    if y.dtype.kind not in "iu":
        return
    # Counts and other quantities have values that occur once or twice, which classes seldom do.
    if counts.min() < folds:
        raise ValueError(
            f"y must be floats, or integers that name classes of at least {folds} sequences each, "
            f"got {len(labels)} different integers in {len(y)} sequences. Write "
            "y.astype(float) for numbers to regress on, y.astype(str) for classes."
        )


def _cells(windows: list[int]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the arguments of each network, those without a memory first."""
    for window in windows:
        yield f"ffnn, window {window}", {"cell": "ffnn", "window": window}
    for name, cell in CELLS.items():
        if cell.recurrent:
            yield name, {"cell": name}


def _windows(given: Any, lengths: np.ndarray) -> list[int]:
    """Return the windows of the ffnn, in steps; by default short sequences have fewer of them."""
    if given is not None:
        named = enumerate(np.atleast_1d(given).tolist())
        return [checks.integer(f"windows[{i}]", window, 1) for i, window in named]
    median = float(np.median(lengths))
    return sorted({max(1, math.ceil(share * median)) for share in _SHARES})


def _folds(groups: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """Return the fold of each sequence, (n,); every fold has the same fraction of each group."""
    # Shuffled, then sorted by group, which a stable sort leaves shuffled, then dealt out in turn.
    order = rng.permutation(len(groups))
    order = order[np.argsort(groups[order], kind="stable")]
    fold = np.empty(len(groups), np.int64)
    fold[order] = np.arange(len(groups)) % folds
    return fold


def _result(
    candidate: _Candidate,
    X: list[np.ndarray],
    y: np.ndarray,
    fold: np.ndarray,
    report: Callable[[str], None],
) -> Result:
    """Fit and score one network or baseline on every fold."""
    name, make = candidate
    folds = int(fold.max()) + 1
    predicted = np.empty_like(y)
    rounds = []
    for number in range(folds):
        report(f"{name or 'baseline'}: fold {number + 1} of {folds}")
        model = make()
        held_out = fold == number
        predicted[held_out], *figures = _round(model, X, y, held_out)
        rounds.append(figures)
    scores, seconds, horizons = np.array(rounds).T
    return Result(
        name or model.name,
        scores,
        model.n_parameters_,
        float(np.median(seconds)),
        float(np.median(horizons)),
        predicted,
        tuple(getattr(model, "loss_curve_", ())),
    )


def _round(
    model: Any,
    X: list[np.ndarray],
    y: np.ndarray,
    held_out: np.ndarray,
) -> tuple[np.ndarray, float, float, float]:
    """Fit to one fold and return predictions, score, seconds and memory horizon."""
    seen = take(X, np.flatnonzero(~held_out))
    unseen = take(X, np.flatnonzero(held_out))
    start = cpu.compiling.clock()
    model.fit(seen, y[~held_out])
    if getattr(model, "stop_reason_", None) == "interrupted":  # all folds are meant
        raise KeyboardInterrupt
    seconds = cpu.compiling.clock() - start
    predicted = model.predict(unseen)
    truth = y[held_out]
    score = r_squared(truth, predicted) if y.dtype.kind == "f" else accuracy(predicted == truth)
    horizon = math.nan
    # It needs a step to look back on, and outputs that depend on the states.
    if not isinstance(model, Naive | SummaryLinear):
        with suppress(ValueError):
            horizon = memory_horizon(model, unseen).horizon
    return predicted, score, seconds, horizon


def _row(result: Result) -> tuple[str, ...]:
    """Return the cells of a result's line in the table."""
    score = f"{result.scores.mean():.3f} ± {result.scores.std():.3f}"
    horizon = {"nan": "", "inf": _BEYOND}.get(f"{result.horizon}", f"{result.horizon:.0f}")
    return result.name, score, f"{result.n_parameters:,}", f"{result.seconds:.2f}", horizon
