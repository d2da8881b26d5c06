"""The forms in which series come: forecasts, and values of each step, are given back in them.

pandas is imported only where the user has given a DataFrame or Series, of pandas or of polars.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..utils.checks import integer, shown
from .columns import NAME
from .dates import Calendar, nanoseconds, pandas
from .polars import from_pandas

# Columns of a long DataFrame, as Nixtla's libraries have them.
ID = "unique_id"
TIME = "ds"
VALUE = "y"


@dataclass(frozen=True)
class ArrayForm:
    """The form of series that are arrays.

    Attributes
    ----------
    single : bool
        Whether there was one series by itself, not a list of some.
    skipped : tuple of int
        Number of missing values before the first one of each series, which are left out.
    """

    single: bool
    skipped: tuple[int, ...]

    @property
    def starts(self) -> tuple[int, ...]:
        """The position of the first value of each series."""
        return self.skipped

    def beside(self, values: list[np.ndarray], name: str) -> Any:
        """Return values of each step (T_i,) in the form of the series."""
        pairs = zip(self.skipped, values, strict=True)
        whole = [np.append(np.full(start, np.nan), part) for start, part in pairs]
        return whole[0] if self.single else whole

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

    def labels(self, positions: np.ndarray) -> Any:
        """Return the numbers of steps, which are their positions."""
        return positions

    def given(self, frame: Any) -> Any:
        """Return a DataFrame as it is."""
        return frame

    def answer(self, columns: dict[str, np.ndarray]) -> Any:
        """Return forecasts (n, horizon) by name: the array of medians alone, or else a dict."""
        arrays = {name: part[0] if self.single else part for name, part in columns.items()}
        return arrays[NAME] if list(arrays) == [NAME] else arrays


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
        The position of the first value of each series in the calendar.
    lengths : list of int
        Number of steps of each series.
    calendar : Calendar
        The steps of all series.
    polars : bool
        Whether the DataFrame was one of polars.
    """

    kind: str
    ids: list[Any]
    starts: list[int]
    lengths: list[int]
    calendar: Calendar
    polars: bool = False

    @property
    def single(self) -> bool:
        """Whether there is one series by itself."""
        return self.kind == "series"

    @property
    def skipped(self) -> list[int]:
        """Number of rows before the first value of each series."""
        return [0] * len(self.ids) if self.kind == "long" else self.starts

    def names(self, count: int) -> list[Any]:
        """Return the names of the series."""
        return self.ids

    @cached_property
    def end(self) -> int:
        """Return the position behind the last step of all series."""
        return max(map(sum, zip(self.starts, self.lengths, strict=True)))

    def dates(self, index: int, first: int, count: int) -> Any:
        """Return `count` dates of a series from step `first` on, as an index."""
        position = self.starts[index] + first
        return self.calendar.dates(position + count)[position:]

    def labels(self, positions: np.ndarray) -> Any:
        """Return the dates at positions (N,)."""
        return self.calendar.dates(int(positions.max()) + 1)[positions]

    def begun(self, start: Any) -> FrameForm:
        """Return the form of one series from a date on, with the same frequency."""
        calendar = replace(self.calendar, first=self._position_of(start))
        return FrameForm("series", [VALUE], [0], [0], calendar, self.polars)

    def _position_of(self, start: Any) -> int:
        """Return the number of a step of the calendar."""
        calendar = self.calendar
        if calendar.periods is None and not isinstance(calendar.frequency, str):
            return integer("start", start)
        # pandas would take a number for nanoseconds since 1970.
        if isinstance(start, int | float | np.number):
            raise TypeError(
                f"start must be a date, got {shown(start)}. Give it as the steps of y in fit."
            )
        try:
            if calendar.periods is not None:
                return int(pandas().Period(start, freq=calendar.periods).ordinal)
            date = pandas().Timestamp(getattr(start, "start_time", start))
        except ValueError as error:
            raise ValueError(
                f"start must be a date, got {shown(start)}. Write it as '2025-12-31'."
            ) from error
        zone = calendar.zone if date.tz is None else None
        return nanoseconds(date.tz_localize(zone) if zone else date)

    def some(self, start: int, stop: int) -> FrameForm:
        """Return the form of the series from number `start` on, up to `stop`."""
        fields = ("ids", "starts", "lengths")
        return replace(self, **{name: getattr(self, name)[start:stop] for name in fields})

    def beside(self, values: list[np.ndarray], name: str) -> Any:
        """Return values of each step (T_i,) in the form of the series, with their dates."""
        dates = self.calendar.dates(self.end)
        if self.kind == "long":
            ranges = zip(self.starts, self.lengths, strict=True)
            rows = np.concatenate([np.arange(start, start + count) for start, count in ranges])
            ids = _repeated(self.ids, self.lengths)
            frame = pandas().DataFrame({ID: ids, TIME: dates[rows], name: np.concatenate(values)})
            return self.given(frame)
        whole = np.full((len(dates), len(values)), np.nan)
        for index, part in enumerate(values):
            whole[self.starts[index] :][: len(part), index] = part
        if self.kind == "series":
            return self.given(pandas().Series(whole[:, 0], dates, name=name))
        return self.given(pandas().DataFrame(whole, dates, columns=self.ids))

    def answer(self, columns: dict[str, np.ndarray]) -> Any:
        """Return forecasts (n, horizon) by name, each with the dates behind its series."""
        horizon = next(iter(columns.values())).shape[1]
        dates = self.calendar.dates(self.end + horizon)
        ends = np.add(self.starts, self.lengths)
        plain = list(columns) == [NAME]
        if self.kind == "long":
            rows = (ends[:, None] + np.arange(horizon)).ravel()
            ids = _repeated(self.ids, [horizon] * len(self.ids))
            flat = {name: part.ravel() for name, part in columns.items()}
            return self.given(pandas().DataFrame({ID: ids, TIME: dates[rows]} | flat))
        dates = dates[ends[0] :]
        if self.kind == "series" and plain:
            return self.given(pandas().Series(columns[NAME][0], dates, name=self.ids[0]))
        if self.kind == "series" or plain:
            arrays = columns.items() if not plain else zip(self.ids, columns[NAME], strict=True)
            return self.given(pandas().DataFrame({k: np.ravel(part) for k, part in arrays}, dates))
        pairs = pandas().MultiIndex.from_tuples([(i, name) for i in self.ids for name in columns])
        values = np.stack(list(columns.values()), axis=1).reshape(len(pairs), horizon).T
        return self.given(pandas().DataFrame(values, dates, columns=pairs))

    def given(self, frame: Any) -> Any:
        """Return a DataFrame or Series as one of the library that y was of."""
        return from_pandas(frame) if self.polars else frame


def _repeated(ids: list[Any], counts: list[int]) -> Any:
    """Return the name of each row's series."""
    names = [name for name, count in zip(ids, counts, strict=True) for _ in range(count)]
    return pandas().Series(names, dtype=object).infer_objects()
