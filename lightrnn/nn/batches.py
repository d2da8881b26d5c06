"""Minibatches of sequences, longest first: see `packing.py` for the order of their steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..utils.indexing import take
from .groups import longest_first


@dataclass(eq=False)
class Batch:
    """Sequences that are run together, longest first.

    Attributes
    ----------
    X : sequence of ndarray (T_i, F), or of codes (T_i,)
        Sequences, in the user's dtype.
    lengths : ndarray of int64 (B,)
        Number of steps of each sequence, in falling order.
    order : ndarray of int64 (B,) or None
        Index of each sequence before sorting; None where nobody reads it.
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

    X: Sequence[np.ndarray]
    lengths: np.ndarray
    order: Any = None
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

    @property
    def n_steps(self) -> int:
        """The number of steps of all sequences."""
        return sum(self.lengths.tolist())

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

        part = slice(index, None, count)
        # Kernels are compiled for contiguous arrays; targets are copied where one reads them.
        return Batch(
            X=self.X[part],
            lengths=self.lengths[part].copy(),
            targets=None if self.targets is None else self.targets[part],
            weights=None if self.weights is None else self.weights[part],
            n_targets=self.n_targets,
            masks=tuple(mask[part].copy() for mask in self.masks),
            states=tuple(state[part] for state in self.states),
            offsets=None if self.offsets is None else self.offsets[part].copy(),
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
            order=None,
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
