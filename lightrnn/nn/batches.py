"""Batches: sequences that are run together, and where each of their steps lies in the packed rows.

A batch has its longest sequence first; then the sequences still running at a step are a prefix, and rows in the order
of time need no mask and hold no padding. `Steps` is that order, for recurrent cells; `Windows` lays the inputs of a
feed-forward net so that each window is one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Protocol

import numpy as np

from .. import cpu
from ..utils.indexing import take

_KEPT_ROWS = 1 << 16  # of a batch whose index is kept for the next of the same lengths
WINDOW_ROWS = 256  # rows in a block, where there is no recurrence to make steps


class Dropout(Protocol):
    """Draws the masks of a batch: a network."""

    @property
    def dropout(self) -> float:
        """The fraction of each layer's outputs that is dropped; 0 draws no masks."""

    def dropout_masks(self, batch_size: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Return for each layer what its output is multiplied by, one row per sequence."""


@dataclass(eq=False)
class Batch:
    """Sequences that are trained on together, longest first.

    Attributes
    ----------
    X : list of ndarray (T_i, F)
        Sequences, in the user's dtype.
    lengths : ndarray of int64 (B,)
        Their steps, not increasing.
    order : ndarray of int64 (B,)
        Where each stood before sorting.
    targets, weights : ndarray (B, ...) or list of ndarray (T_i, ...)
        For the loss, in the order of X; None where there is no loss.
    weight : float
        Sum of the weights.
    masks : tuple of ndarray (B, D)
        For each layer what dropout multiplies its output by; empty without dropout.
    states : tuple of ndarray (B, Z * H)
        The initial state of each layer and direction; empty for zeros.
    offsets : ndarray of int64 (B,) or None
        Where each begins among the steps of all sequences of the feed, one after another.
    """

    X: list[np.ndarray]
    lengths: np.ndarray
    order: np.ndarray
    targets: Any = None
    weights: Any = None
    weight: float = 0.0
    masks: tuple[np.ndarray, ...] = ()
    states: tuple[np.ndarray, ...] = ()
    offsets: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        X: Sequence[np.ndarray],
        targets: Any,
        weights: Any,
        rng: np.random.Generator | None,
        network: Dropout,
    ) -> Batch:
        """Sort a minibatch to learn from; see `learned`."""
        batch = cls.of_inputs(X)
        return batch.learned(take(targets, batch.order), take(weights, batch.order), rng, network)

    @classmethod
    def of_inputs(cls, X: Sequence[np.ndarray]) -> Batch:
        """Sort sequences to predict from."""
        lengths = list(map(len, X))
        if lengths == sorted(lengths, reverse=True):
            return cls(list(X), np.array(lengths), np.arange(len(lengths)))
        order = longest_first(np.array(lengths))
        return cls(take(X, order), np.array(lengths)[order], order)

    def learned(
        self, targets: Any, weights: Any, rng: np.random.Generator | None, network: Dropout
    ) -> Batch:
        """Add what is to be learned; draw dropout masks from `rng`, unless that is None."""
        if rng is not None and network.dropout:
            self.masks = network.dropout_masks(len(self.X), rng)
        self.targets, self.weights, self.weight = targets, weights, _total(weights)
        return self

    def shard(self, index: int, count: int) -> Batch:
        """Every `count`-th sequence from `index` on: lengths are spread evenly, and do not increase."""
        if count == 1:
            return self
        part = slice(index, None, count)
        masks, states = (
            tuple(np.ascontiguousarray(a[part]) for a in arrays)
            for arrays in (self.masks, self.states)
        )
        targets, weights, offsets = (
            None if v is None else v[part] for v in (self.targets, self.weights, self.offsets)
        )
        order = self.order[part]
        return Batch(
            self.X[part],
            self.lengths[part],
            order,
            targets,
            weights,
            self.weight,
            masks,
            states,
            offsets,
        )

    def steps(self, start: int, stop: int) -> Batch:
        """Return steps start .. stop - 1 of the sequences that reach them, per-step targets with them."""
        count = int(np.searchsorted(-self.lengths, -start))
        X, targets, weights = (
            _cut(values, start, stop, count) for values in (self.X, self.targets, self.weights)
        )
        total = _total(weights) if isinstance(weights, list) else self.weight
        return replace(
            self,
            X=X,
            lengths=np.minimum(self.lengths[:count], stop) - start,
            order=self.order[:count],
            targets=targets,
            weights=weights,
            weight=total,
            masks=tuple(mask[:count] for mask in self.masks),
            states=tuple(state[:count] for state in self.states),
            offsets=None if self.offsets is None else self.offsets[:count] + start,
        )


def longest_first(lengths: np.ndarray) -> np.ndarray:
    """Return the order of a batch: those of the same length stay as they were."""
    return np.argsort(-lengths, kind="stable")


def _total(weights: np.ndarray | list[np.ndarray]) -> float:
    """Return the sum of all weights."""
    return float((np.concatenate(weights) if isinstance(weights, list) else weights).sum())


def _cut(values: Any, start: int, stop: int, count: int) -> Any:
    """Cut steps from a list of per-step values; others pass."""
    return [rows[start:stop] for rows in values[:count]] if isinstance(values, list) else values


class Steps:
    """Rows in the order of time, for a recurrent network: those of step t after those of step t - 1.

    Attributes
    ----------
    first : ndarray of int64 (T + 2,)
        Where the rows of each step begin; rows 0 .. B - 1 are the initial state.
    last_rows : ndarray of int64 (B,)
        Each sequence's last row.
    start, stop : int
        The rows that are steps.
    """

    def __init__(self, lengths: np.ndarray) -> None:
        self.lengths = lengths
        B, T = len(lengths), int(lengths[0])
        self.first, self.last_rows = np.empty(T + 2, np.int64), np.empty(B, np.int64)
        cpu.gather.time_major(lengths, self.first, self.last_rows)
        self.start, self.stop = B, int(self.first[-1])

    @staticmethod
    def of(lengths: np.ndarray) -> Steps:
        """Return the rows for these lengths; batches of the same lengths share them, unless they are very large."""
        return (
            _steps(lengths.tobytes()) if len(lengths) * lengths[0] < _KEPT_ROWS else Steps(lengths)
        )

    def index(self, offsets: np.ndarray) -> np.ndarray:
        """Return where each row's step stands in an array in which each sequence begins at its place."""
        index = np.empty(self.stop - self.start, np.int64)
        cpu.gather.time_major_index(self.first, offsets, index)
        return index

    @cached_property
    def source(self) -> np.ndarray:
        """Where each row's step stands in the sequences one after another."""
        return self.index(np.cumsum(self.lengths) - self.lengths)

    def load(self, steps: np.ndarray, rows: np.ndarray, offsets: np.ndarray | None = None) -> None:
        """Copy the sequences to their rows; among the steps they begin at the offsets, or follow one another."""
        index = self.source if offsets is None else self.index(offsets)
        steps.take(index, axis=0, out=rows[self.start : self.stop], mode="clip")

    @cached_property
    def all_rows(self) -> np.ndarray:
        """Index of every step's row."""
        return np.arange(self.start, self.stop)

    @cached_property
    def mirrored_rows(self) -> np.ndarray:
        """For each row that of the same sequence's step counted from its end."""
        steps = np.repeat(np.arange(len(self.first) - 2), np.diff(self.first[1:]))
        member = self.members
        return self.first[self.lengths[member] - steps] + member

    @cached_property
    def members(self) -> np.ndarray:
        """Which sequence of the batch each row belongs to."""
        return np.arange(self.start, self.stop) - np.repeat(
            self.first[1:-1], np.diff(self.first[1:])
        )

    def by_step(self, values: list[np.ndarray]) -> np.ndarray:
        """Per-step values of each sequence in the order of the rows."""
        return np.concatenate(values)[self.source]

    def by_sequence(self, rows: np.ndarray) -> list[np.ndarray]:
        """Undo `by_step`."""
        joined = np.empty_like(rows)
        joined[self.source] = rows
        return np.split(joined, np.cumsum(self.lengths)[:-1])


@lru_cache(maxsize=16)
def _steps(lengths: bytes) -> Steps:
    return Steps(np.frombuffer(lengths, np.int64))


class Windows:
    """Rows for a feed-forward network: the last `window` inputs of a step side by side, zeros before the first.

    With `last`, one row a sequence, for its last step; else one for each step, sequence by sequence. These overlap: the
    inputs are stored once, each sequence after window - 1 rows of zeros, and a row of the window layer's X begins one
    input after the row above. Rows that reach from one sequence into the next are computed and never looked at.
    """

    def __init__(self, lengths: np.ndarray, window: int, last: bool) -> None:
        self.lengths, self.window, self.last = lengths, window, last
        self.counts = np.ones_like(lengths) if last else lengths
        spans = self.counts + window - 1
        ends = np.cumsum(lengths)
        steps = _ranges(lengths - self.counts - window + 1, spans)
        self.source = np.where(
            steps < 0, 0, steps + 1 + np.repeat(ends - lengths, spans)
        )  # 0 is a row of zeros
        self.rows = len(lengths) if last else len(self.source) - window + 1
        self.index = np.arange(self.rows) if last else _ranges(np.cumsum(spans) - spans, lengths)

    def inputs(self, X: list[np.ndarray], dtype: np.typing.DTypeLike) -> np.ndarray:
        """Return the windows (rows, window * F)."""
        zeros = np.zeros((1, X[0].shape[1]), dtype)
        flat = np.concatenate([zeros, *X], dtype=dtype, casting="unsafe")[self.source]
        F = flat.shape[1]
        if self.last:
            return flat.reshape(self.rows, self.window * F)
        return np.lib.stride_tricks.as_strided(
            flat, (self.rows, self.window * F), (flat.strides[0], flat.itemsize)
        )

    def by_step(self, values: list[np.ndarray]) -> np.ndarray:
        """Per-step values of each sequence in the order of the rows."""
        return np.concatenate(values)

    def by_sequence(self, rows: np.ndarray) -> list[np.ndarray]:
        """Undo `by_step`."""
        return np.split(rows, np.cumsum(self.lengths)[:-1])

    @cached_property
    def members(self) -> np.ndarray:
        """Which sequence of the batch each output row belongs to."""
        return np.repeat(np.arange(len(self.lengths)), self.counts)


@lru_cache(maxsize=64)
def blocks(start: int, rows: int) -> np.ndarray:
    """`first` for rows without recurrence: blocks take the place of steps, and there is no initial state."""
    return np.array([start, *range(start, start + rows, WINDOW_ROWS), start + rows])


def _ranges(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Concatenate start .. start + count - 1 for each pair."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1]) + np.repeat(starts - (ends - counts), counts)
