"""The order in which the steps of a batch are packed into rows.

A batch has its longest sequence first. The sequences that still run at a step are then a prefix of
the batch, so rows in the order of time need no mask and hold no padding. `Steps` is this packing,
for recurrent cells; `Windows` is the one of feed-forward networks, in which each window of inputs
is one row.
"""

from __future__ import annotations

from functools import cached_property, lru_cache

import numpy as np

from .. import cpu
from ..utils.indexing import split

# Rows of a batch up to which its packing is kept for the next batch of the same lengths. Packings
# of larger batches would take more memory than their making takes time compared with the batch
# itself.
_KEPT_ROWS = 1 << 16
# Rows of a block, where no recurrence divides the rows into steps. Products over many more rows
# leave the cache before they are used; over many fewer, the packing of matrices is not paid back.
WINDOW_ROWS = 256


class Steps:
    """Rows in the order of time, for recurrent networks: step t follows step t - 1.

    Row i of step t belongs to sequence i of the batch. The first B rows are the initial state.

    Parameters
    ----------
    lengths : ndarray of int64 (B,)
        Number of steps of each sequence, in falling order.

    Attributes
    ----------
    first : ndarray of int64 (T + 2,)
        Step t = 1 .. T owns the rows from first[t] up to first[t + 1].
    last_rows : ndarray of int64 (B,)
        Row of each sequence's last step.
    start, stop : int
        The rows from `start` up to `stop` are steps.
    """

    def __init__(self, lengths: np.ndarray) -> None:
        self.lengths = lengths
        B = len(lengths)
        T = int(lengths[0])
        self.first = np.empty(T + 2, np.int64)
        self.last_rows = np.empty(B, np.int64)
        cpu.gather.time_major(lengths, self.first, self.last_rows)
        self.start = B
        self.stop = int(self.first[-1])

    @staticmethod
    def of(lengths: np.ndarray) -> Steps:
        """Return the packing for these lengths; small batches of the same lengths share it."""
        if len(lengths) * lengths[0] >= _KEPT_ROWS:
            return Steps(lengths)
        return _steps(lengths.tobytes())

    @cached_property
    def offsets(self) -> np.ndarray:
        """Index of each sequence's first step in the batch's sequences, concatenated."""
        return np.cumsum(self.lengths) - self.lengths

    @cached_property
    def source(self) -> np.ndarray:
        """Index of each row in the batch's sequences, concatenated."""
        index = np.empty(self.stop - self.start, np.int64)
        cpu.gather.time_major_index(self.first, self.offsets, index)
        return index

    def load(
        self,
        steps: np.ndarray,
        rows: np.ndarray,
        offsets: np.ndarray | None = None,
    ) -> None:
        """Copy concatenated sequences into packed rows.

        Parameters
        ----------
        steps : ndarray (n, F)
            Concatenated sequences.
        rows : ndarray (>= stop, F)
            Packed rows, of which those from `start` up to `stop` are set.
        offsets : ndarray of int64 (B,), optional
            Index of each sequence's first step in `steps`; without it they are the batch's
            sequences alone.
        """
        cpu.gather.pack(rows, self.first, steps, self.offsets if offsets is None else offsets)

    def rows_at(self, steps: np.ndarray) -> np.ndarray:
        """Return the row of one step, counted from 0, of each sequence."""
        return self.first[1 + steps] + np.arange(len(steps))

    @cached_property
    def all_rows(self) -> np.ndarray:
        """Every row that is a step."""
        return np.arange(self.start, self.stop)

    @cached_property
    def mirrored_rows(self) -> np.ndarray:
        """For each row the row of the same sequence's step counted from its end."""
        sizes = np.diff(self.first[1:])
        step = np.repeat(np.arange(len(sizes)), sizes)  # of each row, from 0
        member = self.members
        return self.first[self.lengths[member] - step] + member

    @cached_property
    def members(self) -> np.ndarray:
        """Index in the batch of the sequence that each row belongs to."""
        sizes = np.diff(self.first[1:])
        return self.all_rows - np.repeat(self.first[1:-1], sizes)

    def by_step(self, values: list[np.ndarray]) -> np.ndarray:
        """Return per-step values of each sequence in the order of the rows."""
        return np.concatenate(values)[self.source]

    def by_sequence(self, rows: np.ndarray) -> list[np.ndarray]:
        """Undo `by_step`: return one array per sequence."""
        joined = np.empty_like(rows)
        joined[self.source] = rows
        return split(joined, self.lengths)


@lru_cache(maxsize=16)
def _steps(lengths: bytes) -> Steps:
    return Steps(np.frombuffer(lengths, np.int64).copy())  # kernels take no read-only arrays


