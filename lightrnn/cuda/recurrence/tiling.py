"""Tiling of a time loop: sequences to groups, units to blocks, terms of sums to threads.

There are three regimes:

1. A group is one block and W_hh is in its registers: small layers. No block waits for another.
2. A group is several blocks that wait for each other after every step. Each has its columns of W_hh
   in registers, and in shared memory what registers cannot hold.
3. W_hh is read from the second-level cache in every step, by as many blocks as there are
   multiprocessors: any size, any GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from ...cells import Cell
from ..driver import Limits
from ..jit import Int32
from .block_product import PAD, padded_stride
from .thread_product import CHUNK, COLUMNS, Form

RESIDENT = (4, 8, 16, 24)  # terms whose weights, of four columns, a thread may hold in registers
REGISTERS = 384  # bytes of these weights; the rest of a thread's 1020 is for sums and addresses
MANY = 16  # parts of the sums that are worth adding by all threads before the rule
# Terms in shared memory, read again for each tile, that are better than twice as many blocks, which
# wait for each other in every step.
STORED = 8
TILE_SEQUENCES = (1, 2, 4)  # that a tile may have


class Tiling(NamedTuple):
    """Tiling of one time loop; its kernel reads this.

    Attributes
    ----------
    tile_sequences, tiles, groups : int
        Sequences of a tile, tiles of a group that are in shared memory at once, and groups.
    blocks, units : int
        Blocks of a group, and units of the layer that each has.
    resident : int
        Terms whose weights a thread holds in registers, 0 for none.
    stored : int
        Terms whose weights it keeps in shared memory.
    parts, terms_per_part, lanes : int
        Parts of a sum, terms of a part (at a time, if they are too many for shared memory), and
        threads of a part.
    padded_columns : int
        Columns of W_hh that a block has, rounded up to a multiple of four for each lane.
    partial_sums : int
        Parts to which all threads reduce the sums before the cell's rule adds these: few, if a
        block has so few sums that most threads have no share of the rule.
    threads, shared : int
        Threads of a block, and elements of its shared memory.
    """

    tile_sequences: Int32
    tiles: Int32
    groups: Int32
    blocks: Int32
    units: Int32
    resident: Int32
    stored: Int32
    parts: Int32
    terms_per_part: Int32
    lanes: Int32
    padded_columns: Int32
    partial_sums: Int32
    threads: Int32
    shared: Int32

    @property
    def single_block(self) -> bool:
        """Whether a group is one block, with all that it hands on in its shared memory."""
        return self.blocks == 1 and self.resident > 0

    def form(self, cell: str, dtype: str) -> Form:
        """Return the options that the loop's kernel is compiled for."""
        stored = self.stored > 0
        return Form(cell, dtype, self.tile_sequences, self.resident, stored, self.single_block)


@cache
def choose(
    cell: Cell,
    H: int,
    B: int,
    itemsize: int,
    limits: Limits,
    *,
    back: bool,
) -> Tiling:
    """Choose the tiling of a loop.

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
        Whether it is the backward loop, where a unit has a row of W_hh instead.

    Raises
    ------
    RuntimeError
        If the layer is too large for the GPU.
    """
    gates = len(cell.gates)
    columns = 1 if back else gates
    terms = gates * H if back else H
    search = _Search(columns, terms, H, B, itemsize, limits)
    return search.resident() or search.streamed()


