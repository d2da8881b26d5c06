"""The matmul tile: accumulators that stay in registers throughout a loop over k.

`strip` is emitted whole as LLVM, the loop over rows included: what Numba compiles from Python loops
around a smaller piece spends up to a tenth of the time on addresses.
"""

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .host import CACHE_LINE, TILE_ROWS, TILE_VECTORS
from .registers import element, fetch, read, write
from .simd import INTP, call_intrinsic, splat, vector_of

# Rows of the tiles that what TILE_ROWS leaves over is cut into; these extend over two panels.
LOWER = tuple(height for height in (4, 2, 1) if height < TILE_ROWS)
# Rows that the first tile may have instead, where it then leaves fewer over: with 12 it has 24 of
# AVX-512's 32 registers as accumulators.
TALLER = (10, 12) if (TILE_ROWS, TILE_VECTORS) == (8, 2) else ()
# Lines from what is read to what is prefetched for the first-level cache. On a Xeon whose matrix is
# in the third-level cache 32 to 256 do equally well.
NEAR = 64


class _Matrix:
    """A view as LLVM values: a pointer to its first element, and the distances between elements."""

    def __init__(self, context, builder, kind, view):
        # `apart` is the distance of two panels.
        array, offset, stride, *apart = cgutils.unpack_tuple(builder, view)
        self.builder = builder
        self.pointer = element(context, builder, kind[0], array, offset)
        self.along_row = INTP(1)
        self.along_column = stride
        self.apart = apart[0] if apart else INTP(0)

    def transpose(self):
        """Swap rows and columns from now on."""
        self.along_row, self.along_column = self.along_column, self.along_row

    def rows(self, first, height, panel=None):
        """Return pointers to rows from `first` on, where they enter the panel of this number."""
        start = self.builder.mul(first, self.along_column)
        if panel is not None:
            start = self.builder.add(start, self.builder.mul(self.apart, panel))
        pointers = [self.builder.gep(self.pointer, [start])]
        # By additions: multiplications take a fifth of the time where K is 1.
        while len(pointers) < height:
            pointers.append(self.builder.gep(pointers[-1], [self.along_column]))
        return pointers


class _Operands(NamedTuple):
    """The operands of a strip, as LLVM values."""

    vector: ir.VectorType
    C: _Matrix  # OUT
    start: _Matrix  # IN
    A: _Matrix  # IN
    panels: ir.Value  # IN, pointer to the first element of the first one
    distance: ir.Value  # IN, elements from one panel to the next
    M: ir.Value  # IN
    K: ir.Value  # IN
    width: int  # vectors of a panel
    far: bool  # whether the panels may be in the third-level cache: they are prefetched then


def _opaque(builder, value):
    """Hide from LLVM where a number comes from, so that it cannot count a loop and unroll it."""
    kind = ir.FunctionType(value.type, [value.type])
    return builder.asm(kind, "", "=r,0", [value], side_effect=False)


