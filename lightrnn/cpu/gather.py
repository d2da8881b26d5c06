"""Packed rows: their index, and rows copied, added and scaled by an index.

Rows move between a layer's state and its output, and on the way back between their gradients. Each
loop binds its rows to names first, as arrays of their own: Numba then vectorises it.
"""

from .jit import DoubleRows, Doubles, Integers, Matrix, Numbers, kernel
from .matmul import panel_vectors
from .registers import lanes, load, load_flat, store, store_flat


@kernel
def gather(
    target: Matrix,  # (rows, columns), OUT
    start: int,  # first row of target that is written, IN
    column: int,  # first column of target that is written, IN
    source: Matrix,  # (rows, >= width), IN
    index: Integers,  # (n,) rows of source, IN
    width: int,  # columns to copy, IN
):
    """``target[start + i, column : column + width] = source[index[i], :width]``."""
    for i in range(len(index)):
        to = target[start + i]
        row = source[index[i]]
        for j in range(width):
            to[column + j] = row[j]


@kernel
def scatter(
    target: Matrix,  # (rows, >= width), OUT
    index: Integers,  # (n,) rows of target, IN
    source: Matrix,  # (rows, columns), IN
    start: int,  # first row of source that is read, IN
    column: int,  # first column of source that is read, IN
    width: int,  # columns to copy, IN
):
    """``target[index[i], :width] = source[start + i, column : column + width]``."""
    for i in range(len(index)):
        to = target[index[i]]
        row = source[start + i]
        for j in range(width):
            to[j] = row[column + j]


@kernel
def add(
    target: Matrix,  # (rows, >= width), IN, OUT
    index: Integers,  # (n,) rows of target, IN
    source: Matrix,  # (rows, >= width), IN
    start: int,  # first row of source that is read, IN
    width: int,  # columns to add, IN
):
    """``target[index[i], :width] += source[start + i, :width]``."""
    for i in range(len(index)):
        to = target[index[i]]
        row = source[start + i]
        for j in range(width):
            to[j] += row[j]


@kernel
def scale(
    target: Matrix,  # (rows, >= columns of the mask), IN, OUT
    start: int,  # first row of target that is scaled, IN
    mask: Matrix,  # (sequences, columns), IN
    member: Integers,  # (n,) the sequence of each row, IN
):
    """``target[start + i] *= mask[member[i]]``, over the mask's columns."""
    for i in range(len(member)):
        to = target[start + i]
        factors = mask[member[i]]
        for j in range(len(factors)):
            to[j] *= factors[j]


@kernel
def standardize(
    target: Matrix,  # (n, F) OUT
    source: DoubleRows,  # (n, F) IN
    mean: Doubles,  # (F,) IN
    scale: Doubles,  # (F,) IN
):
    """``target = (source - mean) / scale``, computed in float64."""
    for i in range(len(source)):
        to = target[i]
        row = source[i]
        for j in range(len(mean)):
            to[j] = (row[j] - mean[j]) / scale[j]


@kernel
def standardize_in_place(
    rows: Matrix,  # (n, F) IN, OUT
    mean: Doubles,  # (F,) IN
    scale: Doubles,  # (F,) IN
):
    """``rows = (rows - mean) / scale``, computed in float64."""
    for i in range(len(rows)):
        row = rows[i]
        for j in range(len(mean)):
            row[j] = (row[j] - mean[j]) / scale[j]


@kernel
def time_major(
    lengths: Integers,  # (B,) steps of each sequence, not increasing, IN
    first: Integers,  # (T + 2,) OUT
    last: Integers,  # (B,) OUT
):
    """Compute the first row of each step and the last row of each sequence: see `packing.Steps`."""
    row = running = len(lengths)  # the initial state takes the first B rows
    first[0] = 0
    for t in range(lengths[0]):
        first[t + 1] = row
        while lengths[running - 1] <= t:
            running -= 1
            last[running] = first[t] + running
        row += running
    first[lengths[0] + 1] = row
    for b in range(running):
        last[b] = first[lengths[0]] + b


@kernel
def time_major_index(
    first: Integers,  # (T + 2,) as `time_major` makes it, IN
    offsets: Integers,  # (B,) where each sequence starts among the concatenated sequences, IN
    index: Integers,  # (rows after the initial state,) OUT
):
    """Compute the index of each packed row in the concatenated sequences."""
    for t in range(len(first) - 2):
        for b in range(first[t + 2] - first[t + 1]):
            index[first[t + 1] - first[1] + b] = offsets[b] + t


@kernel
def pack(
    rows: Matrix,  # (>= first[-1], F), OUT from the row first[1] on
    first: Integers,  # (T + 2,) as `time_major` makes it, IN
    steps: Matrix,  # (n, F) concatenated sequences, IN
    offsets: Integers,  # (B,) where each sequence starts among these, IN
):
    """Copy sequences into packed rows: step t of sequence b to row first[t + 1] + b."""
    for t in range(len(first) - 2):
        for b in range(first[t + 2] - first[t + 1]):
            to = rows[first[t + 1] + b]
            row = steps[offsets[b] + t]
            for j in range(len(row)):
                to[j] = row[j]


@kernel
def look_up(
    target: Matrix,  # (rows, columns), OUT
    start: int,  # first row of target that is written, IN
    table: Numbers,  # panels of a matrix (n_tokens, columns), IN
    n_tokens: int,  # rows of the table, IN
    codes: Integers,  # (n,) rows of the table, IN
):
    """``target[start + i] = table[codes[i]]``."""
    L = lanes(table)
    N = target.shape[1]
    for i in range(len(codes)):
        j = 0
        while j < N:
            width = panel_vectors(L, j, N) * L
            row = j * n_tokens + codes[i] * width
            for k in range(0, width, L):
                store(target, start + i, j + k, load_flat(table, row + k))
            j += width


@kernel
def add_by_code(
    table: Numbers,  # panels of a matrix (n_tokens, columns), IN, OUT
    n_tokens: int,  # rows of the table, IN
    codes: Integers,  # (n,) rows of the table, IN
    source: Matrix,  # (rows, columns), IN
    start: int,  # first row of source that is read, IN
):
    """``table[codes[i]] += source[start + i]``, in the order of i."""
    L = lanes(table)
    N = source.shape[1]
    for i in range(len(codes)):
        j = 0
        while j < N:
            width = panel_vectors(L, j, N) * L
            row = j * n_tokens + codes[i] * width
            for k in range(0, width, L):
                value = load_flat(table, row + k) + load(source, start + i, j + k)
                store_flat(table, row + k, value)
            j += width


@kernel
def scatter_windows(
    target: Matrix,  # (inputs, >= width), IN, OUT
    index: Integers,  # (inputs,) row of target of each input, IN
    source: Matrix,  # (windows, >= window * width), IN
    step: int,  # inputs from one window to the next, IN
    window: int,  # inputs that a window holds, IN
    width: int,  # columns of an input, IN
):
    """Add to each input its gradient by every window that holds it.

    ``target[index[step * r + w]] += source[r, w * width : (w + 1) * width]`` for all windows r and
    all their inputs w.
    """
    for r in range((len(index) - window) // step + 1):
        row = source[r]
        for w in range(window):
            to = target[index[step * r + w]]
            for j in range(width):
                to[j] += row[w * width + j]
