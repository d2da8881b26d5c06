"""A run that keeps what training discards: gates, and the gradients of every state and input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import cpu
from .batches import Batch
from .forward_backward import ForwardBackward
from .stack import Stack
from .workspace import LayerBuffers, Workspace

if TYPE_CHECKING:
    from .layers import Embedding


class Trace(ForwardBackward):
    """One batch forward, and back from the end of each sequence.

    Parameters
    ----------
    network : Stack
        The layers to run.
    X : sequence of ndarray (T_i, F), or of codes (T_i,)
        Sequences.
    at : ndarray of int (B,), optional
        For target "step" the step of each sequence at which it is read; by default its last one.

    Attributes
    ----------
    lengths, order : ndarray of int64 (B,)
        Number of steps of each sequence, longest first, and its index in X.
    layers : dict of str to LayerBuffers
        The run of each layer and direction, by name.
    """

    def __init__(
        self, network: Stack, X: Sequence[np.ndarray], at: np.ndarray | None = None
    ) -> None:
        super().__init__(network, Batch.of_inputs(X), Workspace(network.levels, network.dtype))
        self.lengths = self.batch.lengths
        self.order = self.batch.order
        self.layers = {run.layer.name: run for level in self._levels for run in level}
        self._unsorted = np.argsort(self.order)
        self._records: dict[str, np.ndarray] = {}
        self._at = None if at is None else at[self.order]
        self.forward()

    # -- forward -----------------------------------------------------------------------------------

    def _ends(self) -> np.ndarray:
        """Return the row of the features at which each sequence is read."""
        if self._at is None:
            return super()._ends()
        return self.packing.rows_at(self._at)

    def last_features(self) -> np.ndarray:
        """Return the head's input at each sequence's end, (B, D) in the batch's order."""
        D = self.network.head.features
        return np.array(self.head_inputs[self._ends(), :D])

    def last_outputs(self) -> np.ndarray:
        """Return the raw outputs (B, k) at each sequence's end, in the batch's order."""
        return self.final_outputs() if self.step else np.asarray(self.outputs())

    def values(self, buffers: LayerBuffers, name: str) -> list[np.ndarray]:
        """Return a gate or state of a layer at every step, (T_i, H) in the order of X."""
        layer = buffers.layer
        packing = self.packing
        array = buffers.state
        names = layer.cell.states
        if name in layer.cell.slots:
            array = buffers.slots
            names = layer.cell.slots
        column = names.index(name) * layer.width
        # (steps, H)
        rows = array[packing.start : packing.stop, column : column + layer.units]
        # The rows of a reverse direction begin at each sequence's end.
        if layer.name.endswith(".reverse"):
            rows = rows[packing.mirrored_rows - packing.start]
        return self._in_order(packing.by_sequence(rows))

    def _in_order(self, values: Sequence[Any]) -> list[Any]:
        """Return values, given in the batch's order, in the order of X."""
        return [values[i] for i in self._unsorted.tolist()]

    def _tokens(self, embedding: Embedding) -> list[np.ndarray]:
        """Return one row per step, however few the tokens: each step has a gradient of its own."""
        packing = self.packing
        self.codes = embedding.joined(self.batch.X)[packing.source]
        X = self.workspace.X.at_least(packing.stop, embedding.width)
        embedding.look_up(self.codes, X, packing.start)
        return self._both_ways(0, X)

    # -- back --------------------------------------------------------------------------------------

    def back(self, dfeatures: np.ndarray) -> None:
        """Run back from the gradient of `last_features`, before gradients are read.

        The layers must have been transposed.
        """
        network = self.network
        # The gradients of the parameters come with the others, and nobody reads them.
        vector = cpu.host.aligned(1, network.layout.size, network.dtype)[0]
        blocks = network.layout.blocks(vector)
        gradients: dict[str, Any] = {part.name: part.parts(blocks) for part in network.parts}
        columns = cpu.host.padded(network.head.features, network.dtype)
        # (rows, D padded): zeros but for each sequence's end
        doutput = self.workspace.dfeatures.at_least(self._stop, columns)
        doutput[: self._stop] = 0
        doutput[self._ends(), : dfeatures.shape[1]] = dfeatures
        if network.pooling:
            doutput = self.workspace.pooling.backward(doutput, gradients)
        self._dX = [doutput] * len(self._levels)  # by level
        for number in reversed(range(len(self._levels))):
            doutput = self._level_back(number, doutput, gradients)
            self._dX[number] = doutput

    def _back(
        self,
        buffers: LayerBuffers,
        dh: np.ndarray,
        gradients: dict[str, Any],
        wanted: bool,
    ) -> np.ndarray:
        """Run one layer back, record its states' gradients, return the gradient of its input."""
        layer = buffers.layer
        # (rows, F padded), for the input's gradient is wanted at every level here
        dX = buffers.dX.at_least(buffers.rows, layer.input_width)
        # (rows, Z * width)
        record = buffers.record.at_least(*buffers.state.shape)
        buffers.backward(dX, dh, gradients[layer.name], record)
        self._records[layer.name] = record
        return dX

    def state_gradient(self, buffers: LayerBuffers) -> np.ndarray:
        """Return the norm of the gradient of a layer's state.

        Returns
        -------
        ndarray (n, lag)
            By sequence of X and steps before the layer's end of it; NaN where a sequence is
            shorter.
        """
        norms = _norms(self._records[buffers.layer.name])
        if self.recurrent:
            return self._by_lag(norms)
        # The first level has rows that are never read; later ones have one row per output.
        every = buffers in self._levels[0] and self.every_step
        return self._of_outputs(norms[self.packing.index] if every else norms)

    def input_gradient(self, number: int) -> np.ndarray:
        """Return the norm of the gradient of a level's input, (n, lag) as `state_gradient`."""
        if self.recurrent or number == 0:
            gradients = self.input_gradients(number)
            return self._padded([_norms(steps)[::-1] for steps in gradients])
        return self._of_outputs(_norms(self._dX[number]))

    def input_gradients(self, number: int = 0) -> list[np.ndarray]:
        """Return the gradient of a level's input at each step, (T_i, F) in the order of X."""
        packing = self.packing
        F = self.network.levels[number][0].features
        dX = self._dX[number]
        if self.recurrent:
            rows = dX[packing.start : packing.stop, :F]
            return self._in_order(packing.by_sequence(rows))
        window = self.network.window
        # Windows of the last steps alone do not overlap; others move on by one step.
        stride = window if packing.last else 1
        F //= window
        ends = np.cumsum(self.lengths)
        # (1 + steps, F): the first row is that of the zeros before each sequence
        steps = np.zeros((1 + int(ends[-1]), F), self.network.dtype)
        cpu.gather.scatter_windows(steps, packing.source, dX, stride, window, F)
        return self._in_order(np.split(steps[1:], ends[:-1]))

    def _of_outputs(self, values: np.ndarray) -> np.ndarray:
        """Return values of a feed-forward level's outputs as (n, lag)."""
        if self.network.pooling:
            return self._by_lag(values)
        # No earlier step's output has a gradient: only the last one is read.
        return self._only_last(values[self._ends()])

    def _by_lag(self, values: np.ndarray) -> np.ndarray:
        """Return one value per row as (n, lag): by sequence of X and steps before its end."""
        steps = self.packing.by_sequence(values[self.packing.start : self.packing.stop])
        return self._padded(self._in_order([each[::-1] for each in steps]))

    def _only_last(self, values: np.ndarray) -> np.ndarray:
        """Return (n, lag) that is 0 but at lag 0, from one value per sequence of the batch."""
        sequences = []
        for value, T in zip(values, self.lengths, strict=True):
            by_lag = np.zeros(T)
            by_lag[0] = value
            sequences.append(by_lag)
        return self._padded(self._in_order(sequences))

    def _padded(self, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """Return vectors as the rows of a matrix, filled up with NaN."""
        out = np.full((len(sequences), int(self.lengths[0])), np.nan)
        for row, values in zip(out, sequences, strict=True):
            row[: len(values)] = values
        return out

    # -- Jacobians ---------------------------------------------------------------------------------

    def jacobian_norms(
        self, buffers: LayerBuffers, rounds: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return norms of the derivative of a layer's last h with respect to its earlier states.

        Parameters
        ----------
        buffers : LayerBuffers
            One of `layers`.
        rounds : sequence of int
            Rounds of power iteration for each sequence of X; without any the second norm is NaN.

        Returns
        -------
        frobenius, spectral : ndarray of float64 (n, lag)
            Norms, as those of `state_gradient`.
        """
        layer = buffers.layer
        shape = (len(self.lengths), int(self.lengths[0]))
        if not self.recurrent:
            # No earlier step reaches h, and its derivative with respect to itself is the identity.
            ones = self._only_last(np.ones(len(self.lengths)))
            return ones * layer.units**0.5, ones
        # In the batch's order
        norms = np.full(shape, np.nan, layer.dtype)
        spectral = np.full(shape, np.nan, layer.dtype)
        kernel = cpu.jacobian.jacobian(layer.cell_name)
        sorted_rounds = np.array(rounds)[self.order]
        kernel(
            norms,
            spectral,
            buffers.tape,
            layer.transposed.W_hh,
            self.packing.first,
            self.lengths,
            layer.units,
            sorted_rounds,
        )
        unsorted = self._unsorted
        return norms[unsorted].astype(np.float64), spectral[unsorted].astype(np.float64)


def _norms(rows: np.ndarray) -> np.ndarray:
    """Return the Euclidean norm of each row, in float64."""
    # Not np.linalg.norm, which would sum float32 squares in float32.
    norms: np.ndarray = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    return norms
