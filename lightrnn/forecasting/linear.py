"""The linear part of a forecast, which the network corrects: a ridge regression on two seasons.

A recurrent network learns slowly what a linear map of the last values says at once, and from a
single short series it does not learn it at all. So both forecasts are added, as in [1]_. The linear
one is solved first; how far it is shrunk towards the season before, and whether it is of use, is
decided by the windows that are held out.

References
----------
.. [1] Lai, G., Chang, W.-C., Yang, Y. and Liu, H. (2018). Modeling long- and short-term temporal
   patterns with deep neural networks. SIGIR, section 3.5.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from .. import cpu

if TYPE_CHECKING:
    from .windows import Windows

# Penalties to choose from, as a part of the number of origins.
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)
# Origins that are learned from, evenly spread.
_ORIGINS = 50_000
_BLOCK = 4096


def design(windows: Windows, origins: np.ndarray) -> np.ndarray:
    """Return what the linear part reads at origins: inputs there and a season before, and 1."""
    known = windows.encoding.covariates.ahead == "always"
    before = windows.before(origins)
    parts = windows.inputs(origins, known), windows.inputs(before, known)
    return np.column_stack([*parts, np.ones(len(origins), np.float32)])


def solved(windows: Windows, penalties: tuple[float, ...]) -> list[np.ndarray]:
    """Return the matrix (2 * n_features + 1, horizon) of the ridge regression for each penalty."""
    size = 2 * windows.encoding.n_features + 1
    gram = np.zeros((size, size))
    products = np.zeros((size, windows.encoding.horizon))
    count = 0
    for origins in _blocks(windows.sample(_ORIGINS)):
        targets = windows.targets(origins).astype(np.float64)
        whole = np.isfinite(targets).all(axis=1)
        X = design(windows, origins[whole]).astype(np.float64)
        gram += X.T @ X
        products += X.T @ targets[whole]
        count += len(X)
    eye = np.eye(size) * max(count, 1)
    return [np.linalg.solve(gram + penalty * eye, products) for penalty in penalties]


def add_linear(windows: Windows, matrix: np.ndarray, origins: np.ndarray | None = None) -> None:
    """Let the network correct the linear forecast by a matrix of `solved`.

    Its sums are in one order, wherever they are computed: see `cpu.series.linear`.

    Parameters
    ----------
    windows : Windows
        The series.
    matrix : ndarray (2 * n_features + 1, horizon)
        The linear map.
    origins : ndarray of int (N,), default=None
        Where forecasts are wanted; None: everywhere.
    """
    known = windows.encoding.covariates.ahead == "always"
    wanted = windows.sample(None) if origins is None else origins
    linear = np.zeros((int(windows.last[-1]) + 1, windows.encoding.horizon), np.float32)
    for block in _blocks(wanted):
        forecasts = np.empty((len(block), linear.shape[1]), np.float32)
        now = windows.exact_inputs(block, known)
        before = windows.exact_inputs(windows.before(block), known)
        cpu.series.linear(forecasts, now, before, matrix)
        linear[block] = forecasts
    windows.linear = linear


def _blocks(origins: np.ndarray) -> Iterator[np.ndarray]:
    """Yield origins some at a time."""
    for start in range(0, len(origins), _BLOCK):
        yield origins[start : start + _BLOCK]


__all__ = ["PENALTIES", "add_linear", "design", "solved"]
