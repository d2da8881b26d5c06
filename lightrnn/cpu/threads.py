"""Work shared out over threads: kernels release the GIL, so plain threads do, and nothing breaks after a fork.

How a batch is cut into tasks never depends on the number of threads, and results are combined in the order of the
tasks: that is why the same seed gives the same bits at any `n_jobs`.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

Result = TypeVar("Result")


def usable(n_jobs: int | None) -> int:
    """Threads to use.

    Parameters
    ----------
    n_jobs : int or None
        None: the CPUs that this process may use, but 1 inside a worker of joblib or multiprocessing, which has been
        given its share of the machine already. -1: all of them, -2 all but one, and so on. Otherwise the number itself.
    """
    if n_jobs is None:
        return 1 if _in_worker() else _cpus()
    return n_jobs if n_jobs > 0 else max(1, _cpus() + 1 + n_jobs)


def _cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _in_worker() -> bool:
    """Whether somebody else already runs several of us."""
    if multiprocessing.current_process().name != "MainProcess":
        return True
    joblib = sys.modules.get("joblib")
    return joblib is not None and joblib.parallel.get_active_backend()[0].nesting_level > 0


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Return the process's own pool."""
    return ThreadPoolExecutor(threads, thread_name_prefix="lightrnn")


if hasattr(os, "register_at_fork"):  # the child has its parent's objects, without their threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


def run(tasks: Sequence[Callable[[], Result]], threads: int) -> list[Result]:
    """Call every task and return their results in order; the caller's thread does its part."""
    threads = min(threads, len(tasks))
    if threads <= 1:
        return [task() for task in tasks]
    results: list[Result | None] = [None] * len(tasks)
    waiting = iter(range(len(tasks)))

    def work() -> None:
        for number in waiting:
            results[number] = tasks[number]()

    futures = [_pool(threads - 1).submit(work) for _ in range(threads - 1)]
    try:
        work()
    finally:  # help that has not come yet, the pool being busy with other callers, is not needed any more
        futures = [future for future in futures if not future.cancel()]
        for future in futures:
            future.exception()
    for future in futures:
        future.result()
    return results  # type: ignore[return-value]
