"""Machine code for the GPU that Numba has no name for, each beside its meaning in Python, which the simulator runs."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .driver import SIMULATED


@intrinsic
def _pointer(context, array):
    """Return where an array begins."""

    def generate(context, builder, signature, args):
        return context.make_array(signature.args[0])(context, builder, args[0]).data

    return types.CPointer(array.dtype)(array), generate


@intrinsic
def _load4(context, array, index):
    """Load four elements at once; the first must lie at a multiple of 16 bytes."""
    result = types.UniTuple(array.dtype, 4)

    def generate(context, builder, signature, args):
        pointer = builder.gep(args[0], [args[1]])
        kind = pointer.type.pointee
        vector = builder.bitcast(pointer, ir.VectorType(kind, 4).as_pointer(pointer.type.addrspace))
        loaded = builder.load(vector)
        loaded.align = 16
        parts = [builder.extract_element(loaded, ir.Constant(ir.IntType(32), i)) for i in range(4)]
        return cgutils.pack_array(builder, parts)

    return result(array, types.int64), generate


@intrinsic
def _store4(context, array, index, values):
    """Store four elements at once; the first must lie at a multiple of 16 bytes."""

    def generate(context, builder, signature, args):
        pointer = builder.gep(args[0], [args[1]])
        kind = ir.VectorType(pointer.type.pointee, 4)
        vector = ir.Constant(kind, ir.Undefined)
        for i in range(4):
            place = ir.Constant(ir.IntType(32), i)
            vector = builder.insert_element(vector, builder.extract_value(args[2], i), place)
        stored = builder.store(
            vector, builder.bitcast(pointer, kind.as_pointer(pointer.type.addrspace))
        )
        stored.align = 16
        return context.get_dummy_value()

    return types.void(array, types.int64, values), generate


@intrinsic
def _load_far(context, array, index):
    """Load past the first cache, which does not see what other blocks have written."""

    def generate(context, builder, signature, args):
        pointer = builder.gep(args[0], [args[1]])
        kind = pointer.type.pointee
        letter, bits = ("f", 32) if isinstance(kind, ir.FloatType) else ("d", 64)
        address = builder.ptrtoint(pointer, ir.IntType(64))
        function = ir.FunctionType(kind, [address.type])
        return builder.asm(
            function, f"ld.global.cg.f{bits} $0, [$1];", f"={letter},l,~{{memory}}", [address], True
        )

    return array.dtype(array, types.int64), generate


@intrinsic
def _acquire(context, array, index):
    """Load a counter; what other blocks wrote before they raised it is then seen."""

    def generate(context, builder, signature, args):
        address = builder.ptrtoint(builder.gep(args[0], [args[1]]), ir.IntType(64))
        function = ir.FunctionType(ir.IntType(64), [address.type])
        return builder.asm(
            function, "ld.acquire.gpu.global.u64 $0, [$1];", "=l,l,~{memory}", [address], True
        )

    return types.int64(array, types.int64), generate


@intrinsic
def _add(context, array, index, number):
    """Add to a counter that other blocks look at."""

    def generate(context, builder, signature, args):
        address = builder.ptrtoint(builder.gep(args[0], [args[1]]), ir.IntType(64))
        function = ir.FunctionType(ir.VoidType(), [address.type, args[2].type])
        builder.asm(
            function,
            "red.relaxed.gpu.global.add.u64 [$0], $1;",
            "l,l,~{memory}",
            [address, args[2]],
            True,
        )
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), generate


@intrinsic
def _fence(context):
    """Let what was written before be seen by other blocks before what is written after; likewise reads."""

    def generate(context, builder, signature, args):
        builder.asm(ir.FunctionType(ir.VoidType(), []), "fence.acq_rel.gpu;", "~{memory}", [], True)
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def _again(context, x):
    """Return a number of which the compiler knows nothing any more."""

    def generate(context, builder, signature, args):
        kind = args[0].type
        text = "mov.b64 $0, $1;" if kind.width == 64 else "mov.b32 $0, $1;"
        letter = "l" if kind.width == 64 else "r"
        return builder.asm(ir.FunctionType(kind, [kind]), text, f"={letter},{letter}", args, True)

    return x(x), generate


def _pointer_meant(array):
    return array


def _load4_meant(array, i):
    return array[i], array[i + 1], array[i + 2], array[i + 3]


def _store4_meant(array, i, values):
    array[i], array[i + 1], array[i + 2], array[i + 3] = values


def _load_meant(array, index):
    return array[index]


def _add_meant(array, index, number):
    array[index] += number


def _fence_meant():
    pass


def _again_meant(x):
    return x


again = _again_meant if SIMULATED else _again
pointer = _pointer_meant if SIMULATED else _pointer
load4 = _load4_meant if SIMULATED else _load4
store4 = _store4_meant if SIMULATED else _store4
load_far = _load_meant if SIMULATED else _load_far
acquire = _load_meant if SIMULATED else _acquire
add = _add_meant if SIMULATED else _add
fence = _fence_meant if SIMULATED else _fence
