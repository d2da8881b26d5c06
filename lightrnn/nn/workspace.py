"""A layer's run over the packed rows of a batch, forward and back, in arrays that it keeps from batch to batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .. import cpu
from .batches import WINDOW_ROWS
from .layers import Layer

if TYPE_CHECKING:
    from ..cpu.recurrence import LayerWeights, Scratch

_NO_CODES = np.empty(0, np.int64)
_ROWS, _FEW_ROWS = 384, 64  # of the products outside the recurrence: measured, see bench/README.md
_CACHED = (
    2 << 20
)  # bytes of matrices up to which few rows are better, so that all of this stays in the second cache


class LayerBuffers:
    """One layer and the arrays of its runs; what they hold is left over from the run before.

    Parameters
    ----------
    layer : Layer
        Whose parameters count.

    Attributes
    ----------
    slots, state : ndarray (>= rows, S * width), (>= rows, Z * width)
        What `forward` leaves, row by row; the initial state stands in the first rows.
    dstate : ndarray (>= B, Z * width)
        To be set before `backward`: the gradient of the state in which each sequence ends.
    """

    def __init__(self, layer: Layer) -> None:
        self.layer, name = layer, layer.cell_name
        self._forward, self._backward = cpu.recurrence.forward(name), cpu.recurrence.backward(name)
        matrices = (
            (layer.features + layer.units)
            * len(layer.cell.gates)
            * layer.width
            * layer.dtype.itemsize
        )
        self._at_once = _FEW_ROWS if matrices <= _CACHED else _ROWS
        self._rows = self._batch = -1
        self._first = np.empty(0)
        self._X: np.ndarray | None = None
        self._table = np.empty((0, 0), layer.dtype)

    def reserve(self, first: np.ndarray) -> None:
        """Make room for a run over steps that begin at the rows `first`."""
        if first is self._first:
            return
        rows, batch = int(first[-1]), int(first[2] - first[1])
        chunk = max(1, self._at_once // max(1, batch)) if self.layer.cell.recurrent else 1
        self._plan = cpu.recurrence.TimeLoop(first, chunk, self.layer.features, self.layer.units)
        if rows > self._rows or batch > self._batch:
            self._grow(max(rows, self._rows), max(batch, self._batch))
        self._first, self.rows = first, rows

    def _grow(self, rows: int, batch: int) -> None:
        layer, cell = self.layer, self.layer.cell
        self._rows, self._batch = rows, batch
        self.slots = cpu.host.aligned(rows, len(cell.slots) * layer.width, layer.dtype)
        self.state = cpu.host.aligned(rows, len(cell.states) * layer.width, layer.dtype)
        self.dstate = cpu.host.aligned(batch, len(cell.states) * layer.width, layer.dtype)
        self._scratch: Scratch | None = None
        self._X = None

    def forward(self, X: np.ndarray, codes: np.ndarray | None = None) -> None:
        """Fill `slots` and `state` from the initial state on.

        Parameters
        ----------
        X : ndarray (>= rows, >= features), or with codes one row a token
            Inputs.
        codes : ndarray of int64, optional
            The token of each row after the initial state's.
        """
        if codes is not None:
            columns = len(self.layer.cell.gates) * self.layer.width
            if self._table.shape != (len(X), columns):
                self._table = cpu.host.aligned(len(X), columns, self.layer.dtype)
            self.tape, self._X = (
                cpu.recurrence.Tape(X, self.slots, self.state, codes, self._table),
                None,
            )
        elif X is not self._X:
            self.tape = cpu.recurrence.Tape(X, self.slots, self.state, _NO_CODES, self.slots)
            self._X = X
        self._forward(self.tape, self.layer.weights, self._plan)

    def backward(
        self,
        dX: np.ndarray,
        dh: np.ndarray,
        gradients: LayerWeights,
        record: np.ndarray | None = None,
    ) -> None:
        """Set `gradients` and `dX` to what `dstate` and `dh` give.

        Parameters
        ----------
        dX : ndarray (>= rows, features padded), or of no columns
            Gradient of the input.
        dh : ndarray (>= rows, units padded), or of no columns
            What reaches each h from the layers above; zeros in the padding.
        gradients : LayerWeights
            Of the parameters.
        record : ndarray (>= rows, Z * width), optional
            Becomes the gradient of the state after each step.
        """
        scratch, nothing = self._scratch or self._make_scratch(), self.dstate[:, :0]
        record = nothing if record is None else record
        arrays = cpu.recurrence.TapeGradient(dX, dh, self.dstate, record)
        self._backward(arrays, self.tape, self.layer.transposed, gradients, scratch, self._plan)

    def _make_scratch(self) -> Scratch:
        """Make the room that only the way back needs."""
        before = self._rows if self.layer.cell.recurrent else 0
        self._scratch = make_scratch(
            self.layer, before, max(self._at_once, WINDOW_ROWS, self._batch)
        )
        return self._scratch


def make_scratch(layer: Layer, before: int, rows: int) -> Scratch:
    """Make room for products of a layer over so many rows at once; `before` has rows of its own."""
    aligned, dtype = cpu.host.aligned, layer.dtype
    width = (cpu.host.TILE_VECTORS + 1) * cpu.host.lanes(dtype)
    return cpu.recurrence.Scratch(
        before=aligned(before, layer.width, dtype),
        panel=aligned(1, rows * width, dtype)[0],
        zeros=aligned(1, max(width, cpu.host.padded(layer.features, dtype)), dtype)[0],
        ones=np.ones((rows, 1), dtype),
    )


class Workspace:
    """The arrays of one pass: those of every layer's run, level by level, and others by name."""

    def __init__(self, levels: Sequence[Sequence[Layer]], dtype: np.typing.DTypeLike) -> None:
        self.levels = [[LayerBuffers(layer) for layer in level] for level in levels]
        self.dtype = np.dtype(dtype)
        self._others: dict[str, LayerBuffers] = {}
        self._arrays: dict[str, np.ndarray] = {}
        self.scratch: dict[str, Scratch] = {}

    def run(self, layer: Layer) -> LayerBuffers:
        """Return the run of a layer that belongs to no level."""
        run = self._others.get(layer.name)
        if run is None:
            run = self._others[layer.name] = LayerBuffers(layer)
        return run

    def rows(self, name: str, rows: int, columns: int) -> np.ndarray:
        """Return an array of at least `rows` rows, zeros at first; what it holds is left over from before."""
        array = self._arrays.get(name)
        if array is None or len(array) < rows or array.shape[1] != columns:
            array = self._arrays[name] = cpu.host.aligned(rows, columns, self.dtype)
        return array
