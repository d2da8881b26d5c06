"""A thread's part of the product of a step: four columns of W_hh and a share of the sum's terms.

It takes a tile of sequences at a time: what it reads from shared memory serves four columns, and each of its weights a
whole tile. The weights of its first terms are in registers, of the others in shared memory; or, of a layer that is too
large, all are read again in every step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ...elementwise import fma
from ..intrinsics import load4, store4
from ..registers import ADD, ROWS, STORE, register_jitable, zeros

COLUMNS = CHUNK = 4  # columns of a thread, and terms of the sum at a time


class Form(NamedTuple):
    """What a time loop is compiled for."""

    cell: str
    dtype: str
    rows: int  # sequences of a tile: 1, 2 or 4
    resident: int  # terms whose weights a thread holds in registers; 0: it reads all in every step
    stored: bool  # whether there are more, which it keeps in shared memory
    alone: bool  # whether a group is one block


@register_jitable
def _terms1(sums, w, shared, i):
    """Add the products of four columns' next four weights with what stands from `i` on."""
    h = load4(shared, i)
    return (
        (
            fma(
                w[0][3],
                h[3],
                fma(w[0][2], h[2], fma(w[0][1], h[1], fma(w[0][0], h[0], sums[0][0]))),
            ),
        ),
        (
            fma(
                w[1][3],
                h[3],
                fma(w[1][2], h[2], fma(w[1][1], h[1], fma(w[1][0], h[0], sums[1][0]))),
            ),
        ),
        (
            fma(
                w[2][3],
                h[3],
                fma(w[2][2], h[2], fma(w[2][1], h[1], fma(w[2][0], h[0], sums[2][0]))),
            ),
        ),
        (
            fma(
                w[3][3],
                h[3],
                fma(w[3][2], h[2], fma(w[3][1], h[1], fma(w[3][0], h[0], sums[3][0]))),
            ),
        ),
    )


def _terms(rows: int) -> Callable[..., Any]:
    """Build the function that does so for several sequences."""
    add, side_by_side = ADD[rows], ROWS[rows]

    @register_jitable
    def term(sums, w, k, h):
        return (
            add(sums[0], w[0][k], h),
            add(sums[1], w[1][k], h),
            add(sums[2], w[2][k], h),
            add(sums[3], w[3][k], h),
        )

    if rows == 2:

        @register_jitable
        def terms(sums, w, shared, i):
            h = load4(shared, i)
            sums = term(term(sums, w, 0, h[:2]), w, 1, h[2:])
            h = load4(shared, i + 4)
            return term(term(sums, w, 2, h[:2]), w, 3, h[2:])

    else:

        @register_jitable
        def terms(sums, w, shared, i):
            sums = term(sums, w, 0, side_by_side(shared, i))
            sums = term(sums, w, 1, side_by_side(shared, i + rows))
            sums = term(sums, w, 2, side_by_side(shared, i + 2 * rows))
            return term(sums, w, 3, side_by_side(shared, i + 3 * rows))

    return terms


TERMS = {1: _terms1, 2: _terms(2), 4: _terms(4)}


@register_jitable
def places_of(m, lanes, columns):
    """Return where column m and the next three, `lanes` apart, are in a row of W_hh; -1 where there is none.

    `columns` says how many there are, how many a gate has, how far apart gates are in W_hh, and the first one's place.
    """
    count, width, apart, low = columns
    second, third, fourth = m + lanes, m + 2 * lanes, m + 3 * lanes
    return (
        m // width * apart + low + m % width if m < count else -1,
        second // width * apart + low + second % width if second < count else -1,
        third // width * apart + low + third % width if third < count else -1,
        fourth // width * apart + low + fourth % width if fourth < count else -1,
    )


@register_jitable
def _column(array, place, i, pitch, left, zero):
    """Load a column's next four weights; only `left` are there, and zeros beyond."""
    if place < 0:
        left = 0
    i += place
    return (
        array[i] if left > 0 else zero,
        array[i + pitch] if left > 1 else zero,
        array[i + 2 * pitch] if left > 2 else zero,
        array[i + 3 * pitch] if left > 3 else zero,
    )


@register_jitable
def _load_chunk(array, places, i, pitch, left, zero):
    """Load four columns' next four weights."""
    return (
        _column(array, places[0], i, pitch, left, zero),
        _column(array, places[1], i, pitch, left, zero),
        _column(array, places[2], i, pitch, left, zero),
        _column(array, places[3], i, pitch, left, zero),
    )


