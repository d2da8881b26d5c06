"""Mean and variance of each feature over all steps, in one pass and bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch
from typing import Any

import numpy as np

from ..utils.indexing import take
from ..utils.standardization import Standardization
from .sequences import Sequences

# Numbers converted to float64 at a time: half a megabyte, which stays in cache. It also bounds the
# memory that data of any size takes.
_BLOCK = 1 << 16


@singledispatch
def standardization_of(
    X: Sequences, weights: np.ndarray | None = None, *, missing: bool = False
) -> Standardization:
    """Return the standardisation of all steps, computed block by block [1]_.

    Parameters
    ----------
    X : Sequences
        Numbers.
    weights : ndarray (n,), optional
        Weight of the steps of each sequence; by default 1. Those of weight 0 are left out.
    missing : bool, default=False
        Whether NaN are left out; then the weight is (F,), and that of a feature without numbers 0.

    Returns
    -------
    Standardization

    Raises
    ------
    ValueError
        If float64 cannot hold the variance.

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub and R. J. LeVeque (1983). "Algorithms for Computing the Sample
       Variance: Analysis and Recommendations". The American Statistician 37(3), 242-247. Equation
       1.7: two passes over a block.

    Examples
    --------
    >>> from lightrnn.data.sequences import as_sequences
    >>> found = standardization_of(as_sequences([np.array([[1.0], [3.0]]), np.array([[2.0]])]))
    >>> found.mean, found.weight
    (array([2.]), 3.0)
    """
    zeros = np.zeros(X.n_features)
    total = Standardization(zeros, zeros, zeros if missing else 0.0)
    with np.errstate(all="ignore"):
        for steps, w in _blocks(X, weights):  # (N, F), (N,)
            if len(w):  # sequences made by hand may be empty: that is said at the network
                block = _of_block(steps, w, missing)
                total = total.merged(block) if np.any(total.weight) else block
    overflowed = np.flatnonzero(~np.isfinite(total.variance))
    if len(overflowed):
        raise ValueError(
            "X must have a variance that float64 can hold, "
            f"got an overflow in feature {overflowed[0]}. "
            "Divide the feature by its largest value first."
        )
    return total


def _of_block(steps: np.ndarray, w: np.ndarray, missing: bool) -> Standardization:
    """Return the moments of steps (N, F), which are overwritten, of weights (N,)."""
    weight: Any = float(w.sum())
    divisor = weight
    unseen: Any = ()
    if missing:
        unseen = np.isnan(steps)
        weight = _summed(w, ~unseen)
        divisor = np.where(weight > 0, weight, 1.0)
        steps[unseen] = 0
    mean = _summed(w, steps) / divisor
    steps -= mean
    if missing:
        steps[unseen] = 0
    # Rounding leaves a small rest in the mean. With its square subtracted as well, the variance of
    # a constant feature is exactly 0.
    rest = _summed(w, steps) / divisor
    variance = np.einsum("n,nf,nf->f", w, steps, steps) / divisor - rest**2
    return Standardization(mean + rest, np.maximum(variance, 0), weight)


def _summed(w: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return the weighted sums (F,) of steps (N, F).

    Not ``w @ steps``: for one feature that wakes the threads of NumPy's BLAS, whose number decides
    the order of the sum, and which then keep their CPUs busy for a while.
    """
    return np.einsum("n,nf->f", w, steps)


def _blocks(X: Sequences, weights: np.ndarray | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield all steps as float64 copies (N, F) of bounded size, and their weights (N,)."""
    most = max(1, _BLOCK // X.n_features)
    weights = np.ones(len(X)) if weights is None else np.asarray(weights, np.float64)
    kept = np.flatnonzero(weights)
    weights = weights[kept]
    items = take(X.items, kept)
    # Counted, not read from X, which may be made by hand: the two are compared at the network.
    lengths = np.fromiter(map(len, items), np.int64, len(items))
    ends = np.cumsum(lengths)
    i = 0  # the first sequence of a block, and its first step
    start = 0
    while i < len(items):
        begin = int(ends[i] - lengths[i]) + start
        # The sequence with which the block is full, or the last one.
        last = min(int(np.searchsorted(ends, begin + most)), len(items) - 1)
        parts = list(items[i : last + 1])
        # Cut before they are converted, for an item may be a memory map of any length.
        parts[-1] = parts[-1][:most]
        if start:
            parts[0] = items[i][start : start + most]
        counts = list(map(len, parts))
        # Row by row, whatever the memory order of the items: the order of the sums depends on it.
        steps = np.empty((sum(counts), *parts[0].shape[1:]))
        np.concatenate(parts, out=steps)
        yield steps, np.repeat(weights[i : last + 1], counts)
        start = counts[-1] if i < last else start + counts[-1]
        i = last
        if start == lengths[last]:
            i += 1
            start = 0