class _Search:
    """Search for a tiling: a unit has `columns` of W_hh, a sum has `terms`; see `choose`."""

    def __init__(
        self, columns: int, terms: int, H: int, B: int, itemsize: int, limits: Limits
    ) -> None:
        self.columns = columns
        self.terms = terms
        self.H = H
        self.B = B
        self.limits = limits
        self.most_shared = limits.shared_bytes // itemsize
        self.held = [n for n in RESIDENT if n * COLUMNS * itemsize <= REGISTERS]

    def resident(self) -> Tiling | None:
        """Return the tiling with W_hh in as few blocks as possible; None if the GPU has too few."""
        # First with few terms in shared memory, then with any number.
        for most in (STORED, self.terms):
            for blocks in self._counts(self.limits.multiprocessors):
                tiling = self._resident_in(blocks, most)
                if tiling:
                    return tiling
        return None

    def _resident_in(self, blocks: int, most: int) -> Tiling | None:
        """Return the tiling with W_hh in some blocks; None if they have too little memory."""
        units = -(-self.H // blocks)
        lanes = -(-self.columns * units // COLUMNS)
        if lanes > self.limits.threads:
            return None
        terms = -(-self.terms // (CHUNK * (self.limits.threads // lanes))) * CHUNK
        held = min((n for n in self.held if n >= terms), default=self.held[-1])
        terms = max(terms, held)
        if terms - held > most:
            return None
        wanted = -(-self.B // (self.limits.multiprocessors // blocks))  # sequences of a group
        for sequences in [n for n in TILE_SEQUENCES[::-1] if n < 2 * wanted]:
            tiling = self._tiling(units, sequences, -(-wanted // sequences), terms, held)
            if tiling:
                return tiling
        return None

    def streamed(self) -> Tiling:
        """Return the tiling of one group that reads W_hh again in every step."""
        counts = list(self._counts(self.limits.multiprocessors))
        wide = [blocks for blocks in counts if blocks * CHUNK <= self.H] or counts[:1]
        for blocks in [wide[-1], *counts[len(wide) :]]:
            units = -(-self.H // blocks)
            lanes, padded_columns = self._lanes(units)
            parts = max(1, self.limits.threads // lanes)
            wanted = -(-self.terms // (parts * CHUNK))
            for sequences in [n for n in TILE_SEQUENCES[::-1] if n < 2 * self.B] or [1]:
                room = (self.most_shared // parts - 4 * PAD) // sequences - padded_columns
                terms = min(wanted, room // CHUNK) * CHUNK
                tiling = self._tiling(units, sequences, 1, terms, 0) if terms > 0 else None
                if tiling:
                    return tiling
        raise RuntimeError(
            f"hidden_layer_sizes must be smaller for this GPU, got {self.H} units. "
            "Lower them, or use device='cpu'."
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
        """Return the threads among which a block's columns are divided, and the padded columns."""
        columns = self.columns * units
        lanes = min(-(-columns // COLUMNS), self.limits.threads)
        return lanes, -(-columns // (COLUMNS * lanes)) * COLUMNS * lanes

    def _tiling(
        self, units: int, tile_sequences: int, tiles: int, terms_per_part: int, resident: int
    ) -> Tiling | None:
        """Return the tiling with at most `tiles` tiles; None if none fits shared memory."""
        blocks = -(-self.H // units)
        lanes, padded_columns = self._lanes(units)
        threads = self.limits.threads
        parts = min(max(1, threads // lanes), -(-self.terms // terms_per_part))
        stored = terms_per_part - resident if resident else 0
        of_terms = padded_stride(tile_sequences * terms_per_part)
        of_tile = parts * (of_terms + padded_stride(tile_sequences * padded_columns))
        of_all = stored * COLUMNS * threads
        tiles = min(tiles, (self.most_shared - of_all) // of_tile)
        if tiles < 1:
            return None
        groups = -(-self.B // (tile_sequences * tiles))
        if not resident:
            groups = 1  # W_hh is read once per step for all sequences
        elif blocks > 1:  # all blocks must run at the same time
            groups = min(groups, max(1, self.limits.multiprocessors // blocks))
        partial_sums = parts
        if parts >= MANY:
            most = threads // (tiles * padded_columns * tile_sequences)
            counts = (n for n in (2, 4, 8, 16) if n <= most)
            partial_sums = min(counts, key=lambda n: n + parts / n, default=parts)
        return Tiling(
            tile_sequences=tile_sequences,
            tiles=tiles,
            groups=groups,
            blocks=blocks,
            units=units,
            resident=resident,
            stored=stored,
            parts=parts,
            terms_per_part=terms_per_part,
            lanes=lanes,
            padded_columns=padded_columns,
            partial_sums=partial_sums,
            threads=threads,
            shared=tiles * of_tile + of_all,
        )
