"""Intervals that hold: quantiles, moved by how far they were off on windows not learned from.

Outputs are scaled by the spread of their series, so the windows of all series count together.
"""

from __future__ import annotations

import math

import numpy as np

from ..utils.scales import weighted_quantile


def ascending(raw: np.ndarray, horizon: int) -> np.ndarray:
    """Return raw outputs (n, horizon * q) as quantiles (n, horizon, q) that never cross."""
    shape = len(raw), horizon, raw.shape[1] // horizon
    return np.sort(raw.reshape(shape).astype(np.float64), axis=2)


def calibration(
    predicted: np.ndarray, truth: np.ndarray, quantiles: tuple[float, ...]
) -> np.ndarray:
    """Return what to add to each quantile of each step of the horizon [1]_.

    The median stays. Where there are too few windows for a step by itself, all steps share one
    shift; where there are too few even so, nothing is added.

    Parameters
    ----------
    predicted : ndarray (m, horizon, q)
        Quantiles predicted for windows that were not learned from.
    truth : ndarray (m, horizon)
        Their values, NaN where one is missing.
    quantiles : tuple of q floats
        The quantiles.

    Returns
    -------
    ndarray (horizon, q)

    References
    ----------
    .. [1] Romano, Y., Patterson, E. and Candes, E. (2019). Conformalized quantile regression.
       NeurIPS, theorem 2.

    Examples
    --------
    >>> predicted = np.zeros((99, 1, 3))
    >>> calibration(predicted, np.arange(1.0, 100)[:, None], (0.1, 0.5, 0.9))
    array([[10.,  0., 90.]])
    """
    horizon = truth.shape[1]
    shift = np.zeros((horizon, len(quantiles)))
    errors = truth[:, :, None] - predicted  # (m, horizon, q)
    for column, quantile in enumerate(quantiles):
        if quantile == 0.5:
            continue
        # With fewer, more than the largest error would have to be added.
        least = math.ceil(1 / min(quantile, 1 - quantile) - 1e-9) - 1
        by_step = [_present(errors[:, step, column]) for step in range(horizon)]
        if min(map(len, by_step)) < least:
            by_step = [_present(errors[:, :, column].ravel())] * horizon
        if len(by_step[0]) >= least:
            shift[:, column] = [
                weighted_quantile(errors_of_step, np.ones(len(errors_of_step)), quantile)
                for errors_of_step in by_step
            ]
    return shift


def _present(errors: np.ndarray) -> np.ndarray:
    """Return the errors of values that are not missing."""
    return errors[np.isfinite(errors)]


def interpolated(
    predicted: np.ndarray, quantiles: tuple[float, ...], wanted: tuple[float, ...]
) -> np.ndarray:
    """Return other quantiles (n, horizon, w): linear between those that were predicted.

    Examples
    --------
    >>> interpolated(np.array([[[0.0, 1.0, 3.0]]]), (0.1, 0.5, 0.9), (0.3, 0.5))
    array([[[0.5, 1. ]]])
    """
    position = np.interp(wanted, quantiles, np.arange(len(quantiles)))  # (w,)
    below = np.minimum(position.astype(int), max(0, len(quantiles) - 2))
    share = position - below
    above = np.minimum(below + 1, len(quantiles) - 1)
    result: np.ndarray = predicted[..., below] * (1 - share) + predicted[..., above] * share
    return result


__all__ = ["ascending", "calibration", "interpolated"]
