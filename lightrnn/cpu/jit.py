"""The options by which kernels are compiled, and the types for which they are.

- ``nogil``: shards of a batch run on threads.
- ``error_model="numpy"``: the check for a zero divisor would prevent vectorisation.
- no ``fastmath``: it lets bits depend on context, and deletes checks for NaN.
- a disk cache of our own, see `cache.py`.

A kernel's annotations are the types of its arguments: there is one for each dtype, and calls keep
to it, whatever the data's size. So they can be compiled ahead: see `kernels.py`.
"""

from collections.abc import Callable
from functools import cache, partial, wraps
from typing import Annotated, Any, NamedTuple, TypeVar, cast, get_args, get_origin, get_type_hints

import numba
import numpy as np
import numpy.ma  # which Numba imports at a kernel's first call, where no lock guards it
from llvmlite.binding import ffi
from numba import extending, njit, types
from numba.core import event
from numba.core.compiler_lock import global_compiler_lock

from .cache import KernelCache
from .compiling import STOPWATCH
from .once import LOCKS, MAKING, uninterrupted

Function = TypeVar("Function", bound=Callable[..., Any])
_config: Any = numba.config

# Kernels may be made, and Numba started by that, while `MAKING` is held: this lock comes after it.
LOCKS.append(global_compiler_lock)
# llvmlite's own lock comes last. It is also taken without Numba's: where a kernel is destroyed. No
# public name leads to it, so a version of llvmlite may lack it.
if hasattr(getattr(ffi.lib, "_lock", None), "_lock"):
    LOCKS.append(ffi.lib._lock._lock)


class _Listener(event.Listener):
    """Lets the stopwatch run while Numba compiles."""

    def on_start(self, event: Any) -> None:
        STOPWATCH.start()

    def on_end(self, event: Any) -> None:
        STOPWATCH.stop()


event.register("numba:compile", _Listener())


# -- types -----------------------------------------------------------------------------------------


class Kind(NamedTuple):
    """Content and axes of an array; unless it is strided, it is C-contiguous."""

    dimensions: int
    dtype: str | None = None  # None: that of the network
    strided: bool = False  # where its rows overlap, as those of windows do


Pointer = Annotated[Any, Kind(0)]  # to an element of an array of any number of axes
Numbers = Annotated[np.ndarray, Kind(1)]
Matrix = Annotated[np.ndarray, Kind(2)]
Rows = Annotated[np.ndarray, Kind(2, strided=True)]
Doubles = Annotated[np.ndarray, Kind(1, "float64")]
Singles = Annotated[np.ndarray, Kind(2, "float32")]
DoubleRows = Annotated[np.ndarray, Kind(2, "float64")]
Integers = Annotated[np.ndarray, Kind(1, "int64")]
Table = Annotated[np.ndarray, Kind(2, "int64")]

# Of every function Numba would make another one, for C to call: a sixth of the time to compile.
_OPTIONS = {"no_cfunc_wrapper": True}
_SCALARS: dict[Any, Any] = {int: types.int64, float: types.float64, bool: types.boolean}


def signature(kernel: Any, dtype: str, overlapping: bool = False) -> tuple[Any, ...]:
    """Return Numba's types of a kernel's arguments.

    Parameters
    ----------
    kernel : dispatcher
        The kernel.
    dtype : {"float32", "float64"}
        Of the network.
    overlapping : bool, default=False
        Whether the rows of `Rows` overlap.
    """
    hints = get_type_hints(kernel.py_func, include_extras=True)
    hints.pop("return", None)
    return tuple(_numba_type(kind, dtype, overlapping) for kind in hints.values())


