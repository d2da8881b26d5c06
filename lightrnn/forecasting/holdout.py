"""The last windows of series, held out to choose by and to calibrate intervals with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .series import Panel
from .windows import Encoding, Windows

# Held-out windows to calibrate by, if the series have them: a 95 % interval needs 39.
_WINDOWS = 80
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
        For each window the origins of the run that ends before it.
    """

    windows: Windows
    runs: list[np.ndarray]

    @property
    def origins(self) -> np.ndarray:
        """The origin of each window, (m,)."""
        return np.array([run[-1] for run in self.runs], np.intp)

    @property
    def targets(self) -> np.ndarray:
        """The steps of each window, (m, horizon), NaN where a value is missing."""
        return self.windows.targets(self.origins)

    def inputs(self) -> list[np.ndarray]:
        """Return what the network reads before each window."""
        return [self.windows.inputs(run) for run in self.runs]

    def some(self, count: int) -> HeldOut:
        """Return about this many of the windows, evenly spread."""
        return HeldOut(self.windows, self.runs[:: max(1, len(self.runs) // count)])


def stops(lengths: np.ndarray, encoding: Encoding) -> np.ndarray:
    """Return the number of steps of each series that the first phase learns from.

    Of many series the last horizon is held out, of few a longer part, in which there are more
    windows. A series too short for both is learned from as it is.
    """
    horizon = encoding.horizon
    wanted = horizon - 1 + -(-_WINDOWS // len(lengths))
    held_out = np.maximum(np.minimum(wanted, lengths // _PART), horizon)
    kept = lengths - held_out
    return np.where(kept >= 2 * encoding.season + horizon, kept, lengths)


def hold_out(windows: Windows, panel: Panel, kept: np.ndarray) -> HeldOut:
    """Return the windows of a panel behind the steps that are kept, (n,) of each series."""
    horizon = windows.encoding.horizon
    runs = []
    for index, (steps, stop) in enumerate(zip(panel.lengths, kept, strict=True)):
        # Counted from the last origin, whose window lies behind the series.
        for back in range(horizon, int(steps - stop) + 1):
            runs.append(windows.run(index, int(windows.last[index]) - back))
    return HeldOut(windows, runs)
