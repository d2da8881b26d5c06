"""The origins that training learns from: in each epoch every series once, from a random step on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ..losses import Loss
from ..nn.batches import Batch
from ..training.prior import Prior
from .windows import LONGEST_RUN, Windows

if TYPE_CHECKING:
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
    name : str, default=""
        What is shown of the network that learns from them.
    """

    unit = "series"

    def __init__(
        self,
        windows: Windows,
        batch_size: int,
        repeats: int,
        rng: np.random.Generator,
        name: str = "",
    ) -> None:
        self.name = name
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
        ends, lengths = self._drawn(self._rng.permutation(self._series))
        self.n_targets = int(lengths.sum())
        for number, start in enumerate(range(0, self.count, self._batch_size), 1):
            some = slice(start, start + self._batch_size)
            yield number, self._batch(ends[some], lengths[some], network)

    def whole(self, network: TrainableNetwork, batch_size: int) -> Iterator[Batch]:
        """Not for forecasts: no solver here needs all of the data at once."""
        raise NotImplementedError

    def prior(self, loss: Loss) -> Prior:
        """Return a prior that cannot be improved on: of a random walk no forecast is better."""
        return Prior(0.0, 0.0, "the season before")

    def _drawn(self, series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the last origin of a run over each of some series, at random, and its length."""
        season = self._windows.encoding.season
        # Behind the last origin but one there is a target at least.
        last = self._windows.last[series] - 1
        first = self._windows.first[series]
        ends = last - self._rng.integers(np.minimum(season, last - first + 1))
        lengths = (ends - first) // season + 1
        surplus = np.maximum(lengths - LONGEST_RUN, 0)
        ends -= season * self._rng.integers(surplus + 1)
        return ends, lengths - surplus

    def _batch(self, ends: np.ndarray, lengths: np.ndarray, network: TrainableNetwork) -> Batch:
        """Return the inputs and targets of runs, of which the last origins are given."""
        order = np.argsort(-lengths, kind="stable")
        lengths = lengths[order]
        cuts = np.cumsum(lengths)
        # How many origins of its run are behind each one.
        behind = np.repeat(cuts, lengths) - 1 - np.arange(cuts[-1])
        origins = np.repeat(ends[order], lengths) - self._windows.encoding.season * behind
        cuts = cuts[:-1]
        targets = np.repeat(self._windows.targets(origins), self._repeats, axis=1)
        # Of half of the runs covariates are not known ahead.
        known = np.repeat(self._rng.random(len(ends)) < _KNOWN, lengths)
        batch = Batch.of_inputs(np.split(self._windows.inputs(origins, known), cuts))
        return batch.with_targets(
            np.split(targets, cuts),
            np.split(np.ones(len(origins)), cuts),
            network.dropout_masks(len(ends), self._rng),
        )
