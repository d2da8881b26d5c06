"""Programs: arrays that are sent to the GPU and kernels that are launched there, in one go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from .context import Context
from .driver import THREADS
from .jit import Arguments, Grid, Kernel, flattened
from .memory import rounded

BLOCKS = 4096  # at most, of a kernel whose threads take one item after the other


class Sent(NamedTuple):
    """An array that a program sends."""

    address: int
    size: int


class Program:
    """Arrays to send, memory to use and kernels to launch; nothing happens before `run`.

    All arrays must be sent before any memory is allocated: they are copied as one block. The
    kernels' arguments are indices, too, and are sent with the others.

    Parameters
    ----------
    context : Context
        The GPU and the network's memory on it.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.dtype = context.dtype
        self._floats = context.memory.floats.kept
        self._ints = context.memory.ints.kept
        self._most = self._floats  # the end of all numbers, scratch included
        self._sent_floats: list[np.ndarray] = []
        self._sent_ints: list[np.ndarray] = []
        self._arguments: list[int] = []
        self._launches: list[tuple[Kernel, int, Grid]] = []

    # -- addresses ---------------------------------------------------------------------------------

    def send(self, array: np.ndarray) -> int:
        """Return the address among the numbers that an array will have."""
        self._sent_floats.append(array)
        return self.allocate(array.size)

    def send_indices(self, array: np.ndarray) -> int:
        """Return the address among the indices that an array will have."""
        self._sent_ints.append(array)
        return self.allocate_indices(array.size)

    def send_all(self, arrays: dict[str, np.ndarray]) -> dict[str, Sent]:
        """Send arrays by name: integers to the indices, all others to the numbers."""
        sent = {}
        for name, array in arrays.items():
            send = self.send_indices if array.dtype.kind == "i" else self.send
            sent[name] = Sent(send(array), len(array))
        return sent

    def allocate(self, size: int) -> int:
        """Return the address of `size` numbers."""
        address = self._floats
        self._floats += rounded(size)
        self._most = max(self._most, self._floats)
        return address

    def allocate_indices(self, size: int) -> int:
        """Return the address of `size` indices."""
        address = self._ints
        self._ints += rounded(size)
        return address

    @contextmanager
    def scratch(self) -> Iterator[None]:
        """Let later kernels use again the numbers that are allocated within."""
        floats = self._floats
        yield
        self._floats = floats

    # -- launches ----------------------------------------------------------------------------------

    def launch(self, kernel: Kernel, grid: Grid, arguments: tuple[object, ...]) -> None:
        """Let a kernel run after those before; `arguments` is the NamedTuple that it reads."""
        self._launches.append((kernel, len(self._arguments), grid))
        self._arguments += flattened(arguments)

    def blocks(
        self, kernel: Kernel, count: int, arguments: tuple[object, ...], *, shared: int = 0
    ) -> None:
        """Launch a kernel with `count` blocks of `THREADS` threads."""
        self.launch(kernel, Grid((count, 1, 1), (THREADS, 1, 1), shared), arguments)

    def over(self, kernel: Kernel, items: int, arguments: tuple[object, ...]) -> None:
        """Launch a kernel with about one thread per item."""
        if items:
            self.blocks(kernel, min(BLOCKS, -(-items // THREADS)), arguments)

    @property
    def sizes(self) -> tuple[int, int]:
        """Numbers and indices that are needed, those included that stay after the program."""
        return self._most, self._ints + rounded(len(self._arguments))

    @property
    def bytes(self) -> int:
        """Bytes of the GPU's memory that are the program's own."""
        floats, ints = self.sizes
        memory = self.context.memory
        numbers = (floats - memory.floats.kept) * memory.floats.dtype.itemsize
        return numbers + (ints - memory.ints.kept) * memory.ints.dtype.itemsize

    def run(self) -> None:
        """Send everything and launch everything; the GPU may go on when this returns."""
        memory = self.context.memory
        most_floats, most_ints = self.sizes
        memory.floats.reserve(most_floats)
        memory.ints.reserve(most_ints)
        memory.floats.send((memory.floats.kept, self._sent_floats))
        launched = self._ints, [np.array(self._arguments, np.int64)]
        memory.ints.send((memory.ints.kept, self._sent_ints), launched)
        arguments = Arguments(memory.floats.array, memory.ints.array)
        for kernel, at, grid in self._launches:
            kernel.launch(arguments, self._ints + at, grid, memory.streams.runs)
