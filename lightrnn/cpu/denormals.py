"""Flush denormals to zero while a kernel runs: vanishing gradients slow Intel's chips twentyfold.

The control word belongs to a thread. Each kernel sets it and restores it before it returns, so that
arithmetic outside of kernels does not change.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from . import host

_WORD = ir.IntType(32)
_FLUSH = _WORD(0x8040)  # MXCSR: flush denormal results to zero, read denormal operands as zero


def _mxcsr(builder, name, pointer):
    """Call ``stmxcsr`` or ``ldmxcsr``."""
    kind = ir.IntType(8).as_pointer()
    signature = ir.FunctionType(ir.VoidType(), [kind])
    function = cgutils.get_or_insert_function(builder.module, signature, f"llvm.x86.sse.{name}")
    builder.call(function, [builder.bitcast(pointer, kind)])


@intrinsic
def flush_denormals(context):
    """Set the mode; return the control word from before, or 0 where there is none to set."""

    def generate(context, builder, signature, args):
        if not host.HAS_MXCSR:
            return _WORD(0)
        pointer = cgutils.alloca_once(builder, _WORD)
        _mxcsr(builder, "stmxcsr", pointer)
        before = builder.load(pointer)
        builder.store(builder.or_(before, _FLUSH), pointer)
        _mxcsr(builder, "ldmxcsr", pointer)  # from the thread's stack: threads share nothing
        return before

    return types.uint32(), generate


@intrinsic
def restore_denormals(context, before):
    """Restore the control word that `flush_denormals` returned."""

    def generate(context, builder, signature, args):
        if host.HAS_MXCSR:
            pointer = cgutils.alloca_once_value(builder, args[0])
            _mxcsr(builder, "ldmxcsr", pointer)
        return context.get_dummy_value()

    return types.void(before), generate
