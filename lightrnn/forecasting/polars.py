"""DataFrames of polars, by way of pandas, which knows calendars; both only where they are given."""

from __future__ import annotations

from typing import Any

from ..cpu import once
from .columns import NAME
from .dates import pandas


def is_polars(frame: Any) -> bool:
    """Return whether an object is one of polars."""
    return type(frame).__module__.partition(".")[0] == "polars"


def to_pandas(frame: Any) -> Any:
    """Return a Series or DataFrame of polars as one of pandas.

    Raises
    ------
    TypeError
        If it is another object of polars.
    ImportError
        If pandas is not installed.
    """
    if not hasattr(frame, "to_numpy"):
        raise TypeError(
            f"y and X must be a Series or a DataFrame, got a {type(frame).__name__}. "
            "Call its collect()."
        )
    if not hasattr(frame, "columns"):
        return pandas().Series(_values(frame), name=frame.name or None)
    return pandas().DataFrame({column.name: _values(column) for column in frame.get_columns()})


def _values(column: Any) -> Any:
    """Return the values of a column of polars, dates in their time zone."""
    zone = getattr(column.dtype, "time_zone", None)
    values = column.to_numpy()
    if zone is None:
        return values
    return pandas().DatetimeIndex(values).tz_localize("UTC").tz_convert(zone)


def from_pandas(frame: Any) -> Any:
    """Return a forecast as a Series or DataFrame of polars, its dates as a column."""
    polars = once.imported("polars")
    if frame.ndim == 1:
        return polars.Series(frame.name or "", frame.to_numpy())
    if hasattr(frame.index, "tz") or frame.index.name is not None:
        dates = {frame.index.name or "ds": frame.index}
    else:
        dates = {}
    columns = {_flat(name): part for name, part in frame.items()}
    return polars.DataFrame([_column(name, part) for name, part in (dates | columns).items()])


def _flat(name: Any) -> str:
    """Return the name of a column; of a series' intervals, its name with their ends."""
    if not isinstance(name, tuple):
        return str(name)
    series, column = name
    return f"{series}{column.removeprefix(NAME)}"


def _column(name: str, values: Any) -> Any:
    """Return a column of polars."""
    polars = once.imported("polars")
    dtype = values.dtype
    zone = getattr(dtype, "tz", None)
    if zone is not None:
        dates = pandas().DatetimeIndex(values)
        plain = polars.Series(name, dates.tz_convert("UTC").tz_localize(None).to_numpy())
        return plain.dt.replace_time_zone("UTC").dt.convert_time_zone(str(zone))
    if dtype.kind == "O":
        return polars.Series(name, list(values))
    array = values.to_numpy()
    return polars.Series(name, array.astype("M8[D]") if dtype == "M8[s]" else array)
