"""The origins that training learns from: in each epoch every series once, from a random step on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ..nn.batches import Batch
from ..training.prior import Prior
from .windows import LONGEST_RUN, Windows

if TYPE_CHECKING:
    from ..losses import Loss
    from ..training.trainable import TrainableNetwork

# Runs of an epoch of few series, and how often it may learn from an origin at most.
_FEWEST = 512
_TIMES = 8
# Part of the runs in which covariates are known ahead, where they are not always.
_KNOWN = 0.5


class Origins:
    """Runs over series in minibatches, with the targets of each of their origins.

    The last origin of a run is drawn anew in each epoch, from the last season of its series: the
    folds of a series into seasons that begin at any step are learned from in turn.

    Parameters
    ----------
    windows : Windows
        The series.
    batch_size : int
        Runs in a minibatch.
    repeats : int
        Outputs for each step of the horizon.
    rng : Generator
        Draws the runs.
    """

    unit = "series"

    def __init__(
        self, windows: Windows, batch_size: int, repeats: int, rng: np.random.Generator
    ) -> None:
        self._windows = windows
        self._batch_size = batch_size
        self._repeats = repeats
        self._rng = rng
        season = windows.encoding.season
        # A series of n origins is read in runs of at most LONGEST_RUN of every season-th of them.
        spans = windows.last - windows.first
        runs = -(-spans // (season * LONGEST_RUN))
        self._series = np.repeat(np.arange(len(runs)), runs)
        times = min(_TIMES * season, max(1, _FEWEST // len(self._series)))
        self._series = np.tile(self._series, times)
        self.count = len(self._series)
        self.n_targets = 1  # of the epoch that has been drawn

    def epoch(self, network: TrainableNetwork) -> Iterator[tuple[int, Batch]]:
        """Yield the minibatches of an epoch, each with its number, from 1."""
        order = self._rng.permutation(self._series)
        runs = [self._drawn(index) for index in order.tolist()]
        self.n_targets = sum(map(len, runs))
        for number, start in enumerate(range(0, len(runs), self._batch_size), 1):
            yield number, self._batch(runs[start : start + self._batch_size], network)

    def whole(self, network: TrainableNetwork, batch_size: int) -> Iterator[Batch]:
        """Not for forecasts: no solver here needs all of the data at once."""
        raise NotImplementedError

    def prior(self, loss: Loss) -> Prior:
        """Return a prior that cannot be improved on: of a random walk no forecast is better."""
        return Prior(0.0, 0.0, "the season before")

    def _drawn(self, index: int) -> np.ndarray:
        """Return the origins of a run over a series, the last one at random."""
        windows = self._windows
        season = windows.encoding.season
        # Behind the last origin but one there is a target at least.
        last = int(windows.last[index]) - 1
        first = int(windows.first[index])
        latest = last - int(self._rng.integers(min(season, last - first + 1)))
        surplus = (latest - first) // season + 1 - LONGEST_RUN
        if surplus > 0:
            latest -= season * int(self._rng.integers(surplus + 1))
        return windows.run(index, latest)[-LONGEST_RUN:]

    def _batch(self, runs: list[np.ndarray], network: TrainableNetwork) -> Batch:
        """Return the inputs and targets of some runs."""
        runs = sorted(runs, key=len, reverse=True)
        lengths = np.array([len(run) for run in runs])
        origins = np.concatenate(runs)
        cuts = np.cumsum(lengths)[:-1]
        targets = np.repeat(self._windows.targets(origins), self._repeats, axis=1)
        # Of half of the runs covariates are not known ahead.
        known = np.repeat(self._rng.random(len(runs)) < _KNOWN, lengths)
        batch = Batch.of_inputs(np.split(self._windows.inputs(origins, known), cuts))
        return batch.with_targets(
            np.split(targets, cuts),
            np.split(np.ones(len(origins)), cuts),
            network.dropout_masks(len(runs), self._rng),
        )


__all__ = ["Origins"]
