"""The time loops: one forward and one backward, for every cell.

Every array has one row for each (step, sequence), steps in order. Step t = 1 .. T owns the rows
from first[t] up to first[t + 1], its sequences longest first: sequence b of a step follows
sequence b of the step before, and the sequences that still run are a prefix. The rows before
first[1] hold the initial state. H is padded to whole registers. Products over many rows are
computed for `chunk` steps at a time, so that the rows which the time loop reads next, or has just
written, are in the cache. A cell without recurrence has blocks of rows in place of steps, and the
same loops without the products of the state.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..cells import CELLS
from .denormals import flush_denormals, restore_denormals
from .jit import Integers, Matrix, Numbers, Rows, factory, kernel, named, register_jitable
from .matmul import add_row, copy_row, every, fill, product, products_t
from .registers import at, fetches, lanes, load, loads, stores


class TimeLoop(NamedTuple):
    """Sizes of one run through time."""

    first: Integers  # (T + 2,): the first row of each step
    chunk: int  # steps in a product over many rows
    features: int  # F, columns of X
    units: int  # H before padding
    # Whether these are a batch's first steps, and whether its last: a batch may be run in segments
    begins: bool
    ends: bool
    # Parts of equal length that `forward_parts` cuts the steps into; no sequence ends before the
    # last step then
    parts: int


class Tape(NamedTuple):
    """The arrays that forward reads and writes, and backward reads again.

    With codes, X holds one row per token, and each row of the steps looks up the product of its
    token's row by W_ih, which is computed once per token instead of once per step.
    """

    X: Rows  # (rows, >= F), or with codes (tokens, >= F)
    # (rows, S * H): the sums, then what the rule saves instead, then the gradient of the sums; or
    # fewer, as many as a chunk has: then each chunk takes the place of the one before
    slots: Matrix
    # (rows, Z * H): h first; or of B rows: then each step's state takes the place of the one before
    state: Matrix
    codes: Integers  # the token of each row from first[1] on, or empty
    table: Matrix  # (tokens, G * H): the input's part of each token's sums


class TapeGradient(NamedTuple):
    """Gradients with respect to a tape's arrays; without columns, `dX` and `record` are not set."""

    dX: Matrix  # as X, OUT
    # (rows, >= H), IN: what reaches each step's h from outside the recurrence; no columns for zeros
    dh: Matrix
    # (B, Z * H), IN, OUT: comes as the gradient with respect to the state in which each sequence
    # ends, and is carried back in place
    dstate: Matrix
    record: Matrix  # (rows, Z * H), OUT: the gradient with respect to the state after each step
    # as the tape's table, which may be the same array, OUT: the gradient of the input's part of
    # each token's sums
    dtable: Matrix


class LayerWeights(NamedTuple):
    """A layer's parameters, or their gradients: matrices in panels, biases as rows."""

    W_ih: Numbers  # of (F, G * H)
    b_ih: Numbers  # (G * H,), added to the first G slots
    W_hh: Numbers  # of (H, G * H); empty in a cell without recurrence
    b_hh: Numbers  # (G * H,), added to the last G slots; empty where these are the first G


class Transposed(NamedTuple):
    """Panels of the transposed matrices, for backward."""

    W_ih: Numbers
    W_hh: Numbers


class Scratch(NamedTuple):
    """Arrays that backward overwrites; nothing in them outlasts a call."""

    # (rows of a chunk, H): the old h of each row, gathered so that the gradient of W_hh is one
    # product
    before: Matrix
    panels: Numbers  # (rows of a chunk * columns of two panels,)
    zeros: Numbers  # (columns of the widest matrix,)
    ones: Matrix  # (rows of a chunk, 1): a bias is the weight of an input that is always 1


def counts(cell: str) -> tuple[int, int, int]:
    """Return G, S and Z: how many gates, slots and states a cell has."""
    kind = CELLS[cell]
    return len(kind.gates), len(kind.slots), len(kind.states)


