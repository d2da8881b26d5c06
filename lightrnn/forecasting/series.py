"""Read series in any form that users have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..data.arrays import as_array, as_numbers
from ..utils.checks import shown
from .forms import ArrayForm, FrameForm
from .frames import called, read_frame
from .polars import is_polars

_ONE_NUMBER = "Give one number a step; the horizon is an argument of the constructor."
# The largest value of which sums of squares are finite.
LARGEST = 1e140


@dataclass(frozen=True, eq=False)
class Panel:
    """Some series, and the form in which they came.

    Attributes
    ----------
    values : list of ndarray of float64 (T_i,)
        The series, NaN where a value is missing.
    form : ArrayForm or FrameForm
        Gives forecasts in the form of the series.
    covariates : list of ndarray of float64 (T_i, C) or (T_i + horizon, C), or None
        Other variables, NaN where a value is missing.
    names : tuple of C str or None
        Their names, if they have some.
    """

    values: list[np.ndarray]
    form: ArrayForm | FrameForm
    covariates: list[np.ndarray] | None = None
    names: tuple[str, ...] | None = None

    @property
    def lengths(self) -> np.ndarray:
        """The number of steps of each series, (n,)."""
        return np.array([len(series) for series in self.values])

    def pairs(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the covariates and the values of each series."""
        yield from zip(self.covariates or [], self.values, strict=True)

    def some(self, start: int, stop: int) -> Panel:
        """Return the series from number `start` on, up to `stop`."""
        values = self.values[start:stop]
        covariates = None if self.covariates is None else self.covariates[start:stop]
        return Panel(values, self.form.some(start, stop), covariates, self.names)

    def check_season(self, season: int) -> None:
        """Raise a ValueError unless a series is longer than a season."""
        longest = int(self.lengths.max())
        if longest > season:
            return
        remedy = "Give more steps, or a shorter season."
        if len(self.values) > longest:
            remedy += (
                " If each series is a column of an array, give y.T; X comes second: fit(y, X)."
            )
        raise ValueError(
            f"y must have a series longer than the season, {season}, got {longest} steps. {remedy}"
        )

    @property
    def seconds(self) -> float | None:
        """The length of a step; None if the series have no dates."""
        return self.form.calendar.seconds if isinstance(self.form, FrameForm) else None

    def until(self, stops: np.ndarray, ahead: int = 0) -> Panel:
        """Return the first steps of each series, stops (n,) of them.

        Their covariates reach as far beyond them as they did, `ahead` steps at least.
        """
        values = [series[:stop] for series, stop in zip(self.values, stops, strict=True)]
        if self.covariates is None:
            return replace(self, values=values)
        covariates = [
            X[: stop + max(ahead, len(X) - len(y))]
            for stop, (X, y) in zip(stops, self.pairs(), strict=True)
        ]
        return replace(self, values=values, covariates=covariates)


def read_panel(y: Any, known: Panel | None = None, name: str = "y") -> Panel:
    """Read series. One begins with its first value; what is missing before that is left out.

    Parameters
    ----------
    y : array-like (T,) or (T, 1), list of array-like (T_i,), array-like (n, T), Series or DataFrame
        Numbers, NaN or None where a value is missing; `read_frame` lists the forms of a DataFrame.
    known : Panel, optional
        The series that were learned from, whose frequency those of y have.
    name : str, default="y"
        What messages call arrays.

    Returns
    -------
    Panel

    Raises
    ------
    TypeError
        If it holds anything but numbers.
    ValueError
        If there is no series, or one without a value, or one with infinity.

    Examples
    --------
    >>> read_panel([[1, 2, 3], [4, 5]]).lengths
    array([3, 2])
    >>> read_panel([1.0, 2.0]).form
    ArrayForm(single=True, skipped=(0,))
    """
    if is_frame(y):
        form = known.form if known and isinstance(known.form, FrameForm) else None
        frame = read_frame(y, form)
        for series, column in zip(frame.values, frame.form.ids, strict=True):
            check_finite(series, called(column))
        return Panel(*frame)
    items = y if isinstance(y, list | tuple) else as_array(y, name, _ONE_NUMBER)
    if isinstance(items, np.ndarray) and not 0 < items.ndim < 3:
        raise ValueError(
            f"{name} must be one series (T,), a list of some, or (n, T), got {shown(items)}. "
            "Forecast each column as a series of its own; other variables are X."
        )
    if isinstance(items, np.ndarray) and items.ndim == 2 and items.shape[1] == 1:
        items = items[:, 0]
    single = _is_flat(items)
    if not len(items):
        raise ValueError(f"{name} must hold at least one series, got {shown(y)}. Pass data.")
    given = [items] if single else items
    names = [name] if single else [f"{name}[{i}]" for i in range(len(given))]
    values = [_series(*pair) for pair in zip(given, names, strict=True)]
    starts = tuple(int(np.isfinite(series).argmax()) for series in values)
    values = [series[start:] for series, start in zip(values, starts, strict=True)]
    return Panel(values, ArrayForm(single, starts))


def is_frame(y: Any) -> bool:
    """Return whether y is a Series or DataFrame."""
    return hasattr(y, "iloc") or is_polars(y)


def _is_flat(items: Any) -> bool:
    """Whether the items are numbers, hence one series."""
    if isinstance(items, np.ndarray) and items.dtype.kind != "O":
        return items.ndim == 1
    return len(items) > 0 and not any(hasattr(item, "__len__") for item in items)


def _series(item: Any, name: str) -> np.ndarray:
    """Return one series as float64, (T,)."""
    if hasattr(getattr(item, "index", None), "freqstr"):
        raise TypeError(
            f"{name} must be an array, got {shown(item)} with dates. Make the list one Series, for "
            "forecasts with dates: pandas.concat(dict(enumerate(y)))."
        )
    array = numbers_in(item, name, _ONE_NUMBER)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(
            f"{name} must be a series (T,), got shape {array.shape}. "
            "Give one number a step; other variables are X."
        )
    values = array.astype(np.float64)
    check_finite(values, name)
    if not np.isfinite(values).any():
        raise ValueError(f"{name} must hold at least one number, got none. Leave the series out.")
    return values


def numbers_in(item: Any, name: str, remedy: str) -> np.ndarray:
    """Return an array of numbers of y or X, which is not one of dates."""
    array = as_array(item, name, remedy)
    if array.dtype.kind == "M":
        raise TypeError(
            f"{name} must hold numbers, got dates. Call fit(y, X), with dates as the index of y: "
            "pandas.Series(values, dates)."
        )
    return as_numbers(array, name)


def check_finite(values: np.ndarray, name: str) -> None:
    """Raise a ValueError if values (T,) or (T, C) are infinite, or their squares are."""
    with np.errstate(invalid="ignore"):
        steps = np.flatnonzero(np.abs(values) > LARGEST)
    if len(steps):
        value = values.flat[steps[0]]
        wanted, remedy = f"at most {LARGEST:g}", "Divide it by a constant."
        if np.isinf(value):
            wanted, remedy = "finite or missing", "Replace it by NaN if it is not known."
        step = steps[0] // (values.size // len(values))
        raise ValueError(f"{name} must be {wanted}, got {value:g} at step {step}. {remedy}")
