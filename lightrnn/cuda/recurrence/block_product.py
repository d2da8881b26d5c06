"""What the threads of a block do in a step of a time loop before the rule: the sums of the block's columns.

Shared memory holds, tile by tile, what the step before has handed on, a term's sequences side by side; then the sums of
the parts; then weights. Parts are some elements further apart than they are long, so that threads of a warp that read
of two parts find other banks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..intrinsics import load_far
from ..registers import STORE, register_jitable, short
from .thread_product import CHUNK, Form, product_of

PAD, BANKS = (
    4,
    16,
)  # elements: of the widest read, and after how many of the widest the banks begin anew


@register_jitable
def apart(length):
    """Return how far parts of a length, a multiple of `PAD`, lie from each other."""
    return length + PAD if (length + PAD) % BANKS else length + 2 * PAD


def spot_of(form: Form) -> Callable[..., Any]:
    """Build the function from a term to its place in a tile's shared memory; `share` terms are a part."""
    rows, resident, stored = form.rows, form.resident, form.stored

    @register_jitable
    def spot(k, share):
        length = share if stored else max(1, resident)
        return k // length * apart(length * rows) + k % length * rows

    return spot


@register_jitable
def _far1(array, i, stride, left, step, safe, zero):
    """Read, past the first cache, a term of those sequences of a tile that are there: of a step fewer than `left`.

    No branch keeps one read from waiting beside the next: for a sequence that is not there another place is read.
    """
    value = load_far(array, i if left > 0 else safe)
    return (value if left > 0 else zero,)


@register_jitable
def _far2(array, i, stride, left, step, safe, zero):
    first = _far1(array, i, stride, left, step, safe, zero)
    return first + _far1(array, i + stride, stride, left - step, step, safe, zero)


@register_jitable
def _far4(array, i, stride, left, step, safe, zero):
    first = _far2(array, i, stride, left, step, safe, zero)
    return first + _far2(array, i + 2 * stride, stride, left - 2 * step, step, safe, zero)


_FAR = {1: _far1, 2: _far2, 4: _far4}


def bring_of(form: Form) -> Callable[..., Any]:
    """Build the function that brings a tile of what the step before has handed on, two terms at once."""
    far, store, rows = _FAR[form.rows], STORE[form.rows], form.rows

    @register_jitable
    def further(share, step, part, inside):
        """Go as many terms on as a block has threads; a division would take longer."""
        part, inside = part + step[0], inside + step[1]
        return (part + 1, inside - share) if inside >= share else (part, inside)

    @register_jitable
    def bring(floats, shared, target, place, stride, many, left, groups, safe, cut, zero):
        k, part, inside = cut.thread, cut.first[0], cut.first[1]
        while k < many:
            later = k + cut.threads
            first = far(floats, place + k, stride, left, groups, safe, zero)
            second = far(
                floats, place + later, stride, left if later < many else 0, groups, safe, zero
            )
            store(shared, target + part * cut.part_terms + inside * rows, first)
            part, inside = further(cut.share, cut.step, part, inside)
            if later < many:
                store(shared, target + part * cut.part_terms + inside * rows, second)
            part, inside = further(cut.share, cut.step, part, inside)
            k = later + cut.threads

    return bring


class Cut(NamedTuple):
    """What a thread has of a block, and how the block's shared memory is laid out, in elements."""

    thread: int
    threads: int
    part: int
    parts: int
    share: int  # terms of a part
    lane: int
    lanes: int
    first: tuple[int, int]  # part and place in it of the first term that the thread brings
    step: tuple[int, int]  # from there to its next
    tiles: int
    tile: int  # length of one
    part_terms: int  # of a part of one
    own: int  # where the thread's part of one begins
    sums: int  # where they begin
    tile_sums: int  # length of those of a tile
    part_sums: int  # of a part
    kept: int  # where the thread's weights begin
    folds: int  # parts that are left of the sums for the rule to add up
    fold: int  # where the thread adds to one of them
    fold_step: int  # from one part that it adds there to the next
    fold_count: int  # how many it adds


