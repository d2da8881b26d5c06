"""Numba's simulator in place of the GPU: functions that `driver.stand_in` looks up by name.

The simulator runs kernels as Python, each thread of a block as a thread of the host
(``NUMBA_ENABLE_CUDASIM=1``). Types are those of the functions that these stand in for.
"""

import warnings

from numba import cuda, types

# -- memory and launches ---------------------------------------------------------------------------


def address_of(holder):
    """Return address 0 and GPU 0: arrays are found by their holder."""
    return 0, 0


def copy_to_device(target, source, size, stream):
    """Copy the first `size` elements of a host array to the beginning of a device array."""
    target.holder[:size].copy_to_device(source[:size])


def copy_on_device(target, source, size, stream):
    """Copy `size` elements between device arrays, each given with its first element."""
    to, place = target
    of, begin = source
    to.holder[place : place + size].copy_to_device(of.holder[begin : begin + size])


def copy_to_host(target, source, place, stream):
    """Copy the elements from `place` on to a host array."""
    source.holder[place : place + len(target)].copy_to_host(target)


def load_kernel(kernel, dtype):
    """Return a kernel as the simulator runs it."""
    return cuda.jit(kernel.py_func)


def launch_kernel(loaded, arguments, grid, shared, stream):
    """Run a kernel to its end."""
    floats, ints = arguments.arrays
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, of numbers that are not finite: a GPU gives none
        run = loaded[grid.blocks, grid.threads, stream, shared]
        run(floats.holder, ints.holder, int(arguments.values[2]))


def launched_steps(T, blocks, back):
    """Return one launch per step where blocks wait: the simulator runs them in turn."""
    if blocks == 1:
        return [(0, T)]
    steps = [(t, t + 1) for t in range(T)]
    return steps[::-1] if back else steps


# -- functions that kernels call -------------------------------------------------------------------


def device_function(function):
    """Let the simulator set ``cuda.threadIdx`` in this function's module, too."""
    return cuda.jit(device=True)(function)


def shared_memory(dtype):
    """Build the function that returns a block's shared memory."""
    return device_function(lambda: cuda.shared.array(0, getattr(types, dtype)))


def pointer(array):
    """Arrays need no pointers in Python."""
    return array


def load4(array, i):
    """Return four elements."""
    return tuple(array[i + k] for k in range(4))


def store4(array, i, values):
    """Store four elements."""
    for k in range(4):
        array[i + k] = values[k]


def load_uncached(array, index):
    """Load an element; there is no cache to go past."""
    return array[index]


acquire = load_uncached


def add(array, index, number):
    """Add to a counter."""
    array[index] += number


def fence():
    """Memory has one order here."""


def opaque(x):
    """Python derives nothing from a number."""
    return x
