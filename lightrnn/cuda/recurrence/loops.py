"""The time loops: one forward and one backward, for every cell; all steps of a layer and direction in one launch.

The sequences of a batch, longest first, are dealt to groups of blocks: group g has every `groups`-th sequence from g
on, so that each group has long and short ones. The blocks of a group share the units of the layer: each has `units` of
them and what W_hh has for these, and computes in a step its part of the new state, or of the gradient of the old one,
for its group's sequences. Then the blocks of the group wait for each other. A group of one block needs no such wait and
keeps what a step hands to the next in shared memory.

A step is a product (`step`, `terms`) and the cell's rule (`slots`). A group's sequences are taken `tiles` tiles at a
time, as many as shared memory has room for. W_hh is held in registers and shared memory, or read from the cache in
every step. What the rule reads from far away, for the first of the sequences and units that a thread has, is asked for
before the product; `again` hides numbers from the compiler, which would keep all that it can derive from them.

Rows are those of `batches.Steps`, one for each (step, sequence), steps in order. Of the states the initial one comes
first: sequence b has before step t the state in row first[t] + b, after it that in row first[t + 1] + b, and all else
at step t in the row B before the latter.
"""

from __future__ import annotations

from functools import cache

from numba import cuda

from ...cells import CELLS
from ..driver import SIMULATED
from ..intrinsics import again, pointer
from ..jit import Kernel, kernel
from ..registers import NUMBA, PUT, TAKE, register_jitable, short, zeros
from .barrier import arrive_and_wait
from .block_product import cut_of, first_of, spot_of, sums_of
from .gates import CARRY, MORE, bias_of, put_gates_of, slots_of, total_of
from .thread_product import Form, hold_of

ALIGNED = not SIMULATED
APART = 16  # indices from a group's counter to the next one's, so that no two are in one line of the cache


@register_jitable
def take_short(ints, i):
    """Return four numbers of 32 bits."""
    return short(ints[i]), short(ints[i + 1]), short(ints[i + 2]), short(ints[i + 3])


@register_jitable
def _wait():
    cuda.syncthreads()


