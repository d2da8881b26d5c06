"""One batch through all layers of a network on the GPU, forward and back: the program that does it.

Unlike `lightrnn.nn.forward_backward` it copies hardly any rows: a product reads them through an index that reverses,
looks up and windows them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..nn.batches import Batch, Steps, Windows
from ..nn.layers import Layer
from . import gather
from .matmul import Matrix, add_product, bias_gradient, weight_gradient
from .memory import Program
from .recurrence import loops
from .recurrence.tiling import Regime

if TYPE_CHECKING:
    from .network import CudaNetwork


class CudaLayerBuffers(NamedTuple):
    """Where the arrays of one layer's run are, and how its loops are cut."""

    layer: Layer
    slots: int  # (N, S * H)
    state: int  # (B + N, Z * H), the initial state first; without recurrence (N, H)
    regimes: tuple[Regime, ...]  # forward, back
    counters: tuple[int, ...]


class CudaForwardBackward:
    """A program for one batch: `forward` comes first, then what is wanted of it.

    Parameters
    ----------
    twin : CudaNetwork
        Whose layers run.
    batch : Batch
        What they run over.
    sends : callable, optional
        From the order of the rows to what else is needed on the GPU, by name: indices as integers.
    """

    def __init__(
        self,
        twin: CudaNetwork,
        batch: Batch,
        sends: Callable[[Any], dict[str, np.ndarray]] | None = None,
    ) -> None:
        self.twin, self.batch, self.program = twin, batch, Program(twin.memory)
        host = twin.host
        self.step, self.recurrent, self.dtype = (
            host.target == "step",
            host.recurrent,
            twin.dtype_name,
        )
        self.B = len(batch.X)
        self._send_inputs(batch)
        self.masks = [self.program.send(mask) for mask in batch.masks]
        self._starts = [self.program.send(state) for state in batch.states]
        arrays = sends(self.rows) if sends else {}
        self.counts = {name: len(array) for name, array in arrays.items()}
        self.sent = {
            name: (self.program.send_indices if array.dtype.kind == "i" else self.program.send)(
                array
            )
            for name, array in arrays.items()
        }
        self.levels: list[list[CudaLayerBuffers]] = []
        cuts = [[self._cuts(layer) for layer in level] for level in host.levels]
        if self.recurrent:
            self._index()
        for level, cut in zip(host.levels, cuts, strict=True):
            self.levels.append([self._run(layer, *c) for layer, c in zip(level, cut, strict=True)])

    # -- what is sent, and where rows are -----------------------------------------------------------------------------

    def _send_inputs(self, batch: Batch) -> None:
        send, tokens, lengths = (
            self.program.send_indices,
            self.twin.host.embedding is not None,
            batch.lengths,
        )
        self._lengths, starts = send(lengths), np.cumsum(lengths) - lengths
        self._data_rows = int(lengths.sum())
        held = (
            self.twin.cached[1]
            if self.twin.cached and batch.offsets is not None and self.recurrent
            else None
        )
        self._places = send(starts if held is None or batch.offsets is None else batch.offsets)
        if self.recurrent:
            self.rows: Any = Steps.of(lengths)
            self.N, self._first = (
                self._data_rows,
                send(np.append(self.rows.first, self.rows.first[-1])),
            )
        else:
            self._send_windows(lengths)
        if held is None:
            data = np.concatenate(batch.X)
            self._codes, self._data = (send(data), -1) if tokens else (-1, self.program.send(data))
        else:
            self._codes, self._data = (held, -1) if tokens else (-1, held)

    def _send_windows(self, lengths: np.ndarray) -> None:
        """Send where windows begin, and what they look at."""
        send = self.program.send_indices
        self.rows = Windows(lengths, self.twin.host.window, last=not self.step)
        self.N, source, starts = len(self.rows.index), self.rows.source - 1, self.rows.index
        if self.rows.last:
            starts = np.arange(self.B) * self.rows.window
        if self.twin.host.embedding is not None:
            source = np.where(source < 0, -1, np.concatenate(self.batch.X)[source])
        self._flat, self._source = len(source), send(source)
        self._starts_of_windows, self._member = send(starts), send(self.rows.members)
        self._last = send(np.cumsum(self.rows.counts) - 1)

    def _cuts(self, layer: Layer) -> tuple[tuple[Regime, ...], tuple[int, ...]]:
        """Choose how the loops of a layer are cut, and send the counters at which blocks wait, all zero."""
        if not self.recurrent:
            return (), ()
        cuts = tuple(self.twin.regime(layer, self.B, back=back) for back in (False, True))
        counters = [
            self.program.send_indices(np.zeros(cut.groups * loops.APART, np.int64)) for cut in cuts
        ]
        return cuts, tuple(counters)

    def _index(self) -> None:
        """Let the GPU index the rows."""
        program, N, embedding = self.program, self.N, self.twin.host.embedding
        places = [program.index_room(n) for n in (N, N, N, N, N, self.B)]
        self._source, self._back, self._mirror, self._member, self._before, self._last = places
        T = len(self.rows.first) - 2
        kernel = gather.index(embedding is not None)
        program.over(
            kernel,
            self.N,
            self._lengths,
            self._first,
            self._places,
            T,
            self.B,
            self._codes,
            *places,
        )

    def _run(
        self, layer: Layer, regimes: tuple[Regime, ...], counters: tuple[int, ...]
    ) -> CudaLayerBuffers:
        cell, H, room = layer.cell, layer.units, self.program.room
        before = self.B if self.recurrent else 0
        slots, state = (
            room(self.N * len(cell.slots) * H),
            room((before + self.N) * len(cell.states) * H),
        )
        return CudaLayerBuffers(layer, slots, state, regimes, counters)

    # -- forward ------------------------------------------------------------------------------------------------------

    def forward(self) -> None:
        """Run every layer but the head."""
        inputs, runs = self._inputs(), 0
        self.inputs: list[list[Matrix]] = []
        for number, level in enumerate(self.levels):
            self.inputs.append(inputs)
            for run, matrix in zip(level, inputs, strict=False):
                (self._loop if self.recurrent else self._window)(run, matrix, runs)
                runs += 1
            inputs = self._outputs_of(number)
        self.features = inputs[0]
        self.finals = (
            [self._final_state(run) for level in self.levels for run in level]
            if self.recurrent
            else []
        )

    def _final_state(self, run: CudaLayerBuffers) -> tuple[int, int]:
        """Put a layer's states after each sequence's last step together; returns where, and how many columns."""
        columns = len(run.layer.cell.states) * run.layer.units
        place = self.program.room(self.B * columns)
        self._copy(place, columns, self._state(run, self._last), self.B, columns)
        return place, columns

    def _inputs(self) -> list[Matrix]:
        """Return the first level's input for each direction."""
        embedding = self.twin.host.embedding
        base, width = self._data, self.twin.host.levels[0][0].features
        if embedding is not None:
            base = self.twin.addresses.parameter("embedding.W")
        if self.recurrent:
            return [Matrix(base, width, index) for index in (self._source, self._back)]
        F = width // self.twin.host.window
        self._copy(
            flat := self.program.room(self._flat * F),
            F,
            Matrix(base, F, self._source),
            self._flat,
            F,
        )
        return [Matrix(flat, F, self._starts_of_windows)]

    def _loop(self, run: CudaLayerBuffers, inputs: Matrix, number: int) -> None:
        """Run a recurrent layer."""
        layer, program = run.layer, self.program
        H, G, S, Z = (
            layer.units,
            len(layer.cell.gates),
            len(layer.cell.slots),
            len(layer.cell.states),
        )
        weights = self.twin.addresses.weights(layer)
        add_product(
            self,
            inputs,
            weights.W_ih,
            Matrix(run.slots, S * H),
            (self.N, G * H, layer.features),
            weights.b_ih,
        )
        if self._starts:
            self._copy(run.state, Z * H, Matrix(self._starts[number], Z * H), self.B, Z * H)
        else:
            program.over(gather.fill(self.dtype), self.B * Z * H, run.state, self.B * Z * H)
        self._time(run, False, [run.slots, run.state, weights.W_hh.start, weights.b_hh])

    def _time(self, run: CudaLayerBuffers, back: bool, places: list[int]) -> None:
        """Launch a time loop."""
        cut, counter = run.regimes[back], run.counters[back]
        form = loops.Form(
            run.layer.cell_name, self.dtype, cut.rows, cut.resident, cut.stored > 0, cut.alone
        )
        kernel = (loops.backward if back else loops.forward)(form)
        shape = self._lengths, self._first, self.B, run.layer.units
        of_cut = (
            cut.groups,
            cut.blocks,
            cut.units,
            cut.tiles,
            cut.parts,
            cut.share,
            cut.lanes,
            cut.spread,
            cut.folds,
        )
        for begin, end in self.twin.spans(cut, int(self.batch.lengths[0]), back):
            arguments = *places, *shape, *of_cut, begin, end, counter
            grid, block = (cut.groups * cut.blocks, 1, 1), (cut.threads, 1, 1)
            together = cut.blocks > 1
            self.program.launch(
                kernel, grid, block, *arguments, shared=cut.shared, together=together
            )

    def _window(self, run: CudaLayerBuffers, inputs: Matrix, number: int) -> None:
        """Run a layer without recurrence."""
        H, size, weights = (
            run.layer.units,
            self.N * run.layer.units,
            self.twin.addresses.weights(run.layer),
        )
        add_product(
            self,
            inputs,
            weights.W_ih,
            Matrix(run.slots, H),
            (self.N, H, run.layer.features),
            weights.b_ih,
        )
        self.program.over(gather.apply(run.layer.cell_name), size, run.slots, size, run.state)

    def _state(self, run: CudaLayerBuffers, index: int = -1) -> Matrix:
        """Return a run's h at each row, or at those of an index."""
        Z, before = len(run.layer.cell.states), self.B if self.recurrent else 0
        return Matrix(run.state + before * Z * run.layer.units, Z * run.layer.units, index)

    def _path(self, number: int, direction: int) -> int:
        """Return which rows of a run's state are the level's output; -1 for each its own."""
        if self.recurrent and number == len(self.levels) - 1 and not self.step:
            return self._last
        return self._mirror if direction else -1

    @property
    def count(self) -> int:
        """How many rows the features have."""
        return self.B if self.recurrent and not self.step else self.N

    def _mask(self, number: int, column: int) -> tuple[int, int, int]:
        """Return a level's dropout mask from a column on, its pitch, and which row of it counts."""
        if not self.masks:
            return -1, 0, -1
        alone = number == len(self.levels) - 1 and not self.step
        return (
            self.masks[number] + column,
            self.batch.masks[number].shape[1],
            -1 if alone else self._member,
        )

    def _outputs_of(self, number: int) -> list[Matrix]:
        """Return a level's output, directions side by side, after dropout, for each direction of the next level."""
        level = self.levels[number]
        if len(level) == 1 and not self.masks and self._path(number, 0) < 0:
            return [self._state(level[0])]
        last, D = number == len(self.levels) - 1, sum(run.layer.units for run in level)
        count = self.count if last else self.N
        output, column = self.program.room(count * D), 0
        for direction, run in enumerate(level):
            H, source = run.layer.units, self._state(run, self._path(number, direction))
            self._copy(output + column, D, source, count, H, self._mask(number, column))
            column += H
        return [
            Matrix(output, D, index)
            for index in (-1, self._mirror if self.recurrent else -1)[: len(level)]
        ]

    def _copy(
        self,
        target: int,
        pitch: int,
        source: Matrix,
        count: int,
        width: int,
        mask: tuple[int, int, int] = (-1, 0, -1),
    ) -> None:
        """Copy rows."""
        self.program.over(
            gather.copy(self.dtype), count * width, target, pitch, *source, count, width, *mask
        )

    # -- back ---------------------------------------------------------------------------------------------------------

    def backward(self, dfeatures: int) -> None:
        """Bring the gradient of the features (rows, D) to every parameter."""
        for number in reversed(range(len(self.levels))):
            dfeatures = self._level_back(number, dfeatures)
        if self.twin.host.embedding is not None:
            self._embedding_back(dfeatures)

    def _level_back(self, number: int, doutput: int) -> int:
        """One level back, from the gradient of its output to that of its input; -1 where that is not wanted."""
        level, column = self.levels[number], 0
        wanted = number > 0 or self.twin.host.embedding is not None
        features = level[0].layer.features
        dX = self.program.room(self.N * features) if wanted else -1
        D = sum(run.layer.units for run in level)
        for direction, run in enumerate(level):
            if self.recurrent:
                self._loop_back(run, number, direction, doutput, column, D)
            else:
                self._window_back(run, number, doutput)
            self._gradients(run, self.inputs[number][direction])
            if wanted:
                self._input_back(run, direction, dX)
            column += run.layer.units
        return dX

    def _loop_back(
        self, run: CudaLayerBuffers, number: int, direction: int, doutput: int, column: int, D: int
    ) -> None:
        """Take the gradient of a level's output, (rows, D), back through time."""
        layer, program = run.layer, self.program
        H, G, Z = layer.units, len(layer.cell.gates), len(layer.cell.states)
        dstate, dh = program.room(self.B * Z * H), (-1, 0)
        program.over(gather.fill(self.dtype), self.B * Z * H, dstate, self.B * Z * H)
        path, mask = self._path(number, direction), self._mask(number, column)
        if number == len(self.levels) - 1 and not self.step:
            self._copy(dstate, Z * H, Matrix(doutput + column, D), self.B, H, mask)
        elif path < 0 and not self.masks:
            dh = doutput + column, D
        else:
            dh = program.room(self.N * H), H
            self._copy(*dh, Matrix(doutput + column, D, path), self.N, H, mask)
        turned, W_hh = program.room(H * G * H), self.twin.addresses.weights(layer).W_hh
        program.over(gather.transpose(), H * G * H, turned, W_hh.start, H, G * H)
        self._time(run, True, [run.slots, run.state, turned, dstate, *dh])

    def _window_back(self, run: CudaLayerBuffers, number: int, doutput: int) -> None:
        """Take the gradient of a level's output back through the rule."""
        size = self.N * run.layer.units
        if self.masks:
            dropped = self.program.room(size)
            source = Matrix(doutput, run.layer.units)
            self._copy(
                dropped, run.layer.units, source, self.N, run.layer.units, self._mask(number, 0)
            )
            doutput = dropped
        self.program.over(gather.apply_back(run.layer.cell_name), size, run.slots, size, doutput)

    def _gradients(self, run: CudaLayerBuffers, inputs: Matrix) -> None:
        """From the gradient of the sums to that of a layer's parameters."""
        layer, gradient = run.layer, self.twin.addresses.gradients(run.layer)
        H, G, S = layer.units, len(layer.cell.gates), len(layer.cell.slots)
        sums = Matrix(run.slots, S * H)
        weight_gradient(self, inputs, sums, gradient.W_ih, (layer.features, G * H, self.N))
        bias_gradient(self, sums, self.N, gradient.b_ih, G * H)
        if self.recurrent:
            sums, Z = Matrix(run.slots + (S - G) * H, S * H), len(layer.cell.states)
            before = Matrix(run.state, Z * H, self._before)
            weight_gradient(self, before, sums, gradient.W_hh, (H, G * H, self.N))
            if S > G:
                bias_gradient(self, sums, self.N, gradient.b_hh, G * H)

    def _input_back(self, run: CudaLayerBuffers, direction: int, dX: int) -> None:
        """From the gradient of the sums to that of the input; a second direction adds its own."""
        layer = run.layer
        H, G, S = layer.units, len(layer.cell.gates), len(layer.cell.slots)
        target = Matrix(dX, layer.features, self._mirror if direction else -1)
        shape = self.N, layer.features, G * H
        W_ih = self.twin.addresses.weights(layer).W_ih
        add_product(
            self, Matrix(run.slots, S * H), W_ih, target, shape, turn_b=True, adds=bool(direction)
        )

    def _embedding_back(self, dX: int) -> None:
        """Add to the embedding's gradient what that of the first level's input gives."""
        embedding: Any = self.twin.host.embedding
        size, codes, count = embedding.size, self._source, self.N
        if not self.recurrent:
            flat, codes, count = (
                self.program.room(self._data_rows * size),
                self._codes,
                self._data_rows,
            )
            last = int(self.rows.last)
            arguments = flat, dX, self._lengths, self._places, self.twin.host.window, size, last
            self.program.blocks(gather.fold(self.dtype), self.B, self.twin.threads, *arguments)
            dX = flat
        table, adds = self.twin.addresses.gradient_of("embedding.W"), int(self.twin.tied)
        kernel = gather.add_by_code(self.dtype)
        self.program.blocks(
            kernel,
            embedding.n_tokens,
            self.twin.threads,
            table,
            size,
            codes,
            count,
            dX,
            size,
            size,
            adds,
        )

    # -- reading ------------------------------------------------------------------------------------------------------

    def final_features(self) -> Matrix:
        """Return the features at each sequence's last step."""
        return self.features._replace(rows=self._last)

    def read_features(self) -> Callable[[], np.ndarray]:
        """Put the features together; returns the function that reads them, (rows, D)."""
        D = self.twin.host.head.features
        place = self.program.room(self.count * D)
        self._copy(place, D, self.features, self.count, D)
        return lambda: self.twin.memory.floats.fetch(place, self.count * D).reshape(-1, D)
