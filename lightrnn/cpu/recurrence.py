"""The time loops: one forward and one backward, for every cell.

Every array has one row for each (step, sequence), steps in order. Step t = 1 .. T owns the rows from first[t] up to
first[t + 1], its sequences longest first, so that sequence b of a step follows sequence b of the step before and those
still running are a prefix. The rows before first[1] are the initial state. H is padded to whole registers; products
over many rows go `chunk` steps at a time, so that what the time loop touches next, or has just left, is in the cache. A
cell without recurrence has blocks of rows for steps and the same loops without the state's products.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from ..cells import CELLS
from .denormals import flush_denormals, restore_denormals
from .jit import kernel, named, register_jitable
from .matmul import add_row, copy_row, fill, product, products_t
from .registers import at, lanes, load, loads, stores


class TimeLoop(NamedTuple):
    """Sizes of one run through time."""

    first: np.ndarray  # (T + 2,) int64: where each step's rows begin
    chunk: int  # steps to a product over many rows
    features: int  # F, columns of X
    units: int  # H before padding


class Tape(NamedTuple):
    """What forward reads and writes, and backward reads back.

    With codes, X holds one row a token, and each row of the steps looks up what its token's gives: the product by W_ih
    is then computed once for every token instead of once for every step.
    """

    X: np.ndarray  # (rows, >= F), or one row a token
    slots: (
        np.ndarray
    )  # (rows, S * H): in turn the sums, what the rule saves, the gradient of the sums
    state: np.ndarray  # (rows, Z * H): h first
    codes: np.ndarray  # int64: the token of each row from first[1] on, or empty
    table: (
        np.ndarray
    )  # (tokens, G * H): in turn the input's share of each token's sums, and the gradient of it


class LayerWeights(NamedTuple):
    """A layer's parameters, or their gradients: matrices in panels, biases as rows."""

    W_ih: np.ndarray  # of (F, G * H)
    b_ih: np.ndarray  # (G * H,), added to the first G slots
    W_hh: np.ndarray  # of (H, G * H); empty in a cell without recurrence
    b_hh: np.ndarray  # (G * H,), added to the last G slots; empty where these are the same


class Transposed(NamedTuple):
    """Panels of the transposed matrices, for the way back."""

    W_ih: np.ndarray
    W_hh: np.ndarray


class Scratch(NamedTuple):
    """Room that backward needs."""

    before: (
        np.ndarray
    )  # (rows, H): the old h beside each row, so that a weight gradient is one product
    panel: np.ndarray  # (rows of a chunk * a panel's width,)
    zeros: np.ndarray  # (columns of the widest matrix,)
    ones: np.ndarray  # (rows of a chunk, 1)


def steps(cell: str) -> Callable[..., Any]:
    """Build the forward loop, ``steps(tape, weights, plan)``, for kernels to call."""
    rule, recurrent = CELLS[cell].forward, CELLS[cell].recurrent
    G, S, Z = len(CELLS[cell].gates), len(CELLS[cell].slots), len(CELLS[cell].states)

    @register_jitable
    @named(f"steps_{cell}")
    def loop(tape, weights, plan):
        X, slots, state, codes, table = tape
        first, T, H = plan.first, len(plan.first) - 2, state.shape[1] // Z
        bias = weights.b_ih if S == G else _all_slots(weights.b_ih, weights.b_hh, S * H)
        if len(codes):
            product(
                at(table, 0, 0),
                (bias, 0, 0),
                at(X, 0, 0),
                weights.W_ih,
                len(table),
                plan.features,
                G * H,
            )
        for t in range(1, T + 1):
            old, new, end = first[t - 1], first[t], first[t + 1]
            if (t - 1) % plan.chunk == 0:
                rows = first[min(t + plan.chunk, T + 1)] - new
                if len(codes):
                    for i in range(rows):
                        copy_row(slots, new + i, table, codes[new - first[1] + i], G * H)
                else:
                    product(
                        at(slots, new, 0),
                        (bias, 0, 0),
                        at(X, new, 0),
                        weights.W_ih,
                        rows,
                        plan.features,
                        G * H,
                    )
                if S > G:
                    fill(at(slots, new, G * H), (bias, G * H, 0), rows, (S - G) * H)
            if recurrent:
                sums = at(slots, new, (S - G) * H)
                product(sums, sums, at(state, old, 0), weights.W_hh, end - new, plan.units, G * H)
            for b in range(end - new):
                for j in range(0, H, lanes(state)):
                    new_state, saved = rule(
                        loads(slots, new + b, j, H, S), loads(state, old + b, j, H, Z)
                    )
                    stores(state, new + b, j, H, new_state)
                    stores(slots, new + b, j, H, saved)

    return loop


