"""Arrays that runs over batches need, kept from batch to batch: one `Workspace` for each thread.

`LayerBuffers` holds those of one layer, and runs it forward and back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import cpu
from .layers import Layer
from .packing import WINDOW_ROWS
from .pooling import Pooling
from .segments import WHOLE, Segment

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from ..cpu.recurrence import LayerWeights, Scratch

_NO_CODES = np.empty(0, np.int64)
# Rows that the products outside the recurrence take at once. Few rows are better where a layer's
# matrices have at most _CACHED bytes: rows and matrices then share the second-level cache. Larger
# matrices are read from afar, and each reading must serve many rows. Measured on a Zen 4: 64 rows
# instead of 384 make LSTM 256 2 % faster, and larger ones 3 to 10 % slower.
_ROWS = 384
_FEW_ROWS = 64
_CACHED = 2 << 20
# Bytes of a segment, see `steps_at_once`. The gates of the last one are not computed twice, and
# each one costs calls: LSTM 64 on 4 x 50,000 steps takes 3 % more time with a quarter of it.
SEGMENT_BYTES = 16 << 20


class Buffer:
    """An array that is kept until a larger one, or one of other columns, is needed."""

    def __init__(self, dtype: DTypeLike) -> None:
        self.array = np.empty((0, 0), dtype)

    def at_least(self, rows: int, columns: int) -> np.ndarray:
        """Return an array of at least `rows` rows and of exactly `columns` columns.

        A new array is all zeros; an old one holds what was written last. Columns that are never
        written, those of the padding, therefore stay zero.
        """
        if len(self.array) < rows or self.array.shape[1] != columns:
            self.array = cpu.host.aligned(rows, columns, self.array.dtype)
        return self.array


class LayerBuffers:
    """One layer and the arrays of its runs, which hold what the run before has left.

    Parameters
    ----------
    layer : Layer
        The layer to run.

    Attributes
    ----------
    slots, state : ndarray (>= rows, S * width), (>= rows, Z * width)
        Filled by `forward`, row by row; the initial state is put into the first rows before. Slots
        that need not be kept have fewer rows.
    in_place : bool
        Whether each step's state takes the place of the one before: only the last ones are left.
    dstate : ndarray (>= B, Z * width)
        To be set before `backward`: the gradient of the state in which each sequence ends. That of
        the state before a segment's first step is left there.
    nothing : ndarray (>= B, 0)
        Stands for gradients that there are none of.
    rows : int
        Number of rows of the current run's state.
    X, dX, dh, record : Buffer
        For those who run the layer: its input, where that is a selection of rows; the gradients of
        its input and of its h; the gradient of its state after each step.
    logits : Scratch or None
        Of an output layer with a softmax: arrays for the outputs of some rows.
    """

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self._forward = cpu.recurrence.forward(layer.cell_name)
        self._backward = cpu.recurrence.backward(layer.cell_name)
        self._rows_at_once = _rows_at_once(layer)
        self._columns = len(layer.cell.slots) * layer.width
        # Of the arrays that are there; the run at hand may have fewer.
        self._most_rows = -1
        self._most_sequences = -1
        self._first = np.empty(0)
        self._kept = True
        self.in_place = False
        self._segment = WHOLE
        self._X: np.ndarray | None = None
        self._slots = Buffer(layer.dtype)
        self._table = np.empty((0, 0), layer.dtype)
        self._dtable = Buffer(layer.dtype)
        self.X = Buffer(layer.dtype)
        self.dX = Buffer(layer.dtype)
        self.dh = Buffer(layer.dtype)
        self.record = Buffer(layer.dtype)
        self.logits: Scratch | None = None

    def reserve(
        self, first: np.ndarray, kept: bool = True, segment: Segment = WHOLE, in_place: bool = False
    ) -> None:
        """Prepare a run over steps that begin at the rows `first`.

        Unless `backward` follows, or somebody reads the slots, they need not be `kept`: those of a
        few rows, which stay in the cache, then serve one product after another. The steps may be a
        segment of a batch. Where nobody reads a state but the last, it may be computed `in_place`.
        """
        wanted = kept, segment, in_place
        # Batches of the same lengths share one `first`: nothing changes then.
        if first is self._first and wanted == (self._kept, self._segment, self.in_place):
            return
        layer = self.layer
        steps = int(first[-1])
        rows = int(first[1]) if in_place else steps
        sequences = segment.sequences or int(first[2] - first[1])
        chunk = _chunk(layer, self._rows_at_once, sequences)
        ends = segment.begins, segment.ends
        self._loop = cpu.recurrence.TimeLoop(first, chunk, layer.features, layer.units, *ends, 1)
        if rows > self._most_rows or sequences > self._most_sequences:
            self._grow(max(rows, self._most_rows), max(sequences, self._most_sequences))
        self.state = self._state[:rows] if in_place else self._state
        at_once = steps if kept else min(steps, chunk * sequences)
        self.slots = self._slots.at_least(at_once, self._columns)
        if not kept:
            self.slots = self.slots[:at_once]
        self._X = None  # the tape may hold other slots
        self._first = first
        self._kept, self._segment, self.in_place = wanted
        self.rows = rows

    def _grow(self, rows: int, sequences: int) -> None:
        """Make larger arrays."""
        layer = self.layer
        states = len(layer.cell.states) * layer.width
        self._most_rows = rows
        self._most_sequences = sequences
        self._state = cpu.host.aligned(rows, states, layer.dtype)
        self.dstate = cpu.host.aligned(sequences, states, layer.dtype)
        self.nothing = self.dstate[:, :0]
        # The scratch has to fit the new size.
        self._scratch: Scratch | None = None

    def forward(self, X: np.ndarray, codes: np.ndarray | None = None, parts: int = 1) -> None:
        """Fill `slots` and `state` from the initial state on.

        Parameters
        ----------
        X : ndarray (>= rows, >= features), or with codes (tokens, >= features)
            Inputs.
        codes : ndarray of int64, optional
            The token of each row that is a step.
        parts : int, default=1
            Parts of the steps to run side by side; the initial state of each is in its place.
        """
        if codes is not None:
            columns = len(self.layer.cell.gates) * self.layer.width
            if self._table.shape != (len(X), columns):
                self._table = cpu.host.aligned(len(X), columns, self.layer.dtype)
            self.tape = cpu.recurrence.Tape(X, self.slots, self.state, codes, self._table)
            self._X = None
        elif X is not self._X:
            # Without codes there is no table: any array will do in its place.
            self.tape = cpu.recurrence.Tape(X, self.slots, self.state, _NO_CODES, self.slots)
            self._X = X
        if parts == 1:
            self._code(self._forward)(self.tape, self.layer.weights, self._loop)
        else:
            kernel = cpu.recurrence.forward(self.layer.cell_name, True)
            loop = self._loop._replace(parts=parts)
            self._code(kernel)(self.tape, self.layer.weights, loop)

    def _code(self, kernel: Any) -> Callable[..., None]:
        """Return the machine code of a pass over the tape, which may hold overlapping windows."""
        overlapping = not self.tape.X.flags.c_contiguous
        return cpu.jit.machine_code(kernel, self.layer.dtype, overlapping)

    def backward(
        self,
        dX: np.ndarray,
        dh: np.ndarray,
        gradients: LayerWeights,
        record: np.ndarray | None = None,
    ) -> None:
        """Add to `gradients` and set `dX` from `dstate` and `dh`.

        Parameters
        ----------
        dX : ndarray (>= rows, features padded), or of no columns
            Set to the gradient of the input, unless it has no columns.
        dh : ndarray (>= rows, width), or of no columns
            Gradient that reaches each h from the layers above; zeros in the padding.
        gradients : LayerWeights
            The gradient of the parameters is added to them.
        record : ndarray (>= rows, Z * width), optional
            Set to the gradient of the state after each step.
        """
        scratch = self._scratch or self._make_scratch()
        if record is None:
            record = self.nothing
        table = self.tape.table
        if len(self.tape.codes) and self._segment != WHOLE:
            # The forward pass over the next segment needs the table as it is.
            table = self._dtable.at_least(*table.shape)
        arrays = cpu.recurrence.TapeGradient(dX, dh, self.dstate, record, table)
        backward = self._code(self._backward)
        backward(arrays, self.tape, self.layer.transposed, gradients, scratch, self._loop)

    def _make_scratch(self) -> Scratch:
        """Make the arrays that only the backward pass needs."""
        # A product takes a chunk of rows, a block of windows, or one step of the whole batch.
        rows = max(self._rows_at_once, WINDOW_ROWS, self._most_sequences)
        before = rows if self.layer.cell.recurrent else 0
        self._scratch = make_scratch(self.layer, before, rows)
        return self._scratch


def _rows_at_once(layer: Layer) -> int:
    """Return the rows that a layer's products outside the recurrence take."""
    columns = len(layer.cell.gates) * layer.width
    matrix_bytes = (layer.features + layer.units) * columns * layer.dtype.itemsize
    return _FEW_ROWS if matrix_bytes <= _CACHED else _ROWS


