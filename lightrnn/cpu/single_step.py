"""One step of a whole network in one call of two arguments.

It serves streams, where the call costs as much as the step. Everything that a step touches is in
one vector: inputs, states, and copies of the weights. A table of integers holds the offsets and
sizes: its first row is a `NetworkRow`, each further one the `LayerRow` of a layer, the output layer
last, after its hidden layers. Arrays in the vector have rows for the states before the step, then
those for the step itself.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..cells import CELLS
from .calls import call_at
from .denormals import flush_denormals, restore_denormals
from .jit import Numbers, Table, factory, kernel, named, register_jitable
from .matmul import copy_row
from .pooling import add_to_maximum, add_to_mean
from .recurrence import LayerWeights, Tape, TimeLoop, steps
from .registers import lanes


class NetworkRow(NamedTuple):
    """The first row of the table."""

    batch: int  # B, sequences
    features: int  # F, new inputs of a sequence
    before: int  # rows for the states before the step: B, or 0 without recurrence
    X: int  # offset of the first layer's input (before + B, X_columns)
    X_columns: int  # F, or window * F
    X_column: int  # the column of the new inputs
    shifts: int  # 1 if inputs move up by one step afterwards, else 0
    pooling: int = 0  # `MEAN` or `MAXIMUM` of the last layer's states, 0 for none
    pooled_columns: int = 0
    pooled: int = 0  # (before + B, pooled_columns), with this step
    pooled_before: int = 0  # (B, pooled_columns), without it
    w: int = 0  # of attention, with its size; see `pooling.py`
    w_size: int = 0
    hidden: int = 0  # hidden layers of the output layer
    hidden_kernel: int = 0  # address of the `head_layers` that runs them
    hidden_X: int = 0  # their input (before + B, hidden_columns)
    hidden_columns: int = 0


MEAN = 1
MAXIMUM = 2


class LayerRow(NamedTuple):
    """The row of a layer: sizes, then offsets of its arrays, those of the weights with sizes."""

    features: int
    units: int
    width: int  # units padded
    slots: int  # (before + B, S * width)
    state: int  # (before + B, Z * width)
    W_ih: int
    W_ih_size: int
    b_ih: int
    b_ih_size: int
    W_hh: int
    W_hh_size: int
    b_hh: int
    b_hh_size: int

    @property
    def weight_offsets(self) -> tuple[int, ...]:
        """The offsets of the weights, in the order of `LayerWeights`."""
        return self.W_ih, self.b_ih, self.W_hh, self.b_hh


# The columns by name: kernels read ``index[0, NETWORK.batch]``.
NETWORK = NetworkRow(*range(len(NetworkRow._fields)))
LAYER = LayerRow(*range(len(LayerRow._fields)))


def make_index(network: NetworkRow, layers: list[LayerRow]) -> np.ndarray:
    """Return the table (1 + layers, columns) of int64 for `advance`."""
    columns = max(len(NETWORK), len(LAYER))
    return np.array([row + (0,) * (columns - len(row)) for row in (network, *layers)], np.int64)


@register_jitable
def part(vector, start, size):
    """Return a view (size,) of the vector."""
    return vector[start : start + size]


@register_jitable
def matrix(vector, start, rows, columns):
    """Return a view (rows, columns) of the vector."""
    return part(vector, start, rows * columns).reshape((rows, columns))


@register_jitable
def _weights(vector, row):
    """Return views of a layer's weights."""
    return LayerWeights(
        part(vector, row[LAYER.W_ih], row[LAYER.W_ih_size]),
        part(vector, row[LAYER.b_ih], row[LAYER.b_ih_size]),
        part(vector, row[LAYER.W_hh], row[LAYER.W_hh_size]),
        part(vector, row[LAYER.b_hh], row[LAYER.b_hh_size]),
    )


@register_jitable
def _finite(X, start, column, B, F):
    """Return whether a block (B, F) of X is finite."""
    # x - x is 0 for every finite x, and NaN for others; NaN stays in the sum.
    total = X[0, 0] - X[0, 0]
    for b in range(B):
        for j in range(F):
            total += X[start + b, column + j] - X[start + b, column + j]
    return total == 0


@register_jitable
def _pool(vector, row, X):
    """Return the last layer's states X, pooled with those of the steps before."""
    B = row[NETWORK.batch]
    first = row[NETWORK.before]
    columns = row[NETWORK.pooled_columns]
    before = matrix(vector, row[NETWORK.pooled_before], B, columns)
    pooled = matrix(vector, row[NETWORK.pooled], first + B, columns)
    w = part(vector, row[NETWORK.w], row[NETWORK.w_size])
    D = columns - lanes(vector)
    for b in range(B):
        copy_row(pooled, first + b, before, b, columns)
        at = (first + b) * columns
        step = (first + b) * X.shape[1]
        if row[NETWORK.pooling] == MAXIMUM:
            add_to_maximum(pooled, at, X, step, D)
        else:
            add_to_mean(pooled, at, X, step, w, len(w) > 0, D)
    return pooled


# What `advance` returns: it took the step, or it changed nothing because of what is not finite.
TAKEN = 0
BAD_INPUT = 1
BAD_OUTPUT = 2


