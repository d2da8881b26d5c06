"""How the blocks of a group wait for each other.

One thread of each block calls `arrive_and_wait`, after a barrier of its own block and before
another. What all threads of all blocks wrote before is then seen by whoever reads it past the
first cache. The blocks must all run at the same time, and nothing else with blocks that wait.
"""

from numba.extending import register_jitable

from ..intrinsics import acquire, add, fence


@register_jitable
def arrive_and_wait(ints, counter, blocks, number):
    """Wait until all blocks of the group have come here for the `number`-th time, from 1 on.

    The counter, 0 at first, only ever grows: a block that is late finds the door still open.
    """
    fence()
    add(ints, counter, 1)
    while acquire(ints, counter) < blocks * number:
        pass
