"""Intervals that hold: quantiles, corrected by how far they were off on windows not learned from.

The windows of all series count together.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from .. import cpu
from ..utils.scales import weighted_quantile
from .columns import Quantiles

# Distance of a quantile from the median, in units of the spread, below which it is rounding.
_NARROWEST = 1e-6
# Windows for a factor of a step by itself, in multiples of those that a quantile needs at least: of
# fewer the factor is about the largest ratio, which one window with a narrow interval decides.
_WINDOWS = 10
# Standard deviation of normal errors, in units of their mean absolute value.
_OF_MEAN_ERROR = math.sqrt(math.pi / 2)
_SHARES = (1.0, 0.75, 0.5, 0.25, 0.0)


def summed(outputs: list[np.ndarray], horizon: int) -> np.ndarray:
    """Return the sum of the quantiles (n, horizon, q) that never cross of some networks.

    Parameters
    ----------
    outputs : list of ndarray (n, horizon * q)
        Raw outputs of each network.
    horizon : int
        Steps of the horizon.

    Examples
    --------
    >>> summed([np.array([[3.0, 1.0]]), np.array([[0.0, 5.0]])], 1)
    array([[[1., 8.]]])
    """
    totals = np.empty(outputs[0].shape)
    q = outputs[0].shape[1] // horizon
    for number, part in enumerate(outputs):
        cpu.series.add_quantiles(totals, np.ascontiguousarray(part), q, number)
    # The kernels have all steps of a quantile beside each other.
    return totals.reshape(len(totals), q, horizon).transpose(0, 2, 1)


def share_of(predicted: np.ndarray, truth: np.ndarray, quantiles: Quantiles) -> float:
    """Return how much of a network to add to the linear forecast, from 0 to 1.

    Of one short series a network learns little that holds, and may be worse than nothing: the share
    is that of the least absolute error on windows that were not learned from.

    Parameters
    ----------
    predicted : ndarray (m, horizon, q)
        Quantiles predicted for such windows, as corrections of the linear forecast.
    truth : ndarray (m, horizon)
        What they should have been, NaN where a value is missing.
    quantiles : tuple of q floats
        The quantiles, 0.5 among them.

    Examples
    --------
    >>> share_of(np.ones((1, 2, 1)), np.array([[0.4, 0.6]]), (0.5,))
    0.5
    """
    if not np.isfinite(truth).any():
        return 1.0
    median = predicted[..., quantiles.index(0.5)]
    errors = [float(np.nanmean(np.abs(truth - share * median))) for share in _SHARES]
    return _SHARES[int(np.argmin(errors))]


def widths(truth: np.ndarray) -> np.ndarray:
    """Return the mean error of forecasts without a network, (horizon,), by step of the horizon.

    Parameters
    ----------
    truth : ndarray (m, horizon)
        Errors of the linear forecast in windows that were not learned from, NaN where a value is
        missing.

    Examples
    --------
    >>> widths(np.array([[1.0, np.nan], [-3.0, np.nan]])).tolist()
    [2.0, 2.0]
    """
    errors = np.abs(truth)
    present = np.isfinite(errors)
    counts = present.sum(axis=0)
    sums = np.where(present, errors, 0.0).sum(axis=0)
    # A step of which nothing is known has the mean of the others.
    overall = sums.sum() / max(counts.sum(), 1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), overall)


def blended(
    predicted: np.ndarray, share: float, width: np.ndarray, quantiles: Quantiles
) -> np.ndarray:
    """Return a network's quantiles around the share of its median; of no share those of a width.

    Where a network's median is of no use, its intervals are not either: they may be narrow by
    chance, and a factor that makes these wide enough makes the others far too wide. Those of
    normal errors with one width for all series take their place.

    Parameters
    ----------
    predicted : ndarray (..., horizon, q)
        Quantiles of a network.
    share : float
        As `share_of` returns it.
    width : ndarray (horizon,)
        As `widths` returns it.
    quantiles : tuple of q floats
        The quantiles.

    Examples
    --------
    >>> predicted = np.array([[[1.0, 2.0, 4.0]]])
    >>> blended(predicted, 0.5, np.array([2.0]), (0.1, 0.5, 0.9))
    array([[[0., 1., 3.]]])
    >>> blended(predicted, 0.0, np.array([2.0]), (0.1, 0.5, 0.9)).round(2)
    array([[[-3.21,  0.  ,  3.21]]])
    """
    if share:
        middle = quantiles.index(0.5)
        return predicted - (1 - share) * predicted[..., middle : middle + 1]
    normal = list(map(NormalDist(sigma=_OF_MEAN_ERROR).inv_cdf, quantiles))
    return np.broadcast_to(width[:, None] * np.array(normal), predicted.shape)


def calibration(
    predicted: np.ndarray, truth: np.ndarray, quantiles: Quantiles, n_windows: float
) -> np.ndarray:
    """Return the factor of each quantile's distance from the median, by step of the horizon.

    It makes the held-out values fall below the quantile as often as they should [1]_. A factor
    widens wide intervals by more than narrow ones, where a sum would let the series that are hard
    to forecast blur those that are easy. Where there are too few windows for a step by itself, all
    steps share one factor; where there are too few even so, it begins with 1. All are larger by
    `small_sample`, since a few windows seldom show the errors that are to come.

    Parameters
    ----------
    predicted : ndarray (m, horizon, q)
        Quantiles predicted for windows that were not learned from.
    truth : ndarray (m, horizon)
        Their values, NaN where one is missing.
    quantiles : tuple of q floats
        The quantiles, 0.5 among them.
    n_windows : float
        How many windows there would be if they did not overlap.

    Returns
    -------
    ndarray (horizon, q)
        At least 0; 1 for the median.

    References
    ----------
    .. [1] Romano, Y., Patterson, E. and Candes, E. (2019). Conformalized quantile regression.
       NeurIPS, theorem 2, with the score of Sesia, M. and Candes, E. (2020). A comparison of some
       conformal quantile regression methods. Stat 9, equation 9.

    Examples
    --------
    >>> predicted = np.tile([-1.0, 0.0, 1.0], (99, 1, 1))
    >>> calibration(predicted, np.arange(-49.0, 50)[:, None], (0.1, 0.5, 0.9), 1e9).round(3)
    array([[40.,  1., 40.]])
    """
    horizon = truth.shape[1]
    factor = np.ones((horizon, len(quantiles)))
    median = predicted[..., quantiles.index(0.5)]
    for column, quantile in enumerate(quantiles):
        # The quantile of the ratio: on the low side a ratio is larger where the value is less.
        tail = max(quantile, 1 - quantile)
        if tail == 0.5:
            continue
        sign = 1 if quantile > 0.5 else -1
        distance = np.maximum(sign * (predicted[..., column] - median), _NARROWEST)
        ratio = sign * (truth - median) / distance  # (m, horizon)
        # With fewer, more than the largest ratio would be needed.
        least = math.ceil(1 / (1 - tail) - 1e-9) - 1
        by_step = list(map(_present, ratio.T))
        if min(map(len, by_step)) < _WINDOWS * least:
            by_step = [_present(ratio.ravel())] * horizon
        if len(by_step[0]) >= least:
            found = [weighted_quantile(part, np.ones(len(part)), tail) for part in by_step]
            factor[:, column] = np.maximum(found, 0.0)
        factor[:, column] *= small_sample(tail, n_windows)
    return factor


def small_sample(tail: float, n_windows: float) -> float:
    """Return how much wider an interval must be that was learned from some independent windows.

    It is that of the next of normal numbers [1]_. On 117 windows of 23 series of months, quarters
    and years, two to five windows of most of which were held out, intervals of 95 % covered 80 %
    without it, and 94 % with it.

    Parameters
    ----------
    tail : float
        The upper quantile that is wanted, above 0.5.
    n_windows : float
        Number of windows; of none nothing can be said.

    References
    ----------
    .. [1] Hahn, G. J. and Meeker, W. Q. (1991). Statistical Intervals, chapter 4.

    Examples
    --------
    >>> [round(small_sample(0.975, n), 2) for n in (2, 5, 20, 400)]
    [2.69, 1.44, 1.09, 1.0]
    """
    if not n_windows:
        return 1.0
    student = cpu.once.imported("scipy.special").stdtrit(n_windows, tail)
    return float(student / NormalDist().inv_cdf(tail) * math.sqrt(1 + 1 / n_windows))


def calibrated(totals: np.ndarray, factor: np.ndarray, options: np.ndarray) -> np.ndarray:
    """Return quantiles (n, horizon, q) at their calibrated distance from the median, ascending.

    Parameters
    ----------
    totals : ndarray (n, horizon, q)
        The sum of the quantiles of some networks, as `summed` returns it; it may be overwritten.
    factor : ndarray (2 q, horizon)
        As `Fitted.kernel_factor` returns it.
    options : ndarray of int
        Fields of `cpu.series.Options`.
    """
    rows = np.ascontiguousarray(totals.transpose(0, 2, 1))
    cpu.series.calibrate(rows.reshape(len(rows), -1), factor, options)
    return rows.transpose(0, 2, 1)


def _present(values: np.ndarray) -> np.ndarray:
    """Return the values that are not missing."""
    return values[np.isfinite(values)]


def places(wanted: Quantiles, quantiles: Quantiles) -> np.ndarray:
    """Return the positions (w,) of quantiles among those that are predicted, linear in between.

    Examples
    --------
    >>> places((0.3, 0.5), (0.1, 0.5, 0.9)).round(9).tolist()
    [0.5, 1.0]
    """
    return np.interp(wanted, quantiles, np.arange(len(quantiles)))


def positions(values: np.ndarray, predicted: np.ndarray, quantiles: Quantiles) -> np.ndarray:
    """Return the probabilities (n,) of values below some, by predicted quantiles (n, q).

    They are linear in between. A tail beyond the last quantile is as long as that quantile's
    distance from the median. They are NaN where a value is.

    Examples
    --------
    >>> quantiles = np.tile([1.0, 3.0, 5.0], (3, 1))
    >>> positions(np.array([2.0, 6.0, 9.0]), quantiles, (0.1, 0.5, 0.9)).round(9).tolist()
    [0.3, 0.95, 1.0]
    """
    median = predicted[:, [quantiles.index(0.5)]]
    low, high = predicted[:, :1], predicted[:, -1:]
    known = np.concatenate([2 * low - median, predicted, 2 * high - median], axis=1)
    levels = np.array([0.0, *quantiles, 1.0])
    # The last one that is not greater.
    below = (known <= values[:, None]).sum(axis=1) - 1
    inside = below.clip(0, len(levels) - 2)
    rows = np.arange(len(values))
    left, right = known[rows, inside], known[rows, inside + 1]
    width = np.where(right > left, right - left, 1.0)
    share = ((values - left) / width).clip(0.0, 1.0)
    return levels[inside] + share * (levels[inside + 1] - levels[inside])
