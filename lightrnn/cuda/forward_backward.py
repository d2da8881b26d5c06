"""One batch through all layers of a network on the GPU, and back: the program that does it."""

from __future__ import annotations

from typing import Any

from ..losses import Loss
from . import gather
from .forward import CudaForward
from .heads import Head
from .layer_run import LayerRun
from .matmul import add_product, bias_gradient, weight_gradient
from .memory import Matrix
from .program import Sent
from .reductions import AddPartsArguments, add_parts, add_up
from .segments import Segment


class CudaForwardBackward(CudaForward):
    """A program for one batch that learns from it; the parameters are those of `CudaForward`."""

    def sends(self, head: Head, loss: Loss, targets: Any, weights: Any) -> list[dict[str, Any]]:
        """Return the arrays that a head needs for each of the `parts`, or once for all."""
        if not self.step:
            return [head.sends(loss, targets, weights)]
        rows = [slice(part.row, part.row + part.rows) for part in self.parts]
        return [head.sends(loss, targets[some], weights[some]) for some in rows]

    def learn(self, head: Head, loss: Loss, sent: list[dict[str, Sent]], learn: bool) -> None:
        """Compute the loss and, with `learn`, go back through all segments, the last one first."""
        program = self.program
        self.forward()
        results = self.context.addresses.results
        losses = results if len(sent) == 1 else program.allocate(len(sent))
        dfeatures = -1
        if not self.step:
            dfeatures = head.learn(program, loss, self.features, sent[0], losses, learn)
        if learn:
            self._begin_back(dfeatures)
        for segment in reversed(self.segments):
            with program.scratch():
                if segment.going_on:
                    self._forward_again(segment)
                if self.step:
                    dfeatures = self._head_back(head, loss, sent, losses, learn)
                if learn:
                    self._levels_back(dfeatures)
        if len(sent) > 1:
            add_up(program, losses, len(sent), results)
        if learn and self._table >= 0:
            self._add_table()

    def _forward_again(self, segment: Segment) -> None:
        """Compute the gates of a segment for the second time."""
        for level in self.levels:
            for run in level:
                run.keep_gradient(segment)
        self._forward(segment, again=True)

    @property
    def _parts_here(self) -> list[Segment]:
        """Parts of the segment, the last one first."""
        return [self.segment] if self.in_segments else self.parts[::-1]

    def _head_back(
        self, head: Head, loss: Loss, sent: list[dict[str, Sent]], losses: int, learn: bool
    ) -> int:
        """Run a head over the segment's steps; return the address of the features' gradient."""
        program = self.program
        D = self.network.head.features
        together = self._new_rows(D)
        for part in self._parts_here:
            h = program, loss, part.of(self.features), sent[part.number], losses + part.number
            if len(self._parts_here) == 1:
                dfeatures = head.learn(*h, learn, part.going_on > 0)
                return dfeatures - part.row * D
            with program.scratch():
                dfeatures = head.learn(*h, learn, part.going_on > 0)
                if learn:
                    shape = part.rows, D
                    gather.copy_rows(program, part.of(together), Matrix(dfeatures, D), shape)
        return together.address

    def _begin_back(self, dfeatures: int) -> None:
        """Set the gradients of the final states."""
        self._table = self._make_table()
        if not self.recurrent:
            return
        for depth, level in enumerate(self.levels):
            D = sum(run.H for run in level)
            column = 0
            for run in level:
                run.begin_back()
                if self._is_final(depth):
                    doutput = Matrix(dfeatures + column, D)
                    mask = self._mask(depth, column)
                    gather.copy_rows(self.program, run.dstate, doutput, (self.B, run.H), mask)
                column += run.H

    def _levels_back(self, dfeatures: int) -> None:
        """Take the gradient of the features, (count, D), back to every parameter."""
        if self._pooling:
            dfeatures = self._pooling.backward(dfeatures, self.segment, self._parts_here)
        for depth in reversed(range(len(self.levels))):
            dfeatures = self._level_back(depth, dfeatures)
        if self.network.embedding is not None:
            self._embedding_back(dfeatures)

    def _level_back(self, depth: int, doutput: int) -> int:
        """Return the gradient of a level's input; -1 if it is not needed."""
        level = self.levels[depth]
        D = sum(run.H for run in level)
        wanted = depth > 0 or self.network.embedding is not None
        dX = self._new_rows(level[0].layer.features) if wanted else Matrix(-1, 0)
        column = 0
        for direction, run in enumerate(level):
            part = Matrix(doutput + column, D)
            mask = self._mask(depth, column)
            if self.recurrent:
                dh = Matrix(0, 0)
                if not self._is_final(depth):
                    dh = self._arriving(run, part, mask, direction)
                run.backward(self.segment, dh)
            else:
                self._window_back(run, part, mask)
            self._gradients(run, self.inputs[depth][direction])
            if wanted:
                self._input_back(run, direction, dX)
            column += run.H
        return dX.address

    def _arriving(
        self, run: LayerRun, doutput: Matrix, mask: gather.Mask, direction: int
    ) -> Matrix:
        """Return the gradient that reaches each h, (N, H), from that of the level's output."""
        if not direction and not self.masks:
            return doutput
        segment = self.segment
        mirrored = doutput._replace(row_index=self.index.mirror if direction else -1)
        dh = self._new_rows(run.H)
        source = segment.of(mirrored)
        gather.copy_rows(self.program, segment.of(dh), source, (segment.rows, run.H), mask)
        return dh

    def _window_back(self, run: LayerRun, doutput: Matrix, mask: gather.Mask) -> None:
        """Take the gradient of a level's output back through the rule."""
        if self.masks:
            shape = self.index.N, run.H
            dropped = Matrix(self.program.allocate(shape[0] * shape[1]), run.H)
            gather.copy_rows(self.program, dropped, doutput, shape, mask)
            doutput = dropped
        self._apply(gather.apply_back, run, doutput.address)

    def _gradients(self, run: LayerRun, inputs: Matrix) -> None:
        """Compute the gradients of a layer's parameters from that of the sums, part by part."""
        gradient = self.context.addresses.gradients(run.layer)
        program = self.program
        H = run.H
        columns = run.gate_columns
        sums = run.sums
        state_sums = sums._replace(address=run.slots + run.slot_columns - columns)
        for part in self._parts_here:
            N = part.rows
            adds = part.going_on > 0
            shape = run.layer.features, columns, N
            here = part.of(sums)
            weight_gradient(program, part.of(inputs), here, gradient.W_ih, shape, adds=adds)
            bias_gradient(program, here, N, gradient.b_ih, columns, adds=adds)
            if self.recurrent:
                here = part.of(state_sums)  # those of the state's gates
                shape = H, columns, N
                # (N, H): h before each row's step.
                before = part.of(Matrix(run.state, run.state_columns, self.index.before))
                weight_gradient(program, before, here, gradient.W_hh, shape, adds=adds)
                if run.layer.cell.two_biases:
                    bias_gradient(program, here, N, gradient.b_hh, columns, adds=adds)

    def _input_back(self, run: LayerRun, direction: int, dX: Matrix) -> None:
        """Compute the gradient of a layer's input; a second direction adds its own."""
        segment = self.segment
        W_ih = self.context.addresses.weights(run.layer).W_ih
        mirrored = dX._replace(row_index=self.index.mirror if direction else -1)
        target = segment.of(mirrored)
        shape = segment.rows, run.layer.features, run.gate_columns
        sums = segment.of(run.sums)
        add_product(self.program, sums, W_ih, target, shape, turn_b=True, adds=bool(direction))

    def _embedding_back(self, dX: int) -> None:
        """Add the gradient of the first level's input to that of the embedding."""
        embedding: Any = self.network.embedding
        index = self.index
        program = self.program
        size = embedding.size
        codes = index.source
        if not self.recurrent:
            flat = program.allocate(index.n * size)  # (n, size)
            last = int(index.packing.last)
            sizes = self.network.window, size, last
            scatter = gather.ScatterArguments(flat, dX, index.lengths, index.starts, *sizes)
            program.blocks(gather.scatter_windows(program.dtype), self.B, scatter)
            codes = index.codes
            dX = flat
        gradient = self.context.addresses.gradient_of("embedding.W")
        table = gradient if self._table < 0 else self._table
        for part in self._parts_here:
            # A tied head has put its own gradient there.
            adds = (table == gradient and self.network.head.layer.tied) or part.going_on > 0
            rows = part.rows if self.recurrent else index.n
            source = dX + part.row * size
            arguments = gather.AddByCodeArguments(
                table, codes + part.row, rows, source, size, int(adds)
            )
            program.blocks(gather.add_by_code(program.dtype), embedding.n_tokens, arguments)

    def _make_table(self) -> int:
        """Return where the embedding's gradient is added up, -1 for its own place.

        A tied head adds there, too, part by part: either sum must be complete before.
        """
        embedding = self.network.embedding
        if not self.network.head.layer.tied or embedding is None or len(self.parts) == 1:
            return -1
        return self.program.allocate(embedding.n_tokens * embedding.size)

    def _add_table(self) -> None:
        """Add the embedding's gradient to that of a tied head."""
        embedding: Any = self.network.embedding
        size = embedding.n_tokens * embedding.size
        gradient = self.context.addresses.gradient_of("embedding.W")
        arguments = AddPartsArguments(self._table, 1, gradient, size, adds=1)
        self.program.over(add_parts(), size, arguments)
