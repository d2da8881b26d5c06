"""One batch through all layers of a network, forward and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import cpu
from .batches import Batch, Steps, Windows, blocks
from .layers import Layer, LayerGradients, Workspace
from .losses import Loss

if TYPE_CHECKING:
    from .network import Network


class Pass:
    """A run over one batch; `forward` comes first, then whatever is wanted of it.

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
            Steps.of(batch.lengths) if self.recurrent else Windows(batch.lengths, network.window, last=not self.step)
        )
        # The outputs' first row among the features.
        self._start = self.rows.start if self.step and isinstance(self.rows, Steps) else 0
        self._stop = self._start + self._output_rows()
        self._runs: list[tuple[Layer, Any, Any]] = []  # layer, tape, plan: in the order of the layers

    # -- forward ------------------------------------------------------------------------------------------------------

    def forward(self) -> None:
        """Run every layer and the head."""
        levels = self.network.levels
        X = self._inputs()
        for number, level in enumerate(levels):
            for direction, layer in enumerate(level):
                self._run(layer, X[direction], number)
            if number < len(levels) - 1:
                X = self._joined(number, self._paths(number))
        self._features = self._joined(len(levels) - 1, self._paths(len(levels) - 1))[0]
        self._run(self.network.head, self._features, -1)

    def _inputs(self) -> list[np.ndarray]:
        """Return the first level's input for each direction."""
        if not self.recurrent:
            return [self.rows.inputs(self.batch.X, self.network.dtype)]
        F = self.batch.X[0].shape[1]
        X = self.room.rows("X", self.rows.stop, F)
        self.rows.load(self.batch.X, X)
        return [X, self._mirrored("X", X)] if len(self.network.levels[0]) > 1 else [X]

    def _mirrored(self, name: str, X: np.ndarray) -> np.ndarray:
        """Rows for the direction that runs back from each sequence's end."""
        reverse = self.room.rows(f"{name}.reverse", self.rows.stop, X.shape[1])
        cpu.gather.gather(reverse, self.rows.start, 0, X, self.rows.mirrored_rows, X.shape[1])
        return reverse

    def _run(self, layer: Layer, X: np.ndarray, number: int) -> None:
        """Run one layer and keep its tape."""
        first = self._first(number)
        tape = layer.tape(X, int(first[-1]), self.room)
        if self.recurrent and number >= 0:
            states = self.batch.states
            tape.state[: self.rows.start] = states[len(self._runs)] if states else 0
        plan = layer.plan(first)
        layer.forward(tape, plan)
        self._runs.append((layer, tape, plan))

    def _first(self, number: int) -> np.ndarray:
        """Where the steps of a level begin; -1 is the head."""
        if number < 0:
            return blocks(self._start, self._stop - self._start)
        if self.recurrent:
            return self.rows.first
        return blocks(0, self.rows.rows if number == 0 else len(self.rows.index))

    def _output_rows(self) -> int:
        if not self.recurrent:
            return len(self.rows.index)
        return self.rows.stop - self.rows.start if self.step else len(self.batch.X)

    def _paths(self, number: int) -> tuple[int, list[np.ndarray]]:
        """Return the first row of a level's output, and for each direction which row of its state goes there."""
        if not self.recurrent:
            return 0, [self.rows.index if number == 0 else np.arange(len(self.rows.index))]
        if number == len(self.network.levels) - 1 and not self.step:
            return 0, [self.rows.last_rows] * len(self.network.levels[number])
        forward = self.rows.all_rows
        both = len(self.network.levels[number]) > 1
        return self.rows.start, [forward, self.rows.mirrored_rows] if both else [forward]

    def _joined(self, number: int, paths: tuple[int, list[np.ndarray]]) -> list[np.ndarray]:
        """Return a level's output, directions side by side, after dropout; reversed too, if the next level wants it."""
        level, (start, indices) = self.network.levels[number], paths
        D, column = sum(layer.units for layer in level), 0
        name = f"output{number}"
        output = self.room.rows(name, start + len(indices[0]), D)
        for layer, index in zip(level, indices, strict=True):
            cpu.gather.gather(output, start, column, self._tape(layer).state, index, layer.units)
            column += layer.units
        self._drop(number, output, start)
        last = number == len(self.network.levels) - 1
        return [output] if last or len(level) == 1 else [output, self._mirrored(name, output)]

    def _drop(self, number: int, rows: np.ndarray, start: int) -> None:
        """Multiply a level's output, or the gradient of it, by its dropout mask."""
        if self.batch.masks:
            last = number == len(self.network.levels) - 1 and not self.step
            member = np.arange(len(self.batch.X)) if last else self.rows.members
            cpu.gather.scale(rows, start, self.batch.masks[number], member)

    def _tape(self, layer: Layer) -> Any:
        return next(tape for other, tape, _ in self._runs if other is layer)

    # -- reading ------------------------------------------------------------------------------------------------------

    def _raw(self) -> np.ndarray:
        """Return the head's outputs (rows, k)."""
        return self._runs[-1][1].state[self._start : self._stop, : self.network.head.units]

    def outputs(self) -> Any:
        """Raw outputs by sequence, (B, k) or a list of (T_i, k), in the batch's order."""
        raw = np.array(self._raw())
        return self.rows.by_sequence(raw) if self.step else raw

    def features(self) -> Any:
        """Return the last level's output by sequence, (B, D) or a list of (T_i, D)."""
        rows = np.array(self._features[self._start : self._stop])
        return self.rows.by_sequence(rows) if self.step else rows

    def final_states(self) -> list[np.ndarray]:
        """Each recurrent layer's state after each sequence's last step."""
        return [tape.state[self.rows.last_rows] for _, tape, _ in self._runs[:-1]]

    def cost(self, loss: Loss) -> tuple[float, np.ndarray]:
        """Return the shard's part of the batch's loss, and its gradient with respect to the raw outputs."""
        targets, weights = self.batch.targets, self.batch.weights
        if self.step:
            targets, weights = self.rows.by_step(targets), self.rows.by_step(weights)
        dtype = self.network.dtype
        weights = (weights / self.batch.weight).astype(dtype, copy=False)
        if targets.dtype.kind == "f":
            targets = targets.astype(dtype, copy=False)
        return loss(self._raw(), targets, weights)

    # -- back ---------------------------------------------------------------------------------------------------------

    def backward(self, draw: np.ndarray, gradients: dict[str, LayerGradients]) -> None:
        """Set each layer's gradient."""
        head, tape, _ = self._runs[-1]
        head.dstate(tape, self.room)[self._start : self._stop, : head.units] = draw
        doutput = self._back(len(self._runs) - 1, gradients)
        for number in reversed(range(len(self.network.levels))):
            doutput = self._level_back(number, doutput, gradients)

    def _back(self, run: int, gradients: dict[str, LayerGradients]) -> np.ndarray:
        """One layer back; returns the gradient of its input, of no columns for the first level."""
        layer, tape, plan = self._runs[run]
        rows = int(plan.first[-1])
        columns = 0 if run < len(self.network.levels[0]) else cpu.host.padded(layer.features, layer.dtype)
        dX = self.room.rows(f"{layer.name}.dX", rows if columns else 0, columns)
        if columns:
            dX[:rows] = 0
        layer.backward(dX, tape, plan, gradients[layer.name], self.room)
        return dX

    def _level_back(self, number: int, doutput: np.ndarray, gradients: dict[str, LayerGradients]) -> np.ndarray:
        """One level back, from the gradient of its output to that of its input."""
        level, (start, indices) = self.network.levels[number], self._paths(number)
        self._drop(number, doutput, start)
        run = sum(map(len, self.network.levels[:number]))
        column, dX = 0, []
        for direction, (layer, index) in enumerate(zip(level, indices, strict=True)):
            _, tape, plan = self._runs[run + direction]
            dstate = layer.dstate(tape, self.room)
            dstate[: plan.first[-1]] = 0
            cpu.gather.scatter(dstate, index, doutput, start, column, layer.units)
            column += layer.units
            dX.append(self._back(run + direction, gradients))
        if number and len(level) > 1:
            cpu.gather.scatter(dX[0], self.rows.mirrored_rows, dX[1], self.rows.start, 0, level[0].features)
        return dX[0]
