"""Functions that are compiled once, for kernels to call: neither inlined nor compiled with each.

What Numba calls from a kernel it compiles anew, as a part of that kernel's machine code. Here the
machine code of a function is an entry of its own in the cache, and kernels call it at its address,
for which the linker knows a name. Arrays are passed as pointers to their first elements.

For the products of matrices this halved the time of compiling the kernels of a first fit. A call
costs no more than before: what Numba compiled into a kernel it did not inline either, and it passed
arrays as seven numbers each.
"""

import inspect
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any

from llvmlite.binding import add_symbol
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .cache import KernelCache
from .jit import compiled, kernel, signature

SEPARATE: list[Any] = []  # the kernels behind the functions that were made here


def separate(function: Callable[..., None]) -> Callable[..., None]:
    """Let a function be compiled by itself; what is returned can be called in kernels alone.

    Parameters
    ----------
    function : callable
        It returns nothing. Its annotations have pointers in place of arrays, see `jit.Pointer`. A
        call may give a tuple fewer items: those that lack count as zeros and null pointers.
    """
    dispatcher: Any = kernel(function)
    SEPARATE.append(dispatcher)
    symbols = {}
    for dtype in ("float32", "float64"):
        symbols[dtype] = f"{function.__module__}.{function.__name__}.{dtype}"
        KernelCache.linked[symbols[dtype]] = partial(_link, dispatcher, dtype, symbols[dtype])

    def call(context, *given):
        dtype = str(_dtype(given))
        wanted = signature(dispatcher, dtype)

        def generate(context, builder, signature, args):
            KernelCache.linked[symbols[dtype]]()
            kind = context.call_conv.get_function_type(types.none, wanted)
            address = cgutils.get_or_insert_function(builder.module, kind, symbols[dtype])
            pairs = zip(signature.args, wanted, args, strict=True)
            values = [_converted(context, builder, *each) for each in pairs]
            context.call_conv.call_function(builder, address, types.none, wanted, values)
            return context.get_dummy_value()

        return types.void(*given), generate

    call.__name__ = call.__qualname__ = function.__name__
    # Numba takes the names and the number of arguments from it.
    names = ["context", *inspect.signature(function).parameters]
    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in names]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return intrinsic(call)


@cache
def _link(dispatcher: Any, dtype: str, symbol: str) -> None:
    """Compile or load a function for a dtype, and tell the linker where it is."""
    add_symbol(symbol, address(dispatcher, dtype))


def _dtype(kinds: Iterable[Any]) -> Any:
    """Return the dtype of the first array or pointer among types, or in a tuple among them."""
    for kind in kinds:
        if isinstance(kind, types.Array | types.CPointer):
            return kind.dtype
        if isinstance(kind, types.BaseTuple):
            return _dtype(kind)
    raise TypeError("A separate function has an array among its arguments.")


def _converted(context: Any, builder: Any, given: Any, wanted: Any, value: Any) -> Any:
    """Return an argument as the function wants it: an array as a pointer, a tuple at its length."""
    if isinstance(given, types.Array):
        return context.make_array(given)(context, builder, value).data
    if not isinstance(wanted, types.BaseTuple):
        return context.cast(builder, value, given, wanted)
    items = zip(given, wanted, cgutils.unpack_tuple(builder, value), strict=False)
    values = [_converted(context, builder, *item) for item in items]
    values += [context.get_constant_null(kind) for kind in tuple(wanted)[len(values) :]]
    return context.make_tuple(builder, wanted, values)


def address(dispatcher: Any, dtype: str) -> int:
    """Return where the machine code of a kernel for a dtype is, compiled or loaded if need be.

    Parameters
    ----------
    dispatcher : dispatcher
        The kernel, which must not be deleted as long as it is called there.
    dtype : {"float32", "float64"}
        Of the network.
    """
    made = compiled(dispatcher, dtype)
    place: int = made.library.get_pointer_to_function(made.fndesc.llvm_func_name)
    return place


@intrinsic
def call_at(context, address, first, second):
    """Call a kernel of two arrays at its address; return the integer that it returns."""

    def generate(context, builder, signature, args):
        kinds = signature.args[1:]
        call_conv = context.call_conv
        kind = call_conv.get_function_type(types.intp, kinds).as_pointer()
        function = builder.inttoptr(args[0], kind)
        # Kernels raise nothing: no status is looked at.
        return call_conv.call_function(builder, function, types.intp, kinds, args[1:])[1]

    return types.intp(address, first, second), generate
