"""Everything that a fit has learned, and forecasts by it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..estimators.regressor import RNNRegressor
from .backtest import evaluate, naive_error
from .calibration import blended, calibrated, places, positions, summed
from .columns import Quantiles
from .linear import add_linear
from .series import Panel
from .windows import Encoding, Windows

# Series that are forecast at a time, which bounds the memory.
_SERIES = 512


class Fitted(NamedTuple):
    """Everything that a fit has learned; a method that reads it once computes from one fit."""

    nets: tuple[RNNRegressor, ...]
    encoding: Encoding
    linear: np.ndarray | None  # of the linear part, which the networks correct
    quantiles: Quantiles
    share: float  # of the networks' quantiles in the forecast
    width: np.ndarray  # (horizon,), of the intervals that have the rest of it
    factor: np.ndarray  # (horizon, q), of the distance of each quantile from the median
    panel: Panel  # the series of the fit, of which `predict` tells the next steps

    def predicted(self, panel: Panel, wanted: Quantiles, known: bool = True) -> np.ndarray:
        """Return quantiles of the steps behind each series, (n, horizon, w).

        Covariates ahead are used only if they are `known`.
        """
        at = places(wanted, self.quantiles)
        blocks = range(0, len(panel.values), _SERIES)
        parts = [self._predicted(panel.some(i, i + _SERIES), at, known) for i in blocks]
        return np.concatenate(parts)

    def _predicted(self, panel: Panel, at: np.ndarray, known: bool) -> np.ndarray:
        """Return forecasts at some positions among the quantiles, (n, horizon, w)."""
        windows = Windows(panel, self.encoding)
        if self.linear is not None:
            add_linear(windows, self.linear, windows.last)
        runs = [windows.run(index, int(last)) for index, last in enumerate(windows.last)]
        learned = self._scaled(self._inputs(windows, runs, known), "final_outputs")
        return windows.decoded(learned, windows.last, at)

    def _inputs(self, windows: Windows, runs: list[np.ndarray], known: bool) -> list[np.ndarray]:
        """Return the inputs of runs.

        Covariates ahead are known at all origins of a series, or nowhere: as at its last one.
        """
        origins = np.concatenate(runs)
        ends = windows.known(windows.last)[windows.series(origins)]
        lengths = [len(run) for run in runs]
        return np.split(windows.inputs(origins, known & ends), np.cumsum(lengths)[:-1])

    def positions(self, panel: Panel, index: int) -> np.ndarray:
        """Return where each value of a series fell in its distribution a step before.

        It is NaN for the first season, which no forecast precedes, and where a value is missing.
        """
        windows = Windows(panel.some(index, index + 1), self.encoding)
        if self.linear is not None:
            add_linear(windows, self.linear)
        first = int(windows.first[0])
        last = int(windows.last[0])
        length = len(panel.values[index])
        found = np.full(max(length, last + 1), np.nan)
        start = last + 1 - len(found)  # the index of the first of them
        ends = range(last - 1, max(first, last - self.encoding.season) - 1, -1)
        runs = [windows.run(0, end) for end in ends]
        if not runs:
            return found[-length:]
        origins = np.concatenate(runs)
        # The runs' outputs at each of their origins, of which the next value is compared.
        learned = self._scaled(self._inputs(windows, runs, True), "outputs")[:, 0]  # (N, q)
        truth = windows.targets(origins)[:, 0]
        found[origins + 1 - start] = positions(truth, learned, self.quantiles)
        return found[-length:]

    def _scaled(self, X: list[np.ndarray], what: str) -> np.ndarray:
        """Return calibrated quantiles (n, horizon, q) in scaled units, for inputs of runs."""
        outputs = [net._computed(net._fitted(), X, what, "y")[0] for net in self.nets]
        totals = summed(outputs, self.encoding.horizon)
        return calibrated(totals, self.kernel_factor(), self.options())

    def kernel_factor(self) -> np.ndarray:
        """Return what kernels calibrate by, (2 q, horizon).

        The first rows are the factor of the distance of the networks' quantiles from their median;
        its own is its share. What is added to them follows.
        """
        of_networks = np.full(len(self.quantiles), float(self.share > 0))
        of_networks[self.quantiles.index(0.5)] = self.share
        # Without networks the rest is the same for all series.
        plain = blended(np.zeros(self.factor.shape), self.share, self.width, self.quantiles)
        return np.concatenate([(of_networks * self.factor).T, (plain * self.factor).T])

    def options(self) -> np.ndarray:
        """Return what kernels know of it."""
        return self.encoding.options(median=self.quantiles.index(0.5), n_nets=len(self.nets))

    def measured(self, panel: Panel, back: int) -> dict[str, Any]:
        """Return the errors of forecasts that begin `back` steps before the ends of series."""
        horizon = self.encoding.horizon
        past = panel.until(panel.lengths - back, horizon)
        self.encoding.check(past)
        truth = [series[len(series) - back :][:horizon] for series in panel.values]
        naive = [naive_error(series, self.encoding.season) for series in past.values]
        known = self.encoding.covariates.ahead == "always"
        predicted = self.predicted(past, self.quantiles, known)
        return evaluate(np.array(truth), predicted, np.array(naive), self.quantiles)
