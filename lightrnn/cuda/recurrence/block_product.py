"""A block's part of a step's product: the sums of the block's columns of W_hh.

Shared memory holds, tile by tile, the numbers that the step before has handed on, a term's
sequences side by side; then the sums of the parts; then weights. Parts are some elements further
apart than they are long, so that threads of a warp that read from two parts find other banks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from numba import cuda

from ..intrinsics import load_uncached
from ..registers import STORE, register_jitable, short, tuple_of, zeros
from .thread_product import CHUNK, Form, product_of

PAD = 4  # elements of the widest read
BANKS = 16  # elements of float64 after which the 32 banks of four bytes begin anew


@register_jitable
def wait():
    """Wait for all threads of the block."""
    cuda.syncthreads()


@register_jitable
def padded_stride(length):
    """Return the stride of parts of a length, a multiple of `PAD`."""
    return length + PAD if (length + PAD) % BANKS else length + 2 * PAD


def offset_of(form: Form) -> Callable[..., Any]:
    """Build the function from a term to its offset in a tile's shared memory."""
    sequences = form.tile_sequences
    resident = max(1, form.resident)
    stored = form.stored

    @register_jitable
    def offset(k, terms_per_part):
        length = terms_per_part if stored else resident
        return k // length * padded_stride(length * sequences) + k % length * sequences

    return offset


# -- shares of a thread ----------------------------------------------------------------------------


class Cut(NamedTuple):
    """A thread's share of a block's product, and the layout of shared memory, in elements."""

    thread: int
    threads: int
    part: int
    parts: int
    terms_per_part: int
    lane: int
    lanes: int
    first: tuple[int, int]  # part of the first term that the thread brings, and its place there
    step: tuple[int, int]  # from there to its next
    tiles: int
    tile: int  # length of a tile
    part_terms: int  # length of a part of a tile
    own: int  # where the thread's part of a tile begins
    sums: int  # where the sums begin
    tile_sums: int  # length of the sums of a tile
    part_sums: int  # length of the sums of a part
    kept: int  # where the thread's weights begin
    partial_sums: int  # parts of the sums that the rule adds
    total: int  # where the thread adds to one of them
    total_step: int  # from one part that it adds there to the next
    total_count: int  # parts that it adds


