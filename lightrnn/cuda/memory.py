"""A network's memory on the GPU: one array of numbers and one of indices, each of which grows.

An address is an offset in either. First come the elements that stay from program to program, then a
program's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from . import driver

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

PIECE = 1 << 22  # elements that are sent at once: pinned memory is scarce, and slow to get
ALIGNMENT = 64  # elements: a multiple of every vector that kernels load at once


def rounded(size: int) -> int:
    """`size` brought to a multiple of the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


class Matrix(NamedTuple):
    """A matrix among the numbers: row i begins at ``address + i * stride``.

    With a `row_index` row i is row ``ints[row_index + i]`` instead; -1 stands for none.
    """

    address: int
    stride: int
    row_index: int = -1


class Stage:
    """Pinned memory of the host and as much on the GPU, through which arrays are sent.

    Parameters
    ----------
    dtype : dtype
        Of their elements.
    """

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype
        self.here = np.empty(0, dtype)
        self.there = driver.NOTHING
        self.arrived = driver.cuda().event()
        self.left = driver.cuda().event()

    def reserve(self, size: int) -> None:
        """Wait until the arrays sent before have left, and make room for `size` elements."""
        self.left.synchronize()
        if size > len(self.here):
            self.there = driver.NOTHING  # free the old memory before the new is allocated
            self.there = driver.allocate(2 * size, self.dtype)
            self.here = driver.pinned(2 * size, self.dtype)


class Store:
    """One array on the GPU that grows.

    Arrays are sent to one of two stages by a stream of their own, while kernels may still be
    running. Only the copy from the stage to the address waits for these.

    Parameters
    ----------
    dtype : dtype
        Of its elements.
    streams : driver.Streams
        Streams of the GPU.
    """

    def __init__(self, dtype: DTypeLike, streams: driver.Streams) -> None:
        self.dtype = np.dtype(dtype)
        self.streams = streams
        self.kept = 0  # elements, the first ones, that outlive a program
        self.array = driver.NOTHING
        self._stages: list[Stage] = []

    @property
    def size(self) -> int:
        """Elements that there is room for."""
        return self.array.size

    def reserve(self, size: int) -> None:
        """Make room for `size` elements, or a quarter more if possible; only kept ones survive.

        Raises
        ------
        MemoryError
            If there is too little memory; the elements that are kept survive all the same.
        """
        if size <= self.size:
            return
        old = self.array
        kept = min(self.kept, self.size)
        self.streams.runs.synchronize()  # kernels may still use the array that is to be freed
        if not kept:
            self.array = old = driver.NOTHING
        for wanted in (size + size // 4, size):
            with suppress(MemoryError):
                self.array = driver.allocate(wanted, self.dtype)
                self._move(0, old, 0, kept)
                self.streams.runs.synchronize()
                return
        held = self.fetch(0, kept)  # the old array and the new one do not fit at the same time
        self.array = old = driver.NOTHING
        try:
            self.array = driver.allocate(size, self.dtype)
        except MemoryError:
            if kept:
                self.array = driver.allocate(kept, self.dtype)
            raise
        finally:
            self.send_rows(0, [held])

    def _move(self, target: int, source: driver.Array, begin: int, size: int) -> None:
        """Copy elements of another array on the GPU to an address."""
        if size:
            stream = self.streams.runs
            driver.copy_on_device((self.array, target), (source, begin), size, stream)

    def send(self, *groups: tuple[int, Sequence[np.ndarray]]) -> None:
        """Copy groups of arrays from the host, each group to its address.

        Within a group an array begins at the next multiple of the alignment after the one before.
        """
        if not self._stages:
            self._stages = [Stage(self.dtype), Stage(self.dtype)]
        self._stages.reverse()
        stage = self._stages[0]
        stage.reserve(sum(rounded(array.size) for _, arrays in groups for array in arrays))
        start = 0
        moves = []
        for address, arrays in groups:
            begin = end = start
            for array in arrays:
                end = start + array.size
                np.copyto(stage.here[start:end], array.ravel(), casting="unsafe")
                start += rounded(array.size)
            moves.append((address, begin, end - begin))
        if start:
            driver.copy_to_device(stage.there, stage.here, start, self.streams.copies)
        stage.arrived.record(self.streams.copies)
        stage.arrived.wait(self.streams.runs)
        for address, begin, size in moves:
            self._move(address, stage.there, begin, size)
        stage.left.record(self.streams.runs)

    def send_rows(
        self,
        address: int,
        arrays: Sequence[np.ndarray],
        convert: Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]] = list,
    ) -> None:
        """Convert and copy arrays of the host, without gaps, a piece at a time to save memory."""
        for group in _groups(arrays):
            flat = [array.ravel() for array in convert(group)]
            joined = flat[0] if len(flat) == 1 else np.concatenate(flat)
            for begin in range(0, len(joined), PIECE):
                self.send((address + begin, [joined[begin : begin + PIECE]]))
            address += len(joined)

    def fetch(self, address: int, size: int) -> np.ndarray:
        """Copy elements to the host, after the kernels that are running."""
        fetched = np.empty(size, self.dtype)
        if size:
            driver.copy_to_host(fetched, self.array, address, self.streams.runs)
            self.streams.runs.synchronize()
        return fetched

    def free(self) -> None:
        """Give the memory back."""
        self.array = driver.NOTHING
        self.kept = 0
        self._stages = []


def _groups(arrays: Sequence[np.ndarray]) -> Iterator[list[np.ndarray]]:
    """Yield arrays in groups of about `PIECE` elements."""
    ends = np.cumsum([array.size for array in arrays])
    cuts = np.flatnonzero(np.diff(ends // PIECE)) + 1
    for begin, end in zip([0, *cuts], [*cuts, len(arrays)], strict=True):
        yield list(arrays[begin:end])


class Memory:
    """A network's numbers and indices on the GPU.

    Parameters
    ----------
    dtype : dtype
        Of the numbers.
    streams : driver.Streams
        Streams of the GPU.
    """

    def __init__(self, dtype: DTypeLike, streams: driver.Streams) -> None:
        self.floats = Store(dtype, streams)
        self.ints = Store(np.int64, streams)
        self.streams = streams

    def bytes_for(self, floats: int, ints: int) -> int:
        """Return the bytes held once there is room for this many elements."""
        numbers = max(floats, self.floats.size) * self.floats.dtype.itemsize
        return numbers + max(ints, self.ints.size) * self.ints.dtype.itemsize

    @property
    def bytes_held(self) -> int:
        """Bytes that are held now."""
        return self.bytes_for(0, 0)

    def free(self) -> None:
        """Give everything back, once nothing is running on it."""
        with suppress(Exception):  # an error of a kernel was raised where its result was wanted
            self.streams.runs.synchronize()
        self.floats.free()
        self.ints.free()
