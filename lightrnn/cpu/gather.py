"""Packed rows: their index, and rows moved between a layer's state and its output or scaled for dropout.

Each loop takes its rows as arrays first: Numba then vectorises it.
"""

from .jit import kernel
from .matmul import panel_vectors
from .registers import lanes, load, load_flat, store, store_flat


@kernel
def gather(target, start, column, source, index, width):
    """``target[start + i, column : column + width] = source[index[i], :width]``."""
    for i in range(len(index)):
        to, row = target[start + i], source[index[i]]
        for j in range(width):
            to[column + j] = row[j]


@kernel
def scatter(target, index, source, start, column, width):
    """``target[index[i], :width] = source[start + i, column : column + width]``."""
    for i in range(len(index)):
        to, row = target[index[i]], source[start + i]
        for j in range(width):
            to[j] = row[column + j]


@kernel
def add(target, index, source, start, width):
    """``target[index[i], :width] += source[start + i, :width]``."""
    for i in range(len(index)):
        to, row = target[index[i]], source[start + i]
        for j in range(width):
            to[j] += row[j]


@kernel
def scale(target, start, mask, member):
    """``target[start + i] *= mask[member[i]]``, over the mask's columns."""
    for i in range(len(member)):
        to, factors = target[start + i], mask[member[i]]
        for j in range(len(factors)):
            to[j] *= factors[j]


@kernel
def time_major(lengths, first, last):
    """Index of packed rows, for lengths that do not increase: see `batches.Steps`, which says what each array is."""
    row = running = len(lengths)
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
def time_major_index(first, places, index):
    """``index`` becomes places[b] + t for the row of step t of sequence b, the first step's row being 0."""
    for t in range(len(first) - 2):
        for b in range(first[t + 2] - first[t + 1]):
            index[first[t + 1] - first[1] + b] = places[b] + t


@kernel
def look_up(target, start, table, rows, codes):
    """``target[start + i] = table[codes[i]]``, the table being a matrix of so many rows in panels."""
    L, N = lanes(table), target.shape[1]
    for i in range(len(codes)):
        j = 0
        while j < N:
            width = panel_vectors(L, j, N) * L
            for k in range(0, width, L):
                store(target, start + i, j + k, load_flat(table, j * rows + codes[i] * width + k))
            j += width


@kernel
def add_by_code(table, rows, codes, source, start):
    """``table[codes[i]] += source[start + i]``, in the order of i."""
    L, N = lanes(table), source.shape[1]
    for i in range(len(codes)):
        j = 0
        while j < N:
            width = panel_vectors(L, j, N) * L
            for k in range(0, width, L):
                place = j * rows + codes[i] * width + k
                store_flat(table, place, load_flat(table, place) + load(source, start + i, j + k))
            j += width


@kernel
def scatter_windows(target, index, source, step, window, width):
    """``target[index[step * r + w]] += source[r, w * width : (w + 1) * width]``: from windows to what they look at."""
    for r in range((len(index) - window) // step + 1):
        for w in range(window):
            to, row = target[index[step * r + w]], source[r]
            for j in range(width):
                to[j] += row[w * width + j]
