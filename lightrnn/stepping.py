"""A network taken through time one step at a call: the cost of a step does not grow with what came before."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import cpu
from .batches import blocks
from .network import Network
from .runs import Workspace


class Stepper:
    """Some sequences in parallel, of which the next step is given at each call.

    Parameters
    ----------
    network : Network
        Not bidirectional.
    count : int
        Sequences.

    Attributes
    ----------
    states : list of ndarray (count, Z * width)
        The state of each layer, h first; for a feed-forward net the inputs of its window. Views: writing to them
        changes what the next step begins from.
    """

    def __init__(self, network: Network, count: int) -> None:
        self.network, self.count = network, count
        self._room = Workspace(network.levels, network.dtype)
        self._runs = [level[0] for level in self._room.levels]
        embedding, features = network.embedding, self._runs[0].layer.features
        if network.recurrent:
            width = embedding.width if embedding else features
            self._X = cpu.host.aligned(2 * count, width, network.dtype)
            self._bind()
            self.states = [run.state[:count] for run in self._runs]
        else:
            self._X = cpu.host.aligned(count, features, network.dtype)
            self.states = [self._X]

    def _bind(self) -> None:
        """Put together what the kernel takes, once for all steps."""
        first = np.array([0, self.count, 2 * self.count])
        X, tapes, plans = self._X, [], []
        for run in self._runs:
            run.reserve(first)
            tapes.append(cpu.recurrence.Tape(X, run.slots, run.state, np.empty(0, np.int64), run.slots))
            plans.append(cpu.recurrence.Plan(first, 1, run.layer.features, run.layer.units))
            X = run.state
        self._arguments = tuple(tapes), tuple(run.layer.weights for run in self._runs), tuple(plans)
        self._advance = cpu.recurrence.advance(self.network.cell)

    def reset(self) -> None:
        """Begin anew."""
        for state in self.states:
            state[:] = 0

    def step(self, X: np.ndarray) -> np.ndarray:
        """Take one step and return the raw outputs (count, k), until the next call.

        Parameters
        ----------
        X : ndarray (count, F), or codes (count,)
            The input of each sequence.
        """
        return self.network.head.outputs(self._room, self.features(X), self.start, self.start + self.count)

    @property
    def start(self) -> int:
        """The first row of what `features` returns that counts."""
        return self.count if self.network.recurrent else 0

    def features(self, X: np.ndarray) -> np.ndarray:
        """Take one step and return the last layer's state, in `count` rows from `start` on."""
        network, embedding = self.network, self.network.embedding
        if not network.recurrent:
            return self._windows(X)
        if embedding:
            embedding.look_up(X, self._X, self.count)
        else:
            self._X[self.count :] = X
        self._advance(*self._arguments)
        return self._runs[-1].state

    def _windows(self, X: np.ndarray) -> np.ndarray:
        """Push the input into every window and run the layers over them."""
        embedding: Any = self.network.embedding
        if embedding:
            rows = self._room.rows("embedded", self.count, embedding.width)
            embedding.look_up(X, rows, 0)
            X = rows[: self.count, : embedding.size]
        F = X.shape[1]
        self._X[:, :-F] = self._X[:, F:]
        self._X[:, -F:] = X
        rows = self._X
        for run in self._runs:
            run.reserve(blocks(0, self.count))
            run.forward(rows)
            rows = run.state
        return rows
