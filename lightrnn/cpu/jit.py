"""The options by which kernels are compiled.

- ``nogil``: shards of a batch run on threads.
- ``error_model="numpy"``: the check for a zero divisor would prevent vectorisation.
- no ``fastmath``: it lets bits depend on context, and deletes checks for NaN.
- a disk cache of our own, see `cache.py`.
"""

import os
from collections.abc import Callable
from functools import cache, wraps
from threading import RLock
from typing import Any, TypeVar, cast

from numba import njit
from numba.extending import register_jitable

from .cache import KernelCache

Function = TypeVar("Function", bound=Callable[..., Any])
_MAKING = RLock()  # one for all factories, since one may call another
if hasattr(os, "register_at_fork"):
    # No child may inherit the lock while another thread of its parent holds it.
    os.register_at_fork(
        before=_MAKING.acquire,
        after_in_parent=_MAKING.release,
        after_in_child=_MAKING.release,
    )


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let `function` be compiled for the types of its calls, and cached on disk if it is ours.

    Functions of other packages are not cached, since the cache is keyed by the sources of this one.
    """
    dispatcher: Any = njit(nogil=True, error_model="numpy")(function)
    if function.__module__.startswith("lightrnn."):
        dispatcher._cache = KernelCache(function)
    return dispatcher


def named(name: str) -> Callable[[Function], Function]:
    """Return a decorator that names one of the functions that a factory makes of one source.

    Numba distinguishes compiled functions of the same name and types by a counter of its process
    alone: kernels that two processes cached and a third loads would call each other's functions.
    """

    def rename(function: Function) -> Function:
        function.__name__ = function.__qualname__ = name
        return function

    return rename


def factory(make: Function) -> Function:
    """Let `make` run once for each argument, even if threads call it at the same time.

    `functools.cache` alone lets two threads make two kernels of one name, which the disk cache
    refuses. Nothing is compiled here, so the lock is held for a moment only.
    """
    made: Any = cache(make)

    @wraps(make)
    def once(*arguments):
        with _MAKING:
            return made(*arguments)

    return cast(Function, once)


__all__ = ["factory", "kernel", "named", "register_jitable"]
