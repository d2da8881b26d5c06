"""Pool a layer's output at all steps of a sequence to one row, step after step.

A row of `pooled` holds D values, and in the register after them what the next step needs: the total
weight of the steps so far and, for attention, the greatest score. Steps are taken one by one, in
their order, so that a sequence gives the same bits as a whole, in pieces and in a stream.
"""

from ..elementwise import fma, like, relative_exp
from .calls import separate
from .denormals import flush_denormals, restore_denormals
from .jit import Integers, Matrix, Numbers, Pointer, kernel, register_jitable
from .registers import lanes, load, load_flat, maximum, splats, store, store_flat, total

# Columns after the D values.
WEIGHT = 0  # total weight of the steps, relative to that of the greatest score; 0 before the first
SCORE = 1  # greatest score


@register_jitable
def _score(rows, row, w, D):
    """Return the product of w with the D elements that begin at index `row`."""
    sums = like(load_flat(w, 0), 0)
    for j in range(0, D, lanes(w)):
        sums = fma(load_flat(rows, row + j), load_flat(w, j), sums)
    return total(sums)


@separate
def add_to_mean(
    pooled: Pointer,  # IN, OUT
    at: int,  # where a pooled row begins, D values and a register, IN
    rows: Pointer,  # IN
    row: int,  # where the D values of the step begin, IN
    w: Pointer,  # (D,) of attention, IN
    attends: bool,  # whether there is a w, IN
    D: int,  # IN
):
    """Let a weighted mean follow another step: of weight exp(score), or 1 without w."""
    end = at + D
    before = pooled[end + WEIGHT]
    weight = like(before, 1)
    if attends:
        score = _score(rows, row, w, D)
        greatest = pooled[end + SCORE]
        # All weights are relative to the greatest: what overflows is never computed.
        if before == 0:
            pooled[end + SCORE] = score
        elif score > greatest:
            before *= relative_exp(greatest, score)
            pooled[end + SCORE] = score
        else:
            weight = relative_exp(score, greatest)
    pooled[end + WEIGHT] = before + weight
    (share,) = splats(pooled, (weight / (before + weight),))
    for j in range(0, D, lanes(pooled)):
        value = load_flat(pooled, at + j)
        store_flat(pooled, at + j, fma(load_flat(rows, row + j) - value, share, value))


@separate
def add_to_maximum(
    pooled: Pointer,  # IN, OUT
    at: int,  # where a pooled row begins, D values and a register, IN
    rows: Pointer,  # IN
    row: int,  # where the D values of the step begin, IN
    D: int,  # IN
):
    """Let a maximum follow another step."""
    before = pooled[at + D + WEIGHT]
    pooled[at + D + WEIGHT] = before + like(before, 1)
    for j in range(0, D, lanes(pooled)):
        value = load_flat(rows, row + j)
        if before > 0:
            # The difference is 0, but NaN where the value is not finite: no maximum hides that.
            value = maximum(value, load_flat(pooled, at + j)) + (value - value)
        store_flat(pooled, at + j, value)


@kernel
def mean(
    pooled: Matrix,  # (B, D + lanes), IN, OUT
    rows: Matrix,  # (rows, >= D), IN
    start: int,  # first row that is pooled, IN
    members: Integers,  # (n,) the sequence of each row from `start` on, IN
    w: Numbers,  # (D,) of attention; empty for the mean, IN
):
    """Add rows to the means of their sequences, weighted by attention if there is a w."""
    control = flush_denormals()
    columns = pooled.shape[1]
    stride = rows.shape[1]
    D = columns - lanes(pooled)
    for i in range(len(members)):
        row = (start + i) * stride
        add_to_mean(pooled, members[i] * columns, rows, row, w, len(w) > 0, D)
    restore_denormals(control)


@kernel
def mean_back(
    drows: Matrix,  # (rows, D), OUT
    dw: Numbers,  # as w, IN, OUT
    dpooled: Matrix,  # (B, D), IN
    pooled: Matrix,  # (B, D + lanes), IN: as `mean` leaves it
    rows: Matrix,  # (rows, >= D), IN
    start: int,  # first row that is pooled, IN
    members: Integers,  # (n,) the sequence of each row from `start` on, IN
    w: Numbers,  # as in `mean`, IN
):
    """Compute the gradient of the rows from that of the means, and add to that of w.

    The last row comes first, so that a sequence in pieces, the last one first, gives the same bits.
    """
    control = flush_denormals()
    L = lanes(pooled)
    D = pooled.shape[1] - L
    for i in range(len(members) - 1, -1, -1):
        b = members[i]
        row = start + i
        share = like(pooled[b, D], 1) / pooled[b, D + WEIGHT]
        if len(w):
            score = _score(rows, row * rows.shape[1], w, D)
            share *= relative_exp(score, pooled[b, D + SCORE])
            sums = like(load_flat(w, 0), 0)
            for j in range(0, D, L):
                sums = fma(load(dpooled, b, j), load(rows, row, j) - load(pooled, b, j), sums)
            dscore = share * total(sums)
            share_vector, dscore_vector = splats(pooled, (share, dscore))
            for j in range(0, D, L):
                store_flat(dw, j, fma(load(rows, row, j), dscore_vector, load_flat(dw, j)))
                by_score = load_flat(w, j) * dscore_vector
                store(drows, row, j, fma(load(dpooled, b, j), share_vector, by_score))
        else:
            (share_vector,) = splats(pooled, (share,))
            for j in range(0, D, L):
                store(drows, row, j, load(dpooled, b, j) * share_vector)
    restore_denormals(control)


@kernel
def greatest(
    pooled: Matrix,  # (B, D + lanes), IN, OUT
    rows: Matrix,  # (rows, >= D), IN
    start: int,  # first row that is pooled, IN
    members: Integers,  # (n,) the sequence of each row from `start` on, IN
):
    """Add rows to the maxima of their sequences."""
    columns = pooled.shape[1]
    stride = rows.shape[1]
    D = columns - lanes(pooled)
    for i in range(len(members)):
        add_to_maximum(pooled, members[i] * columns, rows, (start + i) * stride, D)


@kernel
def greatest_back(
    drows: Matrix,  # (rows, >= D), OUT
    dpooled: Matrix,  # (B, D), IN, OUT: zeros where a row has taken the gradient
    pooled: Matrix,  # (B, D + lanes), IN: as `greatest` leaves it
    rows: Matrix,  # (rows, >= D), IN
    start: int,  # first row that is pooled, IN
    members: Integers,  # (n,) the sequence of each row from `start` on, IN
):
    """Give the gradient of each maximum to the first row that has it."""
    for i in range(len(members)):
        row = rows[start + i]
        top = pooled[members[i]]
        left = dpooled[members[i]]
        to = drows[start + i]
        for j in range(len(left)):
            to[j] = left[j] if row[j] == top[j] else like(left[j], 0)
            left[j] -= to[j]
