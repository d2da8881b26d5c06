"""A long batch in little memory, for networks of two directions: see `checkpoints.py`.

A level needs all outputs of the level below at once, so that one level and direction runs after the
other, each in segments. In between a level's outputs are kept for every step, and on the way back
the gradient of them.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import cpu
from ..utils.indexing import split
from .batches import Batch
from .checkpoints import Chain
from .forward_backward import ForwardBackward
from .packing import Steps as Packing
from .workspace import Buffer, Workspace

if TYPE_CHECKING:
    from ..losses import Loss
    from .layers import Embedding
    from .stack import Stack

Steps = Sequence[np.ndarray]  # (T_i, columns) of each sequence


class BidirectionalRun:
    """A run over a batch that learns in segments; the arguments are those of `ForwardBackward`."""

    def __init__(
        self, network: Stack, batch: Batch, workspace: Workspace, cached: np.ndarray | None = None
    ) -> None:
        self.network = network
        self.batch = batch
        self.workspace = workspace
        self._cached = cached
        self._last = len(network.levels) - 1
        self._chains: list[list[Chain]] = []
        self._pooled: list[np.ndarray] = []

    def final_states(self) -> list[np.ndarray]:
        """Return what a batch of the next steps begins with, see `Batch.states`."""
        chains = [chain for level in self._chains for chain in level]
        return [state for chain in chains for state in chain.final_states] + self._pooled

    def forward(self, kept: bool = True) -> ForwardBackward:
        """Run all levels and return a run of which outputs are read; what `train` needs is kept."""
        X: Steps = self.batch.X
        for number in range(self._last + 1):
            X = self._level(number, X, kept)
        run = ForwardBackward(self.network, self.batch, self.workspace)
        run.head_inputs = self._head_inputs(run, X)
        pooling = self.network.pooling
        if pooling:
            before = self.batch.states[-1] if self.batch.states else None
            run.head_inputs = run.pooled(pooling, run.head_inputs, before)
            self._pooled = [np.array(self.workspace.pooling.pooled[: len(X)])]
        return run

    def train(self, loss: Loss, gradients: dict[str, Any]) -> float:
        """Return the shard's part of the batch's loss and add to each layer's gradient."""
        run = self.forward()
        value, doutput = run.head_back(loss, gradients)
        if self.network.pooling:
            doutput = self.workspace.pooling.backward(doutput, gradients)
        doutputs: Any = doutput
        if self._by_step(self._last):
            doutputs = run.packing.by_sequence(doutput[run.packing.start : run.packing.stop])
        for number in reversed(range(self._last + 1)):
            doutputs = self._level_back(number, doutputs, gradients)
        return value

    def _by_step(self, number: int) -> bool:
        """Whether a level outputs every step."""
        return number < self._last or self.network.every_step

    # -- forward -----------------------------------------------------------------------------------

    def _level(self, number: int, X: Steps, kept: bool) -> Steps:
        """Run both directions of a level; return its outputs, if every step has one."""
        level = self.network.levels[number]
        columns = self.network.widths[number] if self._by_step(number) else 0
        outputs = self._steps(columns)
        self._chains.append([])
        column = 0
        for direction, layer in enumerate(level):
            chain = self._chain(number, direction, X, slice(column, column + layer.units))
            self._chains[number].append(chain)
            for run in chain.forward(kept):
                if columns:
                    parts = _parts(run, outputs, direction, column, layer.units)
                    for part, h in zip(parts, _by_sequence(run, run.head_inputs), strict=True):
                        part[:] = h[:, : layer.units]
            column += layer.units
        return outputs

    def _chain(self, number: int, direction: int, X: Steps, columns: slice) -> Chain:
        """Return one direction of a level, which is a network of its own; of these columns."""
        layer = self.network.levels[number][direction]
        part = copy.copy(self.network)
        part.levels = [(layer,)]
        part.padded_widths = [layer.width]
        part.target = "step" if self._by_step(number) else "sequence"
        part.pooling = None
        if number:
            part.embedding = None
            part.standardization = None
            part.n_features = layer.features
        workspace = copy.copy(self.workspace)
        workspace.levels = [[self.workspace.levels[number][direction]]]
        # The last segment's input is still there when the other chains have been run.
        workspace.X = Buffer(part.dtype)
        batch = replace(self.batch, X=[x[:: -1 if direction else 1] for x in X])
        if number or direction:
            batch.offsets = None
        pooled = number == self._last and self.network.pooling
        masks = () if pooled else self.batch.masks[number : number + 1]
        batch.masks = tuple(np.ascontiguousarray(mask[:, columns]) for mask in masks)
        batch.states = self.batch.states[2 * number + direction :][:1]
        batch.targets = batch.weights = None
        return Chain(part, batch, workspace, self._cached, above=number > 0)

    def _steps(self, columns: int) -> list[np.ndarray]:
        """Return zeros (T_i, columns) for each sequence."""
        lengths = self.batch.lengths
        return split(np.zeros((int(lengths.sum()), columns), self.network.dtype), lengths)

    def _head_inputs(self, run: ForwardBackward, outputs: Steps) -> np.ndarray:
        """Return the last level's outputs as the head reads them: see `ForwardBackward`."""
        columns = self.network.padded_widths[-1]
        if self._by_step(self._last):
            return _packed(run, outputs, columns)
        rows = cpu.host.aligned(len(self.batch.X), columns, self.network.dtype)
        column = 0
        for chain in self._chains[-1]:
            units = chain.network.levels[0][0].units
            rows[:, column : column + units] = chain.features[:, :units]
            column += units
        return rows

    # -- back --------------------------------------------------------------------------------------

    def _level_back(self, number: int, doutputs: Any, gradients: dict[str, Any]) -> Steps:
        """Run both directions of a level back, from the gradient of its output to its input's."""
        level = self.network.levels[number]
        embedding = None if number else self.network.embedding
        # (T_i, F padded)
        dinputs = self._steps(level[0].input_width if number or embedding else 0)
        dtokens = []  # or (tokens, F padded), if X has one row per token
        column = 0
        for direction, (chain, layer) in enumerate(zip(self._chains[number], level, strict=True)):
            for run in chain.backward():
                doutput = self._arriving(number, direction, run, doutputs, column)
                dX = run.levels_back(doutput, gradients)
                if run.row_tokens:
                    dtokens += [dX.copy()] * run.segment.begins
                elif dX.shape[1]:
                    parts = _parts(run, dinputs, direction, 0, dX.shape[1])
                    for part, d in zip(parts, _by_sequence(run, dX), strict=True):
                        part += d
            column += layer.units
        if embedding:
            self._embedding_back(embedding, dinputs, dtokens, gradients[embedding.name])
        return dinputs

    def _arriving(
        self, number: int, direction: int, run: ForwardBackward, doutputs: Any, column: int
    ) -> np.ndarray:
        """Return the gradient of what a direction outputs in a segment."""
        layer = self.network.levels[number][direction]
        if self._by_step(number):
            parts = _parts(run, doutputs, direction, column, layer.units)
            return _packed(run, parts, layer.width)
        count = len(run.batch.X)
        doutput = cpu.host.aligned(count, layer.width, layer.dtype)
        doutput[:, : layer.units] = doutputs[:count, column : column + layer.units]
        return doutput

    def _embedding_back(
        self, embedding: Embedding, dinputs: Steps, dtokens: Steps, gradient: np.ndarray
    ) -> None:
        """Add to an embedding's gradient from that of each step's vector, or each token's."""
        if dtokens:
            rows, reverse = dtokens
            rows[:, : embedding.size] += reverse[:, : embedding.size]
            codes = np.arange(embedding.n_tokens)
        else:
            packing = Packing.of(self.batch.lengths)
            rows = packing.by_step(list(dinputs))
            codes = embedding.joined(self.batch.X)[packing.source]
        embedding.add_gradient(gradient, codes, rows, 0)


def _parts(
    run: ForwardBackward, values: Steps, direction: int, column: int, width: int
) -> list[np.ndarray]:
    """Return views of each sequence's steps in a segment, in the order of the direction."""
    ordered = [steps[::-1] for steps in values] if direction else values
    start = run.segment.start
    return [
        steps[start : start + T, column : column + width]
        for steps, T in zip(ordered, run.batch.lengths.tolist(), strict=False)
    ]


def _by_sequence(run: ForwardBackward, rows: np.ndarray) -> list[np.ndarray]:
    """Return packed rows as steps of each sequence."""
    steps: list[np.ndarray] = run.packing.by_sequence(rows[run.packing.start : run.packing.stop])
    return steps


def _packed(run: ForwardBackward, steps: Steps, columns: int) -> np.ndarray:
    """Return steps of each sequence as packed rows; further columns are zeros."""
    rows = cpu.host.aligned(run.packing.stop, columns, run.network.dtype)
    first = run.packing.first
    for b, values in enumerate(steps):
        rows[first[1 : 1 + len(values)] + b, : values.shape[1]] = values
    return rows
