"""The nearest neighbour under dynamic time warping within a band."""

import math
from collections.abc import Sequence

import numba
import numpy as np

BAND = 0.1  # of the longer series: how far two steps that are matched may be apart


def nearest(
    train: Sequence[np.ndarray], test: Sequence[np.ndarray], band: float = BAND
) -> np.ndarray:
    """Return for each test series (T,) the index of the training series nearest to it [1]_.

    References
    ----------
    .. [1] H. Sakoe and S. Chiba (1978). Dynamic Programming Algorithm Optimization for Spoken Word
       Recognition. IEEE Transactions on Acoustics, Speech, and Signal Processing 26(1), 43-49.
    """
    return _nearest(*_joined(train), *_joined(test), band)


def _joined(series: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return all series as one array, and where each begins, and the last one ends."""
    ends = np.cumsum([0, *(len(one) for one in series)])
    return np.concatenate(series).astype(np.float64), ends


@numba.njit(parallel=True)
def _nearest(
    train: np.ndarray, begins: np.ndarray, test: np.ndarray, starts: np.ndarray, band: float
) -> np.ndarray:
    found = np.zeros(len(starts) - 1, np.int64)
    for i in numba.prange(len(found)):
        series = test[starts[i] : starts[i + 1]]
        best = math.inf
        for j in range(len(begins) - 1):
            distance = warped(series, train[begins[j] : begins[j + 1]], band, best)
            if distance < best:
                best = distance
                found[i] = j
    return found


@numba.njit
def warped(a: np.ndarray, b: np.ndarray, band: float, limit: float) -> float:
    """Return the least sum of squared differences along a warping path; inf from `limit` on."""
    n = len(a)
    m = len(b)
    reach = max(math.ceil(band * max(n, m)), abs(n - m))
    above = np.full(m + 1, math.inf)  # the row before: costs of paths to its cells
    row = np.full(m + 1, math.inf)
    above[0] = 0.0
    for i in range(1, n + 1):
        first = max(1, i - reach)
        last = min(m, i + reach)
        row[first - 1] = math.inf
        least = math.inf
        for j in range(first, last + 1):
            difference = a[i - 1] - b[j - 1]
            cost = difference * difference + min(above[j], above[j - 1], row[j - 1])
            row[j] = cost
            least = min(least, cost)
        if last < m:
            row[last + 1] = math.inf
        if least >= limit:  # no path gets cheaper on its way
            return math.inf
        above, row = row, above
    return float(above[m])
