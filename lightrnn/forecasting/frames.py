"""Series in DataFrames: read with their dates, and forecasts with the dates that follow.

pandas is imported only where the user has given one of its objects.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from .. import cpu
from ..data.arrays import as_numbers
from ..utils.checks import shown

# Columns of a long DataFrame, as Nixtla's libraries have them.
ID = "unique_id"
TIME = "ds"
VALUE = "y"
# Dates by which a frequency is found if some are left out: more than a week of working days.
_STRETCH = 7


@dataclass(frozen=True, eq=False)
class FrameForm:
    """The form of series in a Series or DataFrame.

    Attributes
    ----------
    kind : {"series", "wide", "long"}
        A Series; a DataFrame with a column for each series; one with a row for each value.
    ids : list
        Names of the series.
    starts : list of int
        The first step of each series: its number, or for dates the nanoseconds since 1970.
    lengths : list of int
        Number of steps of each series.
    frequency : str or int
        What lies between two steps, for dates as pandas writes it.
    name : str or None
        Name of the index.
    periods : bool
        Whether the index holds periods, not dates.
    zone : str or None
        Time zone of the dates.
    unit : str
        Resolution of the dates.
    """

    kind: str
    ids: list[Any]
    starts: list[int]
    lengths: list[int]
    frequency: Any
    name: Any = None
    periods: bool = False
    zone: str | None = None
    unit: str = "ns"

    @property
    def single(self) -> bool:
        """Whether there is one series by itself."""
        return self.kind == "series"

    def beside(self, values: list[np.ndarray], name: str) -> Any:
        """Return values of each step (T_i,) in the form of the series, with their dates."""
        pandas = _pandas()
        series = [
            pandas.Series(part, self.dates(index, 0, len(part)), name=name)
            for index, part in enumerate(values)
        ]
        if self.kind == "series":
            return series[0]
        if self.kind == "wide":
            return pandas.concat(dict(zip(self.ids, series, strict=True)), axis=1)
        joined = pandas.concat(dict(zip(self.ids, series, strict=True)), names=[ID, TIME])
        return joined.reset_index()

    def begun(self, start: Any) -> FrameForm:
        """Return the form of one series from a date on, with the same frequency."""
        if isinstance(self.frequency, int):
            if not isinstance(start, int | np.integer):
                raise TypeError(
                    f"start must be an integer, as the steps of y are, got {shown(start)}."
                )
            first = int(start)
        else:
            date = _pandas().Timestamp(getattr(start, "start_time", start))
            if date.tz is None and self.zone is not None:
                date = date.tz_localize(self.zone)
            first = _nanoseconds(date)
        return replace(self, kind="series", ids=[VALUE], starts=[first], lengths=[0])

    def some(self, start: int, stop: int) -> FrameForm:
        """Return the form of the series from number `start` on, up to `stop`."""
        fields = ("ids", "starts", "lengths")
        return replace(self, **{name: getattr(self, name)[start:stop] for name in fields})

    def names(self, count: int) -> list[Any]:
        """Return the names of the series."""
        return self.ids

    def dates(self, index: int, first: int, count: int) -> Any:
        """Return `count` dates of a series from step `first` on, as an index."""
        start = self.starts[index]
        if isinstance(self.frequency, int):
            numbers = start + self.frequency * np.arange(first, first + count)
            return _pandas().Index(numbers, name=self.name)
        date = _pandas().Timestamp(start, unit="ns", tz=self.zone).as_unit(self.unit)
        whole = _pandas().date_range(date, periods=first + count, freq=self.frequency)
        return whole[first:].rename(self.name)

    def answer(self, columns: dict[str, np.ndarray]) -> Any:
        """Return forecasts (n, horizon) by name, each with the dates behind its series."""
        pandas = _pandas()
        horizon = next(iter(columns.values())).shape[1]
        following = [
            self.dates(index, length, horizon) for index, length in enumerate(self.lengths)
        ]
        if self.periods:
            following = [dates.to_period() for dates in following]
        if self.kind == "long":
            parts: dict[str, Any] = {
                ID: np.repeat(np.array(self.ids, object), horizon),
                TIME: following[0].append(following[1:]),
            }
            frame = pandas.DataFrame(parts | {k: part.ravel() for k, part in columns.items()})
            return frame.infer_objects()
        if self.kind == "series":
            frame = pandas.DataFrame({k: part[0] for k, part in columns.items()}, following[0])
            return frame.iloc[:, 0].rename(self.ids[0]) if len(columns) == 1 else frame
        by_id = {
            (i, name): part[index]
            for index, i in enumerate(self.ids)
            for name, part in columns.items()
        }
        frame = pandas.DataFrame(by_id, following[0])
        return frame.droplevel(1, axis=1) if len(columns) == 1 else frame


class Frame(NamedTuple):
    """Series and covariates of a DataFrame."""

    values: list[np.ndarray]
    form: FrameForm
    covariates: list[np.ndarray] | None
    names: tuple[str, ...] | None


def read_frame(y: Any) -> Frame:
    """Return the series of a Series or DataFrame, on regular dates, and their form.

    Parameters
    ----------
    y : Series or DataFrame
        A Series; a DataFrame with a column for each series; or a long one with the columns
        "unique_id", "ds" and "y", of which further columns are covariates. Rows may be in any
        order.

    Returns
    -------
    Frame
        Values are NaN where a date has no row.

    Raises
    ------
    ValueError
        If dates occur twice, or follow no frequency.
    TypeError
        If a column holds anything but numbers.
    """
    y = _with_columns(y)
    if y.ndim == 1:
        kind = "series"
        series = [(y.name, y.index, y)]
    elif TIME in y.columns and VALUE in y.columns:
        kind = "long"
        series = [(name, dates, part[VALUE]) for name, dates, part in _groups(y)]
    else:
        kind = "wide"
        series = [(name, y.index, y[name]) for name in y.columns]
    values, form = _read(kind, series, y.index.name)
    others = y.columns.drop([ID, TIME, VALUE], errors="ignore") if kind == "long" else ()
    if not len(others):
        return Frame(values, form, None, None)
    covariates, names = aligned(y.drop(columns=VALUE), form, 0)
    return Frame(values, form, covariates, names)


def aligned(X: Any, form: FrameForm, horizon: int) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Return covariates at the dates of series and of the horizon behind, and their names.

    Parameters
    ----------
    X : DataFrame or Series
        A row for each date, of all series; or a long one with "unique_id" and "ds".
    form : FrameForm
        The form of the series.
    horizon : int
        Steps behind each series.

    Returns
    -------
    covariates : list of ndarray of float64 (T_i + horizon, C)
        NaN where X has no row.
    names : tuple of C str
    """
    X = _with_columns(X.to_frame() if X.ndim == 1 else X)
    if TIME in X.columns:
        groups = {name: (dates, part) for name, dates, part in _groups(X)}
        X = X.drop(columns=[ID, TIME], errors="ignore")
    else:
        groups = dict.fromkeys(form.ids, (X.index, X))
    found = []
    for index, name in enumerate(form.ids):
        grid = form.dates(index, 0, form.lengths[index] + horizon)
        values = np.full((len(grid), X.shape[1]), np.nan)
        if name in groups:
            dates, part = groups[name]
            dates, order = _ordered(dates, f"X[{name!r}]")
            numbers = as_numbers(part[X.columns].to_numpy()[order], f"X[{name!r}]")
            places = grid.get_indexer(dates)
            values[places[places >= 0]] = numbers[places >= 0]
        found.append(values)
    return found, tuple(map(str, X.columns))


