"""The time loops: one forward and one backward, for every cell.

Every array has one row for each (step, sequence), steps in order. Step t = 1 .. T owns the rows from first[t] up to
first[t + 1], its sequences longest first, so that sequence b of a step follows sequence b of the step before and those
still running are a prefix. The rows before first[1] are the initial state. H is padded to whole registers; products
over many rows go `chunk` steps at a time, so that what the time loop touches next, or has just left, is in the cache. A
cell without recurrence has blocks of rows for steps and the same loops without the state's products.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from ..cells import CELLS
from .flush import flush_denormals, restore_denormals
from .jit import kernel, named
from .matmul import add_column_sums, add_product, add_product_t, copy_row, fill_rows
from .memory import adds, lanes, loads, stores


class Plan(NamedTuple):
    """Sizes of one run through time."""

    first: np.ndarray  # (T + 2,) int64: where each step's rows begin
    chunk: int  # steps to a product over many rows
    features: int  # F, columns of X
    units: int  # H before padding


class Tape(NamedTuple):
    """What forward reads and writes, and backward reads back."""

    X: np.ndarray  # (rows, >= F)
    slots: np.ndarray  # (rows, S * H): in turn the sums, what the rule saves, the gradient of the sums
    state: np.ndarray  # (rows, Z * H): h first


class Weights(NamedTuple):
    """Parameters in panels: those of W_ih and W_hh to go forward, of their transposes to go back."""

    input: np.ndarray
    state: np.ndarray
    bias: np.ndarray  # (1, S * H); unused on the way back


class Gradients(NamedTuple):
    """Where backward adds the gradients of the parameters."""

    W_ih: np.ndarray  # (F, G * H)
    W_hh: np.ndarray  # (H, G * H)
    bias: np.ndarray  # (1, S * H)


class Scratch(NamedTuple):
    """Room that backward needs."""

    before: np.ndarray  # (rows, H): the old h beside each row, so that a weight gradient is one product
    panel: np.ndarray  # (rows of a chunk * a panel's width,)


@cache
def forward(cell: str) -> Callable[[Tape, Weights, Plan], None]:
    """Compile the forward loop: fills `slots` with what backward needs and `state` from first[1] on."""
    rule, recurrent = CELLS[cell].forward, CELLS[cell].recurrent
    G, S, Z = len(CELLS[cell].gates), len(CELLS[cell].slots), len(CELLS[cell].states)

    @kernel
    @named(f"forward_{cell}")
    def forward(tape, weights, plan):
        control = flush_denormals()
        X, slots, state = tape
        first, T, H = plan.first, len(plan.first) - 2, state.shape[1] // Z
        for t in range(1, T + 1):
            old, new, end = first[t - 1], first[t], first[t + 1]
            if (t - 1) % plan.chunk == 0:
                rows = first[min(t + plan.chunk, T + 1)] - new
                fill_rows(slots, new, rows, weights.bias)
                add_product(slots, new, 0, X, new, 0, weights.input, rows, plan.features, G * H)
            if recurrent:
                add_product(slots, new, (S - G) * H, state, old, 0, weights.state, end - new, plan.units, G * H)
            for b in range(end - new):
                for j in range(0, H, lanes(state)):
                    new_state, saved = rule(loads(slots, new + b, j, H, S), loads(state, old + b, j, H, Z))
                    stores(state, new + b, j, H, new_state)
                    stores(slots, new + b, j, H, saved)
        restore_denormals(control)

    return forward


@cache
def backward(cell: str) -> Callable[[np.ndarray, np.ndarray, Tape, Weights, Gradients, Scratch, Plan], None]:
    """Compile backpropagation through time.

    `dstate (rows, Z * H)` comes in with the gradient that reaches each row from outside the recurrence, zero elsewhere;
    `slots` leaves with the gradient of the sums. `dX` is added to; with no columns it is not computed.
    """
    rule, recurrent = CELLS[cell].backward, CELLS[cell].recurrent
    G, S, Z = len(CELLS[cell].gates), len(CELLS[cell].slots), len(CELLS[cell].states)

    @kernel
    @named(f"backward_{cell}")
    def backward(dX, dstate, tape, weights, gradients, scratch, plan):
        control = flush_denormals()
        X, slots, state = tape
        first, T, H = plan.first, len(plan.first) - 2, state.shape[1] // Z
        for t in range(T, 0, -1):
            old, new, end = first[t - 1], first[t], first[t + 1]
            if recurrent:
                later = first[min(t + 2, T + 1)] - end
                add_product(dstate, new, 0, slots, end, (S - G) * H, weights.state, later, G * H, H)
            for b in range(end - new):
                for j in range(0, H, lanes(state)):
                    dslots, dold = rule(
                        loads(dstate, new + b, j, H, Z),
                        loads(slots, new + b, j, H, S),
                        loads(state, new + b, j, H, Z),
                        loads(state, old + b, j, H, Z),
                    )
                    stores(slots, new + b, j, H, dslots)
                    adds(dstate, old + b, j, H, dold)
                if recurrent:
                    copy_row(scratch.before, new + b, state, old + b)
            if (t - 1) % plan.chunk == 0:
                rows = first[min(t + plan.chunk, T + 1)] - new
                add_product_t(gradients.W_ih, plan.features, X, new, slots, new, 0, scratch.panel, rows)
                if recurrent:
                    panel, W_hh = scratch.panel, gradients.W_hh
                    add_product_t(W_hh, plan.units, scratch.before, new, slots, new, (S - G) * H, panel, rows)
                add_product(dX, new, 0, slots, new, 0, weights.input, rows, G * H, dX.shape[1])
                add_column_sums(gradients.bias, slots, new, rows)
        restore_denormals(control)

    return backward
