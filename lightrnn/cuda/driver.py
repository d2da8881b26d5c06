"""The GPU and the package numba-cuda: whether they can be used, their limits, memory and copies.

Every call of NVIDIA's driver is here and in `jit`.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

THREADS = 256  # of a block, unless a kernel says otherwise; a power of two
SHARED = 48 * 1024  # bytes of shared memory that a block may have without an attribute being set
# Compute capability. Older GPUs lack the acquire and release operations of the barrier between
# blocks (before 7.0), or were never tested.
OLDEST = (7, 5)
_INSTALL = "pip install 'numba-cuda[cu12]' or 'numba-cuda[cu13]', for the driver's version of CUDA"
_ELSEWHERE = "Use device='cpu' where there is no GPU; the weights are the same"


# -- the GPU ---------------------------------------------------------------------------------------


class Limits(NamedTuple):
    """Limits of a GPU that decide how kernels are launched."""

    multiprocessors: int
    shared_bytes: int = SHARED  # of a block
    threads: int = 256  # of a block


def cuda() -> Any:
    """Return the module numba.cuda.

    Raises
    ------
    RuntimeError
        If the package numba-cuda is not installed.
    """
    if find_spec("numba_cuda") is None:
        raise RuntimeError(
            "device='cuda' needs the package numba-cuda, which is not installed. "
            f"{_INSTALL}. {_ELSEWHERE}."
        )
    from numba import cuda

    return cuda


def present() -> bool:
    """Whether there is a GPU that can be used."""
    try:
        open_device(0)
    except RuntimeError:
        return False
    return True


def open_device(number: int) -> Limits:
    """Return a GPU's limits.

    Raises
    ------
    RuntimeError
        If numba-cuda is not installed, no driver is found, there is no such GPU, or it is too old.
    """
    module = cuda()
    count = _count(module)
    if not count:
        raise RuntimeError(
            "device='cuda' needs an NVIDIA GPU, and the driver sees none. "
            f"Check nvidia-smi and CUDA_VISIBLE_DEVICES. {_ELSEWHERE}."
        )
    if number >= count:
        raise RuntimeError(
            f"device='cuda:{number}' needs GPU number {number}, and the driver sees {count}, "
            f"counted from 0. Choose one of them. {_ELSEWHERE}."
        )
    device = module.gpus[number]
    if tuple(device.compute_capability) < OLDEST:
        raise RuntimeError(
            f"device='cuda' needs a GPU of compute capability {_version(OLDEST)} or later, and GPU "
            f"{number} has {_version(device.compute_capability)}. Use device='cpu' or another GPU."
        )
    return Limits(int(device.MULTIPROCESSOR_COUNT), most_shared(device))


def _count(module: Any) -> int:
    """Return the number of GPUs."""
    try:
        return len(module.gpus)
    except Exception as error:  # its class is in a private module, and depends on what is missing
        reason = " ".join(str(error).split())[:200]
        raise RuntimeError(
            f"device='cuda' needs NVIDIA's driver, which could not be used ({reason}). "
            f"Install it; its libraries come with {_INSTALL}. {_ELSEWHERE}."
        ) from error


def _version(capability: Any) -> str:
    """Return a compute capability as NVIDIA writes it."""
    return ".".join(map(str, capability))


def most_shared(device: Any) -> int:
    """Return the most bytes of shared memory that a block can have."""
    return int(device.MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)


class Streams(NamedTuple):
    """The two queues of a GPU, which it works off at the same time.

    All networks share them: blocks that wait for each other must all be running, so that two such
    kernels must never run at once.
    """

    runs: Any  # kernels, and copies on the GPU
    copies: Any  # copies from the host


_streams: dict[int, Streams] = {}
_making = Lock()


def streams(number: int) -> Streams:
    """Return the streams of a GPU, the same ones for all threads."""
    with _making, current(number):
        if number not in _streams:
            _streams[number] = Streams(cuda().stream(), cuda().stream())
        return _streams[number]


def current(number: int) -> Any:
    """Return a context within which this GPU is the thread's current one."""
    return cuda().gpus[number]


# -- memory ----------------------------------------------------------------------------------------


def memory() -> tuple[int, int]:
    """Return the current GPU's free and total bytes."""
    free, total = cuda().current_context().get_memory_info()
    return free, total


class Array(NamedTuple):
    """An array on a GPU."""

    holder: Any  # the memory lives as long as this object
    address: int
    size: int
    name: str  # of its dtype
    device: int


NOTHING = Array(None, 0, 0, "", 0)


def allocate(size: int, dtype: np.dtype) -> Array:
    """Return an array on the current GPU.

    Raises
    ------
    MemoryError
        If there is too little memory.
    """
    try:
        holder = cuda().device_array(size, dtype)
    except Exception as error:  # its class is in a private module
        if "OUT_OF_MEMORY" in str(error):
            raise MemoryError from error
        raise
    address, device = address_of(holder)
    return Array(holder, address, size, dtype.name, device)


def address_of(holder: Any) -> tuple[int, int]:
    """Return where an array of numba-cuda begins, and on which GPU it is."""
    return holder.__cuda_array_interface__["data"][0], cuda().get_current_device().id


def pinned(size: int, dtype: np.dtype) -> np.ndarray:
    """Return an array of the host that the GPU can copy while both work."""
    array: np.ndarray = cuda().pinned_array(size, dtype)
    return array


def copy_to_device(target: Array, source: np.ndarray, size: int, stream: Any) -> None:
    """Copy the first `size` elements of a host array to the beginning of a device array."""
    count = size * source.itemsize
    call("cuMemcpyHtoDAsync", target.address, source.ctypes.data, count, int(stream))


def copy_on_device(
    target: tuple[Array, int], source: tuple[Array, int], size: int, stream: Any
) -> None:
    """Copy `size` elements between device arrays, each given with its first element."""
    itemsize = np.dtype(target[0].name).itemsize
    to, of = (array.address + place * itemsize for array, place in (target, source))
    call("cuMemcpyDtoDAsync", to, of, size * itemsize, int(stream))


def copy_to_host(target: np.ndarray, source: Array, place: int, stream: Any) -> None:
    """Copy the elements from `place` on to a host array; returns at once if that is pinned."""
    start = source.address + place * target.itemsize
    call("cuMemcpyDtoHAsync", target.ctypes.data, start, target.nbytes, int(stream))


@cache
def bindings() -> Any:
    """Return NVIDIA's own bindings of the driver, which numba-cuda uses too."""
    from cuda.bindings import driver

    return driver


def call(name: str, *arguments: Any) -> Any:
    """Call a function of the driver and return its result."""
    status, *results = getattr(bindings(), name)(*arguments)
    if status:
        raise RuntimeError(
            f"device='cuda' failed: the driver's {name} returned {status.name}. Use device='cpu'."
        )
    return results[0] if results else None
