"""A network's memory on the GPU, and programs: what is sent there, then launched, in one go.

All numbers lie in one array and all indices in another; a place in either is an offset. First come those that stay from
program to program, then a program's own. A kernel's arguments are indices too and are sent with the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import numpy as np

from . import driver
from .jit import Arguments, Kernel, Shape

PIECE = 1 << 22  # elements that are sent at once
BLOCKS = 4096  # at most, of a kernel whose threads take one item after the other
ALIGNMENT = 64  # elements: a multiple of every vector that kernels load at once


def rounded(size: int) -> int:
    """`size` brought to a multiple of the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


class Stage:
    """Where arrays wait on their way to the GPU: in pinned memory of the host, then on the GPU.

    Parameters
    ----------
    dtype : dtype
        Of their elements.
    """

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype
        self.here, self.there = np.empty(0, dtype), driver.NOTHING
        self.arrived, self.left = driver.cuda().event(), driver.cuda().event()

    def reserve(self, size: int) -> None:
        """Wait until what was here before has left, and make room for so many elements."""
        self.left.synchronize()
        if size > len(self.here):
            self.there = driver.NOTHING
            self.there, self.here = (
                driver.allocate(2 * size, self.dtype),
                driver.pinned(2 * size, self.dtype),
            )


class Store:
    """One array on the GPU that grows.

    What is sent is copied to one of two stages by a stream of its own, while the GPU may still be at work; only from
    there to its place does it go in turn with the kernels.

    Parameters
    ----------
    dtype : dtype
        Of its elements.
    streams : driver.Streams
        What runs, and what copies.
    """

    def __init__(self, dtype: np.typing.DTypeLike, streams: driver.Streams) -> None:
        self.dtype, self.streams = np.dtype(dtype), streams
        self.kept = 0  # elements, the first ones, that outlive a program
        self.array = driver.NOTHING
        self._stages: list[Stage] = []

    @property
    def size(self) -> int:
        """Elements that there is room for."""
        return self.array.size

    def reserve(self, size: int) -> None:
        """Make room for so many elements, and some more if it is there; only what is kept stays.

        Raises
        ------
        MemoryError
            If there is not so much memory; what is kept stays all the same.
        """
        if size <= self.size:
            return
        old, kept = self.array, min(self.kept, self.size)
        self.streams.runs.synchronize()  # before what it works on is freed
        if not kept:
            self.array = old = driver.NOTHING
        for wanted in (size + size // 4, size):
            with suppress(MemoryError):
                self.array = driver.allocate(wanted, self.dtype)
                driver.move(self.array, 0, old, 0, kept, self.dtype.itemsize, self.streams.runs)
                self.streams.runs.synchronize()
                return
        held = self.fetch(0, kept)  # the old array and the new one do not fit side by side
        self.array = old = driver.NOTHING
        try:
            self.array = driver.allocate(size, self.dtype)
        except MemoryError:
            if kept:
                self.array = driver.allocate(kept, self.dtype)
            raise
        finally:
            self.send_rows(0, [held])

    def send(self, *groups: tuple[int, Sequence[np.ndarray]]) -> None:
        """Copy arrays from the host: those of a group to its place, each from a multiple of the alignment on."""
        if not self._stages:
            self._stages = [Stage(self.dtype), Stage(self.dtype)]
        self._stages.reverse()
        stage, start, moves = self._stages[0], 0, []
        stage.reserve(sum(rounded(array.size) for _, arrays in groups for array in arrays))
        for place, arrays in groups:
            begin = end = start
            for array in arrays:
                end = start + array.size
                np.copyto(stage.here[start:end], array.ravel(), casting="unsafe")
                start += rounded(array.size)
            moves.append((place, begin, end - begin))
        driver.send(stage.there, stage.here, start, self.streams.copies)
        stage.arrived.record(self.streams.copies)
        stage.arrived.wait(self.streams.runs)
        for place, begin, size in moves:
            driver.move(
                self.array, place, stage.there, begin, size, self.dtype.itemsize, self.streams.runs
            )
        stage.left.record(self.streams.runs)

    def send_rows(self, place: int, arrays: Sequence[np.ndarray]) -> None:
        """Copy arrays from the host side by side, some at a time: the host need not hold them all in another form."""
        for group in _groups(arrays):
            joined = (
                group[0].ravel()
                if len(group) == 1
                else np.concatenate([array.ravel() for array in group])
            )
            for begin in range(0, len(joined), PIECE):
                self.send((place + begin, [joined[begin : begin + PIECE]]))
            place += len(joined)

    def fetch(self, place: int, size: int) -> np.ndarray:
        """Copy elements to the host, after what is running."""
        fetched = np.empty(size, self.dtype)
        if size:
            driver.fetch(fetched, self.array, place, self.streams.runs)
            self.streams.runs.synchronize()
        return fetched

    def free(self) -> None:
        """Give the memory back."""
        self.array, self.kept, self._stages = driver.NOTHING, 0, []


def _groups(arrays: Sequence[np.ndarray]) -> Iterator[list[np.ndarray]]:
    """Yield arrays in groups of about `PIECE` elements."""
    ends = np.cumsum([array.size for array in arrays])
    cuts = np.flatnonzero(np.diff(ends // PIECE)) + 1
    for begin, end in zip([0, *cuts], [*cuts, len(arrays)], strict=True):
        yield list(arrays[begin:end])


class Memory:
    """A network's numbers and indices on the GPU."""

    def __init__(self, dtype: np.typing.DTypeLike, streams: driver.Streams) -> None:
        self.floats, self.ints, self.streams = (
            Store(dtype, streams),
            Store(np.int64, streams),
            streams,
        )

    def bytes_for(self, floats: int, ints: int) -> int:
        """Return how many bytes so many elements take, or those that there are, if they are more."""
        return max(floats, self.floats.size) * self.floats.dtype.itemsize + 8 * max(
            ints, self.ints.size
        )

    @property
    def bytes_held(self) -> int:
        """Bytes that are held now."""
        return self.bytes_for(0, 0)

    def free(self) -> None:
        """Give everything back, once nothing is running on it."""
        with suppress(Exception):  # what has failed there has been told
            self.streams.runs.synchronize()
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
        self._launches: list[tuple[Kernel, int, Shape, Shape, int, bool]] = []

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

    def launch(
        self,
        kernel: Kernel,
        grid: Shape,
        block: Shape,
        *arguments: int,
        shared: int = 0,
        together: bool = False,
    ) -> None:
        """Let a kernel run after those before; `shared` elements of shared memory are a block's.

        With `together` all blocks run at the same time, or none does.
        """
        self._launches.append((kernel, len(self._arguments), grid, block, shared, together))
        self._arguments += arguments

    def blocks(
        self, kernel: Kernel, count: int, threads: int, *arguments: int, shared: int = 0
    ) -> None:
        """Launch a kernel with so many blocks of so many threads."""
        self.launch(kernel, (count, 1, 1), (threads, 1, 1), *arguments, shared=shared)

    def over(self, kernel: Kernel, items: int, *arguments: int) -> None:
        """Launch a kernel with about a thread an item."""
        if items:
            self.blocks(
                kernel, min(BLOCKS, -(-items // driver.THREADS)), driver.THREADS, *arguments
            )

    @property
    def sizes(self) -> tuple[int, int]:
        """Numbers and indices that it needs, those that stay included."""
        return self._most, self._ints + rounded(len(self._arguments))

    def run(self) -> None:
        """Send everything and launch everything; the GPU may go on when this returns."""
        floats, ints = self.memory.floats, self.memory.ints
        floats.reserve(self.sizes[0])
        ints.reserve(self.sizes[1])
        floats.send((floats.kept, self._sent[0]))
        ints.send((ints.kept, self._sent[1]), (self._ints, [np.array(self._arguments, np.int64)]))
        stream, itemsize = self.memory.streams.runs, floats.dtype.itemsize
        given = Arguments(floats.array, ints.array)
        for kernel, at, grid, block, shared, together in self._launches:
            kernel.launch(given, self._ints + at, grid, block, shared * itemsize, stream, together)