def _with_columns(frame: Any) -> Any:
    """Return a Series or DataFrame with the names of series and dates as columns."""
    levels = getattr(frame.index, "nlevels", 1)
    if levels == 1 and frame.index.name != ID:
        return frame
    frame = frame.to_frame(VALUE) if frame.ndim == 1 else frame
    return frame.reset_index(names=[ID, TIME] if levels == 2 else ID)


def _groups(frame: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Yield name, dates and rows of each series of a long DataFrame."""
    groups = frame.groupby(ID, sort=False) if ID in frame.columns else [(VALUE, frame)]
    for name, part in groups:
        yield name, _pandas().Index(part[TIME]), part


def _read(
    kind: str, series: list[tuple[Any, Any, Any]], name: Any
) -> tuple[list[np.ndarray], FrameForm]:
    """Return the values of series, each name, index and values, on regular dates."""
    if not series:
        raise ValueError("y must hold at least one series, got none. Pass data.")
    longest = max(series, key=lambda item: len(item[1]))
    frequency = _frequency(_ordered(longest[1], f"y[{longest[0]!r}]")[0])
    values = []
    starts = []
    for key, index, column in series:
        where = f"y[{key!r}]"
        index, order = _ordered(index, where)
        numbers = as_numbers(column.to_numpy()[order], where).astype(np.float64)
        positions = _positions(index, frequency, where)
        regular = np.full(positions[-1] + 1, np.nan)
        regular[positions] = numbers
        values.append(regular)
        starts.append(int(_nanoseconds(index[0]) if isinstance(frequency, str) else index[0]))
    ids = [key for key, _, _ in series]
    lengths = [len(part) for part in values]
    periods = isinstance(longest[1], _pandas().PeriodIndex)
    zone = getattr(longest[1], "tz", None)
    unit = getattr(longest[1], "unit", "ns")
    form = FrameForm(kind, ids, starts, lengths, frequency, name, periods, zone and str(zone), unit)
    return values, form


def _nanoseconds(date: Any) -> int:
    """Return a date as nanoseconds since 1970."""
    return int(date.as_unit("ns").value)


def _ordered(index: Any, where: str) -> tuple[Any, np.ndarray]:
    """Return an index of dates or integers in ascending order, and the order of its rows."""
    pandas = _pandas()
    if not len(index):
        raise ValueError(f"{where} must hold at least one number, got none. Leave it out.")
    if isinstance(index, pandas.PeriodIndex):
        index = index.to_timestamp()
    if index.dtype.kind not in "iuM" and not hasattr(index, "tz"):
        try:
            index = pandas.DatetimeIndex(index)
        except (ValueError, TypeError) as error:
            raise TypeError(
                f"{where} must have dates or integers for its steps, got {shown(index[0])}. "
                "Convert them with pandas.to_datetime."
            ) from error
    order = np.argsort(index.asi8 if hasattr(index, "asi8") else index.to_numpy(), kind="stable")
    if not index.is_monotonic_increasing:
        index = index[order]
    if not index.is_unique:
        raise ValueError(
            f"{where} must have one row for each date, got {shown(index[index.duplicated()][0])} "
            "twice. Take their mean or sum with groupby; local times of a clock that is set back "
            "need a time zone."
        )
    return index, order


def _frequency(index: Any) -> Any:
    """Return what lies between two steps: a str of pandas' for dates, or an integer."""
    if not hasattr(index, "freqstr"):
        return int(np.diff(index.to_numpy()).min()) if len(index) > 1 else 1
    pandas = _pandas()
    # Where some dates are left out, those of a stretch without a gap show the frequency.
    stretches = (index[start : start + _STRETCH] for start in range(max(1, len(index) - _STRETCH)))
    given = [index.freqstr] if index.freqstr else map(_inferred, (index, *stretches))
    found = next(filter(None, given), None)
    if found is not None:
        return found
    if len(index) < 2:
        raise ValueError(
            "y must have a frequency, got one date. Set it: y.index = y.index.to_period('D')."
        )
    return pandas.tseries.frequencies.to_offset((index[1:] - index[:-1]).min()).freqstr


def _inferred(index: Any) -> str | None:
    """Return the frequency of an index without gaps, None if it has some."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that later versions will return an offset
        found = _pandas().infer_freq(index) if len(index) > 2 else None
    return getattr(found, "freqstr", found)


def _positions(index: Any, frequency: Any, where: str) -> np.ndarray:
    """Return the number of steps from the first date to each one."""
    if isinstance(frequency, int):
        steps, rest = np.divmod(index.to_numpy() - index[0], frequency)
        regular = not rest.any()
    else:
        grid = _pandas().date_range(index[0], index[-1], freq=frequency)
        steps = grid.get_indexer(index)
        regular = bool((steps >= 0).all())
    if not regular:
        raise ValueError(
            f"{where} must have dates of one frequency, got some between those of "
            f"{shown(frequency)}. Bring all to one: y.resample(...).mean(), or fit one forecaster "
            "for each frequency."
        )
    return np.asarray(steps)


def _pandas() -> Any:
    """Return pandas, which whoever has given a DataFrame has imported."""
    return cpu.once.imported("pandas")
