"""Make things once, by whichever thread is first, and whole: locks, forks and interruptions.

A forked process has one thread, and a lock that another one held at that moment stays locked in it
for ever, be it of Numba's compiler or of a module that was being imported. So a fork waits until
nobody holds a lock of this list. An interruption by the user (Ctrl-C) waits until what is being
made is whole.
"""

import logging  # noqa: F401 - forks take its lock, too: after these, since it was imported before
import os
import sys
from _thread import start_new_thread
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from threading import Lock, RLock, get_ident, main_thread
from typing import Any

# Held while matrices are transposed, for which a kernel may have to be made or compiled.
DERIVING = RLock()
# Held while modules are imported and kernels are made.
MAKING = RLock()
# In the order in which threads take them: whoever holds one may wait for a later one.
LOCKS: list[Any] = [DERIVING, MAKING]
_held: list[Any] = []


def uninterrupted(work: Callable[[], Any]) -> None:
    """Let another thread do some work to its end; only then raise what interrupted this one.

    Python raises interruptions in the main thread alone, between any two of its instructions. They
    would leave Numba half imported, or a lock held that it takes while it compiles or loads a
    kernel: every later import of it would fail, and other threads would wait for ever.

    Nothing is done where that does not help: the caller is another thread, or it holds a lock that
    the work may need, or no thread can be started. An error of the work is lost, too. So callers do
    the work themselves afterwards, and find it done.

    Parameters
    ----------
    work : callable
        Without arguments; its result is dropped.
    """
    making: Any = MAKING
    if get_ident() != main_thread().ident or making._is_owned():
        return
    # `Thread` itself may be interrupted while it starts, and takes itself for ended while it joins.
    working = Lock()
    working.acquire()
    try:
        start_new_thread(_do, (work, working))
    except RuntimeError:  # too many threads, or the interpreter is shutting down
        return
    interruption = None
    while working.locked():
        try:
            with working:
                pass
        except BaseException as error:
            interruption = error
    if interruption is not None:
        raise interruption


def _do(work: Callable[[], Any], working: Any) -> None:
    """Do the work, whatever it raises, and release the lock."""
    try:
        with suppress(BaseException):
            work()
    finally:
        working.release()


def imported(name: str) -> Any:
    """Return a module, imported as a whole while forks wait.

    Parameters
    ----------
    name : str
        Full name of the module.

    Returns
    -------
    module
        As `importlib.import_module` returns it.
    """
    if name not in sys.modules:
        uninterrupted(partial(_import, name))
    return _import(name)


def _import(name: str) -> Any:
    with MAKING:
        return import_module(name)


def _acquire() -> None:
    for lock in list(LOCKS):
        lock.acquire()
        _held.append(lock)


def _release() -> None:
    while _held:
        _held.pop().release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_acquire, after_in_parent=_release, after_in_child=_release)
