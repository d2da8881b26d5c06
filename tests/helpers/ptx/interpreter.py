"""Run a kernel: all threads of the blocks that are resident, in an order that a seed draws.

At each turn some warp is drawn, and threads of it that are at the same instruction run a few
instructions together; most often those that are furthest behind, so that the threads of a warp come
together again, and at times any others: PTX promises neither.
"""

import numpy as np

from . import shadow
from .access import add, touch, transfers
from .arithmetic import obey
from .jit import njit
from .parse import CODE, CODES, D1, GUARD, NEGATED, A, B, C, D
from .state import ENDED, LANES, RUNNING, WAITING, Fault

FAR = 2**40  # a line behind all others
ANY = 8  # one turn in so many takes threads that are not the furthest behind

_LOAD = CODES["load"]
_STORE = CODES["store"]
_PARAMETER = CODES["parameter"]
_BUILT_IN = CODES["built_in"]
_BARRIER = CODES["barrier"]
_FENCE = CODES["fence"]
_ADD = CODES["add"]
_BRANCH = CODES["branch"]
_EXIT = CODES["exit"]
_PACK = CODES["pack"]
_UNPACK = CODES["unpack"]


@njit
def _draw(random, n):
    """Return one of n numbers (xorshift64*, Vigna 2016)."""
    x = random[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    random[0] = x
    return np.int64((x * np.uint64(2685821657736338717)) >> np.uint64(33)) % n


@njit
def _begin(slot, block, shape, threads, shared):
    """Let a block become resident."""
    threads.block[slot] = block
    threads.clock[slot] = 0
    threads.waiting[slot] = 0
    threads.alive[slot] = shape.threads
    threads.line[slot, :] = 0
    threads.state[slot, :] = ENDED
    threads.state[slot, : shape.threads] = RUNNING
    shared.words[slot] = shadow.NONE


@njit
def _open(slot, shape, threads, order):
    """Let a block go on behind its barrier, once all of its threads wait there."""
    if threads.waiting[slot] and threads.waiting[slot] == threads.alive[slot]:
        threads.waiting[slot] = 0
        shadow.pass_barrier(order, shape.threads, threads.block[slot])
        threads.clock[slot] += 1
        for thread in range(shape.threads):
            if threads.state[slot, thread] == WAITING:
                threads.state[slot, thread] = RUNNING


@njit
def _chosen(slot, first, threads, random, lanes, lockstep):
    """Choose threads of a warp at one line; return their number, the line and the one to stop at.

    They stop where others of the warp are, so that these can go on with them.
    """
    lowest = FAR
    for lane in range(LANES):
        if threads.state[slot, first + lane] == RUNNING:
            lowest = min(lowest, threads.line[slot, first + lane])
    if lowest == FAR:
        return 0, lowest, lowest
    if not lockstep and _draw(random, ANY) == 0:
        start = _draw(random, LANES)
        for i in range(LANES):
            lane = (start + i) % LANES
            if threads.state[slot, first + lane] == RUNNING:
                lowest = threads.line[slot, first + lane]
                break
    count = 0
    stop = FAR
    for lane in range(LANES):
        if threads.state[slot, first + lane] == RUNNING:
            line = threads.line[slot, first + lane]
            if line == lowest:
                lanes[count] = lane
                count += 1
            else:
                stop = min(stop, max(line, lowest + 1))
    return count, lowest, stop


@njit
def _built_in(number, block, thread, shape):
    """Return a number that every thread has."""
    along = number % 3
    if number == 12:
        return shape.shared
    n = shape.block if number < 6 else shape.blocks
    if number // 3 % 2:
        return n[along]
    index = thread if number < 6 else block
    if along == 0:
        return index % n[0]
    if along == 1:
        return index // n[0] % n[1]
    return index // (n[0] * n[1])


@njit
def _prepare(constants, r, shape, threads):
    """Fill the rows of registers that never change, and free all slots."""
    for slot in range(shape.slots):
        threads.block[slot] = -1
        threads.state[slot, :] = ENDED
    for warp in range(shape.slots * shape.warps):
        for k in range(len(constants)):
            at = (warp * shape.rows + np.int64(constants[k, 0])) * LANES
            r.u64[at : at + LANES] = constants[k, 1]


@njit
def _shuffled(n, random):
    """Return the numbers below n in a random order."""
    found = np.arange(n)
    for i in range(n - 1, 0, -1):
        j = _draw(random, i + 1)
        found[i], found[j] = found[j], found[i]
    return found


@njit
def _stuck(shape, threads):
    """Return the fault of a thread that waits at a barrier for ever."""
    for slot in range(shape.slots):
        for thread in range(shape.threads):
            if threads.state[slot, thread] == WAITING:
                where = threads.where[slot]
                return Fault(shadow.DEADLOCK, where, threads.block[slot], thread, 0)
    return Fault(shadow.DEADLOCK, 0, 0, 0, 0)


@njit
def _holds(row, r, base, lane):
    """Whether an instruction's guard lets a thread run it."""
    if row[GUARD] < 0:
        return True
    return (r.u32[2 * (base + row[GUARD] * LANES + lane)] != 0) != (row[NEGATED] == 1)


@njit
def _move(row, number, arguments, r, base, block, first, shape, lanes, count):
    """Give registers what is no result of a rule."""
    code = row[CODE]
    d = base + row[D] * LANES
    a = base + row[A] * LANES
    for k in range(count):
        lane = lanes[k]
        if code == _PARAMETER:
            r.s64[d + lane] = arguments[number]
        elif code == _BUILT_IN:
            r.s64[d + lane] = _built_in(number, block, first + lane, shape)
        elif code == _PACK:
            r.u32[2 * (d + lane)] = r.u32[2 * (a + lane)]
            r.u32[2 * (d + lane) + 1] = r.u32[2 * (base + row[B] * LANES + lane)]
        else:
            r.u32[2 * (d + lane)] = r.u32[2 * (a + lane)]
            r.u32[2 * (base + row[D1] * LANES + lane)] = r.u32[2 * (a + lane) + 1]


@njit
def _reach(row, g, s, shape, threads, r, number, base, slot, first, lanes, count):
    """Let threads touch memory, one after the other; return the fault."""
    block = threads.block[slot]
    clock = threads.clock[slot]
    for k in range(count):
        lane = lanes[k]
        thread = first + lane
        if row[CODE] == _ADD:
            fault, address = add(row, number, g, shape, r, base, block, clock, thread, lane)
        elif row[CODE] == _FENCE:
            if shape.threads == 1:
                # All that the block did is then before the fence, as before a barrier.
                clock += 1
                threads.clock[slot] = clock
            shadow.fence(g.order, shape.threads, block, clock, thread)
            fault, address = shadow.DONE, 0
        else:
            fault, address = touch(
                row, number, g, s, shape, r, base, slot, block, clock, thread, lane
            )
        if fault != shadow.DONE:
            return Fault(fault, 0, block, thread, address)
    return Fault(shadow.DONE, 0, 0, 0, 0)


@njit
def run(table, numbers, constants, arguments, r, g, s, threads, shape, random, quantum, executed):
    """Run a launch to its end; return the fault.

    Parameters
    ----------
    table, numbers, constants : arrays
        Of the `Program`.
    arguments : array of int64
        Of the kernel.
    r, g, s, threads, shape : Registers, Global, Shared, Threads, Shape
        The machine.
    random : array (1,) of uint64
        State of the random numbers.
    quantum : int
        Most instructions of a turn.
    executed : array (4, instructions) of int64
        To it are added, for each instruction, the threads and the warps that ran it; and, in
        lockstep, the transfers of memory, and the fewest that could be; see `access.transfers`.
    """
    lanes = np.zeros(LANES, np.int64)
    chosen = np.zeros(LANES, np.int64)
    blocks = shape.blocks[0] * shape.blocks[1] * shape.blocks[2]
    coming = _shuffled(blocks, random)
    _prepare(constants, r, shape, threads)
    begun = 0
    ended = 0
    instructions = 0
    last = 0  # instruction for which others may have waited
    while ended < blocks:
        for slot in range(shape.slots):
            if threads.block[slot] < 0 and begun < blocks:
                _begin(slot, coming[begun], shape, threads, s)
                begun += 1
        # A warp that can go on.
        warps = shape.slots * shape.warps
        start = _draw(random, warps)
        count = 0
        slot = first = warp = 0
        line = stop = FAR
        for i in range(warps):
            warp = (start + i) % warps
            slot = warp // shape.warps
            first = warp % shape.warps * LANES
            count, line, stop = _chosen(slot, first, threads, random, lanes, shape.lockstep)
            if count:
                break
        if count == 0:
            return _stuck(shape, threads)
        base = warp * shape.rows * LANES
        end = instructions + 1 + _draw(random, quantum)
        go = True
        while go:
            instructions += 1
            row = table[line]
            number = numbers[line]
            code = row[CODE]
            some = 0
            for k in range(count):
                if _holds(row, r, base, lanes[k]):
                    chosen[some] = lanes[k]
                    some += 1
            executed[0, line] += some
            executed[1, line] += 1
            following = line + 1
            go = instructions < end
            if code in (_STORE, _ADD, _BARRIER, _EXIT):
                last = instructions
            if code in (_LOAD, _STORE, _ADD, _FENCE):
                if shape.lockstep and code != _FENCE:
                    passes, least = transfers(row, number, r, base, chosen, some)
                    executed[2, line] += passes
                    executed[3, line] += least
                fault = _reach(
                    row, g, s, shape, threads, r, number, base, slot, first, chosen, some
                )
                if fault.kind:
                    return Fault(fault.kind, line, fault.block, fault.thread, fault.address)
            elif code == _BRANCH:
                if some == count:
                    following = number
                    # Others of the warp may be further behind than these, or stand between.
                    go = go and (following > line or stop == FAR)
                elif some:
                    for k in range(some):
                        threads.line[slot, first + chosen[k]] = number
                    go = False
            elif code == _BARRIER or code == _EXIT:
                go = False
                if code == _BARRIER and some:
                    if threads.waiting[slot] and threads.where[slot] != line:
                        block = threads.block[slot]
                        return Fault(shadow.DIVERGED, line, block, first + chosen[0], 0)
                    threads.where[slot] = line
                    threads.waiting[slot] += some
                elif code == _EXIT:
                    threads.alive[slot] -= some
                for k in range(some):
                    threads.state[slot, first + chosen[k]] = WAITING if code == _BARRIER else ENDED
            elif code in (_PARAMETER, _BUILT_IN, _PACK, _UNPACK):
                block = threads.block[slot]
                _move(row, number, arguments, r, base, block, first, shape, chosen, some)
            else:
                d = base + row[D] * LANES
                a = base + row[A] * LANES
                b = base + row[B] * LANES
                c = base + row[C] * LANES
                obey(code, r.u32, r.s32, r.f32, r.u64, r.s64, r.f64, d, a, b, c, chosen, some)
            go = go and following < stop
            if not go:
                split = code == _BRANCH and 0 < some < count
                for k in range(count):
                    lane = lanes[k]
                    if not (split and _holds(row, r, base, lane)):
                        threads.line[slot, first + lane] = following
            line = following
        _open(slot, shape, threads, g.order)
        if threads.alive[slot] == 0:
            ended += 1
            threads.block[slot] = -1
            threads.alive[slot] = 1
        if instructions > min(shape.most, last + shape.idle):
            return Fault(shadow.ENDLESS, line, threads.block[slot], first + lanes[0], 0)
    return Fault(shadow.DONE, 0, 0, 0, 0)
