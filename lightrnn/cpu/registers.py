"""Load registers from arrays and store them.

A matrix within an array is a view ``(array, offset, stride)``: the index of its first element and
the distance between its rows, both in elements. With stride 0 every row is the first. Arrays have
unit stride along a row. Nothing checks an address.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .jit import named, overload
from .simd import INT32, INTP, Vector, splat, vector_of

_unpacked = cgutils.unpack_tuple


def lanes(array: Any) -> int:
    """Return the number of the array's elements in a register; compiled code alone can call it."""
    raise NotImplementedError


@overload(lanes)
def _lanes(array):
    count = vector_of(array.dtype).lanes
    return lambda array: count


# -- emitting LLVM --------------------------------------------------------------------------------


def _stride(context, builder, array_type, array):
    """Return the distance between rows, in elements."""
    struct = context.make_array(array_type)(context, builder, array)
    if array_type.layout == "C":  # then the shape gives it without a division
        return _unpacked(builder, struct.shape)[-1]
    itemsize = INTP(array_type.dtype.bitwidth // 8)
    return builder.sdiv(_unpacked(builder, struct.strides)[0], itemsize)


def element(context, builder, array_type, array, index):
    """Return the pointer to an element, counted from the first, or from a pointer."""
    if isinstance(array_type, types.CPointer):
        return builder.gep(array, [index])
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


def _address(context, builder, array_type, array, row, column):
    """Return the pointer to an element of a 2-D array."""
    stride = _stride(context, builder, array_type, array)
    index = builder.add(builder.mul(row, stride), column)
    return element(context, builder, array_type, array, index)


def _spaced(builder, start, step, count):
    """Return `count` pointers, `step` elements apart."""
    return [builder.gep(start, [builder.mul(step, INTP(i))]) for i in range(count)]


def _alignment(vector: ir.VectorType) -> int:
    """Return the bytes of a lane: a register may begin at any element."""
    return 4 if isinstance(vector.element, ir.FloatType) else 8


def read(builder, pointer, vector):
    """Load a vector that may begin at any element."""
    return builder.load(builder.bitcast(pointer, vector.as_pointer()), align=_alignment(vector))


def write(builder, pointer, value):
    """Store a vector that may begin at any element."""
    there = builder.bitcast(pointer, value.type.as_pointer())
    builder.store(value, there, align=_alignment(value.type))


def fetch(builder, pointer, level=2):
    """Prefetch a line to a cache of this level; an address outside of any array is no error."""
    line = builder.bitcast(pointer, ir.IntType(8).as_pointer())
    kind = ir.FunctionType(ir.VoidType(), [line.type, INT32, INT32, INT32])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    builder.call(function, [line, INT32(0), INT32(4 - level), INT32(1)])  # read, locality, data


@intrinsic
def at(context, array, row, column):
    """Return the view of a 2-D array that begins at (row, column)."""
    out = types.Tuple([array, types.intp, types.intp])

    def generate(context, builder, signature, args):
        array, row, column = args
        stride = _stride(context, builder, signature.args[0], array)
        offset = builder.add(builder.mul(row, stride), column)
        context.nrt.incref(builder, signature.args[0], array)  # the tuple owns the array, too
        return context.make_tuple(builder, out, [array, offset, stride])

    return out(array, types.intp, types.intp), generate


# -- one register ---------------------------------------------------------------------------------


@intrinsic
def load(context, array, row, column):
    """Return the register at (row, column) of a 2-D array."""
    vector = vector_of(array.dtype)

    def generate(context, builder, signature, args):
        pointer = _address(context, builder, signature.args[0], *args)
        return read(builder, pointer, context.get_value_type(vector))

    return vector(array, types.intp, types.intp), generate


@intrinsic
def store(context, array, row, column, value):
    """Write a register to (row, column) of a 2-D array."""

    def generate(context, builder, signature, args):
        *place, value = args
        write(builder, _address(context, builder, signature.args[0], *place), value)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, value), generate