@cache
def forward(cell: str) -> Callable[[Tape, LayerWeights, TimeLoop], None]:
    """Compile the forward loop: fills `slots` with what backward needs and `state` from first[1] on."""
    loop = steps(cell)

    @kernel
    @named(f"forward_{cell}")
    def forward(tape, weights, plan):
        control = flush_denormals()
        loop(tape, weights, plan)
        restore_denormals(control)

    return forward


@register_jitable
def _all_slots(b_ih, b_hh, size):
    """Return the slots' bias: the sum where input and state both feed a slot.

    Loops, since array expressions bring code for errors of shape, which takes two seconds to compile.
    """
    bias, state = np.zeros(size, b_ih.dtype), size - len(b_hh)
    for i in range(len(b_ih)):
        bias[i] = b_ih[i]
    for i in range(len(b_hh)):
        bias[state + i] += b_hh[i]
    return bias


@register_jitable
def _tokens_back(dX, X, table, weights, gradients, scratch, features):
    """From the gradient of each token's share of the sums to that of W_ih, its bias and X."""
    columns, block = table.shape[1], len(scratch.ones)
    for start in range(0, len(table), block):
        rows, sums = min(block, len(table) - start), at(table, start, 0)
        db, dW = (
            (gradients.b_ih, at(scratch.ones, 0, 0), 1),
            (gradients.W_ih, at(X, start, 0), features),
        )
        products_t((db, dW), start > 0, scratch.zeros, sums, scratch.panel, rows, columns)
        product(
            at(dX, start, 0), (scratch.zeros, 0, 0), sums, weights.W_ih, rows, columns, dX.shape[1]
        )


@cache
def backward(cell: str) -> Callable[..., None]:
    """Compile backpropagation through time.

    ``backward(dX, dh, dstate, record, tape, weights, gradients, scratch, plan)``: `dstate (B, Z * H)` comes in with the
    gradient of the state in which each sequence ends, and is carried back in place; `dh (rows, >= H)` is the gradient
    that reaches each step's h from outside the recurrence, none if it has no columns. `slots` leaves with the gradient
    of the sums, `dX` with that of X and `record (rows, Z * H)` with that of the state after each step, unless these
    have no columns.
    """
    rule, recurrent = CELLS[cell].backward, CELLS[cell].recurrent
    G, S, Z = len(CELLS[cell].gates), len(CELLS[cell].slots), len(CELLS[cell].states)

    @kernel
    @named(f"backward_{cell}")
    def backward(dX, dh, dstate, record, tape, weights, gradients, scratch, plan):
        control = flush_denormals()
        X, slots, state, codes, table = tape
        first, T, H = plan.first, len(plan.first) - 2, state.shape[1] // Z
        if len(codes):
            table[:] = 0
        for t in range(T, 0, -1):
            old, new, end = first[t - 1], first[t], first[t + 1]
            if recurrent:
                later, carried = first[min(t + 2, T + 1)] - end, at(dstate, 0, 0)
                product(
                    carried, carried, at(slots, end, (S - G) * H), weights.W_hh, later, G * H, H
                )
            for b in range(end - new):
                for j in range(0, H, lanes(state)):
                    d = loads(dstate, b, j, H, Z)
                    if dh.shape[1]:
                        d = (d[0] + load(dh, new + b, j),) + d[1:]  # noqa: RUF005
                    if record.shape[1]:
                        stores(record, new + b, j, H, d)
                    dslots, dold = rule(
                        d,
                        loads(slots, new + b, j, H, S),
                        loads(state, new + b, j, H, Z),
                        loads(state, old + b, j, H, Z),
                    )
                    stores(slots, new + b, j, H, dslots)
                    stores(dstate, b, j, H, dold)
                if recurrent:
                    copy_row(scratch.before, new + b, state, old + b, H)
            if (t - 1) % plan.chunk == 0:
                rows, more = first[min(t + plan.chunk, T + 1)] - new, t + plan.chunk <= T
                sums, ones = at(slots, new, 0), at(scratch.ones, 0, 0)
                dW_ih, db_ih = (
                    (gradients.W_ih, at(X, new, 0), plan.features),
                    (gradients.b_ih, ones, 1),
                )
                if recurrent:
                    sums_hh = at(slots, new, (S - G) * H)
                    dW_hh, db_hh = (
                        (gradients.W_hh, at(scratch.before, new, 0), plan.units),
                        (gradients.b_hh, ones, 1),
                    )
                    if len(codes):
                        for i in range(rows):
                            add_row(table, codes[new - first[1] + i], slots, new + i, G * H)
                        if S == G:
                            products_t(
                                (dW_hh,), more, scratch.zeros, sums_hh, scratch.panel, rows, G * H
                            )
                        else:
                            products_t(
                                (db_hh, dW_hh),
                                more,
                                scratch.zeros,
                                sums_hh,
                                scratch.panel,
                                rows,
                                G * H,
                            )
                    elif S == G:
                        products_t(
                            (db_ih, dW_ih, dW_hh),
                            more,
                            scratch.zeros,
                            sums,
                            scratch.panel,
                            rows,
                            G * H,
                        )
                    else:
                        products_t(
                            (db_ih, dW_ih), more, scratch.zeros, sums, scratch.panel, rows, G * H
                        )
                        products_t(
                            (db_hh, dW_hh), more, scratch.zeros, sums_hh, scratch.panel, rows, G * H
                        )
                else:
                    products_t(
                        (db_ih, dW_ih), more, scratch.zeros, sums, scratch.panel, rows, G * H
                    )
                if not len(codes):
                    product(
                        at(dX, new, 0),
                        (scratch.zeros, 0, 0),
                        sums,
                        weights.W_ih,
                        rows,
                        G * H,
                        dX.shape[1],
                    )
        if len(codes):
            _tokens_back(dX, X, table, weights, gradients, scratch, plan.features)
        restore_denormals(control)

    return backward