@register_jitable
def cut_of(rows, thread, threads, parts, share, lanes, tiles, spread, folds):
    """Return a block's `Cut` for a thread."""
    of_part, sums = apart(share * rows), apart(spread * rows)
    part, lane, tile, first = (
        thread // lanes,
        thread % lanes,
        parts * of_part,
        tiles * parts * of_part,
    )
    kept = first + tiles * parts * sums + thread * CHUNK
    all_sums = tiles * spread * rows
    fold, place = thread // all_sums, thread % all_sums
    of_tile = place // (spread * rows) * parts * sums + place % (spread * rows)
    count = (parts - 1 - fold) // folds if fold < folds < parts else 0
    return Cut(
        short(thread), short(threads), short(part), parts, share, short(lane), lanes,
        (short(thread // share), short(thread % share)), (short(threads // share), short(threads % share)),
        tiles, short(tile), short(of_part), short(part * of_part), short(first), short(parts * sums), short(sums),
        short(kept), folds, short(first + of_tile + fold * sums), short(folds * sums), short(count),
    )  # fmt: skip


@register_jitable
def first_of(rows, thread, threads, width, B):
    """Return what a thread has of the rule: its first unit, the step to its next, its first sequence, and that step.

    Neighbouring threads have a tile's sequences, whose sums are side by side, and then the next unit. A thread too many
    begins beyond all sequences.
    """
    side = short(min(rows, threads))
    across = short(min(width, threads // side))
    r_step = short(threads // (side * across) * side)
    r = short(thread // (side * across) * side + thread % side)
    return (
        short(thread // side % across),
        across,
        short(r if thread < r_step * across else B),
        r_step,
    )


def sums_of(form: Form, wait: Callable[[], None]) -> Callable[..., Any]:
    """Build what a block does before the rule: the sums of its columns, in parts, for a chunk of sequences.

    The function takes: whether to fetch what the step before has handed on, or to find it in shared memory; where it
    is, how far apart for two sequences, and where something is in any case; how many groups share the batch's
    sequences; how many sequences have handed something on, and how many want the sums, both counted in the batch; W_hh,
    its pitch, its rows K; the weights held; the columns (see `places_of`) and the cut. Threads `wait` for those of
    their block.
    """
    product, bring, rows, resident = product_of(form), bring_of(form), form.rows, form.resident

    @register_jitable
    def slab(
        floats,
        shared,
        fetch,
        source,
        stride,
        safe,
        groups,
        handed,
        wanted,
        W,
        pitch,
        K,
        held,
        columns,
        cut,
        zero,
        k,
    ):
        step = rows * groups
        wanted = min(wanted, cut.tiles * step)
        if fetch:
            wait()
            r, at, many = 0, 0, min(cut.parts * cut.share, K - k)
            while r < wanted:
                place = source + r * stride + k
                bring(
                    floats,
                    shared,
                    at,
                    place,
                    groups * stride,
                    many,
                    handed - r,
                    groups,
                    safe,
                    cut,
                    zero,
                )
                r, at = r + step, at + cut.tile
        wait()
        if cut.part < cut.parts:
            r, at, target = 0, cut.own, cut.sums + cut.part * cut.part_sums
            while r < wanted:
                product(floats, W, pitch, held, shared, at, target, columns, cut, k, K)
                r, at, target = r + step, at + cut.tile, target + cut.tile_sums

    @register_jitable
    def sums(
        floats,
        shared,
        fetch,
        source,
        stride,
        safe,
        groups,
        handed,
        wanted,
        W,
        pitch,
        K,
        held,
        columns,
        cut,
        zero,
    ):
        of_all = (
            fetch,
            source,
            stride,
            safe,
            groups,
            handed,
            wanted,
            W,
            pitch,
            K,
            held,
            columns,
            cut,
            zero,
        )
        if resident:
            slab(floats, shared, *of_all, 0)
        else:
            for k in range(0, K, cut.parts * cut.share):
                slab(floats, shared, *of_all, k)
        wait()
        if cut.folds < cut.parts:
            place, total = cut.fold, zero
            for _ in range(cut.fold_count):
                place += cut.fold_step
                total += shared[place]
            if cut.fold_count:
                shared[cut.fold] += total
            wait()

    return sums
