"""Rows moved between a layer's state and its output: picked by index, in a column range, and scaled for dropout."""

from .jit import kernel


@kernel
def gather(target, start, column, source, index, width):
    """``target[start + i, column : column + width] = source[index[i], :width]``."""
    for i in range(len(index)):
        for j in range(width):
            target[start + i, column + j] = source[index[i], j]


@kernel
def scatter(target, index, source, start, column, width):
    """``target[index[i], :width] += source[start + i, column : column + width]``."""
    for i in range(len(index)):
        for j in range(width):
            target[index[i], j] += source[start + i, column + j]


@kernel
def scale(target, start, mask, member):
    """``target[start + i] *= mask[member[i]]``, over the mask's columns."""
    for i in range(len(member)):
        for j in range(mask.shape[1]):
            target[start + i, j] *= mask[member[i], j]
