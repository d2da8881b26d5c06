"""Other variables beside a series: known of the past alone, known ahead, constant, or the calendar.

Nobody has to say which is which. What does not change within any series is read once. Of all else
the network reads the last season, and the horizon ahead as far as it is known: where X ends with
the series it does so in half of the training only, so that forecasts may be made with and without.
Where X goes on behind the series, columns without a value there are known of the past alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .. import cpu
from .dates import Calendar
from .forms import FrameForm
from .series import Panel

if TYPE_CHECKING:
    from ..cpu.series import Input

# Of these cycles of a calendar the network reads those that the series show at least twice.
CYCLES = {"day": 86_400.0, "week": 604_800.0, "year": 31_556_952.0}


@dataclass(frozen=True)
class Covariates:
    """The other variables that a fit has learned from.

    Attributes
    ----------
    names : tuple of C str or None
        Names of the columns of X, if they have some.
    mean, scale : tuple of C floats
        Mean and deviation of each column of X.
    static : tuple of C bools
        Whether a column does not change within any series.
    past : tuple of C bools
        Whether a column changes, and is known of the past alone.
    ahead : {"never", "sometimes", "always"}
        When the other columns are known of the horizon: "always" if X was that much longer than y.
    cycles : tuple of str
        The cycles of the calendar that are read.
    """

    names: tuple[str, ...] | None = None
    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    static: tuple[bool, ...] = ()
    past: tuple[bool, ...] = ()
    ahead: str = "never"
    cycles: tuple[str, ...] = ()

    @classmethod
    def of(cls, panel: Panel, horizon: int) -> Self:
        """Return the variables of a panel that is learned from."""
        cycles = tuple(name for name, period in CYCLES.items() if _shown_twice(panel, period))
        if panel.covariates is None:
            return cls(cycles=cycles)
        steps = np.concatenate(panel.covariates)
        missing = np.isnan(steps).all(axis=0)
        if missing.any():
            column = int(missing.argmax())
            raise ValueError(
                f"X must hold at least one number in each column, got none in "
                f"{panel.names[column] if panel.names else column!r}. Leave the column out."
            )
        mean = np.nanmean(steps, axis=0)
        deviation = np.nanstd(steps, axis=0)
        scale = np.where(deviation > 0, deviation, 1.0)
        static = np.all([_is_constant(X) for X in panel.covariates], axis=0)
        behind = [X[len(y) :] for X, y in panel.pairs()]
        longer = [len(X) > 0 for X in behind]
        past = ~static & any(longer) & ~np.isfinite(np.concatenate(behind)).any(axis=0)
        ahead = "never" if (static | past).all() else "always" if all(longer) else "sometimes"
        moments = tuple(mean.tolist()), tuple(scale.tolist())
        return cls(
            panel.names, *moments, tuple(static.tolist()), tuple(past.tolist()), ahead, cycles
        )

    @property
    def n_columns(self) -> int:
        """The number of columns of X."""
        return len(self.mean)

    @property
    def _is_ahead(self) -> np.ndarray:
        """Whether each column may be known ahead."""
        return ~(np.array(self.static, bool) | np.array(self.past, bool))

    @property
    def width(self) -> int:
        """The number of columns of a step that they are: those of X, the mark, the calendar's."""
        return self.n_columns + 1 + self.width_of_dates

    @property
    def width_of_dates(self) -> int:
        """The number of the last of these columns, which are the calendar's."""
        return sum(7 if name == "week" else 2 for name in self.cycles)

    @property
    def present(self) -> int:
        """The column of a step that is 1 as far as X goes, or -1 if nothing is known ahead."""
        return -1 if self.ahead == "never" else cpu.series.WIDTH + self.n_columns

    def inputs(self, season: int, horizon: int) -> list[Input]:
        """Return where the network reads them, for `Encoding.table`."""
        series = cpu.series
        columns = range(series.WIDTH, series.WIDTH + self.n_columns)
        pairs = list(zip(columns, self.static, strict=True))
        changing = [column for column, static in pairs if not static]
        rows = [series.Input(series.PLAIN, column) for column, static in pairs if static]
        reach = [(series.PLAIN, range(1 - season, 1), changing)]
        if self.ahead != "never":
            known = [column for column in changing if not self.past[column - series.WIDTH]]
            reach.append((series.AHEAD, range(1, horizon + 1), known))
        rows += [
            series.Input(kind, column, offset)
            for kind, offsets, read in reach
            for offset in offsets
            for column in read
        ]
        if self.ahead == "sometimes":
            rows.append(series.Input(series.KNOWN))
        calendar = range(series.WIDTH + self.n_columns + 1, series.WIDTH + self.width)
        return rows + [series.Input(series.PLAIN, column, 1) for column in calendar]

    def columns(self, panel: Panel, index: int, steps: int, begin: int) -> np.ndarray:
        """Return the columns of a series' steps from `begin` on, up to `steps`."""
        X = np.empty((0, 0)) if panel.covariates is None else panel.covariates[index][begin:]
        there = np.arange(steps - begin) < len(X)
        cycles = np.empty((steps, 0))
        if self.cycles and isinstance(panel.form, FrameForm):
            start = panel.form.starts[index]
            # Of all series at once: a calendar takes long to make.
            end = max(panel.form.end + steps - len(panel.values[index]), start + steps)
            whole = _of_calendar(panel.form.calendar, self.cycles, end)
            cycles = whole[start : start + steps]
        return np.column_stack([self.scaled(X, steps - begin), there, cycles[begin:]])

    def of_fit(self, panel: Panel) -> Panel:
        """Return a panel with the columns of the fit, in their order.

        Raises
        ------
        ValueError
            Unless it has the variables that were learned from.
        """
        found = 0 if panel.covariates is None else panel.covariates[0].shape[1]
        names = panel.names if found else None
        named = self.names is not None and names is not None
        same = set(names or ()) == set(self.names or ()) if named else found == self.n_columns
        if not same:
            raise ValueError(
                f"X must have the columns of fit, {self.names or self.n_columns}, got "
                f"{names or found or None}. Give the same covariates."
            )
        if self.cycles and panel.seconds is None:
            raise ValueError(
                "y must have dates, as in fit, got arrays. The forecaster reads the "
                f"{' and the '.join(self.cycles)} of dates: pass a Series or a DataFrame."
            )
        if not self.names or not names or names == self.names:
            return panel
        order = [names.index(name) for name in self.names]
        parts = [X[:, order] for X in panel.covariates or []]
        return replace(panel, covariates=parts, names=self.names)

    def check_ahead(self, panel: Panel, horizon: int) -> None:
        """Raise a ValueError unless covariates are known as far ahead as in the fit.

        If they ended with the series there, they may go on now or not. As in the fit, a column is
        known if one series has a value of it; others may be missing there.
        """
        if panel.covariates is None:
            return
        behind = [X[len(y) :] for X, y in panel.pairs()]
        known = np.isfinite(np.concatenate(behind)).any(axis=0)[self._is_ahead]
        if self.ahead == "always" and not (known.all() and all(map(len, behind))):
            counts = list(map(len, behind))
            name = panel.form.names(len(counts))[int(np.argmin(counts))]
            where = f" in series {name!r}" if len(counts) > 1 else ""
            raise ValueError(
                f"X must have {horizon} rows more than y, since it had them in fit, got "
                f"{min(counts)}{where}, with values in {known.sum()} of {len(known)} columns. Fit "
                "with an X as long as y if it is not always known ahead."
            )
        if known.any() and not known.all():
            raise ValueError(
                "X must have all columns behind y or none, got "
                f"{known.sum()} of {len(known)}. Fit with an X that goes on a horizon "
                "behind y, with NaN in columns that are known of the past alone."
            )

    def scaled(self, X: np.ndarray, steps: int) -> np.ndarray:
        """Return X (T, C) scaled, (steps, C), with the last value carried on."""
        padded = np.full((steps, self.n_columns), np.nan)
        padded[: len(X)] = X[:steps]
        rows = np.where(np.isfinite(padded), np.arange(steps)[:, None], 0)
        last = np.maximum.accumulate(rows, axis=0)
        filled = (np.take_along_axis(padded, last, axis=0) - self.mean) / self.scale
        # What is missing from the start on is the mean.
        return np.nan_to_num(filled)