@cache
def forward(form: Form) -> Kernel:
    """Compile the forward loop: fills `slots` with what backward needs, and the state after the initial one.

    Arguments: slots, state, W_hh, the state's bias; lengths, first; B, H; groups, blocks, units, tiles; parts, share,
    lanes, spread, folds; the first step, the step to end before; the counters.
    """
    cell, (rows, alone) = CELLS[form.cell], (form.rows, form.alone)
    G, S, Z = len(cell.gates), len(cell.slots), len(cell.states)
    rule, number, zero = cell.forward, NUMBA[form.dtype], zeros(form.dtype, 1)[0]
    sums_, hold, spot, total = sums_of(form, _wait), hold_of(form), spot_of(form), total_of(G)
    to_slots, take_bias, take_gates = slots_of(form.cell), bias_of(form.cell), TAKE[G]
    take_state, put_state, put_slots = TAKE[Z], PUT[Z], PUT[S]

    @kernel(*form)
    def forward(floats, ints, at):
        slots, state, W, bias = ints[at], ints[at + 1], ints[at + 2], ints[at + 3]
        lengths, first, B, H = ints[at + 4], ints[at + 5], short(ints[at + 6]), short(ints[at + 7])
        groups, blocks, units, tiles = take_short(ints, at + 8)
        parts, share, lanes, spread = take_short(ints, at + 12)
        folds, begin, end = short(ints[at + 16]), short(ints[at + 17]), short(ints[at + 18])
        if ALIGNED:
            shared = pointer(cuda.shared.array(0, number, 16))
        else:
            shared = pointer(cuda.shared.array(0, number))
        thread, threads = cuda.threadIdx.x, cuda.blockDim.x
        group, low = short(cuda.blockIdx.x // blocks), short(cuda.blockIdx.x % blocks * units)
        width, counter = short(min(units, H - low)), ints[at + 19] + APART * group
        columns = G * width, width, H, low
        cut = cut_of(rows, thread, threads, parts, share, lanes, tiles, spread, folds)
        held = hold(floats, shared, W, G * H, H, columns, cut)
        for i in range(thread, cut.sums, threads):
            shared[i] = zero
        j_first, across, r_first, r_step = first_of(rows, thread, threads, width, B)
        steps = short(min(end, ints[lengths + group]) if group < B else 0)
        biases = take_bias(floats, bias + low + j_first, H)
        at_t, at_next, after_next = (
            ints[first + begin],
            ints[first + begin + 1],
            ints[first + begin + 2],
        )
        for t in range(begin, steps):
            old, row, last = short(at_t + group), short(at_next - B + group), short(after_next - B)
            at_t, at_next, after_next = at_next, after_next, ints[first + t + 3]
            chunk = short(0)
            while row + chunk < last:
                fetch, source, left = (
                    not alone or t == begin,
                    state + (old + chunk) * Z * H,
                    last - row - chunk,
                )
                ahead = short(chunk + (r_first * groups if r_first * groups < left else 0))
                x_ahead = take_gates(floats, slots + (row + ahead) * S * H + low + j_first, H)
                state_ahead = take_state(floats, state + (old + ahead) * Z * H + low + j_first, H)
                of_before = fetch, source, Z * H, state, groups, left, left
                sums_(floats, shared, *of_before, W, G * H, H, held, columns, cut, zero)
                r = r_first
                while r < tiles * rows and r * groups < left:
                    b, place_sums = (
                        chunk + r * groups,
                        cut.sums + r // rows * cut.tile_sums + r % rows,
                    )
                    j = j_first
                    while j < width:
                        place, u, x, before = (
                            slots + (row + b) * S * H + low + j,
                            low + j,
                            x_ahead,
                            state_ahead,
                        )
                        if r != r_first or j != j_first:
                            x = take_gates(floats, place, H)
                            before = take_state(floats, state + (old + b) * Z * H + u, H)
                        h = total(shared, place_sums + j * rows, width * rows, folds, cut.part_sums)
                        b_hh = biases if j == j_first else take_bias(floats, bias + u, H)
                        after, saved = rule(to_slots(x, h, b_hh), before)
                        put_state(floats, state + (B + row + b) * Z * H + u, H, after)
                        put_slots(floats, place, H, saved)
                        if alone:
                            shared[r // rows * cut.tile + spot(u, share) + r % rows] = after[0]
                        j = short(j + across)
                    r = short(r + r_step)
                chunk = short(chunk + tiles * rows * groups)
            if blocks > 1 and not alone and t + 1 < steps:
                cuda.syncthreads()
                if thread == 0:
                    arrive_and_wait(ints, counter, blocks, t + 1 - begin)

    return forward


@cache
def backward(form: Form) -> Kernel:
    """Compile backpropagation through time: `slots` leaves with the gradient of the sums.

    Arguments: slots, state, W_hh transposed; the state's gradient, which comes in with that of the states in which the
    sequences end and is carried back in place; the gradient that reaches each step's h from elsewhere, or -1, and its
    pitch; lengths, first; B, H; groups, blocks, units, tiles; parts, share, lanes, spread, folds; the first step, the
    step to end before; the counters.
    """
    cell, (rows, alone) = CELLS[form.cell], (form.rows, form.alone)
    G, S, Z = len(cell.gates), len(cell.slots), len(cell.states)
    rule, number, zero = cell.backward, NUMBA[form.dtype], zeros(form.dtype, 1)[0]
    sums_, hold, spot, total = sums_of(form, _wait), hold_of(form), spot_of(form), total_of(1)
    more, carry, put_gates = MORE[Z], CARRY[Z], put_gates_of(form.cell)
    take_state, take_slots, put_slots = TAKE[Z], TAKE[S], PUT[S]

    @kernel(*form)
    def backward(floats, ints, at):
        slots, state, W, dstate = ints[at], ints[at + 1], ints[at + 2], ints[at + 3]
        dh, pitch, lengths, first = ints[at + 4], ints[at + 5], ints[at + 6], ints[at + 7]
        B, H, groups, blocks = take_short(ints, at + 8)
        units, tiles, parts, share = take_short(ints, at + 12)
        lanes, spread, folds, begin = take_short(ints, at + 16)
        end = short(ints[at + 20])
        if ALIGNED:
            shared = pointer(cuda.shared.array(0, number, 16))
        else:
            shared = pointer(cuda.shared.array(0, number))
        thread, threads = cuda.threadIdx.x, cuda.blockDim.x
        group, low = short(cuda.blockIdx.x // blocks), short(cuda.blockIdx.x % blocks * units)
        width, K, counter = short(min(units, H - low)), short(G * H), ints[at + 21] + APART * group
        columns = width, width, 0, low
        cut = cut_of(rows, thread, threads, parts, share, lanes, tiles, spread, folds)
        held = hold(floats, shared, W, H, K, columns, cut)
        for i in range(thread, cut.sums, threads):
            shared[i] = zero
        j_first, across, r_first, r_step = first_of(rows, thread, threads, width, B)
        steps = short(min(end, ints[lengths + group]) if group < B else 0)
        at_t, at_next = ints[first + max(steps - 1, 0)], ints[first + steps]
        after_next, later = ints[first + steps + 1], ints[first + steps + 2]
        for t in range(steps - 1, begin - 1, -1):
            old, row, last = short(at_t + group), short(at_next - B + group), short(after_next - B)
            handed = short(later - after_next - group)
            at_t, at_next, after_next, later = (
                ints[first + max(t - 1, 0)],
                at_t,
                at_next,
                after_next,
            )
            chunk = short(0)
            while row + chunk < last:
                fetch, source = (
                    not alone or t == steps - 1,
                    slots + (last + group + chunk) * S * H + (S - G) * H,
                )
                left = last - row - chunk
                ahead = short(chunk + (r_first * groups if r_first * groups < left else 0))
                u, H1 = low + j_first, again(H)
                slots_ahead = take_slots(floats, again(slots) + (row + ahead) * S * H1 + u, H1)
                after_ahead = take_state(floats, again(state) + (B + row + ahead) * Z * H1 + u, H1)
                before_ahead = take_state(floats, again(state) + (old + ahead) * Z * H1 + u, H1)
                carried_ahead = take_state(floats, again(dstate) + (group + ahead) * Z * H1 + u, H1)
                dh_ahead = floats[again(dh) + (row + ahead) * pitch + u] if dh >= 0 else zero
                of_later = fetch, source, S * H, slots, groups, handed - chunk, left
                sums_(floats, shared, *of_later, W, H, K, held, columns, cut, zero)
                H2, slots2, state2, dstate2, dh2 = (
                    again(H),
                    again(slots),
                    again(state),
                    again(dstate),
                    again(dh),
                )
                r = r_first
                while r < tiles * rows and r * groups < left:
                    b, place_sums = (
                        chunk + r * groups,
                        cut.sums + r // rows * cut.tile_sums + r % rows,
                    )
                    j = j_first
                    while j < width:
                        u = low + j
                        place, carried = (
                            slots2 + (row + b) * S * H2 + u,
                            dstate2 + (group + b) * Z * H2 + u,
                        )
                        saved, after, before = slots_ahead, after_ahead, before_ahead
                        dstates, dh_here = carried_ahead, dh_ahead
                        if r != r_first or j != j_first:
                            saved = take_slots(floats, place, H2)
                            after = take_state(floats, state2 + (B + row + b) * Z * H2 + u, H2)
                            before = take_state(floats, state2 + (old + b) * Z * H2 + u, H2)
                            dstates = take_state(floats, carried, H2)
                            dh_here = floats[dh2 + (row + b) * pitch + u] if dh2 >= 0 else zero
                        through = total(shared, place_sums + j * rows, 0, folds, cut.part_sums)[0]
                        dslots, dold = rule(more(dstates, through + dh_here), saved, after, before)
                        put_slots(floats, place, H2, dslots)
                        carry(floats, carried, H2, dold, zero)
                        if alone:
                            at_tile = r // rows * cut.tile + r % rows
                            two = at_tile + spot(u, share), at_tile + spot(H2 + u, share)
                            more_places = (
                                at_tile + spot(2 * H2 + u, share),
                                at_tile + spot(3 * H2 + u, share),
                            )
                            put_gates(shared, two + more_places, dslots)
                        j = short(j + across)
                    r = short(r + r_step)
                chunk = short(chunk + tiles * rows * groups)
            if blocks > 1 and not alone and t > begin:
                cuda.syncthreads()
                if thread == 0:
                    arrive_and_wait(ints, counter, blocks, steps - t)

    return backward
