"""The time loops: one forward and one backward, for every cell; all steps are one launch.

The sequences of a batch, longest first, are dealt to groups of blocks: group g has every
`groups`-th sequence from g on, so that each group has long and short ones. The blocks of a group
share the units of the layer. In each step a block computes, for its group's sequences, its units
of the new state, or of the gradient of the old one; then the blocks of the group wait for each
other. A group of one block needs no such wait: it hands its results on in shared memory.

A step is a product (`block_product`) and the cell's rule. The sequences are taken a chunk at a
time, as many as shared memory has room for. W_hh stays in registers and shared memory, or is read
from the cache in every step. The rule's operands from global memory are loaded before the
product, so that they arrive during it, for the first sequence and unit of each thread. `opaque`
hides numbers from the compiler, which would otherwise keep all that it can derive from them in
registers.

Rows are those of `packing.Steps`, one for each (step, sequence), steps in order. Before step t
sequence b has the state in row first[t] + b, after it that in row first[t + 1] + b; the rows of
other arrays lack the B initial states.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from numba import cuda

from ...cells import CELLS
from ..intrinsics import shared_memory
from ..jit import Kernel, kernel, reader
from ..registers import register_jitable, short, zeros
from .barrier import arrive_and_wait
from .block_product import Source, cut_of, rule_share_of, sums_of, wait
from .gates import bias_of
from .rule import (
    BackwardArguments,
    Chunk,
    ForwardArguments,
    Loop,
    backward_operands,
    backward_rule,
    first_share,
    forward_operands,
    forward_rule,
    has_share,
    no_backward_operands,
    no_forward_operands,
    opaque_arguments,
)
from .thread_product import Columns, Form, Weights, hold_of

COUNTER_STRIDE = 16  # indices from a group's counter to the next: each has a line of the cache

read_forward = reader(ForwardArguments)
read_backward = reader(BackwardArguments)


@register_jitable
def _wait_for_group(ints, loop, number):
    """Wait for the other blocks of the group for the `number`-th time."""
    wait()
    if cuda.threadIdx.x == 0:
        counter = loop.a.schedule.counters + COUNTER_STRIDE * loop.group
        arrive_and_wait(ints, counter, loop.a.schedule.tiling.blocks, number)


def _start_of(form: Form, weights_of: Callable[..., Any]) -> Callable[..., Any]:
    """Build the prologue of both loops: shares, weights in registers, zeros in shared memory."""
    sequences = form.tile_sequences
    hold = hold_of(form)
    zero = zeros(form.dtype, 1)[0]

    @register_jitable
    def start(floats, ints, shared, a):
        schedule = a.schedule
        tiling = schedule.tiling
        thread = cuda.threadIdx.x
        threads = cuda.blockDim.x
        group = short(cuda.blockIdx.x // tiling.blocks)
        low = short(cuda.blockIdx.x % tiling.blocks * tiling.units)
        width = short(min(tiling.units, a.H - low))
        cut = cut_of(sequences, thread, threads, tiling)
        weights = hold(floats, shared, weights_of(a.W_hh, a.H, low, width), cut)
        for i in range(thread, cut.sums, threads):
            shared[i] = zero
        rule = rule_share_of(sequences, thread, threads, width, schedule.B, tiling)
        length = ints[schedule.lengths + group] if group < schedule.B else 0
        # The group's first sequence is its longest.
        return Loop(a, group, low, width, short(length), cut, rule, weights)

    return start


@cache
def forward(form: Form) -> Kernel:
    """Compile the forward loop: it fills the states, and `slots` for the backward loop."""
    cell = CELLS[form.cell]
    sequences = form.tile_sequences
    single_block = form.single_block
    G = len(cell.gates)
    Z = len(cell.states)
    sums = sums_of(form)
    load = forward_operands(form)
    nothing = no_forward_operands(form)
    apply = forward_rule(form)
    take_bias = bias_of(form.cell)
    memory = shared_memory(form.dtype)

    @register_jitable
    def weights_of(W, H, low, width):
        return Weights(W, G * H, H, Columns(G * width, width, H, low), 0)

    start = _start_of(form, weights_of)

    @kernel(*form)
    def forward(floats, ints, at):
        a = read_forward(ints, at)
        schedule = a.schedule
        tiling = schedule.tiling
        first = schedule.first
        B = schedule.B
        shared = memory()
        loop = start(floats, ints, shared, a)
        group = loop.group
        stride = Z * a.H
        chunk_step = short(tiling.tiles * sequences * tiling.groups)
        biases = take_bias(floats, a.bias + loop.low + loop.rule.unit, a.H)
        # The rows at which steps begin are loaded a step ahead.
        at_t = ints[first]
        at_next = ints[first + 1]
        after_next = ints[first + 2]
        for t in range(loop.steps):
            old = short(at_t + group)
            row = short(at_next - B + group)
            last = short(after_next - B)
            at_t = at_next
            at_next = after_next
            after_next = ints[first + t + 3]
            # A single block finds the new h of the step before in its shared memory.
            fetch = not single_block or t == 0
            begin = short(0)
            left = short(last - row)
            while left > 0:
                chunk = Chunk(begin, left, old, row)
                address = a.state + (old + begin) * stride
                loaded = nothing
                if has_share(loop, chunk):
                    b, u = first_share(loop, chunk)
                    loaded = load(floats, a, chunk, b, u)
                source = Source(fetch, address, stride, a.W_hh, tiling.groups, left, left)
                sums(floats, shared, source, loop.weights, loop.cut)
                apply(floats, shared, loop, chunk, biases, loaded)
                begin = short(begin + chunk_step)
                left = short(left - chunk_step)
            if tiling.blocks > 1 and not single_block and t + 1 < loop.steps:
                _wait_for_group(ints, loop, t + 1)

    return forward


@cache
def backward(form: Form) -> Kernel:
    """Compile backpropagation through time: it leaves the gradient of the sums in `slots`."""
    cell = CELLS[form.cell]
    sequences = form.tile_sequences
    single_block = form.single_block
    G = len(cell.gates)
    S = len(cell.slots)
    sums = sums_of(form)
    load = backward_operands(form)
    nothing = no_backward_operands(form)
    apply = backward_rule(form)
    memory = shared_memory(form.dtype)

    @register_jitable
    def weights_of(W, H, low, width):
        return Weights(W, H, short(G * H), Columns(width, width, 0, low), 0)

    start = _start_of(form, weights_of)

    @kernel(*form)
    def backward(floats, ints, at):
        a = read_backward(ints, at)
        schedule = a.schedule
        tiling = schedule.tiling
        first = schedule.first
        B = schedule.B
        shared = memory()
        loop = start(floats, ints, shared, a)
        group = loop.group
        steps = loop.steps
        stride = S * a.H
        chunk_step = short(tiling.tiles * sequences * tiling.groups)
        # The rows at which steps begin are loaded a step ahead.
        at_t = ints[first + max(steps - 1, 0)]
        at_next = ints[first + steps]
        after_next = ints[first + steps + 1]
        later = ints[first + steps + 2]
        for t in range(steps - 1, -1, -1):
            old = short(at_t + group)
            row = short(at_next - B + group)
            last = short(after_next - B)
            handed = short(later - after_next - group)  # sequences with a later step
            later = after_next
            after_next = at_next
            at_next = at_t
            at_t = ints[first + max(t - 1, 0)]
            fetch = not single_block or t == steps - 1
            begin = short(0)
            left = short(last - row)
            while left > 0:
                chunk = Chunk(begin, left, old, row)
                address = a.slots + (last + group + begin) * stride + (S - G) * a.H
                loaded = nothing
                if has_share(loop, chunk):
                    b, u = first_share(loop, chunk)
                    loaded = load(floats, opaque_arguments(a), group, chunk, b, u)
                source = Source(fetch, address, stride, a.W_hh, tiling.groups, handed - begin, left)
                sums(floats, shared, source, loop.weights, loop.cut)
                apply(floats, shared, loop, chunk, loaded)
                begin = short(begin + chunk_step)
                left = short(left - chunk_step)
            if tiling.blocks > 1 and not single_block and t > 0:
                _wait_for_group(ints, loop, steps - t)

    return backward
