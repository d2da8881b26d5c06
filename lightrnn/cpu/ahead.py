"""A second process compiles some kernels of a first fit while this one compiles the others.

Numba compiles on one CPU at a time, whatever the number of threads. Two processes take two thirds
of the time. What the second one has compiled this one loads from the cache on disk, which decides
by its own rules what may be read. Whatever prevents any of that costs time alone: then this process
compiles everything, as it would have without the second. Of several processes that start at once
one has such a second, as long as it runs: they all load what it compiles.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from ..updates import UPDATES
from . import cache, recurrence, sources, threads, updates
from .calls import SEPARATE
from .compiling import STOPWATCH
from .jit import signature

_INTERVAL = 0.01  # seconds between two looks for an entry
_MAIN = """
import json, sys
given = json.load(sys.stdin)
sys.path[:] = given.pop("path")
from lightrnn.cpu.ahead import compile_share
compile_share(**given)
"""


def expect(cell: str, dtype: Any, solver: str, n_threads: int) -> None:
    """Let another process help from the first kernel on that is not in the cache, once.

    Parameters
    ----------
    cell : {"ffnn", "rnn", "gru", "lstm"}
        Of the network that is trained.
    dtype : dtype
        Of the network.
    solver : str
        Its name; only some have kernels.
    n_threads : int
        How many threads the fit may use: with one there is no help.
    """
    if min(n_threads, threads.usable(-1)) > 1 and cache.KernelCache.helper is None and _python():
        cache.KernelCache.helper = Helper(cell, np.dtype(dtype).name, solver)


def _python() -> str | None:
    """Return the interpreter of this process, if it is one that runs any code it is given."""
    name = Path(sys.executable or "").stem.lower()
    frozen = getattr(sys, "frozen", False)
    return sys.executable if name.startswith("python") and not frozen else None


class Helper:
    """The other process: when it is started, what it compiles, and how long it is waited for.

    Parameters
    ----------
    cell, dtype, solver : str
        As those of `expect`.
    """

    def __init__(self, cell: str, dtype: str, solver: str) -> None:
        self._given = {"cell": cell, "dtype": dtype, "solver": solver}
        self._share: set[tuple[str, str]] = set()
        self._thread: Thread | None = None
        self._claim = cache.Claim("-".join(["helper", cell, dtype, solver]))

    def compiles(self, kernel: str, types: str) -> bool:
        """Return whether the process, which is started if need be, compiles an entry."""
        if self._thread is None:
            self._start()
        return (kernel, types) in self._share

    def entry(self, kernel: str, types: str, file: str) -> bytes | None:
        """Return a missing entry of the cache once it is there, or None if it will not be.

        Numba's lock is held meanwhile, so there is one caller at a time.
        """
        if not self.compiles(kernel, types):
            return None
        thread: Any = self._thread
        STOPWATCH.start()
        try:
            data = None
            # After a fork, too, the thread of the parent counts as ended.
            while data is None and thread.is_alive():
                thread.join(_INTERVAL)
                data = cache.read(file)
            return data
        finally:
            STOPWATCH.stop()

    def _start(self) -> None:
        """Start the process, if it could write what it compiles and no other one compiles it."""
        self._thread = Thread(target=self._run, daemon=True)
        if not self._claim.take() or self._claim.directory is None:
            return
        with suppress(RuntimeError):  # there may be no more threads
            self._thread.start()
            for kernel, types in _share(**self._given):
                self._share.add((kernel._cache.kernel, str(types)))

    def _run(self) -> None:
        """Run the process to its end, so that none is left over, and ignore its failure."""
        path = [place for place in sys.path if isinstance(place, str)]
        given = self._given | {"path": [*path, str(sources.ROOT.parent)]}
        directory = getattr(cache.numba.config, "CACHE_DIR", "")
        with suppress(Exception):
            subprocess.run(
                [str(_python()), "-I", "-c", _MAIN],
                input=json.dumps(given).encode(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=os.environ | ({"NUMBA_CACHE_DIR": directory} if directory else {}),
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # of Windows
                check=False,
            )
        self._claim.release()


def _share(cell: str, dtype: str, solver: str) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Yield some half of the kernels of a fit, those that are needed last at the end.

    Those that every fit needs at its very beginning are ready before another process has started.
    """
    for kernel in SEPARATE:
        yield kernel, signature(kernel, dtype)
    backward = recurrence.backward(cell)
    yield backward, signature(backward, dtype)
    if solver in UPDATES:
        yield updates.update(solver), signature(updates.update(solver), dtype)


def compile_share(**given: str) -> None:
    """Compile what the other process waits for, as long as it can be kept."""
    for kernel, types in _share(**given):
        kernel.compile(types)
        if any(entry.compiled and entry.directory is None for entry in cache.KernelCache.log):
            return
