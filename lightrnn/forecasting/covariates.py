"""Other variables beside a series: known of the past alone, known ahead, constant, or the calendar.

Nobody has to say which is which. What does not change within any series is read once. Of all else
the network reads the last season, and the horizon ahead as far as it is known: where X ends with
the series it does so in half of the training only, so that forecasts may be made with and without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .. import cpu

if TYPE_CHECKING:
    from ..cpu.series import Input
    from .series import Panel

# Of these cycles of a calendar the network reads those that the series show at least twice.
_CYCLES = {"day": 86_400.0, "week": 604_800.0, "year": 31_556_952.0}


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
    ahead : {"never", "sometimes", "always"}
        When values of the horizon are known: "always" if X was a horizon longer than y.
    cycles : tuple of str
        The cycles of the calendar that are read.
    """

    names: tuple[str, ...] | None = None
    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    static: tuple[bool, ...] = ()
    ahead: str = "never"
    cycles: tuple[str, ...] = ()

    @classmethod
    def of(cls, panel: Panel, horizon: int) -> Self:
        """Return the variables of a panel that is learned from."""
        cycles = tuple(name for name, period in _CYCLES.items() if _shown_twice(panel, period))
        if panel.covariates is None:
            return cls(cycles=cycles)
        steps = np.concatenate(panel.covariates)
        mean = np.nanmean(steps, axis=0)
        deviation = np.nanstd(steps, axis=0)
        scale = np.where(deviation > 0, deviation, 1.0)
        unchanging = [(part == part[:1]).all(axis=0) for part in panel.covariates]
        static = np.all(unchanging, axis=0)
        longer = [len(X) >= len(y) + horizon for X, y in panel.pairs()]
        ahead = "never" if static.all() else "always" if all(longer) else "sometimes"
        columns = tuple(mean.tolist()), tuple(scale.tolist()), tuple(static.tolist())
        return cls(panel.names, *columns, ahead, cycles)

    @property
    def n_columns(self) -> int:
        """The number of columns of X."""
        return len(self.mean)

    @property
    def width(self) -> int:
        """The number of columns of a step that they are: those of X, the mark, the calendar's."""
        return self.n_columns + 1 + sum(7 if name == "week" else 2 for name in self.cycles)

    @property
    def present(self) -> int:
        """The column of a step that is 1 where all are known, or -1 if none are known ahead."""
        return -1 if self.ahead == "never" else cpu.series.WIDTH + self.n_columns

    def inputs(self, season: int, horizon: int) -> list[Input]:
        """Return where the network reads them, for `Encoding.table`."""
        series = cpu.series
        columns = range(series.WIDTH, series.WIDTH + self.n_columns)
        pairs = list(zip(columns, self.static, strict=True))
        changing = [column for column, static in pairs if not static]
        rows = [series.Input(series.PLAIN, column) for column, static in pairs if static]
        reach = [(series.PLAIN, range(1 - season, 1))]
        if self.ahead != "never":
            reach.append((series.AHEAD, range(1, horizon + 1)))
        rows += [
            series.Input(kind, column, offset)
            for kind, offsets in reach
            for offset in offsets
            for column in changing
        ]
        if self.ahead == "sometimes":
            rows.append(series.Input(series.KNOWN))
        calendar = range(series.WIDTH + self.n_columns + 1, series.WIDTH + self.width)
        return rows + [series.Input(series.PLAIN, column, 1) for column in calendar]

    def columns(self, panel: Panel, index: int, steps: int, begin: int) -> np.ndarray:
        """Return the columns of a series' steps from `begin` on, up to `steps`."""
        X = np.empty((0, 0)) if panel.covariates is None else panel.covariates[index][begin:]
        scaled, there = self.scaled(X, steps - begin)
        dates = panel.form.dates(index, 0, steps) if self.cycles else None
        cycles = calendar(dates, self.cycles, steps)[begin:]
        return np.column_stack([scaled, there, cycles])

    def check(self, panel: Panel, horizon: int) -> None:
        """Raise a ValueError unless a panel to forecast has the variables of the fit."""
        found = 0 if panel.covariates is None else panel.covariates[0].shape[1]
        names = panel.names if found else self.names
        if found != self.n_columns or (names and self.names and names != self.names):
            raise ValueError(
                f"X must have the columns {self.names or self.n_columns}, as in fit, got "
                f"{(found and panel.names) or found or None}. Give the same covariates."
            )
        if self.cycles and panel.form.dates(0, 0, 1) is None:
            raise ValueError(
                f"y must have dates, as in fit, got arrays. The forecaster reads the "
                f"{' and the '.join(self.cycles)} of dates: pass a Series or a DataFrame."
            )
        if self.ahead != "always":
            return
        for X, y in panel.pairs():
            if len(X) < len(y) + horizon:
                raise ValueError(
                    f"X must have {horizon} rows more than y, since it had them in fit, got "
                    f"{len(X) - len(y)}. Fit with an X as long as y if it is not always known "
                    "ahead."
                )

    def scaled(self, X: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Return X (T, C), scaled and with the last value carried on, and whether it was there.

        Both have `steps` rows, more than X if it does not reach as far.
        """
        padded = np.full((steps, self.n_columns), np.nan)
        padded[: len(X)] = X[:steps]
        present = np.isfinite(padded)
        rows = np.where(present, np.arange(steps)[:, None], 0)
        last = np.maximum.accumulate(rows, axis=0)
        filled = (np.take_along_axis(padded, last, axis=0) - self.mean) / self.scale
        # What is missing from the start on is the mean.
        return np.nan_to_num(filled), present.all(axis=1)


def _shown_twice(panel: Panel, period: float) -> bool:
    """Return whether dates are finer than a cycle, and the longest series shows it twice."""
    longest = int(panel.lengths.argmax())
    dates = panel.form.dates(longest, 0, int(panel.lengths[longest]))
    if not hasattr(dates, "day_of_year") or len(dates) < 2:
        return False
    step = (dates[1:] - dates[:-1]).min().total_seconds()
    return bool(step < period and (dates[-1] - dates[0]).total_seconds() >= 2 * period)


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


__all__ = ["Covariates", "calendar"]
