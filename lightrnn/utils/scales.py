"""Scales to divide numbers by."""

import numpy as np

# A column whose deviation is below this multiple of float64's eps is constant: a computed mean of
# equal numbers differs from them by a few eps, which must not be blown up to 1.
_CONSTANT = 10


def usable_scale(deviation: np.ndarray, largest: np.ndarray, constant: float = 1.0) -> np.ndarray:
    """Return the deviation of each column, or `constant` where rounding alone explains it.

    Parameters
    ----------
    deviation : ndarray of float64, shape (k,)
        Standard deviation of each column.
    largest : ndarray of float64, shape (k,)
        Size of the column's numbers: the largest absolute value, or that of the mean.
    constant : float, default=1.0
        Scale of a column of equal numbers.

    Returns
    -------
    ndarray of float64, shape (k,)
        What the column is divided by.

    Examples
    --------
    >>> usable_scale(np.array([2.0, 3e-17]), np.array([5.0, 0.3]))
    array([2., 1.])
    """
    smallest = _CONSTANT * np.finfo(np.float64).eps * largest
    return np.where(deviation > smallest, deviation, constant)
