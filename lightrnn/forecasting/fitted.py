"""Everything that a fit has learned, and forecasts by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .backtest import evaluate, naive_error
from .calibration import ascending, calibrated, interpolated, position, shrunk
from .linear import add_linear
from .windows import Windows

if TYPE_CHECKING:
    from ..estimators.regressor import RNNRegressor
    from .series import Panel
    from .windows import Encoding


class Fitted(NamedTuple):
    """Everything that a fit has learned; a method that reads it once computes from one fit."""

    nets: tuple[RNNRegressor, ...]
    encoding: Encoding
    linear: np.ndarray | None  # of the linear part, which the networks correct
    quantiles: tuple[float, ...]
    share: float  # of the networks' median in the forecast
    factor: np.ndarray  # (horizon, q), of the distance of each quantile from the median
    panel: Panel  # the series of the fit, of which `predict` tells the next steps

    def windows(self, panel: Panel) -> Windows:
        """Return series as the networks read them."""
        windows = Windows(panel, self.encoding)
        if self.linear is not None:
            add_linear(windows, self.linear)
        return windows

    def predicted(
        self, windows: Windows, wanted: tuple[float, ...], known: bool = True
    ) -> np.ndarray:
        """Return quantiles of the steps behind each series, (n, horizon, w).

        Covariates ahead are used only if they are `known`.
        """
        runs = [windows.run(index, int(last)) for index, last in enumerate(windows.last)]
        X = [windows.inputs(run, known) for run in runs]
        learned = self._scaled(X, "final_outputs")
        return windows.decoded(interpolated(learned, self.quantiles, wanted), windows.last)

    def positions(self, windows: Windows, index: int, length: int) -> np.ndarray:
        """Return where each value of a series (length,) fell in its distribution a step before.

        It is NaN for the first season, which no forecast precedes, and where a value is missing.
        """
        first = int(windows.first[index])
        last = int(windows.last[index])
        found = np.full(max(length, self.encoding.season), np.nan)
        start = last + 1 - len(found)  # the index of the first of them
        for end in range(last - 1, max(first, last - self.encoding.season) - 1, -1):
            origins = windows.run(index, end)
            # The run's outputs at each of its origins, of which the next value is compared.
            learned = self._scaled([windows.inputs(origins)], "outputs")[:, 0]  # (N, q)
            truth = windows.targets(origins)[:, 0]
            found[origins + 1 - start] = [
                position(value, row, self.quantiles)
                for value, row in zip(truth, learned, strict=True)
            ]
        return found[-length:]

    def _scaled(self, X: list[np.ndarray], what: str) -> np.ndarray:
        """Return calibrated quantiles (n, horizon, q) in scaled units, for inputs of runs."""
        horizon = self.encoding.horizon
        raw = [net._computed(net._fitted(), X, what, "y")[0] for net in self.nets]
        mean = np.mean([ascending(part, horizon) for part in raw], axis=0)
        mean = shrunk(mean, self.share, self.quantiles)
        return calibrated(mean, self.factor, self.quantiles)

    def measured(self, panel: Panel, back: int) -> dict[str, Any]:
        """Return the errors of forecasts that begin `back` steps before the ends of series."""
        horizon = self.encoding.horizon
        past = panel.until(panel.lengths - back)
        truth = [series[len(series) - back :][:horizon] for series in panel.values]
        naive = [naive_error(series, self.encoding.season) for series in past.values]
        known = self.encoding.covariates.ahead == "always"
        predicted = self.predicted(self.windows(past), self.quantiles, known)
        return evaluate(np.array(truth), predicted, np.array(naive), self.quantiles)


__all__ = ["Fitted"]
