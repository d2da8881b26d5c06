"""A SIMD register as a Numba value, `Vector(dtype, lanes)`, with the primitives of `elementwise`.

Arithmetic has no fast-math flags, so that a value's bits do not depend on the code around it; a
fused multiply-add happens where `fma` is called and nowhere else.
"""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from .. import cells, elementwise, updates
from . import host
from .jit import named, overload, register_jitable

INTP = ir.IntType(64)
INT32 = ir.IntType(32)


class Vector(types.Type):
    """Type of a register of `lanes` floats."""

    def __init__(self, dtype: types.Float, lanes: int) -> None:
        self.dtype = dtype
        self.lanes = lanes
        super().__init__(name=f"Vector({dtype}, {lanes})")


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    """Represent a register in LLVM by the vector itself."""

    def __init__(self, manager: Any, vector: Vector) -> None:
        element = manager.lookup(vector.dtype).get_value_type()
        super().__init__(manager, vector, ir.VectorType(element, vector.lanes))


def vector_of(dtype: types.Float) -> Vector:
    """Return the host's register of this dtype."""
    return Vector(dtype, host.REGISTER_BYTES * 8 // dtype.bitwidth)


# -- emitting LLVM --------------------------------------------------------------------------------


def splat(builder: ir.IRBuilder, scalar: ir.Value, vector: ir.VectorType) -> ir.Value:
    """Return the vector whose lanes all are `scalar`."""
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, scalar, INT32(0))
    zeros = ir.Constant(ir.VectorType(INT32, vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, undefined, zeros)


def call_intrinsic(
    builder: ir.IRBuilder, name: str, vector: ir.VectorType, args: Sequence[ir.Value]
) -> ir.Value:
    """Call ``llvm.<name>`` on vectors; the name is mangled here, since llvmlite refuses vectors."""
    bits = 32 if isinstance(vector.element, ir.FloatType) else 64
    signature = ir.FunctionType(vector, [vector] * len(args))
    mangled = f"llvm.{name}.v{vector.count}f{bits}"
    function = cgutils.get_or_insert_function(builder.module, signature, mangled)
    return builder.call(function, args)


def _llvm(name: str) -> Callable[..., Any]:
    """Return the code generator of an intrinsic that calls ``llvm.<name>`` on its arguments."""

    def generate(context, builder, signature, args):
        return call_intrinsic(builder, name, args[0].type, args)

    return generate


# -- arithmetic -----------------------------------------------------------------------------------


def _binary(operation: Callable[..., Any], method: str) -> None:
    """Give vectors a Python operator, which LLVM's builder calls `method`."""

    @intrinsic
    def apply(context, x, y):
        return x(x, y), lambda context, builder, signature, args: getattr(builder, method)(*args)

    @overload(operation)
    def _operator(x, y):
        if isinstance(x, Vector) and x == y:
            return named(method)(lambda x, y: apply(x, y))
        return None


for _operation, _method in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _binary(_operation, _method)


@intrinsic
def _negate(context, x):
    return x(x), lambda context, builder, signature, args: builder.fneg(args[0])


@overload(operator.neg)
def _neg(x):
    return (lambda x: _negate(x)) if isinstance(x, Vector) else None


# -- the primitives of elementwise ----------------------------------------------------------------


@intrinsic
def _splat_like(context, x, constant):
    def generate(context, builder, signature, args):
        return splat(builder, args[1], args[0].type)

    return x(x, x.dtype), generate


@register_jitable
def _cast(x, constant):
    return type(x)(constant)


@overload(elementwise.like)
def _like(x, constant):
    if isinstance(x, Vector):
        dtype = x.dtype
        return lambda x, constant: _splat_like(x, dtype(constant))
    return lambda x, constant: _cast(x, constant)


@intrinsic
def _vector_fma(context, x, y, z):
    return x(x, x, x), _llvm("fma")


@overload(elementwise.fma)
def _fma(x, y, z):
    if isinstance(x, Vector):
        return lambda x, y, z: _vector_fma(x, y, z)
    return lambda x, y, z: x * y + z


@intrinsic
def _vector_sqrt(context, x):
    return x(x), _llvm("sqrt")


@overload(elementwise.sqrt)
def _sqrt(x):
    return (lambda x: _vector_sqrt(x)) if isinstance(x, Vector) else (lambda x: math.sqrt(x))


@intrinsic
def _vector_clip(context, x, low, high):
    """Compare and select: a NaN compares false and so passes; LLVM's minnum and maxnum drop it."""

    def generate(context, builder, signature, args):
        x, low, high = args
        x = builder.select(builder.fcmp_ordered("<", x, low), low, x)
        return builder.select(builder.fcmp_ordered(">", x, high), high, x)

    return x(x, x, x), generate


@overload(elementwise.clip)
def _clip(x, low, high):
    if isinstance(x, Vector):
        return lambda x, low, high: _vector_clip(x, low, high)
    return lambda x, low, high: low if x < low else (high if x > high else x)


@intrinsic
def _vector_positive(context, condition, x):
    def generate(context, builder, signature, args):
        zero = ir.Constant(args[0].type, None)
        return builder.select(builder.fcmp_ordered("<=", args[0], zero), zero, args[1])

    return x(x, x), generate


@overload(elementwise.positive)
def _positive(condition, x):
    if isinstance(x, Vector):
        return lambda condition, x: _vector_positive(condition, x)
    return lambda condition, x: _cast(x, 0) if condition <= 0 else x


@intrinsic
def _times_power_of_two(context, x, shifted):
    """Return x * 2**k, where k is in the lowest bits of `shifted`.

    k is added to the exponent's bits, which must not overflow.
    """
    bits = getattr(shifted, "dtype", shifted).bitwidth
    mantissa = {32: 23, 64: 52}[bits]

    def generate(context, builder, signature, args):
        kind = args[0].type
        integer = ir.IntType(bits)
        distance = mantissa
        if isinstance(kind, ir.VectorType):
            integer = ir.VectorType(integer, kind.count)
            distance = [mantissa] * kind.count
        x, shifted = (builder.bitcast(arg, integer) for arg in args)
        exponent = builder.shl(shifted, ir.Constant(integer, distance))
        return builder.bitcast(builder.add(x, exponent), kind)

    return x(x, shifted), generate


# exp(r) - 1 = r + r^2 P(r) for |r| <= ln(2) / 2, P the polynomial of least relative error (Remez):
# 0.1 eps in either precision.
_SERIES = {
    32: (0.00138825260543, 0.0083665469774, 0.041667200585, 0.166665434249, 0.499999981497),
    64: (
        2.50538175809414127e-8,
        2.7626091959181908345e-7,
        2.7557407554261293141e-6,
        2.4801505144646596497e-5,
        1.9841269718852460517e-4,
        1.3888888931665922851e-3,
        8.3333333333896754738e-3,
        4.1666666666576468436e-2,
        1.6666666666666589031e-1,
        5.0000000000000052006e-1,
    ),
}
# Adding it rounds to a whole number k, which the sum has in its lowest bits.
_MAGIC = {32: 1.5 * 2**23, 64: 1.5 * 2**52}
# In two parts, of which k times the first is exact.
_LN2 = {
    32: (0.693145751953125, 1.428606765330187e-06),
    64: (6.93145751953125e-1, 1.42860682030941723212e-6),
}
# In one part, for small arguments: in float32 its rounding error, k * 1.9e-9, is 0.02 eps per unit
# of x.
_SHORT_LN2 = {32: (math.log(2),), 64: _LN2[64]}
_LOG2E = 1 / math.log(2)


def _reduced(x: Any, ln2: dict[int, tuple[float, ...]]) -> Callable[..., Any]:
    """Build the function that splits exp(x) into 2**k and exp(r), |r| <= ln(2) / 2, for a type.

    The function returns k, as `_times_power_of_two` takes it, and exp(r) - 1.
    """
    bits = getattr(x, "dtype", x).bitwidth
    leading = _SERIES[bits][0]
    series = _SERIES[bits][1:]
    magic = _MAGIC[bits]
    parts = ln2[bits]
    like = elementwise.like
    fma = elementwise.fma

    @register_jitable
    @named(f"reduced_{bits}_{len(parts)}")
    def reduced(x):
        shifted = fma(x, like(x, _LOG2E), like(x, magic))
        k = shifted - like(x, magic)
        r = x
        for part in parts:
            r = fma(k, like(x, -part), r)
        p = like(x, leading)
        for coefficient in series:
            p = fma(p, r, like(x, coefficient))
        return shifted, fma(r * r, p, r)

    return reduced


@overload(elementwise.exp)
def _exp(x):
    reduced = _reduced(x, _LN2)
    like = elementwise.like

    def exp(x):
        k, p = reduced(x)
        return _times_power_of_two(p + like(x, 1), k)

    return exp


@overload(elementwise.expm1)
def _expm1(x):
    reduced = _reduced(x, _SHORT_LN2)
    fma = elementwise.fma
    like = elementwise.like

    def expm1(x):
        k, p = reduced(x)
        scale = _times_power_of_two(like(x, 1), k)
        return fma(scale, p, scale - like(x, 1))

    return expm1


# The rest of elementwise, and the rules, are arithmetic on these: Numba compiles them as they are.
register_jitable(elementwise.tanh)
register_jitable(elementwise.relative_exp)
register_jitable(elementwise.sigmoid)
register_jitable(elementwise._bell)
register_jitable(elementwise.normal_density)
register_jitable(elementwise.normal_cdf)
for _cell in cells.CELLS.values():
    register_jitable(_cell.forward)
    register_jitable(_cell.backward)
for _update in updates.UPDATES.values():
    register_jitable(_update)
