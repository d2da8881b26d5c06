"""Run tasks on threads: kernels release the GIL, so that plain threads suffice and survive a fork.

How a batch is cut into tasks never depends on the number of threads, and results are combined in
the order of the tasks: for this reason the same seed gives the same bits at any `n_jobs`.
"""

import math
import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TypeVar

from ..utils.control_groups import ROOT, directories

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
    return math.ceil(min(count, _quota(ROOT)))


@cache  # read once: quotas rarely change, and the files take 0.6 ms, longer than a small prediction
def _quota(root: Path) -> float:
    """Return how many CPUs' time Linux grants this process; infinite without a limit."""
    return min(map(_limit, directories("cpu", "cpu,cpuacct", root=root)))


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


class _Pool:
    """Threads that serve every caller of this process, as many as the largest call can use.

    They are daemons, unlike those of the standard library's executors: they also work for threads
    that outlive the main one, and for exit handlers. Where no more threads can be started, there
    are fewer or none, and callers do their tasks themselves.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all threads, which a forked process does not have."""
        self._waiting: SimpleQueue[tuple[Future[None], Callable[[], None]]] = SimpleQueue()
        self._growing = Lock()
        self._count = 0

    def submit(self, work: Callable[[], None], threads: int) -> list[Future[None]]:
        """Let up to this many threads do the same work; return the end of each one's."""
        futures: list[Future[None]] = [Future() for _ in range(min(threads, self._grow(threads)))]
        for future in futures:
            self._waiting.put((future, work))
        return futures

    def _grow(self, threads: int) -> int:
        """Start threads until there are this many; return how many there are."""
        with self._growing:
            while self._count < threads:
                name = f"lightrnn_{self._count}"
                try:
                    Thread(
                        target=self._serve, args=(self._waiting,), name=name, daemon=True
                    ).start()
                except (RuntimeError, MemoryError):  # a limit, or the interpreter is shutting down
                    break
                self._count += 1
            return self._count

    @staticmethod
    def _serve(waiting: SimpleQueue[tuple[Future[None], Callable[[], None]]]) -> None:
        """Do what comes, for ever."""
        while True:
            future, work = waiting.get()
            if future.set_running_or_notify_cancel():
                try:
                    work()
                except BaseException as error:
                    future.set_exception(error)
                else:
                    future.set_result(None)
            del future, work  # arrays hang on these, and the next work may be long in coming


_pool = _Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.reset)


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

    futures = _pool.submit(work, threads - 1)
    try:
        work()
    finally:  # threads that have not begun, since other callers keep them busy, are not needed now
        futures = [future for future in futures if not future.cancel()]
        for future in futures:
            future.exception()
    for future in futures:
        future.result()
    return results  # type: ignore[return-value]
