"""Who touched which word of memory, and whether an order holds two accesses apart.

This is FastTrack (Flanagan and Freund 2009) on the scopes of a GPU. The clock of a block is the
number of its barriers, which order all that its threads did before them. Blocks know of each other
what they were given by a release (a fence and an atomic addition behind it) that another block has
acquired (PTX ISA, "Memory Consistency Model": release and acquire patterns, causality order). As a
thread releases what its block did before the last barrier, and no more, an order is never seen
where there is none; that of what the thread itself did since the barrier is not seen, unless it is
the only one of its block. The library's kernels have a barrier before each fence.

An access is one number: block, clock and thread. The last write of a word is kept, and the reads
since: one number while each is ordered before the next, or comes from the same block, else the last
one of every block. Within a launch a word is read through the first-level cache only if no other
block wrote it ("Cache Operators": these caches are not coherent).
"""

from typing import NamedTuple

import numpy as np

from .jit import njit

FREE, UNWRITTEN, WRITTEN = range(3)
STATE, WRITE, READ, LAUNCH, ATOMIC, FIELDS = range(6)
NONE = -1
SEVERAL = -2  # blocks that read a word without an order: what they did is elsewhere
MANY = 4095  # the thread of several reads in one block between two barriers

(
    DONE,
    OUT_OF_BOUNDS,
    MISALIGNED,
    NEVER_WRITTEN,
    RACE,
    STALE,
    MIXED,
    DEADLOCK,
    DIVERGED,
    ENDLESS,
    ALONE,
    CROWDED,
) = range(12)
OF_MEMORY = (OUT_OF_BOUNDS, MISALIGNED, NEVER_WRITTEN, RACE, STALE, MIXED, ALONE, CROWDED)
COUNTERS = 4096  # words that may be counters in one launch

MEANINGS = {
    OUT_OF_BOUNDS: "touches memory that nobody has allocated",
    MISALIGNED: "loads or stores several numbers at an address that is no multiple of their size",
    NEVER_WRITTEN: "reads what nobody has written",
    RACE: "races",
    STALE: "reads through the first cache what another block has written",
    MIXED: "touches a counter as if it were a plain number",
    DEADLOCK: "waits at a barrier for ever: a deadlock",
    DIVERGED: "waits at another barrier than other threads of its block",
    ENDLESS: "goes on for ever: a deadlock, or a loop without an end",
    ALONE: "waits for blocks that need not run at the same time",
    CROWDED: f"has more counters than {COUNTERS // 2}, for which the machine has room",
}


class Order(NamedTuple):
    """Clocks that blocks know of each other, if they run together; else empty.

    Attributes
    ----------
    seen : array (blocks, blocks) of int32
        Clock up to which all that a block (column) did is known in another (row).
    acquired : array (blocks * threads, blocks) of int32
        The same, which one thread has acquired since the block's last barrier.
    fenced : array (blocks * threads, blocks) of int32
        What a thread knew at its last fence.
    relaxed : array (blocks * threads, blocks) of int32
        What relaxed reads will have acquired at the next fence.
    released : array (counters, blocks) of int32
        What was released at each counter.
    """

    seen: np.ndarray
    acquired: np.ndarray
    fenced: np.ndarray
    relaxed: np.ndarray
    released: np.ndarray


def order(blocks, threads, together):
    """Return the order at the start of a launch."""
    n = blocks if together else 0
    shapes = (n, n), *[(n * threads, n)] * 3, (COUNTERS, n)
    return Order(*(np.zeros(shape, np.int32) for shape in shapes))


@njit(inline="always")
def access_of(block, clock, thread):
    """Return an access as a number."""
    return (np.int64(block) << 36) | (np.int64(clock) << 12) | np.int64(thread)


@njit(inline="always")
def _block_of(access):
    return access >> 36


@njit(inline="always")
def _clock_of(access):
    return (access >> 12) & 0xFFFFFF


@njit(inline="always")
def _thread_of(access):
    return access & 0xFFF


@njit
def _before(order, threads, earlier, block, clock, thread):
    """Whether an access is ordered before whatever a thread does now."""
    of = _block_of(earlier)
    at = _clock_of(earlier)
    if of == block:
        return at < clock or _thread_of(earlier) == thread
    if order.seen.shape[0] == 0:
        return False
    known = max(order.seen[block, of], order.acquired[block * threads + thread, of])
    return at < known


@njit
def _renew(words, word, launch):
    """Forget accesses of launches before, which all end before the next begins."""
    if words[word, LAUNCH] != launch:
        words[word, LAUNCH] = launch
        words[word, WRITE] = NONE
        words[word, READ] = NONE
        words[word, ATOMIC] = NONE


@njit
def _visit(words, word, launch, least):
    """Begin an access to a word whose state must be `least`; return a fault or `DONE`."""
    if word < 0 or word >= len(words) or words[word, STATE] == FREE:
        return OUT_OF_BOUNDS
    if words[word, STATE] < least:
        return NEVER_WRITTEN
    _renew(words, word, launch)
    return DONE


