"""The steps of series: their values on the axis of a scale, and the level and spread at each.

Both are taken of the last steps alone, so that a series may grow without end and a forecast uses
nothing but the past.
"""

from __future__ import annotations

import numpy as np

from .. import cpu

SCALES = ("log", "mean", "standard")


def fill_before(steps: np.ndarray, start: int, first: int, season: int) -> None:
    """Let a first season that is not complete begin with the first step, again and again.

    Parameters
    ----------
    steps : ndarray (N, columns)
        Steps.
    start, first : int
        The first row to fill, and that of the series' first step.
    season : int
        Steps of a season, which is the time since the last value in these rows.

    Examples
    --------
    >>> steps = np.zeros((3, cpu.series.WIDTH))
    >>> steps[2, cpu.series.STEP.filled] = 5.0
    >>> fill_before(steps, 0, 2, 4)
    >>> steps[:, cpu.series.STEP.filled].tolist()
    [5.0, 5.0, 5.0]
    """
    step = cpu.series.STEP
    before = steps[start:first]
    before[:] = steps[first]
    before[:, step.target] = np.nan
    before[:, step.missing] = 1.0
    before[:, step.since] = season
    before[:, step.waiting] = np.log1p(season)
