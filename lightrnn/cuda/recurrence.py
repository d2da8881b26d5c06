"""The time loops: one forward and one backward, for every cell; all steps of a layer and direction in one launch.

The sequences of a batch, longest first, are dealt to groups of blocks: group g has every `groups`-th sequence from g
on, at most `rows` of them, so that each group has long and short ones. The blocks of a group share the units of the
layer: each has `units` of them and what W_hh has for these, and computes in a step its part of the new state, or of the
gradient of the old one, for its group's sequences. Then the blocks of the group wait for each other. A group of one
block needs no such wait and keeps what a step hands to the next in shared memory.

A step is a product and the cell's rule. In the product a thread has one column, or some, and a part of the sum's terms;
the parts meet in shared memory. W_hh is read from the cache in every step, or, where a thread's part is small enough,
held in its registers.

Rows are those of `batches.Steps`, one for each (step, sequence), steps in order: sequence b has at step t the row
first[t] + b, and its state the row B further on, since the initial state comes before.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from numba import cuda

from ..cells import CELLS
from .barrier import arrive_and_wait
from .driver import SIMULATED, kernel
from .step import CARRY, Form, loader, product_of, put_gates_of, read_gradient_of, sum_slots_of
from .values import NUMBA, PUT, TAKE, load_far, zeros

ALIGNED = not SIMULATED


@cache
def forward(form: Form) -> Callable[..., Any]:
    """Compile the forward loop: fills `slots` with what backward needs, and the state after the initial one.

    Arguments: slots, state, W_hh, the state's bias; lengths, first; B, H; the first sequence, groups, blocks, units;
    parts, share, lanes; the first step, the step to end before; the counters.
    """
    cell, (rows, alone) = CELLS[form.cell], (form.rows, form.alone)
    G, S, Z = len(cell.gates), len(cell.slots), len(cell.states)
    rule, number, zero = cell.forward, NUMBA[form.dtype], zeros(form.dtype, 1)[0]
    product, sum_slots, (load, _) = product_of(form), sum_slots_of(form.cell), loader(form.resident, rows)
    take_state, put_state, put_slots = TAKE[Z], PUT[Z], PUT[S]
    resident = form.resident

    @kernel
    def forward(floats, ints, at):
        slots, state, W, bias = ints[at], ints[at + 1], ints[at + 2], ints[at + 3]
        lengths, first, B, H = ints[at + 4], ints[at + 5], ints[at + 6], ints[at + 7]
        base, groups, blocks, units = ints[at + 8], ints[at + 9], ints[at + 10], ints[at + 11]
        parts, share, lanes, begin, end = ints[at + 12], ints[at + 13], ints[at + 14], ints[at + 15], ints[at + 16]
        if ALIGNED:
            shared = cuda.shared.array(0, number, 16)
        else:
            shared = cuda.shared.array(0, number)
        thread, threads = cuda.threadIdx.x, cuda.blockDim.x
        group, low = cuda.blockIdx.x // blocks, cuda.blockIdx.x % blocks * units
        width, base = min(units, H - low), base + group
        columns, sums, part, lane = G * width, parts * share * rows, thread // lanes, thread % lanes
        across = max(1, min(width, threads))
        j_first, r_first, r_step = thread % across, thread // across, threads // across
        held = load(floats, W, G * H, 0, zero)
        if resident and part < parts and lane < columns:
            place = W + part * share * G * H + lane // width * H + low + lane % width
            held = load(floats, place, G * H, H - part * share, zero)
        for i in range(thread, sums, threads):
            shared[i] = zero
        steps = min(end, ints[lengths + base]) if base < B else 0
        for t in range(begin, steps):
            row, last = ints[first + t] + base, ints[first + t + 1]
            old = (B + ints[first + t - 1] if t else 0) + base
            for slab in range(0, H, parts * share):
                if not alone or t == begin:
                    cuda.syncthreads()
                    many = min(parts * share, H - slab)
                    for r in range(rows):
                        if row + r * groups < last:
                            place = state + (old + r * groups) * Z * H + slab
                            for k in range(thread, many, threads):
                                h = floats[place + k] if alone else load_far(floats, place + k)
                                shared[k * rows + r] = h
                cuda.syncthreads()
                if part < parts:
                    at_W, target = W + slab * G * H, sums + part * G * units * rows
                    cut = width, H, low, lane, lanes, part * share, share, H - slab, slab > 0
                    product(floats, at_W, G * H, held, shared, target, columns, *cut)
            cuda.syncthreads()
            for r in range(r_first if r_first < r_step else rows, rows, r_step):
                new, before = row + r * groups, old + r * groups
                for j in range(j_first, width if new < last else 0, across):
                    place, u, at_sums = slots + new * S * H + low + j, low + j, sums + j * rows + r
                    of_state = shared, at_sums, G * units * rows, parts, width * rows
                    values = sum_slots(floats, place, H, bias + u, *of_state, zero)
                    after, saved = rule(values, take_state(floats, state + before * Z * H + u, H))
                    put_state(floats, state + (B + new) * Z * H + u, H, after)
                    put_slots(floats, place, H, saved)
                    if alone:
                        shared[u * rows + r] = after[0]
            if blocks > 1 and not alone and t + 1 < steps:
                cuda.syncthreads()
                if thread == 0:
                    arrive_and_wait(ints, ints[at + 17] + group, blocks, t + 1 - begin)

    return forward


@cache
def backward(form: Form) -> Callable[..., Any]:
    """Compile backpropagation through time: `slots` leaves with the gradient of the sums.

    Arguments: slots, state, W_hh transposed; the state's gradient, which comes in with that of the states in which the
    sequences end and is carried back in place; the gradient that reaches each step's h from elsewhere, or -1, and its
    pitch; lengths, first; B, H; the first sequence, groups, blocks, units; parts, share, lanes; the first step, the
    step to end before; the counters.
    """
    cell, (rows, alone) = CELLS[form.cell], (form.rows, form.alone)
    G, S, Z = len(cell.gates), len(cell.slots), len(cell.states)
    rule, number, zero = cell.backward, NUMBA[form.dtype], zeros(form.dtype, 1)[0]
    product, read, carry, (load, _) = (
        product_of(form),
        read_gradient_of(form.cell),
        CARRY[Z],
        loader(form.resident, rows),
    )
    take_state, take_slots, put_slots, put_gates = TAKE[Z], TAKE[S], PUT[S], put_gates_of(form.cell)
    resident = form.resident

    @kernel
    def backward(floats, ints, at):
        slots, state, W, dstate = ints[at], ints[at + 1], ints[at + 2], ints[at + 3]
        dh, pitch, lengths, first = ints[at + 4], ints[at + 5], ints[at + 6], ints[at + 7]
        B, H, base, groups = ints[at + 8], ints[at + 9], ints[at + 10], ints[at + 11]
        blocks, units, parts, share = ints[at + 12], ints[at + 13], ints[at + 14], ints[at + 15]
        lanes, begin, end = ints[at + 16], ints[at + 17], ints[at + 18]
        if ALIGNED:
            shared = cuda.shared.array(0, number, 16)
        else:
            shared = cuda.shared.array(0, number)
        thread, threads = cuda.threadIdx.x, cuda.blockDim.x
        group, low = cuda.blockIdx.x // blocks, cuda.blockIdx.x % blocks * units
        width, base = min(units, H - low), base + group
        sums, part, lane, K = parts * share * rows, thread // lanes, thread % lanes, G * H
        across = max(1, min(width, threads))
        j_first, r_first, r_step = thread % across, thread // across, threads // across
        held = load(floats, W, H, 0, zero)
        if resident and part < parts and lane < width:
            held = load(floats, W + part * share * H + low + lane, H, K - part * share, zero)
        for i in range(thread, sums, threads):
            shared[i] = zero
        steps = min(end, ints[lengths + base]) if base < B else 0
        for t in range(steps - 1, begin - 1, -1):
            row, last = ints[first + t] + base, ints[first + t + 1]
            old = (B + ints[first + t - 1] if t else 0) + base
            later = last + base
            last_later = ints[first + t + 2] if t + 1 < ints[lengths + base] else later
            for slab in range(0, K, parts * share):
                if not alone or t == steps - 1:
                    cuda.syncthreads()
                    many = min(parts * share, K - slab)
                    for r in range(rows):
                        if later + r * groups < last_later:
                            place = slots + (later + r * groups) * S * H + (S - G) * H + slab
                            for k in range(thread, many, threads):
                                d = floats[place + k] if alone else load_far(floats, place + k)
                                shared[k * rows + r] = d
                cuda.syncthreads()
                if part < parts:
                    target = sums + part * units * rows
                    cut = width, 0, low, lane, lanes, part * share, share, K - slab, slab > 0
                    product(floats, W + slab * H, H, held, shared, target, width, *cut)
            cuda.syncthreads()
            for r in range(r_first if r_first < r_step else rows, rows, r_step):
                new, before = row + r * groups, old + r * groups
                for j in range(j_first, width if new < last else 0, across):
                    u, more = low + j, zero
                    for p in range(parts):  # all zeros for a sequence that ends here
                        more += shared[sums + (p * units + j) * rows + r]
                    if dh >= 0:
                        more += floats[dh + new * pitch + u]
                    place, carried = slots + new * S * H + u, dstate + (base + r * groups) * Z * H + u
                    dslots, dold = rule(
                        read(floats, carried, H, more),
                        take_slots(floats, place, H),
                        take_state(floats, state + (B + new) * Z * H + u, H),
                        take_state(floats, state + before * Z * H + u, H),
                    )
                    put_slots(floats, place, H, dslots)
                    carry(floats, carried, H, dold, zero)
                    if alone:
                        put_gates(shared, u * rows + r, H * rows, dslots)
            if blocks > 1 and not alone and t > begin:
                cuda.syncthreads()
                if thread == 0:
                    arrive_and_wait(ints, ints[at + 19] + group, blocks, steps - t)

    return backward
