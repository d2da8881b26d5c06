"""Flush denormals to zero while a kernel runs: with vanishing gradients they slow Intel's chips some twentyfold.

The control word belongs to a thread; each kernel sets it and puts it back, so nobody's arithmetic outside changes.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from . import host

_WORD = ir.IntType(32)
_FLUSH = _WORD(0x8040)  # MXCSR: flush results to zero, take denormal operands for zero


def _mxcsr(builder, name, place):
    """Call ``stmxcsr`` or ``ldmxcsr``."""
    signature = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()])
    function = cgutils.get_or_insert_function(builder.module, signature, f"llvm.x86.sse.{name}")
    builder.call(function, [builder.bitcast(place, ir.IntType(8).as_pointer())])


@intrinsic
def flush_denormals(context):
    """Set the mode; returns the control word from before, 0 where there is none to set."""

    def generate(context, builder, signature, args):
        if not host.HAS_MXCSR:
            return _WORD(0)
        place = cgutils.alloca_once(builder, _WORD)
        _mxcsr(builder, "stmxcsr", place)
        before = builder.load(place)
        builder.store(builder.or_(before, _FLUSH), place)
        _mxcsr(builder, "ldmxcsr", place)
        return before

    return types.uint32(), generate


@intrinsic
def restore_denormals(context, before):
    """Put the control word back."""

    def generate(context, builder, signature, args):
        if host.HAS_MXCSR:
            place = cgutils.alloca_once_value(builder, args[0])
            _mxcsr(builder, "ldmxcsr", place)
        return context.get_dummy_value()

    return types.void(before), generate
