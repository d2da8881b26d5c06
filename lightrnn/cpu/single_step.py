"""One step of a whole network in one call of few arguments: for streams, where the call costs as much as the step.

Everything a step touches lies in one vector: inputs, states, and copies of the weights. `index` says where. Its first
row is (B, F, rows before the new ones, inputs, their columns, input's column, whether to shift), the others are layers,
the output layer last: (features, units, width, slots, state, W_ih, its size, b_ih, its size, W_hh, size, b_hh, size).
"""

from collections.abc import Callable
from functools import cache

import numpy as np

from ..cells import CELLS
from .denormals import flush_denormals, restore_denormals
from .jit import kernel, named, register_jitable
from .matmul import copy_row
from .recurrence import LayerWeights, Tape, TimeLoop, steps

COLUMNS = 13  # of index


@register_jitable
def _matrix(vector, start, rows, columns):
    return vector[start : start + rows * columns].reshape((rows, columns))


@register_jitable
def _weights(vector, row):
    return LayerWeights(
        vector[row[5] : row[5] + row[6]],
        vector[row[7] : row[7] + row[8]],
        vector[row[9] : row[9] + row[10]],
        vector[row[11] : row[11] + row[12]],
    )


@register_jitable
def _finite(X, start, column, B, F):
    """Whether all inputs are numbers."""
    total = X[0, 0] - X[0, 0]
    for b in range(B):
        for j in range(F):
            total += X[start + b, column + j] - X[start + b, column + j]
    return total == 0


@cache
def advance(cell: str, with_head: bool) -> Callable[[np.ndarray, np.ndarray], bool]:
    """Compile ``advance(vector, index)``: one step, and the output if there is a head among the layers.

    Returns whether the inputs were finite; if not, nothing has changed. The new state takes the old one's place; a
    feed-forward net's inputs move up by one.
    """
    hidden, head, recurrent = steps(cell), steps("linear"), CELLS[cell].recurrent
    S, Z = len(CELLS[cell].slots), len(CELLS[cell].states)

    @kernel
    @named(f"advance_{cell}_{with_head}")
    def advance(vector, index):
        control = flush_denormals()
        B, F, before, columns, column = (
            index[0, 0],
            index[0, 1],
            index[0, 2],
            index[0, 4],
            index[0, 5],
        )
        X = _matrix(vector, index[0, 3], before + B, columns)
        finite = _finite(X, before, column, B, F)
        if finite:
            inputs, no_codes = X, index[0, :0]
            first = np.array([0 if recurrent else before, before, before + B])
            for layer in range(1, len(index) - with_head):
                row = index[layer]
                slots = _matrix(vector, row[3], before + B, S * row[2])
                state = _matrix(vector, row[4], before + B, Z * row[2])
                tape = Tape(X, slots, state, no_codes, slots)
                hidden(tape, _weights(vector, row), TimeLoop(first, 1, row[0], row[1]))
                for b in range(before):
                    copy_row(state, b, state, before + b, Z * row[2])
                X = state
            if with_head:
                row = index[len(index) - 1]
                slots = _matrix(vector, row[3], before + B, row[2])
                outputs = _matrix(vector, row[4], before + B, row[2])
                tape = Tape(X, slots, outputs, no_codes, slots)
                head(
                    tape,
                    _weights(vector, row),
                    TimeLoop(np.array([before, before, before + B]), 1, row[0], row[1]),
                )
            if index[0, 6]:
                for b in range(B):
                    for j in range(columns - F):
                        inputs[b, j] = inputs[b, j + F]
        restore_denormals(control)
        return finite

    return advance
