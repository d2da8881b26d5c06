"""Registers to and from arrays.

Arrays have unit stride along a row; an address is (row, column) and nothing checks it. A matrix within an array is a
place, ``(array, offset, width)``: its first element, counted from the array's, and the distance between its rows. With
width 0 all rows are the first.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from .jit import named
from .simd import INT32, INTP, Vector, splat, vector_of


def lanes(array: Any) -> int:
    """Return the number of the array's elements in a register; only compiled code can tell."""
    raise NotImplementedError


@overload(lanes)
def _lanes(array):
    count = vector_of(array.dtype).lanes
    return lambda array: count


# -- emitting LLVM ----------------------------------------------------------------------------------------------------


def _width(context, builder, array_type, array):
    """Distance between rows, in elements: the shape tells it for a C-ordered array, the strides for any other."""
    struct = context.make_array(array_type)(context, builder, array)
    if array_type.layout == "C":
        return cgutils.unpack_tuple(builder, struct.shape)[-1]
    return builder.sdiv(
        cgutils.unpack_tuple(builder, struct.strides)[0], INTP(array_type.dtype.bitwidth // 8)
    )


def element(context, builder, array_type, array, index):
    """Pointer to an element, counted from the first."""
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


def _address(context, builder, array_type, array, row, column):
    """Pointer to an element of a 2-D array."""
    width = _width(context, builder, array_type, array)
    return element(
        context, builder, array_type, array, builder.add(builder.mul(row, width), column)
    )


def _alignment(vector: ir.VectorType) -> int:
    return 4 if isinstance(vector.element, ir.FloatType) else 8


def read(builder, pointer, vector):
    """Load a vector that may stand at any element."""
    return builder.load(builder.bitcast(pointer, vector.as_pointer()), align=_alignment(vector))


def write(builder, pointer, value):
    """Store a vector at any element."""
    builder.store(
        value, builder.bitcast(pointer, value.type.as_pointer()), align=_alignment(value.type)
    )


@intrinsic
def at(context, array, row, column):
    """Return the place of a 2-D array's part that begins at (row, column)."""
    out = types.Tuple([array, types.intp, types.intp])

    def generate(context, builder, signature, args):
        width = _width(context, builder, signature.args[0], args[0])
        place = [args[0], builder.add(builder.mul(args[1], width), args[2]), width]
        context.nrt.incref(builder, signature.args[0], args[0])
        return context.make_tuple(builder, out, place)

    return out(array, types.intp, types.intp), generate


# -- registers --------------------------------------------------------------------------------------------------------


@intrinsic
def load(context, array, row, column):
    """Read one register."""
    vector = vector_of(array.dtype)

    def generate(context, builder, signature, args):
        pointer = _address(context, builder, signature.args[0], *args)
        return read(builder, pointer, context.get_value_type(vector))

    return vector(array, types.intp, types.intp), generate


@intrinsic
def store(context, array, row, column, value):
    """Write one register."""

    def generate(context, builder, signature, args):
        write(builder, _address(context, builder, signature.args[0], *args[:3]), args[3])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, value), generate


@intrinsic(prefer_literal=True)
def loads(context, array, row, column, step, count):
    """Read a tuple of `count` registers, `step` columns apart."""
    out = types.UniTuple(vector_of(array.dtype), count.literal_value)

    def generate(context, builder, signature, args):
        start = _address(context, builder, signature.args[0], *args[:3])
        vector = context.get_value_type(out.dtype)
        places = [builder.gep(start, [builder.mul(args[3], INTP(i))]) for i in range(out.count)]
        return context.make_tuple(builder, out, [read(builder, place, vector) for place in places])

    return out(array, types.intp, types.intp, types.intp, count), generate


@intrinsic
def stores(context, array, row, column, step, values):
    """Write a tuple of registers, `step` columns apart; None in the tuple writes zeros."""
    vector = vector_of(array.dtype)

    def generate(context, builder, signature, args):
        start = _address(context, builder, signature.args[0], *args[:3])
        zero = ir.Constant(context.get_value_type(vector), None)
        for i, kind in enumerate(signature.args[4]):
            value = builder.extract_value(args[4], i) if isinstance(kind, Vector) else zero
            write(builder, builder.gep(start, [builder.mul(args[3], INTP(i))]), value)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, types.intp, values), generate


@intrinsic
def load_flat(context, array, index):
    """Read one register from a 1-D array."""
    vector = vector_of(array.dtype)

    def generate(context, builder, signature, args):
        return read(
            builder,
            element(context, builder, signature.args[0], *args),
            context.get_value_type(vector),
        )

    return vector(array, types.intp), generate


