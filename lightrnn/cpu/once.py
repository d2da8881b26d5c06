"""Locks: one for all that is made once, by whichever thread is first, and all that forks wait for.

A forked process has one thread, and a lock that another one held at that moment stays locked in it
for ever, be it of Numba's compiler or of a module that was being imported. So a fork waits until
nobody holds a lock of this list.
"""

import logging  # noqa: F401 - forks take its lock, too: after these, since it was imported before
import os
import sys
from contextlib import suppress
from importlib import import_module
from threading import RLock, Thread, current_thread, main_thread
from typing import Any

# Held while modules are imported, kernels are made and matrices are transposed.
MAKING = RLock()
# In the order in which threads take them: whoever holds one may wait for a later one.
LOCKS: list[Any] = [MAKING]
_held: list[Any] = []


def imported(name: str) -> Any:
    """Return a module, imported as a whole while forks wait.

    An interruption by the user would leave Numba half imported, and every later import of it would
    fail. Python raises it in the main thread alone, so another one imports for that thread.

    Parameters
    ----------
    name : str
        Full name of the module.

    Returns
    -------
    module
        As `importlib.import_module` returns it.
    """
    nested: Any = MAKING
    if name not in sys.modules and current_thread() is main_thread() and not nested._is_owned():
        with suppress(RuntimeError):  # there is no other thread while the interpreter shuts down
            thread = Thread(target=_import, args=(name,), daemon=True)
            thread.start()
            thread.join()
    with MAKING:
        return import_module(name)


def _import(name: str) -> None:
    """Import a module; an error is left to the thread that waits, which meets it again."""
    with suppress(BaseException), MAKING:
        import_module(name)


def _acquire() -> None:
    for lock in list(LOCKS):
        lock.acquire()
        _held.append(lock)


def _release() -> None:
    while _held:
        _held.pop().release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_acquire, after_in_parent=_release, after_in_child=_release)
