"""What a thread computes with: numbers, and tuples of numbers, which are registers once a kernel is compiled.

Plain Python throughout, so that the simulator runs what the GPU does.
"""

import math
from typing import Any

import numpy as np
from numba import float32, float64
from numba.extending import overload, register_jitable

from .. import elementwise, losses
from ..cpu import simd  # noqa: F401 - its import compiles the rules of cells, updates and elementwise
from ..elementwise import fma
from .intrinsics import load4, store4

MOMENTS = {
    "sgd": (1, 3),
    "rmsprop": (1, 5),
    "adam": (2, 8),
}  # moments and constants of the solvers' rules
NUMBA = {"float32": float32, "float64": float64}


@overload(elementwise.log1p)
def _log1p(x):
    return lambda x: math.log1p(x)


@overload(elementwise.log)
def _log(x):
    return lambda x: math.log(x)


for _rule in losses.COSTS.values():
    register_jitable(_rule)


@register_jitable
def short(x):
    """Return a number of 32 bits: half the registers, and a faster division."""
    return np.int32(x)


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


TAKE = {
    1: _take1,
    2: _take2,
    3: _take3,
    4: _take4,
    5: _take5,
    8: _take8,
}  # n elements, so far apart


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


PUT = {1: _put1, 2: _put2, 4: _put4}


@register_jitable
def _add1(sums, a, b):
    return (fma(a, b[0], sums[0]),)


@register_jitable
def _add2(sums, a, b):
    return fma(a, b[0], sums[0]), fma(a, b[1], sums[1])


@register_jitable
def _add4(sums, a, b):
    return (
        fma(a, b[0], sums[0]),
        fma(a, b[1], sums[1]),
        fma(a, b[2], sums[2]),
        fma(a, b[3], sums[3]),
    )


ADD = {1: _add1, 2: _add2, 4: _add4}  # sums + a * b, for one a and n b


@register_jitable
def _plus1(a, b):
    return (a[0] + b[0],)


@register_jitable
def _plus3(a, b):
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


@register_jitable
def _plus4(a, b):
    return a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]


PLUS = {1: _plus1, 3: _plus3, 4: _plus4}  # the sum of two tuples of n


@register_jitable
def outer4(sums, a, b):
    """Add the outer product of two tuples of four to four tuples of four."""
    return (
        _add4(sums[0], a[0], b),
        _add4(sums[1], a[1], b),
        _add4(sums[2], a[2], b),
        _add4(sums[3], a[3], b),
    )


@register_jitable
def _rows1(array, i):
    return (array[i],)


@register_jitable
def _rows2(array, i):
    return array[i], array[i + 1]


@register_jitable
def _rows4(array, i):
    return load4(array, i)


ROWS = {1: _rows1, 2: _rows2, 4: _rows4}  # n elements side by side, the first at a multiple of n


@register_jitable
def _store1(array, i, values):
    array[i] = values[0]


@register_jitable
def _store2(array, i, values):
    array[i] = values[0]
    array[i + 1] = values[1]


STORE = {1: _store1, 2: _store2, 4: store4}  # the reverse


def zeros(dtype: Any, count: int) -> tuple[Any, ...]:
    """Return so many zeros of a dtype, to be a constant of a kernel."""
    return (np.dtype(dtype).type(0),) * count
