"""Sequences with their encoded targets and weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..utils.indexing import take

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Samples:
    """Sequences with their encoded targets and weights.

    Parameters
    ----------
    items : list of ndarray (T_i, F), or of codes (T_i,)
        As the user gave them, memory maps included; a minibatch copies its own.
    lengths : ndarray of int64 (n,)
        Their numbers of steps.
    targets : ndarray (n,) or (n, k), or list of ndarray (T_i,) or (T_i, k)
        Class codes (intp) or values (float).
    weights : ndarray of float (n,), or list of ndarray (T_i,)
        Positive in sum.
    """

    items: Sequence[np.ndarray]
    lengths: np.ndarray
    targets: Any
    weights: Any

    def take(self, indices: np.ndarray) -> Samples:
        """Return the samples of some indices."""
        items, targets, weights = (
            take(values, indices) for values in (self.items, self.targets, self.weights)
        )
        return Samples(items, self.lengths[indices], targets, weights)
