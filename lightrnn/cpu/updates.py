"""The updates of the solvers, each one pass over vectors of whole registers."""

from collections.abc import Callable
from typing import Any

from ..elementwise import fma
from ..updates import UPDATES
from .jit import Numbers, factory, kernel, named
from .registers import added_lanes, lanes, load_flat, loads_flat, splats, store_flat, stores_flat

# How many moments and constants each rule takes.
_SIZES = {"sgd": (1, 3), "rmsprop": (1, 5), "adam": (2, 8)}
_BLOCK = 1024  # summed in the gradient's precision: larger loses digits, smaller costs time


@kernel
def squared_norm(
    gradient: Numbers,  # (size,) IN
):
    """Return the sum of squares: a block in a register of running sums, all blocks in float64."""
    L = lanes(gradient)
    n = len(gradient)
    total = 0.0
    for start in range(0, n, _BLOCK):
        (running,) = splats(gradient, (0,))
        for i in range(start, min(start + _BLOCK, n), L):
            g = load_flat(gradient, i)
            running = fma(g, g, running)
        total = added_lanes(total, running)
    return total


@factory
def update(name: str) -> Callable[..., Any]:
    """Compile a solver's step."""
    rule = UPDATES[name]
    n_moments, n_constants = _SIZES[name]

    @kernel
    @named(f"update_{name}")
    def update(
        parameters: Numbers,  # (size,) IN, OUT
        gradient: Numbers,  # (size,) IN
        # each (size,), IN, OUT
        moments: tuple[(Numbers,) * n_moments],  # type: ignore[valid-type]
        scale: float,  # by which the gradient is multiplied, IN
        # the rule's numbers, IN
        constants: tuple[(float,) * n_constants],  # type: ignore[valid-type]
    ):
        (factor,) = splats(parameters, (scale,))
        values = splats(parameters, constants)
        for i in range(0, len(parameters), lanes(parameters)):
            g = factor * load_flat(gradient, i)
            p, after = rule(load_flat(parameters, i), g, loads_flat(moments, i), values)
            store_flat(parameters, i, p)
            stores_flat(moments, i, after)

    return update
