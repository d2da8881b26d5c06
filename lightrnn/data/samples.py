"""Sequences with their encoded targets and weights, as training takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..utils.indexing import take


@dataclass(eq=False, repr=False)
class Samples:
    """Sequences with their encoded targets and weights.

    Parameters
    ----------
    items : sequence of ndarray (T_i, F), or of token codes (T_i,)
        As the user gave them, memory maps included: a minibatch copies its own sequences.
    lengths : ndarray of int64 (n,)
        Number of steps of each sequence.
    targets : ndarray (n,) or (n, k), or list of ndarray (T_i,) or (T_i, k)
        Codes of classes (intp) or values (float).
    weights : ndarray of float (n,), or list of ndarray (T_i,)
        Not negative; at least one of each sequence is positive.
    """

    items: Sequence[np.ndarray]
    lengths: np.ndarray
    targets: Any
    weights: Any

    def take(self, indices: np.ndarray) -> Samples:
        """Return the samples of some indices."""
        return Samples(
            take(self.items, indices),
            self.lengths[indices],
            take(self.targets, indices),
            take(self.weights, indices),
        )