@factory
def head_layers(cell: str) -> Callable[[np.ndarray, np.ndarray], int]:
    """Compile ``head_layers(vector, index)``: a step of the output layer's hidden layers."""
    loop = steps(cell)

    @kernel
    @named(f"head_layers_{cell}")
    def head_layers(
        vector: Numbers,  # as in `advance`, IN, OUT
        index: Table,  # IN
    ):
        before = index[0, NETWORK.before]
        rows = before + index[0, NETWORK.batch]
        block = np.array([before, before, rows])
        X = matrix(vector, index[0, NETWORK.hidden_X], rows, index[0, NETWORK.hidden_columns])
        for number in range(len(index) - 1 - index[0, NETWORK.hidden], len(index) - 1):
            layer = index[number]
            slots = matrix(vector, layer[LAYER.slots], rows, layer[LAYER.width])
            state = matrix(vector, layer[LAYER.state], rows, layer[LAYER.width])
            tape = Tape(X, slots, state, index[0, :0], slots)
            time = TimeLoop(block, 1, layer[LAYER.features], layer[LAYER.units], True, True, 1)
            loop(tape, _weights(vector, layer), time)
            X = state
        return TAKEN

    return head_layers


@factory
def advance(cell: str, with_head: bool) -> Callable[[np.ndarray, np.ndarray], int]:
    """Compile ``advance(vector, index)``: one step, and the output if a head is among the layers.

    It returns `TAKEN`, or `BAD_INPUT` or `BAD_OUTPUT` if the inputs, or what the last layer makes
    of them, are not finite; the state has then not changed. Else the new state takes the old one's
    place; a feed-forward network's inputs move up by one step.
    """
    hidden = steps(cell)
    head = steps("linear")
    recurrent = CELLS[cell].recurrent
    S = len(CELLS[cell].slots)
    Z = len(CELLS[cell].states)

    @kernel
    @named(f"advance_{cell}_{with_head}")
    def advance(
        vector: Numbers,  # IN, OUT  everything that the step touches
        index: Table,  # IN   (1 + layers, columns)
    ):
        control = flush_denormals()
        B = index[0, NETWORK.batch]
        F = index[0, NETWORK.features]
        before = index[0, NETWORK.before]
        columns = index[0, NETWORK.X_columns]
        rows = before + B
        end = (
            len(index) - with_head - index[0, NETWORK.hidden]
        )  # one more than the last level's row
        inputs = matrix(vector, index[0, NETWORK.X], rows, columns)
        result = BAD_INPUT
        if _finite(inputs, before, index[0, NETWORK.X_column], B, F):
            X = inputs
            no_codes = index[0, :0]
            # Without recurrence the rows are a block that no initial state comes before.
            block = np.array([before, before, rows])
            first = np.array([0 if recurrent else before, before, rows])
            # The layers are run here, not by a function shared with the head: that made a stream's
            # step 5 % slower.
            for number in range(1, end):
                layer = index[number]
                H = layer[LAYER.width]
                slots = matrix(vector, layer[LAYER.slots], rows, S * H)
                state = matrix(vector, layer[LAYER.state], rows, Z * H)
                tape = Tape(X, slots, state, no_codes, slots)
                loop = TimeLoop(first, 1, layer[LAYER.features], layer[LAYER.units], True, True, 1)
                hidden(tape, _weights(vector, layer), loop)
                X = state
            if index[0, NETWORK.pooling]:
                X = _pool(vector, index[0], X)
            if with_head:
                if index[0, NETWORK.hidden]:
                    call_at(index[0, NETWORK.hidden_kernel], vector, index)
                    layer = index[len(index) - 2]
                    X = matrix(vector, layer[LAYER.state], rows, layer[LAYER.width])
                layer = index[len(index) - 1]
                slots = matrix(vector, layer[LAYER.slots], rows, layer[LAYER.width])
                outputs = matrix(vector, layer[LAYER.state], rows, layer[LAYER.width])
                tape = Tape(X, slots, outputs, no_codes, slots)
                loop = TimeLoop(block, 1, layer[LAYER.features], layer[LAYER.units], True, True, 1)
                head(tape, _weights(vector, layer), loop)
                X = outputs
            units = index[len(index) - 1, LAYER.units]
            result = TAKEN if _finite(X, before, 0, B, units) else BAD_OUTPUT
        if result == TAKEN:
            for number in range(1, end):
                layer = index[number]
                columns = Z * layer[LAYER.width]
                state = matrix(vector, layer[LAYER.state], rows, columns)
                for b in range(before):
                    copy_row(state, b, state, before + b, columns)
            if index[0, NETWORK.pooling]:
                columns = index[0, NETWORK.pooled_columns]
                pooled = matrix(vector, index[0, NETWORK.pooled], rows, columns)
                pooled_before = matrix(vector, index[0, NETWORK.pooled_before], B, columns)
                for b in range(B):
                    copy_row(pooled_before, b, pooled, before + b, columns)
            if index[0, NETWORK.shifts]:
                for b in range(B):
                    for j in range(index[0, NETWORK.X_columns] - F):
                        inputs[b, j] = inputs[b, j + F]
        restore_denormals(control)
        return result

    return advance
