"""Norms of the Jacobians between a layer's states: how far back a layer remembers."""

from collections.abc import Callable

import numpy as np

from ..cells import CELLS
from .denormals import flush_denormals, restore_denormals
from .jit import Integers, Matrix, Numbers, factory, kernel, named, register_jitable
from .matmul import product
from .recurrence import Tape, counts
from .registers import at, lanes, loads, stores


@factory
def jacobian(cell: str) -> Callable[..., None]:
    """Compile the norms of the Jacobians of a cell with recurrence.

    For each sequence the kernel carries the derivative of its last h by the state back through
    time, one row per unit of h; between two states nothing reaches h but the recurrence. The
    spectral norm is estimated by power iteration, which for each lag begins with the singular
    vector of the lag before.
    """
    rule = CELLS[cell].backward
    G, S, Z = counts(cell)

    @kernel
    @named(f"jacobian_{cell}")
    def jacobian(
        norms: Matrix,  # (B, T), OUT: [b, k] the Frobenius norm, by the state k steps back
        spectral: Matrix,  # (B, T), OUT: its spectral norm, where there are rounds
        tape: Tape,  # IN: slots and state as forward leaves them
        W_hh: Numbers,  # panels of the transpose, IN
        first: Integers,  # (T + 2,) int64, IN: the first row of each step
        lengths: Integers,  # (B,) int64, IN: steps of each sequence
        units: int,  # H before padding, IN
        rounds: Integers,  # (B,) int64, IN: of power iteration, for each sequence
    ):
        control = flush_denormals()
        slots = tape.slots
        state = tape.state
        H = state.shape[1] // Z
        D = np.empty((units, Z * H), state.dtype)  # the derivative, one row per unit of h
        dslots = np.empty((units, S * H), state.dtype)
        for b in range(len(lengths)):
            D[:] = 0
            for j in range(units):
                D[j, j] = 1
            u = np.ones(units, state.dtype)
            for lag in range(lengths[b]):
                row = first[lengths[b] - lag] + b
                old = first[lengths[b] - lag - 1] + b
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
    """Return the Frobenius norm, also of numbers whose squares would underflow."""
    greatest = np.abs(D).max()
    if greatest == 0:
        return greatest
    scaled = D / greatest
    return greatest * np.sqrt((scaled * scaled).sum())


@register_jitable
def _spectral(
    D,  # (m, n), IN
    norm,  # its Frobenius norm, IN
    u,  # (m,), IN, OUT: an estimate of the left singular vector
    rounds,  # of power iteration, at least one, IN
):
    """Return an estimate of the spectral norm, by power iteration on D @ D.T."""
    if norm == 0:
        return norm
    m = len(u)
    gram = np.zeros((m, m), D.dtype)
    columns = np.ascontiguousarray(D.T) / norm  # scaled, so that no square underflows
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
