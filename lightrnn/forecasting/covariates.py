"""Other variables beside a series: known of the past alone, known ahead, constant, or the calendar.

Nobody has to say which is which. What does not change within any series is read once. Of all else
the network reads the last season, and the horizon ahead as far as it is known: where X ends with
the series it does so in half of the training only, so that forecasts may be made with and without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
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

    def n_features(self, season: int, horizon: int) -> int:
        """Return the number of inputs that they are at an origin."""
        static = sum(self.static)
        reach = season + (horizon if self.ahead != "never" else 0)
        marks = 1 if self.ahead == "sometimes" else 0
        calendar = sum(7 if name == "week" else 2 for name in self.cycles)
        return static + (self.n_columns - static) * reach + marks + calendar

    def check(self, panel: Panel, horizon: int) -> None:
        """Raise a ValueError unless a panel to forecast has the variables of the fit."""
        found = 0 if panel.covariates is None else panel.covariates[0].shape[1]
        names = panel.names if found else self.names
        if found != self.n_columns or (names and self.names and names != self.names):
            raise ValueError(
                f"X must have the columns {self.names or self.n_columns}, as in fit, got "
                f"{(found and panel.names) or found or None}. Give the same covariates."
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


class Context:
    """The other variables of a panel at every step of its windows.

    Parameters
    ----------
    covariates : Covariates
        Which variables there are.
    panel : Panel
        The series.
    leads : ndarray of int (n,)
        Steps before each series that complete its first season.
    season, horizon : int
        Steps that are read of the past and of what is known ahead.
    """

    def __init__(
        self, covariates: Covariates, panel: Panel, leads: np.ndarray, season: int, horizon: int
    ) -> None:
        self._covariates = covariates
        self._back = np.arange(1 - season, 1)
        self._ahead = np.arange(1, horizon + 1)
        static = np.array(covariates.static, bool)
        values, present, dates = [], [], []
        for index, (lead, length) in enumerate(zip(leads, panel.lengths, strict=True)):
            steps = int(length) + horizon
            X = np.empty((0, 0)) if panel.covariates is None else panel.covariates[index]
            scaled, there = covariates.scaled(X, steps)
            cycles = calendar(panel.form.dates(index, 0, steps), covariates.cycles, steps)
            # A first season that is not complete begins with the first step, again and again.
            rows = np.maximum(np.arange(-lead, steps), 0)
            values.append(scaled[rows])
            present.append(there[rows])
            dates.append(cycles[rows])
        joined = np.concatenate(values)
        self._changing = joined[:, ~static]
        self._static = joined[:, static]
        self._present = np.concatenate(present)
        self._dates = np.concatenate(dates)

    def inputs(self, origins: np.ndarray, known: np.ndarray) -> list[np.ndarray]:
        """Return what is read at origins (N,), an array (N, k) for each kind.

        Where `known` (N,) is False, values ahead are hidden.
        """
        past = self._changing[origins[:, None] + self._back]  # (N, season, C)
        columns = [self._static[origins], past.reshape(len(origins), -1)]
        if self._covariates.ahead != "never":
            ahead = origins[:, None] + self._ahead
            known = known & self._present[ahead].all(axis=1)
            # What is hidden stays as it was at the origin.
            future = np.where(known[:, None], ahead, origins[:, None])
            columns.append(self._changing[future].reshape(len(origins), -1))
            if self._covariates.ahead == "sometimes":
                columns.append(known[:, None])
        return [*columns, self._dates[origins + 1]]


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


__all__ = ["Context", "Covariates"]
