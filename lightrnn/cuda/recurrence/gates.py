"""Registers that go into a cell's rule and come out of it; all follow from the names in `Cell`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...cells import CELLS
from ..registers import each, plus, register_jitable, take, tuple_of


def total_of(count: int) -> Callable[..., Any]:
    """Build the function that adds the parts of `count` sums, `stride` apart."""
    load = take(count)
    add = plus(count)

    @register_jitable
    def total(shared, i, step, parts, stride):
        sums = load(shared, i, step)
        for _ in range(1, parts):
            i += stride
            sums = add(sums, load(shared, i, step))
        return sums

    return total


def bias_of(cell: str) -> Callable[..., Any]:
    """Build the function that loads a unit's biases for the state's gates; some cells have none."""
    if CELLS[cell].two_biases:
        return take(len(CELLS[cell].gates))
    return _no_bias


@register_jitable
def _no_bias(floats, place, H):
    return (place,)


def slots_of(cell: str) -> Callable[..., Any]:
    """Build the function that adds a unit's products, x of the input and h of the state.

    `b` are the biases of the state's gates.

    The input feeds the first G of the S slots, the state the last G; see `lightrnn.cells`.
    """
    rule = CELLS[cell]
    G = len(rule.gates)
    S = len(rule.slots)

    def element(s):
        k = s - (S - G)  # the state's gate

        @register_jitable
        def input_alone(x, h, b):
            return x[s]

        @register_jitable
        def state_alone(x, h, b):
            return h[k] + b[k]

        @register_jitable
        def both_biased(x, h, b):
            return x[s] + (h[k] + b[k])

        @register_jitable
        def both(x, h, b):
            return x[s] + h[k]

        if k < 0:
            return input_alone
        if s >= G:
            return state_alone
        return both_biased if rule.two_biases else both

    return tuple_of(element, S)


def keep_gates_of(cell: str, offset_of: Callable[..., Any]) -> Callable[..., Any]:
    """Build the function that keeps a unit's gradient of the state's gates for the step before."""
    S = len(CELLS[cell].slots)
    G = len(CELLS[cell].gates)

    def action(k):
        @register_jitable
        def keep(shared, tile, u, H, terms_per_part, dslots):
            shared[tile + offset_of(k * H + u, terms_per_part)] = dslots[S - G + k]

        return keep

    return each(action, G)


def add_to_h(count: int) -> Callable[..., Any]:
    """Build the function that adds a gradient to that of a unit's first state, h."""

    def element(z):
        @register_jitable
        def h(carried, more):
            return carried[0] + more

        @register_jitable
        def other(carried, more):
            return carried[z]

        return other if z else h

    return tuple_of(element, count)


@register_jitable
def _or_zero(x, zero):
    """`x`, or `zero` for None. Numba sees that one branch is dead only where x is an argument."""
    return zero if x is None else x


def known(count: int) -> Callable[..., Any]:
    """Build the function that puts `zero` for None: no gradient but through the gates."""

    def element(z):
        @register_jitable
        def gradient(dold, zero):
            return _or_zero(dold[z], zero)

        return gradient

    return tuple_of(element, count)
