"""The updates of the solvers, each one pass over vectors of whole registers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..elementwise import fma
from ..updates import UPDATES
from .jit import factory, kernel, named
from .registers import lanes, load_flat, loads_flat, splats, store_flat, stores_flat

_BLOCK = 1024  # summed in the gradient's precision: larger loses digits, smaller costs time


@kernel
def squared_norm(
    gradient,  # (size,) IN
):
    """Return the sum of squares: a block in a register of running sums, all blocks in float64."""
    L = lanes(gradient)
    n = len(gradient)
    sums = np.empty(L, gradient.dtype)
    total = 0.0
    for start in range(0, n, _BLOCK):
        (running,) = splats(gradient, (0,))
        for i in range(start, min(start + _BLOCK, n), L):
            g = load_flat(gradient, i)
            running = fma(g, g, running)
        store_flat(sums, 0, running)
        for lane in range(L):
            total += np.float64(sums[lane])
    return total


@factory
def update(name: str) -> Callable[..., Any]:
    """Compile a solver's step."""
    rule = UPDATES[name]

    @kernel
    @named(f"update_{name}")
    def update(
        parameters,  # (size,) IN, OUT
        gradient,  # (size,) IN
        moments,  # tuple of (size,), IN, OUT
        scale,  # by which the gradient is multiplied, IN
        constants,  # tuple of the rule's numbers, IN
    ):
        (factor,) = splats(parameters, (scale,))
        values = splats(parameters, constants)
        for i in range(0, len(parameters), lanes(parameters)):
            g = factor * load_flat(gradient, i)
            p, after = rule(load_flat(parameters, i), g, loads_flat(moments, i), values)
            store_flat(parameters, i, p)
            stores_flat(moments, i, after)

    return update
