"""A network that advances one step per call: a step costs the same however many came before."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import cpu
from .heads import LinearHead
from .layers import Layer
from .stack import Stack
from .workspace import Workspace

if TYPE_CHECKING:
    from ..cpu.single_step import LayerRow, NetworkRow
    from .pooling import Pooling


class Stepper:
    """Some sequences in parallel, which are given their next step at each call.

    It computes with the parameters that the network had when the stepper was made.

    Parameters
    ----------
    network : Stack
        The layers to run, of one direction.
    count : int
        Number of sequences.

    Attributes
    ----------
    inputs : ndarray (count, F)
        To be set to the inputs of the next step; for tokens, to their vectors.
    states : list of ndarray (count, Z * width)
        The state of each layer, h first; of a feed-forward network the inputs of its window. With
        pooling what is pooled so far comes last, (count, D padded + lanes). These are views:
        writing to them changes the state that the next step begins with.
    features : ndarray (count, units)
        The last layer's state after a step, or what is pooled of it.
    advance : callable
        Takes a step with `inputs` and returns 0, or another number if it was not taken, because
        these or the result are not finite: see `cpu.single_step`. The state is then as it was.
    fixed_outputs : ndarray (count, k), or None
        The raw outputs after a step, if the output layer is a matrix.
    vector, index : ndarray
        Everything that a step touches, of which all these are views, and where it is.
    kernel : dispatcher
        What `advance` calls with them.
    """

    def __init__(self, network: Stack, count: int) -> None:
        self.network = network
        self.count = count
        self._head: tuple[Layer, ...] = ()  # the layers of a head that is a part of the step
        if isinstance(network.head, LinearHead):
            self._head = network.head.layers
        # Rows of the states before a step: a feed-forward network has none.
        self._before = count if network.recurrent else 0
        self._rows = self._before + count
        self._workspace: Workspace | None = None
        network.refresh()
        self._lay_out([*(level[0] for level in network.levels), *self._head])
        self.kernel = cpu.single_step.advance(network.cell, bool(self._head))
        advance = cpu.jit.machine_code(self.kernel, network.dtype)
        self.advance: Callable[[], int] = partial(advance, self.vector, self.index)

    # -- where everything is -----------------------------------------------------------------------

    def _lay_out(self, layers: list[Layer]) -> None:
        """Put inputs, states and weights into one vector, and their offsets into the index."""
        network = self.network
        columns = layers[0].features
        F = columns if network.recurrent else columns // network.window
        # Everything is reserved first, for the vector cannot grow once there are views of it.
        self._size = 0
        head = cpu.single_step.NetworkRow(
            batch=self.count,
            features=F,
            before=self._before,
            X=self._reserve(self._rows * columns),
            X_columns=columns,
            X_column=columns - F,
            shifts=int(not network.recurrent),
        )
        head = self._reserve_pooling(head)
        rows = [self._reserve_layer(layer) for layer in layers]
        head = self._with_hidden(head, layers, rows)
        self.vector = cpu.host.aligned(1, self._size, network.dtype)[0]
        self.index = cpu.single_step.make_index(head, rows)
        # The weights are copies: a stream does not see what training does to the network.
        for layer, row in zip(layers, rows, strict=True):
            for start, weights in zip(row.weight_offsets, layer.weights, strict=True):
                self.vector[start : start + weights.size] = weights
        if network.pooling:
            self.vector[head.w : head.w + head.w_size] = network.pooling.weights
        # (rows, F), or (count, window * F), of which the last F columns are the new inputs
        inputs = self._matrix(head.X, columns)
        self.inputs = inputs[self._before :, -F:]
        # Numbers with all their digits, and the same standardised.
        self._numbers = np.empty((self.count, F))
        self._standardized = np.empty((self.count, F), network.dtype)
        self._view_states(layers, rows, inputs)
        if network.pooling:
            self._view_pooled(network.pooling, head)

    def _reserve(self, size: int) -> int:
        """Return the offset of `size` further elements, at the beginning of a cache line."""
        start = self._size
        line = cpu.host.CACHE_LINE // self.network.dtype.itemsize
        self._size += -(-size // line) * line
        return start

    def _reserve_pooling(self, row: NetworkRow) -> NetworkRow:
        """Return the row of the network with where its pooling is."""
        pooling = self.network.pooling
        if pooling is None:
            return row
        single_step = cpu.single_step
        return row._replace(
            pooling=single_step.MAXIMUM if pooling.kind == "max" else single_step.MEAN,
            pooled_columns=pooling.columns,
            pooled=self._reserve(self._rows * pooling.columns),
            pooled_before=self._reserve(self.count * pooling.columns),
            w=self._reserve(pooling.weights.size),
            w_size=pooling.weights.size,
        )

    def _with_hidden(
        self, row: NetworkRow, layers: list[Layer], rows: list[LayerRow]
    ) -> NetworkRow:
        """Return the row of the network with what it says of the head's hidden layers."""
        hidden = self._head[:-1]
        if not hidden:
            return row
        kernel = cpu.single_step.head_layers(hidden[0].cell_name)
        last = len(self.network.levels) - 1
        place = rows[last].state, len(layers[last].cell.states) * layers[last].width
        if self.network.pooling:
            place = row.pooled, row.pooled_columns
        return row._replace(
            hidden=len(hidden),
            hidden_kernel=cpu.calls.address(kernel, str(self.network.dtype)),
            hidden_X=place[0],
            hidden_columns=place[1],
        )

    def _reserve_layer(self, layer: Layer) -> LayerRow:
        """Return a layer's row of the index."""
        # Columns of the layer's arrays
        slots = len(layer.cell.slots) * layer.width
        states = len(layer.cell.states) * layer.width
        weights = layer.weights
        return cpu.single_step.LayerRow(
            features=layer.features,
            units=layer.units,
            width=layer.width,
            slots=self._reserve(self._rows * slots),
            state=self._reserve(self._rows * states),
            W_ih=self._reserve(weights.W_ih.size),
            W_ih_size=weights.W_ih.size,
            b_ih=self._reserve(weights.b_ih.size),
            b_ih_size=weights.b_ih.size,
            W_hh=self._reserve(weights.W_hh.size),
            W_hh_size=weights.W_hh.size,
            b_hh=self._reserve(weights.b_hh.size),
            b_hh_size=weights.b_hh.size,
        )

    def _view_states(
        self,
        layers: list[Layer],
        rows: list[LayerRow],
        inputs: np.ndarray,
    ) -> None:
        """Set the views of what is read and written from outside."""
        before = self._before
        depth = len(self.network.levels)  # the layers but the head
        # (rows, Z * width) of each layer
        states = [
            self._matrix(row.state, len(layer.cell.states) * layer.width)
            for layer, row in zip(layers, rows, strict=True)
        ]
        # A feed-forward network carries nothing on but the inputs of its window.
        self.states = [inputs]
        if self.network.recurrent:
            self.states = [state[:before] for state in states[:depth]]
        self._last_state = states[depth - 1]
        self.features = self._last_state[before:, : layers[depth - 1].units]
        self.fixed_outputs: np.ndarray | None = None
        if self._head:
            self.fixed_outputs = states[-1][before:, : layers[-1].units]

    def _view_pooled(self, pooling: Pooling, row: NetworkRow) -> None:
        """Let what is pooled take the place of the last layer's state, and be part of the state."""
        columns = pooling.columns
        before = self.vector[row.pooled_before :][: self.count * columns]
        self.states.append(before.reshape(self.count, columns))
        self.features = self._matrix(row.pooled, columns)[self._before :, : pooling.features]

    def _matrix(self, start: int, columns: int) -> np.ndarray:
        """Return a view (rows, columns) of the vector."""
        return self.vector[start : start + self._rows * columns].reshape(self._rows, columns)

    def offset(self, view: np.ndarray) -> int:
        """Return where a view of the vector begins."""
        start: int = view.ctypes.data - self.vector.ctypes.data
        return start // self.vector.itemsize

    # -- steps -------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Set all states to zero."""
        for state in self.states:
            state[:] = 0

    def outputs(self) -> np.ndarray:
        """Return the raw outputs (count, k) of the last step; they change with the next one."""
        if self.fixed_outputs is not None:
            return self.fixed_outputs
        # An adaptive softmax is several matrices, so it computes outside of the kernel.
        if self._workspace is None:
            self._workspace = Workspace([], self.network.dtype)
        head = self.network.head
        return head.outputs(self._workspace, self._last_state, self._before, self._rows)

    def step(self, X: np.ndarray) -> np.ndarray:
        """Take one step and return the raw outputs (count, k), which change with the next step.

        Parameters
        ----------
        X : ndarray (count, F), or codes (count,)
            The input of each sequence.

        Returns
        -------
        ndarray (count, k)
            Raw outputs.

        Raises
        ------
        ValueError
            If they are not finite.
        """
        self.take(X)
        return self.outputs()

    def take(self, X: np.ndarray) -> None:
        """Take one step; see `step`."""
        self.read(X)
        if self.advance():
            raise ValueError(
                "The network's outputs must be finite, got an overflow in "
                f"{self.network.dtype}. Fit again with a lower learning_rate_init."
            )

    def read(self, X: np.ndarray) -> None:
        """Set `inputs` to X, or to the vectors of its codes."""
        embedding: Any = self.network.embedding
        if embedding:
            # (count, width), for the look-up writes whole registers
            rows = cpu.host.aligned(self.count, embedding.width, self.network.dtype)
            embedding.look_up(X, rows, 0)
            self.inputs[:] = rows[:, : embedding.size]
        else:
            self.write(X)

    def write(self, X: np.ndarray) -> None:
        """Set `inputs` to numbers, (count, F) or (F,) for one sequence, standardised."""
        standardization = self.network.standardization
        if standardization is None:
            self.inputs[:] = X
            return
        self._numbers[:] = X
        cpu.gather.standardize(
            self._standardized, self._numbers, standardization.mean, standardization.scale
        )
        self.inputs[:] = self._standardized
