"""Tuples of numbers, which are registers of a thread once a kernel is compiled.

Numba unrolls no loop over a tuple. `tuple_of` builds a function of its own for each length instead,
so that a cell may have any number of gates and states.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba.extending import overload, register_jitable

from .. import elementwise, losses
from ..cpu import simd  # noqa: F401 - it compiles the rules of cells and updates
from ..elementwise import fma
from .intrinsics import load4, store4


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


def zeros(dtype: Any, count: int) -> tuple[Any, ...]:
    """Return `count` zeros of a dtype, to be a constant of a kernel."""
    return (np.dtype(dtype).type(0),) * count


# -- functions of any length -----------------------------------------------------------------------


@cache
def tuple_of(element: Callable[[int], Callable[..., Any]], count: int) -> Callable[..., Any]:
    """Build the function that returns a tuple of `count` elements; ``element(k)`` builds the k-th.

    All elements are functions of the same arguments. The functions of shorter tuples are shared,
    since Numba compiles each anew.
    """
    last = element(count - 1)
    if count == 1:

        @register_jitable
        def build(*arguments):
            return (last(*arguments),)

    else:
        before = tuple_of(element, count - 1)

        @register_jitable
        def build(*arguments):
            return before(*arguments) + (last(*arguments),)  # noqa: RUF005 - for Numba

    return build


@cache
def each(action: Callable[[int], Callable[..., Any]], count: int) -> Callable[..., Any]:
    """Build the function that does `count` things in turn; ``action(k)`` builds the k-th."""
    last = action(count - 1)
    if count == 1:
        return last
    before = each(action, count - 1)

    @register_jitable
    def run(*arguments):
        before(*arguments)
        last(*arguments)

    return run


def take(count: int) -> Callable[..., Any]:
    """Build the function that loads `count` elements, `stride` apart, the first at `i`."""
    return tuple_of(_taken, count)


def _taken(k):
    @register_jitable
    def load(array, i, stride):
        return array[i + k * stride]

    return load


def take_some(count: int) -> Callable[..., Any]:
    """Build the function that loads `count` elements, zero beyond the `left` that exist."""
    return tuple_of(_taken_if_left, count)


def _taken_if_left(k):
    @register_jitable
    def load(array, i, stride, left, zero):
        return array[i + k * stride] if left > k else zero

    return load


def put(count: int) -> Callable[..., Any]:
    """Build the function that stores `count` elements, `stride` apart, the first at `i`."""
    return each(_stored, count)


def _stored(k):
    @register_jitable
    def store(array, i, stride, values):
        array[i + k * stride] = values[k]

    return store


def plus(count: int) -> Callable[..., Any]:
    """Build the function that adds two tuples of `count` elements."""
    return tuple_of(_added, count)


def _added(k):
    @register_jitable
    def add(a, b):
        return a[k] + b[k]

    return add


def scaled_sum(count: int) -> Callable[..., Any]:
    """Build the function that adds ``a * b`` to sums, for one `a` and `count` b."""
    return tuple_of(_scaled, count)


def _scaled(k):
    @register_jitable
    def add(sums, a, b):
        return fma(a, b[k], sums[k])

    return add


@cache
def outer_sum(rows: int, columns: int) -> Callable[..., Any]:
    """Build the function that adds the outer product of two tuples to a tuple of rows."""
    add = scaled_sum(columns)

    def element(k):
        @register_jitable
        def row(sums, a, b):
            return add(sums[k], a[k], b)

        return row

    return tuple_of(element, rows)


# -- neighbours in memory --------------------------------------------------------------------------


@register_jitable
def _load1(array, i):
    return (array[i],)


@register_jitable
def _load2(array, i):
    return array[i], array[i + 1]


@register_jitable
def _store1(array, i, values):
    array[i] = values[0]


@register_jitable
def _store2(array, i, values):
    array[i] = values[0]
    array[i + 1] = values[1]


# By the number of neighbours; the first must lie at a multiple of it.
LOAD = {1: _load1, 2: _load2, 4: load4}
STORE = {1: _store1, 2: _store2, 4: store4}
