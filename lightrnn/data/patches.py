"""Patches: steps in a row that the network reads as one input [1]_ [2]_.

A sequence (T, F) becomes (ceil(T / p), p * F). What is missing of its last patch is its last step
again. The way of the gradient is shorter by the patch's length, and so is the time of training.

References
----------
.. [1] Lin, S. et al. (2023). SegRNN: Segment recurrent neural network for long-term time series
   forecasting. arXiv 2308.11200.
.. [2] Nie, Y., Nguyen, N., Sinthong, P. and Kalagnanam, J. (2023). A time series is worth 64
   words: Long-term forecasting with transformers. ICLR.
"""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatch
from typing import Any

import numpy as np
import numpy.typing as npt

from .on_disk import LazyArray
from .sequences import Sequences

# The fewest inputs that a network shall read of a sequence of median length.
_INPUTS = 20


def patch_length(lengths: np.ndarray) -> int:
    """Return the number of steps of a patch for training sequences of these lengths (n,).

    Examples
    --------
    >>> patch_length(np.array([7, 300, 320])), patch_length(np.array([39]))
    (15, 1)
    """
    return max(1, int(np.median(lengths)) // _INPUTS)


def count_patches(lengths: npt.ArrayLike, patch: int) -> np.ndarray:
    """Return the number of patches of sequences of these lengths; the last may be a part of one."""
    return -(-np.asarray(lengths) // patch)


@singledispatch
def in_patches(X: Sequences, patch: int) -> Sequences:
    """Return sequences of steps as sequences of patches.

    Items stay views of the user's data where they can be, and memory maps always.

    Examples
    --------
    >>> from lightrnn.data.sequences import as_sequences
    >>> in_patches(as_sequences([[1, 2, 3, 4, 5]]), 2).items[0].tolist()
    [[1, 2], [3, 4], [5, 5]]
    """
    if patch == 1:
        return X
    return replace(
        X,
        items=[_patches(item, patch) for item in X.items],
        lengths=count_patches(X.lengths, patch),
        n_features=patch * X.n_features,
    )


def _patches(steps: np.ndarray, patch: int) -> Any:
    """Return one sequence (T, F) in patches."""
    T, F = steps.shape
    on_disk = type(steps) is not np.ndarray  # a memory map, or what reads it
    if isinstance(steps, np.ndarray) and T % patch == 0 and steps.flags.c_contiguous:
        return steps.reshape(T // patch, patch * F)
    patches = LazyPatches(steps, patch)
    # A patch far longer than the sequence may not fit into memory, which is for others to refuse.
    return patches if on_disk or patches.size > 2 * steps.size else np.asarray(patches)


class LazyPatches(LazyArray):
    """The patches of a sequence that may be on disk: they are made when they become an array.

    Parameters
    ----------
    steps : array (T, F)
        The sequence.
    patch : int
        Steps of a patch.
    """

    def __init__(self, steps: Any, patch: int) -> None:
        T, F = steps.shape
        super().__init__(steps, (int(count_patches(T, patch)), patch * F), steps.dtype)
        self._patch = patch

    def _read(self, start: int, stop: int) -> np.ndarray:
        """Return some patches."""
        steps = self._steps[start * self._patch : stop * self._patch]
        # Steps beyond the last one are the last one again.
        steps = steps.take(np.arange((stop - start) * self._patch), axis=0, mode="clip")
        return np.asarray(steps).reshape(stop - start, *self._row)


def by_step(values: np.ndarray, T: int) -> np.ndarray:
    """Return values of the steps of all patches as values of the T steps of a sequence.

    The last step has been read as often as it fills up the last patch: its values are added.

    Parameters
    ----------
    values : ndarray (patches * patch, ...)
        The values of each step of each patch.
    T : int
        Steps of the sequence.

    Examples
    --------
    >>> by_step(np.array([1, 2, 3, 4, 5, 6]), 4)
    array([ 1,  2,  3, 15])
    """
    return np.concatenate([values[: T - 1], values[T - 1 :].sum(axis=0, keepdims=True)])
