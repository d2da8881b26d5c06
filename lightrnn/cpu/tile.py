"""The matmul tile: accumulators that live in registers while a loop over k runs under them.

`strip` is emitted whole, rows and all: what Numba would compile from loops around a smaller piece spends up to a tenth
of the time on addresses.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .host import CACHE_LINE, TILE_ROWS, TILE_VECTORS
from .registers import element, read, write
from .simd import INT32, INTP, call_intrinsic, splat, vector_of

HEIGHTS = (TILE_ROWS, 2, 1)  # rows of a tile: as many as fit, then what is left


class _Matrix:
    """Where a matrix begins and how far its rows are apart."""

    def __init__(self, context, builder, kind, place):
        array, offset, width = (builder.extract_value(place, i) for i in range(3))
        self.builder, self.pointer = builder, element(context, builder, kind[0], array, offset)
        self.along_row, self.along_column = INTP(1), width

    def transpose(self):
        """Take columns for rows from now on."""
        self.along_row, self.along_column = self.along_column, self.along_row

    def element(self, row, column):
        """Pointer to an element."""
        offsets = self.builder.mul(row, self.along_column), self.builder.mul(column, self.along_row)
        return self.builder.gep(self.pointer, [self.builder.add(*offsets)])


def _opaque(builder, value):
    """Hide from LLVM where a number comes from: it then cannot count a loop, and so does not unroll it."""
    return builder.asm(
        ir.FunctionType(value.type, [value.type]), "", "=r,0", [value], side_effect=False
    )


def _fetch(builder, pointer):
    """Ask for a cache line to be brought to the second cache; one that does not exist is no error."""
    line = builder.bitcast(pointer, ir.IntType(8).as_pointer())
    kinds = [line.type, INT32, INT32, INT32]
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(ir.VoidType(), kinds), "llvm.prefetch.p0"
    )
    builder.call(function, [line, INT32(0), INT32(2), INT32(1)])


def _chain(builder, start, lines, along_k, panel, K, ahead):
    """Accumulators `start`, by (row, vector), plus their products over k, in a loop whose phi nodes they are.

    Every element is one chain of fused multiply-adds in the order of k, whatever the tile's size: that is what makes
    results independent of it. `lines` point to A's rows, `panel` to the vectors of k = 0, and `ahead`, unless None, to
    what is read later: for each k one line of it is fetched.
    """
    kind, width = start[0, 0].type, 1 + max(v for _, v in start)
    before, loop, after = (
        builder.block,
        builder.append_basic_block("k"),
        builder.append_basic_block("end"),
    )
    builder.branch(loop)
    builder.position_at_end(loop)
    first = (
        {"k": INTP(0), "offset": INTP(0), "panel": panel}
        | ({"ahead": ahead} if ahead else {})
        | start
    )
    phi = {name: builder.phi(value.type) for name, value in first.items()}
    w = [
        read(builder, builder.gep(phi["panel"], [INTP(v * kind.count)]), kind) for v in range(width)
    ]
    a = [splat(builder, builder.load(builder.gep(line, [phi["offset"]])), kind) for line in lines]
    sums = {(r, v): call_intrinsic(builder, "fma", kind, [a[r], w[v], phi[r, v]]) for r, v in start}
    following = {
        "k": _opaque(builder, builder.add(phi["k"], INTP(1))),
        "offset": builder.add(phi["offset"], along_k),
    }
    following["panel"] = builder.gep(phi["panel"], [INTP(width * kind.count)])
    if ahead:
        _fetch(builder, phi["ahead"])
        following["ahead"] = builder.gep(phi["ahead"], [INTP(_line(kind))])
    for name, value in (following | sums).items():
        phi[name].add_incoming(first[name], before)
        phi[name].add_incoming(value, loop)
    builder.cbranch(builder.icmp_signed("<", following["k"], K), loop, after)
    builder.position_at_end(after)
    return sums


def _line(vector):
    """Elements in a cache line."""
    return CACHE_LINE // (4 if isinstance(vector.element, ir.FloatType) else 8)


def _tile(builder, vector, height, width, row, C, start, A, panel, K, fetch):
    """Compute `height` rows of C from `row` on, under a panel of `width` vectors.

    With `fetch` the next panel comes nearer meanwhile: of a matrix that does not fit into the second cache, the first
    tile under each panel would otherwise wait for it. Each tile asks for another of its parts.
    """
    rows = [builder.add(row, INTP(r)) for r in range(height)]
    columns = [INTP(v * vector.count) for v in range(width)]
    spots = {(r, v): (rows[r], columns[v]) for r in range(height) for v in range(width)}
    values = {spot: read(builder, start.element(*place), vector) for spot, place in spots.items()}
    lines = [A.element(row, INTP(0)) for row in rows]
    ahead = None
    if fetch:
        part = builder.urem(builder.udiv(row, INTP(TILE_ROWS)), INTP(width))
        beyond = builder.add(INTP(width * vector.count), builder.mul(part, INTP(_line(vector))))
        ahead = builder.gep(panel, [builder.mul(beyond, K)])
    for spot, value in _chain(builder, values, lines, A.along_row, panel, K, ahead).items():
        write(builder, C.element(*spots[spot]), value)


def _rows(builder, M, tile):
    """Call ``tile(height, row)`` for all M rows: as many of the tallest as fit, then the lower ones."""
    done = INTP(0)
    for height in HEIGHTS:
        before = builder.block
        test, body, after = (builder.append_basic_block(name) for name in ("rows", "tile", "rest"))
        builder.branch(test)
        builder.position_at_end(test)
        row = builder.phi(INTP)
        row.add_incoming(done, before)
        end = builder.add(row, INTP(height))
        builder.cbranch(builder.icmp_signed("<=", end, M), body, after)
        builder.position_at_end(body)
        tile(height, row)
        row.add_incoming(end, builder.block)
        builder.branch(test)
        builder.position_at_end(after)
        done = row


def _strip(transposed: bool) -> Callable[..., Any]:
    """Build the product of rows under one panel of 1 to `TILE_VECTORS` + 1 vectors."""

    @intrinsic
    def strip(context, C, start, A, panel, at, M, K, vectors):
        vector = vector_of(C[0].dtype)

        def generate(context, builder, signature, args):
            kind, (panel_, at, M, K, vectors) = context.get_value_type(vector), args[3:]
            C, start, A = (
                _Matrix(context, builder, *pair)
                for pair in zip(signature.args[:3], args[:3], strict=True)
            )
            if transposed:
                A.transpose()
            panel = element(context, builder, signature.args[3], panel_, at)
            end = builder.append_basic_block("done")
            choice = builder.switch(vectors, end)
            for width in range(1, TILE_VECTORS + 2):
                block = builder.append_basic_block(f"width{width}")
                choice.add_case(INTP(width), block)
                builder.position_at_end(block)

                def tile(height, row, width=width):
                    _tile(
                        builder,
                        kind,
                        height,
                        width,
                        row,
                        C,
                        start,
                        A,
                        panel,
                        K,
                        fetch=not transposed,
                    )

                _rows(builder, M, tile)
                builder.branch(end)
            builder.position_at_end(end)
            return context.get_dummy_value()

        intp = types.intp
        return types.void(C, start, A, panel, intp, intp, intp, intp), generate

    return strip


strip = _strip(transposed=False)  # C[:M, :vectors * L] = start + A[:M, :K] @ panel
strip_t = _strip(transposed=True)  # C[:M, :vectors * L] = start + A[:K, :M].T @ panel
