"""Registers, memory and threads of the machine while a launch runs."""

from typing import NamedTuple

import numpy as np

from . import shadow

LANES = 32  # threads of a warp
RUNNING, WAITING, ENDED = range(3)


class Registers(NamedTuple):
    """The registers of all resident threads, as numbers of each type: warp, row, lane."""

    u32: np.ndarray
    s32: np.ndarray
    f32: np.ndarray
    u64: np.ndarray
    s64: np.ndarray
    f64: np.ndarray


def registers(warps, rows):
    """Return registers, in which anything may be."""
    memory = np.empty(warps * rows * LANES, np.uint64)
    kinds = (np.uint32, np.int32, np.float32, np.uint64, np.int64, np.float64)
    return Registers(*(memory.view(kind) for kind in kinds))


class Shape(NamedTuple):
    """A launch: its number, blocks and threads along x, y and z, and where they are."""

    launch: int
    blocks: tuple
    block: tuple
    threads: int  # of a block
    warps: int  # of a block
    slots: int  # blocks that are resident at once
    rows: int  # registers of a thread
    shared: int  # bytes of shared memory of a block
    most: int  # instructions of warps, after which a launch goes on for ever
    idle: int  # the same for those without a store, an addition, a barrier or an end among them
    lockstep: bool  # whether threads of a warp stay together, and transfers are counted


class Global(NamedTuple):
    """Global memory: its words, who touched them, and what blocks know of each other."""

    memory: np.ndarray
    words: np.ndarray
    readers: np.ndarray
    order: shadow.Order
    counters: np.ndarray


class Shared(NamedTuple):
    """Shared memory of each resident block, and who touched its words."""

    memory: np.ndarray
    words: np.ndarray


class Threads(NamedTuple):
    """The places of resident threads (slots, threads) and blocks (slots,) in the program."""

    line: np.ndarray
    state: np.ndarray
    block: np.ndarray  # -1 where a slot is free
    clock: np.ndarray
    waiting: np.ndarray  # threads at the barrier
    alive: np.ndarray
    where: np.ndarray  # the line of the barrier


class Fault(NamedTuple):
    """Where a launch failed, and why; `kind` is 0 if it did not."""

    kind: int
    line: int
    block: int
    thread: int
    address: int
