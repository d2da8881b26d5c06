"""Pooling on the GPU: from the last level's states at all steps to one row per sequence, and back.

A pooled row holds D values, the total weight of the steps and the greatest score, as on the CPU. A
thread takes one unit of one sequence through all steps.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from numba import cuda

from ..elementwise import like, relative_exp
from ..nn.pooling import Pooling
from . import gather
from .batch_index import BatchIndex
from .jit import Kernel, kernel, reader
from .matmul import add_product, weight_gradient
from .memory import Matrix
from .reductions import greater
from .registers import register_jitable, zeros
from .segments import Segment


class PoolArguments(NamedTuple):
    """Arguments of `pool` and `greatest_back`; rows of a sequence are in the order of its steps."""

    pooled: int  # (B, D + 2)  # OUT of `pool`, else IN
    rows: Matrix  # (N, D)  # IN
    lengths: int  # (B,)  # IN
    first: int  # (T + 3,) row after the initial states' of each step; -1 without recurrence  # IN
    last: int  # (B,) last row of a sequence; its rows follow one another if there is no `first`
    B: int
    D: int
    before: int = -1  # (B, D + 2) what is pooled of earlier steps  # IN
    scores: int = -1  # (N,) of attention  # IN
    dpooled: int = -1  # (B, D) of `greatest_back`  # IN
    drows: int = -1  # (N, D) of `greatest_back`  # OUT


read_pool = reader(PoolArguments)


@register_jitable
def _row(ints, a, b, t):
    """Return the row of a sequence's step."""
    if a.first >= 0:
        return ints[a.first + t + 1] - a.B + b
    return ints[a.last + b] - ints[a.lengths + b] + 1 + t


@cache
def pool(kind: str, dtype: str) -> Kernel:
    """Compile the mean, the maximum or attention; see `cpu/pooling.py`."""
    maximum = kind == "max"
    attends = kind == "attention"

    @kernel(kind, dtype)
    def pool(floats, ints, at):
        a = read_pool(ints, at)
        for item in range(cuda.grid(1), a.B * a.D, cuda.gridsize(1)):
            b = item // a.D
            j = item % a.D
            place = b * (a.D + 2)
            value = floats[a.before + place + j]
            weight = floats[a.before + place + a.D]
            score = floats[a.before + place + a.D + 1]
            for t in range(ints[a.lengths + b]):
                row = _row(ints, a, b, t)
                x = floats[a.rows.address + row * a.rows.stride + j]
                share = like(x, 1)
                if attends:
                    of_step = floats[a.scores + row]
                    if weight == like(x, 0):
                        score = of_step
                    elif of_step > score:
                        weight *= relative_exp(score, of_step)
                        score = of_step
                    else:
                        share = relative_exp(of_step, score)
                weight += share
                if not maximum:
                    value += (x - value) * (share / weight)
                elif weight == share:
                    value = x
                else:
                    # The difference is NaN where x is not finite: no maximum hides that.
                    value = greater(x, value) + (x - x)
            floats[a.pooled + place + j] = value
            if j == 0:
                floats[a.pooled + place + a.D] = weight
                floats[a.pooled + place + a.D + 1] = score

    return pool


@cache
def greatest_back(dtype: str) -> Kernel:
    """Compile the gradient of the maximum, which the first row that has it gets."""
    zero = zeros(dtype, 1)[0]

    @kernel(dtype)
    def greatest_back(floats, ints, at):
        a = read_pool(ints, at)
        for item in range(cuda.grid(1), a.B * a.D, cuda.gridsize(1)):
            b = item // a.D
            j = item % a.D
            top = floats[a.pooled + b * (a.D + 2) + j]
            left = floats[a.dpooled + item]
            if a.before >= 0 and floats[a.before + b * (a.D + 2) + j] == top:
                left = zero  # an earlier step has it
            for t in range(ints[a.lengths + b]):
                row = _row(ints, a, b, t)
                x = floats[a.rows.address + row * a.rows.stride + j]
                gradient = left if x == top else zero
                left -= gradient
                floats[a.drows + row * a.D + j] = gradient

    return greatest_back


class MeanBackArguments(NamedTuple):
    """Arguments of `score_back` and `mean_back`."""

    pooled: int  # (B, D + 2)  # IN
    dpooled: int  # (B, D)  # IN
    rows: Matrix  # (N, D)  # IN
    drows: int  # (N, D)  # OUT of `mean_back`
    member: int  # (N,) sequence of each row  # IN
    N: int
    D: int
    w: int = -1  # (D,) of attention  # IN
    shares: int = -1  # (N,) of attention: scores, then shares  # IN, OUT of `score_back`
    dscores: int = -1  # (N,) of attention  # OUT of `score_back`


read_mean_back = reader(MeanBackArguments)


@cache
def score_back(dtype: str) -> Kernel:
    """Compile the gradient of attention's scores; a thread takes a row."""
    zero = zeros(dtype, 1)[0]

    @kernel(dtype)
    def score_back(floats, ints, at):
        a = read_mean_back(ints, at)
        for i in range(cuda.grid(1), a.N, cuda.gridsize(1)):
            b = ints[a.member + i]
            pooled = a.pooled + b * (a.D + 2)
            weight = relative_exp(floats[a.shares + i], floats[pooled + a.D + 1])
            share = weight / floats[pooled + a.D]
            total = zero
            for j in range(a.D):
                x = floats[a.rows.address + i * a.rows.stride + j]
                total += floats[a.dpooled + b * a.D + j] * (x - floats[pooled + j])
            floats[a.shares + i] = share
            floats[a.dscores + i] = share * total

    return score_back