@register_jitable
def cut_of(tile_sequences, thread, threads, tiling):
    """Return a thread's share of its block's product."""
    parts = tiling.parts
    terms = tiling.terms_per_part
    lanes = tiling.lanes
    tiles = tiling.tiles
    tile_columns = tiling.padded_columns * tile_sequences
    of_part = padded_stride(terms * tile_sequences)
    sums = padded_stride(tile_columns)
    part = thread // lanes
    first = tiles * parts * of_part
    kept = first + tiles * parts * sums + thread * CHUNK
    all_sums = tiles * tiling.padded_columns * tile_sequences
    total = thread // all_sums
    place = thread % all_sums
    of_tile = place // tile_columns * parts * sums + place % tile_columns
    several = total < tiling.partial_sums < parts
    count = (parts - 1 - total) // tiling.partial_sums if several else 0
    return Cut(
        short(thread),
        short(threads),
        short(part),
        parts,
        terms,
        short(thread % lanes),
        lanes,
        (short(thread // terms), short(thread % terms)),
        (short(threads // terms), short(threads % terms)),
        tiles,
        short(parts * of_part),
        short(of_part),
        short(part * of_part),
        short(first),
        short(parts * sums),
        short(sums),
        short(kept),
        tiling.partial_sums,
        short(first + of_tile + total * sums),
        short(tiling.partial_sums * sums),
        short(count),
    )


class RuleShare(NamedTuple):
    """A thread's share of the rule: its first unit and sequence, and steps to the next."""

    unit: int
    unit_step: int
    sequence: int
    sequence_step: int
    first: int  # the first sequence, counted in the batch from the group's first


@register_jitable
def rule_share_of(tile_sequences, thread, threads, width, B, tiling):
    """Return a thread's share of the rule for `width` units.

    Neighbouring threads have a tile's sequences, whose sums are side by side, and then the next
    unit. A thread for which nothing is left begins beyond all sequences.
    """
    side = short(min(tile_sequences, threads))
    unit_step = short(min(width, threads // side))
    sequence_step = short(threads // (side * unit_step) * side)
    sequence = short(thread // (side * unit_step) * side + thread % side)
    has_work = thread < sequence_step * unit_step and sequence < tiling.tiles * tile_sequences
    return RuleShare(
        short(thread // side % unit_step),
        unit_step,
        sequence,
        sequence_step,
        short(sequence * tiling.groups if has_work else B),
    )


# -- what the step before has handed on ------------------------------------------------------------


class Source(NamedTuple):
    """Numbers that the step before has handed on, and for which sequences they are wanted."""

    fetch: bool  # whether they must be fetched; else they are in shared memory
    address: int  # of the first sequence's
    stride: int  # from a sequence of the batch to the next
    safe: int  # an address that can be read in any case
    groups: int  # sequences of the batch from one of the group's to the next
    handed: int  # sequences that have handed something on, counted in the batch
    wanted: int  # sequences that want the sums, counted in the batch


def _far(dtype: str, tile_sequences: int) -> Callable[..., Any]:
    """Build the function that reads a term of a tile's sequences, past the first cache.

    Only those exist that are fewer than `left` further in the batch. For the others a safe place is
    read: with a branch, the reads would wait for each other.
    """
    zero = zeros(dtype, 1)[0]

    def element(k):
        @register_jitable
        def far(array, i, stride, left, step, safe):
            exists = left > k * step
            value = load_uncached(array, i + k * stride if exists else safe)
            return value if exists else zero

        return far

    return tuple_of(element, tile_sequences)


def _bring(form: Form) -> Callable[..., Any]:
    """Build the function that brings `many` terms of a tile to shared memory, two at once."""
    sequences = form.tile_sequences
    far = _far(form.dtype, sequences)
    store = STORE[sequences]

    @register_jitable
    def further(cut, part, inside):
        """Go as many terms on as a block has threads; a division would take longer."""
        part += cut.step[0]
        inside += cut.step[1]
        if inside >= cut.terms_per_part:
            return part + 1, inside - cut.terms_per_part
        return part, inside

    @register_jitable
    def bring(floats, shared, source, cut, target, place, many, left):
        step = source.groups
        stride = source.groups * source.stride
        safe = source.safe
        k = cut.thread
        part = cut.first[0]
        inside = cut.first[1]
        while k < many:
            later = k + cut.threads
            left_later = left if later < many else 0
            first = far(floats, place + k, stride, left, step, safe)
            second = far(floats, place + later, stride, left_later, step, safe)
            store(shared, target + part * cut.part_terms + inside * sequences, first)
            part, inside = further(cut, part, inside)
            if later < many:
                store(shared, target + part * cut.part_terms + inside * sequences, second)
            part, inside = further(cut, part, inside)
            k = later + cut.threads

    return bring


# -- the product -----------------------------------------------------------------------------------


def sums_of(form: Form) -> Callable[..., Any]:
    """Build the sums of a block's columns, for the sequences that shared memory holds."""
    product = product_of(form)
    bring = _bring(form)
    sequences = form.tile_sequences
    resident = form.resident
    zero = zeros(form.dtype, 1)[0]

    @register_jitable
    def slab(floats, shared, source, weights, cut, k):
        """Add the terms from the k-th on, as many as all parts have at a time."""
        step = sequences * source.groups
        wanted = min(source.wanted, cut.tiles * step)
        if source.fetch:
            wait()  # for threads that still read the chunk before
            many = min(cut.parts * cut.terms_per_part, weights.rows - k)
            r = 0
            at = 0
            while r < wanted:
                place = source.address + r * source.stride + k
                bring(floats, shared, source, cut, at, place, many, source.handed - r)
                r += step
                at += cut.tile
        wait()
        if cut.part < cut.parts:
            r = 0
            at = cut.own
            target = cut.sums + cut.part * cut.part_sums
            while r < wanted:
                product(floats, shared, weights, cut, at, target, k)
                r += step
                at += cut.tile
                target += cut.tile_sums

    @register_jitable
    def sums(floats, shared, source, weights, cut):
        if resident:
            slab(floats, shared, source, weights, cut, 0)
        else:
            for k in range(0, weights.rows, cut.parts * cut.terms_per_part):
                slab(floats, shared, source, weights, cut, k)
        wait()
        if cut.partial_sums < cut.parts:
            place = cut.total
            total = zero
            for _ in range(cut.total_count):
                place += cut.total_step
                total += shared[place]
            # Without the condition idle threads would write to others' sums.
            if cut.total_count:
                shared[cut.total] += total
            wait()

    return sums
