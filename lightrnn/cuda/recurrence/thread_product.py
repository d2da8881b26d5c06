"""A thread's part of a step's product: four columns of W_hh, and a part of the sums' terms.

It takes a tile of sequences at a time: a number read from shared memory serves four columns, and
a weight a whole tile. The weights of its first terms are in registers, of the others in shared
memory; or, of a layer that is too large for both, all are read again in every step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..intrinsics import load4, store4
from ..registers import LOAD, STORE, each, outer_sum, register_jitable, take_some, tuple_of, zeros

COLUMNS = 4  # of a thread
CHUNK = 4  # terms of the sums that are loaded at a time


class Form(NamedTuple):
    """Options that a time loop is compiled for."""

    cell: str
    dtype: str
    tile_sequences: int  # 1, 2 or 4
    resident: int  # terms whose weights a thread holds in registers; 0: it reads all in every step
    stored: bool  # whether there are more, which it keeps in shared memory
    single_block: bool  # whether a group is one block


class Columns(NamedTuple):
    """The columns of W_hh that a block has: of each gate those of the block's units."""

    n: int
    width: int  # columns of a gate
    gate_stride: int  # columns from one gate to the next in W_hh
    first: int


class Weights(NamedTuple):
    """W_hh as a thread reads it."""

    address: int  # (rows, stride)
    stride: int
    rows: int  # terms of a sum
    columns: Columns
    held: Any  # weights in registers, as nested pairs of chunks


# -- products of a chunk ---------------------------------------------------------------------------


def _operands(tile_sequences: int) -> Callable[..., Any]:
    """Build the function that reads a chunk of terms, for each the numbers of a tile's sequences.

    All reads are of four neighbours.
    """

    @register_jitable
    def one(shared, i):
        h = load4(shared, i)
        return h[:1], h[1:2], h[2:3], h[3:]

    @register_jitable
    def two(shared, i):
        h = load4(shared, i)
        more = load4(shared, i + 4)
        return h[:2], h[2:], more[:2], more[2:]

    @register_jitable
    def four(shared, i):
        return load4(shared, i), load4(shared, i + 4), load4(shared, i + 8), load4(shared, i + 12)

    return {1: one, 2: two, 4: four}[tile_sequences]


def _chunk_sum(tile_sequences: int) -> Callable[..., Any]:
    """Build the function that adds a chunk's products to the sums of four columns."""
    operands = _operands(tile_sequences)
    add = outer_sum(COLUMNS, tile_sequences)

    @register_jitable
    def term(sums, w, k, h):
        return add(sums, (w[0][k], w[1][k], w[2][k], w[3][k]), h)

    @register_jitable
    def chunk_sum(sums, w, shared, i):
        h = operands(shared, i)
        sums = term(sums, w, 0, h[0])
        sums = term(sums, w, 1, h[1])
        sums = term(sums, w, 2, h[2])
        return term(sums, w, 3, h[3])

    return chunk_sum


# -- weights ---------------------------------------------------------------------------------------


@register_jitable
def _offset_of(m, columns):
    """Return the offset of a column in a row of W_hh; -1 where the block has none."""
    offset = m // columns.width * columns.gate_stride + columns.first + m % columns.width
    return offset if m < columns.n else -1


def _offset(k):
    """Build the function that returns the offset of a thread's k-th column; its first is m."""

    @register_jitable
    def offset(m, lanes, columns):
        return _offset_of(m + k * lanes, columns)

    return offset


_load_column = take_some(CHUNK)


@register_jitable
def _column(array, offset, i, stride, left, zero):
    """Load a column's next four weights; only `left` exist, and zeros follow."""
    if offset < 0:
        left = 0
    return _load_column(array, i + offset, stride, left, zero)


# Not by `tuple_of`: NVVM then duplicates loops of the backward kernel, whose registers spill.
@register_jitable
def _load_chunk(array, offsets, i, stride, left, zero):
    """Load four columns' next four weights."""
    return (
        _column(array, offsets[0], i, stride, left, zero),
        _column(array, offsets[1], i, stride, left, zero),
        _column(array, offsets[2], i, stride, left, zero),
        _column(array, offsets[3], i, stride, left, zero),
    )


offsets_of = tuple_of(_offset, COLUMNS)