class Windows:
    """Rows for feed-forward networks: the last `window` inputs of a step side by side.

    Zeros stand before the first input. With `last` there is one row per sequence, for its last
    step; else one per step, sequence by sequence. These overlap: the inputs are stored once, each
    sequence after window - 1 rows of zeros, and each row of the window layer's X begins one input
    after the row above. Rows that reach from one sequence into the next are computed and never
    read.

    Parameters
    ----------
    lengths : ndarray of int64 (B,)
        Number of steps of each sequence.
    window : int
        Number of inputs in a row.
    last : bool
        Whether only the last step of each sequence is wanted.

    Attributes
    ----------
    counts : ndarray of int64 (B,)
        Number of outputs of each sequence.
    n_rows : int
        Number of rows, those that are never read included.
    index : ndarray of int64
        Row of each output.
    start, stop, last_rows
        As in `Steps`, of the outputs.
    """

    def __init__(self, lengths: np.ndarray, window: int, last: bool) -> None:
        self.lengths = lengths
        self.window = window
        self.last = last
        self.counts = np.ones_like(lengths) if last else lengths
        self._spans = self.counts + window - 1  # stored inputs of each sequence
        if last:
            self.n_rows = len(lengths)
            self.index = np.arange(self.n_rows)
        else:
            self.n_rows = int(self._spans.sum()) - window + 1
            self.index = _ranges(np.cumsum(self._spans) - self._spans, lengths)
        self.start = 0
        self.stop = len(self.index)
        self.last_rows = np.cumsum(self.counts) - 1
        # Whether no window begins before its sequence does.
        self._whole = last and bool(lengths.min() >= window)

    @staticmethod
    def of(lengths: np.ndarray, window: int, last: bool) -> Windows:
        """Return the packing for these lengths; small batches of the same lengths share it."""
        if len(lengths) * (window + int(lengths.max())) >= _KEPT_ROWS:
            return Windows(lengths, window, last)
        return _windows(lengths.tobytes(), window, last)

    @cached_property
    def _steps(self) -> np.ndarray:
        """Step of each stored input within its sequence; those before its start are negative."""
        return _ranges(self.lengths - self._spans, self._spans)

    @cached_property
    def offsets(self) -> np.ndarray:
        """Index of each sequence's first step in the batch's sequences, concatenated."""
        return np.cumsum(self.lengths) - self.lengths

    def row_index(self, offsets: np.ndarray) -> np.ndarray:
        """Step of each stored input in concatenated sequences, from 1; 0 is the row of zeros."""
        steps = self._steps
        return np.where(steps < 0, 0, steps + 1 + np.repeat(offsets, self._spans))

    @cached_property
    def source(self) -> np.ndarray:
        """The same in the batch's sequences, concatenated."""
        return self.row_index(self.offsets)

    def inputs(self, steps: np.ndarray, offsets: np.ndarray | None = None) -> np.ndarray:
        """Return the windows (n_rows, window * F).

        Parameters
        ----------
        steps : ndarray (1 + n, F)
            A row of zeros and concatenated sequences.
        offsets : ndarray of int64 (B,), optional
            Index of each sequence's first step among these; without it they are the batch's
            sequences alone.
        """
        F = steps.shape[1]
        # A row begins F elements after the one above, and shares all but F with it.
        strides = (F * steps.itemsize, steps.itemsize)
        if self._whole:
            shape = (len(steps) - self.window + 1, self.window * F)
            every = np.ndarray(shape, steps.dtype, steps, strides=strides)
            starts = self.offsets if offsets is None else offsets
            return every[starts + (self.lengths - self.window + 1)]
        stored = steps[self.source if offsets is None else self.row_index(offsets)]
        shape = (self.n_rows, self.window * F)
        if self.last:
            return stored.reshape(shape)
        return np.ndarray(shape, stored.dtype, stored, strides=strides)

    def rows_at(self, steps: np.ndarray) -> np.ndarray:
        """Return the row of one step, counted from 0, of each sequence; not with `last`."""
        return self.last_rows - (self.lengths - 1 - steps)

    def by_step(self, values: list[np.ndarray]) -> np.ndarray:
        """Return per-step values of each sequence in the order of the outputs."""
        return np.concatenate(values)

    def by_sequence(self, rows: np.ndarray) -> list[np.ndarray]:
        """Undo `by_step`: return one array per sequence."""
        return split(rows, self.lengths)

    @cached_property
    def members(self) -> np.ndarray:
        """Index in the batch of the sequence that each output belongs to."""
        return np.repeat(np.arange(len(self.lengths)), self.counts)


@lru_cache(maxsize=16)
def _windows(lengths: bytes, window: int, last: bool) -> Windows:
    return Windows(np.frombuffer(lengths, np.int64).copy(), window, last)


@lru_cache(maxsize=64)
def blocks(start: int, rows: int) -> np.ndarray:
    """Return `first` of `Steps` for rows without recurrence, with blocks for steps."""
    return np.array([start, *range(start, start + rows, WINDOW_ROWS), start + rows])


def _ranges(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the concatenation of start .. start + count - 1 for each pair."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1]) + np.repeat(starts - (ends - counts), counts)
