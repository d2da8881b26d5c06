"""A network taken through time one step at a call: the cost of a step does not grow with what came before."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .. import cpu
from .heads import LinearHead
from .layers import Layer
from .network import Network
from .workspace import Workspace


class Stepper:
    """Some sequences in parallel, of which the next step is given at each call.

    It computes with the parameters that the network has when it is made.

    Parameters
    ----------
    network : Network
        Not bidirectional.
    count : int
        Sequences.

    Attributes
    ----------
    inputs : ndarray (count, F)
        Where the inputs of the next step are put; the embedding's rows for tokens.
    states : list of ndarray (count, Z * width)
        The state of each layer, h first; for a feed-forward net the inputs of its window. Views: writing to them
        changes what the next step begins from.
    features : ndarray (count, units)
        After a step the last layer's state.
    advance : callable
        Takes a step on `inputs`; returns whether they were finite, else nothing has changed.
    fixed_outputs : ndarray (count, k), or None
        After a step the raw outputs, unless the output layer is no matrix.
    """

    def __init__(self, network: Network, count: int) -> None:
        self.network, self.count = network, count
        self._linear = isinstance(network.head, LinearHead)
        network.refresh()
        layers = [level[0] for level in network.levels] + [network.head.layer] * self._linear
        self._lay_out(layers)
        kernel = cpu.single_step.advance(network.cell, self._linear)
        self.advance: Callable[[], bool] = partial(kernel, self._vector, self._index)

    # -- where everything is ------------------------------------------------------------------------------------------

    def _lay_out(self, layers: list[Layer]) -> None:
        """Put inputs, states and weights into one vector."""
        network, count = self.network, self.count
        before = count if network.recurrent else 0
        self._rows, columns = before + count, layers[0].features
        F = columns if network.recurrent else columns // network.window
        self._size = 0
        head = [
            count,
            F,
            before,
            self._reserve(self._rows * columns),
            columns,
            columns - F,
            int(not network.recurrent),
        ]
        index = [head + [0] * (cpu.single_step.COLUMNS - len(head))]
        index += [self._reserve_layer(layer) for layer in layers]
        self._vector, self._index = (
            cpu.host.aligned(1, self._size, network.dtype)[0],
            np.array(index),
        )
        for layer, row in zip(layers, index[1:], strict=True):
            for weights, start in zip(layer.weights, row[5::2], strict=True):
                self._vector[start : start + weights.size] = weights
        self._views(layers, index, before, F)

    def _reserve(self, size: int) -> int:
        """Return where so many numbers begin, at a cache line."""
        start, line = self._size, cpu.host.CACHE_LINE // self.network.dtype.itemsize
        self._size += -(-size // line) * line
        return start

    def _reserve_layer(self, layer: Layer) -> list[int]:
        """Return a layer's row of the index, see `cpu/advance.py`."""
        row = [layer.features, layer.units, layer.width]
        row += [
            self._reserve(self._rows * len(part) * layer.width)
            for part in (layer.cell.slots, layer.cell.states)
        ]
        for weights in layer.weights:
            row += [self._reserve(weights.size), weights.size]
        return row

    def _views(self, layers: list[Layer], index: list[list[int]], before: int, F: int) -> None:
        """Find in the vector what is read and written from outside."""
        inputs = self._matrix(index[0][3], index[0][4])
        self.inputs = inputs[before:, -F:]
        hidden = list(zip(layers, index[1:], strict=True))[: len(self.network.levels)]
        states = [
            self._matrix(row[4], len(layer.cell.states) * layer.width) for layer, row in hidden
        ]
        self.states = [state[:before] for state in states] if self.network.recurrent else [inputs]
        self.features, self._last = (
            states[-1][before:, : layers[len(hidden) - 1].units],
            (states[-1], before),
        )
        self.fixed_outputs: np.ndarray | None = None
        if self._linear:
            self.fixed_outputs = self._matrix(index[-1][4], layers[-1].width)[
                before:, : layers[-1].units
            ]

    def _matrix(self, start: int, columns: int) -> np.ndarray:
        return self._vector[start : start + self._rows * columns].reshape(self._rows, columns)

    # -- steps --------------------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Begin anew."""
        for state in self.states:
            state[:] = 0

    def outputs(self) -> np.ndarray:
        """Return the raw outputs (count, k) of the last step, until the next."""
        if self.fixed_outputs is not None:
            return self.fixed_outputs
        rows, start = self._last
        return self.network.head.outputs(self._room, rows, start, start + self.count)

    @property
    def _room(self) -> Workspace:
        """Where an output layer that is no matrix computes."""
        if "_workspace" not in vars(self):
            self._workspace = Workspace(self.network.levels, self.network.dtype)
        return self._workspace

    def step(self, X: np.ndarray) -> np.ndarray:
        """Take one step and return the raw outputs (count, k), until the next call.

        Parameters
        ----------
        X : ndarray (count, F), or codes (count,)
            The input of each sequence.
        """
        self.read(X)
        self.advance()
        return self.outputs()

    def read(self, X: np.ndarray) -> None:
        """Put X where the inputs are."""
        embedding: Any = self.network.embedding
        if embedding:
            rows = cpu.host.aligned(self.count, embedding.width, self.network.dtype)
            embedding.look_up(X, rows, 0)
            X = rows[:, : embedding.size]
        self.inputs[:] = X
