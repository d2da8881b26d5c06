"""Locks: one for all that is made once, by whichever thread is first, and all that forks wait for.

A forked process has one thread, and a lock that another one held at that moment stays locked in it
for ever, be it of Numba's compiler or of a module that was being imported. So a fork waits until
nobody holds a lock of this list.
"""

import logging  # noqa: F401 - forks take its lock, too: after these, since it was imported before
import os
from threading import RLock
from typing import Any

# Held while modules are imported, kernels are made and matrices are transposed.
MAKING = RLock()
# In the order in which threads take them: whoever holds one may wait for a later one.
LOCKS: list[Any] = [MAKING]
_held: list[Any] = []


def _acquire() -> None:
    for lock in list(LOCKS):
        lock.acquire()
        _held.append(lock)


def _release() -> None:
    while _held:
        _held.pop().release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_acquire, after_in_parent=_release, after_in_child=_release)
