"""The steps of series as pandas writes them: dates, periods or integers, a constant step apart."""

from __future__ import annotations

import warnings
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .. import cpu
from ..utils.checks import shown

# Dates by which a frequency is found if some are left out: more than a week of working days.
_STRETCH = 7
# Steps by which the length of one is taken: months and years differ.
_MEASURED = 100


@dataclass(frozen=True)
class Calendar:
    """The regular steps of a panel, from its earliest date on; a step's number is its position.

    Attributes
    ----------
    first : int
        The first step: its number, the ordinal of its period, or nanoseconds since 1970.
    frequency : str or int
        What lies between two steps, for dates as pandas writes it.
    periods : str or None
        Frequency of the periods, if the steps are some.
    zone : str or None
        Time zone of the dates.
    unit : str
        Resolution of the dates.
    name : str or None
        Name of the index.
    """

    first: int
    frequency: Any
    periods: str | None = None
    zone: str | None = None
    unit: str = "ns"
    name: Any = None

    @classmethod
    def of(cls, index: Any, frequency: Any) -> Self:
        """Return the calendar of an index that `read_index` has returned."""
        first = index.min()
        name = index.name
        if isinstance(frequency, str):
            zone = index.tz and str(index.tz)
            return cls(nanoseconds(first), frequency, zone=zone, unit=index.unit, name=name)
        periods = getattr(index, "freqstr", None)
        return cls(int(getattr(first, "ordinal", first)), frequency, periods, name=name)

    def dates(self, count: int) -> Any:
        """Return the first steps as an index."""
        if isinstance(self.frequency, str):
            date = pandas().Timestamp(self.first, unit="ns", tz=self.zone).as_unit(self.unit)
            dates = pandas().date_range(date, periods=count, freq=self.frequency)
            return dates.as_unit(self.unit).rename(self.name)
        numbers = self.first + self.frequency * np.arange(count)
        if self.periods is None:
            return pandas().Index(numbers, name=self.name)
        return pandas().PeriodIndex.from_ordinals(numbers, freq=self.periods, name=self.name)

    def positions(self, index: Any) -> np.ndarray:
        """Return the positions of steps, -1 for those between two steps or before the first."""
        is_period = isinstance(index, pandas().PeriodIndex)
        if isinstance(self.frequency, str):
            index = index.to_timestamp() if is_period else index
            there = hasattr(index, "tz") and (index.tz is None) == (self.zone is None)
            if not there or not len(index):
                return np.full(len(index), -1)
            last = index.max().tz_convert(self.zone) if self.zone else index.max()
            dates = pandas().date_range(self.dates(1)[0], last, freq=self.frequency)
            return np.asarray(dates.get_indexer(index))
        if self.periods and (is_period or hasattr(index, "tz")):
            same = is_period and index.freqstr == self.periods
            index = index if same else _as_periods(index, self.periods)
        elif self.periods or index.dtype.kind not in "iu":
            return np.full(len(index), -1)
        steps, rest = np.divmod(_numbers(index) - self.first, self.frequency)
        return np.where((rest == 0) & (steps >= 0), steps, -1)

    @property
    def seconds(self) -> float | None:
        """The length of a step; None for integers."""
        if not isinstance(self.frequency, str) and self.periods is None:
            return None
        dates = self.dates(_MEASURED + 1)
        dates = dates.to_timestamp() if self.periods else dates
        return float((dates[-1] - dates[0]).total_seconds()) / _MEASURED


def nanoseconds(date: Any) -> int:
    """Return a date as nanoseconds since 1970."""
    try:
        return int(date.as_unit("ns").value)
    except ValueError as error:  # out of bounds
        raise ValueError(
            f"y must have dates from 1678 to 2261, got {date}. Convert others to periods: "
            "y.to_period('M')."
        ) from error