@cache
def mean_back(attends: bool, dtype: str) -> Kernel:
    """Compile the gradient of the rows of a mean, or of attention."""

    @kernel(attends, dtype)
    def mean_back(floats, ints, at):
        a = read_mean_back(ints, at)
        for item in range(cuda.grid(1), a.N * a.D, cuda.gridsize(1)):
            i = item // a.D
            j = item % a.D
            b = ints[a.member + i]
            gradient = floats[a.dpooled + b * a.D + j]
            if attends:
                gradient *= floats[a.shares + i]
                gradient += floats[a.dscores + i] * floats[a.w + j]
            else:
                gradient /= floats[a.pooled + b * (a.D + 2) + a.D]
            floats[a.drows + item] = gradient

    return mean_back


class CudaPooling:
    """The pooling of one program: `forward` comes first, then `backward`.

    Parameters
    ----------
    pooling : Pooling
        How to pool.
    index : BatchIndex
        The batch's rows.
    before : int
        Address of what is pooled of earlier steps, (B, D + 2); -1 for nothing.
    mask : gather.Mask
        Dropout of the pooled rows.
    n_spans : int
        Number of spans of steps that are run one after the other.

    Attributes
    ----------
    final : Matrix (B, D + 2)
        What is pooled of all steps.
    """

    def __init__(
        self, pooling: Pooling, index: BatchIndex, before: int, mask: gather.Mask, n_spans: int
    ) -> None:
        self.pooling = pooling
        self.index = index
        self.program = index.program
        columns = pooling.features + 2
        self._mask = mask
        self._attends = pooling.kind == "attention"
        size = index.B * columns
        if before < 0:
            before = self.program.allocate(size)
            gather.let_be_zero(self.program, before, size)
        # What is pooled before each span, and after the last one.
        self._pooled = [before, *(self.program.allocate(size) for _ in range(n_spans))]
        self.final = Matrix(self._pooled[-1], columns)

    def forward(self, rows: Matrix, segment: Segment, again: bool) -> None:
        """Pool a segment's rows of the states (N, D), unless this was done before."""
        D = self.pooling.features
        program = self.program
        self.rows = rows
        before, after = self._pooled[segment.number :][:2]
        arguments = self._arguments(after, segment)._replace(before=before)
        if self._attends:
            self._scores = program.allocate(segment.rows)
            scores = Matrix(self._scores, 1)
            shape = segment.rows, 1, D
            add_product(program, segment.of(rows), self._query(gradient=False), scores, shape)
            arguments = arguments._replace(scores=self._scores - segment.row)
        if not again:
            program.over(pool(self.pooling.kind, program.dtype), self.index.B * D, arguments)

    def pooled(self) -> Matrix:
        """Return the pooled rows (B, D) of all steps, after dropout."""
        return self._dropped(self.final)

    def _dropped(self, pooled: Matrix) -> Matrix:
        """Return pooled rows, or the gradient of them, after dropout."""
        if self._mask.address < 0:
            return pooled
        shape = self.index.B, self.pooling.features
        dropped = Matrix(self.program.allocate(shape[0] * shape[1]), shape[1])
        gather.copy_rows(self.program, dropped, pooled, shape, self._mask)
        return dropped

    def _arguments(self, pooled: int, segment: Segment) -> PoolArguments:
        """Return the arguments that both passes have."""
        given = pooled, self.rows, segment.lengths, segment.first, segment.last
        return PoolArguments(*given, self.index.B, self.pooling.features)

    def _query(self, *, gradient: bool) -> Matrix:
        """Return attention's query, or its gradient, as a matrix (D, 1)."""
        addresses = self.program.context.addresses
        address = addresses.gradient_of if gradient else addresses.parameter
        return Matrix(address("attention.w"), 1)

    def backward(self, dpooled: int, segment: Segment, parts: list[Segment]) -> int:
        """Return the gradient of a segment's states, (N, D), from that of the pooled rows, (B, D).

        The gradient of the query is computed part by part.
        """
        D = self.pooling.features
        program = self.program
        drows = program.allocate(segment.rows * D)
        dpooled = self._dropped(Matrix(dpooled, D)).address
        top = self.final.address
        drow = drows - segment.row * D  # the address of row 0
        if self.pooling.kind == "max":
            # A maximum of a batch before this one does not count.
            before = self._pooled[segment.number] if segment.number else -1
            maxima = self._arguments(top, segment)
            maxima = maxima._replace(before=before, dpooled=dpooled, drows=drow)
            program.over(greatest_back(program.dtype), self.index.B * D, maxima)
            return drow
        rows = segment.of(self.rows)
        given = top, dpooled, rows, drows, self.index.member + segment.row
        arguments = MeanBackArguments(*given, segment.rows, D)
        if self._attends:
            dscores = program.allocate(segment.rows)
            w = self._query(gradient=False).address
            arguments = arguments._replace(w=w, shares=self._scores, dscores=dscores)
            program.over(score_back(program.dtype), segment.rows, arguments)
            target = self._query(gradient=True)
            scores = Matrix(dscores - segment.row, 1)
            for part in parts:
                shape = D, 1, part.rows
                sums = part.of(self.rows), part.of(scores)
                weight_gradient(program, *sums, target, shape, adds=part.going_on > 0)
        program.over(mean_back(self._attends, program.dtype), segment.rows * D, arguments)
        return drow
