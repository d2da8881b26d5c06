"""The time loops: one forward and one backward, for every cell; all steps are one launch.

The sequences of a batch, longest first, are dealt to groups of blocks: group g has every `groups`-th
sequence from g on, so that each group has long and short ones. The blocks of a group share the
units of the layer. In each step a block computes, for its group's sequences, its units of the new
state, or of the gradient of the old one; then the blocks of the group wait for each other. A group
of one block needs no such wait: it hands its results on in shared memory.

A step is a product (`block_product`) and the cell's rule. The sequences are taken a chunk at a time,
as many as shared memory has room for. W_hh stays in registers and shared memory, or is read from the
cache in every step. The rule's operands from global memory are loaded before the product, so that
they arrive during it, for the first sequence and unit of each thread. `opaque` hides numbers from
the compiler, which would otherwise keep all that it can derive from them in registers.

Rows are those of `batches.Steps`, one for each (step, sequence), steps in order. Before step t
sequence b has the state in row first[t] + b, after it that in row first[t + 1] + b; the rows of
other arrays lack the B initial states.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from numba import cuda

from ...cells import CELLS
from ..driver import stand_in
from ..intrinsics import opaque, shared_memory
from ..jit import Kernel, kernel, reader
from ..registers import put, register_jitable, short, take, zeros
from .barrier import arrive_and_wait
from .block_product import (
    Cut,
    LoopShape,
    RuleShare,
    Source,
    cut_of,
    offset_of,
    rule_share_of,
    sums_of,
    wait,
)
from .gates import add_to_h, bias_of, keep_gates_of, known, slots_of, total_of
from .thread_product import Columns, Form, Weights, hold_of

COUNTER_STRIDE = 16  # indices from a group's counter to the next: each has a line of the cache


class ForwardArguments(NamedTuple):
    """Arguments of `forward`."""

    slots: int  # (N, S * H) the input's products; then what backward needs  # IN, OUT
    state: int  # (B + N, Z * H), the initial state in the first B rows  # IN, OUT
    W_hh: int  # (H, G * H)  # IN
    bias: int  # (G * H,) of the state's gates, for cells with two biases  # IN
    lengths: int  # (B,)  # IN
    first: int  # (T + 3,)  # IN
    counters: int  # (groups * COUNTER_STRIDE,), zero before the first launch  # IN, OUT
    shape: LoopShape


class BackwardArguments(NamedTuple):
    """Arguments of `backward`."""

    slots: int  # (N, S * H) what forward has left; then the gradient of the sums  # IN, OUT
    state: int  # (B + N, Z * H)  # IN
    W_hh: int  # (G * H, H), transposed  # IN
    dstate: int  # (B, Z * H) gradient of the final states, carried back in place  # IN, OUT
    dh: int  # (N, dh_stride) gradient that reaches h from elsewhere, -1 for none  # IN
    dh_stride: int
    lengths: int  # (B,)  # IN
    first: int  # (T + 3,)  # IN
    counters: int  # (groups * COUNTER_STRIDE,), zero before the first launch  # IN, OUT
    shape: LoopShape


read_forward = reader(ForwardArguments)
read_backward = reader(BackwardArguments)


class Loop(NamedTuple):
    """A thread's view of its time loop."""

    a: Any  # the kernel's arguments
    group: int  # also its first sequence
    low: int  # first unit of the block
    width: int  # units of the block
    steps: int  # step after the last one that the group has
    cut: Cut
    rule: RuleShare
    weights: Weights


class Chunk(NamedTuple):
    """Sequences that a step computes at once."""

    begin: int  # first sequence, counted from the group's first in the batch
    left: int  # sequences of the batch that are left from there on
    old: int  # row of the group's first state before the step
    row: int  # row of the group's first sequence in arrays without the initial states


@register_jitable
def _first_sequence(loop, chunk):
    """Return the first sequence of the thread in a chunk; of a thread without any, the chunk's first."""
    r = loop.rule.sequence * loop.a.shape.groups
    return short(chunk.begin + (r if r < chunk.left else 0))


