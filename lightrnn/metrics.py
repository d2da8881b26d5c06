"""Scores of predictions: accuracy for classes, R^2 for numbers."""

import numpy as np

__all__ = ["accuracy", "r_squared"]


def accuracy(right: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the weighted fraction of predictions that are right.

    Parameters
    ----------
    right : ndarray of bool, shape (n,)
        Whether each prediction is right, ``y_true == y_predicted``.
    weights : ndarray of shape (n,), default=None
        Weights of the predictions; None weighs all equally.

    Returns
    -------
    float
        A number from 0 to 1.

    Raises
    ------
    ValueError
        If `weights` has another shape than `right`.
    ZeroDivisionError
        If the weights sum to 0.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn.metrics import accuracy
    >>> y_true = np.array(["a", "b", "b", "a"])
    >>> y_predicted = np.array(["a", "b", "a", "a"])
    >>> accuracy(y_true == y_predicted)
    0.75
    >>> accuracy(y_true == y_predicted, weights=np.array([1, 1, 2, 0]))
    0.5
    """
    return float(np.average(right, weights=weights))


def r_squared(
    y: np.ndarray,
    predicted: np.ndarray,
    weights: np.ndarray | None = None,
) -> float:
    """Return R^2, the coefficient of determination, averaged over outputs.

    It is ``1 - residual sum of squares / total sum of squares``: 1 for exact predictions, 0 for
    those of the mean, negative for worse ones. An output that is constant counts 1 if it is
    predicted exactly, else 0.

    Parameters
    ----------
    y : ndarray of shape (n,) or (n, k)
        True values.
    predicted : ndarray of the shape of `y`
        Predicted values.
    weights : ndarray of shape (n,), default=None
        Sample weights; None weighs all equally.

    Returns
    -------
    float
        The mean of the k outputs' scores, at most 1.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    ZeroDivisionError
        If the weights sum to 0.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn.metrics import r_squared
    >>> r_squared(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0]))
    0.5
    """
    y = np.asarray(y, np.float64)
    predicted = np.asarray(predicted, np.float64)
    # A single column may have an axis of its own or not.
    y, predicted = (part[:, None] if part.ndim == 1 else part for part in (y, predicted))
    if predicted.shape != y.shape:
        raise ValueError(
            f"predicted must have the shape of y, {y.shape}, got {predicted.shape}. Reshape it."
        )
    share = np.ones(len(y)) if weights is None else np.asarray(weights, np.float64)
    # What has no weight may be of any size.
    kept = share != 0
    y, predicted, share = y[kept], predicted[kept], share[kept]
    mean = np.average(y, axis=0, weights=share)
    with np.errstate(all="ignore"):
        # Not ``share @``: the threads of NumPy's BLAS, as many as there are CPUs, divide that sum.
        # Division by a power of two rounds nothing, and keeps the squares from over- and underflow.
        exponent = np.frexp(abs(y - mean).max(axis=0))[1]
        residual = np.einsum("n,nk->k", share, np.ldexp(y - predicted, -exponent) ** 2)
        total = np.einsum("n,nk->k", share, np.ldexp(y - mean, -exponent) ** 2)
        explained = 1.0 - residual / total
    return float(np.mean(np.where(total == 0, residual == 0, explained)))