@cache
def jacobian(cell: str) -> Callable[..., None]:
    """Compile ``jacobian(norms, spectral, tape, W_hh, first, lengths, units, rounds)`` for a cell with recurrence.

    For each sequence it carries the derivative of its last h by the state back through time, as many rows as h has
    units; between states nothing reaches h but the recurrence. ``norms[b, k]`` becomes the Frobenius norm of the
    derivative by the state k steps before the end, ``spectral[b, k]`` its spectral norm by ``rounds[b]`` rounds of
    power iteration, if any: each lag begins from the singular vector of the one before.
    """
    rule = CELLS[cell].backward
    G, S, Z = len(CELLS[cell].gates), len(CELLS[cell].slots), len(CELLS[cell].states)

    @kernel
    @named(f"jacobian_{cell}")
    def jacobian(norms, spectral, tape, W_hh, first, lengths, units, rounds):
        control = flush_denormals()
        slots, state = tape.slots, tape.state
        H = state.shape[1] // Z
        D, dslots = np.empty((units, Z * H), state.dtype), np.empty((units, S * H), state.dtype)
        for b in range(len(lengths)):
            D[:] = 0
            for j in range(units):
                D[j, j] = 1
            u = np.ones(units, state.dtype)
            for lag in range(lengths[b]):
                row, old = first[lengths[b] - lag] + b, first[lengths[b] - lag - 1] + b
                norms[b, lag] = _norm(D)
                if rounds[b]:
                    spectral[b, lag] = _spectral(D, norms[b, lag], u, rounds[b])
                for i in range(units):
                    for j in range(0, H, lanes(state)):
                        gradient, before = rule(
                            loads(D, i, j, H, Z),
                            loads(slots, row, j, H, S),
                            loads(state, row, j, H, Z),
                            loads(state, old, j, H, Z),
                        )
                        stores(dslots, i, j, H, gradient)
                        stores(D, i, j, H, before)
                carried = at(D, 0, 0)
                product(carried, carried, at(dslots, 0, (S - G) * H), W_hh, units, G * H, H)
        restore_denormals(control)

    return jacobian


@register_jitable
def _norm(D):
    """Frobenius norm, of numbers too whose squares are too small for their precision."""
    greatest = np.abs(D).max()
    if greatest == 0:
        return greatest
    scaled = D / greatest
    return greatest * np.sqrt((scaled * scaled).sum())


@register_jitable
def _spectral(D, norm, u, rounds):
    """Spectral norm of D (m, n) of a known Frobenius norm; `u (m,)` comes and leaves as an estimate of its vector."""
    if norm == 0:
        return norm
    m = len(u)
    gram = np.zeros((m, m), D.dtype)
    columns = np.ascontiguousarray(D.T) / norm
    for i in range(m):
        for column in columns:
            gram[i] += column[i] * column
    length = norm
    for _ in range(rounds):
        image = np.zeros_like(u)
        for i in range(m):
            image += u[i] * gram[i]
        length = np.sqrt((image * image).sum())
        u[:] = image / length
    return norm * np.sqrt(length)
