"""Run tasks on threads: kernels release the GIL, so that plain threads suffice and survive a fork.

How a batch is cut into tasks never depends on the number of threads, and results are combined in
the order of the tasks: for this reason the same seed gives the same bits at any `n_jobs`.
"""

import math
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TypeVar

_ROOT = Path("/")
# Quota and period of a control group: in one file (version 2), or in two (version 1).
_QUOTA_FILES = (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us"))

Result = TypeVar("Result")


def usable(n_jobs: int | None) -> int:
    """Return the number of threads to use.

    Parameters
    ----------
    n_jobs : int or None
        None: the CPUs that this process may use, but 1 inside a worker of joblib or
        multiprocessing, which has been given its part of the machine already. -1: all of them, -2:
        all but one, and so on. Otherwise the number itself.
    """
    if n_jobs is None:
        return 1 if _in_worker() else _cpus()
    return n_jobs if n_jobs > 0 else max(1, _cpus() + 1 + n_jobs)


def _cpus() -> int:
    """Return the CPUs that this process may use: by its affinity and by its container's quota."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return math.ceil(min(count, _quota(_ROOT)))


@cache  # read once: quotas rarely change, and the files take 0.6 ms, longer than a small prediction
def _quota(root: Path) -> float:
    """Return how many CPUs' time Linux grants this process; infinite without a limit."""
    return min(map(_limit, _control_groups(root)))


def _control_groups(root: Path) -> Iterator[Path]:
    """Yield the directories whose quotas may bind this process.

    These are the mounts, which within a container are its own group, and below them the process's
    group with all groups above it.
    """
    unified = root / "sys/fs/cgroup"  # version 2; below it the mounts of version 1
    legacy = (unified / "cpu", unified / "cpu,cpuacct")
    yield from (unified, *legacy)
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except (OSError, ValueError):
        return
    for line in lines:  # hierarchy:controllers:/group, without controllers in version 2
        controllers, _, group = line.partition(":")[2].partition(":")
        mounts = legacy if "cpu" in controllers.split(",") else ()
        for mount in mounts if controllers else (unified,):
            directory = mount / group.strip("/")
            while directory != mount:
                yield directory
                directory = directory.parent


def _limit(directory: Path) -> float:
    """Return the quota of one control group divided by its period; infinite without a limit."""
    for names in _QUOTA_FILES:
        try:
            text = " ".join((directory / name).read_text() for name in names)
            quota, period = map(float, text.split())
            if quota > 0:  # version 1 writes -1 where there is no limit
                return quota / period
        except (OSError, ValueError, ZeroDivisionError):  # ValueError: version 2 writes "max"
            continue
    return math.inf


def _in_worker() -> bool:
    """Return whether joblib or multiprocessing runs several processes or threads like this one."""
    if multiprocessing.current_process().name != "MainProcess":
        return True
    joblib = sys.modules.get("joblib")
    return joblib is not None and joblib.parallel.get_active_backend()[0].nesting_level > 0


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Return this process's pool."""
    return ThreadPoolExecutor(threads, thread_name_prefix="lightrnn")


if hasattr(os, "register_at_fork"):  # the child has its parent's objects, without their threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


def run(tasks: Sequence[Callable[[], Result]], threads: int) -> list[Result]:
    """Call every task and return the results in order; the caller's thread works, too."""
    threads = min(threads, len(tasks))
    if threads <= 1:
        return [task() for task in tasks]
    results: list[Result | None] = [None] * len(tasks)
    waiting = iter(range(len(tasks)))  # shared: under the GIL each number goes to one thread

    def work() -> None:
        for number in waiting:
            results[number] = tasks[number]()

    futures = [_pool(threads - 1).submit(work) for _ in range(threads - 1)]
    try:
        work()
    finally:  # threads that have not begun, since other callers keep them busy, are not needed now
        futures = [future for future in futures if not future.cancel()]
        for future in futures:
            future.exception()
    for future in futures:
        future.result()
    return results  # type: ignore[return-value]
