"""One batch through all layers of a network, forward and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import cpu
from ..losses import Loss
from .batches import Batch
from .heads import LossTargets
from .packing import Steps, Windows, blocks
from .pooling import Pooling
from .stack import Stack
from .workspace import LayerBuffers, Workspace

if TYPE_CHECKING:
    from ..cpu.recurrence import LayerWeights
    from .layers import Embedding


class ForwardBackward:
    """A run over one batch: `forward` comes first, then outputs are read or `learn` runs back.

    A level's output is a view of the state where the level has one direction and there is no
    dropout; else it is a copy. So is the gradient of the output in the backward pass.

    Parameters
    ----------
    network : Stack
        The layers to run.
    batch : Batch
        The sequences to run over.
    workspace : Workspace
        Arrays to use; nobody else may use them before the results have been read.
    cached : ndarray (1 + n, F), optional
        A row of zeros and the concatenated sequences that `batch.offsets` points into; else
        `batch.X` is read.
    """

    def __init__(
        self, network: Stack, batch: Batch, workspace: Workspace, cached: np.ndarray | None = None
    ) -> None:
        self.network = network
        self.batch = batch
        self.workspace = workspace
        # The sequences are not always those that are cached.
        self.cached = None if batch.offsets is None else cached
        self.step = network.target == "step"
        self.every_step = network.every_step
        self.recurrent = network.recurrent
        self.packing: Any = (
            Steps.of(batch.lengths)
            if self.recurrent
            else Windows.of(batch.lengths, network.window, not self.every_step)
        )
        self._levels = workspace.levels
        self._last_level = len(self._levels) - 1
        # The token of each row for each direction, if X has one row per token.
        self._row_tokens: list[np.ndarray] = []
        # The rows of the features that outputs are made of: all steps, or one row per sequence.
        self._start = self.packing.start if self.step else 0
        self._stop = self.packing.stop if self.step else len(batch.X)

    # -- forward -----------------------------------------------------------------------------------

    def forward(self, kept: bool = True) -> None:
        """Run every layer but the head; what `learn` needs is `kept`, or at once overwritten."""
        X = self._inputs()
        states = iter(self.batch.states)
        for number, level in enumerate(self._levels):
            for direction, buffers in enumerate(level):
                buffers.reserve(self._first(number), kept)
                if self.recurrent:
                    # The batch carries states on, or all begin with zeros. They are set every
                    # time, for another run may have used these rows.
                    buffers.state[: self.packing.start] = next(states, 0)
                tokens = self._row_tokens[direction] if number == 0 and self._row_tokens else None
                buffers.forward(X[direction], tokens)
            X = self._outputs_of(number)
        self._features = X[0]
        if self.network.pooling:
            self._features = self._pooled(self.network.pooling, X[0], next(states, None))

    def _pooled(self, pooling: Pooling, rows: np.ndarray, before: np.ndarray | None) -> np.ndarray:
        """Return the last level's output pooled for each sequence; `before` is of earlier steps."""
        context = self.batch.context
        run = pooling, rows, self.packing.start + context, self.packing.members[context:]
        if before is None:
            before = np.zeros((len(self.batch.X), pooling.columns), pooling.dtype)
        return self.workspace.pooling.forward(*run, before, self.batch.masks[-1:])

    def _inputs(self) -> list[np.ndarray]:
        """Return the first level's input for each direction."""
        network = self.network
        packing = self.packing
        if not self.recurrent:
            if self.cached is not None:
                return [packing.inputs(self.cached, self.batch.offsets)]
            sequences = self._embedded() if network.embedding else self.batch.X
            steps = np.empty((1 + int(packing.lengths.sum()), network.n_features), network.dtype)
            steps[0] = 0
            network.join(sequences, steps[1:])
            return [packing.inputs(steps)]
        if network.embedding:
            return self._tokens(network.embedding)
        columns = network.n_features
        X = self.workspace.X.at_least(packing.stop, columns)
        if self.cached is None:
            steps = self.workspace.steps.at_least(packing.stop, columns)
            steps = steps[packing.start : packing.stop]
            # Two copies: this first one converts sequences of any dtype and layout.
            network.join(self.batch.X, steps)
            packing.load(steps, X)
        else:
            packing.load(self.cached[1:], X, self.batch.offsets)
        return self._both_ways(0, X)

    def _tokens(self, embedding: Embedding) -> list[np.ndarray]:
        """Return one row per step, or one per token where there are many more steps than tokens."""
        packing = self.packing
        n_tokens = embedding.n_tokens
        directions = len(self._levels[0])
        self._codes = embedding.joined(self.batch.X)[packing.source]
        # From two steps per token on, a product per token costs less than one per step.
        if len(self._codes) < 2 * n_tokens:
            X = self.workspace.X.at_least(packing.stop, embedding.width)
            embedding.look_up(self._codes, X, packing.start)
            return self._both_ways(0, X)
        self._row_tokens = [self._codes]
        if directions > 1:
            self._row_tokens.append(self._codes[packing.mirrored_rows - packing.start])
        self._codes = np.arange(n_tokens)
        X = self.workspace.X.at_least(n_tokens, embedding.width)
        embedding.look_up(self._codes, X, 0)
        return [X[:n_tokens]] * directions

    def _embedded(self) -> list[np.ndarray]:
        """Return the tokens' vectors, all sequences concatenated."""
        embedding: Any = self.network.embedding
        self._codes = embedding.joined(self.batch.X)
        # (N, width): only `size` columns are inputs, for windows have no padding between steps
        rows = self.workspace.embedded.at_least(len(self._codes), embedding.width)
        embedding.look_up(self._codes, rows, 0)
        return [rows[: len(self._codes), : embedding.size]]

    def _both_ways(self, number: int, X: np.ndarray) -> list[np.ndarray]:
        """Return a level's input for each direction; the second runs back from each end."""
        if len(self._levels[number]) == 1:
            return [X]
        packing = self.packing
        columns = X.shape[1]
        # (rows, columns), of which those of the initial state are not used
        mirrored = self.workspace.reversed_inputs[number].at_least(packing.stop, columns)
        cpu.gather.gather(mirrored, packing.start, 0, X, packing.mirrored_rows, columns)
        return [X, mirrored]

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
            return [packing.last_rows] * directions
        return None if directions == 1 else [packing.all_rows, packing.mirrored_rows]

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
        raw = head.outputs(self.workspace, self._features, self._start, self._stop)
        # A copy: the next run of this workspace overwrites what the head returned.
        raw = np.array(raw)
        return self.packing.by_sequence(raw) if self.step else raw

    def final_outputs(self) -> np.ndarray:
        """Return raw outputs (B, k) at each sequence's last step, for target "step"."""
        ends = self._ends()
        columns = self._features.shape[1]
        # (B, D padded)
        rows = self.workspace.last_features.at_least(len(ends), columns)
        cpu.gather.gather(rows, 0, 0, self._features, ends, columns)
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
        rows = np.array(self._features[self._start : self._stop, :D])
        return self.packing.by_sequence(rows) if self.step else rows

    def final_states(self) -> list[np.ndarray]:
        """Return what a batch of the next steps begins with, see `Batch.states`."""
        states = []
        if self.recurrent:
            last = self.packing.last_rows
            states = [buffers.state[last] for level in self._levels for buffers in level]
        if self.network.pooling:
            states.append(np.array(self.workspace.pooling.pooled[: len(self.batch.X)]))
        return states

    def score(self) -> float:
        """Return the shard's part of the batch's cross-entropy."""
        wanted = self._wanted()
        return self.network.head.score(self.workspace, self._features, self._start, wanted)

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
        """Return the shard's part of the batch's loss and set each layer's gradient."""
        embedding = self.network.embedding
        if embedding:
            # Tied heads and look-ups add to it.
            gradients[embedding.name][:] = 0
        value, doutput = self.network.head.learn(
            self.workspace, self._features, self._start, self._wanted(), loss, gradients
        )
        if self.network.pooling:
            doutput = self.workspace.pooling.backward(doutput, gradients)
        for number in reversed(range(len(self._levels))):
            doutput = self._level_back(number, doutput, gradients)
        if embedding:
            self._embedding_back(embedding, doutput, gradients[embedding.name])
        return value

    def _embedding_back(
        self,
        embedding: Embedding,
        dX: np.ndarray,
        gradient: np.ndarray,
    ) -> None:
        """Add to the embedding's gradient from that of the first level's input."""
        # With one row per token there are no rows of an initial state.
        start = 0 if self._row_tokens else self.packing.start
        if not self.recurrent:
            dX = self._windows_back(dX, embedding)
            start = 1
        embedding.add_gradient(gradient, self._codes, dX, start)

    def _windows_back(self, dwindows: np.ndarray, embedding: Embedding) -> np.ndarray:
        """Return the gradient of each step from that of the windows; row 0 is that of the zeros."""
        window = self.network.window
        packing = self.packing
        # (1 + N, width)
        dX = self.workspace.dembedded.at_least(len(self._codes) + 1, embedding.width)
        dX[:] = 0
        # Windows of the last steps alone do not overlap; others move on by one step.
        stride = window if packing.last else 1
        cpu.gather.scatter_windows(dX, packing.source, dwindows, stride, window, embedding.size)
        return dX

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
            by_token = self._row_tokens and buffers in self._levels[0]
            rows = len(self._codes) if by_token else buffers.rows
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
        wanted = number > 0 or self.network.embedding is not None
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
            if self._row_tokens and number == 0:
                rows = self._codes
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
        buffers.dstate[:] = 0
        if paths is None:
            # The output is the state itself, and so are their gradients.
            return doutput
        units = buffers.layer.units
        path = paths[direction]
        if self.recurrent and number == self._last_level and not self.every_step:
            # Only the final state is read: no step's h gets a gradient from above.
            B = len(path)
            buffers.dstate[:B, :units] = doutput[:B, column : column + units]
            return buffers.nothing
        # (rows, width); the padding is never written and stays zero
        dh = buffers.dh.at_least(buffers.rows, buffers.layer.width)
        if not self.recurrent:
            # Rows that are never read are in no path.
            dh[:] = 0
        cpu.gather.scatter(dh, path, doutput, self._output_start(number), column, units)
        return dh