def _is_constant(X: np.ndarray) -> np.ndarray:
    """Return whether each column of X (T, C) has one value alone, or none."""
    return ~(np.fmin.reduce(X, axis=0) < np.fmax.reduce(X, axis=0))


def _shown_twice(panel: Panel, period: float) -> bool:
    """Return whether a cycle has two steps at least, and the longest series shows it twice."""
    seconds = panel.seconds
    return bool(seconds and 2 * seconds <= period <= (panel.lengths.max() - 1) * seconds / 2)


@lru_cache(maxsize=2)
def _of_calendar(steps: Calendar, cycles: tuple[str, ...], count: int) -> np.ndarray:
    """Return the calendar's inputs of the first steps."""
    return calendar(steps.dates(count), cycles, count)


def calendar(dates: Any, cycles: tuple[str, ...], steps: int) -> np.ndarray:
    """Return the calendar's inputs (steps, k): sine and cosine of each cycle, or its weekdays.

    Examples
    --------
    >>> calendar(None, (), 3).shape
    (3, 0)
    """
    columns = [np.empty((steps, 0))]
    for name in cycles:
        if name == "week":
            columns.append(np.eye(7)[np.asarray(dates.day_of_week)])
            continue
        part = (
            np.asarray(dates.hour) / 24 + np.asarray(dates.minute) / 1440
            if name == "day"
            else (np.asarray(dates.day_of_year) - 1) / 365.25
        )
        columns.append(np.column_stack([np.sin(2 * np.pi * part), np.cos(2 * np.pi * part)]))
    return np.concatenate(columns, axis=1)
