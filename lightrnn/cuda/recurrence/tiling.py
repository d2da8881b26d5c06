"""How a time loop is cut: sequences to groups, units to the blocks of a group, terms of the sums to threads.

Three regimes, each a case of the same cut:

1. A group is one block and W_hh lies in its registers: small layers. No block ever waits for another.
2. A group is several blocks, each with its columns of W_hh in registers, and in shared memory what registers cannot
   hold, that wait for each other after every step.
3. W_hh is read from the second-level cache in every step, by as many blocks as there are: any size, any GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from ...cells import Cell
from ..driver import Limits
from .block_product import PAD, apart
from .thread_product import CHUNK, COLUMNS

RESIDENT = (4, 8, 16, 24)  # terms whose weights, of four columns, a thread may hold in registers
REGISTERS = 384  # bytes of them
MANY = 16  # parts of sums that are worth adding up by all threads first
STORED = (
    8  # terms in shared memory, read again for each tile, that are better than twice as many blocks
)
ROWS = (1, 2, 4)  # sequences that a tile may have


@dataclass(frozen=True)
class Regime:
    """A cut for one direction of one loop.

    Attributes
    ----------
    number : int
        1, 2 or 3.
    rows, tiles, groups : int
        Sequences of a tile, tiles of a group that are in shared memory at once, and groups.
    blocks, units : int
        Blocks of a group, and units of the layer that each has.
    alone : bool
        Whether a group is one block, with all it has in its shared memory at once.
    resident : int
        Terms whose weights a thread holds in registers, 0 for none.
    stored : int
        Terms whose weights it keeps in shared memory.
    parts, share, lanes : int
        Parts of a sum, terms of a part (at a time, if they are too many for shared memory), and threads of a part.
    spread : int
        Columns of a block and those missing to a multiple of four for each lane.
    folds : int
        To how many parts all threads bring the sums before the cell's rule adds up what is left: few, if a block has so
        few sums that most threads have no part in the rule.
    threads, shared : int
        Of a block: threads, and elements of shared memory.
    """

    number: int
    rows: int
    tiles: int
    groups: int
    blocks: int
    units: int
    alone: bool
    resident: int
    stored: int
    parts: int
    share: int
    lanes: int
    spread: int
    folds: int
    threads: int
    shared: int


@cache
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

    Raises
    ------
    RuntimeError
        If the layer is too large for the GPU.
    """
    gates = len(cell.gates)
    cut = _Cut(*((1, gates * H) if back else (gates, H)), H, B, itemsize, limits)
    return cut.resident() or cut.streamed()


class _Cut:
    """A loop to be cut: `columns` of W_hh for each of H units, and so many terms of a sum; see `choose`."""

    def __init__(
        self, columns: int, terms: int, H: int, B: int, itemsize: int, limits: Limits
    ) -> None:
        self.columns, self.terms, self.H, self.B = columns, terms, H, B
        self.limits = limits
        self.most_shared = limits.shared_bytes // itemsize
        self.held = [n for n in RESIDENT if n * COLUMNS * itemsize <= REGISTERS]

    def resident(self) -> Regime | None:
        """Keep W_hh, in as few blocks as can; None if the GPU cannot."""
        for most in (STORED, self.terms):
            for blocks in self._counts(self.limits.multiprocessors):
                units = -(-self.H // blocks)
                lanes = -(-self.columns * units // COLUMNS)
                if lanes > self.limits.threads:
                    continue
                share = -(-self.terms // (CHUNK * (self.limits.threads // lanes))) * CHUNK
                held = min((n for n in self.held if n >= share), default=self.held[-1])
                share = max(share, held)
                if share - held > most:
                    continue
                wanted = -(-self.B // (self.limits.multiprocessors // blocks))
                for rows in [rows for rows in ROWS[::-1] if rows < 2 * wanted]:
                    regime = self._regime(units, rows, -(-wanted // rows), share, held)
                    if regime:
                        return regime
        return None

    def streamed(self) -> Regime:
        """Read W_hh again in each step, by one group of as many blocks as there are."""
        counts = list(self._counts(self.limits.multiprocessors))
        wide = [blocks for blocks in counts if blocks * CHUNK <= self.H] or counts[:1]
        for blocks in [wide[-1], *counts[len(wide) :]]:
            units = -(-self.H // blocks)
            for rows in [rows for rows in ROWS[::-1] if rows < 2 * self.B] or ROWS[:1]:
                lanes, spread = self._lanes(units)
                parts = max(1, self.limits.threads // lanes)
                room = (self.most_shared // parts - 4 * PAD) // rows - spread
                share = min(-(-self.terms // (parts * CHUNK)), room // CHUNK) * CHUNK
                regime = self._regime(units, rows, 1, share, 0) if share > 0 else None
                if regime:
                    return regime
        raise RuntimeError(
            f"hidden_layer_sizes must be smaller for this GPU, got {self.H} units. Lower them, or use device='cpu'."
        )

    def _counts(self, most: int) -> Iterator[int]:
        """Yield numbers of blocks that a group may have, few first."""
        most = min(most, self.H)
        blocks = 1
        while blocks < most:
            yield blocks
            blocks *= 2
        yield most

    def _lanes(self, units: int) -> tuple[int, int]:
        """Return the threads that have a part of a block's columns, and those columns made up to four for each."""
        lanes = min(-(-self.columns * units // COLUMNS), self.limits.threads)
        return lanes, -(-self.columns * units // (COLUMNS * lanes)) * COLUMNS * lanes

    def _regime(
        self, units: int, rows: int, tiles: int, share: int, resident: int
    ) -> Regime | None:
        """Return the regime with so many tiles, or fewer if shared memory has no room; None if it has for none."""
        blocks, (lanes, spread), threads = (
            -(-self.H // units),
            self._lanes(units),
            self.limits.threads,
        )
        parts = min(max(1, threads // lanes), -(-self.terms // share))
        stored = share - resident if resident else 0
        of_tile, of_all = (
            parts * (apart(rows * share) + apart(rows * spread)),
            stored * COLUMNS * threads,
        )
        tiles = min(tiles, (self.most_shared - of_all) // of_tile)
        if tiles < 1:
            return None
        groups = -(-self.B // (rows * tiles))
        if blocks > 1 or not resident:
            groups = min(groups, max(1, self.limits.multiprocessors // blocks) if resident else 1)
        alone, folds = blocks == 1 and resident > 0, parts
        if parts >= MANY:
            most = threads // (tiles * spread * rows)
            folds = min(
                (n for n in (2, 4, 8, 16) if n <= most), key=lambda n: n + parts / n, default=parts
            )
        number = 3 if not resident else 2 - alone
        return Regime(
            number, rows, tiles, groups, blocks, units, alone, resident, stored, parts, share, lanes, spread, folds,
            threads, tiles * of_tile + of_all,
        )  # fmt: skip