@njit
def read(g, shape, word, block, clock, thread, uncached):
    """Note a read of a word of global memory; return a fault or `DONE`."""
    fault = _visit(g.words, word, shape.launch, WRITTEN)
    if fault != DONE:
        return fault
    if g.words[word, ATOMIC] != NONE:
        return MIXED
    written = g.words[word, WRITE]
    if written != NONE:
        if not _before(g.order, shape.threads, written, block, clock, thread):
            return RACE
        if not uncached and _block_of(written) != block:
            return STALE
    now = access_of(block, clock, thread)
    last = g.words[word, READ]
    if last == NONE:
        g.words[word, READ] = now
    elif last < NONE:
        g.readers[word, block] = _joined(g.readers[word, block], now)
    elif _block_of(last) == block:
        g.words[word, READ] = _joined(last, now)
    elif _before(g.order, shape.threads, last, block, clock, thread):
        g.words[word, READ] = now
    else:
        g.readers[word, :] = NONE
        g.readers[word, _block_of(last)] = last
        g.readers[word, block] = now
        g.words[word, READ] = SEVERAL
    return DONE


@njit(inline="always")
def _joined(last, now):
    """Return the last read of a block's threads after one more."""
    if last == NONE or _clock_of(last) < _clock_of(now) or last == now:
        return now
    return now | MANY


@njit
def write(g, shape, word, block, clock, thread):
    """Note a write of a word of global memory; return a fault or `DONE`."""
    fault = _visit(g.words, word, shape.launch, UNWRITTEN)
    if fault != DONE:
        return fault
    if g.words[word, ATOMIC] != NONE:
        return MIXED
    if not _all_before(g, shape.threads, word, block, clock, thread):
        return RACE
    g.words[word, STATE] = WRITTEN
    g.words[word, WRITE] = access_of(block, clock, thread)
    g.words[word, READ] = NONE
    return DONE


@njit
def _all_before(g, threads, word, block, clock, thread):
    """Whether the last write of a word and all reads since are ordered before now."""
    written = g.words[word, WRITE]
    if written != NONE and not _before(g.order, threads, written, block, clock, thread):
        return False
    last = g.words[word, READ]
    if last > NONE:
        return _before(g.order, threads, last, block, clock, thread)
    if last < NONE:
        for other in g.readers[word]:
            if other != NONE and not _before(g.order, threads, other, block, clock, thread):
                return False
    return True


# -- counters --------------------------------------------------------------------------------------


@njit
def touch_counter(g, shape, word, block, clock, thread):
    """Note that a word is used as a counter; return a fault or `DONE`."""
    fault = _visit(g.words, word, shape.launch, WRITTEN)
    if fault != DONE:
        return fault
    if g.order.seen.shape[0] == 0:
        return ALONE
    if g.words[word, ATOMIC] == NONE:
        if not _all_before(g, shape.threads, word, block, clock, thread):
            return RACE
        if g.counters[0] == COUNTERS:
            return CROWDED
        g.words[word, ATOMIC] = g.counters[0]
        g.counters[0] += 1
    return DONE


@njit
def _join(target, source):
    for i in range(len(target)):
        target[i] = max(target[i], source[i])


@njit
def fence(order, threads, block, clock, thread):
    """Let a thread's later additions to counters release what it knows now."""
    if order.seen.shape[0]:
        me = block * threads + thread
        _join(order.acquired[me], order.relaxed[me])
        _join(order.fenced[me], order.seen[block])
        _join(order.fenced[me], order.acquired[me])
        order.fenced[me, block] = clock


@njit
def release(order, counter, threads, block, thread):
    """Give what a thread knew at its last fence to whoever acquires the counter."""
    _join(order.released[counter], order.fenced[block * threads + thread])


@njit
def acquire(order, counter, threads, block, thread, relaxed):
    """Let a thread know what was released at a counter, at once or at its next fence."""
    me = block * threads + thread
    _join(order.relaxed[me] if relaxed else order.acquired[me], order.released[counter])


@njit
def pass_barrier(order, threads, block):
    """Let all threads of a block know what one of them has acquired."""
    if order.seen.shape[0]:
        for thread in range(threads):
            _join(order.seen[block], order.acquired[block * threads + thread])


# -- shared memory ---------------------------------------------------------------------------------


@njit
def read_shared(words, word, clock, thread):
    """Note a read of a word of a block's shared memory (words, 2); return a fault or `DONE`."""
    if word < 0 or word >= len(words):
        return OUT_OF_BOUNDS
    written = words[word, 0]
    if written == NONE:
        return NEVER_WRITTEN
    if _clock_of(written) == clock and _thread_of(written) != thread:
        return RACE
    words[word, 1] = _joined(words[word, 1], access_of(0, clock, thread))
    return DONE


@njit
def write_shared(words, word, clock, thread):
    """Note a write of a word of a block's shared memory; return a fault or `DONE`."""
    if word < 0 or word >= len(words):
        return OUT_OF_BOUNDS
    for last in words[word]:
        if last != NONE and _clock_of(last) == clock and _thread_of(last) != thread:
            return RACE
    words[word, 0] = access_of(0, clock, thread)
    words[word, 1] = NONE
    return DONE
