"""The matmul tile: accumulators that live in registers while a loop over k runs under them.

A matrix is a place in an array, ``(array, row, column)``. What its rows begin from is one with a fourth number, the
rows by which to go on for each row of C: C's own place with 1 adds to C, another array's with 0 lets every row begin
from the same one, such as a bias.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .host import TILE_ROWS, TILE_VECTORS
from .memory import address, element, read, write
from .simd import INTP, call_intrinsic, splat, vector_of

HEIGHTS = (TILE_ROWS, 2, 1)  # rows of a tile: as many as fit, then what is left


class _Matrix:
    """Pointers into a matrix whose rows are `width` elements apart."""

    def __init__(self, builder: ir.IRBuilder, pointer: ir.Value, width: ir.Value) -> None:
        self.builder, self.pointer, self.width = builder, pointer, width

    @classmethod
    def at(cls, context, builder, kind, place):
        """The matrix that begins at a place, or a start."""
        array, row, column, *step = (builder.extract_value(place, i) for i in range(len(kind)))
        pointer, width = address(context, builder, kind[0], array, row, column)
        return cls(builder, pointer, builder.mul(width, step[0]) if step else width)

    def element(self, row, column):
        """Pointer to an element."""
        builder = self.builder
        return builder.gep(self.pointer, [builder.add(builder.mul(row, self.width), column)])

    @property
    def transposed(self):
        """The same with rows for columns, one element at a time."""
        return _Transposed(self.builder, self.pointer, self.width)

    @property
    def along_row(self):
        """Distance between the elements of a row."""
        return INTP(1)


class _Transposed(_Matrix):
    def element(self, row, column):
        return super().element(column, row)

    @property
    def along_row(self):
        return self.width


def _opaque(builder, value):
    """Hide from LLVM where a number comes from: it then cannot count a loop, and so does not unroll it."""
    kind = ir.FunctionType(value.type, [value.type])
    return builder.asm(kind, "", "=r,0", [value], side_effect=False)


def _chain(builder, start, lines, along_k, panel, K):
    """Accumulators `start`, by (row, vector), plus their products over k, in a loop whose phi nodes they are.

    Every element is one chain of fused multiply-adds in the order of k, whatever the tile's size: that is what makes
    results independent of it. `lines` point to A's rows, `panel` to all vectors of k = 0.
    """
    kind, width = start[0, 0].type, 1 + max(v for _, v in start)
    before, loop, after = builder.block, builder.append_basic_block("k"), builder.append_basic_block("end")
    builder.branch(loop)
    builder.position_at_end(loop)
    first = {"k": INTP(0), "offset": INTP(0), "panel": panel} | start
    phi = {name: builder.phi(value.type) for name, value in first.items()}
    w = [read(builder, builder.gep(phi["panel"], [INTP(v * kind.count)]), kind) for v in range(width)]
    a = [splat(builder, builder.load(builder.gep(line, [phi["offset"]])), kind) for line in lines]
    sums = {(r, v): call_intrinsic(builder, "fma", kind, [a[r], w[v], phi[r, v]]) for r, v in start}
    k = _opaque(builder, builder.add(phi["k"], INTP(1)))
    following = {
        "k": k,
        "offset": builder.add(phi["offset"], along_k),
        "panel": builder.gep(phi["panel"], [INTP(width * kind.count)]),
    }
    for name, value in (following | sums).items():
        phi[name].add_incoming(first[name], before)
        phi[name].add_incoming(value, loop)
    builder.cbranch(builder.icmp_signed("<", k, K), loop, after)
    builder.position_at_end(after)
    return sums


def _rows(builder, vector, width, C, start, A, panel, M, K):
    """All rows of C under a panel of `width` vectors: as many of the tallest tile as fit, then the lower ones."""
    done = INTP(0)
    for height in HEIGHTS:
        before, *blocks = builder.block, *(builder.append_basic_block(name) for name in ("rows", "tile", "rest"))
        test, body, after = blocks
        builder.branch(test)
        builder.position_at_end(test)
        row = builder.phi(INTP)
        row.add_incoming(done, before)
        end = builder.add(row, INTP(height))
        builder.cbranch(builder.icmp_signed("<=", end, M), body, after)
        builder.position_at_end(body)
        spots = {(r, v): (builder.add(row, INTP(r)), INTP(v * vector.count)) for r in range(height) for v in range(width)}
        values = {spot: read(builder, start.element(*place), vector) for spot, place in spots.items()}
        lines = [A.element(builder.add(row, INTP(r)), INTP(0)) for r in range(height)]
        for spot, value in _chain(builder, values, lines, A.along_row, panel, K).items():
            write(builder, C.element(*spots[spot]), value)
        row.add_incoming(end, builder.block)
        builder.branch(test)
        builder.position_at_end(after)
        done = row


def _strip(transposed: bool) -> Callable[..., Any]:
    """Build the product of rows under one panel."""

    @intrinsic
    def strip(context, C, start, A, panel, at, M, K, vectors):
        vector = vector_of(C[0].dtype)

        def generate(context, builder, signature, args):
            *matrices, panel, at, M, K, vectors = args
            C, start, A = (_Matrix.at(context, builder, *pair) for pair in zip(signature.args, matrices, strict=False))
            A, panel = A.transposed if transposed else A, element(context, builder, signature.args[3], panel, at)
            end = builder.append_basic_block("done")
            choice = builder.switch(vectors, end)
            for width in range(1, TILE_VECTORS + 2):
                block = builder.append_basic_block(f"width{width}")
                choice.add_case(INTP(width), block)
                builder.position_at_end(block)
                _rows(builder, context.get_value_type(vector), width, C, start, A, panel, M, K)
                builder.branch(end)
            builder.position_at_end(end)
            return context.get_dummy_value()

        intp = types.intp
        return types.void(C, start, A, panel, intp, intp, intp, intp), generate

    return strip


strip = _strip(transposed=False)  # C[:M, :vectors * L] = start + A[:M, :K] @ panel
strip_t = _strip(transposed=True)  # C[:M, :vectors * L] = start + A[:K, :M].T @ panel
