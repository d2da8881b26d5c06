"""A pass that keeps what training throws away: gates, and the gradients of every state and input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import cpu
from .batches import Batch
from .forward_backward import ForwardBackward
from .workspace import LayerBuffers, Workspace

if TYPE_CHECKING:
    from .layers import Embedding
    from .network import Network


class Trace(ForwardBackward):
    """One batch forward, and back from the end of each sequence, for one network.

    Parameters
    ----------
    network : Network
        Whose layers run.
    X : sequence of ndarray (T_i, F), or of codes (T_i,)
        Sequences.

    Attributes
    ----------
    lengths, order : ndarray of int64 (B,)
        Steps of each sequence, longest first, and which of X it was.
    """

    def __init__(self, network: Network, X: Sequence[np.ndarray]) -> None:
        super().__init__(network, Batch.of_inputs(X), Workspace(network.levels, network.dtype))
        self.lengths, self.order = self.batch.lengths, self.batch.order
        self._back_to = np.argsort(self.order)
        self._records: dict[str, np.ndarray] = {}
        self.forward()

    @property
    def runs(self) -> dict[str, LayerBuffers]:
        """The runs of all layers and directions, by name."""
        return {run.layer.name: run for level in self._levels for run in level}

    # -- forward ------------------------------------------------------------------------------------------------------

    def last_features(self) -> np.ndarray:
        """Return what the output layer reads at each sequence's end, (B, D) in the batch's order."""
        D = self.network.head.features
        return np.array(self._features[self._ends(), :D])

    def last_outputs(self) -> np.ndarray:
        """Return the raw outputs (B, k) at each sequence's end, in the batch's order."""
        return self.final_outputs() if self.step else np.asarray(self.outputs())

    def _ends(self) -> np.ndarray:
        """Return the rows among the features that the last output is made of."""
        if not self.step:
            return np.arange(len(self.lengths))
        return self.rows.last_rows if self.recurrent else np.cumsum(self.lengths) - 1

    def values(self, run: LayerBuffers, name: str) -> list[np.ndarray]:
        """Return a gate or state of every step, (T_i, H) in the order of X, first step first."""
        cell, width = run.layer.cell, run.layer.width
        array, names = (run.slots, cell.slots) if name in cell.slots else (run.state, cell.states)
        column = names.index(name) * width
        rows = array[self.rows.start : self.rows.stop, column : column + run.layer.units]
        if run.layer.name.endswith(".reverse"):
            rows = rows[self.rows.mirrored_rows - self.rows.start]
        return self._in_order(self.rows.by_sequence(rows))

    def _in_order(self, values: Sequence[Any]) -> list[Any]:
        return [values[i] for i in self._back_to.tolist()]

    def _tokens(self, embedding: Embedding) -> list[np.ndarray]:
        """Return a row for each step, however few tokens there are: each has a gradient of its own."""
        self._codes = self.rows.by_step(self.batch.X)
        X = self.room.rows("X", self.rows.stop, embedding.width)
        embedding.look_up(self._codes, X, self.rows.start)
        return self._both_ways("X", X, len(self._levels[0]))

    # -- back ---------------------------------------------------------------------------------------------------------

    def back(self, dfeatures: np.ndarray) -> None:
        """Go back from the gradient of `last_features`; the gradients of states and inputs can then be asked for.

        The layers must be transposed.
        """
        network = self.network
        blocks = network.layout.blocks(cpu.host.aligned(1, network.layout.size, network.dtype)[0])
        gradients = {layer.name: layer.parts(blocks) for layer in network.layers}
        columns = cpu.host.padded(network.head.features, network.dtype)
        doutput = self.room.rows("dfeatures", self._stop, columns)
        doutput[: self._stop] = 0
        doutput[self._ends(), : dfeatures.shape[1]] = dfeatures
        self._dX = [doutput] * len(self._levels)
        for number in reversed(range(len(self._levels))):
            doutput = self._dX[number] = self._level_back(number, doutput, gradients)

    def _back(
        self, run: LayerBuffers, dh: np.ndarray, gradients: dict[str, Any], wanted: bool
    ) -> np.ndarray:
        layer = run.layer
        dX = self.room.rows(
            f"{layer.name}.dX", run.rows, cpu.host.padded(layer.features, layer.dtype)
        )
        record = self._records[layer.name] = self.room.rows(
            f"{layer.name}.record", *run.state.shape
        )
        run.backward(dX, dh, gradients[layer.name], record)
        return dX

    def state_gradient(self, run: LayerBuffers) -> np.ndarray:
        """Return the norm of the gradient of the state, (n, lag): by sequence of X, steps before the run's end."""
        norms = _norms(self._records[run.layer.name])
        if self.recurrent:
            return self._by_lag(norms)
        first = self.rows.index if self.step and run in self._levels[0] else np.arange(len(norms))
        return self._only_last(norms[first[self._ends()]])

    def input_gradient(self, number: int) -> np.ndarray:
        """Return the norm of the gradient of a level's input, (n, lag): by sequence of X, steps before its end."""
        if self.recurrent or number == 0:
            return self._aligned([_norms(rows)[::-1] for rows in self.input_gradients(number)])
        return self._only_last(_norms(self._dX[number])[self._ends()])

    def input_gradients(self, number: int = 0) -> list[np.ndarray]:
        """Return the gradient of a level's input at each step, (T_i, F) in the order of X."""
        F = self.network.levels[number][0].features
        if self.recurrent:
            return self._in_order(
                self.rows.by_sequence(self._dX[number][self.rows.start : self.rows.stop, :F])
            )
        window = self.network.window
        total = np.zeros((int(self.lengths.sum()) + 1, F // window), self.network.dtype)
        cpu.gather.scatter_windows(
            total,
            self.rows.source,
            self._dX[0],
            window if self.rows.last else 1,
            window,
            F // window,
        )
        return self._in_order(np.split(total[1:], np.cumsum(self.lengths)[:-1]))

    def _by_lag(self, rows: np.ndarray) -> np.ndarray:
        """Put a number of each row into (sequence of X, lag); NaN where a sequence is shorter."""
        return self._aligned(
            self._in_order(
                [
                    rows[self.rows.first[T - np.arange(T)] + b]
                    for b, T in enumerate(self.lengths.tolist())
                ]
            )
        )

    def _only_last(self, values: np.ndarray) -> np.ndarray:
        """Return zeros but for the last step's value, of sequences in the batch's order."""
        rows = [
            np.append(value, np.zeros(T - 1))
            for value, T in zip(values, self.lengths.tolist(), strict=True)
        ]
        return self._aligned(self._in_order(rows))

    def _aligned(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """Put vectors one below the other, filled up with NaN."""
        out = np.full((len(values), int(self.lengths[0])), np.nan)
        for row, vector in zip(out, values, strict=True):
            row[: len(vector)] = vector
        return out

    # -- Jacobians ----------------------------------------------------------------------------------------------------

    def jacobian_norms(
        self, run: LayerBuffers, rounds: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return norms of the derivative of a layer's last h by its state, (n, lag) as `state_gradient`.

        Parameters
        ----------
        run : Run
            The layer's.
        rounds : sequence of int
            Of power iteration, for each sequence of X; without any the second norm is NaN.

        Returns
        -------
        frobenius, spectral : ndarray of float64 (n, lag)
        """
        B, T = len(self.lengths), int(self.lengths[0])
        if not self.recurrent:  # h is all there is, and no step before reaches it
            return self._only_last(np.full(B, run.layer.units**0.5)), self._only_last(np.ones(B))
        norms, spectral = (np.full((B, T), np.nan, run.layer.dtype) for _ in range(2))
        kernel, W_hh = cpu.jacobian.jacobian(run.layer.cell_name), run.layer.transposed.W_hh
        turns = np.array(rounds)[self.order]
        kernel(
            norms, spectral, run.tape, W_hh, self.rows.first, self.lengths, run.layer.units, turns
        )
        return norms[self._back_to].astype(np.float64), spectral[self._back_to].astype(np.float64)


def _norms(rows: np.ndarray) -> np.ndarray:
    """Euclidean norm of each row, in float64."""
    norms: np.ndarray = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    return norms
