"""The values of a cell's rule, in and out: from sums to slots, from gradients to what is handed on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...cells import CELLS
from ..registers import PLUS, TAKE, or_zero, register_jitable


def total_of(count: int) -> Callable[..., Any]:
    """Build the function that adds up the parts of `count` sums."""
    take, plus = TAKE[count], PLUS[count]

    @register_jitable
    def total(shared, i, step, parts, stride):
        sums = take(shared, i, step)
        for _ in range(1, parts):
            i += stride
            sums = plus(sums, take(shared, i, step))
        return sums

    return total


def bias_of(cell: str) -> Callable[..., Any]:
    """Build the function that loads the biases of a unit's gates that are the state's own; there may be none."""
    if CELLS[cell].two_biases:
        return TAKE[3]
    return _no_bias


@register_jitable
def _no_bias(floats, place, H):
    return (place,)


def slots_of(cell: str) -> Callable[..., Any]:
    """Build the function from what the input and the state give, and the state's own biases, to a unit's slots."""
    G, S = len(CELLS[cell].gates), len(CELLS[cell].slots)
    if S > G:  # the state's gates are not all added to the input's

        @register_jitable
        def slots(x, h, b):
            return x[0], x[1] + (h[0] + b[0]), x[2] + (h[1] + b[1]), h[2] + b[2]

    else:
        plus = PLUS[S]

        @register_jitable
        def slots(x, h, b):
            return plus(x, h)

    return slots


def put_gates_of(cell: str) -> Callable[..., Any]:
    """Build the function that hands the gradient of the gates that the state feeds to the step before."""
    if len(CELLS[cell].slots) == 1:

        @register_jitable
        def put(shared, places, dslots):
            shared[places[0]] = dslots[0]

    elif CELLS[cell].slots == CELLS[cell].input_gates:

        @register_jitable
        def put(shared, places, dslots):
            shared[places[0]] = dslots[0]
            shared[places[1]] = dslots[1]
            shared[places[2]] = dslots[2]
            shared[places[3]] = dslots[3]

    else:

        @register_jitable
        def put(shared, places, dslots):
            shared[places[0]] = dslots[1]
            shared[places[1]] = dslots[2]
            shared[places[2]] = dslots[3]

    return put


@register_jitable
def _more1(carried, more):
    return (carried[0] + more,)


@register_jitable
def _more2(carried, more):
    return carried[0] + more, carried[1]


MORE = {
    1: _more1,
    2: _more2,
}  # the gradient of a unit's states: what is carried, and what else comes to its h


@register_jitable
def _carry1(floats, place, H, dold, zero):
    floats[place] = or_zero(dold[0], zero)


@register_jitable
def _carry2(floats, place, H, dold, zero):
    floats[place] = or_zero(dold[0], zero)
    floats[place + H] = or_zero(dold[1], zero)


CARRY = {
    1: _carry1,
    2: _carry2,
}  # the gradient of the old state, as far as it does not go through the gates