def _chain(builder, operands, panels, start, lines, ahead):
    """Return the accumulators plus their products over k: a loop whose phi nodes they are.

    Every element is one chain of fused multiply-adds in the order of k, whatever the tile's size:
    for this reason results do not depend on it.

    Parameters
    ----------
    operands : _Operands
        Of the strip.
    panels : sequence of Value
        Numbers of the panels.
    start : dict of (int, int, int) to Value
        The accumulators' first values, by (row, panel, vector).
    lines : list of Value
        Pointers to the first element of each row of A.
    ahead : Value or None
        Pointer to panels that are read later: one line of them is prefetched per k to the
        second-level cache, and to the first-level cache what is read soon.
    """
    kind = operands.vector
    line = _line(kind)
    starts = [builder.mul(operands.distance, number) for number in panels]
    before = builder.block
    loop = builder.append_basic_block("k")
    after = builder.append_basic_block("end")
    builder.branch(loop)
    builder.position_at_end(loop)
    first = {"k": INTP(0), "offset": INTP(0), "panels": operands.panels}
    if ahead:
        first["ahead"] = ahead
    first |= start
    phi = {name: builder.phi(value.type) for name, value in first.items()}
    w = {}
    for (p, distance), v in product(enumerate(starts), range(operands.width)):
        here = builder.gep(builder.gep(phi["panels"], [distance]), [INTP(v * kind.count)])
        w[p, v] = read(builder, here, kind)
        if ahead and len(panels) == 1 and v * kind.count % line == 0:
            fetch(builder, builder.gep(here, [INTP(NEAR * line)]), level=1)
    a = [splat(builder, builder.load(builder.gep(a_row, [phi["offset"]])), kind) for a_row in lines]
    sums = {
        (r, p, v): call_intrinsic(builder, "fma", kind, [a[r], w[p, v], phi[r, p, v]])
        for r, p, v in start
    }
    following = {
        "k": _opaque(builder, builder.add(phi["k"], INTP(1))),
        "offset": builder.add(phi["offset"], operands.A.along_row),
        "panels": builder.gep(phi["panels"], [INTP(operands.width * kind.count)]),
    }
    if ahead:
        fetch(builder, phi["ahead"])
        following["ahead"] = builder.gep(phi["ahead"], [INTP(line)])
    for name, value in (following | sums).items():
        phi[name].add_incoming(first[name], before)
        phi[name].add_incoming(value, loop)
    builder.cbranch(builder.icmp_signed("<", following["k"], operands.K), loop, after)
    builder.position_at_end(after)
    return sums


def _line(vector):
    """Return the elements in a cache line."""
    return CACHE_LINE // (4 if isinstance(vector.element, ir.FloatType) else 8)


def _tile(builder, operands, panels, height, row):
    """Compute `height` rows of C from `row` on, under some of the panels, by number.

    With `far` panels are prefetched meanwhile, see `_ahead`; the rows of C that are next otherwise.
    """
    vector, C, start, A, *_, width, far = operands
    columns = [INTP(v * vector.count) for v in range(width)]

    def places(matrix):
        """Return the pointer to each vector of a matrix under the tile."""
        rows = [matrix.rows(row, height, panel) for panel in panels]
        return {
            (r, p, v): builder.gep(rows[p][r], [columns[v]])
            for r in range(height)
            for p in range(len(panels))
            for v in range(width)
        }

    values = {place: read(builder, at, vector) for place, at in places(start).items()}
    ahead = None
    if far:
        ahead = _ahead(builder, operands, panels, height, row)
    else:
        for at in places(C).values():
            below = builder.gep(at, [builder.mul(C.along_column, INTP(height))])
            fetch(builder, below, level=1)
    sums = _chain(builder, operands, panels, values, A.rows(row, height), ahead)
    for place, at in places(C).items():
        write(builder, at, sums[place])


def _ahead(builder, operands, panels, height, row):
    """Return the pointer to what a tile prefetches for the second-level cache.

    Where the matrix does not fit into it, the first tile under each panel would wait for the third:
    the tiles under a panel therefore prefetch the next one, each another part of it. A tile that
    has the panel to itself is as fast as the third-level cache without that, and slower with it.
    """
    line = _line(operands.vector)
    parts = len(panels) * operands.width
    part = builder.urem(builder.udiv(row, INTP(height)), INTP(parts))
    beyond = builder.mul(operands.distance, builder.add(panels[-1], INTP(1)))
    beyond = builder.add(beyond, builder.mul(part, builder.mul(operands.K, INTP(line))))
    alone = builder.icmp_signed("<", operands.M, INTP(2 * TILE_ROWS))
    beyond = builder.select(alone, INTP(0), beyond)
    return builder.gep(operands.panels, [beyond])


def _rows(builder, done, M, heights, tile):
    """Call ``tile(height, row)`` for the rows from `done` on, as many of each height as fit.

    Returns the first row that is left over.
    """
    for height in heights:
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
    return done


