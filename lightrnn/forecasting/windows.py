"""The inputs of the network at each step of a series, and its targets.

An origin is the last step that is known when a forecast is made. At an origin the network reads
the last `season` values as one step of its own, scaled by the level and the spread there, and
answers with the next `horizon` values, as differences from the same steps of the season before. The
next origin of a run is a season later. So one run over a series is a forecast from each of its
origins (forking sequences [1]_), and memory reaches as far with a season's fraction of the steps.

References
----------
.. [1] Wen, R., Torkkola, K., Narayanaswamy, B. and Madeka, D. (2017). A multi-horizon quantile
   recurrent forecaster. NIPS time series workshop, section 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from .. import cpu
from .covariates import Covariates
from .scaling import fill_before
from .series import Panel

# Origins of the longest run that is learned from. More would reach further back, and make the
# batches of few long series all alike.
LONGEST_RUN = 128
# Changes that the linear part learns are cut off here, as its inputs are.
_LARGEST = 8.0
# The fewest of the last values that the linear part reads.
_LAGS = 12
# Seasons of which level and spread are taken: two weeks of hours.
_SEASONS = 14
# At least so many steps, whatever the season: cycles of years that repeat by none.
_STEPS = 60
# Seasons in a longer period: a week of days, but where seasons are weeks, a year of them.
_LONGER = {7: 52}
# A longer period is looked at if the longest series shows it as often as this.
_SHOWN = 3
# Two are read if it shows as many as this. Of single series of 7 weeks of hours and more errors are
# smaller by up to a tenth, of the 414 of M4, of 4 to 5 weeks, they are larger.
_DEEP = 6


@dataclass(frozen=True)
class Encoding:
    """How series become inputs and targets of the network, and its outputs forecasts.

    Attributes
    ----------
    horizon : int
        Number of steps to forecast.
    season : int
        Number of steps in a period, which are one step of the network.
    scale : {"log", "mean", "standard"} or None
        How values are scaled.
    marks : bool
        Whether the network is told which values are missing, and for how long.
    covariates : Covariates
        The other variables that it reads.
    longer : int
        Number of steps in a longer period, such as a week of hours that repeat by the day; 0 for
        none. The network also reads the horizon as it was that long ago.
    depth : int
        Number of longer periods that the linear part reads: it may weigh the last with one before.
    bounded : bool
        Whether no forecast is below 0: the least value learned from is 0, as of counts.
    """

    horizon: int
    season: int
    scale: str | None
    marks: bool
    covariates: Covariates
    longer: int = 0
    depth: int = 1
    bounded: bool = False

    @classmethod
    def candidates(cls, panel: Panel, horizon: int, season: int, scale: str | None) -> list[Self]:
        """Return the encodings to choose from for a panel that is learned from."""
        values = np.concatenate(panel.values)
        present = values[np.isfinite(values)]
        if scale == "log" and not (present > 0).all():
            raise ValueError(
                f"scale must be 'standard', 'mean' or None for values down to "
                f"{present.min():g}, got 'log'. Logarithms are of positive numbers."
            )
        scales: list[Any] = [scale]
        if scale == "auto":
            # The level of values of both signs is no scale.
            least = {"standard": -np.inf, "mean": 0.0, "log": np.nextafter(0.0, 1.0)}
            scales = [name for name, low in least.items() if present.min() >= low]
        marks = len(present) < len(values)
        covariates = Covariates.of(panel, horizon)
        calendars = dict.fromkeys([covariates, replace(covariates, cycles=())])
        period = season * _LONGER.get(season, 7)
        periods = [0, period] if _SHOWN * period <= panel.lengths.max() else [0]
        depth = 2 if _DEEP * period <= panel.lengths.max() else 1
        bounded = bool(present.min() == 0)
        return [
            cls(horizon, season, scale, marks, read, longer, depth, bounded)
            for read in calendars
            for longer in periods
            for scale in scales
        ]

    @property
    def memory(self) -> int:
        """The number of the last steps of which level and spread are taken."""
        return max(_SEASONS * self.season, _STEPS, 2 * self.horizon)

    @property
    def n_features(self) -> int:
        """The number of inputs at an origin."""
        return len(self.table())

    @property
    def width(self) -> int:
        """The number of columns of a step."""
        width: int = cpu.series.WIDTH
        return width + self.covariates.width

    def table(self) -> np.ndarray:
        """Return where the inputs are, (n_features, fields of `cpu.series.Input`)."""
        series = cpu.series
        step = series.STEP
        back = range(1 - self.season, 1)
        rows = [series.Input(series.SCALED, step.filled, offset) for offset in back]
        rows += [series.Input(series.PLAIN, column) for column in (step.drift, step.growth)]
        rows += self._longer_inputs(1)
        if self.marks:
            marks = step.missing, step.waiting
            rows += [series.Input(series.PLAIN, mark, offset) for mark in marks for offset in back]
        rows += self.covariates.inputs(self.season, self.horizon)
        return np.array(rows, np.int64)

    def linear_table(self) -> np.ndarray:
        """Return where the inputs of the linear part are: those of the network and more values.

        A network would learn by heart how longer periods differ, where there are few.
        """
        series = cpu.series
        count = max(self.season, _LAGS - self.season)
        rows = [
            series.Input(series.SCALED, series.STEP.filled, -self.season - back)
            for back in range(count)
        ]
        rows += [row for back in range(2, self.depth + 1) for row in self._longer_inputs(back)]
        return np.concatenate([self.table(), np.array(rows, np.int64)])

    def sometimes_known(self) -> np.ndarray:
        """Return the rows of the linear part's table that read what is not always known ahead."""
        kinds = self.linear_table()[:, cpu.series.INPUT.kind]
        ahead = np.isin(kinds, (cpu.series.AHEAD, cpu.series.KNOWN))
        return np.flatnonzero(ahead & (self.covariates.ahead == "sometimes"))

    def _longer_inputs(self, back: int) -> list[Any]:
        """Return where the horizon was some longer periods ago, as changes to the season before."""
        series = cpu.series
        return [
            series.Input(
                series.CHANGE,
                series.STEP.filled,
                1 - back * self.longer + step % self.longer,
                1 - self.season + step % self.season,
            )
            for step in range(self.horizon if self.longer else 0)
        ]

    def check(self, panel: Panel) -> None:
        """Raise a ValueError if a panel to forecast is not like the one that was learned from."""
        if self.scale != "log":
            return
        for name, series in zip(panel.form.names(len(panel.values)), panel.values, strict=True):
            if (series <= 0).any():
                raise ValueError(
                    f"y must be positive where scale is 'log', got {np.nanmin(series):g} in series "
                    f"{name!r}. Fit with scale='standard'."
                )

    def options(self, **others: int) -> np.ndarray:
        """Return what kernels know of it, and of the networks: the fields of `Options`."""
        options = cpu.series.Options(
            kind=cpu.series.SCALES.index(self.scale or "none"),
            season=self.season,
            memory=self.memory,
            horizon=self.horizon,
            present=self.covariates.present,
            bounded=int(self.bounded),
            **others,
        )
        return np.array(options, np.int64)

    def steps(self, panel: Panel, index: int) -> tuple[np.ndarray, int]:
        """Return the steps (N, width) of a series and of the horizon, and the row of its first one.

        Missing values before the first one that is not are as if they were not there. There is a
        whole season before the first origin.
        """
        series = panel.values[index]
        begin = int(np.isfinite(series).argmax())
        known = len(series) - begin
        first = max(0, self.season - known)
        steps = np.zeros((first + known + self.horizon, self.width))
        steps[:, cpu.series.STEP.target] = np.nan
        steps[first : first + known, cpu.series.STEP.target] = series[begin:]
        columns = self.covariates.columns(panel, index, len(series) + self.horizon, begin)
        steps[first:, cpu.series.WIDTH :] = columns
        cpu.series.scale(steps, first, first, len(steps), self.options())
        fill_before(steps, 0, first, self.season)
        return steps, first