def loader(count: int, rows: int) -> tuple[Any, Any]:
    """Build the functions that load the weights of `count` terms, and that sum their products: nested pairs."""
    if count <= CHUNK:
        return _load_chunk, TERMS[rows]
    size = -(-count // (2 * CHUNK)) * CHUNK
    (load_first, sum_first), (load_second, sum_second) = (
        loader(size, rows),
        loader(count - size, rows),
    )

    @register_jitable
    def load(array, places, i, pitch, left, zero):
        return (
            load_first(array, places, i, pitch, left, zero),
            load_second(array, places, i + size * pitch, pitch, left - size, zero),
        )

    @register_jitable
    def total(sums, w, shared, i):
        return sum_second(sum_first(sums, w[0], shared, i), w[1], shared, i + size * rows)

    return load, total


@register_jitable
def _keep(shared, i, step, w):
    """Keep a chunk in shared memory: a column's four weights side by side, the columns `step` apart."""
    store4(shared, i, w[0])
    store4(shared, i + step, w[1])
    store4(shared, i + 2 * step, w[2])
    store4(shared, i + 3 * step, w[3])


@register_jitable
def _kept(shared, i, step):
    """Read what `_keep` has written."""
    return (
        load4(shared, i),
        load4(shared, i + step),
        load4(shared, i + 2 * step),
        load4(shared, i + 3 * step),
    )


def hold_of(form: Form) -> Callable[..., Any]:
    """Build the function that takes a thread's weights: to registers, which it returns, and to shared memory."""
    resident, stored, zero = form.resident, form.stored, zeros(form.dtype, 1)[0]
    load, _ = loader(resident, form.rows)

    @register_jitable
    def hold(floats, shared, W, pitch, K, columns, cut):
        held = load(floats, (-1, -1, -1, -1), W, pitch, 0, zero)
        if resident and cut.part < cut.parts:
            places, start = places_of(cut.lane, cut.lanes, columns), cut.part * cut.share
            held = load(floats, places, W + start * pitch, pitch, K - start, zero)
            if stored:
                step, kept = cut.threads * CHUNK, cut.kept
                for k in range(start + resident, start + cut.share, CHUNK):
                    _keep(
                        shared,
                        kept,
                        step,
                        _load_chunk(floats, places, W + k * pitch, pitch, K - k, zero),
                    )
                    kept += COLUMNS * step
        return held

    return hold


def product_of(form: Form) -> Callable[..., Any]:
    """Build a thread's part of the product for one tile: what is handed on from `source`, sums to `target`."""
    rows, resident, stored, store = form.rows, form.resident, form.stored, STORE[form.rows]
    nothing, zero = (zeros(form.dtype, rows),) * COLUMNS, zeros(form.dtype, 1)[0]
    terms, side_by_side, (_, resident_sum) = TERMS[rows], ROWS[rows], loader(resident, rows)

    @register_jitable
    def put(shared, target, lanes, sums):
        store(shared, target, sums[0])
        store(shared, target + lanes * rows, sums[1])
        store(shared, target + 2 * lanes * rows, sums[2])
        store(shared, target + 3 * lanes * rows, sums[3])

    if resident:

        @register_jitable
        def product(floats, W, pitch, held, shared, source, target, columns, cut, k, K):
            sums = resident_sum(nothing, held, shared, source)
            if stored:
                step, kept = cut.threads * CHUNK, cut.kept
                for k in range(resident, cut.share, CHUNK):
                    sums = terms(sums, _kept(shared, kept, step), shared, source + k * rows)
                    kept += COLUMNS * step
            put(shared, target + cut.lane * rows, cut.lanes, sums)

    else:

        @register_jitable
        def product(floats, W, pitch, held, shared, source, target, columns, cut, k, K):
            m, step, start = cut.lane, cut.lanes * rows, k + cut.part * cut.share
            while m < columns[0]:
                places, at = places_of(m, cut.lanes, columns), target + m * rows
                sums = nothing
                if k > 0:  # it goes on
                    sums = (
                        side_by_side(shared, at),
                        side_by_side(shared, at + step),
                        side_by_side(shared, at + 2 * step),
                        side_by_side(shared, at + 3 * step),
                    )
                for i in range(0, cut.share, CHUNK):
                    w = _load_chunk(
                        floats, places, W + (start + i) * pitch, pitch, K - start - i, zero
                    )
                    sums = terms(sums, w, shared, source + i * rows)
                put(shared, at, cut.lanes, sums)
                m += COLUMNS * cut.lanes

    return product
