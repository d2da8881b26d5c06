"""A layer's arrays in a program, and its way through time, forward and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..nn.layers import Layer
from . import gather
from .jit import Grid
from .memory import Matrix
from .program import Program
from .recurrence import loops
from .recurrence.rule import BackwardArguments, ForwardArguments, Schedule
from .recurrence.tiling import Tiling
from .segments import Segment


class LayerRun:
    """A layer in the program of a batch; `begin` says which segment the arrays are those of.

    Parameters
    ----------
    program : Program
        The program.
    layer : Layer
        The layer to run.
    B : int
        Number of sequences.
    segments : sequence of Segment
        Those that are run, one after the other.
    initial : int
        Address of the state with which the sequences begin, (B, Z * H); -1 stands for zeros.
    tilings : tuple of Tiling
        How the loops forward and back are tiled; nothing without recurrence.
    counters : tuple of int
        Addresses of the counters of each loop, see `loops`, for all of its launches.

    Attributes
    ----------
    slots, state : int
        Addresses (N, S * H) and (B + N, Z * H), the initial state first; without recurrence (N, H).
    final : Matrix (B, Z * H)
        With recurrence: where each sequence has come to.
    """

    slots: int
    state: int

    def __init__(
        self,
        program: Program,
        layer: Layer,
        B: int,
        segments: Sequence[Segment],
        initial: int,
        tilings: tuple[Tiling, ...],
        counters: tuple[int, ...],
    ) -> None:
        self.program = program
        self.layer = layer
        self.B = B
        self.segments = segments
        self._tilings = tilings
        self._counters = list(counters)
        self.H = layer.units
        self.slot_columns = len(layer.cell.slots) * self.H
        self.state_columns = len(layer.cell.states) * self.H
        self.gate_columns = len(layer.cell.gates) * self.H
        # After a segment's rows there is room for the gradient of the step that follows.
        rows = max(segment.rows + segment.going_on for segment in segments)
        self._slots = program.allocate(rows * self.slot_columns)
        if layer.cell.recurrent:
            rows = max(segment.states + segment.rows for segment in segments)
        self._state = program.allocate(rows * self.state_columns)
        if layer.cell.recurrent:
            self.final = self._matrix(B)
            # The states with which each segment begins.
            self._befores = [Matrix(initial, self.state_columns)]
            self._befores += [self._matrix(segment.states) for segment in segments[1:]]

    def _matrix(self, rows: int) -> Matrix:
        """Allocate states."""
        return Matrix(self.program.allocate(rows * self.state_columns), self.state_columns)

    @property
    def sums(self) -> Matrix:
        """Sums of the gates, or their gradient, row by row: the first columns of the slots."""
        return Matrix(self.slots, self.slot_columns)

    def states(self, row_index: int = -1) -> Matrix:
        """Return the states after each row's step, or after those of an index."""
        before = self.B if self.layer.cell.recurrent else 0
        return Matrix(self.state + before * self.state_columns, self.state_columns, row_index)

    # -- forward -----------------------------------------------------------------------------------

    def begin(self, segment: Segment) -> None:
        """Go to a segment, and put the states there with which it begins."""
        self.slots = self._slots - segment.row * self.slot_columns
        self.state = self._state - segment.before * self.state_columns
        if not self.layer.cell.recurrent:
            return
        before = self._befores[segment.number]
        if before.address < 0:
            gather.let_be_zero(self.program, self._state, segment.states * self.state_columns)
        else:
            self._copy(Matrix(self._state, self.state_columns), before, segment.states)

    def _copy(self, target: Matrix, source: Matrix, rows: int) -> None:
        """Copy states."""
        gather.copy_rows(self.program, target, source, (rows, self.state_columns))

    def forward(self, segment: Segment) -> None:
        """Run through the steps of a segment."""
        weights = self.program.context.addresses.weights(self.layer)
        arguments = partial(
            ForwardArguments, self.slots, self.state, weights.W_hh.address, weights.b_hh
        )
        self._launch(loops.forward, segment, arguments, back=False)

    def keep_ends(self, segment: Segment) -> None:
        """Keep where the sequences have come to, and with what the next segment begins."""
        self._copy(self.final, self.states(segment.last), segment.reaching)
        if segment.going_on:
            after = self.segments[segment.number + 1]
            states = Matrix(self.state + after.before * self.state_columns, self.state_columns)
            self._copy(self._befores[after.number], states, after.states)

    def _launch(
        self,
        make: Callable[[Any], Any],
        segment: Segment,
        arguments: Callable[..., tuple[object, ...]],
        *,
        back: bool,
    ) -> None:
        """Launch a time loop; all blocks must run at once where some wait for others."""
        tiling = self._tilings[back]
        kernel = make(tiling.form(self.layer.cell_name, self.program.dtype))
        blocks = tiling.groups * tiling.blocks
        together = tiling.blocks > 1
        grid = Grid((blocks, 1, 1), (tiling.threads, 1, 1), tiling.shared, together)
        schedule = Schedule(
            lengths=segment.lengths,
            first=segment.first,
            counters=self._counters[back],
            B=self.B,
            tiling=tiling,
        )
        self._counters[back] += tiling.groups * loops.COUNTER_STRIDE  # each launch has its own
        self.program.launch(kernel, grid, arguments(self.H, schedule))

    # -- back --------------------------------------------------------------------------------------

    def begin_back(self) -> None:
        """Let the gradient of the final states be zero, and transpose what the way back reads."""
        self.dstate = self._matrix(self.B)
        gather.let_be_zero(self.program, self.dstate.address, self.B * self.state_columns)
        # Transposed, so that neighbouring threads read neighbouring weights here, too.
        H = self.H
        self._turned = self.program.allocate(H * self.gate_columns)  # (G * H, H)
        W_hh = self.program.context.addresses.weights(self.layer).W_hh.address
        turned = gather.TransposeArguments(self._turned, W_hh, H, self.gate_columns)
        self.program.over(gather.transpose(), H * self.gate_columns, turned)

    def keep_gradient(self, segment: Segment) -> None:
        """Move the gradient of the step after a segment to where its own way back reads it."""
        target = Matrix(self._slots + segment.rows * self.slot_columns, self.slot_columns)
        source = Matrix(self._slots, self.slot_columns)
        shape = segment.going_on, self.slot_columns
        gather.copy_rows(self.program, target, source, shape)

    def backward(self, segment: Segment, dh: Matrix) -> None:
        """Go back through the steps of a segment; `dh` of no columns is none."""
        arguments = partial(
            BackwardArguments,
            self.slots,
            self.state,
            self._turned,
            self.dstate.address,
            dh.address,
            dh.stride,
        )
        self._launch(loops.backward, segment, arguments, back=True)