def steps(cell: str, in_parts: bool = False) -> Callable[..., Any]:
    """Build the forward loop, ``steps(tape, weights, time)``, for kernels to call.

    With `in_parts` it runs parts of the steps side by side. Of each part the state before its first
    step is IN, too.
    """
    rule = CELLS[cell].forward
    recurrent = CELLS[cell].recurrent
    G, S, Z = counts(cell)

    @register_jitable
    @named(f"steps_{cell}_{in_parts}")
    def loop(
        tape,  # Tape: X, codes IN; slots, table OUT; state IN before first[1], OUT
        weights,  # LayerWeights, IN
        time,  # TimeLoop, IN
    ):
        X, slots, state, codes, table = tape
        first = time.first
        parts = time.parts if in_parts else 1
        T = (len(first) - 2) // parts
        H = state.shape[1] // Z
        # From a row to the same sequence's of the next part, or to the next row of a step.
        apart = first[1 + T] - first[1] if in_parts else 1
        bias = weights.b_ih if S == G else _all_slots(weights.b_ih, weights.b_hh, S * H)
        start = bias, 0, 0  # every row begins as the bias
        kept = len(slots) >= first[len(first) - 1]
        in_place = len(state) < first[len(first) - 1]
        here = 0  # the row in slots of the step's first one
        if len(codes) and time.begins:
            sums = at(table, 0, 0)
            product(sums, start, at(X, 0, 0), weights.W_ih, len(table), time.features, G * H)
        for t in range(1, T + 1):
            new = first[t]
            end = first[t + 1]
            # The first row in state of the step before, and of this one
            before = 0 if in_place else first[t - 1]
            after = 0 if in_place else new
            # A product takes a sequence's rows of all parts, or the rows of a step.
            products, rows_each = (end - new, parts) if in_parts else (1, end - new)
            if (t - 1) % time.chunk == 0:
                rows = first[min(t + time.chunk, T + 1)] - new
                here = new if kept else 0
                for part in range(parts):
                    to = here + part * apart
                    since = new + part * apart
                    if len(codes):
                        for i in range(rows):
                            copy_row(slots, to + i, table, codes[since - first[1] + i], G * H)
                    else:
                        sums = at(slots, to, 0)
                        X_rows = at(X, since, 0)
                        product(sums, start, X_rows, weights.W_ih, rows, time.features, G * H)
                    if S > G:
                        fill(at(slots, to, G * H), (bias, G * H, 0), rows, (S - G) * H)
            for a in range(products):
                if recurrent:
                    sums = every(at(slots, here + a, (S - G) * H), apart)
                    h = every(at(state, before + a, 0), apart)
                    product(sums, sums, h, weights.W_hh, rows_each, time.units, G * H)
                # The rule runs over rows that the product has just written: they are in the cache.
                for b in range(a, a + rows_each * apart, apart):
                    for j in range(0, H, lanes(state)):
                        new_state, saved = rule(
                            loads(slots, here + b, j, H, S), loads(state, before + b, j, H, Z)
                        )
                        stores(state, after + b, j, H, new_state)
                        if kept:
                            stores(slots, here + b, j, H, saved)
            here += end - new

    return loop


@factory
def forward(cell: str, in_parts: bool = False) -> Callable[[Tape, LayerWeights, TimeLoop], None]:
    """Compile the forward loop as a kernel of its own: see `steps`."""
    loop = steps(cell, in_parts)

    @kernel
    @named(f"forward_{cell}_{in_parts}")
    def forward(
        tape: Tape,  # X, codes IN; slots, table OUT; state IN before first[1], OUT
        weights: LayerWeights,  # IN
        time: TimeLoop,  # IN
    ):
        control = flush_denormals()
        loop(tape, weights, time)
        restore_denormals(control)

    return forward


@register_jitable
def _all_slots(b_ih, b_hh, size):
    """Return the bias of all slots: the sum where both the input and the state feed a slot.

    Written as loops: array expressions bring the code that reports errors of shape, which takes two
    seconds to compile.
    """
    bias = np.zeros(size, b_ih.dtype)
    state = size - len(b_hh)
    for i in range(len(b_ih)):
        bias[i] = b_ih[i]
    for i in range(len(b_hh)):
        bias[state + i] += b_hh[i]
    return bias


# -- backward -----------------------------------------------------------------------------------


