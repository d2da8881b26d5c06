"""One batch through all layers of a network on the GPU: the program that does it.

Unlike `lightrnn.nn.forward_backward` it copies hardly any rows: a product reads them through an
index that reverses, looks up and windows them.

A batch that needs much memory is run in segments, see `segments`. All levels run over one segment
before the next one begins. With two directions that is impossible, since the second one begins with
the last steps: there a level runs over all segments, direction by direction, before the next level
begins, and the outputs of each level are kept for every step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..nn.batches import Batch
from ..nn.layers import Layer
from ..nn.stack import Stack
from . import gather
from .batch_index import BatchIndex
from .context import Context
from .layer_run import LayerRun
from .matmul import add_product
from .memory import Matrix
from .pooling import CudaPooling
from .program import Program
from .recurrence import loops
from .recurrence.tiling import Tiling, choose
from .segments import Segment, cut, make_segments


class CudaForward:
    """A program for one batch: `forward` comes first, then outputs are read.

    Parameters
    ----------
    context : Context
        The GPU, and the network's memory on it.
    network : Stack
        Network on the CPU, whose layers these are.
    batch : Batch
        Sequences to run over.
    in_segments : bool, default=False
        Whether only one segment's gates are kept, if the batch is long enough for several.

    Attributes
    ----------
    program : Program
        More may be sent before `forward` or `learn`, and more launched after it.
    features : Matrix (count, D)
        Input of the head; for target "step" only the rows of the last span that was run.
    final_states : list of Matrix
        Each layer's and direction's states after the last steps, (B, columns), then pooled rows.
    parts : list of Segment
        For each of them, the last one first, the gradient of the parameters is computed.
    spans : list of Segment
        Steps over which one level runs after the other: all, if there are two directions.
    """

    def __init__(
        self, context: Context, network: Stack, batch: Batch, in_segments: bool = False
    ) -> None:
        self.context = context
        self.network = network
        self.batch = batch
        self.step = network.target == "step"
        self.recurrent = network.recurrent
        self._last_depth = len(network.levels) - 1
        self.B = len(batch.X)
        self.program = Program(context)
        self.index = BatchIndex(self.program, network, batch)
        self.masks = [self.program.send(mask) for mask in batch.masks]
        self._initial_states = [self.program.send(state) for state in batch.states]
        self.parts = self._make_parts(in_segments)
        self._in_segments = in_segments and len(self.parts) > 1
        self._tilings = {
            layer.name: self._tile(layer) for level in network.levels for layer in level
        }
        self.levels: list[list[LayerRun]] = []

    def _make_parts(self, in_segments: bool) -> list[Segment]:
        """Cut a batch into segments, from its sizes alone: no bit depends on the memory."""
        index = self.index
        if self.recurrent:
            cuts = cut(self.network, index.packing)
            if len(cuts) > 1:
                return make_segments(self.program, index.packing, index.first, cuts, in_segments)
        return [Segment.whole(index.N, self.B)]

    def _tile(self, layer: Layer) -> tuple[tuple[Tiling, ...], tuple[int, ...]]:
        """Choose the tilings of a layer's loops, and send the counters at which blocks wait."""
        if not self.recurrent:
            return (), ()
        itemsize = np.dtype(self.program.dtype).itemsize
        sizes = layer.cell, layer.units, self.B, itemsize, self.context.limits
        tilings = choose(*sizes, back=False), choose(*sizes, back=True)
        launches = len(self.parts) if self._in_segments else 1
        # All segments but the last one are run forward twice.
        counts = 2 * launches - 1, launches
        zeros = [
            np.zeros(count * each.groups * loops.COUNTER_STRIDE, np.int64)
            for each, count in zip(tilings, counts, strict=True)
        ]
        return tilings, tuple(map(self.program.send_indices, zeros))

    def _make_pooling(self) -> CudaPooling | None:
        """Return the pooling, if there is one, which goes on from the last initial state."""
        pooling = self.network.pooling
        if pooling is None:
            return None
        before = self._initial_states[-1] if self._initial_states else -1
        mask = gather.Mask(self.masks[-1], pooling.features) if self.masks else gather.Mask()
        return CudaPooling(pooling, self.index, before, mask, len(self.spans))

    @property
    def count(self) -> int:
        """How many rows the features have."""
        return self.index.N if self.step else self.B

    # -- forward -----------------------------------------------------------------------------------

    def forward(self) -> None:
        """Run every layer but the head, over all segments."""
        index = self.index
        index.launch()
        whole = Segment.whole(index.N, self.B)
        whole = whole._replace(lengths=index.lengths, first=index.first, last=index.last)
        self._segments = self.parts if self._in_segments else [whole]
        # Steps over which one level runs after the other.
        self.spans = [whole] if len(self.network.levels[0]) > 1 else self._segments
        initial = iter(self._initial_states)
        self.levels = [
            [
                LayerRun(
                    self.program,
                    layer,
                    self.B,
                    self._segments,
                    next(initial, -1),
                    *self._tilings[layer.name],
                )
                for layer in level
            ]
            for level in self.network.levels
        ]
        self._pooling = self._make_pooling()
        for span in self.spans[:-1]:
            with self.program.scratch():
                self._forward(span)
        self._forward(self.spans[-1])
        self.final_states = []
        if self.recurrent:
            self.final_states = [run.final for level in self.levels for run in level]
        if self._pooling:
            self.features = self._pooling.pooled()
            self.final_states.append(self._pooling.final)

    def _forward(self, span: Segment, again: bool = False) -> None:
        """Run every layer but the head over some steps."""
        self.span = span
        self.inputs: list[list[Matrix]] = []
        inputs = self._inputs()
        for depth, level in enumerate(self.levels):
            self.inputs.append(inputs)
            output = self._output(depth)
            for direction, run in enumerate(level):
                for segment in span.among(self._segments):
                    self._run(run, inputs[direction], segment, again)
                    if output:
                        self._put(depth, direction, segment, output)
            if self._is_final(depth):
                if span.going_on:
                    return  # nobody reads how far the sequences have come
                output = self._final_output(depth)
            self.features = output or level[0].states()
            inputs = [self.features, self.features._replace(row_index=self.index.mirror)]
        if self._pooling:
            self._pooling.forward(self.features, span, again)

    def _inputs(self) -> list[Matrix]:
        """Return the first level's input for each direction."""
        index = self.index
        base = index.data
        width = self.network.levels[0][0].features
        if index.tokens:
            base = self.context.addresses.parameter("embedding.W")
        if self.recurrent:
            return [Matrix(base, width, index.source), Matrix(base, width, index.back)]
        F = width // self.network.window
        steps = index.n_window_steps
        flat = Matrix(self.program.allocate(steps * F), F)  # (steps, F)
        gather.copy_rows(self.program, flat, Matrix(base, F, index.source), (steps, F))
        return [flat._replace(row_index=index.windows)]

    def _run(self, run: LayerRun, inputs: Matrix, segment: Segment, again: bool) -> None:
        """Run a layer over a segment."""
        if again:
            run.keep_gradient(segment)
        run.begin(segment)
        layer = run.layer
        weights = self.context.addresses.weights(layer)
        shape = segment.rows, run.gate_columns, layer.features
        # (N, S * H), of which the input feeds the first G * H columns.
        sums = segment.of(run.sums)
        add_product(self.program, segment.of(inputs), weights.W_ih, sums, shape, bias=weights.b_ih)
        if not self.recurrent:
            self._apply(gather.apply, run, run.state)
            return
        run.forward(segment)
        if not again:
            run.keep_ends(segment)

    def _apply(self, make: Callable[[str], Any], run: LayerRun, state: int) -> None:
        """Apply the rule of a cell without recurrence, or its gradient, to all rows."""
        size = self.index.N * run.H
        arguments = gather.CellArguments(run.slots, size, state)
        self.program.over(make(run.layer.cell_name), size, arguments)

    # -- outputs of a level ------------------------------------------------------------------------

    def _is_final(self, depth: int) -> bool:
        """Whether a level's output is its last states, one row per sequence."""
        return self.recurrent and depth == self._last_depth and not self.network.every_step

    def _mask(self, depth: int, direction: int, segment: Segment) -> gather.Mask:
        """Return the dropout mask of what a direction outputs in a segment."""
        last = depth == self._last_depth
        if not self.masks or (last and self._pooling):  # what is pooled is dropped afterwards
            return gather.Mask()
        one_row = last and not self.step
        member = -1 if one_row else self.index.member + segment.row
        column = direction * self.network.levels[depth][0].units
        return gather.Mask(self.masks[depth] + column, self.network.widths[depth], member)

    def _new_rows(self, segment: Segment, columns: int) -> Matrix:
        """Allocate rows for a segment; the address is that of row 0."""
        address = self.program.allocate(segment.rows * columns)
        return Matrix(address - segment.row * columns, columns)

    def _output(self, depth: int) -> Matrix | None:
        """Allocate a level's output of every step, unless that is the states themselves."""
        if self._is_final(depth) or (len(self.levels[depth]) == 1 and not self.masks):
            return None
        return self._new_rows(self.span, self.network.widths[depth])

    def _put(self, depth: int, direction: int, segment: Segment, output: Matrix) -> None:
        """Copy what a direction outputs in a segment, after dropout, to the level's output."""
        run = self.levels[depth][direction]
        rows = self.index.mirror if direction else -1
        target = Matrix(output.address + direction * run.H, output.stride, rows)
        shape = segment.rows, run.H
        mask = self._mask(depth, direction, segment)
        gather.copy_rows(self.program, segment.of(target), segment.of(run.states()), shape, mask)

    def _final_output(self, depth: int) -> Matrix:
        """Return a level's output where that is its last states, after dropout."""
        D = self.network.widths[depth]
        output = Matrix(self.program.allocate(self.B * D), D)  # (B, D)
        for direction, run in enumerate(self.levels[depth]):
            target = output._replace(address=output.address + direction * run.H)
            mask = self._mask(depth, direction, self.span)
            gather.copy_rows(self.program, target, run.final, (self.B, run.H), mask)
        return output

    # -- reading -----------------------------------------------------------------------------------

    def final_features(self) -> Matrix:
        """Return the features at each sequence's last step."""
        return self.features._replace(row_index=self.index.last)

    def read_features(self) -> Callable[[], np.ndarray]:
        """Copy the features to one array; returns the function that reads them, (count, D)."""
        shape = self.count, self.network.head.features
        target = Matrix(self.program.allocate(shape[0] * shape[1]), shape[1])
        gather.copy_rows(self.program, target, self.features, shape)
        floats = self.context.memory.floats
        return lambda: floats.fetch(target.address, shape[0] * shape[1]).reshape(shape)
