"""Loads, stores and counters of one thread."""

import numpy as np

from . import shadow
from .jit import njit
from .parse import (
    CODE,
    CODES,
    COUNT,
    D1,
    GLOBAL,
    ORDER,
    RELAXED,
    SPACE,
    WEAK,
    WIDTH,
    A,
    B,
    D,
)
from .state import LANES

_LOAD = CODES["load"]
_ADD = CODES["add"]


@njit
def touch(row, number, g, s, shape, r, base, slot, block, clock, thread, lane):
    """Load or store what one thread asks for; return a fault or `DONE`, and the address."""
    width = row[WIDTH]
    count = width * row[COUNT]
    address = r.s64[base + row[A] * LANES + lane] + number
    if address % (4 * count):
        return shadow.MISALIGNED, address
    first = address >> 2
    load = row[CODE] == _LOAD
    for i in range(count):
        word = first + i
        if row[SPACE] == GLOBAL:
            if row[ORDER] >= RELAXED:
                fault = shadow.touch_counter(g, shape, word, block, clock, thread)
                if fault == shadow.DONE and i == 0:
                    counter = g.words[word, shadow.ATOMIC]
                    relaxed = row[ORDER] == RELAXED
                    shadow.acquire(g.order, counter, shape.threads, block, thread, relaxed)
            elif load:
                fault = shadow.read(g, shape, word, block, clock, thread, row[ORDER] != WEAK)
            else:
                fault = shadow.write(g, shape, word, block, clock, thread)
            memory = g.memory
        else:
            if load:
                fault = shadow.read_shared(s.words[slot], word, clock, thread)
            else:
                fault = shadow.write_shared(s.words[slot], word, clock, thread)
            memory = s.memory[slot]
        if fault != shadow.DONE:
            return fault, address + 4 * i
        part = i // width
        value = row[D] if part == 0 else row[D1 + part - 1]
        place = 2 * (base + value * LANES + lane) + i % width
        if load:
            r.u32[place] = memory[word]
        else:
            memory[word] = r.u32[place]
    return shadow.DONE, address


@njit
def add(row, number, g, shape, r, base, block, clock, thread, lane):
    """Add to a counter; return a fault or `DONE`, and the address."""
    address = r.s64[base + row[A] * LANES + lane] + number
    if address % 8:
        return shadow.MISALIGNED, address
    for i in range(2):
        fault = shadow.touch_counter(g, shape, (address >> 2) + i, block, clock, thread)
        if fault != shadow.DONE:
            return fault, address
    counter = g.words[address >> 2, shadow.ATOMIC]
    shadow.release(g.order, counter, shape.threads, block, thread)
    words = g.memory[address >> 2 : (address >> 2) + 2].view(np.uint64)
    words[0] += r.u64[base + row[B] * LANES + lane]
    return shadow.DONE, address


@njit
def transfers(row, number, r, base, lanes, count):
    """Return the transfers of a warp's access, and the fewest that its bytes need.

    Global memory comes in sectors of 32 bytes. Shared memory has 32 banks of 4 bytes: a transfer
    has one word of each, which any threads may want (CUDA C++ Programming Guide, "Device Memory
    Accesses"). More transfers than the fewest are conflicts of banks.
    """
    words = 2 if row[CODE] == _ADD else row[WIDTH] * row[COUNT]
    wanted = np.empty(4 * LANES, np.int64)
    n = 0
    banks = np.zeros(LANES, np.int64)
    # In both kinds of memory equal words are transferred once.
    size = 8 if row[SPACE] == GLOBAL else 1
    for k in range(count):
        first = (r.s64[base + row[A] * LANES + lanes[k]] + number) >> 2
        for unit in range(first // size, (first + words - 1) // size + 1):
            if unit not in wanted[:n]:
                wanted[n] = unit
                n += 1
                banks[unit % LANES] += 1
    if size == 1:
        return banks.max(), -(-n // LANES)
    return n, -(-count * words // size)
