"""Kernels of the losses: raw outputs are replaced by their gradient."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from numba import cuda

from ..elementwise import clip, exp, like, log
from ..losses import COSTS
from .driver import THREADS
from .intrinsics import shared_memory
from .jit import Kernel, kernel, reader
from .reductions import block_greatest, block_sum, greater
from .registers import zeros


class LossArguments(NamedTuple):
    """Arguments of `softmax` and `by_output`."""

    outputs: int  # (rows, k) raw outputs, then their gradient  # IN, OUT
    rows: int
    k: int
    targets: int  # (rows, k); for `softmax` (rows,), codes among the indices  # IN
    weights: int  # (rows,)  # IN
    losses: int  # (rows,)  # OUT
    constant: int = -1  # (k,) of the loss; `softmax` has none  # IN


read_loss = reader(LossArguments)


@cache
def softmax(dtype: str) -> Kernel:
    """Compile the cross-entropy after a softmax, one row to a block."""
    zero = zeros(dtype, 1)[0]
    memory = shared_memory(dtype)

    @kernel(dtype)
    def softmax(floats, ints, at):
        a = read_loss(ints, at)
        i = cuda.blockIdx.x
        thread = cuda.threadIdx.x
        row = a.outputs + i * a.k
        target = row + ints[a.targets + i]
        weight = floats[a.weights + i]
        shared = memory()
        aim = floats[target]  # before the row is overwritten
        peak = floats[row]
        for j in range(thread, a.k, THREADS):
            peak = greater(peak, floats[row + j])
        peak = block_greatest(shared, peak)
        mass = zero
        for j in range(thread, a.k, THREADS):
            power = exp(clip(floats[row + j] - peak, like(peak, -80), zero))
            floats[row + j] = power
            mass += power
        mass = block_sum(shared, mass)  # of exp(output - peak), hence >= 1
        share = weight / mass
        for j in range(thread, a.k, THREADS):
            floats[row + j] *= share
        cuda.syncthreads()  # the target's gradient may be another thread's
        if thread == 0:
            floats[target] -= weight
            floats[a.losses + i] = weight * (log(mass) - (aim - peak))

    return softmax


@cache
def by_output(name: str, dtype: str) -> Kernel:
    """Compile a loss that treats each output by itself, one row to a thread."""
    costs = COSTS[name]
    zero = zeros(dtype, 1)[0]

    @kernel(name, dtype)
    def by_output(floats, ints, at):
        a = read_loss(ints, at)
        for i in range(cuda.grid(1), a.rows, cuda.gridsize(1)):
            share = floats[a.weights + i]
            share /= like(share, a.k)
            of_row = zero
            for j in range(a.k):
                output = a.outputs + i * a.k + j
                target = floats[a.targets + i * a.k + j]
                if target != target:  # it is missing, and costs nothing
                    target = floats[output]
                loss, slope = costs(floats[output], target, floats[a.constant + j])
                of_row += loss * share
                floats[output] = slope * share
            floats[a.losses + i] = of_row

    return by_output
