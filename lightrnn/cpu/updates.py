"""The solvers' updates, each one pass over vectors of whole registers."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ..elementwise import fma
from ..updates import UPDATES
from .jit import kernel, named
from .registers import lanes, load_flat, loads_flat, splats, store_flat, stores_flat

_BLOCK = 1024


@kernel
def squared_norm(gradient):
    """Sum of squares: a register of running sums for each block, the blocks in float64."""
    L, n, total, sums = (
        lanes(gradient),
        len(gradient),
        0.0,
        np.empty(lanes(gradient), gradient.dtype),
    )
    for start in range(0, n, _BLOCK):
        running = splats(gradient, (0,))[0]
        for i in range(start, min(start + _BLOCK, n), L):
            g = load_flat(gradient, i)
            running = fma(g, g, running)
        store_flat(sums, 0, running)
        for lane in range(L):
            total += np.float64(sums[lane])
    return total


@cache
def update(name: str) -> Callable[..., Any]:
    """Compile ``update(parameters, gradient, moments, scale, constants)``; the gradient counts `scale` times."""
    rule = UPDATES[name]

    @kernel
    @named(f"update_{name}")
    def update(parameters, gradient, moments, scale, constants):
        (factor,), values = splats(parameters, (scale,)), splats(parameters, constants)
        for i in range(0, len(parameters), lanes(parameters)):
            p, after = rule(
                load_flat(parameters, i),
                factor * load_flat(gradient, i),
                loads_flat(moments, i),
                values,
            )
            store_flat(parameters, i, p)
            stores_flat(moments, i, after)

    return update
