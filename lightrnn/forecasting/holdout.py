"""The last windows of series, held out to choose by and to calibrate intervals with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .series import Panel
from .windows import Encoding, Windows

if TYPE_CHECKING:
    from ..training.trainable import TrainableNetwork

# Horizons to hold out in all, if the series are long enough. A 95 % interval needs 39 windows, and
# of one series they should show it at many times of the year.
_HORIZONS = 80
# At most this part of a series is held out.
_PART = 5


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The last windows of the series, which the first phase of training does not see.

    Attributes
    ----------
    windows : Windows
        The series with them.
    runs : list of ndarray
        Origins of runs, at the last of which there is a window.
    counts : list of int
        Of how many of its last origins each run has the window.
    """

    windows: Windows
    runs: list[np.ndarray]
    counts: list[int]

    @property
    def origins(self) -> np.ndarray:
        """The origin of each window, (m,)."""
        ends = [run[-count:] for run, count in zip(self.runs, self.counts, strict=True)]
        return np.concatenate([np.empty(0, np.intp), *ends])

    @property
    def n_independent(self) -> float:
        """The number of windows that there would be if they did not overlap."""
        horizon = self.windows.encoding.horizon
        n_series = len(np.unique(self.windows.series(self.origins)))
        return (sum(self.counts) + n_series * (horizon - 1)) / horizon

    @property
    def targets(self) -> np.ndarray:
        """The steps of each window, (m, horizon), NaN where a value is missing."""
        return self.windows.targets(self.origins)

    def inputs(self) -> list[np.ndarray]:
        """Return the inputs of each run."""
        return [self.windows.inputs(run) for run in self.runs]

    def outputs(
        self, network: TrainableNetwork, inputs: list[np.ndarray], threads: int = 1
    ) -> np.ndarray:
        """Return what a network answers to `inputs` at the origin of each window, (m, k)."""
        if max(self.counts) == 1:
            return network.final_outputs(inputs, threads)
        outputs = network.outputs(inputs, threads)
        ends = zip(outputs, self.counts, strict=True)
        return np.concatenate([steps[-count:] for steps, count in ends])

    def some(self, count: int) -> HeldOut:
        """Return some of the runs, evenly spread, with about this many windows."""
        each = max(1, sum(self.counts) // count)
        return HeldOut(self.windows, self.runs[::each], self.counts[::each])


def stops(lengths: np.ndarray, encoding: Encoding) -> np.ndarray:
    """Return the number of steps of each series that the first phase learns from.

    Of many series the last horizon is held out, of few a longer part. A series too short for both
    is learned from as it is.
    """
    horizon = encoding.horizon
    wanted = horizon * -(-_HORIZONS // len(lengths))
    held_out = np.maximum(np.minimum(wanted, lengths // _PART), horizon)
    kept = lengths - held_out
    return np.where(kept >= 2 * encoding.season + horizon, kept, lengths)


def hold_out(windows: Windows, panel: Panel, kept: np.ndarray) -> HeldOut:
    """Return the windows of a panel behind the steps that are kept, (n,) of each series."""
    season = windows.encoding.season
    runs, counts = [], []
    for index, surplus in enumerate((panel.lengths - kept).tolist()):
        # Counted from the last origin, whose window lies behind the series.
        first = int(windows.last[index]) - surplus
        last = int(windows.last[index]) - windows.encoding.horizon
        # One run for each step of the season that a window may begin with.
        for end in range(last, max(first, last - season + 1) - 1, -1):
            runs.append(windows.run(index, end))
            counts.append((end - first) // season + 1)
    held_out = HeldOut(windows, runs, counts)
    # Where all values of the windows are missing they say nothing.
    return held_out if np.isfinite(held_out.targets).any() else HeldOut(windows, [], [])
