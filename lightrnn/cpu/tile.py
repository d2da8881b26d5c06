"""The matmul tile: accumulators that stay in registers throughout a loop over k.

`strip` is emitted whole as LLVM, the loop over rows included: what Numba compiles from Python loops
around a smaller piece spends up to a tenth of the time on addresses.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .host import CACHE_LINE, TILE_ROWS, TILE_VECTORS
from .registers import element, read, write
from .simd import INT32, INTP, call_intrinsic, splat, vector_of

HEIGHTS = (TILE_ROWS, 2, 1)  # rows of a tile: as many as fit, then the rest


class _Matrix:
    """A view as LLVM values: a pointer to its first element, and the distances between elements."""

    def __init__(self, context, builder, kind, view):
        array, offset, stride = cgutils.unpack_tuple(builder, view)
        self.builder = builder
        self.pointer = element(context, builder, kind[0], array, offset)
        self.along_row = INTP(1)
        self.along_column = stride

    def transpose(self):
        """Swap rows and columns from now on."""
        self.along_row, self.along_column = self.along_column, self.along_row

    def element(self, row, column):
        """Return the pointer to an element."""
        down = self.builder.mul(row, self.along_column)
        across = self.builder.mul(column, self.along_row)
        return self.builder.gep(self.pointer, [self.builder.add(down, across)])


class _Operands(NamedTuple):
    """The operands of a strip, as LLVM values."""

    vector: ir.VectorType
    C: _Matrix  # OUT
    start: _Matrix  # IN
    A: _Matrix  # IN
    panel: ir.Value  # IN, pointer to its first element
    K: ir.Value  # IN
    fetch: bool  # whether tiles prefetch the panel after this one


def _opaque(builder, value):
    """Hide from LLVM where a number comes from, so that it cannot count a loop and unroll it."""
    kind = ir.FunctionType(value.type, [value.type])
    return builder.asm(kind, "", "=r,0", [value], side_effect=False)


def _fetch(builder, pointer):
    """Prefetch a line to the second-level cache; an address outside of any array is no error."""
    line = builder.bitcast(pointer, ir.IntType(8).as_pointer())
    kind = ir.FunctionType(ir.VoidType(), [line.type, INT32, INT32, INT32])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    builder.call(function, [line, INT32(0), INT32(2), INT32(1)])  # read, locality 2, data


def _chain(builder, start, lines, along_k, panel, K, ahead):
    """Return the accumulators plus their products over k: a loop whose phi nodes they are.

    Every element is one chain of fused multiply-adds in the order of k, whatever the tile's size:
    for this reason results do not depend on it.

    Parameters
    ----------
    start : dict of (int, int) to Value
        The accumulators' first values, by (row, vector).
    lines : list of Value
        Pointers to the first element of each row of A.
    along_k : Value
        Distance from one k to the next in A.
    panel : Value
        Pointer to the vectors of k = 0.
    ahead : Value or None
        Pointer to what is read later: one line of it is prefetched per k.
    """
    kind = start[0, 0].type
    width = 1 + max(v for _, v in start)
    before = builder.block
    loop = builder.append_basic_block("k")
    after = builder.append_basic_block("end")
    builder.branch(loop)
    builder.position_at_end(loop)
    first = {"k": INTP(0), "offset": INTP(0), "panel": panel}
    if ahead:
        first["ahead"] = ahead
    first |= start
    phi = {name: builder.phi(value.type) for name, value in first.items()}
    columns = [builder.gep(phi["panel"], [INTP(v * kind.count)]) for v in range(width)]
    w = [read(builder, pointer, kind) for pointer in columns]
    a = [splat(builder, builder.load(builder.gep(line, [phi["offset"]])), kind) for line in lines]
    sums = {(r, v): call_intrinsic(builder, "fma", kind, [a[r], w[v], phi[r, v]]) for r, v in start}
    following = {
        "k": _opaque(builder, builder.add(phi["k"], INTP(1))),
        "offset": builder.add(phi["offset"], along_k),
        "panel": builder.gep(phi["panel"], [INTP(width * kind.count)]),
    }
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
    """Return the elements in a cache line."""
    return CACHE_LINE // (4 if isinstance(vector.element, ir.FloatType) else 8)


def _tile(builder, operands, width, height, row):
    """Compute `height` rows of C from `row` on, under a panel of `width` vectors.

    With `fetch` the next panel is prefetched meanwhile: where the matrix does not fit into the
    second-level cache, the first tile under each panel would otherwise wait for it. Each tile
    prefetches another part of it.
    """
    vector, C, start, A, panel, K, fetch = operands
    rows = [builder.add(row, INTP(r)) for r in range(height)]
    columns = [INTP(v * vector.count) for v in range(width)]
    places = {(r, v): (rows[r], columns[v]) for r in range(height) for v in range(width)}
    values = {spot: read(builder, start.element(*place), vector) for spot, place in places.items()}
    lines = [A.element(row, INTP(0)) for row in rows]
    ahead = None
    if fetch:
        part = builder.urem(builder.udiv(row, INTP(TILE_ROWS)), INTP(width))
        beyond = builder.add(INTP(width * vector.count), builder.mul(part, INTP(_line(vector))))
        ahead = builder.gep(panel, [builder.mul(beyond, K)])
    for spot, value in _chain(builder, values, lines, A.along_row, panel, K, ahead).items():
        write(builder, C.element(*places[spot]), value)


def _rows(builder, M, tile):
    """Call ``tile(height, row)`` for all M rows: as many of the tallest as fit, then lower ones."""
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
    def strip(
        context,
        C,  # view (M, vectors * L), OUT
        start,  # view (M, vectors * L), IN
        A,  # view (M, K), or transposed (K, M), IN
        panel,  # (array, index of the panel's first element), IN
        M,  # IN
        K,  # IN
        vectors,  # IN
    ):
        vector = vector_of(C[0].dtype)

        def generate(context, builder, signature, args):
            *views, panel, M, K, vectors = args
            kinds = signature.args
            C, start, A = (_Matrix(context, builder, kinds[i], views[i]) for i in range(3))
            if transposed:
                A.transpose()
            array, index = cgutils.unpack_tuple(builder, panel)
            pointer = element(context, builder, kinds[3][0], array, index)
            # Transposed products, of gradients, read a panel once that was packed just before.
            kind = context.get_value_type(vector)
            operands = _Operands(kind, C, start, A, pointer, K, fetch=not transposed)
            end = builder.append_basic_block("done")
            choice = builder.switch(vectors, end)
            for width in range(1, TILE_VECTORS + 2):
                block = builder.append_basic_block(f"width{width}")
                choice.add_case(INTP(width), block)
                builder.position_at_end(block)
                _rows(builder, M, partial(_tile, builder, operands, width))
                builder.branch(end)
            builder.position_at_end(end)
            return context.get_dummy_value()

        intp = types.intp
        return types.void(C, start, A, panel, intp, intp, intp), generate

    return strip


strip = _strip(transposed=False)  # C[:M, :vectors * L] = start + A[:M, :K] @ panel
strip_t = _strip(transposed=True)  # C[:M, :vectors * L] = start + A[:K, :M].T @ panel
