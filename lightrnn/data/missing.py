"""Missing values: what the network reads in the place of NaN [1]_.

Each feature becomes three columns: its value, with the last one carried over missing ones and the
training mean before the first; a mark, 1 where there is a value and 0 where it is missing; and the
number of steps since there was one. The columns of all values come first, then all marks, then all
numbers of steps.

References
----------
.. [1] Che, Z., Purushotham, S., Cho, K., Sontag, D. and Liu, Y. (2018). Recurrent neural networks
   for multivariate time series with missing values. Scientific Reports 8, 6085: "GRU-simple".
"""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatch
from typing import Any

import numpy as np

from .on_disk import LazyArray
from .sequences import Sequences

COLUMNS = 3  # that a feature becomes
_BLOCK = 1024  # steps of a sequence on disk that are read at once


@singledispatch
def with_marks(X: Sequences, fill: np.ndarray) -> Sequences:
    """Return sequences of F features as sequences of 3 * F columns, in float64.

    Parameters
    ----------
    X : Sequences
        Numbers and NaN. Memory maps are read when they are needed.
    fill : ndarray (F,)
        Value of each feature before its first one.

    Examples
    --------
    >>> from lightrnn.data.sequences import as_sequences
    >>> X = as_sequences([np.array([np.nan, 5.0, np.nan, np.nan])], missing=True)
    >>> with_marks(X, np.array([4.0])).items[0].T
    array([[4., 5., 5., 5.],
           [0., 1., 0., 0.],
           [1., 0., 1., 2.]])
    """
    lazy = [LazyMarks(item, fill) for item in X.items]
    items: list[Any] = [
        np.asarray(x) if type(item) is np.ndarray else x
        for x, item in zip(lazy, X.items, strict=True)
    ]
    return replace(X, items=items, n_features=COLUMNS * X.n_features)


class Carried:
    """Values that streams carry from step to step.

    Parameters
    ----------
    fill : ndarray (F,)
        Value of each feature before its first one.
    count : int
        Number of streams.

    Attributes
    ----------
    last, elapsed : ndarray of float64 (count, F)
        The last value of each feature, and the number of steps since there was one.
    """

    def __init__(self, fill: np.ndarray, count: int) -> None:
        self.last = np.tile(fill, (count, 1))
        self.elapsed = np.zeros_like(self.last)
        self._next = self.last, self.elapsed

    def columns(self, steps: np.ndarray) -> np.ndarray:
        """Return the next step of each stream, (count, F), as (count, 3 * F)."""
        missing = np.isnan(steps)
        last = np.where(missing, self.last, steps)
        elapsed = np.where(missing, self.elapsed + 1, 0)
        self._next = last, elapsed
        return np.hstack([last, ~missing, elapsed])

    def keep(self) -> None:
        """Carry on the step that was last made into columns, which the network has taken."""
        self.last[:], self.elapsed[:] = self._next


class LazyMarks(LazyArray):
    """The columns of a sequence that may be on disk: it is read when they become an array.

    Parameters
    ----------
    steps : array (T, F)
        The sequence.
    fill : ndarray (F,)
        Value of each feature before its first one.
    """

    def __init__(self, steps: Any, fill: np.ndarray) -> None:
        T, F = steps.shape
        super().__init__(steps, (T, COLUMNS * F), np.float64)
        # By the step at which it begins: the last values before a block, and the steps since.
        self._carried = {0: (fill, np.zeros(F))}

    def _read(self, start: int, stop: int) -> np.ndarray:
        """Return some columns, and keep what is carried into each block that is met on the way."""
        begin = start - start % _BLOCK
        while begin not in self._carried:
            begin -= _BLOCK
        read = np.empty((stop - start, *self._row))
        for first in range(begin, stop, _BLOCK):
            columns = _columns(
                self._steps[first : min(first + _BLOCK, stop)], *self._carried[first]
            )
            if len(columns) == _BLOCK:
                values, _, elapsed = np.split(columns[-1].copy(), COLUMNS)
                self._carried[first + _BLOCK] = values, elapsed
            wanted = columns[max(0, start - first) :]
            read[max(0, first - start) :][: len(wanted)] = wanted
        return read


def _columns(steps: Any, before: np.ndarray, elapsed: np.ndarray) -> np.ndarray:
    """Return the columns of some steps, from the last values before them and the steps since."""
    x = np.asarray(steps, np.float64)
    missing = np.isnan(x)
    number = np.arange(1, len(x) + 1)[:, None]
    last = np.maximum.accumulate(np.where(missing, 0, number), axis=0)  # 0 before the first
    values = np.take_along_axis(np.vstack([before, x]), last, axis=0)
    return np.hstack([values, ~missing, number - last + np.where(last, 0, elapsed)])
