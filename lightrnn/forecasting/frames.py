"""Read series in DataFrames, with their dates.

pandas is imported only where the user has given a DataFrame or Series, of pandas or of polars.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..data.arrays import as_numbers
from ..utils.checks import shown
from .dates import Calendar, frequency_of, pandas, read_index
from .forms import ID, TIME, VALUE, FrameForm
from .polars import is_polars, to_pandas

_ENCODE = "Encode it as numbers: pandas.to_numeric, or pandas.get_dummies for categories."
_WIDE = (
    "If it holds dates, make it the index, y.set_index({name!r}); if it names series, the columns "
    f"of the DataFrame must be {ID!r}, {TIME!r} and {VALUE!r}."
)
# Steps for each row, above which a date is taken for a slip of the pen.
_SPARSEST = 1000
# Gaps that are as long as this many times the shortest one still belong to one frequency: months.
_ALIKE = 1.2


class Frame(NamedTuple):
    """Series and covariates of a DataFrame."""

    values: list[np.ndarray]
    form: FrameForm
    covariates: list[np.ndarray] | None
    names: tuple[str, ...] | None


class _Rows(NamedTuple):
    """Values of a DataFrame, one row for each."""

    kind: str
    ids: list[Any]
    codes: np.ndarray  # (N,) of int: the series of each row
    index: Any  # (N,), or (N / n,) if all n series have the same steps
    values: np.ndarray  # (N,)
    covariates: np.ndarray | None = None  # (N, C)
    names: tuple[str, ...] | None = None


def read_frame(y: Any, known: FrameForm | None = None) -> Frame:
    """Return the series of a Series or DataFrame, on regular dates, and their form.

    A series begins with its first value.

    Parameters
    ----------
    y : Series or DataFrame of pandas or polars
        A Series; a DataFrame with a column for each series; or a long one with the columns
        "unique_id", "ds" and "y", of which further columns are covariates. Rows may be in any
        order.
    known : FrameForm, optional
        The form of the series that were learned from.

    Returns
    -------
    Frame
        Values are NaN where a date has no row.

    Raises
    ------
    ValueError
        If dates occur twice, or follow no frequency, or not the one that is known.
    TypeError
        If a column holds anything but numbers.
    """
    rows = _rows(with_columns(to_pandas(y) if is_polars(y) else y))
    if not len(rows.values):
        raise ValueError(f"y must hold at least one number, got {shown(y)}. Pass data.")
    calendar = _calendar(rows, known)
    positions = calendar.positions(rows.index)
    if (positions < 0).any():
        raise _mixed(rows.index[positions.argmin()], calendar.frequency)
    positions = np.tile(positions, len(rows.values) // len(positions))
    _check_gaps(rows, positions, calendar.frequency)
    n = len(rows.ids)
    there = ~np.isnan(rows.values)
    starts = np.full(n, positions.max() + 1)
    np.minimum.at(starts, rows.codes[there], positions[there])
    ends = np.zeros(n, np.intp)
    np.maximum.at(ends, rows.codes, positions + 1)
    if (starts >= ends).any():
        raise ValueError(
            f"{called(rows.ids[(starts >= ends).argmax()])} must hold at least one number, got "
            "none. Leave the series out."
        )
    kept = positions >= starts[rows.codes]
    lengths = ends - starts
    at = np.cumsum(lengths) - lengths - starts  # of position 0, were it there
    places = positions[kept] + at[rows.codes[kept]]
    form = FrameForm(rows.kind, rows.ids, starts.tolist(), lengths.tolist(), calendar, is_polars(y))
    values = placed(rows.values[kept], places, lengths)
    if rows.covariates is None:
        return Frame(values, form, None, None)
    return Frame(values, form, placed(rows.covariates[kept], places, lengths), rows.names)


def with_columns(frame: Any) -> Any:
    """Return a Series or DataFrame with the names of series and dates where they belong.

    They are columns of a long DataFrame, and the index of any other.
    """
    levels = frame.index.nlevels
    if levels > 2:
        raise ValueError(
            f"A DataFrame must have dates as its index, or {ID!r} and {TIME!r}, got {levels} "
            "levels. Join the names of a series to one."
        )
    if levels == 2:
        frame = frame.to_frame(VALUE) if frame.ndim == 1 else frame
        return frame.reset_index(names=[ID, TIME])
    if frame.ndim == 1:
        return frame
    if not frame.columns.is_unique:
        raise ValueError(
            "A DataFrame must have one column of each name, got "
            f"{shown(frame.columns[frame.columns.duplicated()][0])} twice. Rename one of them."
        )
    if frame.index.name == ID or (frame.index.name == TIME and ID in frame.columns):
        return frame.reset_index()
    is_long = ID in frame.columns or (TIME in frame.columns and VALUE in frame.columns)
    if is_long or not isinstance(frame.index, pandas().RangeIndex):
        return frame
    dated = [name for name in frame.columns if frame[name].dtype.kind == "M" or name == TIME]
    return frame.set_index(dated[0]) if len(dated) == 1 else frame


def _rows(y: Any) -> _Rows:
    """Return the values of a DataFrame or Series, and where they belong."""
    if y.ndim == 1:
        codes = np.zeros(len(y), np.intp)
        index = read_index(y.index, "y")
        return _Rows("series", [y.name], codes, index, numbers_of(y, called(y.name)))
    if ID not in y.columns and not (TIME in y.columns and VALUE in y.columns):
        parts = [numbers_of(y[name], called(name), _WIDE.format(name=name)) for name in y.columns]
        codes = np.repeat(np.arange(len(parts)), len(y))
        values = np.concatenate([np.empty(0), *parts])
        return _Rows("wide", list(y.columns), codes, read_index(y.index, "y"), values)
    if TIME not in y.columns or VALUE not in y.columns:
        raise ValueError(
            f"y must have the columns {ID!r}, {TIME!r} and {VALUE!r}, got {list(y.columns)}. "
            "Rename its columns."
        )
    codes, ids = _codes_of(y)
    index = read_index(y[TIME], f"y[{TIME!r}]")
    values = numbers_of(y[VALUE], called(VALUE))
    others = y.columns.drop([ID, TIME, VALUE], errors="ignore")
    if not len(others):
        return _Rows("long", ids, codes, index, values)
    remedy = _ENCODE if ID in y.columns else f"If it names the series, call it {ID!r}. {_ENCODE}"
    columns = [numbers_of(y[name], called(name), remedy) for name in others]
    covariates = np.column_stack(columns)
    return _Rows("long", ids, codes, index, values, covariates, tuple(map(str, others)))


def _codes_of(frame: Any) -> tuple[np.ndarray, list[Any]]:
    """Return the number of the series that each row of a long DataFrame belongs to, and names."""
    if ID not in frame.columns:
        return np.zeros(len(frame), np.intp), [VALUE]
    codes, ids = pandas().factorize(frame[ID])
    if (codes < 0).any():
        raise ValueError(
            f"y[{ID!r}] must name a series in each row, got none in row {codes.argmin()}. "
            "Leave these rows out."
        )
    return codes, list(ids)


def numbers_of(column: Any, where: str, remedy: str = _ENCODE) -> np.ndarray:
    """Return a column as float64, NaN where a value is missing."""
    if getattr(column.dtype, "kind", "O") in "fiub":
        return np.asarray(column.to_numpy(np.float64, na_value=np.nan))
    values = column.to_numpy()
    text = next((value for value in values if isinstance(value, str | np.datetime64)), None)
    if text is not None:
        kind = "text" if isinstance(text, str) else "a date"
        raise TypeError(f"{where} must hold numbers, got {kind}: {str(text)!r}. {remedy}")
    return as_numbers(values, where).astype(np.float64)


def called(name: Any) -> str:
    """Return how messages call a series or a column of y."""
    return "y" if name is None else f"y[{name!r}]"


def _calendar(rows: _Rows, known: FrameForm | None) -> Calendar:
    """Return the calendar of rows, of the frequency of their longest series."""
    index = rows.index
    longest = index
    if rows.kind == "long":
        longest = index[rows.codes == np.bincount(rows.codes).argmax()]
    calendar = Calendar.of(index, frequency_of(longest, known and known.calendar.frequency))
    span = index.max() - index.min()
    if hasattr(span, "total_seconds"):
        steps = span.total_seconds() / (calendar.seconds or 1)
    else:
        steps = getattr(span, "n", span) / calendar.frequency
    if steps > _SPARSEST * len(rows.values):
        raise ValueError(
            f"y must have values at some of its dates at least, got {len(rows.values)} from "
            f"{index.min()} to {index.max()}. Correct the dates."
        )
    mine, theirs = calendar.seconds, known and known.calendar.seconds
    if mine and theirs and not theirs / _ALIKE**2 <= mine <= theirs * _ALIKE**2:
        raise ValueError(
            f"y must have the frequency of the fit, {known and known.calendar.frequency!r}, got "
            f"{calendar.frequency!r}. Bring it to that one: y.resample(...).mean()."
        )
    return calendar


def _check_gaps(rows: _Rows, positions: np.ndarray, frequency: Any) -> None:
    """Raise a ValueError if a series has two rows for a date, or a frequency of its own."""
    order = np.lexsort((positions, rows.codes))
    gaps = np.diff(positions[order])
    inside = np.diff(rows.codes[order]) == 0  # not from one series to the next
    twice = np.flatnonzero(inside & (gaps == 0))
    if len(twice):
        row = order[twice[0]]
        names = f"Name series in a column {ID!r}. " if rows.ids == [VALUE] else ""
        raise ValueError(
            f"{called(rows.ids[rows.codes[row]])} must have one row for each date, got "
            f"{shown(rows.index[row % len(rows.index)])} twice. {names}Take their mean or sum "
            "with groupby; local times of a clock that is set back need a time zone."
        )
    for code, part in _wide_gaps(rows.codes[order][1:][inside], gaps[inside]):
        if len(part) > 2 and np.median(part) <= _ALIKE * part.min():
            raise _mixed(rows.index[np.flatnonzero(rows.codes == code)[1]], frequency)


def _wide_gaps(codes: np.ndarray, gaps: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the gaps of each series that has no two values in adjacent steps."""
    firsts = np.flatnonzero(np.diff(codes, prepend=-1))
    for first, part in zip(firsts, np.split(gaps, firsts)[1:], strict=True):
        if part.min() > 1:
            yield int(codes[first]), part


def _mixed(date: Any, frequency: Any) -> ValueError:
    """Return the error of dates that follow no frequency."""
    return ValueError(
        f"y must have dates of one frequency, got {shown(date)} among those of {frequency!r}. "
        "Bring all to one: y.resample(...).mean(), dt.floor(...) for clocks that differ, or "
        "to_period('M') for days of months; or fit one forecaster for each frequency."
    )


def placed(rows: np.ndarray, places: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    """Return rows (N,) or (N, C) at their places, NaN elsewhere, as one array for each series."""
    whole = np.full((int(lengths.sum()), *rows.shape[1:]), np.nan)
    whole[places] = rows
    return np.split(whole, np.cumsum(lengths)[:-1])
