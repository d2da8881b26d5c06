"""What a thread computes with: numbers, and tuples of numbers, which are registers once a kernel is compiled.

Plain Python throughout, so that the simulator runs what the GPU does; what has to be machine code for the GPU stands
beside its meaning in Python.
"""

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import float32, float64, types
from numba.core import cgutils
from numba.extending import intrinsic, overload, register_jitable

from .. import elementwise, losses
from ..cpu import simd  # noqa: F401 - its import compiles the rules of cells, updates and elementwise
from ..elementwise import fma
from .driver import SIMULATED

MOMENTS = {"sgd": (1, 3), "rmsprop": (1, 5), "adam": (2, 8)}  # moments and constants of the solvers' rules
NUMBA = {"float32": float32, "float64": float64}


@overload(elementwise.log1p)
def _log1p(x):
    return lambda x: math.log1p(x)


@overload(elementwise.log)
def _log(x):
    return lambda x: math.log(x)


for _rule in losses.COSTS.values():
    register_jitable(_rule)


# -- machine code, and what it means ----------------------------------------------------------------------------------


def _pointer(context, builder, array_type, array, index):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [index])


@intrinsic
def _load4(context, array, index):
    """Load four elements at once; the first must lie at a multiple of 16 bytes."""
    result = types.UniTuple(array.dtype, 4)

    def generate(context, builder, signature, args):
        pointer = _pointer(context, builder, signature.args[0], *args)
        kind = pointer.type.pointee
        vector = builder.bitcast(pointer, ir.VectorType(kind, 4).as_pointer(pointer.type.addrspace))
        loaded = builder.load(vector)
        loaded.align = 16
        parts = [builder.extract_element(loaded, ir.Constant(ir.IntType(32), i)) for i in range(4)]
        return cgutils.pack_array(builder, parts)

    return result(array, types.int64), generate


@intrinsic
def _load_far(context, array, index):
    """Load past the first cache, which does not see what other blocks have written."""

    def generate(context, builder, signature, args):
        pointer = _pointer(context, builder, signature.args[0], *args)
        kind = pointer.type.pointee
        letter, bits = ("f", 32) if isinstance(kind, ir.FloatType) else ("d", 64)
        address = builder.ptrtoint(pointer, ir.IntType(64))
        function = ir.FunctionType(kind, [address.type])
        return builder.asm(function, f"ld.global.cg.f{bits} $0, [$1];", f"={letter},l,~{{memory}}", [address], True)

    return array.dtype(array, types.int64), generate


@intrinsic
def _acquire(context, array, index):
    """Load a counter; what other blocks wrote before they raised it is then seen."""

    def generate(context, builder, signature, args):
        address = builder.ptrtoint(_pointer(context, builder, signature.args[0], *args), ir.IntType(64))
        function = ir.FunctionType(ir.IntType(64), [address.type])
        return builder.asm(function, "ld.acquire.gpu.global.u64 $0, [$1];", "=l,l,~{memory}", [address], True)

    return types.int64(array, types.int64), generate


@register_jitable
def _load4_machine(array, index):
    return _load4(array, index)


@register_jitable
def _load_far_machine(array, index):
    return _load_far(array, index)


@register_jitable
def _acquire_machine(array, index):
    return _acquire(array, index)


def _load4_meant(array, i):
    return array[i], array[i + 1], array[i + 2], array[i + 3]


def _load_meant(array, index):
    return array[index]


load4 = _load4_meant if SIMULATED else _load4_machine
load_far = _load_meant if SIMULATED else _load_far_machine
acquire = _load_meant if SIMULATED else _acquire_machine


# -- tuples -----------------------------------------------------------------------------------------------------------


@register_jitable
def or_zero(x, zero):
    """`x`, or `zero` where a rule says None."""
    return zero if x is None else x


@register_jitable
def _take1(array, i, stride):
    return (array[i],)


@register_jitable
def _take2(array, i, stride):
    return array[i], array[i + stride]


@register_jitable
def _take3(array, i, stride):
    return array[i], array[i + stride], array[i + 2 * stride]


@register_jitable
def _take4(array, i, stride):
    return array[i], array[i + stride], array[i + 2 * stride], array[i + 3 * stride]


@register_jitable
def _take5(array, i, stride):
    return _take4(array, i, stride) + (array[i + 4 * stride],)  # noqa: RUF005 - Numba knows no star in a tuple


@register_jitable
def _take8(array, i, stride):
    return _take4(array, i, stride) + _take4(array, i + 4 * stride, stride)


TAKE = {1: _take1, 2: _take2, 3: _take3, 4: _take4, 5: _take5, 8: _take8}  # n elements, so far apart


@register_jitable
def _put1(array, i, stride, values):
    array[i] = values[0]


@register_jitable
def _put2(array, i, stride, values):
    array[i] = values[0]
    array[i + stride] = values[1]


@register_jitable
def _put4(array, i, stride, values):
    array[i] = values[0]
    array[i + stride] = values[1]
    array[i + 2 * stride] = values[2]
    array[i + 3 * stride] = values[3]


@register_jitable
def _put8(array, i, stride, values):
    _put4(array, i, stride, values[:4])
    _put4(array, i + 4 * stride, stride, values[4:])


PUT = {1: _put1, 2: _put2, 4: _put4, 8: _put8}


@register_jitable
def _add1(sums, a, b):
    return (fma(a, b[0], sums[0]),)


@register_jitable
def _add2(sums, a, b):
    return fma(a, b[0], sums[0]), fma(a, b[1], sums[1])


@register_jitable
def _add4(sums, a, b):
    return fma(a, b[0], sums[0]), fma(a, b[1], sums[1]), fma(a, b[2], sums[2]), fma(a, b[3], sums[3])


@register_jitable
def _add8(sums, a, b):
    return _add4(sums[:4], a, b[:4]) + _add4(sums[4:], a, b[4:])


ADD = {1: _add1, 2: _add2, 4: _add4, 8: _add8}  # sums + a * b, for one a and n b


@register_jitable
def outer4(sums, a, b):
    """Add the outer product of two tuples of four to four tuples of four."""
    return _add4(sums[0], a[0], b), _add4(sums[1], a[1], b), _add4(sums[2], a[2], b), _add4(sums[3], a[3], b)


@register_jitable
def _rows1(array, i):
    return (array[i],)


@register_jitable
def _rows2(array, i):
    return array[i], array[i + 1]


@register_jitable
def _rows4(array, i):
    return load4(array, i)


@register_jitable
def _rows8(array, i):
    return load4(array, i) + load4(array, i + 4)


ROWS = {1: _rows1, 2: _rows2, 4: _rows4, 8: _rows8}  # n elements side by side, the first at a multiple of n


@register_jitable
def load8(array, i, stride, left, zero):
    """Load 8 elements, so far apart; only `left` are there, and zeros beyond."""
    return (
        array[i] if left > 0 else zero,
        array[i + stride] if left > 1 else zero,
        array[i + 2 * stride] if left > 2 else zero,
        array[i + 3 * stride] if left > 3 else zero,
        array[i + 4 * stride] if left > 4 else zero,
        array[i + 5 * stride] if left > 5 else zero,
        array[i + 6 * stride] if left > 6 else zero,
        array[i + 7 * stride] if left > 7 else zero,
    )


def zeros(dtype: Any, count: int) -> tuple[Any, ...]:
    """Return so many zeros of a dtype, to be a constant of a kernel."""
    return (np.dtype(dtype).type(0),) * count
