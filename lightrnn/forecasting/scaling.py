"""The level and the spread of a series at each step, by which windows and targets are scaled.

Both are taken of the last steps alone, so that a series may grow without end and a forecast uses
nothing but the past. They are differences of running sums, which a stream computes to the last bit
as this module does for whole series.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SCALES = ("log", "mean", "standard")
# A spread below this part of the level is rounding: the series was constant.
_CONSTANT = 1e-6
# The spread of a constant series, as a part of its level.
_OF_CONSTANT = 1e-3


class Scale(NamedTuple):
    """Level and spread of a series at each step, (T,), by the steps up to this one."""

    level: np.ndarray
    spread: np.ndarray


def transformed(values: np.ndarray, scale: str | None) -> np.ndarray:
    """Return values on the axis on which they are scaled: their logarithms, or as they are."""
    return np.log(values) if scale == "log" else values


def restored(values: np.ndarray, scale: str | None) -> np.ndarray:
    """Undo `transformed`."""
    return np.exp(values) if scale == "log" else values


def scale_of(values: np.ndarray, scale: str | None, memory: int) -> Scale:
    """Return level and spread at each step.

    Parameters
    ----------
    values : ndarray of float64 (T,)
        A series on its axis, NaN where a value is missing.
    scale : {"log", "mean", "standard"} or None
        "mean" divides by the level, None leaves values as they are, the others divide by the
        standard deviation.
    memory : int
        Number of the last steps that both are taken of.

    Returns
    -------
    Scale

    Examples
    --------
    >>> scale_of(np.array([1.0, 3.0, 3.0]), "standard", 2).level.tolist()
    [1.0, 2.0, 3.0]
    """
    if scale is None:
        return Scale(np.zeros(len(values)), np.ones(len(values)))
    present = np.isfinite(values)
    origin = values[present][0] if present.any() else 0.0
    # Near zero, where the sums lose least to rounding.
    moved = np.where(present, values - origin, 0.0)
    count, total, squares = (
        _last(np.cumsum(part), memory) for part in (present.astype(float), moved, moved**2)
    )
    count = np.maximum(count, 1.0)
    mean = total / count
    level = mean + origin
    if scale == "mean":
        spread = np.abs(level)
        return Scale(level, np.where(spread > 0, spread, 1.0))
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    size = np.ones(len(values)) if scale == "log" else np.abs(level)
    constant = np.where(size > 0, size * _OF_CONSTANT, 1.0)
    return Scale(level, np.where(deviation > size * _CONSTANT, deviation, constant))


def _last(sums: np.ndarray, memory: int) -> np.ndarray:
    """Return the sum over the last `memory` steps at each step, for running sums (T,)."""
    result = sums.copy()
    result[memory:] -= sums[:-memory]
    return result


__all__ = ["SCALES", "Scale", "restored", "scale_of", "transformed"]
