"""The cell's rule in a time loop: a thread's sequences and units of a chunk, forward and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ...cells import CELLS
from ..intrinsics import opaque
from ..jit import Int32
from ..registers import put, register_jitable, short, take, zeros
from .block_product import Cut, RuleShare, offset_of
from .gates import add_to_h, bias_of, keep_gates_of, known, slots_of, total_of
from .thread_product import Form, Weights
from .tiling import Tiling


class Schedule(NamedTuple):
    """The sequences, and how they are tiled: the same for both loops."""

    lengths: int  # (B,)  # IN
    first: int  # (T + 3,)  # IN
    counters: int  # (groups * COUNTER_STRIDE,), zero before the first launch  # IN, OUT
    B: Int32
    tiling: Tiling


class ForwardArguments(NamedTuple):
    """Arguments of `forward`."""

    slots: int  # (N, S * H) the input's products; then what backward needs  # IN, OUT
    state: int  # (B + N, Z * H), the initial state in the first B rows  # IN, OUT
    W_hh: int  # (H, G * H)  # IN
    bias: int  # (G * H,) of the state's gates, for cells with two biases  # IN
    H: Int32
    schedule: Schedule


class BackwardArguments(NamedTuple):
    """Arguments of `backward`."""

    slots: int  # (N, S * H) what forward has left; then the gradient of the sums  # IN, OUT
    state: int  # (B + N, Z * H)  # IN
    W_hh: int  # (G * H, H), transposed  # IN
    dstate: int  # (B, Z * H) gradient of the final states, carried back in place  # IN, OUT
    dh: int  # (N, dh_stride) gradient that reaches h from elsewhere  # IN
    dh_stride: int  # 0 for no such gradient
    H: Int32
    schedule: Schedule


class Loop(NamedTuple):
    """A thread's view of its time loop."""

    a: Any  # the kernel's arguments
    group: int  # also its first sequence
    low: int  # first unit of the block
    width: int  # units of the block
    steps: int  # of the group's longest sequence
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
def has_share(loop, chunk):
    """Whether a thread has a unit of a sequence in a chunk."""
    return loop.rule.first < chunk.left


@register_jitable
def first_share(loop, chunk):
    """Return the thread's first sequence and unit in a chunk."""
    return short(chunk.begin + loop.rule.first), loop.low + loop.rule.unit


# -- forward ---------------------------------------------------------------------------------------


def forward_operands(form: Form) -> Callable[..., Any]:
    """Build the function that loads the operands of sequence b and unit u."""
    cell = CELLS[form.cell]
    S = len(cell.slots)
    Z = len(cell.states)
    take_gates = take(len(cell.gates))
    take_state = take(Z)

    @register_jitable
    def load(floats, a, chunk, b, u):
        x = take_gates(floats, a.slots + (chunk.row + b) * S * a.H + u, a.H)
        return x, take_state(floats, a.state + (chunk.old + b) * Z * a.H + u, a.H)

    return load


def no_forward_operands(form: Form) -> Any:
    """Return operands of the forward rule for a thread that has no share of a chunk."""
    cell = CELLS[form.cell]
    return zeros(form.dtype, len(cell.gates)), zeros(form.dtype, len(cell.states))


def forward_rule(form: Form) -> Callable[..., Any]:
    """Build the function that applies the rule to a thread's part of a chunk."""
    cell = CELLS[form.cell]
    sequences = form.tile_sequences
    single_block = form.single_block
    G = len(cell.gates)
    S = len(cell.slots)
    Z = len(cell.states)
    rule = cell.forward
    total = total_of(G)
    to_slots = slots_of(form.cell)
    offset = offset_of(form)
    take_bias = bias_of(form.cell)
    load = forward_operands(form)
    put_state = put(Z)
    put_slots = put(S)

    @register_jitable
    def apply(floats, shared, loop, chunk, biases, loaded):
        a = loop.a
        cut = loop.cut
        share = loop.rule
        tiling = a.schedule.tiling
        H = a.H
        r = share.sequence
        first = share.first
        while first < chunk.left and r < tiling.tiles * sequences:
            b = short(chunk.begin + first)
            sums = cut.sums + r // sequences * cut.tile_sums + r % sequences
            j = share.unit
            while j < loop.width:
                u = loop.low + j
                x, before = loaded
                if r != share.sequence or j != share.unit:
                    x, before = load(floats, a, chunk, b, u)
                gate = loop.width * sequences  # from one gate's sums to the next
                h = total(shared, sums + j * sequences, gate, cut.partial_sums, cut.part_sums)
                b_hh = biases if j == share.unit else take_bias(floats, a.bias + u, H)
                after, saved = rule(to_slots(x, h, b_hh), before)
                put_state(floats, a.state + (a.schedule.B + chunk.row + b) * Z * H + u, H, after)
                put_slots(floats, a.slots + (chunk.row + b) * S * H + u, H, saved)
                if single_block:
                    tile = r // sequences * cut.tile + r % sequences
                    shared[tile + offset(u, tiling.terms_per_part)] = after[0]
                j = short(j + share.unit_step)
            r = short(r + share.sequence_step)
            first = short(first + share.sequence_step * tiling.groups)

    return apply


