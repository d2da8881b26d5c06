"""The matmul tile: accumulators that live in registers while a loop over k runs under them."""

from collections.abc import Callable
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .memory import address, element, read, write
from .simd import INTP, call_intrinsic, splat, vector_of


@intrinsic(prefer_literal=True)
def load_tile(context, array, row, column, rows, vectors):
    """Read `rows` x `vectors` registers."""
    vector = vector_of(array.dtype)
    out = types.UniTuple(types.UniTuple(vector, vectors.literal_value), rows.literal_value)

    def generate(context, builder, signature, args):
        start, width = address(context, builder, signature.args[0], *args[:3])
        result = cgutils.get_null_value(context.get_value_type(out))
        for r in range(out.count):
            line = builder.gep(start, [builder.mul(width, INTP(r))])
            for v in range(out.dtype.count):
                place = builder.gep(line, [INTP(v * vector.lanes)])
                value = read(builder, place, context.get_value_type(vector))
                result = builder.insert_value(result, value, (r, v))
        return result

    return out(array, types.intp, types.intp, rows, vectors), generate


@intrinsic
def store_tile(context, array, row, column, tile):
    """Write what `load_tile` reads."""
    vector = tile.dtype.dtype

    def generate(context, builder, signature, args):
        start, width = address(context, builder, signature.args[0], *args[:3])
        for r in range(tile.count):
            line = builder.gep(start, [builder.mul(width, INTP(r))])
            for v in range(tile.dtype.count):
                place = builder.gep(line, [INTP(v * vector.lanes)])
                write(builder, place, builder.extract_value(args[3], (r, v)))
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, tile), generate


def _products(transposed: bool) -> Callable[..., Any]:
    """Build the tile: accumulators plus a (rows, K) block of A times a contiguous (K, vectors) panel.

    The loop over k is emitted as LLVM with the accumulators as phi nodes, which makes them registers. Every element is
    one chain of fused multiply-adds in the order of k, whatever the tile's size: that is what makes results independent
    of it.
    """

    @intrinsic
    def products(context, tile, A, row, column, panel, at, K):
        vector, rows, vectors = tile.dtype.dtype, tile.count, tile.dtype.count

        def generate(context, builder, signature, args):
            tile_, A_, row, column, panel_, at, K = args
            kind = context.get_value_type(vector)
            corner, width = address(context, builder, signature.args[1], A_, row, column)
            along_rows, along_k = (INTP(1), width) if transposed else (width, INTP(1))
            lines = [builder.gep(corner, [builder.mul(along_rows, INTP(r))]) for r in range(rows)]
            packed = element(context, builder, signature.args[4], panel_, at)
            spots = [(r, v) for r in range(rows) for v in range(vectors)]
            start = {spot: builder.extract_value(tile_, spot) for spot in spots}
            before, loop, after = builder.block, builder.append_basic_block("k"), builder.append_basic_block("end")
            builder.cbranch(builder.icmp_signed(">", K, INTP(0)), loop, after)

            builder.position_at_end(loop)
            k = builder.phi(INTP)
            sums = {spot: builder.phi(kind) for spot in spots}
            offset = builder.mul(k, INTP(vectors * vector.lanes))
            w = [
                read(builder, builder.gep(packed, [builder.add(offset, INTP(v * vector.lanes))]), kind)
                for v in range(vectors)
            ]
            a = [splat(builder, builder.load(builder.gep(line, [builder.mul(k, along_k)])), kind) for line in lines]
            new = {(r, v): call_intrinsic(builder, "fma", kind, [a[r], w[v], sums[r, v]]) for r, v in spots}
            k_next = builder.add(k, INTP(1))
            builder.cbranch(builder.icmp_signed("<", k_next, K), loop, after)
            k.add_incoming(INTP(0), before)
            k.add_incoming(k_next, loop)

            builder.position_at_end(after)
            ends = {spot: builder.phi(kind) for spot in spots}
            result = cgutils.get_null_value(context.get_value_type(tile))
            for spot in spots:
                sums[spot].add_incoming(start[spot], before)
                sums[spot].add_incoming(new[spot], loop)
                ends[spot].add_incoming(start[spot], before)
                ends[spot].add_incoming(new[spot], loop)
                result = builder.insert_value(result, ends[spot], spot)
            return result

        intp = types.intp
        return tile(tile, A, intp, intp, panel, intp, intp), generate

    return products


products = _products(transposed=False)  # tile + A[row : row + rows, column : column + K] @ panel
products_t = _products(transposed=True)  # tile + A[row : row + K, column : column + rows].T @ panel