def _terms(count: int, tile_sequences: int) -> tuple[Any, Any]:
    """Build the functions that load the weights of `count` terms and sum their products.

    The weights are nested pairs of chunks: a half of the terms, each a chunk in the end.
    """
    if count <= CHUNK:
        return _load_chunk, _chunk_sum(tile_sequences)
    size = -(-count // (2 * CHUNK)) * CHUNK
    load_first, sum_first = _terms(size, tile_sequences)
    load_second, sum_second = _terms(count - size, tile_sequences)

    @register_jitable
    def load(array, offsets, i, stride, left, zero):
        first = load_first(array, offsets, i, stride, left, zero)
        return first, load_second(array, offsets, i + size * stride, stride, left - size, zero)

    @register_jitable
    def total(sums, w, shared, i):
        sums = sum_first(sums, w[0], shared, i)
        return sum_second(sums, w[1], shared, i + size * tile_sequences)

    return load, total


def _keep(k):
    """Build the function that keeps the k-th column of a chunk, four weights side by side."""

    @register_jitable
    def keep(shared, i, step, w):
        store4(shared, i + k * step, w[k])

    return keep


_keep_chunk = each(_keep, COLUMNS)


def _kept(k):
    """Build the function that reads the k-th column that `_keep_chunk` has written."""

    @register_jitable
    def column(shared, i, step):
        return load4(shared, i + k * step)

    return column


_read_chunk = tuple_of(_kept, COLUMNS)


def hold_of(form: Form) -> Callable[..., Any]:
    """Build the function that loads a thread's weights to registers and shared memory."""
    resident = form.resident
    stored = form.stored
    zero = zeros(form.dtype, 1)[0]
    load, _ = _terms(resident, form.tile_sequences)

    @register_jitable
    def hold(floats, shared, W, cut):
        # A thread without columns holds zeros: the type must be the same.
        held = load(floats, (-1, -1, -1, -1), W.address, W.stride, 0, zero)
        if resident and cut.part < cut.parts:
            offsets = offsets_of(cut.lane, cut.lanes, W.columns)
            start = cut.part * cut.terms_per_part
            address = W.address + start * W.stride
            held = load(floats, offsets, address, W.stride, W.rows - start, zero)
            if stored:
                step = cut.threads * CHUNK
                kept = cut.kept
                for k in range(start + resident, start + cut.terms_per_part, CHUNK):
                    address = W.address + k * W.stride
                    w = _load_chunk(floats, offsets, address, W.stride, W.rows - k, zero)
                    _keep_chunk(shared, kept, step, w)
                    kept += COLUMNS * step
        return Weights(W.address, W.stride, W.rows, W.columns, held)

    return hold


# -- the product -----------------------------------------------------------------------------------


def product_of(form: Form) -> Callable[..., Any]:
    """Build a thread's part of the product for one tile, which it reads at `source`.

    The sums go to `target`; those of the terms before the k-th are there already.
    """
    if form.resident:
        return _resident_product(form)
    return _streamed_product(form)


def _put_sums(tile_sequences: int) -> Callable[..., Any]:
    """Build the function that puts the sums of a thread's four columns to shared memory."""
    store = STORE[tile_sequences]

    def action(k):
        @register_jitable
        def put(shared, target, step, sums):
            store(shared, target + k * step, sums[k])

        return put

    return each(action, COLUMNS)


def _load_sums(tile_sequences: int) -> Callable[..., Any]:
    """Build the function that loads the sums of a thread's four columns."""
    load = LOAD[tile_sequences]

    def element(k):
        @register_jitable
        def column(shared, target, step):
            return load(shared, target + k * step)

        return column

    return tuple_of(element, COLUMNS)


def _resident_product(form: Form) -> Callable[..., Any]:
    """Build the product with weights in registers, and in shared memory."""
    sequences = form.tile_sequences
    resident = form.resident
    stored = form.stored
    zero_sums = (zeros(form.dtype, sequences),) * COLUMNS
    chunk_sum = _chunk_sum(sequences)
    _, resident_sum = _terms(resident, sequences)
    put = _put_sums(sequences)

    @register_jitable
    def product(floats, shared, weights, cut, source, target, k):
        sums = resident_sum(zero_sums, weights.held, shared, source)
        if stored:
            step = cut.threads * CHUNK
            kept = cut.kept
            for i in range(resident, cut.terms_per_part, CHUNK):
                w = _read_chunk(shared, kept, step)
                sums = chunk_sum(sums, w, shared, source + i * sequences)
                kept += COLUMNS * step
        put(shared, target + cut.lane * sequences, cut.lanes * sequences, sums)

    return product


def _streamed_product(form: Form) -> Callable[..., Any]:
    """Build the product that reads the weights, through the cache, in every step."""
    sequences = form.tile_sequences
    zero = zeros(form.dtype, 1)[0]
    zero_sums = (zeros(form.dtype, sequences),) * COLUMNS
    chunk_sum = _chunk_sum(sequences)
    load_sums = _load_sums(sequences)
    put = _put_sums(sequences)

    @register_jitable
    def product(floats, shared, weights, cut, source, target, k):
        m = cut.lane
        step = cut.lanes * sequences
        start = k + cut.part * cut.terms_per_part
        while m < weights.columns.n:
            offsets = offsets_of(m, cut.lanes, weights.columns)
            at = target + m * sequences
            sums = zero_sums
            if k > 0:
                sums = load_sums(shared, at, step)
            for i in range(0, cut.terms_per_part, CHUNK):
                address = weights.address + (start + i) * weights.stride
                left = weights.rows - start - i
                w = _load_chunk(floats, offsets, address, weights.stride, left, zero)
                sums = chunk_sum(sums, w, shared, source + i * sequences)
            put(shared, at, step, sums)
            m += COLUMNS * cut.lanes

    return product