@intrinsic
def load_flat(context, array, index):
    """Return the register at an index of a 1-D array."""
    vector = vector_of(array.dtype)

    def generate(context, builder, signature, args):
        pointer = element(context, builder, signature.args[0], *args)
        return read(builder, pointer, context.get_value_type(vector))

    return vector(array, types.intp), generate


@intrinsic
def store_flat(context, array, index, value):
    """Write a register to an index of a 1-D array."""

    def generate(context, builder, signature, args):
        *place, value = args
        write(builder, element(context, builder, signature.args[0], *place), value)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


# -- tuples of registers --------------------------------------------------------------------------


@intrinsic(prefer_literal=True)
def loads(context, array, row, column, step, count):
    """Return a tuple of `count` registers, `step` columns apart."""
    out = types.UniTuple(vector_of(array.dtype), count.literal_value)

    def generate(context, builder, signature, args):
        *place, step, _ = args
        start = _address(context, builder, signature.args[0], *place)
        kind = context.get_value_type(out.dtype)
        pointers = _spaced(builder, start, step, out.count)
        values = [read(builder, pointer, kind) for pointer in pointers]
        return context.make_tuple(builder, out, values)

    return out(array, types.intp, types.intp, types.intp, count), generate


@intrinsic(prefer_literal=True)
def fetches(context, array, row, column, step, count):
    """Prefetch `count` registers, `step` columns apart, to the second-level cache."""

    def generate(context, builder, signature, args):
        *place, step, _ = args
        start = _address(context, builder, signature.args[0], *place)
        for pointer in _spaced(builder, start, step, count.literal_value):
            fetch(builder, pointer)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, types.intp, count), generate


@intrinsic
def stores(context, array, row, column, step, values):
    """Write a tuple of registers, `step` columns apart; None in the tuple writes zeros."""
    vector = vector_of(array.dtype)

    def generate(context, builder, signature, args):
        *place, step, values = args
        start = _address(context, builder, signature.args[0], *place)
        zero = ir.Constant(context.get_value_type(vector), None)
        kinds = signature.args[4]
        for i, pointer in enumerate(_spaced(builder, start, step, len(kinds))):
            present = isinstance(kinds[i], Vector)
            write(builder, pointer, builder.extract_value(values, i) if present else zero)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, types.intp, values), generate


@intrinsic
def loads_flat(context, arrays, index):
    """Return the register at an index of each of a tuple of 1-D arrays."""
    vector = vector_of(arrays.dtype.dtype)
    out = types.UniTuple(vector, arrays.count)

    def generate(context, builder, signature, args):
        each, index = args
        kind = context.get_value_type(vector)
        values = [
            read(builder, element(context, builder, arrays.dtype, array, index), kind)
            for array in _unpacked(builder, each)
        ]
        return context.make_tuple(builder, out, values)

    return out(arrays, types.intp), generate


@intrinsic
def stores_flat(context, arrays, index, values):
    """Write a register to an index of each of a tuple of 1-D arrays."""

    def generate(context, builder, signature, args):
        each, index, values = args
        for i, array in enumerate(_unpacked(builder, each)):
            pointer = element(context, builder, arrays.dtype, array, index)
            write(builder, pointer, builder.extract_value(values, i))
        return context.get_dummy_value()

    return types.void(arrays, types.intp, values), generate


@intrinsic
def splats(context, array, constants):
    """Return for each of a tuple of numbers a register of the array's dtype, filled with it."""
    vector = vector_of(array.dtype)
    out = types.UniTuple(vector, len(constants))

    def generate(context, builder, signature, args):
        lane = context.get_value_type(vector)
        values = [
            splat(builder, context.cast(builder, number, kind, array.dtype), lane)
            for number, kind in zip(_unpacked(builder, args[1]), signature.args[1], strict=True)
        ]
        return context.make_tuple(builder, out, values)

    return out(array, constants), generate


