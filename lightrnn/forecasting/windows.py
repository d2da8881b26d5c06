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
from typing import Any, NamedTuple, Self

import numpy as np

from .covariates import Context, Covariates
from .scaling import restored, scale_of, transformed
from .series import Panel

# Origins of the longest run that is learned from. More would reach further back, and make the
# batches of few long series all alike.
LONGEST_RUN = 128
# Scaled inputs are cut off here, so that an outlier cannot saturate all gates.
_LARGEST = 8.0
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
        others = self.covariates.n_features(self.season, self.horizon)
        return self.season * (3 if self.marks else 1) + 2 + others


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
        parts = [_encoded(series, encoding) for series in panel.values]
        steps = np.array([len(part.filled) for part in parts])
        ends = np.cumsum(steps)
        self.first = ends - steps + encoding.season - 1
        self.last = ends - encoding.horizon - 1
        self._steps = _Steps(*map(np.concatenate, zip(*parts, strict=True)))
        leads = np.maximum(encoding.season - panel.lengths, 0)
        self.linear: np.ndarray | None = None
        self._context = Context(
            encoding.covariates, panel, leads, encoding.season, encoding.horizon
        )

    def inputs(self, origins: np.ndarray, known: np.ndarray | bool = True) -> np.ndarray:
        """Return what the network reads at origins (N,): (N, n_features) float32.

        Covariates of the horizon are hidden where `known` (N,) is False.
        """
        season = self.encoding.season
        level = self._steps.level[origins, None]
        spread = self._steps.spread[origins, None]
        back = origins[:, None] + np.arange(1 - season, 1)
        columns = [
            (self._steps.filled[back] - level) / spread,
            self._steps.drift[origins, None],
            self._steps.growth[origins, None],
        ]
        if self.encoding.marks:
            since = self._steps.since[back]
            columns += [since > 0, np.log1p(since)]
        columns += self._context.inputs(origins, np.broadcast_to(known, len(origins)))
        return np.concatenate(columns, axis=1).clip(-_LARGEST, _LARGEST).astype(np.float32)

    def before(self, origins: np.ndarray) -> np.ndarray:
        """Return the origins a season before, or the same ones if a series has none there."""
        earlier = origins - self.encoding.season
        first = self.first[self.series(origins)]
        return np.where(earlier >= first, earlier, origins)

    def targets(self, origins: np.ndarray) -> np.ndarray:
        """Return what it is to answer, (N, horizon) float32, NaN where that is not known."""
        ahead = origins[:, None] + np.arange(1, self.encoding.horizon + 1)
        differences = self._steps.targets[ahead] - self._base(origins)
        scaled: np.ndarray = (differences / self._steps.spread[origins, None]).astype(np.float32)
        if self.linear is not None:
            scaled -= self.linear[origins]
        return scaled

    def decoded(self, outputs: np.ndarray, origins: np.ndarray) -> np.ndarray:
        """Return forecasts (N, horizon, q) in the units of y for outputs of that shape."""
        base = self._base(origins)[:, :, None]
        spread = self._steps.spread[origins, None, None]
        if self.linear is not None:
            outputs = outputs + self.linear[origins, :, None]
        return restored(outputs * spread + base, self.encoding.scale)

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
        base: np.ndarray = self._steps.filled[origins[:, None] + 1 - season + phase]
        return base


class _Steps(NamedTuple):
    """The steps of the series, (N,) each."""

    filled: np.ndarray  # values on the axis of the scale; where one is missing, the last one
    targets: np.ndarray  # the same, NaN where one is missing
    level: np.ndarray
    spread: np.ndarray
    drift: np.ndarray  # of the level since a season ago, in units of the spread
    growth: np.ndarray  # of the logarithm of the spread since then
    since: np.ndarray  # steps since the last value that was there


def _encoded(series: np.ndarray, encoding: Encoding) -> _Steps:
    """Return the steps of one series, and a horizon of missing ones behind them."""
    season = encoding.season
    # A season that is not complete begins with missing values, which are filled from behind.
    lead = np.full(max(0, season - len(series)), np.nan)
    behind = np.full(encoding.horizon, np.nan)
    targets = np.concatenate([lead, transformed(series, encoding.scale), behind])
    level, spread = scale_of(targets, encoding.scale, encoding.memory)
    filled, since = _carried(targets)
    earlier = np.maximum(np.arange(len(targets)) - season, 0)
    # The first season has none before it.
    later = np.arange(len(targets)) >= 2 * season - 1
    drift = np.where(later, (level - level[earlier]) / spread, 0.0)
    growth = np.where(later, np.log(spread / spread[earlier]), 0.0)
    return _Steps(filled, targets, level, spread, drift, growth, since)


def _carried(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return values with the last one carried on where one is missing, and steps since it."""
    present = np.isfinite(values)
    steps = np.arange(len(values))
    last = np.maximum.accumulate(np.where(present, steps, -1))
    first = int(present.argmax())
    filled: np.ndarray = values[np.where(last < 0, first, last)]
    return filled, np.where(last < 0, steps + 1, steps - last)
