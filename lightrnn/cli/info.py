"""``python -m lightrnn info``: versions, processor, cache, and whether gradients are right."""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Iterator

from .._version import __version__
from . import selfcheck


def describe() -> Iterator[tuple[str, str]]:
    """Yield what there is to know of this install and this machine, each with its name."""
    import llvmlite
    import numba
    import numpy
    import scipy

    from ..cpu import host, threads

    yield "lightrnn", __version__
    yield "Python", f"{platform.python_version()}, {platform.system()} {platform.machine()}"
    libraries = (numba, llvmlite, numpy, scipy)
    yield "with", ", ".join(f"{library.__name__} {library.__version__}" for library in libraries)
    lanes = f"{host.lanes('float32')} float32 or {host.lanes('float64')} float64"
    yield (
        "SIMD",
        f"registers of {host.REGISTER_BYTES} bytes, {lanes}; tile {host.TILE_ROWS} x {host.TILE_VECTORS}",
    )
    yield "threads", f"{threads.usable(None)} with n_jobs=None, {threads.usable(-1)} CPUs usable"
    yield "CUDA", _gpu()
    yield from _cache()


def _gpu() -> str:
    """Say whether there is a GPU to compute on, or why not."""
    from ..cuda import driver

    try:
        limits = driver.open_device(0)
    except RuntimeError as error:
        return str(error)
    return f"a GPU of {limits.multiprocessors} multiprocessors"


def _cache() -> Iterator[tuple[str, str]]:
    """Yield where machine code is kept, and how much is there."""
    from ..cpu import cache

    for place in cache.directories():
        files = [path for path in cache.entries() if path.parent == place]
        state = (
            f"{len(files)} kernels, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB"
            if files
            else "empty"
        )
        yield "cache", f"{place}: {state}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="the most for the check of gradients"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print everything; 1 if a gradient is wrong."""
    for name, text in describe():
        print(f"{name:<9}{text}")
    start = time.perf_counter()
    print(
        "gradients beside central differences, and float32 beside float64 (compiles what is not in the cache):"
    )
    results = []
    for result in selfcheck.check(arguments.seconds):
        results.append(result)
        errors = f"off by {result.difference:.0e} and {result.precision:.0e}"
        verdict = "ok" if result.passed else "WRONG"
        print(f"  {result.cell:<5}{result.rounds:>3} networks, {errors}: {verdict}", flush=True)
    passed = all(result.passed for result in results)
    print(
        f"{'all is well' if passed else 'SOMETHING IS WRONG'}, {time.perf_counter() - start:.1f} s"
    )
    return 0 if passed else 1