# -- across lanes ---------------------------------------------------------------------------------


def _greater(builder, x, y):
    """Return the greater of two values, lane by lane; a NaN in x loses."""
    return builder.select(builder.fcmp_ordered(">", x, y), x, y)


@intrinsic
def maximum(context, x, y):
    """Return the greater of two registers, lane by lane; a NaN in x loses."""
    return x(x, y), lambda context, builder, signature, args: _greater(builder, *args)


def _across(name: str, combine: Callable[..., Any]) -> Callable[..., Any]:
    """Build an intrinsic that combines all lanes of a register, half with half."""

    def reduce(context, x):
        def generate(context, builder, signature, args):
            (value,) = args
            lanes = x.lanes
            while lanes > 1:
                lanes //= 2
                kind = ir.VectorType(INT32, lanes)
                low = ir.Constant(kind, list(range(lanes)))
                high = ir.Constant(kind, list(range(lanes, 2 * lanes)))
                halves = (builder.shuffle_vector(value, value, half) for half in (low, high))
                value = combine(builder, *halves)
            return builder.extract_element(value, INT32(0))

        return x.dtype(x), generate

    return intrinsic(named(name)(reduce))


@intrinsic
def added_lanes(context, start, x):
    """Return a float64 plus the lanes of a register, one after another."""

    def generate(context, builder, signature, args):
        result, value = args
        for i in range(x.lanes):
            lane = builder.extract_element(value, INT32(i))
            result = builder.fadd(result, context.cast(builder, lane, x.dtype, types.float64))
        return result

    return types.float64(types.float64, x), generate


highest = _across("highest", _greater)
total = _across("total", lambda builder, x, y: builder.fadd(x, y))


# -- transposition --------------------------------------------------------------------------------


def _interleave(builder, x, y, block, lanes):
    """Swap the off-diagonal blocks of a pair of rows: one round of a transposition."""
    low = [i if not i & block else i - block + lanes for i in range(lanes)]
    high = [i + block if not i & block else i + lanes for i in range(lanes)]
    kind = ir.VectorType(INT32, lanes)
    return [builder.shuffle_vector(x, y, ir.Constant(kind, order)) for order in (low, high)]


def _transpose(builder, square, lanes):
    """Transpose a list of `lanes` registers in place, in log2(lanes) rounds."""
    block = 1
    while block < lanes:
        for r in range(lanes):
            if not r & block:
                pair = square[r], square[r + block]
                square[r], square[r + block] = _interleave(builder, *pair, block, lanes)
        block *= 2


@intrinsic
def store_transposed(
    context,
    panel,  # 1-D array, OUT
    index,  # where its first row begins, IN
    step,  # distance between its rows, IN
    view,  # a square M of lanes x lanes, IN
    rows,  # rows of M that exist, IN: the others count as zeros
):
    """``panel[index + c * step + r] = M[r, c]`` for one square of lanes."""
    vector = vector_of(panel.dtype)

    def generate(context, builder, signature, args):
        panel, index, step, view, rows = args
        kind = context.get_value_type(vector)
        zero = ir.Constant(kind, None)
        array, offset, stride = _unpacked(builder, view)
        start = element(context, builder, signature.args[3][0], array, offset)
        square = []
        for r in range(vector.lanes):
            inside = builder.icmp_signed("<", INTP(r), rows)
            # A row that does not exist is read from the first, whose address is sure to be valid.
            number = builder.select(inside, INTP(r), INTP(0))
            row = read(builder, builder.gep(start, [builder.mul(stride, number)]), kind)
            square.append(builder.select(inside, row, zero))
        _transpose(builder, square, vector.lanes)
        first = element(context, builder, signature.args[0], panel, index)
        for value, pointer in zip(square, _spaced(builder, first, step, vector.lanes), strict=True):
            write(builder, pointer, value)
        return context.get_dummy_value()

    intp = types.intp
    return types.void(panel, intp, intp, view, intp), generate
