"""How kernels are compiled: the options, each for a reason.

- ``nogil``: shards of a batch run on threads.
- ``error_model="numpy"``: the check for a zero divisor blocks vectorisation.
- no ``fastmath``: it lets bits depend on context, and deletes NaN checks.
- a cache on disk of our own, see `cache.py`.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit
from numba.extending import register_jitable

from .cache import KernelCache

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile `function` when it is first called, for the types it is called with; keep ours on disk.

    The cache sees edits in this package alone, so that it keeps no kernel of another.
    """
    dispatcher: Any = njit(nogil=True, error_model="numpy")(function)
    if function.__module__.startswith("lightrnn."):
        dispatcher._cache = KernelCache(function)
    return dispatcher


def named(name: str) -> Callable[[Function], Function]:
    """Name one of several functions that a factory makes from the same source.

    In machine code Numba tells functions of one name and type apart by a count of its process alone: kernels cached by
    two processes and loaded by a third would call each other's.
    """

    def rename(function: Function) -> Function:
        function.__name__ = function.__qualname__ = name
        return function

    return rename


__all__ = ["kernel", "named", "register_jitable"]
