"""The columns of a forecast: the median, the ends of intervals, or quantiles, by name."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..utils.checks import real, shown

Quantiles = tuple[float, ...]  # in ascending order

# Of the median, and the beginning of the other names, as Nixtla's libraries have them.
NAME = "lightrnn"


def columns_of(level: Any, quantiles: Any, learned: Quantiles) -> dict[str, float]:
    """Return the quantile that each column of a forecast is, by the column's name.

    Parameters
    ----------
    level : float or list of float, or None
        Percentages of intervals.
    quantiles : float or list of float, or None
        Quantiles.
    learned : tuple of float
        Quantiles that were learned.

    Returns
    -------
    dict of str to float

    Raises
    ------
    ValueError
        If both are given, or one lies beyond what was learned.
    TypeError
        If one is not a number.

    Examples
    --------
    >>> columns_of((80, 95), None, (0.025, 0.5, 0.975))  # doctest: +NORMALIZE_WHITESPACE
    {'lightrnn': 0.5, 'lightrnn-lo-95': 0.025, 'lightrnn-lo-80': 0.1, 'lightrnn-hi-80': 0.9,
     'lightrnn-hi-95': 0.975}
    """
    if level is not None and quantiles is not None:
        raise ValueError(
            f"quantiles must be None where level is given, got {shown(quantiles)}. "
            "Call predict once for each."
        )
    if quantiles is not None:
        if not _listed(quantiles):
            raise ValueError("quantiles must be one at least, got none. Write (0.1, 0.9).")
        wanted = [real(f"quantiles[{i}]", q, 0, 1) for i, q in enumerate(_listed(quantiles))]
        columns = {f"{NAME}-ql{quantile:g}": quantile for quantile in wanted}
    else:
        levels = sorted(map(_percentage, _listed(level)))
        low = {f"{NAME}-lo-{item:g}": round(0.5 - item / 200, 9) for item in levels[::-1]}
        high = {f"{NAME}-hi-{item:g}": round(0.5 + item / 200, 9) for item in levels}
        columns = {NAME: 0.5} | low | high
    for quantile in columns.values():
        if not learned[0] <= quantile <= learned[-1]:
            given = quantile if level is None else 200 * abs(quantile - 0.5)
            raise ValueError(
                f"{'level' if quantiles is None else 'quantiles'} must lie within the quantiles "
                f"that were learned, {learned[0]:g} to {learned[-1]:g}, got {given:g}. "
                "Fit with further quantiles."
            )
    return columns


def levels_of(quantiles: Quantiles) -> list[float]:
    """Return the levels in percent of the intervals whose ends are among quantiles, widest first.

    Examples
    --------
    >>> levels_of((0.025, 0.1, 0.3, 0.5, 0.9, 0.975))
    [95.0, 80.0]
    """
    return [
        round(100 * (1 - 2 * low), 6)
        for low in quantiles
        if low < 0.5 and np.isclose(quantiles, 1 - low).any()
    ]


def _percentage(level: Any) -> float:
    """Return a level, which a share of the values is not."""
    found = real("level", level, 0, 100)
    if found < 1:
        remedy = f"Write {100 * found:g}." if found else "Write 80."
        raise ValueError(f"level must be a percentage of at least 1, got {level!r}. {remedy}")
    return found


def _listed(value: Any) -> list[Any]:
    """Return one number, several or none as a list."""
    if value is None:
        return []
    value = value.tolist() if isinstance(value, np.ndarray) else value
    return list(value) if hasattr(value, "__iter__") and not isinstance(value, str) else [value]