def _panels(builder, operands, count):
    """Compute all rows of C under one or two panels: tall tiles have one, others all.

    Under two panels that were packed just before there are no tall tiles. Half as tall and twice as
    wide, tiles read more of the panels, which are near, and less of A.
    """
    M = operands.M
    done = INTP(0)
    if operands.far or count == 1:
        taller = TALLER if operands.far and operands.width == TILE_VECTORS else ()
        first, done = _tall_rows(builder, M, taller)
        any_tall = builder.icmp_signed(">", done, INTP(0))
        with cgutils.for_range(builder, builder.select(any_tall, INTP(count), INTP(0))) as panels:
            tile = partial(_tile, builder, operands, (panels.index,))
            row = INTP(0)
            for height in taller:
                bound = builder.select(builder.icmp_signed("==", first, INTP(height)), first, row)
                row = _rows(builder, row, bound, (height,), tile)
            _rows(builder, row, M, (TILE_ROWS,), tile)
    numbers = [INTP(number) for number in range(count)]
    _rows(builder, done, M, LOWER, partial(_tile, builder, operands, numbers))


def _tall_rows(builder, M, taller):
    """Return the rows of the first tile, where it is one of the taller, and those of tall tiles.

    Of 10 rows a tile of 8 would leave 2, for which the panels were read once more: a first tile of
    more rows leaves as few as possible.
    """
    over = builder.urem(M, INTP(TILE_ROWS))
    first = INTP(0)
    for height in taller:
        fits = builder.and_(
            builder.icmp_signed(">=", M, INTP(height)),
            builder.icmp_signed(">=", over, INTP(height - TILE_ROWS)),
        )
        first = builder.select(fits, INTP(height), first)
    rest = builder.urem(builder.sub(M, first), INTP(TILE_ROWS))
    return first, builder.sub(M, rest)


def _strip(transposed: bool) -> Callable[..., Any]:
    """Build the product of rows under a panel of 1 to `TILE_VECTORS` vectors, or two whole ones."""

    @intrinsic
    def strip(
        context,
        C,  # view (M, vectors * L) with the distance of two panels in it, OUT
        start,  # view (M, vectors * L) with the distance of two panels in it, IN
        A,  # view (M, K), or transposed (K, M), IN
        panels,  # (array, index of the first panel's first element, distance of two), IN
        M,  # IN
        K,  # IN
        vectors,  # IN
    ):
        vector = vector_of(C[0].dtype)

        def generate(context, builder, signature, args):
            *views, panels, M, K, vectors = args
            kinds = signature.args
            C, start, A = (_Matrix(context, builder, kinds[i], views[i]) for i in range(3))
            if transposed:
                A.transpose()
            array, index, distance = cgutils.unpack_tuple(builder, panels)
            pointer = element(context, builder, kinds[3][0], array, index)
            kind = context.get_value_type(vector)
            end = builder.append_basic_block("done")
            choice = builder.switch(vectors, end)
            shapes = [(1, width) for width in range(1, TILE_VECTORS + 1)]
            for count, width in (*shapes, (2, TILE_VECTORS)):
                # Transposed products, of gradients, read panels once that were packed just before.
                far = not transposed
                operands = _Operands(kind, C, start, A, pointer, distance, M, K, width, far)
                block = builder.append_basic_block(f"panels{count}x{width}")
                choice.add_case(INTP(count * width), block)
                builder.position_at_end(block)
                _panels(builder, operands, count)
                builder.branch(end)
            builder.position_at_end(end)
            return context.get_dummy_value()

        intp = types.intp
        return types.void(C, start, A, panels, intp, intp, intp), generate

    return strip


strip = _strip(transposed=False)  # C[:M, :vectors * L] = start + A[:M, :K] @ panels
strip_t = _strip(transposed=True)  # C[:M, :vectors * L] = start + A[:K, :M].T @ panels
