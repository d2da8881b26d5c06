"""One batch through all layers of a network, forward and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import cpu
from ..losses import Loss
from .inputs import BatchInputs
from .output_layer import LossTargets
from .packing import blocks
from .pooling import Pooling
from .segments import WHOLE, spans
from .workspace import LayerBuffers, steps_at_once

if TYPE_CHECKING:
    from ..cpu.recurrence import LayerWeights


class ForwardBackward(BatchInputs):
    """A run over one batch: `forward` comes first, then outputs are read or `learn` runs back.

    A level's output is a view of the state where the level has one direction and there is no
    dropout; else it is a copy. So is the gradient of the output in the backward pass.

    The parameters are those of `BatchInputs`.
    """

    parts = 1  # of the steps, which the forward pass runs side by side: see `keep_parts`

    # -- forward -----------------------------------------------------------------------------------

    def forward(self, kept: bool = True) -> None:
        """Run every layer but the head; what `learn` needs is `kept`, or at once overwritten."""
        X = self._inputs()
        states = iter(self.batch.states)
        for number, level in enumerate(self._levels):
            in_place = not kept and self._read_at_ends(number)
            for direction, buffers in enumerate(level):
                buffers.reserve(self._first(number), kept, self.segment, in_place)
                if self.recurrent:
                    # The batch carries states on, or all begin with zeros. They are set every
                    # time, for another run may have used these rows.
                    if self.parts == 1:
                        buffers.state[: self.packing.start] = next(states, 0)
                    else:
                        self._states_before(buffers)[:] = next(states)
                tokens = self.row_tokens[direction] if number == 0 and self.row_tokens else None
                buffers.forward(X[direction], tokens, self.parts)
            X = self._outputs_of(number)
        self.head_inputs = X[0]
        if self.network.pooling:
            self.head_inputs = self.pooled(self.network.pooling, X[0], next(states, None))

    def _read_at_ends(self, number: int) -> bool:
        """Whether nobody reads a level's state at any step but each sequence's last."""
        last = self.recurrent and number == self._last_level and not self.every_step
        # Of segments the states between their parts may be read.
        return last and self.segment == WHOLE

    def _states_before(self, buffers: LayerBuffers) -> np.ndarray:
        """Return a view (parts, B, Z * width) of the states before each part of the steps."""
        B = self.packing.start
        rows = (self.packing.stop - B) // self.parts
        return buffers.state[: self.parts * rows].reshape(self.parts, rows, -1)[:, :B]

    def keep_parts(self, parts: int) -> None:
        """Keep the states between parts of the steps, so that `forward` can run them again at once.

        No sequence may end before the last step.
        """
        self.parts = parts
        layers = [buffers for level in self._levels for buffers in level]
        states = [np.array(self._states_before(buffers)) for buffers in layers]
        self.batch.states = (*states, *self.batch.states[len(layers) :])

    def pooled(self, pooling: Pooling, rows: np.ndarray, before: np.ndarray | None) -> np.ndarray:
        """Return the last level's output pooled for each sequence; `before` is of earlier steps."""
        context = self.batch.context
        run = pooling, rows, self.packing.start + context, self.packing.members[context:]
        if before is None:
            before = np.zeros((len(self.batch.X), pooling.columns), pooling.dtype)
        return self.workspace.pooling.forward(*run, before, self.batch.masks[-1:])

    def _first(self, number: int) -> np.ndarray:
        """Return the first row of each step, or block of rows, of a level."""
        if self.recurrent:
            return self.packing.first
        return blocks(0, self.packing.n_rows if number == 0 else len(self.packing.index))

    def _paths(self, number: int) -> list[np.ndarray] | None:
        """Return for each direction the rows of its state that a level outputs; None for all."""
        packing = self.packing
        directions = len(self._levels[number])
        if not self.recurrent:
            # Only the first level has rows that are never read.
            return None if number or not self.every_step else [packing.index]
        if number == self._last_level and not self.every_step:
            buffers = self._levels[number][0]
            if directions == 1 and buffers.in_place:
                return None
            return [self._last_rows(buffers)] * directions
        return None if directions == 1 else [packing.all_rows, packing.mirrored_rows]

    def _last_rows(self, buffers: LayerBuffers) -> np.ndarray:
        """Return the row of each sequence's last state."""
        return np.arange(buffers.rows) if buffers.in_place else self.packing.last_rows

    def _output_start(self, number: int) -> int:
        """Return the first row of a level's output."""
        # The last level's states of each sequence's end have no rows of an initial state before.
        per_step = self.every_step or number < self._last_level
        start: int = self.packing.start if per_step else 0
        return start

    def _outputs_of(self, number: int) -> list[np.ndarray]:
        """Return a level's output after dropout, for each direction of the next level."""
        level = self._levels[number]
        start = self._output_start(number)
        paths = self._paths(number)
        if paths is None:
            if self._mask(number) is None:
                return [level[0].state]
            paths = [np.arange(start, level[0].rows)]
        columns = self.network.padded_widths[number]
        # (rows, D padded): the directions side by side
        output = self.workspace.outputs[number].at_least(start + len(paths[0]), columns)
        column = 0
        for buffers, path in zip(level, paths, strict=True):
            units = buffers.layer.units
            cpu.gather.gather(output, start, column, buffers.state, path, units)
            column += units
        self._drop(number, output)
        return [output] if number == self._last_level else self._both_ways(number + 1, output)

    def _mask(self, number: int) -> np.ndarray | None:
        """Return the dropout mask of a level's output, None without; pooling has its own."""
        pooled = number == self._last_level and self.network.pooling
        return None if pooled or not self.batch.masks else self.batch.masks[number]

    def _drop(self, number: int, rows: np.ndarray) -> None:
        """Multiply a level's output, or the gradient of it, by its dropout mask."""
        mask = self._mask(number)
        if mask is not None:
            per_sequence = number == self._last_level and not self.step
            members = np.arange(len(self.batch.X)) if per_sequence else self.packing.members
            start = self._output_start(number)
            cpu.gather.scale(rows, start, mask, members)

    # -- reading -----------------------------------------------------------------------------------

    def outputs(self) -> Any:
        """Return raw outputs, (B, k) or a list of (T_i, k), in the batch's order."""
        head = self.network.head
        raw = head.outputs(self.workspace, self.head_inputs, self._start, self._stop)
        # A copy: the next run of this workspace overwrites what the head returned.
        raw = np.array(raw)
        return self.packing.by_sequence(raw) if self.step else raw

    def final_outputs(self) -> np.ndarray:
        """Return raw outputs (B, k) at each sequence's last step, for target "step"."""
        ends = self._ends()
        columns = self.head_inputs.shape[1]
        # (B, D padded)
        rows = self.workspace.last_features.at_least(len(ends), columns)
        cpu.gather.gather(rows, 0, 0, self.head_inputs, ends, columns)
        raw = self.network.head.outputs(self.workspace, rows, 0, len(ends))
        return np.array(raw)

    def _ends(self) -> np.ndarray:
        """Return the row of the features at each sequence's end."""
        ends: np.ndarray = self.packing.last_rows
        return ends if self.step else np.arange(len(ends))

    def features(self) -> Any:
        """Return the last level's output, (B, D) or a list of (T_i, D), in the batch's order."""
        D = self.network.head.features
        # A copy, as of the outputs
        rows = np.array(self.head_inputs[self._start : self._stop, :D])
        return self.packing.by_sequence(rows) if self.step else rows

    def final_states(self) -> list[np.ndarray]:
        """Return what a batch of the next steps begins with, see `Batch.states`."""
        states = []
        if self.recurrent:
            layers = [buffers for level in self._levels for buffers in level]
            states = [buffers.state[self._last_rows(buffers)] for buffers in layers]
        if self.network.pooling:
            states.append(np.array(self.workspace.pooling.pooled[: len(self.batch.X)]))
        return states

    def score(self) -> float:
        """Return the shard's part of the batch's cross-entropy."""
        wanted = self._wanted()
        return self.network.head.score(self.workspace, self.head_inputs, self._start, wanted)

    def _wanted(self) -> LossTargets:
        """Return targets and weights in the order of the outputs' rows."""
        batch = self.batch
        total = float(batch.n_targets)  # kernels are compiled for a float
        if not self.step:
            return LossTargets(batch.targets, batch.weights, total)
        by_step = self.packing.by_step
        return LossTargets(by_step(batch.targets), by_step(batch.weights), total)

    # -- back --------------------------------------------------------------------------------------

    def train(self, loss: Loss, gradients: dict[str, Any]) -> float:
        """Run forward, then `learn`."""
        self.forward()
        return self.learn(loss, gradients)

    def learn(self, loss: Loss, gradients: dict[str, Any]) -> float:
        """Return the shard's part of the batch's loss and add to each layer's gradient."""
        value, doutput = self.head_back(loss, gradients)
        self.embedding_back(self.levels_back(doutput, gradients), gradients)
        return value

    def head_back(self, loss: Loss, gradients: dict[str, Any]) -> tuple[float, np.ndarray]:
        """Return the shard's part of the loss and its gradient with respect to the features."""
        head = self.network.head
        wanted = self._wanted()
        value = 0.0
        # In segments, the last one first, as where only one is in memory: sums keep their order.
        for start, some in reversed(self._head_parts(wanted)):
            h = self.workspace, self.head_inputs, self._start + start
            part, doutput = head.learn(*h, some, loss, gradients)
            value += part
        return value, doutput

    def _head_parts(self, wanted: LossTargets) -> list[tuple[int, LossTargets]]:
        """Return the targets of each segment, and where its outputs begin."""
        if not self.step or not self.recurrent or self.segment != WHOLE:
            return [(0, wanted)]
        first = self.packing.first
        k = steps_at_once(self.network.levels, len(self.packing.lengths), len(first) - 2)
        parts = spans(first, self.packing.start, k)
        return [(start, wanted.part(start, stop)) for start, stop in parts]

    def levels_back(self, doutput: np.ndarray, gradients: dict[str, Any]) -> np.ndarray:
        """Return the gradient of the first level's input from that of the features."""
        if self.network.pooling:
            doutput = self.workspace.pooling.backward(doutput, gradients)
        for number in reversed(range(len(self._levels))):
            doutput = self._level_back(number, doutput, gradients)
        return doutput

    def _back(
        self,
        buffers: LayerBuffers,
        dh: np.ndarray,
        gradients: dict[str, LayerWeights],
        wanted: bool,
    ) -> np.ndarray:
        """Run one layer back; return the gradient of its input, of no columns if not `wanted`."""
        layer = buffers.layer
        # The kernel computes no gradient of the input where that has no columns.
        rows = 0
        columns = 0
        if wanted:
            by_token = self.row_tokens and buffers in self._levels[0]
            rows = len(self.codes) if by_token else buffers.rows
            columns = layer.input_width
        dX = buffers.dX.at_least(rows, columns)
        buffers.backward(dX, dh, gradients[layer.name])
        return dX

    def _level_back(
        self,
        number: int,
        doutput: np.ndarray,
        gradients: dict[str, LayerWeights],
    ) -> np.ndarray:
        """Run one level back, from the gradient of its output to that of its input."""
        level = self._levels[number]
        # Numbers of the user need no gradient, the vectors of an embedding do.
        wanted = number > 0 or self.network.embedding is not None or self.segment.above
        # The factors of the forward pass are those of the backward pass, too.
        self._drop(number, doutput)
        dX = []
        column = 0  # where a direction's units begin in the output
        for direction, buffers in enumerate(level):
            dh = self._arriving(number, direction, doutput, column)
            dX.append(self._back(buffers, dh, gradients, wanted))
            column += buffers.layer.units
        # A trace has columns, whether they are wanted for training or not.
        if len(dX) > 1 and dX[0].shape[1]:
            # Each row of the reverse direction is a row of the forward direction, or a token.
            rows = self.packing.mirrored_rows
            start = self.packing.start
            if self.row_tokens and number == 0:
                rows = self.codes
                start = 0
            cpu.gather.add(dX[0], rows, dX[1], start, level[0].layer.features)
        return dX[0]

    def _arriving(
        self,
        number: int,
        direction: int,
        doutput: np.ndarray,
        column: int,
    ) -> np.ndarray:
        """Return the gradient of a layer's h at each row, and set that of its final states."""
        buffers = self._levels[number][direction]
        paths = self._paths(number)
        # The segment after this one has left the gradient of the state in which these steps end.
        going_on = self.segment.going_on
        buffers.dstate[going_on:] = 0
        if paths is None:
            # The output is the state itself, and so are their gradients.
            return doutput
        units = buffers.layer.units
        path = paths[direction]
        if self.recurrent and number == self._last_level and not self.every_step:
            # Only the final state is read: no step's h gets a gradient from above.
            B = len(path)
            buffers.dstate[going_on:B, :units] = doutput[going_on:B, column : column + units]
            return buffers.nothing
        # (rows, width); the padding is never written and stays zero
        dh = buffers.dh.at_least(buffers.rows, buffers.layer.width)
        if not self.recurrent:
            # Rows that are never read are in no path.
            dh[:] = 0
        cpu.gather.scatter(dh, path, doutput, self._output_start(number), column, units)
        return dh