def _chunk(layer: Layer, rows: int, sequences: int) -> int:
    """Return the steps in which so many sequences have this number of rows."""
    return max(1, rows // max(1, sequences)) if layer.cell.recurrent else 1


def best_steps(
    levels: Sequence[Sequence[Layer]],
    sequences: int,
    steps: int,
    segment_bytes: int,
    parts: int = 1,
) -> float:
    """Return the steps of each segment into which a batch is cut, from its sizes alone.

    The states that are kept between the parts of segments, and all that is kept of one segment,
    take the least memory together if it has the square root of the steps, times that of their ratio
    [1]_; a short one costs time, so that it has so many bytes at least.

    References
    ----------
    .. [1] Chen, T., Xu, B., Zhang, C. and Guestrin, C. (2016). Training deep nets with sublinear
       memory cost. arXiv:1604.06174, section 3.
    """
    layers = [layer for level in levels for layer in level]
    states = sum(len(layer.cell.states) * layer.width for layer in layers)
    kept = states + sum(len(layer.cell.slots) * layer.width for layer in layers)
    step_bytes = sequences * kept * layers[0].dtype.itemsize
    return max(math.sqrt(steps * parts * states / kept), segment_bytes / step_bytes)


def steps_at_once(levels: Sequence[Sequence[Layer]], sequences: int, steps: int) -> int:
    """Return the steps of a segment whose products take as many as they do in a whole batch."""
    layers = [layer for level in levels for layer in level]
    chunks = [_chunk(layer, _rows_at_once(layer), sequences) for layer in layers]
    multiple = math.lcm(*chunks, cpu.host.TILE_ROWS)  # parts of equal length, see `parts_at_once`
    best = best_steps(levels, sequences, steps, SEGMENT_BYTES, parts_at_once(sequences))
    return multiple * math.ceil(best / multiple)


def parts_at_once(sequences: int) -> int:
    """Return the parts of a segment that are run side by side when it is run again.

    The states in which they begin are known then. Products take as long for one row as for all rows
    of a tile: a step of LSTM 64 takes .83 us of one sequence, and .40 us each of four.
    """
    return cpu.host.TILE_ROWS if sequences < cpu.host.TILE_ROWS else 1


class PoolingBuffers:
    """The arrays of a network's pooling, which hold what the run before has left.

    Attributes
    ----------
    pooled : ndarray (>= B, D padded + lanes)
        The pooled rows of the last run before dropout, see `cpu/pooling.py`.
    """

    pooled: np.ndarray

    def __init__(self, dtype: DTypeLike) -> None:
        self._pooled = Buffer(dtype)
        self._dropped = Buffer(dtype)
        self._drows = Buffer(dtype)

    def forward(
        self,
        pooling: Pooling,
        rows: np.ndarray,
        start: int,
        members: np.ndarray,
        before: np.ndarray,
        masks: Sequence[np.ndarray],
    ) -> np.ndarray:
        """Return the pooled rows of all sequences after dropout, (>= B, D padded + lanes).

        Parameters
        ----------
        pooling : Pooling
            How to pool.
        rows : ndarray (rows, >= D padded)
            States, each sequence's in the order of its steps.
        start : int
            The first of them that is pooled.
        members : ndarray of int64 (n,)
            Sequence of each row from there on.
        before : ndarray (B, D padded + lanes)
            Zeros, or the pooled rows of the sequences' earlier steps.
        masks : sequence of at most one ndarray (B, D)
            Dropout mask of the pooled rows.
        """
        B = len(before)
        self.pooled = self._pooled.at_least(*before.shape)
        self.pooled[:B] = before
        self._pooling = pooling
        self._run = self.pooled, rows, start, members
        self._drop = [(mask, np.arange(B)) for mask in masks]
        pooling.forward(*self._run)
        if not masks:
            return self.pooled
        # A copy: the next steps and the backward pass need the rows before dropout.
        dropped = self._dropped.at_least(*before.shape)
        dropped[:B] = self.pooled[:B]
        cpu.gather.scale(dropped, 0, *self._drop[0])
        return dropped

    def backward(self, dpooled: np.ndarray, gradients: Mapping[str, Any]) -> np.ndarray:
        """Return the gradient of `rows` from that of the result, and add to that of w."""
        for drop in self._drop:
            cpu.gather.scale(dpooled, 0, *drop)
        drows = self._drows.at_least(len(self._run[1]), self._pooling.width)
        self._pooling.backward(drows, dpooled, gradients[self._pooling.name], *self._run)
        return drows


def make_scratch(
    layer: Layer,
    before: int,
    rows: int,
) -> Scratch:
    """Return scratch arrays for products over `rows` rows at once; `before` has its own number."""
    dtype = layer.dtype
    width = 2 * cpu.host.TILE_VECTORS * cpu.host.lanes(dtype)  # of two panels
    columns = max(width, cpu.host.padded(layer.features, dtype))
    return cpu.recurrence.Scratch(
        before=cpu.host.aligned(before, layer.width, dtype),
        panels=cpu.host.aligned(1, rows * width, dtype)[0],
        zeros=cpu.host.aligned(1, columns, dtype)[0],
        ones=np.ones((rows, 1), dtype),
    )


class Workspace:
    """The arrays of one run over a batch.

    Parameters
    ----------
    levels : sequence of sequences of Layer
        The network's layers and their directions.
    dtype : dtype
        float32 or float64.

    Attributes
    ----------
    levels : list of lists of LayerBuffers
        Those of each layer and direction.
    """

    def __init__(self, levels: Sequence[Sequence[Layer]], dtype: DTypeLike) -> None:
        self.levels = [[LayerBuffers(layer) for layer in level] for level in levels]
        self._output_layers: dict[str, LayerBuffers] = {}
        self.X = Buffer(dtype)  # input of the first level, packed, or one row per token
        self.steps = Buffer(dtype)  # the batch's sequences, concatenated and converted
        self.embedded = Buffer(dtype)  # the tokens' vectors, sequence by sequence, for windows
        self.dembedded = Buffer(dtype)  # and the gradient of these
        # For each level its output, where that is no view of a state, and the input of its reverse
        # direction.
        self.outputs = [Buffer(dtype) for _ in levels]
        self.reversed_inputs = [Buffer(dtype) for _ in levels]
        self.pooling = PoolingBuffers(dtype)
        self.last_features = Buffer(dtype)  # features at each sequence's end
        self.dfeatures = Buffer(dtype)  # the gradient that a trace begins with

    def output_layer(self, layer: Layer) -> LayerBuffers:
        """Return the buffers of a layer of the head, made when they are first used."""
        buffers = self._output_layers.get(layer.name)
        if buffers is None:
            buffers = self._output_layers[layer.name] = LayerBuffers(layer)
        return buffers
