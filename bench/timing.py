"""Timing: all sides take turns in one process, so that other work on the machine slows all alike.

A turn of a short call begins with a rest and some milliseconds of the same call that do not count.
So no side pays for the caches that another has filled, nor for the worker threads of another, which
may spin for a while after their work is done.
"""

import compileall
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .report import Row, milliseconds, times_faster, verdict

SHORT = 0.1  # seconds: longer calls need neither rest nor lead
SECONDS = 2.0  # of calls that count; more if the least number of rounds takes longer
REST = 0.005  # seconds in which spinning threads fall asleep
LEAD = 0.005  # seconds of calls that do not count, at least one call

Times = dict[str, np.ndarray]


def alternate(
    calls: Mapping[str, Callable[[], Any]], *, quick: bool = False, most: int = 41, least: int = 7
) -> Times:
    """Call each side in turn, round after round; return the seconds of every round by name."""
    for call in calls.values():
        call()  # compiles
    estimate = {name: _seconds(call) for name, call in calls.items()}
    rounds = 2 if quick else min(most, max(least, int(SECONDS / sum(estimate.values()))))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds):
        # Every other round runs backward, so that no side always follows the same one.
        for name in list(calls)[:: -1 if number % 2 else 1]:
            times[name].append(_turn(calls[name], estimate[name] < SHORT))
    return {name: np.array(seconds) for name, seconds in times.items()}


def ratio(times: Times, theirs: str, ours: str = "lightrnn") -> float:
    """Return how many times longer `theirs` took, by the median round; NaN if it did not run."""
    return float(np.median(times[theirs] / times[ours])) if theirs in times else float("nan")


def median(times: Times, name: str) -> float:
    """Return the median seconds; NaN if it did not run."""
    return float(np.median(times[name])) if name in times else float("nan")


def compared(times: Times, bar: float | None, peer: str = "torch") -> Row:
    """Return the cells of lightrnn's and a peer's milliseconds, their ratio, and its verdict."""
    faster = ratio(times, peer)
    both = (milliseconds(median(times, side)) for side in ("lightrnn", peer))
    return *both, times_faster(faster), *verdict(faster, bar)


def in_child(
    side: str, cell: str, data: str, *path: str, cache: str | None = None
) -> dict[str, float]:
    """Run child.py in a new process; return the figures it prints, and its seconds as "total".

    With `cache`, a directory, the process has its own copy of the sources there, and looks nowhere
    else for machine code: neither in the package that is measured, which other processes have
    filled, nor below the user's home or among the temporary files.
    """
    # Without byte code on disk, each process would compile the sources.
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
    }
    root = Path(__file__).resolve().parent.parent
    if cache is not None:
        root = _copied(root, Path(cache))
        places = ("NUMBA_CACHE_DIR", "HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "TMPDIR")
        environment |= dict.fromkeys(places, cache)
    command = [sys.executable, "-m", "bench.child", side, cell, data, *path]
    start = time.perf_counter()
    done = subprocess.run(
        command, env=environment, cwd=root, stdout=subprocess.PIPE, text=True, check=True
    )
    total = time.perf_counter() - start
    return json.loads(done.stdout.splitlines()[-1]) | {"total": total}


def _copied(root: Path, directory: Path) -> Path:
    """Return a directory with the sources and their byte code, but no machine code."""
    copy = directory / "sources"
    if not copy.exists():
        for package in ("lightrnn", "bench"):
            without = shutil.ignore_patterns("__pycache__")
            shutil.copytree(root / package, copy / package, ignore=without)
        compileall.compile_dir(copy, quiet=1)
    return copy


def _turn(call: Callable[[], Any], short: bool) -> float:
    time.sleep(REST)
    start = time.perf_counter()
    while short and time.perf_counter() - start < LEAD:
        call()
    return _seconds(call)


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
