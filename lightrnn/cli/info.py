"""``python -m lightrnn info``: print versions, processor and cache; check gradients on demand."""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from .._version import __version__
from . import selfcheck


def describe() -> Iterator[tuple[str, str]]:
    """Yield each fact about this installation and machine as a name and a text."""
    yield "lightrnn", __version__
    yield "Python", f"{platform.python_version()}, {platform.system()} {platform.machine()}"
    libraries = ("numba", "llvmlite", "numpy", "scipy")
    yield "with", ", ".join(f"{name} {version(name)}" for name in libraries)

    # Imported here, since Numba takes a second to load.
    from ..cpu import host, threads

    lanes = f"{host.lanes('float32')} float32 or {host.lanes('float64')} float64"
    tile = f"{host.TILE_ROWS} x {host.TILE_VECTORS}"
    yield "SIMD", f"registers of {host.REGISTER_BYTES} bytes, {lanes}; tile {tile}"
    yield "threads", f"{threads.usable(None)} with n_jobs=None, {threads.usable(-1)} CPUs usable"
    yield "CUDA", _gpu()
    yield from _cache()


def _gpu() -> str:
    """Return a description of the first GPU, or the reason why none can be used."""
    from ..cuda import driver

    # The error gives the reason: no package, no driver or no GPU.
    try:
        limits = driver.open_device(0)
    except RuntimeError as error:
        return str(error)
    return f"a GPU of {limits.multiprocessors} multiprocessors"


def _cache() -> Iterator[tuple[str, str]]:
    """Yield the directories for machine code, each with the number and size of its kernels."""
    from ..cpu import cache

    used = set(cache.directories())
    for place in cache.places():
        files = [path for path in cache.entries() if path.parent == place]
        size = sum(path.stat().st_size for path in files)
        state = f"{len(files)} kernels, {size / 1e6:.1f} MB" if files else "empty"
        if not _is_writable(place):
            state += ", read-only"
        yield "cache", f"{place}: {state if place in used else 'not used, others can write there'}"


def _is_writable(place: Path) -> bool:
    """Return whether this user may write to a directory, or make it."""
    existing = next(path for path in (place, *place.parents) if path.exists())
    return existing.is_dir() and os.access(existing, os.W_OK)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``python -m lightrnn info``."""
    parser.add_argument(
        "--check",
        "--seconds",
        metavar="SECONDS",
        type=float,
        nargs="?",
        const=10.0,
        help="also check the gradients of every cell, for at most SECONDS (default: 10)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the facts, and if wanted check the gradients; return 1 if one is wrong, else 0."""
    # Each line is printed as soon as it is known: importing and compiling may take some seconds.
    for name, text in describe():
        print(f"{name:<9}{text}", flush=True)
    return 0 if arguments.check is None else _check(arguments.check)


def _check(most: float) -> int:
    """Check the gradients for at most some seconds; return 1 if one is wrong, else 0."""
    start = time.perf_counter()
    print(
        "gradients compared with central differences, and float32 with float64 "
        "(compiles kernels that are not in the cache):",
        flush=True,
    )
    passed = True
    for result in selfcheck.check(most):
        passed &= result.passed
        errors = f"off by {result.difference:.0e} and {result.precision:.0e}"
        verdict = "ok" if result.passed else "WRONG"
        print(f"  {result.cell:<5}{result.rounds:>3} networks, {errors}: {verdict}", flush=True)
    seconds = time.perf_counter() - start
    print(f"{'all is well' if passed else 'SOMETHING IS WRONG'}, {seconds:.1f} s")
    return 0 if passed else 1
