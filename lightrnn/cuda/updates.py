"""Kernels of the solvers' updates."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import cuda

from ..elementwise import sqrt
from ..updates import UPDATES
from .jit import Kernel, kernel
from .registers import MOMENTS, PUT, TAKE


@cache
def update(name: str, dtype: str) -> Kernel:
    """Compile a solver's step. It changes nothing where the loss or the gradient is not finite.

    Arguments: parameters, gradient, size; moments, so far apart; results: the loss and the squared norm; constants: the
    norm to clip to, then the rule's.
    """
    rule: Any = UPDATES[name]
    count = MOMENTS[name]
    take, put, constants_of, one = (
        TAKE[count[0]],
        PUT[count[0]],
        TAKE[count[1]],
        np.dtype(dtype).type(1),
    )

    @kernel(name, dtype)
    def update(floats, ints, at):
        parameters, gradient, size, moments, apart = (
            ints[at],
            ints[at + 1],
            ints[at + 2],
            ints[at + 3],
            ints[at + 4],
        )
        loss, norm, limit = (
            floats[ints[at + 5]],
            sqrt(floats[ints[at + 5] + 1]),
            floats[ints[at + 6]],
        )
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
