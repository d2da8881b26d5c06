"""``python -m lightrnn warmup``: compile the kernels ahead of their first use.

A kernel declares the types of its arguments, and every fit and prediction keeps to them
(`cpu/kernels.py`): so no data are needed, and nothing is left to be compiled later. The machine
code is kept in the cache on disk, see `cpu/cache.py`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from ..cells import HIDDEN_CELLS
from ..utils import checks

_DTYPES = ("float32", "float64")


class Use(NamedTuple):
    """A kernel for some types, and whether it had to be compiled."""

    name: str
    compiled: int  # kernels
    found: int  # kernels that were in the cache
    seconds: float


def warm_up(
    cells: tuple[str, ...] = HIDDEN_CELLS, dtypes: tuple[str, ...] = _DTYPES
) -> Iterator[Use]:
    """Compile every kernel of some cells and precisions that is not in the cache.

    Parameters
    ----------
    cells : tuple of {"ffnn", "rnn", "gru", "lstm"}, default=("ffnn", "rnn", "gru", "lstm")
        The cells.
    dtypes : tuple of {"float32", "float64"}, default=("float32", "float64")
        The precisions.

    Yields
    ------
    Use
        One for each kernel, when it is ready.
    """
    from ..cpu.cache import KernelCache
    from ..cpu.kernels import signatures

    for dtype in dtypes:
        for kernel, types in signatures(cells, dtype):
            before = len(KernelCache.log)
            start = time.perf_counter()
            kernel.compile(types)
            seconds = time.perf_counter() - start
            for entry in KernelCache.log[before:]:  # none if this process has the kernel already
                yield Use(f"{entry.kernel} {dtype}", entry.compiled, not entry.compiled, seconds)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``python -m lightrnn warmup``."""
    for name, options in (("cells", HIDDEN_CELLS), ("dtypes", _DTYPES)):
        parser.add_argument(
            f"--{name}",
            type=partial(_names, name, options),
            default=options,
            help=f"{name} to compile for, separated by commas (default: {','.join(options)})",
        )


def _names(name: str, options: tuple[str, ...], text: str) -> tuple[str, ...]:
    """Read names separated by commas."""
    try:
        return tuple(checks.choice(name, part, options) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def run(arguments: argparse.Namespace) -> int:
    """Compile, and print what was compiled; return 1 if it cannot be kept, else 0."""
    from ..cpu import cache

    start = time.perf_counter()
    for use in warm_up(arguments.cells, arguments.dtypes):
        state = f"compiled, {use.seconds:.1f} s" if use.compiled else "found"
        print(f"{use.name}: {state}", flush=True)
    cache.share()
    seconds = time.perf_counter() - start
    log = cache.KernelCache.log
    compiled = [entry for entry in log if entry.compiled]
    print(f"{len(log)} kernels, {len(compiled)} compiled, {seconds:.0f} s")
    directories = {entry.directory for entry in compiled}
    for directory in directories - {None}:
        print(f"kept in {directory}")
    if None in directories:
        print(
            "There is no directory for machine code that this user can write to and others cannot. "
            "Set NUMBA_CACHE_DIR to one.",
            file=sys.stderr,
        )
    return int(None in directories)
