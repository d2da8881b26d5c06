"""Instructions of the GPU that Numba lacks."""

from llvmlite import ir
from numba import cuda, types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable


@intrinsic
def pointer(context, array):
    """Return where an array begins."""

    def generate(context, builder, signature, args):
        return context.make_array(signature.args[0])(context, builder, args[0]).data

    return types.CPointer(array.dtype)(array), generate


@intrinsic
def load4(context, array, index):
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
def store4(context, array, index, values):
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


def _address(builder, args):
    """Return the address of an element, of which the array and the index are given."""
    return builder.ptrtoint(builder.gep(args[0], [args[1]]), ir.IntType(64))


def _assembly(builder, result, text, constraints, args):
    """Generate an instruction that the compiler neither drops nor moves."""
    function = ir.FunctionType(result, [arg.type for arg in args])
    return builder.asm(function, text, constraints, args, True)


@intrinsic
def load_uncached(context, array, index):
    """Load past the first cache, which does not see what other blocks have written."""

    def generate(context, builder, signature, args):
        kind = args[0].type.pointee
        letter, bits = ("f", 32) if isinstance(kind, ir.FloatType) else ("d", 64)
        text = f"ld.global.cg.f{bits} $0, [$1];"
        return _assembly(builder, kind, text, f"={letter},l,~{{memory}}", [_address(builder, args)])

    return array.dtype(array, types.int64), generate


@intrinsic
def acquire(context, array, index):
    """Load a counter; what other blocks wrote before they raised it is then seen."""

    def generate(context, builder, signature, args):
        text = "ld.acquire.gpu.global.u64 $0, [$1];"
        address = _address(builder, args)
        return _assembly(builder, ir.IntType(64), text, "=l,l,~{memory}", [address])

    return types.int64(array, types.int64), generate


@intrinsic
def add(context, array, index, number):
    """Add to a counter that other blocks look at."""

    def generate(context, builder, signature, args):
        text = "red.relaxed.gpu.global.add.u64 [$0], $1;"
        operands = [_address(builder, args), args[2]]
        _assembly(builder, ir.VoidType(), text, "l,l,~{memory}", operands)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), generate


@intrinsic
def fence(context):
    """Keep reads and writes before it from moving behind it, and the reverse."""

    def generate(context, builder, signature, args):
        _assembly(builder, ir.VoidType(), "fence.acq_rel.gpu;", "~{memory}", [])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def opaque(context, x):
    """Return a number of which the compiler knows nothing any more."""

    def generate(context, builder, signature, args):
        bits, letter = (64, "l") if args[0].type.width == 64 else (32, "r")
        text = f"mov.b{bits} $0, $1;"
        return _assembly(builder, args[0].type, text, f"={letter},{letter}", args)

    return x(x), generate


def shared_memory(dtype):
    """Build the function that returns a block's dynamic shared memory, as numbers of a dtype.

    It is aligned to 16 bytes, the widest load; the launch says how many bytes there are.
    """
    number = getattr(types, dtype)

    @register_jitable
    def memory():
        return pointer(cuda.shared.array(0, number, 16))

    return memory
