"""One batch through all layers of a network on the GPU, forward and back: the program that does it.

Unlike `lightrnn.nn.forward_backward` it copies hardly any rows: a product reads them through an
index that reverses, looks up and windows them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..nn.batches import Batch
from ..nn.layers import Layer
from ..nn.stack import Stack
from . import gather
from .batch_index import BatchIndex
from .context import Context
from .jit import Grid
from .matmul import add_product, bias_gradient, weight_gradient
from .memory import Matrix
from .pooling import CudaPooling
from .program import Program
from .recurrence import loops
from .recurrence.rule import BackwardArguments, ForwardArguments, Schedule
from .recurrence.tiling import Tiling, choose


class CudaLayerBuffers(NamedTuple):
    """Addresses of a layer's arrays, and how its two loops are tiled."""

    layer: Layer
    slots: int  # (N, S * H)
    state: int  # (B + N, Z * H), the initial state first; without recurrence (N, H)
    tilings: tuple[Tiling, ...]  # forward, back
    counters: tuple[int, ...]  # for each loop (groups * loops.COUNTER_STRIDE,)


class CudaForwardBackward:
    """A program for one batch: `forward` comes first, then the head, then `backward`.

    Parameters
    ----------
    context : Context
        The GPU, and the network's memory on it.
    network : Stack
        Network on the CPU, whose layers these are.
    batch : Batch
        Sequences to run over.

    Attributes
    ----------
    program : Program
        More may be sent before `forward`, and more launched after it.
    features : Matrix (count, D)
        Input of the head.
    final_states : list of tuple (address, columns)
        Each layer's and direction's states after the last steps, (B, columns), then pooled rows.
    """

    def __init__(self, context: Context, network: Stack, batch: Batch) -> None:
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
        self._tilings = {
            layer.name: self._tile(layer) for level in network.levels for layer in level
        }
        self._pooling = self._make_pooling()
        self.levels: list[list[CudaLayerBuffers]] = []
        self.inputs: list[list[Matrix]] = []
        self.final_states: list[tuple[int, int]] = []

    def _tile(self, layer: Layer) -> tuple[tuple[Tiling, ...], tuple[int, ...]]:
        """Choose the tilings of a layer's loops, and send the counters at which blocks wait."""
        if not self.recurrent:
            return (), ()
        itemsize = np.dtype(self.program.dtype).itemsize
        sizes = layer.cell, layer.units, self.B, itemsize, self.context.limits
        tilings = choose(*sizes, back=False), choose(*sizes, back=True)
        zeros = [np.zeros(each.groups * loops.COUNTER_STRIDE, np.int64) for each in tilings]
        return tilings, tuple(map(self.program.send_indices, zeros))

    def _make_pooling(self) -> CudaPooling | None:
        """Return the pooling, if there is one, which goes on from the last initial state."""
        pooling = self.network.pooling
        if pooling is None:
            return None
        before = self._initial_states[-1] if self._initial_states else -1
        mask = gather.Mask(self.masks[-1], pooling.features) if self.masks else gather.Mask()
        return CudaPooling(pooling, self.index, before, mask)

    @property
    def count(self) -> int:
        """How many rows the features have."""
        return self.index.N if self.step else self.B

    # -- forward -----------------------------------------------------------------------------------

    def forward(self) -> None:
        """Run every layer but the head."""
        self.index.launch()
        self.levels = [[self._buffers(layer) for layer in level] for level in self.network.levels]
        inputs = self._inputs()
        number = 0
        for depth, level in enumerate(self.levels):
            self.inputs.append(inputs)
            for run, matrix in zip(level, inputs, strict=False):
                self._add_input(run, matrix)
                if self.recurrent:
                    self._loop(run, number)
                else:
                    self._apply(gather.apply, run, run.state)
                number += 1
            inputs = self._outputs_of(depth)
        if self.recurrent:
            self.final_states = [self._final_state(run) for level in self.levels for run in level]
        self.features = inputs[0]
        if self._pooling:
            self.features = self._pooling.forward(inputs[0])
            self.final_states.append((self._pooling.address, self._pooling.columns))

    def _buffers(self, layer: Layer) -> CudaLayerBuffers:
        """Allocate the arrays of a layer."""
        rows = self.index.N
        slots = self.program.allocate(rows * len(layer.cell.slots) * layer.units)
        if self.recurrent:
            rows += self.B
        state = self.program.allocate(rows * len(layer.cell.states) * layer.units)
        return CudaLayerBuffers(layer, slots, state, *self._tilings[layer.name])

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

    def _add_input(self, run: CudaLayerBuffers, inputs: Matrix) -> None:
        """Multiply a layer's input with its weights."""
        layer = run.layer
        columns = len(layer.cell.gates) * layer.units
        weights = self.context.addresses.weights(layer)
        shape = self.index.N, columns, layer.features
        # (N, S * H), of which the input feeds the first G * H columns.
        slots = Matrix(run.slots, len(layer.cell.slots) * layer.units)
        add_product(self.program, inputs, weights.W_ih, slots, shape, bias=weights.b_ih)

    def _loop(self, run: CudaLayerBuffers, number: int) -> None:
        """Run a recurrent layer through time."""
        columns = len(run.layer.cell.states) * run.layer.units
        if self._initial_states:
            initial = Matrix(self._initial_states[number], columns)
            gather.copy_rows(self.program, Matrix(run.state, columns), initial, (self.B, columns))
        else:
            gather.let_be_zero(self.program, run.state, self.B * columns)
        weights = self.context.addresses.weights(run.layer)
        arguments = partial(
            ForwardArguments, run.slots, run.state, weights.W_hh.address, weights.b_hh
        )
        self._launch_loop(loops.forward, run, arguments, back=False)

    def _launch_loop(
        self,
        make: Callable[[Any], Any],
        run: CudaLayerBuffers,
        arguments: Callable[..., tuple[object, ...]],
        *,
        back: bool,
    ) -> None:
        """Launch a time loop; all blocks must run at once where some wait for others."""
        tiling = run.tilings[back]
        kernel = make(tiling.form(run.layer.cell_name, self.program.dtype))
        blocks = tiling.groups * tiling.blocks
        together = tiling.blocks > 1
        grid = Grid((blocks, 1, 1), (tiling.threads, 1, 1), tiling.shared, together)
        schedule = Schedule(
            lengths=self.index.lengths,
            first=self.index.first,
            counters=run.counters[back],
            B=self.B,
            tiling=tiling,
        )
        self.program.launch(kernel, grid, arguments(run.layer.units, schedule))

    def _apply(self, make: Callable[[str], Any], run: CudaLayerBuffers, state: int) -> None:
        """Apply the rule of a cell without recurrence, or its gradient, to all rows."""
        size = self.index.N * run.layer.units
        arguments = gather.CellArguments(run.slots, size, state)
        self.program.over(make(run.layer.cell_name), size, arguments)

    # -- outputs of a level ------------------------------------------------------------------------

    def _state(self, run: CudaLayerBuffers, row_index: int = -1) -> Matrix:
        """Return a layer's h after each row's step, or after those of an index."""
        stride = len(run.layer.cell.states) * run.layer.units
        before = self.B if self.recurrent else 0
        return Matrix(run.state + before * stride, stride, row_index)

    def _final_state(self, run: CudaLayerBuffers) -> tuple[int, int]:
        """Copy a layer's states after the last steps; return their address and columns."""
        columns = len(run.layer.cell.states) * run.layer.units
        address = self.program.allocate(self.B * columns)
        source = self._state(run, self.index.last)
        gather.copy_rows(self.program, Matrix(address, columns), source, (self.B, columns))
        return address, columns

    def _is_final(self, depth: int) -> bool:
        """Whether a level's output is its last states, one row per sequence."""
        return self.recurrent and depth == self._last_depth and not self.network.every_step

    def _path(self, depth: int, direction: int) -> int:
        """Return the index of a direction's rows that are the level's output, or -1."""
        if self._is_final(depth):
            return self.index.last
        return self.index.mirror if direction else -1

    def _mask(self, depth: int, column: int) -> gather.Mask:
        """Return a level's dropout mask from a column on."""
        last = depth == self._last_depth
        if not self.masks or (last and self._pooling):  # what is pooled is dropped afterwards
            return gather.Mask()
        one_row = last and not self.step
        member = -1 if one_row else self.index.member
        return gather.Mask(self.masks[depth] + column, self.batch.masks[depth].shape[1], member)

    def _outputs_of(self, depth: int) -> list[Matrix]:
        """Return a level's output for each direction of the next level."""
        level = self.levels[depth]
        if len(level) == 1 and not self.masks and self._path(depth, 0) < 0:
            return [self._state(level[0])]
        D = sum(run.layer.units for run in level)
        count = self.B if self._is_final(depth) else self.index.N
        output = self.program.allocate(count * D)  # (count, D)
        column = 0
        for direction, run in enumerate(level):
            H = run.layer.units
            source = self._state(run, self._path(depth, direction))
            mask = self._mask(depth, column)
            gather.copy_rows(self.program, Matrix(output + column, D), source, (count, H), mask)
            column += H
        return [Matrix(output, D), Matrix(output, D, self.index.mirror)][: len(level)]

    # -- back --------------------------------------------------------------------------------------

    def backward(self, dfeatures: int) -> None:
        """Take the gradient of the features, (count, D), back to every parameter."""
        if self._pooling:
            dfeatures = self._pooling.backward(dfeatures)
        for depth in reversed(range(len(self.levels))):
            dfeatures = self._level_back(depth, dfeatures)
        if self.network.embedding is not None:
            self._embedding_back(dfeatures)

    def _level_back(self, depth: int, doutput: int) -> int:
        """Return the gradient of a level's input; -1 if it is not needed."""
        level = self.levels[depth]
        D = sum(run.layer.units for run in level)
        wanted = depth > 0 or self.network.embedding is not None
        dX = self.program.allocate(self.index.N * level[0].layer.features) if wanted else -1
        column = 0
        for direction, run in enumerate(level):
            part = Matrix(doutput + column, D)
            mask = self._mask(depth, column)
            if self.recurrent:
                final = self._is_final(depth)
                self._loop_back(run, part, mask, final, self._path(depth, direction))
            else:
                self._window_back(run, part, mask)
            self._gradients(run, self.inputs[depth][direction])
            if wanted:
                self._input_back(run, direction, dX)
            column += run.layer.units
        return dX

    def _loop_back(
        self, run: CudaLayerBuffers, doutput: Matrix, mask: gather.Mask, final: bool, path: int
    ) -> None:
        """Take the gradient of a direction's output, (rows, H), back through time.

        The output is the final states if `final`, else the rows that the index `path` says.
        """
        H = run.layer.units
        G = len(run.layer.cell.gates)
        Z = len(run.layer.cell.states)
        N = self.index.N
        dstate = Matrix(self.program.allocate(self.B * Z * H), Z * H)  # (B, Z * H)
        gather.let_be_zero(self.program, dstate.address, self.B * Z * H)
        dh = Matrix(-1, 0)
        if final:
            gather.copy_rows(self.program, dstate, doutput, (self.B, H), mask)
        elif path < 0 and not self.masks:
            dh = doutput
        else:
            dh = Matrix(self.program.allocate(N * H), H)  # (N, H)
            gather.copy_rows(self.program, dh, doutput._replace(row_index=path), (N, H), mask)
        # Transposed, so that neighbouring threads read neighbouring weights here, too.
        turned = self.program.allocate(H * G * H)  # (G * H, H)
        W_hh = self.context.addresses.weights(run.layer).W_hh.address
        transposed = gather.TransposeArguments(turned, W_hh, H, G * H)
        self.program.over(gather.transpose(), H * G * H, transposed)
        arguments = partial(
            BackwardArguments, run.slots, run.state, turned, dstate.address, dh.address, dh.stride
        )
        self._launch_loop(loops.backward, run, arguments, back=True)

    def _window_back(self, run: CudaLayerBuffers, doutput: Matrix, mask: gather.Mask) -> None:
        """Take the gradient of a level's output back through the rule."""
        if self.masks:
            shape = self.index.N, run.layer.units
            dropped = Matrix(self.program.allocate(shape[0] * shape[1]), run.layer.units)
            gather.copy_rows(self.program, dropped, doutput, shape, mask)
            doutput = dropped
        self._apply(gather.apply_back, run, doutput.address)

    def _gradients(self, run: CudaLayerBuffers, inputs: Matrix) -> None:
        """Compute the gradients of a layer's parameters from that of the sums."""
        layer = run.layer
        gradient = self.context.addresses.gradients(layer)
        program = self.program
        N = self.index.N
        H = layer.units
        S = len(layer.cell.slots)
        columns = len(layer.cell.gates) * H
        sums = Matrix(run.slots, S * H)  # (N, S * H)
        weight_gradient(program, inputs, sums, gradient.W_ih, (layer.features, columns, N))
        bias_gradient(program, sums, N, gradient.b_ih, columns)
        if self.recurrent:
            sums = Matrix(run.slots + S * H - columns, S * H)  # those of the state's gates
            # (N, H): h before each row's step.
            before = Matrix(run.state, len(layer.cell.states) * H, self.index.before)
            weight_gradient(program, before, sums, gradient.W_hh, (H, columns, N))
            if layer.cell.two_biases:
                bias_gradient(program, sums, N, gradient.b_hh, columns)

    def _input_back(self, run: CudaLayerBuffers, direction: int, dX: int) -> None:
        """Compute the gradient of a layer's input; a second direction adds its own."""
        layer = run.layer
        columns = len(layer.cell.gates) * layer.units
        sums = Matrix(run.slots, len(layer.cell.slots) * layer.units)
        W_ih = self.context.addresses.weights(layer).W_ih
        target = Matrix(dX, layer.features, self.index.mirror if direction else -1)
        shape = self.index.N, layer.features, columns
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
        table = self.context.addresses.gradient_of("embedding.W")
        # A tied head has put its own gradient there.
        adds = int(self.network.head.layer.tied)
        arguments = gather.AddByCodeArguments(table, codes, index.n, dX, size, adds)
        program.blocks(gather.add_by_code(program.dtype), embedding.n_tokens, arguments)

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
