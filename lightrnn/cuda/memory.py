"""A network's memory on the GPU, and programs: what is sent there, then launched, in one go.

All numbers lie in one array and all indices in another; a place in either is an offset. First come those that stay from
program to program, then a program's own. A kernel's arguments are indices too and are sent with the others.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import driver

PIECE = 1 << 22  # elements that are sent at once
ALIGNMENT = 64  # elements: a multiple of every vector that kernels load at once


def rounded(size: int) -> int:
    """`size` brought to a multiple of the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


class Store:
    """One array on the GPU that grows, and the pinned memory through which it is filled.

    Parameters
    ----------
    dtype : dtype
        Of its elements.
    """

    def __init__(self, dtype: np.typing.DTypeLike) -> None:
        self.dtype = np.dtype(dtype)
        self.kept = 0  # elements, the first ones, that outlive a program
        self.array: Any = None
        self._staging = np.empty(0, self.dtype)

    @property
    def size(self) -> int:
        """Elements that there is room for."""
        return 0 if self.array is None else int(self.array.size)

    def reserve(self, size: int) -> None:
        """Make room for so many elements; only what is kept stays."""
        if size <= self.size:
            return
        old = self.array
        held = None if old is None or not self.kept else old[: self.kept].copy_to_host()
        self.array = old = None  # freed before the larger one is asked for
        self.array = driver.allocate(size, self.dtype)
        if held is not None:
            self.array[: len(held)].copy_to_device(held)

    def send(self, place: int, arrays: Sequence[np.ndarray]) -> None:
        """Copy arrays from the host, one after the other, each from a multiple of the alignment on."""
        total = sum(rounded(array.size) for array in arrays)
        if len(self._staging) < total:
            self._staging = driver.cuda().pinned_array(total, self.dtype)
        start = 0
        for array in arrays:
            np.copyto(self._staging[start : start + array.size], array.ravel(), casting="unsafe")
            start += rounded(array.size)
        if total:
            self.array[place : place + total].copy_to_device(self._staging[:total])

    def send_rows(self, place: int, arrays: Sequence[np.ndarray]) -> None:
        """Copy arrays from the host side by side, some at a time: the host need not hold them all in another form."""
        for group in _groups(arrays):
            joined = np.concatenate([array.ravel() for array in group], dtype=self.dtype, casting="unsafe")
            self.array[place : place + len(joined)].copy_to_device(joined)
            place += len(joined)

    def fetch(self, place: int, size: int) -> np.ndarray:
        """Copy elements to the host."""
        fetched: np.ndarray = self.array[place : place + size].copy_to_host()
        return fetched

    def free(self) -> None:
        """Give the memory back."""
        self.array, self.kept, self._staging = None, 0, np.empty(0, self.dtype)


def _groups(arrays: Sequence[np.ndarray]) -> Iterator[list[np.ndarray]]:
    """Yield arrays in groups of about `PIECE` elements."""
    ends = np.cumsum([array.size for array in arrays])
    cuts = np.flatnonzero(np.diff(ends // PIECE)) + 1
    for begin, end in zip([0, *cuts], [*cuts, len(arrays)], strict=True):
        yield list(arrays[begin:end])


class Memory:
    """A network's numbers and indices on the GPU."""

    def __init__(self, dtype: np.typing.DTypeLike) -> None:
        self.floats, self.ints = Store(dtype), Store(np.int64)

    def bytes_for(self, floats: int, ints: int) -> int:
        """Return how many bytes so many elements take, or those that there are, if they are more."""
        return max(floats, self.floats.size) * self.floats.dtype.itemsize + 8 * max(ints, self.ints.size)

    @property
    def bytes_held(self) -> int:
        """Bytes that are held now."""
        return self.bytes_for(0, 0)

    def free(self) -> None:
        """Give everything back."""
        self.floats.free()
        self.ints.free()


class Program:
    """What is sent, where room is, and which kernels run; nothing happens before `run`.

    Whatever is to be sent must be named before any room is taken.

    Parameters
    ----------
    memory : Memory
        Where it runs.
    """

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._floats, self._ints = memory.floats.kept, memory.ints.kept
        self._most = self._floats
        self._sent: tuple[list[np.ndarray], list[np.ndarray]] = [], []
        self._arguments: list[int] = []
        self._launches: list[tuple[Any, Any, Any, int, int]] = []

    # -- places -------------------------------------------------------------------------------------------------------

    def send(self, array: np.ndarray) -> int:
        """Return the place among the numbers where an array will be."""
        place = self.room(array.size)
        self._sent[0].append(array)
        return place

    def send_indices(self, array: np.ndarray) -> int:
        """Return the place among the indices where an array will be."""
        place = self._ints
        self._sent[1].append(array)
        self._ints += rounded(array.size)
        return place

    def room(self, size: int) -> int:
        """Return a place for so many numbers."""
        place = self._floats
        self._floats += rounded(size)
        self._most = max(self._most, self._floats)
        return place

    @contextmanager
    def scratch(self) -> Iterator[None]:
        """Let what comes later use again the room that is taken within."""
        floats = self._floats
        yield
        self._floats = floats

    def index_room(self, size: int) -> int:
        """Return a place for so many indices."""
        place = self._ints
        self._ints += rounded(size)
        return place

    # -- launches -----------------------------------------------------------------------------------------------------

    def launch(self, kernel: Callable[..., Any], grid: Any, block: Any, *arguments: int, shared: int = 0) -> None:
        """Let a kernel run after those before; `shared` elements of shared memory are a block's."""
        self._launches.append((kernel, grid, block, shared, len(self._arguments)))
        self._arguments += arguments

    def over(self, kernel: Callable[..., Any], items: int, *arguments: int) -> None:
        """Launch a kernel with about a thread an item."""
        if items:
            self.launch(kernel, min(4096, -(-items // driver.THREADS)), driver.THREADS, *arguments)

    @property
    def sizes(self) -> tuple[int, int]:
        """Numbers and indices that it needs, those that stay included."""
        return self._most, self._ints + rounded(len(self._arguments))

    def run(self) -> None:
        """Send everything and launch everything."""
        floats, ints = self.memory.floats, self.memory.ints
        floats.reserve(self.sizes[0])
        ints.reserve(self.sizes[1])
        floats.send(floats.kept, self._sent[0])
        ints.send(ints.kept, self._sent[1])
        ints.send(self._ints, [np.array(self._arguments, np.int64)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that few blocks run; it is known
            for kernel, grid, block, shared, at in self._launches:
                configured: Any = kernel
                configured[grid, block, 0, shared * floats.dtype.itemsize](floats.array, ints.array, self._ints + at)
