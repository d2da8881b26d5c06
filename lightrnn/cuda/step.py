"""What a step of a time loop is made of, for a thread: its part of the product, and the rule's values in and out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..cells import CELLS
from .values import ADD, PUT, ROWS, fma, load4, load8, or_zero, register_jitable, zeros

CHUNK = 8  # terms of the sum at a time


class Form(NamedTuple):
    """What a time loop is compiled for."""

    cell: str
    dtype: str
    rows: int  # sequences of a group: 1, 2, 4 or 8
    resident: int  # elements of W_hh in a thread's registers, in eights
    alone: bool  # whether a group is one block


# -- the product ------------------------------------------------------------------------------------------------------


def _chunk_sum(rows: int) -> Callable[..., Any]:
    """Build the function that adds to `rows` sums the products of 8 weights with what stands from `i` on."""
    add, side_by_side = ADD[rows], ROWS[rows]

    @register_jitable
    def of_one(sums, w, shared, i):
        h = load4(shared, i)
        sums = (fma(w[3], h[3], fma(w[2], h[2], fma(w[1], h[1], fma(w[0], h[0], sums[0])))),)
        h = load4(shared, i + 4)
        return (fma(w[7], h[3], fma(w[6], h[2], fma(w[5], h[1], fma(w[4], h[0], sums[0])))),)

    @register_jitable
    def of_several(sums, w, shared, i):
        sums = add(sums, w[0], side_by_side(shared, i))
        sums = add(sums, w[1], side_by_side(shared, i + rows))
        sums = add(sums, w[2], side_by_side(shared, i + 2 * rows))
        sums = add(sums, w[3], side_by_side(shared, i + 3 * rows))
        sums = add(sums, w[4], side_by_side(shared, i + 4 * rows))
        sums = add(sums, w[5], side_by_side(shared, i + 5 * rows))
        sums = add(sums, w[6], side_by_side(shared, i + 6 * rows))
        return add(sums, w[7], side_by_side(shared, i + 7 * rows))

    return of_one if rows == 1 else of_several


def _joined(
    first: tuple[Any, Any], second: tuple[Any, Any], size: int, rows: int
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Build the functions for `size` weights and those after them: what they load is a pair."""
    (load_first, sum_first), (load_second, sum_second) = first, second

    @register_jitable
    def load(array, i, stride, left, zero):
        return (
            load_first(array, i, stride, left, zero),
            load_second(array, i + size * stride, stride, left - size, zero),
        )

    @register_jitable
    def total(sums, w, shared, i):
        return sum_second(sum_first(sums, w[0], shared, i), w[1], shared, i + size * rows)

    return load, total


def loader(count: int, rows: int) -> tuple[Any, Any]:
    """Build the functions that load `count` weights, and that sum their products."""
    if count <= CHUNK:
        return load8, _chunk_sum(rows)
    size = -(-count // (2 * CHUNK)) * CHUNK
    return _joined(loader(size, rows), loader(count - size, rows), size, rows)


def product_of(form: Form) -> Callable[..., Any]:
    """Build the product of a thread: its columns, its part of the terms."""
    rows, resident = form.rows, form.resident
    nothing, zero, put = zeros(form.dtype, rows), zeros(form.dtype, 1)[0], PUT[rows]
    chunk_sum, (_, resident_sum), side_by_side = _chunk_sum(rows), loader(resident, rows), ROWS[rows]

    @register_jitable
    def product(floats, W, pitch, held, shared, target, columns, width, apart, low, lane, lanes, start, share, K, adds):
        """Column m is that of unit m % width in gate m // width, gates so far apart in W."""
        for m in range(lane, columns, lanes):
            sums = side_by_side(shared, target + m * rows) if adds else nothing
            if resident:
                sums = resident_sum(sums, held, shared, start * rows)
            else:
                column = W + m // width * apart + low + m % width
                for k in range(start, start + share, CHUNK):
                    w = load8(floats, column + k * pitch, pitch, K - k, zero)
                    sums = chunk_sum(sums, w, shared, k * rows)
            put(shared, target + m * rows, 1, sums)

    return product


# -- values in and out ------------------------------------------------------------------------------------------------


def sum_slots_of(cell: str) -> Callable[..., Any]:
    """Build the function that sums up the slots of one unit: from the input, the state's parts and the state's bias."""
    G, S = len(CELLS[cell].gates), len(CELLS[cell].slots)
    own = S > G  # whether the state's gates have a bias of their own

    @register_jitable
    def one(floats, place, H, bias, shared, i, apart, parts, step, slot, zero):
        value = floats[place + slot * H] if slot < G else zero
        if slot >= S - G:
            gate = slot - (S - G)
            if own:
                value += floats[bias + gate * H]
            for p in range(parts):
                value += shared[i + p * apart + gate * step]
        return value

    if S == 1:

        @register_jitable
        def slots(floats, place, H, bias, shared, i, apart, parts, step, zero):
            return (one(floats, place, H, bias, shared, i, apart, parts, step, 0, zero),)

    else:

        @register_jitable
        def slots(floats, place, H, bias, shared, i, apart, parts, step, zero):
            return (
                one(floats, place, H, bias, shared, i, apart, parts, step, 0, zero),
                one(floats, place, H, bias, shared, i, apart, parts, step, 1, zero),
                one(floats, place, H, bias, shared, i, apart, parts, step, 2, zero),
                one(floats, place, H, bias, shared, i, apart, parts, step, 3, zero),
            )

    return slots


def read_gradient_of(cell: str) -> Callable[..., Any]:
    """Build the function that reads the gradient of one unit's state: what is carried, and what comes to its h."""
    Z = len(CELLS[cell].states)

    if Z == 1:

        @register_jitable
        def read(floats, place, H, more):
            return (floats[place] + more,)

    else:

        @register_jitable
        def read(floats, place, H, more):
            return floats[place] + more, floats[place + H]

    return read


def put_gates_of(cell: str) -> Callable[..., Any]:
    """Build the function that hands the gradient of the gates that the state feeds to the step before."""
    if CELLS[cell].slots == CELLS[cell].input_gates:
        return PUT[len(CELLS[cell].slots)]

    @register_jitable
    def put(shared, i, apart, dslots):
        shared[i] = dslots[1]
        shared[i + apart] = dslots[2]
        shared[i + 2 * apart] = dslots[3]

    return put


@register_jitable
def _carry1(floats, place, H, dold, zero):
    floats[place] = or_zero(dold[0], zero)


@register_jitable
def _carry2(floats, place, H, dold, zero):
    floats[place] = or_zero(dold[0], zero)
    floats[place + H] = or_zero(dold[1], zero)


CARRY = {1: _carry1, 2: _carry2}  # the gradient of the old state, as far as it does not go through the gates
