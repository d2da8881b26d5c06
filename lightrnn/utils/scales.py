"""Centres to subtract from numbers, and scales to divide them by."""

import numpy as np

# A column whose deviation is below this multiple of float64's eps is constant: a computed mean of
# equal numbers differs from them by a few eps, which must not be blown up to 1.
_CONSTANT = 10
_TIE = 1e-9  # relative difference of two sums of weights below which they are equal
_OF_NORMAL = 1.4826  # standard deviation of normal numbers / their median absolute deviation


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


def weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the median of each column, weights counting like copies of a row.

    Parameters
    ----------
    values : ndarray, shape (n, k)
        Numbers.
    weights : ndarray, shape (n,)
        Weights of the rows, at least 0, with a positive sum.

    Returns
    -------
    ndarray, shape (k,)
        Medians; between two numbers with half of the weight each, their mean.

    Examples
    --------
    >>> weighted_median(np.array([[1.0], [5.0], [9.0]]), np.array([1, 1, 1]))
    array([5.])
    >>> weighted_median(np.array([[1.0], [5.0], [9.0]]), np.array([2, 1, 1]))
    array([3.])
    """
    order = np.argsort(values, axis=0)  # (n, k)
    below = np.cumsum(weights[order], axis=0)  # the weight up to each number, in its order
    # Sums of weights that are equal but for rounding are equal.
    middle = [(below >= below[-1] / 2 * share).argmax(axis=0) for share in (1 - _TIE, 1 + _TIE)]
    rows = np.take_along_axis(order, np.array(middle), axis=0)  # (2, k)
    halves: np.ndarray = np.take_along_axis(values / 2, rows, axis=0)
    return halves.sum(axis=0)


def median_and_deviation(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return centre and scale of each column, which outliers do not move.

    The scale is the median absolute deviation from the median, times 1.4826: of normal numbers that
    is the standard deviation [1]_. If half of the numbers or more are equal, it is taken of the
    others.

    Parameters
    ----------
    values : ndarray of float64, shape (n, k)
        Numbers.
    weights : ndarray, shape (n,)
        Weights of the rows, at least 0, with a positive sum.

    Returns
    -------
    median, scale : ndarray of float64, shape (k,)
        The scale of a constant column is 0.

    References
    ----------
    .. [1] Rousseeuw, P. J. and Croux, C. (1993). Alternatives to the median absolute deviation.
       Journal of the American Statistical Association 88, equation 1.1.

    Examples
    --------
    >>> median_and_deviation(np.array([[1.0], [2.0], [3.0], [4.0], [1e9]]), np.ones(5))
    (array([3.]), array([1.4826]))
    """
    median = weighted_median(values, weights)
    noise = _CONSTANT * np.finfo(np.float64).eps * abs(median)
    columns = zip(abs(values - median).T, noise.tolist(), strict=True)
    return median, np.array([_spread(deviation, weights, least) for deviation, least in columns])


def _spread(deviation: np.ndarray, weights: np.ndarray, noise: float) -> float:
    """Return the scale of a column for its deviations from the median, (n,)."""
    apart = weights > 0
    if weighted_median(deviation[:, None], weights)[0] <= noise:
        apart &= deviation > noise
    if not apart.any():
        return 0.0
    return float(_OF_NORMAL * weighted_median(deviation[apart, None], weights[apart])[0])


def weighted_quantile(values: np.ndarray, weights: np.ndarray, quantile: float) -> float:
    """Return the number below which one more of the kind falls with this probability.

    Of n equal weights it is the number at the rank ``quantile * (n + 1)``, or between two.

    Parameters
    ----------
    values, weights : ndarray, shape (n,)
        Numbers and their weights, at least 0, with a positive sum.
    quantile : float
        The probability, in (0, 1).

    Returns
    -------
    float
        A number between the least and the greatest.

    Examples
    --------
    >>> weighted_quantile(np.array([40.0, 10.0, 20.0, 30.0]), np.ones(4), 0.5)
    25.0
    """
    kept = np.flatnonzero(weights > 0)
    order = kept[np.argsort(values[kept])]
    weights = weights[order]
    one = weights.mean()  # what one more would weigh
    position = (np.cumsum(weights) - weights / 2 + one / 2) / (weights.sum() + one)
    return float(np.interp(quantile, position, values[order]))
