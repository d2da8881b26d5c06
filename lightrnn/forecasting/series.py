"""Read series in any form that users have, and give forecasts in the same form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..data.arrays import as_array, as_numbers
from ..utils.checks import shown
from .frames import FrameForm, aligned, read_frame


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

    def until(self, stops: np.ndarray) -> Panel:
        """Return the first steps of each series, stops (n,) of them."""
        stops = stops.tolist()
        values = [series[:stop] for series, stop in zip(self.values, stops, strict=True)]
        if self.covariates is None:
            return replace(self, values=values)
        # They reach as far beyond the series as they did.
        covariates = [
            X[: stop + len(X) - len(y)] for stop, (X, y) in zip(stops, self.pairs(), strict=True)
        ]
        return replace(self, values=values, covariates=covariates)


@dataclass(frozen=True)
class ArrayForm:
    """The form of series that are arrays.

    Attributes
    ----------
    single : bool
        Whether there was one series by itself, not a list of some.
    """

    single: bool

    def beside(self, values: list[np.ndarray], name: str) -> Any:
        """Return values of each step (T_i,) in the form of the series."""
        return values[0] if self.single else values

    def begun(self, start: Any) -> ArrayForm:
        """Return the form of a series from a date on: arrays have no dates."""
        raise ValueError(
            f"start must be None, got {shown(start)}. The forecaster was fitted without dates."
        )

    def some(self, start: int, stop: int) -> ArrayForm:
        """Return the form of some of the series: the same."""
        return self

    def names(self, count: int) -> list[Any]:
        """Return the numbers of series, for their names."""
        return list(range(count))

    def dates(self, index: int, first: int, count: int) -> Any:
        """Return None: arrays have no dates."""
        return None

    def answer(self, columns: dict[str, np.ndarray]) -> Any:
        """Return forecasts (n, horizon) by name: the array if there is one, else a dict."""
        arrays = {name: part[0] if self.single else part for name, part in columns.items()}
        return next(iter(arrays.values())) if len(arrays) == 1 else arrays


def read_panel(y: Any) -> Panel:
    """Read series.

    Parameters
    ----------
    y : array-like (T,), list of array-like (T_i,), array-like (n, T), Series or DataFrame
        Numbers, NaN or None where a value is missing; `read_frame` lists the forms of a DataFrame.

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
    ArrayForm(single=True)
    """
    if hasattr(y, "iloc"):
        frame = read_frame(y)
        for series, name in zip(frame.values, frame.form.ids, strict=True):
            _check(series, f"y[{name!r}]")
        return Panel(*frame)
    items = y if isinstance(y, list | tuple) else as_array(y, "y", "Give one number a step.")
    if isinstance(items, np.ndarray) and items.ndim > 2:
        raise ValueError(
            f"y must be one series (T,), a list of some, or (n, T), got {shown(items)}. "
            "Forecast each column as a series of its own; other variables are X."
        )
    single = _is_flat(items)
    if not single and not len(items):
        raise ValueError(f"y must hold at least one series, got {shown(y)}. Pass data.")
    given = [items] if single else items
    names = ["y"] if single else [f"y[{i}]" for i in range(len(given))]
    values = [_series(item, name) for item, name in zip(given, names, strict=True)]
    return Panel(values, ArrayForm(single))


def _is_flat(items: Any) -> bool:
    """Whether the items are numbers, hence one series."""
    if isinstance(items, np.ndarray) and items.dtype.kind != "O":
        return items.ndim == 1
    return len(items) > 0 and not any(hasattr(item, "__len__") for item in items)


def _series(item: Any, name: str) -> np.ndarray:
    """Return one series as float64, (T,)."""
    array = as_numbers(as_array(item, name, "Give one number a step."), name)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(
            f"{name} must be a series (T,), got shape {array.shape}. "
            "Give one number a step; other variables are X."
        )
    values = array.astype(np.float64)
    _check(values, name)
    return values


def _check(values: np.ndarray, name: str) -> None:
    """Raise a ValueError if a series holds infinity, or no number at all."""
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        raise ValueError(
            f"{name} must be finite or missing, got {values[infinite[0]]} at step {infinite[0]}. "
            "Replace it by NaN if it is not known."
        )
    if not np.isfinite(values).any():
        raise ValueError(
            f"{name} must hold at least one number, got {shown(values)}. Leave the series out."
        )


def with_covariates(panel: Panel, X: Any, horizon: int) -> Panel:
    """Return a panel with other variables beside its series.

    Parameters
    ----------
    panel : Panel
        The series; it may have covariates, of which X then replaces a part.
    X : array-like (T,) or (T, C), list of them, or DataFrame, or None
        As long as the series, or a horizon longer. If the panel has covariates, the horizon alone.
    horizon : int
        Steps of the horizon.

    Returns
    -------
    Panel

    Raises
    ------
    ValueError
        If X has other rows, or not the columns that there are.
    TypeError
        If it holds anything but numbers.
    """
    if X is None:
        return panel
    if hasattr(X, "iloc") and isinstance(panel.form, FrameForm):
        given, names = aligned(X, panel.form, horizon)
    else:
        names = None
        items = [X] if panel.form.single else list(X)
        if len(items) != len(panel.values):
            raise ValueError(
                f"X must have one item for each series, {len(panel.values)}, got {len(items)}. "
                "Give a list of arrays (T, C)."
            )
        given = [
            _beside(item, series, horizon, panel.covariates is not None, f"X[{index}]")
            for index, (item, series) in enumerate(zip(items, panel.values, strict=True))
        ]
    if panel.covariates is not None:
        _check_columns(panel, given[0].shape[1], names)
        given = list(map(_merged, panel.covariates, given))
    ahead = any(
        np.isfinite(part[len(series) :]).any()
        for part, series in zip(given, panel.values, strict=True)
    )
    if not ahead:
        pairs = zip(given, panel.values, strict=True)
        given = [part[: len(series)] for part, series in pairs]
    return replace(panel, covariates=given, names=names or panel.names)


def _beside(item: Any, series: np.ndarray, horizon: int, more: bool, name: str) -> np.ndarray:
    """Return the covariates of a series, (T + horizon, C), NaN where they are not given."""
    array = as_numbers(as_array(item, name, "Give one row a step."), name).astype(np.float64)
    rows = array.reshape(len(array), -1)
    T = len(series)
    wanted = (T, T + horizon, horizon) if more else (T, T + horizon)
    if len(rows) not in wanted:
        raise ValueError(
            f"{name} must have as many rows as the series, {T}, or {T + horizon} with the horizon"
            f"{', or ' + str(horizon) + ' for the horizon alone' if more else ''}, got {len(rows)}."
        )
    whole = np.full((T + horizon, rows.shape[1]), np.nan)
    start = T if len(rows) == horizon and more and horizon != T else 0
    whole[start : start + len(rows)] = rows
    return whole


def _merged(before: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Return given covariates, and where they are missing those of before."""
    whole = given.copy()
    part = whole[: len(before)]
    np.copyto(part, before[: len(part)], where=np.isnan(part))
    return whole


def _check_columns(panel: Panel, count: int, names: tuple[str, ...] | None) -> None:
    """Raise a ValueError unless covariates have the columns of those of before."""
    before = panel.covariates[0].shape[1] if panel.covariates else 0
    if count != before or (names and panel.names and names != panel.names):
        raise ValueError(
            f"X must have the columns {panel.names or before}, as in fit, got {names or count}."
        )