def read_index(index: Any, where: str) -> Any:
    """Return dates, periods or integers as pandas' index of them.

    Raises
    ------
    TypeError
        If it holds anything else.
    ValueError
        If one is missing.
    """
    index = pandas().Index(index).infer_objects()
    if isinstance(index, pandas().CategoricalIndex):
        index = pandas().Index(index.to_numpy(), name=index.name)
    if index.hasnans:
        raise ValueError(
            f"{where} must have a date in each row, got none in row {index.isna().argmax()}. "
            "Leave these rows out."
        )
    kind = index.dtype.kind
    if kind == "M":  # of Arrow, too
        index = pandas().DatetimeIndex(index)
    if isinstance(index, (pandas().DatetimeIndex, pandas().PeriodIndex)):
        return index
    if kind in "iu" or (kind == "f" and (index == index.astype(np.int64)).all()):
        index = index.astype(np.int64)
        _check_steps(index, where)
        return index
    dates = None if kind in "fbm" else _parsed(index)
    if dates is None:
        raise TypeError(
            f"{where} must have dates or integers for its steps, got {shown(index[0])}. Convert "
            "them with pandas.to_datetime and their format, or quarters with pandas.PeriodIndex."
        )
    return dates


def _parsed(labels: Any) -> Any:
    """Return the dates of labels that are all written in one way, or None."""
    for form in ("ISO8601", None):
        # pandas warns where it would guess at each label anew, months and days in either order.
        with warnings.catch_warnings(), suppress(ValueError, TypeError, UserWarning):
            warnings.simplefilter("error")
            return pandas().to_datetime(labels, format=form)
    return None


def _check_steps(index: Any, where: str) -> None:
    """Raise a ValueError if integers are dates: 202412, or 20241231, is followed by 202501."""
    for form, unit in (("%Y%m", 100), ("%Y%m%d", 10_000)):
        years, rest = np.divmod(index.to_numpy(), unit)
        months, days = (rest, 1) if unit == 100 else np.divmod(rest, 100)
        found = np.where((months >= 1) & (months <= 12) & (days >= 1) & (days <= 31), years, 0)
        # Of no rows there is no least year, and not more than one month either.
        if len(np.unique(months)) > 1 and found.min() >= 1900 and found.max() <= 2100:
            raise ValueError(
                f"{where} must have dates or successive integers, got {index[0]}, a date written "
                f"as a number. Convert them: pandas.to_datetime(..., format={form!r})."
            )


def frequency_of(index: Any, known: Any = None) -> Any:
    """Return what lies between two steps of a series: a str of pandas' for dates, or an integer.

    Parameters
    ----------
    index : Index
        Steps without order.
    known : str or int, optional
        The frequency of series before; it is that of these too if all dates follow it.
    """
    index = index.unique().sort_values()
    if not hasattr(index, "tz"):
        steps = np.diff(_numbers(index))
        if isinstance(known, int) and not (steps % known).any():
            return known
        return int(steps.min()) if len(steps) else 1
    if isinstance(known, str):
        dates = pandas().date_range(index[0], index[-1], freq=known)
        if index.isin(dates).all():
            return known
    # Where some dates are left out, those of a stretch without a gap show the frequency.
    stretches = (index[start : start + _STRETCH] for start in range(max(1, len(index) - _STRETCH)))
    given = [index.freqstr] if index.freqstr else map(_inferred, (index, *stretches))
    found = next(filter(None, given), None)
    if found is not None:
        return found
    if len(index) < 2:
        raise ValueError(
            "y must have a frequency, got one date. Convert the dates to periods: "
            "dates.to_period('D')."
        )
    return pandas().tseries.frequencies.to_offset((index[1:] - index[:-1]).min()).freqstr


def _inferred(index: Any) -> str | None:
    """Return the frequency of an index without gaps, None if it has some."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that later versions will return an offset
        found = pandas().infer_freq(index) if len(index) > 2 else None
    return getattr(found, "freqstr", found)


def _numbers(index: Any) -> np.ndarray:
    """Return integers, or the ordinals of periods."""
    return np.asarray(getattr(index, "asi8", index), np.int64)


def _as_periods(index: Any, frequency: str) -> Any:
    """Return dates or other periods as periods of a frequency."""
    if hasattr(index, "tz"):
        return index.tz_localize(None).to_period(frequency)
    return index.asfreq(frequency)


def pandas() -> Any:
    """Return pandas, which whoever has given a DataFrame of its own has imported.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        return cpu.once.imported("pandas")
    except ImportError as error:
        raise ImportError(
            "pandas must be installed for DataFrames and their dates, got none. "
            "Run: python -m pip install pandas"
        ) from error
