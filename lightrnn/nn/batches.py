"""Minibatches of sequences, and the order in which their steps are packed into rows.

A batch has its longest sequence first. The sequences that still run at a step are then a prefix of
the batch, so rows in the order of time need no mask and hold no padding. `Steps` is this packing,
for recurrent cells; `Windows` is the one of feed-forward networks, in which each window of inputs
is one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from .. import cpu
from ..utils.indexing import take
from .groups import longest_first

# Rows of a batch up to which its packing is kept for the next batch of the same lengths. Packings
# of larger batches would take more memory than their making takes time compared with the batch
# itself.
_KEPT_ROWS = 1 << 16
# Rows of a block, where no recurrence divides the rows into steps. Products over many more rows
# leave the cache before they are used; over many fewer, the packing of matrices is not paid back.
WINDOW_ROWS = 256


@dataclass(eq=False)
class Batch:
    """Sequences that are run together, longest first.

    Attributes
    ----------
    X : list of ndarray (T_i, F), or of codes (T_i,)
        Sequences, in the user's dtype.
    lengths : ndarray of int64 (B,)
        Number of steps of each sequence, in falling order.
    order : ndarray of int64 (B,)
        Index of each sequence before sorting.
    targets, weights : ndarray (B, ...) or list of ndarray (T_i, ...)
        Targets of the loss and their weights, in the order of X; None where there is no loss.
    n_targets : int
        Number of targets with a positive weight, by which the sum of weighted losses is divided; a
        shard keeps that of the whole batch.
    masks : tuple of ndarray (B, D)
        For each level the factors by which dropout multiplies its output; empty without dropout.
    states : tuple of ndarray (B, Z * H)
        Initial state of each layer and direction, then what is pooled of earlier steps; empty for
        zeros.
    offsets : ndarray of int64 (B,) or None
        Index of each sequence's first step in the concatenated sequences that the batches are drawn
        from.
    context : int
        First steps of a single sequence that windows look back at and that are not pooled.
    """

    X: list[np.ndarray]
    lengths: np.ndarray
    order: np.ndarray
    targets: Any = None
    weights: Any = None
    n_targets: int = 0
    masks: tuple[np.ndarray, ...] = ()
    states: tuple[np.ndarray, ...] = ()
    offsets: np.ndarray | None = None
    context: int = 0

    @classmethod
    def of(
        cls,
        X: Sequence[np.ndarray],
        targets: Any,
        weights: Any,
        masks: tuple[np.ndarray, ...] = (),
    ) -> Batch:
        """Sort sequences with their targets and weights; `masks` are in the sorted order."""
        batch = cls.of_inputs(X)
        return batch.with_targets(take(targets, batch.order), take(weights, batch.order), masks)

    @classmethod
    def of_inputs(cls, X: Sequence[np.ndarray]) -> Batch:
        """Sort sequences to predict from."""
        lengths = list(map(len, X))
        # The groups of a prediction are sorted already, and one sequence always is.
        if lengths == sorted(lengths, reverse=True):
            return cls(list(X), np.array(lengths), np.arange(len(lengths)))
        order = longest_first(np.array(lengths))
        return cls(take(X, order), np.array(lengths)[order], order)

    def with_targets(
        self,
        targets: Any,
        weights: Any,
        masks: tuple[np.ndarray, ...] = (),
    ) -> Batch:
        """Set targets, weights and dropout masks, in the order of X; return the batch."""
        self.targets = targets
        self.weights = weights
        self.n_targets = _count(weights)
        self.masks = masks
        return self

    def shard(self, index: int, count: int) -> Batch:
        """Return every `count`-th sequence from `index` on: lengths are spread evenly and fall."""
        if count == 1:
            return self

        def part(values: Any) -> Any:
            some = None if values is None else values[index::count]
            # Kernels are compiled for contiguous arrays.
            return np.ascontiguousarray(some) if isinstance(some, np.ndarray) else some

        return Batch(
            X=part(self.X),
            lengths=part(self.lengths),
            order=part(self.order),
            targets=part(self.targets),
            weights=part(self.weights),
            n_targets=self.n_targets,
            masks=tuple(map(part, self.masks)),
            states=tuple(map(part, self.states)),
            offsets=part(self.offsets),
        )

    def steps(self, start: int, stop: int) -> Batch:
        """Return steps start .. stop - 1 of the sequences that reach them, with their targets."""
        # Lengths fall, so the sequences with more than `start` steps are the first ones.
        count = int(np.searchsorted(-self.lengths, -start))
        weights = _cut(self.weights, start, stop, count)
        return replace(
            self,
            X=_cut(self.X, start, stop, count),
            lengths=np.minimum(self.lengths[:count], stop) - start,
            order=self.order[:count],
            targets=_cut(self.targets, start, stop, count),
            weights=weights,
            n_targets=_count(weights) if isinstance(weights, list) else self.n_targets,
            masks=tuple(mask[:count] for mask in self.masks),
            states=tuple(state[:count] for state in self.states),
            offsets=None if self.offsets is None else self.offsets[:count] + start,
        )


def _count(weights: np.ndarray | list[np.ndarray]) -> int:
    """Return the number of positive weights."""
    if isinstance(weights, list):
        return sum(map(np.count_nonzero, weights))
    return int(np.count_nonzero(weights))


def _cut(
    values: Any,
    start: int,
    stop: int,
    count: int,
) -> Any:
    """Return some steps of a list of per-step values; values per sequence stay as they are."""
    return [steps[start:stop] for steps in values[:count]] if isinstance(values, list) else values


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

    def row_index(self, offsets: np.ndarray) -> np.ndarray:
        """Index of each packed row in the concatenated sequences; b starts at offsets[b]."""
        index = np.empty(self.stop - self.start, np.int64)
        cpu.gather.time_major_index(self.first, offsets, index)
        return index

    @cached_property
    def source(self) -> np.ndarray:
        """Index of each row in the batch's sequences, concatenated."""
        return self.row_index(np.cumsum(self.lengths) - self.lengths)

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
        index = self.source if offsets is None else self.row_index(offsets)
        # With mode "raise" NumPy would copy through a buffer; the index is known to be in range.
        steps.take(index, axis=0, out=rows[self.start : self.stop], mode="clip")

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
        return np.split(joined, np.cumsum(self.lengths)[:-1])


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
            offsets = self.offsets if offsets is None else offsets
            shape = (len(steps) - self.window + 1, self.window * F)
            every = np.lib.stride_tricks.as_strided(steps, shape, strides)
            return every[offsets + (self.lengths - self.window + 1)]
        stored = steps[self.source if offsets is None else self.row_index(offsets)]
        shape = (self.n_rows, self.window * F)
        if self.last:
            return stored.reshape(shape)
        return np.lib.stride_tricks.as_strided(stored, shape, strides)

    def rows_at(self, steps: np.ndarray) -> np.ndarray:
        """Return the row of one step, counted from 0, of each sequence; not with `last`."""
        return self.last_rows - (self.lengths - 1 - steps)

    def by_step(self, values: list[np.ndarray]) -> np.ndarray:
        """Return per-step values of each sequence in the order of the outputs."""
        return np.concatenate(values)

    def by_sequence(self, rows: np.ndarray) -> list[np.ndarray]:
        """Undo `by_step`: return one array per sequence."""
        return np.split(rows, np.cumsum(self.lengths)[:-1])

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
