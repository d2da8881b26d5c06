"""The solvers' steps on the GPU."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import cuda

from ..elementwise import sqrt
from ..nn.solvers import SOLVERS
from ..updates import UPDATES
from .jit import Kernel, kernel, reader
from .program import Program, Sent
from .reductions import add_up
from .registers import put, take


class UpdateArguments(NamedTuple):
    """Arguments of `update`."""

    parameters: int  # (size,)  # IN, OUT
    gradient: int  # (size,)  # IN
    size: int
    moments: int  # (m, stride), the first `size` columns  # IN, OUT
    stride: int
    results: int  # (2,) the loss, and the squared norm of the gradient  # IN
    constants: int  # norm to clip to, then the constants of the rule  # IN


read_update = reader(UpdateArguments)


@cache
def update(name: str, dtype: str, constants: int) -> Kernel:
    """Compile a solver's step, whose rule has some constants; see `lightrnn.updates`.

    Nothing is changed if the loss or the gradient is not finite.
    """
    rule: Any = UPDATES[name]
    count = len(SOLVERS[name].moments)
    take_moments = take(count)
    put_moments = put(count)
    take_constants = take(constants)
    one = np.dtype(dtype).type(1)

    @kernel(name, dtype, constants)
    def update(floats, ints, at):
        a = read_update(ints, at)
        loss = floats[a.results]
        norm = sqrt(floats[a.results + 1])
        limit = floats[a.constants]
        values = take_constants(floats, a.constants + 1, 1)
        scale = one
        if norm > limit:
            scale = limit / norm
        if loss - loss == norm - norm:  # NaN where either is not finite
            for i in range(cuda.grid(1), a.size, cuda.gridsize(1)):
                old = take_moments(floats, a.moments + i, a.stride)
                gradient = scale * floats[a.gradient + i]
                p, after = rule(floats[a.parameters + i], gradient, old, values)
                floats[a.parameters + i] = p
                put_moments(floats, a.moments + i, a.stride, after)

    return update


def add_update(program: Program, solver: str, constants: Sent) -> None:
    """Let a program that computes a gradient end with a solver's step."""
    addresses = program.context.addresses
    size = addresses.layout.size
    add_up(program, addresses.gradient, size, addresses.results + 1, squared=True)
    arguments = UpdateArguments(
        parameters=addresses.start,
        gradient=addresses.gradient,
        size=size,
        moments=addresses.moments,
        stride=addresses.stride,
        results=addresses.results,
        constants=constants.address,
    )
    program.over(update(solver, program.dtype, constants.size - 1), size, arguments)