# -- backward --------------------------------------------------------------------------------------


class Operands(NamedTuple):
    """Operands of the backward rule for one sequence and unit."""

    saved: Any  # S values that forward has left
    after: Any  # Z states after the step
    before: Any  # Z states before it
    dstate: Any  # Z gradients that are carried back
    dh: Any  # gradient that reaches h from elsewhere


def backward_operands(form: Form) -> Callable[..., Any]:
    """Build the function that loads the operands of sequence b and unit u."""
    cell = CELLS[form.cell]
    S = len(cell.slots)
    Z = len(cell.states)
    take_state = take(Z)
    take_slots = take(S)
    zero = zeros(form.dtype, 1)[0]

    @register_jitable
    def load(floats, a, group, chunk, b, u):
        H = a.H
        row = chunk.row + b
        return Operands(
            take_slots(floats, a.slots + row * S * H + u, H),
            take_state(floats, a.state + (a.schedule.B + row) * Z * H + u, H),
            take_state(floats, a.state + (chunk.old + b) * Z * H + u, H),
            take_state(floats, a.dstate + (group + b) * Z * H + u, H),
            floats[a.dh + row * a.dh_stride + u] if a.dh_stride > 0 else zero,
        )

    return load


def no_backward_operands(form: Form) -> Operands:
    """Return operands of the backward rule for a thread that has no share of a chunk."""
    cell = CELLS[form.cell]
    states = zeros(form.dtype, len(cell.states))
    saved = zeros(form.dtype, len(cell.slots))
    return Operands(saved, states, states, states, states[0])


@register_jitable
def opaque_arguments(a):
    """Return the arguments of `backward`, of which the compiler knows nothing any more."""
    return BackwardArguments(
        slots=opaque(a.slots),
        state=opaque(a.state),
        W_hh=a.W_hh,
        dstate=opaque(a.dstate),
        dh=opaque(a.dh),
        dh_stride=a.dh_stride,
        H=opaque(a.H),
        schedule=a.schedule,
    )


def backward_rule(form: Form) -> Callable[..., Any]:
    """Build the function that applies the rule to a thread's part of a chunk."""
    cell = CELLS[form.cell]
    sequences = form.tile_sequences
    single_block = form.single_block
    S = len(cell.slots)
    Z = len(cell.states)
    rule = cell.backward
    load = backward_operands(form)
    total = total_of(1)
    add = add_to_h(Z)
    known_gradients = known(Z)
    keep_gates = keep_gates_of(form.cell, offset_of(form))
    put_state = put(Z)
    put_slots = put(S)
    zero = zeros(form.dtype, 1)[0]

    @register_jitable
    def apply(floats, shared, loop, chunk, loaded):
        cut = loop.cut
        share = loop.rule
        # Addresses computed before the product must not stay in registers during it.
        a = opaque_arguments(loop.a)
        tiling = a.schedule.tiling
        H = a.H
        r = share.sequence
        first = share.first
        while first < chunk.left and r < tiling.tiles * sequences:
            b = short(chunk.begin + first)
            sums = cut.sums + r // sequences * cut.tile_sums + r % sequences
            j = share.unit
            while j < loop.width:
                u = loop.low + j
                of = loaded
                if r != share.sequence or j != share.unit:
                    of = load(floats, a, loop.group, chunk, b, u)
                through = total(shared, sums + j * sequences, 0, cut.partial_sums, cut.part_sums)[0]
                dstate = add(of.dstate, through + of.dh)
                dslots, dold = rule(dstate, of.saved, of.after, of.before)
                put_slots(floats, a.slots + (chunk.row + b) * S * H + u, H, dslots)
                carried = a.dstate + (loop.group + b) * Z * H + u
                put_state(floats, carried, H, known_gradients(dold, zero))
                if single_block:
                    tile = r // sequences * cut.tile + r % sequences
                    keep_gates(shared, tile, u, H, tiling.terms_per_part, dslots)
                j = short(j + share.unit_step)
            r = short(r + share.sequence_step)
            first = short(first + share.sequence_step * tiling.groups)

    return apply