@register_jitable
def _wait_for_group(ints, loop, number):
    """Wait for the other blocks of the group for the `number`-th time."""
    wait()
    if cuda.threadIdx.x == 0:
        counter = loop.a.counters + COUNTER_STRIDE * loop.group
        arrive_and_wait(ints, counter, loop.a.shape.blocks, number)


def _start_of(form: Form, weights_of: Callable[..., Any]) -> Callable[..., Any]:
    """Build the prologue of both loops: shares, weights in registers, zeros in shared memory."""
    rows = form.tile_sequences
    hold = hold_of(form)
    zero = zeros(form.dtype, 1)[0]

    @register_jitable
    def start(floats, ints, shared, a):
        shape = a.shape
        thread = cuda.threadIdx.x
        threads = cuda.blockDim.x
        group = short(cuda.blockIdx.x // shape.blocks)
        low = short(cuda.blockIdx.x % shape.blocks * shape.units)
        width = short(min(shape.units, shape.H - low))
        cut = cut_of(rows, thread, threads, shape)
        weights = hold(floats, shared, weights_of(a.W_hh, shape.H, low, width), cut)
        for i in range(thread, cut.sums, threads):
            shared[i] = zero
        rule = rule_share_of(rows, thread, threads, width, shape.B)
        steps = short(min(shape.end, ints[a.lengths + group]) if group < shape.B else 0)
        return Loop(a, group, low, width, steps, cut, rule, weights)

    return start


# -- forward ---------------------------------------------------------------------------------------


def _forward_rule(form: Form) -> Callable[..., Any]:
    """Build the function that applies the cell's rule to a thread's sequences and units of a chunk."""
    cell = CELLS[form.cell]
    rows = form.tile_sequences
    single_block = form.single_block
    G = len(cell.gates)
    S = len(cell.slots)
    Z = len(cell.states)
    rule = cell.forward
    total = total_of(G)
    to_slots = slots_of(form.cell)
    offset = offset_of(form)
    take_bias = bias_of(form.cell)
    take_gates = take(G)
    take_state = take(Z)
    put_state = put(Z)
    put_slots = put(S)

    @register_jitable
    def apply(floats, shared, loop, chunk, biases, loaded):
        a, cut, share = loop.a, loop.cut, loop.rule
        shape = a.shape
        H = shape.H
        r = share.sequence
        while r < shape.tiles * rows and r * shape.groups < chunk.left:
            b = chunk.begin + r * shape.groups
            sums = cut.sums + r // rows * cut.tile_sums + r % rows
            j = share.unit
            while j < loop.width:
                u = loop.low + j
                place = a.slots + (chunk.row + b) * S * H + u
                x = loaded[0]
                before = loaded[1]
                if r != share.sequence or j != share.unit:
                    x = take_gates(floats, place, H)
                    before = take_state(floats, a.state + (chunk.old + b) * Z * H + u, H)
                h = total(
                    shared, sums + j * rows, loop.width * rows, cut.partial_sums, cut.part_sums
                )
                b_hh = biases if j == share.unit else take_bias(floats, a.bias + u, H)
                after, saved = rule(to_slots(x, h, b_hh), before)
                put_state(floats, a.state + (shape.B + chunk.row + b) * Z * H + u, H, after)
                put_slots(floats, place, H, saved)
                if single_block:
                    tile = r // rows * cut.tile + r % rows
                    shared[tile + offset(u, shape.terms_per_part)] = after[0]
                j = short(j + share.unit_step)
            r = short(r + share.sequence_step)

    return apply


@cache
def forward(form: Form) -> Kernel:
    """Compile the forward loop: it fills the states after the initial one, and what backward needs."""
    cell = CELLS[form.cell]
    rows = form.tile_sequences
    single_block = form.single_block
    G = len(cell.gates)
    S = len(cell.slots)
    Z = len(cell.states)
    sums = sums_of(form)
    apply = _forward_rule(form)
    take_bias = bias_of(form.cell)
    take_gates = take(G)
    take_state = take(Z)
    memory = shared_memory(form.dtype)

    @register_jitable
    def weights_of(W, H, low, width):
        return Weights(W, G * H, H, Columns(G * width, width, H, low), 0)

    start = _start_of(form, weights_of)

    @register_jitable
    def load(floats, loop, chunk):
        """Load the operands of the rule for the thread's first sequence and unit."""
        a = loop.a
        H = a.shape.H
        b = _first_sequence(loop, chunk)
        u = loop.low + loop.rule.unit
        x = take_gates(floats, a.slots + (chunk.row + b) * S * H + u, H)
        return x, take_state(floats, a.state + (chunk.old + b) * Z * H + u, H)

    @kernel(*form)
    def forward(floats, ints, at):
        a = read_forward(ints, at)
        shape = a.shape
        shared = memory()
        loop = start(floats, ints, shared, a)
        group = loop.group
        stride = Z * shape.H
        biases = take_bias(floats, a.bias + loop.low + loop.rule.unit, shape.H)
        # The rows at which steps begin are loaded a step ahead.
        at_t = ints[a.first + shape.begin]
        at_next = ints[a.first + shape.begin + 1]
        after_next = ints[a.first + shape.begin + 2]
        for t in range(shape.begin, loop.steps):
            old = short(at_t + group)
            row = short(at_next - shape.B + group)
            last = short(after_next - shape.B)
            at_t = at_next
            at_next = after_next
            after_next = ints[a.first + t + 3]
            fetch = not single_block or t == shape.begin
            begin = short(0)
            while row + begin < last:
                left = last - row - begin
                chunk = Chunk(begin, left, old, row)
                address = a.state + (old + begin) * stride
                loaded = load(floats, loop, chunk)
                source = Source(fetch, address, stride, a.state, shape.groups, left, left)
                sums(floats, shared, source, loop.weights, loop.cut)
                apply(floats, shared, loop, chunk, biases, loaded)
                begin = short(begin + shape.tiles * rows * shape.groups)
            if shape.blocks > 1 and not single_block and t + 1 < loop.steps:
                _wait_for_group(ints, loop, t + 1 - shape.begin)

    return forward


# -- backward --------------------------------------------------------------------------------------


class Operands(NamedTuple):
    """Operands of the backward rule for one sequence and unit."""

    saved: Any  # S values that forward has left
    after: Any  # Z states after the step
    before: Any  # Z states before it
    dstate: Any  # Z gradients that are carried back
    dh: Any  # gradient that reaches h from elsewhere


def _backward_operands(form: Form) -> Callable[..., Any]:
    """Build the function that loads the operands of sequence b and unit u."""
    cell = CELLS[form.cell]
    S = len(cell.slots)
    Z = len(cell.states)
    take_state = take(Z)
    take_slots = take(S)
    zero = zeros(form.dtype, 1)[0]

    @register_jitable
    def load(floats, a, group, chunk, b, u):
        H = a.shape.H
        row = chunk.row + b
        return Operands(
            take_slots(floats, a.slots + row * S * H + u, H),
            take_state(floats, a.state + (a.shape.B + row) * Z * H + u, H),
            take_state(floats, a.state + (chunk.old + b) * Z * H + u, H),
            take_state(floats, a.dstate + (group + b) * Z * H + u, H),
            floats[a.dh + row * a.dh_stride + u] if a.dh >= 0 else zero,
        )

    return load


@register_jitable
def _opaque_arguments(a):
    """Return the arguments of `backward`, of which the compiler knows nothing any more."""
    s = a.shape
    shape = LoopShape(
        s.B, opaque(s.H), s.groups, s.blocks, s.units, s.tiles, s.parts, s.terms_per_part, s.lanes,
        s.padded_columns, s.partial_sums, s.begin, s.end,
    )  # fmt: skip
    return BackwardArguments(
        opaque(a.slots), opaque(a.state), a.W_hh, opaque(a.dstate), opaque(a.dh), a.dh_stride,
        a.lengths, a.first, a.counters, shape,
    )  # fmt: skip


def _backward_rule(form: Form) -> Callable[..., Any]:
    """Build the function that applies the cell's rule to a thread's sequences and units of a chunk."""
    cell = CELLS[form.cell]
    rows = form.tile_sequences
    single_block = form.single_block
    S = len(cell.slots)
    Z = len(cell.states)
    rule = cell.backward
    load = _backward_operands(form)
    total = total_of(1)
    add = add_to_h(Z)
    known_gradients = known(Z)
    keep_gates = keep_gates_of(form.cell, offset_of(form))
    put_state = put(Z)
    put_slots = put(S)
    zero = zeros(form.dtype, 1)[0]

    @register_jitable
    def apply(floats, shared, loop, chunk, loaded):
        cut, share = loop.cut, loop.rule
        a = _opaque_arguments(loop.a)
        shape = a.shape
        H = shape.H
        r = share.sequence
        while r < shape.tiles * rows and r * shape.groups < chunk.left:
            b = chunk.begin + r * shape.groups
            sums = cut.sums + r // rows * cut.tile_sums + r % rows
            j = share.unit
            while j < loop.width:
                u = loop.low + j
                of = loaded
                if r != share.sequence or j != share.unit:
                    of = load(floats, a, loop.group, chunk, b, u)
                through = total(shared, sums + j * rows, 0, cut.partial_sums, cut.part_sums)[0]
                dstate = add(of.dstate, through + of.dh)
                dslots, dold = rule(dstate, of.saved, of.after, of.before)
                put_slots(floats, a.slots + (chunk.row + b) * S * H + u, H, dslots)
                carried = a.dstate + (loop.group + b) * Z * H + u
                put_state(floats, carried, H, known_gradients(dold, zero))
                if single_block:
                    tile = r // rows * cut.tile + r % rows
                    keep_gates(shared, tile, u, H, shape.terms_per_part, dslots)
                j = short(j + share.unit_step)
            r = short(r + share.sequence_step)

    return apply


@cache
def backward(form: Form) -> Kernel:
    """Compile backpropagation through time: it leaves the gradient of the sums in `slots`."""
    cell = CELLS[form.cell]
    rows = form.tile_sequences
    single_block = form.single_block
    G = len(cell.gates)
    S = len(cell.slots)
    sums = sums_of(form)
    load = _backward_operands(form)
    apply = _backward_rule(form)
    memory = shared_memory(form.dtype)

    @register_jitable
    def weights_of(W, H, low, width):
        return Weights(W, H, short(G * H), Columns(width, width, 0, low), 0)

    start = _start_of(form, weights_of)

    @kernel(*form)
    def backward(floats, ints, at):
        a = read_backward(ints, at)
        shape = a.shape
        shared = memory()
        loop = start(floats, ints, shared, a)
        group = loop.group
        steps = loop.steps
        stride = S * shape.H
        # The rows at which steps begin are loaded a step ahead.
        at_t = ints[a.first + max(steps - 1, 0)]
        at_next = ints[a.first + steps]
        after_next = ints[a.first + steps + 1]
        later = ints[a.first + steps + 2]
        for t in range(steps - 1, shape.begin - 1, -1):
            old = short(at_t + group)
            row = short(at_next - shape.B + group)
            last = short(after_next - shape.B)
            handed = short(later - after_next - group)
            later = after_next
            after_next = at_next
            at_next = at_t
            at_t = ints[a.first + max(t - 1, 0)]
            fetch = not single_block or t == steps - 1
            begin = short(0)
            while row + begin < last:
                left = last - row - begin
                chunk = Chunk(begin, left, old, row)
                address = a.slots + (last + group + begin) * stride + (S - G) * shape.H
                b = _first_sequence(loop, chunk)
                u = loop.low + loop.rule.unit
                loaded = load(floats, _opaque_arguments(a), group, chunk, b, u)
                source = Source(fetch, address, stride, a.slots, shape.groups, handed - begin, left)
                sums(floats, shared, source, loop.weights, loop.cut)
                apply(floats, shared, loop, chunk, loaded)
                begin = short(begin + shape.tiles * rows * shape.groups)
            if shape.blocks > 1 and not single_block and t > shape.begin:
                _wait_for_group(ints, loop, steps - t)

    return backward


@stand_in
def launched_steps(T: int, blocks: int, back: bool) -> list[tuple[int, int]]:
    """Return the first step and the end of each launch of a loop: one launch has all steps."""
    return [(0, T)]
