"""Sequences in memory maps, read so that the process does not grow by what it has read."""

from __future__ import annotations

import copy
import math
import mmap
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Self

import numpy as np

_AROUND = 1 << 21  # bytes, at most, of a memory map that are mapped with the one that is read
_BLOCK = 1 << 25  # bytes of a memory map that are looked at before they are let go


def release_pages(array: np.ndarray) -> None:
    """Take the pages of a memory map out of this process; they are read again when needed.

    Operating systems count them as memory of the process until others need it, and so do the
    limits that clusters set.
    """
    if not isinstance(array, np.memmap) or getattr(array, "mode", "c") == "c":
        return  # pages that were copied on writing would be lost
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    if not isinstance(base, mmap.mmap) or not hasattr(base, "madvise") or not array.size:
        return
    first = array.ctypes.data - np.frombuffer(base, np.uint8).ctypes.data
    ways = [(n - 1) * stride for n, stride in zip(array.shape, array.strides, strict=True)]
    low = first + sum(way for way in ways if way < 0)
    high = first + sum(way for way in ways if way > 0) + array.itemsize
    # A page that is read takes its neighbours along.
    start = low - low % _AROUND
    base.madvise(mmap.MADV_DONTNEED, start, min(high + _AROUND, len(base)) - start)


def blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    """Yield an array; a memory map in parts of bounded size, which are let go one by one.

    Examples
    --------
    >>> [block.shape for block in blocks(np.zeros((3, 2)))]
    [(3, 2)]
    """
    if not isinstance(array, np.memmap):
        yield array
        return
    rows = max(1, _BLOCK * len(array) // max(1, array.nbytes))
    for start in range(0, len(array), rows):
        block = array[start : start + rows]
        yield block
        release_pages(block)


class LazyArray(ABC):
    """A sequence that becomes an array when it is read; until then it may be on disk.

    Parameters
    ----------
    steps : array (T, F)
        Its source.
    shape : tuple of int
        Its own shape.
    dtype : dtype
        Type of its elements.

    Attributes
    ----------
    dtype
        As given.
    """

    def __init__(self, steps: Any, shape: tuple[int, ...], dtype: Any) -> None:
        self._steps = steps
        self._range = range(shape[0])
        self._row = shape[1:]
        self.dtype = np.dtype(dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return len(self._range), *self._row

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self._range)

    def __getitem__(self, steps: slice) -> Self:
        """Return some steps that follow one another, or, with a step of -1, in falling order."""
        part = copy.copy(self)
        part._range = self._range[steps]
        return part

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return the steps."""
        order = self._range.step
        rising = self._range[::order]
        return np.asarray(self._read(rising.start, rising.stop), dtype)[::order]

    @abstractmethod
    def _read(self, start: int, stop: int) -> np.ndarray:
        """Return steps start .. stop - 1 of the whole sequence."""

    def take(self, indices: np.ndarray, axis: int, mode: Any) -> np.ndarray:
        """Return some steps, as `numpy.take` does."""
        return np.asarray(self).take(indices, axis=axis, mode=mode)


class OnDisk(LazyArray):
    """A sequence in a memory map, whose pages are let go when it has become an array.

    Parameters
    ----------
    steps : memmap (T, F)
        The sequence.
    """

    def __init__(self, steps: Any) -> None:
        super().__init__(steps, steps.shape, steps.dtype)

    def _read(self, start: int, stop: int) -> np.ndarray:
        """Return a copy."""
        steps = self._steps[start:stop]
        values = np.array(steps)
        release_pages(steps)
        return values

    def __reduce__(self) -> tuple[type[Self], tuple[np.ndarray]]:
        """Go to another process as an array in memory."""
        return type(self), (np.asarray(self),)
