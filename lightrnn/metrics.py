"""Held-out sequences, and the scores that are taken on them."""

import numpy as np


def accuracy(right: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the weighted share of True.

    Examples
    --------
    >>> accuracy(np.array([True, False, True, True]))
    0.75
    """
    return float(np.average(right, weights=weights))


def r_squared(y: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return 1 - (residual sum of squares) / (total sum of squares), averaged over outputs.

    A constant output counts 1 if predicted exactly, else 0.

    Parameters
    ----------
    y, predicted : ndarray (n,) or (n, k)
        True and predicted values.
    weights : ndarray (n,), optional
        Sample weights.

    Examples
    --------
    >>> r_squared(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0]))
    0.5
    """
    y, predicted = np.asarray(y, np.float64), np.asarray(predicted, np.float64)
    if y.ndim == 1:
        y, predicted = y[:, None], predicted.reshape(-1, 1)
    share = np.full(len(y), 1.0) if weights is None else np.asarray(weights, np.float64)
    residual = share @ (y - predicted) ** 2
    total = share @ (y - np.average(y, axis=0, weights=share)) ** 2
    exact = np.where(residual == 0, 1.0, 0.0)
    return float(
        np.mean(np.where(total > 0, 1.0 - residual / np.where(total > 0, total, 1.0), exact))
    )
