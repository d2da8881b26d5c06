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

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .. import cpu
from .covariates import Covariates
from .scaling import fill_before, scale_number
from .series import Panel

# Origins of the longest run that is learned from. More would reach further back, and make the
# batches of few long series all alike.
LONGEST_RUN = 128
# Seasons of which level and spread are taken: two weeks of hours.
_SEASONS = 14


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
    """

    horizon: int
    season: int
    scale: str | None
    marks: bool
    covariates: Covariates

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
        return [cls(horizon, season, scale, marks, covariates) for scale in scales]

    @property
    def memory(self) -> int:
        """The number of the last steps of which level and spread are taken."""
        return max(_SEASONS * self.season, 2 * self.horizon)

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
        if self.marks:
            marks = step.missing, step.waiting
            rows += [series.Input(series.PLAIN, mark, offset) for mark in marks for offset in back]
        rows += self.covariates.inputs(self.season, self.horizon)
        return np.array(rows, np.int64)

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
        scale = scale_number(self.scale)
        cpu.series.scale(steps, first, first, len(steps), scale, self.season, self.memory)
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
        self._table = encoding.table()
        self.linear: np.ndarray | None = None

    def inputs(self, origins: np.ndarray, known: np.ndarray | bool = True) -> np.ndarray:
        """Return what the network reads at origins (N,): (N, n_features) float32.

        Covariates of the horizon are hidden where `known` (N,) is False.
        """
        return self.exact_inputs(origins, known).astype(np.float32)

    def exact_inputs(self, origins: np.ndarray, known: np.ndarray | bool = True) -> np.ndarray:
        """Return the same numbers in float64."""
        inputs = np.empty((len(origins), len(self._table)))
        cpu.series.read(
            inputs,
            self._steps,
            origins,
            self._starts[self.series(origins)],
            np.array(np.broadcast_to(known, len(origins)), np.int64),
            self._table,
            self.encoding.covariates.present,
            self.encoding.horizon,
        )
        return inputs

    def known(self, origins: np.ndarray) -> np.ndarray:
        """Return at which origins (N,) the covariates of the horizon are known."""
        present = self.encoding.covariates.present
        if present < 0:
            return np.ones(len(origins), bool)
        ahead = origins[:, None] + np.arange(1, self.encoding.horizon + 1)
        known: np.ndarray = self._steps[ahead, present].all(axis=1)
        return known

    def before(self, origins: np.ndarray) -> np.ndarray:
        """Return the origins a season before, or the same ones if a series has none there."""
        earlier = origins - self.encoding.season
        first = self.first[self.series(origins)]
        return np.where(earlier >= first, earlier, origins)

    def targets(self, origins: np.ndarray) -> np.ndarray:
        """Return what it is to answer, (N, horizon) float32, NaN where that is not known."""
        step = cpu.series.STEP
        ahead = origins[:, None] + np.arange(1, self.encoding.horizon + 1)
        differences = self._steps[ahead, step.target] - self._base(origins)
        spread = self._steps[origins, None, step.spread]
        scaled: np.ndarray = (differences / spread).astype(np.float32)
        if self.linear is not None:
            scaled -= self.linear[origins]
        return scaled

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
        forecasts = np.empty((N, horizon, len(at)))
        none = np.empty((0, horizon), np.float32)
        cpu.series.restore(
            forecasts.reshape(N, -1),
            np.ascontiguousarray(quantiles, np.float64).reshape(N, -1),
            at,
            self._steps,
            origins,
            none if self.linear is None else self.linear[origins],
            scale_number(self.encoding.scale),
            self.encoding.season,
        )
        return forecasts

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
        base: np.ndarray = self._steps[rows, cpu.series.STEP.filled]
        return base