@intrinsic
def store_flat(context, array, index, value):
    """Write one register to a 1-D array."""

    def generate(context, builder, signature, args):
        write(builder, element(context, builder, signature.args[0], *args[:2]), args[2])
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@intrinsic
def maximum(context, x, y):
    """Return the greater of two registers, lane by lane; a NaN loses."""

    def generate(context, builder, signature, args):
        return builder.select(builder.fcmp_ordered(">", args[0], args[1]), args[0], args[1])

    return x(x, y), generate


def _across(name: str, combine: Callable[..., Any]) -> Callable[..., Any]:
    """Build an intrinsic that combines all lanes of a register, half with half."""

    def reduce(context, x):
        def generate(context, builder, signature, args):
            value, lanes = args[0], x.lanes
            while lanes > 1:
                lanes //= 2
                kind = ir.VectorType(INT32, lanes)
                low, high = (
                    ir.Constant(kind, list(range(start, start + lanes))) for start in (0, lanes)
                )
                value = combine(
                    builder, *(builder.shuffle_vector(value, value, half) for half in (low, high))
                )
            return builder.extract_element(value, INT32(0))

        return x.dtype(x), generate

    return intrinsic(named(name)(reduce))


highest = _across(
    "highest", lambda builder, x, y: builder.select(builder.fcmp_ordered(">", x, y), x, y)
)
total = _across("total", lambda builder, x, y: builder.fadd(x, y))

_unpacked = cgutils.unpack_tuple


@intrinsic
def loads_flat(context, arrays, index):
    """Read one register from each of a tuple of 1-D arrays."""
    vector = vector_of(arrays.dtype.dtype)
    out = types.UniTuple(vector, arrays.count)

    def generate(context, builder, signature, args):
        kind = context.get_value_type(vector)
        places = (
            element(context, builder, arrays.dtype, array, args[1])
            for array in _unpacked(builder, args[0])
        )
        return context.make_tuple(builder, out, [read(builder, place, kind) for place in places])

    return out(arrays, types.intp), generate


@intrinsic
def stores_flat(context, arrays, index, values):
    """Write what `loads_flat` reads."""

    def generate(context, builder, signature, args):
        arrays_, index, values = args
        for i, array in enumerate(_unpacked(builder, arrays_)):
            write(
                builder,
                element(context, builder, arrays.dtype, array, index),
                builder.extract_value(values, i),
            )
        return context.get_dummy_value()

    return types.void(arrays, types.intp, values), generate


@intrinsic
def splats(context, array, constants):
    """Give each of a tuple of numbers to all lanes of a register of the array's kind."""
    vector = vector_of(array.dtype)
    out = types.UniTuple(vector, len(constants))

    def generate(context, builder, signature, args):
        pairs = zip(_unpacked(builder, args[1]), signature.args[1], strict=True)
        numbers = (context.cast(builder, number, kind, array.dtype) for number, kind in pairs)
        kind = context.get_value_type(vector)
        return context.make_tuple(
            builder, out, [splat(builder, number, kind) for number in numbers]
        )

    return out(array, constants), generate


def _interleave(builder, x, y, block, lanes):
    """Swap the off-diagonal blocks of a pair of rows: one round of a transposition."""
    low = [i if not i & block else i - block + lanes for i in range(lanes)]
    high = [i + block if not i & block else i + lanes for i in range(lanes)]
    kind = ir.VectorType(INT32, lanes)
    return [builder.shuffle_vector(x, y, ir.Constant(kind, order)) for order in (low, high)]


@intrinsic
def store_transposed(context, panel, index, step, place, rows):
    """``panel[index + c * step + r] = M[r, c]`` for one square of lanes, M being at a place; 0 for r >= rows."""
    vector = vector_of(panel.dtype)

    def generate(context, builder, signature, args):
        panel, index, step, place, rows = args
        kind, lanes = context.get_value_type(vector), vector.lanes
        array, offset, width = _unpacked(builder, place)
        start = element(context, builder, signature.args[3][0], array, offset)
        square = []
        for r in range(lanes):
            inside = builder.icmp_signed("<", INTP(r), rows)
            row = builder.gep(start, [builder.mul(width, builder.select(inside, INTP(r), INTP(0)))])
            square.append(builder.select(inside, read(builder, row, kind), ir.Constant(kind, None)))
        block = 1
        while block < lanes:
            for r in range(lanes):
                if not r & block:
                    square[r], square[r + block] = _interleave(
                        builder, square[r], square[r + block], block, lanes
                    )
            block *= 2
        first = element(context, builder, signature.args[0], panel, index)
        for c, value in enumerate(square):
            write(builder, builder.gep(first, [builder.mul(step, INTP(c))]), value)
        return context.get_dummy_value()

    intp = types.intp
    return types.void(panel, intp, intp, place, intp), generate