def _numba_type(kind: Any, dtype: str, overlapping: bool) -> Any:
    """Return the type of an argument, or of a part of one."""
    if kind in _SCALARS:
        return _SCALARS[kind]
    if get_origin(kind) is Annotated:
        array = kind.__metadata__[0]
        if not array.dimensions:
            return types.CPointer(getattr(types, array.dtype or dtype))
        layout = "A" if array.strided and overlapping else "C"
        return types.Array(getattr(types, array.dtype or dtype), array.dimensions, layout)
    named = get_origin(kind) is None
    parts = get_type_hints(kind, include_extras=True).values() if named else get_args(kind)
    inner = [_numba_type(part, dtype, overlapping) for part in parts]
    return types.BaseTuple.from_types(inner, kind if named else tuple)


# -- kernels ---------------------------------------------------------------------------------------


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let `function` be compiled for the types of its calls, and cached on disk if it is ours.

    Functions of other packages are not cached, since the cache is keyed by the sources of this one.

    Raises
    ------
    RuntimeError
        If Numba compiles nothing: Python has no registers.
    """
    if _config.DISABLE_JIT:
        raise RuntimeError(
            f"NUMBA_DISABLE_JIT must be 0 or unset, got {_config.DISABLE_JIT}. The kernels of "
            "lightrnn cannot run without being compiled: unset it, and start Python anew."
        )
    dispatcher: Any = njit(nogil=True, error_model="numpy", **_OPTIONS)(function)
    dispatcher.compile = _whole(dispatcher)
    if function.__module__.startswith("lightrnn."):
        dispatcher._cache = KernelCache(function)
    return dispatcher


def _whole(dispatcher: Any) -> Callable[[Any], Any]:
    """Return the method of a dispatcher that compiles, or loads from disk, without interruption."""
    compile_for = dispatcher.compile

    def compile_whole(types: Any) -> Any:
        if not global_compiler_lock.is_locked():
            uninterrupted(partial(compile_for, types))
        # Numba would take its lock only to find this, and an interruption could leave it held.
        made = dispatcher.overloads.get(tuple(types))
        return compile_for(types) if made is None else made.entry_point

    return compile_whole


@cache
def machine_code(kernel: Any, dtype: np.dtype, overlapping: bool = False) -> Callable[..., Any]:
    """Return what calls the machine code of a kernel for a dtype, compiled or loaded if need be.

    A kernel itself looks at the types of its arguments at every call, which takes three times as
    long as the call where these are tuples of arrays: 5 microseconds for a backward pass. Here the
    caller answers for them: arrays of another layout would be read as if they were contiguous.

    Parameters
    ----------
    kernel : dispatcher
        The kernel.
    dtype : dtype
        float32 or float64.
    overlapping : bool, default=False
        Whether the rows of `Rows` may overlap.

    Returns
    -------
    callable
        It takes the arguments of the kernel by position.
    """
    code: Callable[..., Any] = compiled(kernel, str(dtype), overlapping).entry_point
    return code


def compiled(kernel: Any, dtype: str, overlapping: bool = False) -> Any:
    """Return Numba's result of compiling a kernel for a dtype, which it does if need be."""
    kinds = signature(kernel, dtype, overlapping)
    # What is there already is found without the compiler's lock.
    if kinds not in kernel.overloads:
        kernel.compile(kinds)
    return kernel.overloads[kinds]


def register_jitable(function: Function) -> Function:
    """Let kernels call a function, which is compiled with each of them."""
    registered: Function = extending.register_jitable(**_OPTIONS)(function)
    return registered


def overload(function: Callable[..., Any]) -> Callable[[Function], Function]:
    """Return a decorator of what chooses, by the types, the function that kernels call instead."""
    decorator: Callable[[Function], Function] = extending.overload(function, jit_options=_OPTIONS)
    return decorator


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
        with MAKING:
            return made(*arguments)

    return cast(Function, once)


__all__ = [
    "Doubles",
    "Integers",
    "Matrix",
    "Numbers",
    "Pointer",
    "Rows",
    "Singles",
    "Table",
    "factory",
    "kernel",
    "machine_code",
    "named",
    "overload",
    "register_jitable",
    "signature",
]
