"""Sums, losses, norms and the solvers' updates."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import cuda

from ..elementwise import clip, exp, like, log, sqrt
from ..losses import COSTS
from ..updates import UPDATES
from .driver import SIMULATED, THREADS
from .kernels import Kernel, kernel
from .machine import pointer
from .values import MOMENTS, NUMBA, PUT, TAKE, register_jitable, zeros

LANES = 2 if SIMULATED else 32  # columns that a block sums side by side


@register_jitable
def _sum(x, y):
    return x + y


@register_jitable
def _greater(x, y):
    """Return the greater one; the second, if either is NaN."""
    return x if x > y else y


def _of_block(combine: Callable[[Any, Any], Any], lanes: int = 1) -> Callable[..., Any]:
    """Build the function that combines a number of each thread of a block, always in the same order.

    With several lanes those of every `lanes`-th thread are combined, and each gets its lane's.
    """

    @register_jitable
    def of_block(shared, value):
        thread = cuda.threadIdx.x
        shared[thread] = value
        half = THREADS // 2
        while half >= lanes:
            cuda.syncthreads()
            if thread < half:
                shared[thread] = combine(shared[thread], shared[thread + half])
            half //= 2
        cuda.syncthreads()
        combined = shared[thread % lanes]
        cuda.syncthreads()  # before anyone uses the shared memory again
        return combined

    return of_block


block_sum, block_greatest, lane_sum = _of_block(_sum), _of_block(_greater), _of_block(_sum, LANES)


@cache
def total(dtype: str, squared: bool) -> Kernel:
    """Compile a sum, or a sum of squares, a part to a block. Arguments: source, size, part; target, a number a part."""
    number, zero = NUMBA[dtype], zeros(dtype, 1)[0]

    @kernel(dtype, squared)
    def total(floats, ints, at):
        source, size, part, target = ints[at], ints[at + 1], ints[at + 2], ints[at + 3]
        shared = pointer(cuda.shared.array(0, number))
        thread, begin, value = cuda.threadIdx.x, cuda.blockIdx.x * part, zero
        for i in range(begin + thread, min(size, begin + part), THREADS):
            x = floats[source + i]
            value += x * x if squared else x
        value = block_sum(shared, value)
        if thread == 0:
            floats[target + cuda.blockIdx.x] = value

    return total


@cache
def column_sums(dtype: str) -> Kernel:
    """Compile the sums of columns, `LANES` of them and a part of the rows to a block.

    Arguments: source, its pitch; rows, columns, part; target, where parts have rows of their own; adds.
    """
    number, zero = NUMBA[dtype], zeros(dtype, 1)[0]

    @kernel(dtype)
    def column_sums(floats, ints, at):
        source, pitch, rows, columns, part = ints[at], ints[at + 1], ints[at + 2], ints[at + 3], ints[at + 4]
        target, adds = ints[at + 5] + cuda.blockIdx.y * columns, ints[at + 6]
        shared = pointer(cuda.shared.array(0, number))
        thread, begin, value = cuda.threadIdx.x, cuda.blockIdx.y * part, zero
        column = cuda.blockIdx.x * LANES + thread % LANES
        if column < columns:
            for i in range(begin + thread // LANES, min(rows, begin + part), THREADS // LANES):
                value += floats[source + i * pitch + column]
        value = lane_sum(shared, value)
        if thread < LANES and column < columns:
            floats[target + column] = floats[target + column] + value if adds else value

    return column_sums


@cache
def softmax(dtype: str) -> Kernel:
    """Compile the softmax's cross-entropy, a row to a block: outputs become their gradient.

    Arguments: outputs, rows' pitch, k; codes of the targets, weights; the rows' losses.
    """
    number, zero = NUMBA[dtype], zeros(dtype, 1)[0]

    @kernel(dtype)
    def softmax(floats, ints, at):
        i, thread = cuda.blockIdx.x, cuda.threadIdx.x
        row, k = ints[at] + i * ints[at + 1], ints[at + 2]
        target, weight = row + ints[ints[at + 3] + i], floats[ints[at + 4] + i]
        shared, aim = pointer(cuda.shared.array(0, number)), floats[target]
        peak = floats[row]
        for j in range(thread, k, THREADS):
            peak = _greater(peak, floats[row + j])
        peak, mass = block_greatest(shared, peak), zero
        for j in range(thread, k, THREADS):
            power = exp(clip(floats[row + j] - peak, like(peak, -80), zero))
            floats[row + j] = power
            mass += power
        mass = block_sum(shared, mass)
        share = weight / mass
        for j in range(thread, k, THREADS):
            floats[row + j] *= share
        cuda.syncthreads()
        if thread == 0:
            floats[target] -= weight
            floats[ints[at + 5] + i] = weight * (log(mass) - (aim - peak))

    return softmax


@cache
def by_output(name: str, dtype: str) -> Kernel:
    """Compile a loss that treats each output by itself, a row to a thread: outputs become their gradient.

    Arguments: outputs, rows, k; targets, weights; the rows' losses; the loss's constant.
    """
    costs, zero = COSTS[name], zeros(dtype, 1)[0]

    @kernel(name, dtype)
    def by_output(floats, ints, at):
        outputs, rows, k = ints[at], ints[at + 1], ints[at + 2]
        targets, weights, losses, constant = ints[at + 3], ints[at + 4], ints[at + 5], floats[ints[at + 6]]
        for i in range(cuda.grid(1), rows, cuda.gridsize(1)):
            share, sum_ = floats[weights + i] / like(constant, k), zero
            for j in range(i * k, (i + 1) * k):
                loss, slope = costs(floats[outputs + j], floats[targets + j], constant)
                sum_ += loss * share
                floats[outputs + j] = slope * share
            floats[losses + i] = sum_

    return by_output


@cache
def update(name: str, dtype: str) -> Kernel:
    """Compile a solver's step. It changes nothing where the loss or the gradient is not finite.

    Arguments: parameters, gradient, size; moments, so far apart; results: the loss and the squared norm; constants: the
    norm to clip to, then the rule's.
    """
    rule: Any = UPDATES[name]
    count = MOMENTS[name]
    take, put, constants_of, one = TAKE[count[0]], PUT[count[0]], TAKE[count[1]], np.dtype(dtype).type(1)

    @kernel(name, dtype)
    def update(floats, ints, at):
        parameters, gradient, size, moments, apart = ints[at], ints[at + 1], ints[at + 2], ints[at + 3], ints[at + 4]
        loss, norm, limit = floats[ints[at + 5]], sqrt(floats[ints[at + 5] + 1]), floats[ints[at + 6]]
        values, scale = constants_of(floats, ints[at + 6] + 1, 1), one
        if norm > limit:
            scale = limit / norm
        if loss - loss == norm - norm:  # NaN where either is not finite
            for i in range(cuda.grid(1), size, cuda.gridsize(1)):
                old = take(floats, moments + i, apart)
                p, after = rule(floats[parameters + i], scale * floats[gradient + i], old, values)
                floats[parameters + i] = p
                put(floats, moments + i, apart, after)

    return update
