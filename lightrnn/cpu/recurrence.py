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
from .jit import kernel, named, register_jitable
from .matmul import copy_row, fill, itself, product, products_t
from .memory import lanes, load, loads, stores


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
    """Where backward leaves the gradients of the parameters."""

    W_ih: np.ndarray  # (F, G * H)
    b_ih: np.ndarray  # (1, G * H), the sums of the first G slots
    W_hh: np.ndarray  # (H, G * H)
    b_hh: np.ndarray  # (1, G * H), the sums of the last G slots; no row where that is no parameter of its own


class Scratch(NamedTuple):
    """Room that backward needs."""

    before: np.ndarray  # (rows, H): the old h beside each row, so that a weight gradient is one product
    panel: np.ndarray  # (rows of a chunk * a panel's width,)
    zeros: np.ndarray  # (1, columns of the widest matrix)
    ones: np.ndarray  # (rows of a chunk, 1)


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
                rows, bias = first[min(t + plan.chunk, T + 1)] - new, (weights.bias, 0, 0, 0)
                product((slots, new, 0), bias, (X, new, 0), weights.input, rows, plan.features, G * H)
                if S > G:
                    fill((slots, new, G * H), (weights.bias, 0, G * H), rows, (S - G) * H)
            if recurrent:
                sums = slots, new, (S - G) * H
                product(sums, itself(sums), (state, old, 0), weights.state, end - new, plan.units, G * H)
            for b in range(end - new):
                for j in range(0, H, lanes(state)):
                    new_state, saved = rule(loads(slots, new + b, j, H, S), loads(state, old + b, j, H, Z))
                    stores(state, new + b, j, H, new_state)
                    stores(slots, new + b, j, H, saved)
        restore_denormals(control)

    return forward


@register_jitable
def _added(gradient, A, M, more, zeros):
    """One of `products_t`: a gradient, added to where there is `more` in it already."""
    C = gradient, 0, 0
    return C, (itself(C) if more else (zeros, 0, 0, 0)), A, M


@cache
def backward(cell: str) -> Callable[..., None]:
    """Compile backpropagation through time: ``backward(dX, dh, dstate, tape, weights, gradients, scratch, plan)``.

    `dstate (B, Z * H)` comes in with the gradient of the state in which each sequence ends, and is carried back in
    place; `dh (rows, >= H)` is the gradient that reaches each step's h from outside the recurrence, none if it has no
    columns. `slots` leaves with the gradient of the sums, `dX` with that of X unless it has no columns.
    """
    rule, recurrent = CELLS[cell].backward, CELLS[cell].recurrent
    G, S, Z = len(CELLS[cell].gates), len(CELLS[cell].slots), len(CELLS[cell].states)

    @kernel
    @named(f"backward_{cell}")
    def backward(dX, dh, dstate, tape, weights, gradients, scratch, plan):
        control = flush_denormals()
        X, slots, state = tape
        first, T, H = plan.first, len(plan.first) - 2, state.shape[1] // Z
        for t in range(T, 0, -1):
            old, new, end = first[t - 1], first[t], first[t + 1]
            if recurrent:
                later, carried = first[min(t + 2, T + 1)] - end, (dstate, 0, 0)
                product(carried, itself(carried), (slots, end, (S - G) * H), weights.state, later, G * H, H)
            for b in range(end - new):
                for j in range(0, H, lanes(state)):
                    d = loads(dstate, b, j, H, Z)
                    if dh.shape[1]:
                        d = (d[0] + load(dh, new + b, j),) + d[1:]  # noqa: RUF005
                    dslots, dold = rule(
                        d,
                        loads(slots, new + b, j, H, S),
                        loads(state, new + b, j, H, Z),
                        loads(state, old + b, j, H, Z),
                    )
                    stores(slots, new + b, j, H, dslots)
                    stores(dstate, b, j, H, dold)
                if recurrent:
                    copy_row(scratch.before, new + b, state, old + b)
            if (t - 1) % plan.chunk == 0:
                rows, more, zeros = first[min(t + plan.chunk, T + 1)] - new, t + plan.chunk <= T, scratch.zeros
                dW_ih = _added(gradients.W_ih, (X, new, 0), plan.features, more, zeros)
                dW_hh = _added(gradients.W_hh, (scratch.before, new, 0), plan.units, more, zeros)
                db_ih = _added(gradients.b_ih, (scratch.ones, 0, 0), 1, more, zeros)
                db_hh = _added(gradients.b_hh, (scratch.ones, 0, 0), 1, more, zeros)
                sums, sums_hh, panel = (slots, new, 0), (slots, new, (S - G) * H), scratch.panel
                if not recurrent:
                    products_t((db_ih, dW_ih), sums, panel, rows, G * H)
                elif S == G:
                    products_t((db_ih, dW_ih, dW_hh), sums, panel, rows, G * H)
                else:
                    products_t((db_ih, dW_ih), sums, panel, rows, G * H)
                    products_t((db_hh, dW_hh), sums_hh, panel, rows, G * H)
                product((dX, new, 0), (zeros, 0, 0, 0), sums, weights.input, rows, G * H, dX.shape[1])
        restore_denormals(control)

    return backward
