"""Kernels of the losses: outputs become their gradient."""

from __future__ import annotations

from functools import cache

from numba import cuda

from ..elementwise import clip, exp, like, log
from ..losses import COSTS
from .driver import THREADS
from .intrinsics import pointer
from .jit import Kernel, kernel
from .reductions import block_greatest, block_sum, greater
from .registers import NUMBA, zeros


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
            peak = greater(peak, floats[row + j])
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
        targets, weights, losses, constant = (
            ints[at + 3],
            ints[at + 4],
            ints[at + 5],
            floats[ints[at + 6]],
        )
        for i in range(cuda.grid(1), rows, cuda.gridsize(1)):
            share, sum_ = floats[weights + i] / like(constant, k), zero
            for j in range(i * k, (i + 1) * k):
                loss, slope = costs(floats[outputs + j], floats[targets + j], constant)
                sum_ += loss * share
                floats[outputs + j] = slope * share
            floats[losses + i] = sum_

    return by_output
