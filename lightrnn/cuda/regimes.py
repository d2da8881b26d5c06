"""How a time loop is cut: sequences to groups, units to the blocks of a group, terms of the sums to threads.

Three regimes, each a case of the same cut:

1. A group is one block and W_hh lies in its registers: small layers. No block ever waits for another.
2. A group is several blocks, each with its columns of W_hh in registers, that wait for each other after every step.
3. W_hh is read from the second-level cache in every step, by as many blocks as there are: any size, any GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..cells import Cell
from .driver import Limits

CHUNK = 8  # terms of a sum that kernels take at a time
RESIDENT = (8, 16, 32, 48, 64, 96)  # elements of W_hh that a thread may hold; of float64 half as many
ROWS = (1, 2, 4, 8)  # sequences that a group may have


@dataclass(frozen=True)
class Regime:
    """A cut for one direction of one loop.

    Attributes
    ----------
    number : int
        1, 2 or 3.
    rows, groups : int
        Sequences of a group at most, and groups that run at a time.
    blocks, units : int
        Blocks of a group, and units of the layer that each has.
    alone : bool
        Whether a group is one block, with all terms of a sum in its shared memory at once.
    resident : int
        Elements of W_hh that a thread holds, 0 for none.
    parts, share, lanes : int
        Parts of a sum, terms of a part, at a time if they are too many for shared memory, and threads of a part.
    threads, shared : int
        Of a block: threads, and elements of shared memory.
    """

    number: int
    rows: int
    groups: int
    blocks: int
    units: int
    alone: bool
    resident: int
    parts: int
    share: int
    lanes: int
    threads: int
    shared: int

    def slices(self, B: int) -> range:
        """Return the first sequence of each launch."""
        return range(0, B, self.groups * self.rows)


def choose(cell: Cell, H: int, B: int, itemsize: int, limits: Limits, *, back: bool) -> Regime:
    """Choose the regime of a loop.

    Parameters
    ----------
    cell : Cell
        Its gates are the columns of W_hh that a unit has.
    H, B : int
        Units of the layer and sequences of the batch.
    itemsize : int
        Bytes of a number.
    limits : Limits
        Of the GPU.
    back : bool
        Whether it is the way back, where a unit has a row of W_hh instead.
    """
    gates = len(cell.gates)
    cut = _Cut(*((1, gates * H) if back else (gates, H)), H, B, itemsize, limits)
    return cut.resident() or cut.streamed()


class _Cut:
    """A loop to be cut: `columns` of W_hh for each of H units, and so many terms of a sum; see `choose`."""

    def __init__(self, columns: int, terms: int, H: int, B: int, itemsize: int, limits: Limits) -> None:
        self.columns, self.terms, self.H, self.B = columns, terms, H, B
        self.limits = limits
        self.words, self.most_shared = itemsize // 4, limits.shared_bytes // itemsize

    def resident(self) -> Regime | None:
        """Hold W_hh in registers, a column to a thread, in as few blocks as can; None if the GPU cannot."""
        for blocks in self._counts(self.limits.multiprocessors):
            units = -(-self.H // blocks)
            parts = self.limits.threads // (self.columns * units)
            held = [n for n in RESIDENT if n * parts >= self.terms and n * self.words <= RESIDENT[-1]]
            if held:
                parts = -(-self.terms // held[0])
                side_by_side = self.limits.multiprocessors // blocks
                fitting = [rows for rows in ROWS if self._shared(rows, parts, held[0], units) <= self.most_shared]
                enough = [rows for rows in fitting if rows * side_by_side >= self.B] or fitting[-1:]
                if enough:
                    return self._regime(1 + (blocks > 1), enough[0], units, parts, held[0], held[0])
        return None

    def streamed(self) -> Regime:
        """Read W_hh again in each step: by few groups of many sequences, and all blocks that there are."""
        for rows, blocks in self._candidates():
            units = -(-self.H // blocks)
            parts = max(1, self.limits.threads // (self.columns * units))
            room = self.most_shared // rows - parts * self.columns * units
            share = min(-(-self.terms // (parts * CHUNK)), room // (parts * CHUNK)) * CHUNK
            if share > 0 and (rows == 1 or share * parts >= self.terms):
                return self._regime(3, rows, units, min(parts, -(-self.terms // share)), share, 0)
        raise RuntimeError(
            f"hidden_layer_sizes must be smaller for this GPU, got {self.H} units. Lower them, or use device='cpu'."
        )

    def _candidates(self) -> Iterator[tuple[int, int]]:
        """Yield rows and blocks of a group, best first: all sequences at once, else one by ever more blocks."""
        for rows in ROWS[::-1]:
            if rows < 2 * self.B or rows == 1:
                most = max(1, self.limits.multiprocessors // -(-self.B // rows))
                yield rows, list(self._counts(min(most, -(-self.H // CHUNK))))[-1]
        yield from ((1, blocks) for blocks in self._counts(self.limits.multiprocessors))

    def _counts(self, most: int) -> Iterator[int]:
        """Yield numbers of blocks that a group may have, few first."""
        blocks = 1
        while blocks <= min(most, self.H):
            yield blocks
            blocks *= 2

    def _shared(self, rows: int, parts: int, share: int, units: int) -> int:
        """Return the elements of shared memory that a block needs."""
        return rows * parts * (share + self.columns * units)

    def _regime(self, number: int, rows: int, units: int, parts: int, share: int, resident: int) -> Regime:
        blocks = -(-self.H // units)
        groups = -(-self.B // rows)
        if blocks > 1:
            groups = min(groups, self.limits.multiprocessors // blocks)
        lanes = min(self.columns * units, self.limits.threads)
        shared = self._shared(rows, parts, share, units)
        alone = blocks == 1 and parts * share >= self.terms
        return Regime(
            number, rows, groups, blocks, units, alone, resident, parts, share, lanes, self.limits.threads, shared
        )
