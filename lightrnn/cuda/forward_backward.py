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

    def sends(self, head: Head, loss: Loss) -> list[dict[str, Any]]:
        """Return the arrays that a head needs for each of the `parts`, or once for all."""
        batch = self.batch
        if not self.step:
            return [head.sends(loss, batch.targets, batch.weights / batch.n_targets)]
        by_step = self.index.packing.by_step
        targets = by_step(batch.targets)
        # Equal weights then sum to 1 over the batch: the loss is a mean.
        weights = by_step(batch.weights) / batch.n_targets
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
        for span in reversed(self.spans):
            with program.scratch():
                if span.going_on:
                    self._forward(span, again=True)
                if self.step:
                    dfeatures = self._head_back(head, loss, sent, losses, learn)
                if learn:
                    self._levels_back(dfeatures)
        if len(sent) > 1:
            add_up(program, losses, len(sent), results)
        if learn and self._table >= 0:
            self._add_table()

    @property
    def _parts_here(self) -> list[Segment]:
        """Parts of the span, the last one first."""
        return self.span.among(self.parts)[::-1]

    def _head_back(
        self, head: Head, loss: Loss, sent: list[dict[str, Sent]], losses: int, learn: bool
    ) -> int:
        """Run a head over the span's steps; return the address of the features' gradient."""
        program = self.program
        parts = self._parts_here
        D = self.network.head.features
        together = Matrix(-1, D)
        if learn and len(parts) > 1:
            together = self._new_rows(self.span, D)
        for part in parts:
            h = program, loss, part.of(self.features), sent[part.number], losses + part.number
            if len(parts) == 1:
                return head.learn(*h, learn, part.going_on > 0) - part.row * D
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
            D = self.network.widths[depth]
            for direction, run in enumerate(level):
                run.begin_back()
                if self._is_final(depth):
                    doutput = Matrix(dfeatures + direction * run.H, D)
                    mask = self._mask(depth, direction, self.span)
                    gather.copy_rows(self.program, run.dstate, doutput, (self.B, run.H), mask)

    def _levels_back(self, dfeatures: int) -> None:
        """Take the gradient of the features, (count, D), back to every parameter."""
        if self._pooling:
            dfeatures = self._pooling.backward(dfeatures, self.span, self._parts_here)
        for depth in reversed(range(len(self.levels))):
            dfeatures = self._level_back(depth, dfeatures)
        if self.network.embedding is not None:
            self._embedding_back(dfeatures)

    def _level_back(self, depth: int, doutput: int) -> int:
        """Return the gradient of a level's input; -1 if it is not needed."""
        level = self.levels[depth]
        wanted = depth > 0 or self.network.embedding is not None
        dX = self._new_rows(self.span, level[0].layer.features) if wanted else Matrix(-1, 0)
        for direction, run in enumerate(level):
            inputs = self.inputs[depth][direction]
            rows = self.index.mirror if direction else -1
            arriving = Matrix(doutput + direction * run.H, self.network.widths[depth], rows)
            segments = self.span.among(self._segments)
            for segment in reversed(segments):
                with self.program.scratch():
                    if segment is not segments[-1]:  # the gates of the last one are still there
                        self._run(run, inputs, segment, again=True)
                    self._run_back(depth, direction, segment, arriving)
                    self._gradients(run, segment, inputs)
                    if wanted:
                        self._input_back(run, segment, dX._replace(row_index=rows))
        return dX.address

    def _run_back(self, depth: int, direction: int, segment: Segment, doutput: Matrix) -> None:
        """Take the gradient of what a direction outputs in a segment back to that of its sums."""
        run = self.levels[depth][direction]
        dh = Matrix(0, 0)
        if not self._is_final(depth):
            dh = doutput
            if direction or self.masks:
                dh = self._new_rows(segment, run.H)
                shape = segment.rows, run.H
                mask = self._mask(depth, direction, segment)
                gather.copy_rows(self.program, segment.of(dh), segment.of(doutput), shape, mask)
        if self.recurrent:
            run.backward(segment, dh)
        else:
            self._apply(gather.apply_back, run, dh.address)

    def _gradients(self, run: LayerRun, segment: Segment, inputs: Matrix) -> None:
        """Compute the gradients of a layer's parameters from that of the sums, part by part."""
        gradient = self.context.addresses.gradients(run.layer)
        program = self.program
        H = run.H
        columns = run.gate_columns
        sums = run.sums
        state_sums = sums._replace(address=run.slots + run.slot_columns - columns)
        for part in reversed(segment.among(self.parts)):
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

    def _input_back(self, run: LayerRun, segment: Segment, dX: Matrix) -> None:
        """Compute the gradient of a layer's input; that of a second direction is added."""
        W_ih = self.context.addresses.weights(run.layer).W_ih
        shape = segment.rows, run.layer.features, run.gate_columns
        sums = segment.of(run.sums)
        adds = dX.row_index >= 0
        add_product(self.program, sums, W_ih, segment.of(dX), shape, turn_b=True, adds=adds)

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