class Windows:
    """The series of a panel, encoded.

    They lie in one array, one after the other, each followed by a horizon of missing values. An
    origin is an index into it.

    Parameters
    ----------
    panel : Panel
        The series.
    encoding : Encoding
        How to encode them.

    Attributes
    ----------
    first, last : ndarray of int (n,)
        The first and the last origin of each series.
    linear : ndarray (N, horizon) or None
        The linear forecast at each index, which outputs are added to; see `linear.add_linear`.
    """

    def __init__(self, panel: Panel, encoding: Encoding) -> None:
        self.encoding = encoding
        parts = [encoding.steps(panel, index) for index in range(len(panel.values))]
        lengths = np.array([len(steps) for steps, _ in parts])
        ends = np.cumsum(lengths)
        self.first = ends - lengths + encoding.season - 1
        self.last = ends - encoding.horizon - 1
        self._starts = ends - lengths + [first for _, first in parts]
        self._steps = np.concatenate([steps for steps, _ in parts])
        self._linear_table = encoding.linear_table()
        self._table = self._linear_table[: encoding.n_features]
        self.linear: np.ndarray | None = None

    def inputs(self, origins: np.ndarray, known: np.ndarray | bool = True) -> np.ndarray:
        """Return what the network reads at origins (N,): (N, n_features) float32.

        Covariates of the horizon are hidden where `known` (N,) is False.
        """
        return self._read(self._table, origins, known).astype(np.float32)

    def linear_inputs(self, origins: np.ndarray) -> np.ndarray:
        """Return what the linear part reads at origins (N,): (N, n) float64."""
        return self._read(self._linear_table, origins, True)

    def _read(self, table: np.ndarray, origins: np.ndarray, known: np.ndarray | bool) -> np.ndarray:
        """Return the inputs of a table at origins."""
        inputs = np.empty((len(origins), len(table)))
        cpu.series.read(
            inputs,
            self._steps,
            origins,
            self._starts[self.series(origins)],
            np.array(np.broadcast_to(known, len(origins)), np.int64),
            table,
            self.encoding.options(),
        )
        return inputs

    def known(self, origins: np.ndarray) -> np.ndarray:
        """Return at which origins (N,) the covariates of the horizon are known."""
        present = self.encoding.covariates.present
        if present < 0:
            return np.ones(len(origins), bool)
        ahead = origins[:, None] + np.arange(1, self.encoding.horizon + 1)
        return self._steps[ahead, present].all(axis=1)

    def targets(self, origins: np.ndarray) -> np.ndarray:
        """Return what it is to answer, (N, horizon) float32, NaN where that is not known."""
        scaled = self._changes(cpu.series.STEP.target, origins).astype(np.float32)
        if self.linear is not None:
            scaled -= self.linear[origins]
        return scaled

    def carried_targets(self, origins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return targets (N, horizon) float64 with the last value carried on, and which are whole.

        At an origin that is whole, (N,), the horizon lies within the series, and some value of it
        is there.
        """
        within = origins + self.encoding.horizon <= self.last[self.series(origins)]
        there = np.isfinite(self._changes(cpu.series.STEP.target, origins)).any(axis=1)
        carried = self._changes(cpu.series.STEP.filled, origins)
        return carried.clip(-_LARGEST, _LARGEST), within & there

    def _changes(self, column: int, origins: np.ndarray) -> np.ndarray:
        """Return values ahead less those of the season before, (N, horizon), in spreads."""
        ahead = origins[:, None] + np.arange(1, self.encoding.horizon + 1)
        spread = self._steps[origins, None, cpu.series.STEP.spread]
        return (self._steps[ahead, column] - self._base(origins)) / spread

    def decoded(
        self, quantiles: np.ndarray, origins: np.ndarray, positions: np.ndarray | None = None
    ) -> np.ndarray:
        """Return forecasts (N, horizon, w) in the units of y.

        Parameters
        ----------
        quantiles : ndarray (N, horizon, q)
            Outputs, in ascending order.
        origins : ndarray of int (N,)
            Where they were made.
        positions : ndarray (w,), default=None
            The forecasts to return, as positions among the q outputs, with a fraction in between;
            None: all of them.
        """
        N, horizon, q = quantiles.shape
        at = np.arange(float(q)) if positions is None else positions
        forecasts = np.empty((N, len(at), horizon))
        none = np.empty((N, 0), np.float32)
        cpu.series.restore(
            forecasts.reshape(N, -1),
            np.ascontiguousarray(quantiles.transpose(0, 2, 1), np.float64).reshape(N, -1),
            at,
            self._steps,
            origins,
            none if self.linear is None else self.linear[origins],
            self.encoding.options(),
        )
        return forecasts.transpose(0, 2, 1)

    def series(self, origins: np.ndarray) -> np.ndarray:
        """Return the number of the series that each origin belongs to."""
        return np.searchsorted(self.last, origins)

    def run(self, index: int, origin: int) -> np.ndarray:
        """Return the origins of the run of a series that ends at an origin."""
        return np.arange(origin, self.first[index] - 1, -self.encoding.season)[::-1]

    def sample(self, count: int | None) -> np.ndarray:
        """Return about this many origins, evenly spread over all series; None: all of them."""
        pairs = zip(self.first.tolist(), self.last.tolist(), strict=True)
        origins = np.concatenate([np.arange(first, last + 1) for first, last in pairs])
        return origins[:: max(1, len(origins) // count) if count else 1]

    def largest_batch(self, batch_size: int) -> tuple[int, int]:
        """Return the runs and the origins of the largest minibatch."""
        longest = int((self.last - self.first).max()) // self.encoding.season + 1
        return batch_size, batch_size * min(longest, LONGEST_RUN)

    def _base(self, origins: np.ndarray) -> np.ndarray:
        """Return the forecast that the last season repeats itself, (N, horizon)."""
        season = self.encoding.season
        phase = np.arange(self.encoding.horizon) % season
        rows = origins[:, None] + 1 - season + phase
        return self._steps[rows, cpu.series.STEP.filled]
