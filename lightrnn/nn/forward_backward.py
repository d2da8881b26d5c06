"""One batch through all layers of a network, forward and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import cpu
from ..losses import Loss
from .batches import Batch, Steps, Windows, blocks
from .workspace import LayerBuffers, Workspace

if TYPE_CHECKING:
    from ..cpu.recurrence import LayerWeights
    from .layers import Embedding
    from .network import Network


class ForwardBackward:
    """A run over one batch; `forward` comes first, then whatever is wanted of it.

    A level's output is the state itself, row by row, where it has one direction and no dropout; else a copy. So is the
    gradient of the output, on the way back.

    Parameters
    ----------
    network : Network
        Whose layers run.
    batch : Batch
        What they run over.
    room : Workspace
        Where the run's arrays are.
    """

    def __init__(self, network: Network, batch: Batch, room: Workspace) -> None:
        self.network, self.batch, self.room = network, batch, room
        self.step, self.recurrent = network.target == "step", network.levels[0][0].cell.recurrent
        self.rows: Any = (
            Steps.of(batch.lengths)
            if self.recurrent
            else Windows(batch.lengths, network.window, last=not self.step)
        )
        self._levels = room.levels
        self._by_token: list[
            np.ndarray
        ] = []  # the token of each row, for each direction, if X has one row a token
        # The outputs' first row among the features, and where they end.
        self._start = self._output_start(len(self._levels) - 1)
        self._stop = self._start + self._output_rows()

    def _output_rows(self) -> int:
        if not self.recurrent:
            return len(self.rows.index)
        return self.rows.stop - self.rows.start if self.step else len(self.batch.X)

    # -- forward ------------------------------------------------------------------------------------------------------

    def forward(self) -> None:
        """Run every layer but the head."""
        X, runs = self._inputs(), 0
        for number, level in enumerate(self._levels):
            for direction, run in enumerate(level):
                run.reserve(self._first(number))
                if self.recurrent:
                    states = self.batch.states
                    run.state[: self.rows.start] = states[runs] if states else 0
                run.forward(
                    X[direction],
                    self._by_token[direction] if number == 0 and self._by_token else None,
                )
                runs += 1
            X = self._outputs_of(number)
        self._features = X[0]

    def _inputs(self) -> list[np.ndarray]:
        """Return the first level's input for each direction."""
        embedding = self.network.embedding
        if not self.recurrent:
            return [
                self.rows.inputs(
                    self._embedded() if embedding else self.batch.X, self.network.dtype
                )
            ]
        if embedding:
            return self._tokens(embedding)
        columns, held, offsets = self.batch.X[0].shape[1], self.network.cached, self.batch.offsets
        X = self.room.rows("X", self.rows.stop, columns)
        if held is None or offsets is None:
            steps = self.room.rows("steps", self.rows.stop, columns)[
                self.rows.start : self.rows.stop
            ]
            self.rows.load(np.concatenate(self.batch.X, out=steps, casting="unsafe"), X)
        else:
            self.rows.load(held[1], X, offsets)
        return self._both_ways("X", X, len(self._levels[0]))

    def _tokens(self, embedding: Embedding) -> list[np.ndarray]:
        """Return a row for each step, or where there are many more steps than tokens, one for each token."""
        self._codes, n_tokens, directions = (
            self.rows.by_step(self.batch.X),
            embedding.n_tokens,
            len(self._levels[0]),
        )
        if len(self._codes) >= 2 * n_tokens:
            mirrored = (
                [self._codes[self.rows.mirrored_rows - self.rows.start]] if directions > 1 else []
            )
            self._by_token = [self._codes, *mirrored]
            self._codes = np.arange(n_tokens)
        X = self.room.rows("X", n_tokens if self._by_token else self.rows.stop, embedding.width)
        embedding.look_up(self._codes, X, 0 if self._by_token else self.rows.start)
        return (
            [X[:n_tokens]] * directions if self._by_token else self._both_ways("X", X, directions)
        )

    def _embedded(self) -> list[np.ndarray]:
        """Return the tokens' numbers, all sequences' one after another."""
        embedding: Any = self.network.embedding
        self._codes = np.concatenate(self.batch.X)
        rows = self.room.rows("embedded", len(self._codes), embedding.width)
        embedding.look_up(self._codes, rows, 0)
        return [rows[: len(self._codes), : embedding.size]]

    def _both_ways(self, name: str, X: np.ndarray, directions: int) -> list[np.ndarray]:
        """Return rows, and for a second direction the rows that run back from each sequence's end."""
        if directions == 1:
            return [X]
        reverse = self.room.rows(f"{name}.reverse", self.rows.stop, X.shape[1])
        cpu.gather.gather(reverse, self.rows.start, 0, X, self.rows.mirrored_rows, X.shape[1])
        return [X, reverse]

    def _first(self, number: int) -> np.ndarray:
        """Where the steps of a level begin."""
        if self.recurrent:
            return self.rows.first
        return blocks(0, self.rows.rows if number == 0 else len(self.rows.index))

    def _paths(self, number: int) -> list[np.ndarray] | None:
        """Return for each direction which rows of its state are the level's output; None: each row its own."""
        last, level = number == len(self._levels) - 1, self._levels[number]
        if not self.recurrent:
            return None if number or not self.step else [self.rows.index]
        if last and not self.step:
            return [self.rows.last_rows] * len(level)
        return None if len(level) == 1 else [self.rows.all_rows, self.rows.mirrored_rows]

    def _output_start(self, number: int) -> int:
        """Return the first row of a level's output."""
        last = number == len(self._levels) - 1
        return self.rows.start if self.recurrent and (self.step or not last) else 0

    def _outputs_of(self, number: int) -> list[np.ndarray]:
        """Return a level's output, directions side by side, after dropout, for each direction of the next level."""
        level, paths, last = (
            self._levels[number],
            self._paths(number),
            number == len(self._levels) - 1,
        )
        if paths is None and not self.batch.masks:
            return [level[0].state]
        start, column = self._output_start(number), 0
        if paths is None:
            paths = [np.arange(start, level[0].rows)]
        columns = cpu.host.padded(sum(run.layer.units for run in level), self.network.dtype)
        output = self.room.rows(f"output{number}", start + len(paths[0]), columns)
        for run, index in zip(level, paths, strict=True):
            cpu.gather.gather(output, start, column, run.state, index, run.layer.units)
            column += run.layer.units
        self._drop(number, output)
        return self._both_ways(f"output{number}", output, 1 if last else len(level))

    def _drop(self, number: int, rows: np.ndarray) -> None:
        """Multiply a level's output, or the gradient of it, by its dropout mask."""
        if self.batch.masks:
            last = number == len(self._levels) - 1 and not self.step
            member = np.arange(len(self.batch.X)) if last else self.rows.members
            cpu.gather.scale(rows, self._output_start(number), self.batch.masks[number], member)

    # -- reading ------------------------------------------------------------------------------------------------------

    def outputs(self) -> Any:
        """Raw outputs by sequence, (B, k) or a list of (T_i, k), in the batch's order."""
        raw = np.array(
            self.network.head.outputs(self.room, self._features, self._start, self._stop)
        )
        return self.rows.by_sequence(raw) if self.step else raw

    def final_outputs(self) -> np.ndarray:
        """Raw outputs (B, k) at each sequence's last step, for target "step"."""
        index = self.rows.last_rows if self.recurrent else np.cumsum(self.batch.lengths) - 1
        rows = self.room.rows("last", len(index), self._features.shape[1])
        cpu.gather.gather(rows, 0, 0, self._features, index, rows.shape[1])
        return np.array(self.network.head.outputs(self.room, rows, 0, len(index)))

    def features(self) -> Any:
        """Return the last level's output by sequence, (B, D) or a list of (T_i, D)."""
        rows = np.array(self._features[self._start : self._stop, : self.network.head.features])
        return self.rows.by_sequence(rows) if self.step else rows

    def final_states(self) -> list[np.ndarray]:
        """Each recurrent layer's state after each sequence's last step."""
        return [run.state[self.rows.last_rows] for level in self._levels for run in level]

    def score(self) -> float:
        """Return the shard's part of the batch's cross-entropy."""
        head, (targets, weights) = self.network.head, self._wanted()
        return head.score(
            self.room, self._features, self._start, targets, weights, self.batch.weight
        )

    def _wanted(self) -> tuple[np.ndarray, np.ndarray]:
        """Return targets and weights in the order of the outputs' rows."""
        targets, weights = self.batch.targets, self.batch.weights
        return (
            (self.rows.by_step(targets), self.rows.by_step(weights))
            if self.step
            else (targets, weights)
        )

    # -- back ---------------------------------------------------------------------------------------------------------

    def train(self, loss: Loss, gradients: dict[str, Any]) -> float:
        """Run forward, and do what `learn` does."""
        self.forward()
        return self.learn(loss, gradients)

    def learn(self, loss: Loss, gradients: dict[str, Any]) -> float:
        """Return the shard's part of the batch's loss and set each layer's gradient."""
        embedding, (targets, weights) = self.network.embedding, self._wanted()
        if embedding:
            gradients[embedding.name][:] = 0
        value, doutput = self.network.head.learn(
            self.room,
            self._features,
            self._start,
            targets,
            weights,
            self.batch.weight,
            loss,
            gradients,
        )
        for number in reversed(range(len(self._levels))):
            doutput = self._level_back(number, doutput, gradients)
        if embedding:
            self._embedding_back(doutput, gradients[embedding.name])
        return value

    def _embedding_back(self, dX: np.ndarray, gradient: np.ndarray) -> None:
        """Add to the embedding's gradient what that of the first level's input gives."""
        embedding: Any = self.network.embedding
        start = self.rows.start if self.recurrent and not self._by_token else 0
        if not self.recurrent:
            windows, dX = dX, self.room.rows("dembedded", len(self._codes) + 1, embedding.width)
            dX[:] = 0
            step = self.network.window if self.rows.last else 1
            cpu.gather.scatter_windows(
                dX, self.rows.source, windows, step, self.network.window, embedding.size
            )
            start = 1  # the first row is that of the zeros before every sequence
        embedding.add_gradient(gradient, self._codes, dX, start)

    def _back(
        self, run: LayerBuffers, dh: np.ndarray, gradients: dict[str, LayerWeights], wanted: bool
    ) -> np.ndarray:
        """One layer back; returns the gradient of its input, of no columns if it is not wanted."""
        layer = run.layer
        columns = cpu.host.padded(layer.features, layer.dtype) if wanted else 0
        rows = len(self._codes) if self._by_token and run in self._levels[0] else run.rows
        dX = self.room.rows(f"{layer.name}.dX", rows if wanted else 0, columns)
        run.backward(dX, dh, gradients[layer.name])
        return dX

    def _level_back(
        self, number: int, doutput: np.ndarray, gradients: dict[str, LayerWeights]
    ) -> np.ndarray:
        """One level back, from the gradient of its output to that of its input."""
        level = self._levels[number]
        self._drop(number, doutput)
        dX, column = [], 0
        for direction, run in enumerate(level):
            dh = self._arriving(number, direction, doutput, column)
            dX.append(
                self._back(
                    run, dh, gradients, wanted=number > 0 or self.network.embedding is not None
                )
            )
            column += run.layer.units
        if len(dX) > 1 and dX[0].shape[1]:
            by_token = self._by_token and number == 0
            rows, start = (
                (self._codes, 0) if by_token else (self.rows.mirrored_rows, self.rows.start)
            )
            cpu.gather.add(dX[0], rows, dX[1], start, level[0].layer.features)
        return dX[0]

    def _arriving(
        self, number: int, direction: int, doutput: np.ndarray, column: int
    ) -> np.ndarray:
        """Return the gradient of a run's h at each row, and set that of the states in which its sequences end."""
        run, paths = self._levels[number][direction], self._paths(number)
        run.dstate[:] = 0
        if paths is None:
            return doutput
        units, index = run.layer.units, paths[direction]
        if self.recurrent and number == len(self._levels) - 1 and not self.step:
            run.dstate[: len(index), :units] = doutput[: len(index), column : column + units]
            return run.dstate[:, :0]
        dh = self.room.rows(f"{run.layer.name}.dh", run.rows, run.layer.width)
        if not self.recurrent:
            dh[:] = 0
        cpu.gather.scatter(dh, index, doutput, self._output_start(number), column, units)
        return dh
