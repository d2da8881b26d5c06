"""Segments of a batch's steps on the GPU: in little memory only one is there at a time.

Rows and states keep the numbers that they have in the whole batch. The arrays of a segment hold
some of them, and begin where row 0 would be if they held all: kernels need not know of segments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ..nn.packing import Steps
from ..nn.stack import Stack
from ..nn.workspace import best_steps
from .memory import Matrix
from .program import Program

# Bytes of a segment. The gradient of the parameters is computed segment by segment in any case,
# and a product of few rows does not fill the GPU.
SEGMENT_BYTES = 1 << 29


class Segment(NamedTuple):
    """Steps of a batch that are run together; addresses are -1 where nothing is run."""

    number: int
    row: int  # its first one
    rows: int
    before: int  # row of the first state before its first step
    states: int  # of these states
    going_on: int  # sequences with later steps
    reaching: int  # sequences that reach it
    lengths: int = -1  # (B,) steps of each sequence in it
    first: int = -1  # (steps + 3,) as of the batch
    last: int = -1  # (reaching,) last row of each sequence in it

    @classmethod
    def whole(cls, rows: int, sequences: int) -> Segment:
        """Return the segment of all steps."""
        return cls(0, 0, rows, 0, sequences, 0, sequences)

    def among(self, others: Sequence[Segment]) -> list[Segment]:
        """Return those of other segments that are part of this one, or itself."""
        return [other for other in others if 0 <= other.row - self.row < self.rows]

    def of(self, matrix: Matrix) -> Matrix:
        """Return its rows of a matrix of all rows."""
        if matrix.row_index >= 0:
            return matrix._replace(row_index=matrix.row_index + self.row)
        return matrix._replace(address=matrix.address + self.row * matrix.stride)


def cut(network: Stack, packing: Steps) -> list[tuple[int, int]]:
    """Return the first step of each segment and the one after its last, from sizes alone."""
    T = len(packing.first) - 2
    B = len(packing.lengths)
    k = math.ceil(best_steps(network.levels, B, T, SEGMENT_BYTES))
    return list(pairwise([*range(0, T, k), T]))


def make_segments(
    program: Program, packing: Steps, first: int, cuts: list[tuple[int, int]], run: bool
) -> list[Segment]:
    """Make the segments of a batch, and send what it takes to `run` each of them."""
    rows = packing.first.tolist()
    rows.append(rows[-1])
    B = len(packing.lengths)
    segments = []
    for number, (start, stop) in enumerate(cuts):
        reaching = rows[start + 2] - rows[start + 1]
        segment = Segment(
            number=number,
            row=rows[start + 1] - B,
            rows=rows[stop + 1] - rows[start + 1],
            before=rows[start],
            states=rows[start + 1] - rows[start],
            going_on=rows[stop + 2] - rows[stop + 1],
            reaching=reaching,
        )
        if run:
            lengths = np.clip(packing.lengths - start, 0, stop - start)
            ends = packing.rows_at(start + lengths[:reaching] - 1) - B
            segment = segment._replace(
                lengths=program.send_indices(lengths),
                first=first + start,
                last=program.send_indices(ends),
            )
        segments.append(segment)
    return segments