@factory
def backward(cell: str) -> Callable[..., None]:
    """Compile backpropagation through time.

    Gradients of parameters are added to what is there, so that the segments of a batch, the last
    one first, give the same bits as all its steps at once.
    """
    rule = CELLS[cell].backward
    recurrent = CELLS[cell].recurrent
    G, S, Z = counts(cell)
    products_back = _products_back(cell)

    @kernel
    @named(f"backward_{cell}")
    def backward(
        tape_gradient: TapeGradient,  # dh IN; dstate IN, OUT; dX, record, dtable OUT
        tape: Tape,  # X, state, codes IN; slots IN, OUT: the gradient of the sums
        weights: Transposed,  # IN
        gradients: LayerWeights,  # IN, OUT
        scratch: Scratch,  # OUT
        time: TimeLoop,  # IN: as in forward
    ):
        control = flush_denormals()
        dX, dh, dstate, record, dtable = tape_gradient
        _, slots, state, codes, _ = tape
        first = time.first
        T = len(first) - 2
        H = state.shape[1] // Z
        if len(codes) and time.ends:
            dtable[:] = 0
        for t in range(T, 0, -1):
            old = first[t - 1]
            new = first[t]
            end = first[t + 1]
            chunk_start = first[t - (t - 1) % time.chunk]
            if recurrent:
                # The step after this one sends its gradient back through the gates. Sequences that
                # end here have no row in it and keep the gradient that they came with.
                later = first[min(t + 2, T + 1)] - end
                carried = at(dstate, 0, 0)
                sums = at(slots, end, (S - G) * H)
                product(carried, carried, sums, weights.W_hh, later, G * H, H)
            for b in range(end - new):
                for j in range(0, H, lanes(state)):
                    d = loads(dstate, b, j, H, Z)
                    if dh.shape[1]:
                        d = (d[0] + load(dh, new + b, j),) + d[1:]  # noqa: RUF005 - Numba lacks it
                    if record.shape[1]:
                        stores(record, new + b, j, H, d)
                    dslots, dold = rule(
                        d,
                        loads(slots, new + b, j, H, S),
                        loads(state, new + b, j, H, Z),
                        loads(state, old + b, j, H, Z),
                    )
                    fetches(slots, old + b, j, H, S)  # the step before is next
                    stores(slots, new + b, j, H, dslots)
                    stores(dstate, b, j, H, dold)
                if recurrent:
                    copy_row(scratch.before, new - chunk_start + b, state, old + b, H)
            if (t - 1) % time.chunk == 0:
                products_back(dX, dtable, tape, weights, gradients, scratch, time, t)
        if recurrent and not time.begins:
            # The segment before goes on from the gradient of the state in which it ended.
            carried = at(dstate, 0, 0)
            sums = at(slots, first[1], (S - G) * H)
            product(carried, carried, sums, weights.W_hh, first[2] - first[1], G * H, H)
        if len(codes) and time.begins:
            _tokens_back(dX, dtable, tape.X, weights, gradients, scratch, time.features)
        restore_denormals(control)

    return backward


def _products_back(cell: str) -> Callable[..., Any]:
    """Build the products over the chunk of steps from t on, for `backward` to call."""
    recurrent = CELLS[cell].recurrent
    G, S, Z = counts(cell)

    @register_jitable
    @named(f"products_back_{cell}")
    def products_back(
        dX,  # (rows, F padded), OUT
        dtable,  # (tokens, G * H), IN, OUT
        tape,  # Tape: X, codes IN; slots IN, the gradient of the sums
        weights,  # Transposed, IN
        gradients,  # LayerWeights, IN, OUT
        scratch,  # Scratch: before IN; panels OUT
        time,  # TimeLoop, IN
        t,  # the chunk's first step, IN
    ):
        X, slots, state, codes, _ = tape
        first = time.first
        later = t + time.chunk  # the first step of the chunk after this one
        new = first[t]
        rows = first[min(later, len(first) - 1)] - new
        H = state.shape[1] // Z
        N = G * H
        zeros = scratch.zeros
        panels = scratch.panels
        ones = at(scratch.ones, 0, 0)
        sums = at(slots, new, 0)
        sums_hh = at(slots, new, (S - G) * H)
        bias = gradients.b_ih, ones, 1
        by_input = gradients.W_ih, at(X, new, 0), time.features
        by_state = gradients.W_hh, at(scratch.before, 0, 0), time.units
        # Where input and state feed the same slots, one pass over the sums serves all gradients.
        if S > G:
            bias_hh = gradients.b_hh, ones, 1
            products_t((bias_hh, by_state), sums_hh, panels, rows, N)
        if len(codes):
            for i in range(rows):
                add_row(dtable, codes[new - first[1] + i], slots, new + i, N)
            if recurrent and S == G:
                products_t((by_state,), sums, panels, rows, N)
        else:
            if recurrent and S == G:
                products_t((bias, by_input, by_state), sums, panels, rows, N)
            else:
                products_t((bias, by_input), sums, panels, rows, N)
            product(at(dX, new, 0), (zeros, 0, 0), sums, weights.W_ih, rows, N, dX.shape[1])

    return products_back


@register_jitable
def _tokens_back(
    dX,  # (tokens, F padded), OUT
    dtable,  # (tokens, G * H), IN: the gradient of the input's part of each token's sums
    X,  # (tokens, >= F), IN
    weights,  # Transposed, IN
    gradients,  # LayerWeights: W_ih, b_ih IN, OUT
    scratch,  # Scratch: panels OUT
    features,  # F, IN
):
    """Set the gradient of X, and add to those of W_ih and b_ih, from that of the tokens' sums."""
    zeros = scratch.zeros
    N = dtable.shape[1]
    block = len(scratch.ones)
    for start in range(0, len(dtable), block):
        rows = min(block, len(dtable) - start)
        sums = at(dtable, start, 0)
        bias = gradients.b_ih, at(scratch.ones, 0, 0), 1
        by_input = gradients.W_ih, at(X, start, 0), features
        products_t((bias, by_input), sums, scratch.panels, rows, N)
        product(at(dX, start, 0), (zeros, 0, 0), sums, weights.W_ih, rows, N, dX.shape[1])
