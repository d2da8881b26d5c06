"""Counts of what a launch has executed in lockstep: a first measure of speed that needs no GPU."""

from typing import NamedTuple

from .parse import CODE, CODES, COUNT, GLOBAL, ORDER, SPACE, WEAK, WIDTH
from .rules import FLOATS, RULES

KINDS = ("multiply-add", "float", "integer", "memory", "control")
_MEMORY = {CODES[name] for name in ("load", "store", "add", "fence")}
_CONTROL = {CODES[name] for name in ("barrier", "branch", "exit")}


class Counts(NamedTuple):
    """Counts of one launch, or differences of two of one kernel.

    Attributes
    ----------
    warps : dict of str to int
        Instructions of warps by `KINDS`.
    multiply_adds : int
        Those of threads.
    shared_words : int
        Words of four bytes that threads read from shared memory.
    transfers, least : int
        Transfers of shared memory, and the fewest that the bytes need; see `access.transfers`.
    global_bytes, l2_bytes : int
        Sectors of global memory in bytes: through the first cache, and past it.
    barriers, arrivals : int
        Barriers of blocks, and arrivals of blocks at a barrier between them.
    """

    warps: dict[str, int]
    multiply_adds: int
    shared_words: int
    transfers: int
    least: int
    global_bytes: int
    l2_bytes: int
    barriers: int
    arrivals: int

    @property
    def instructions(self):
        """All instructions of warps."""
        return sum(self.warps.values())


def kind_of(line, code):
    """Return the kind of an instruction, given as text and as a code."""
    if code in _MEMORY:
        return "memory"
    if code in _CONTROL:
        return "control"
    name = line.split()[0]
    if name.startswith("fma."):
        return "multiply-add"
    rule = RULES.get(name)
    return "float" if rule and {rule.result, *rule.operands} & {*FLOATS} else "integer"


def counts_of(program, executed, block_warps):
    """Count what a launch has executed, an array (4, instructions); see `interpreter.run`."""
    threads, warps, transfers, least = executed
    codes = program.table[:, CODE]
    kinds = [kind_of(line, code) for line, code in zip(program.lines, codes, strict=True)]
    by_kind = dict.fromkeys(KINDS, 0)
    for kind, count in zip(kinds, warps.tolist(), strict=True):
        by_kind[kind] += count
    moves = (codes == CODES["load"]) | (codes == CODES["store"])
    shared = moves & (program.table[:, SPACE] != GLOBAL)
    far = moves & ~shared
    past = far & (program.table[:, ORDER] != WEAK)
    words = threads * program.table[:, WIDTH] * program.table[:, COUNT]
    fused = [kind == "multiply-add" for kind in kinds]
    return Counts(
        warps=by_kind,
        multiply_adds=int(threads[fused].sum()),
        shared_words=int(words[shared & (codes == CODES["load"])].sum()),
        transfers=int(transfers[shared].sum()),
        least=int(least[shared].sum()),
        global_bytes=32 * int(transfers[far & ~past].sum()),
        l2_bytes=32 * int(transfers[past].sum()),
        barriers=int(warps[codes == CODES["barrier"]].sum()) // block_warps,
        arrivals=int(threads[codes == CODES["add"]].sum()),
    )
