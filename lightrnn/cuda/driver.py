"""The GPU and the package numba-cuda: whether they are there, what they can do, and its memory."""

from __future__ import annotations

import os
from functools import cache
from importlib.util import find_spec
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")
THREADS = 4 if SIMULATED else 256  # of a block, unless a kernel says otherwise; a power of two
OLDEST = (
    7,
    5,
)  # compute capability; older ones lack what the barrier between blocks needs, or are not tested
_INSTALL = "pip install 'lightrnn[cuda12]' or 'lightrnn[cuda13]', for the driver's version of CUDA"
_ELSEWHERE = "Use device='cpu' where there is no GPU; the weights are the same"


SHARED = 48 * 1024  # bytes of a block's shared memory, without asking for more


class Limits(NamedTuple):
    """What a GPU has, as far as kernels depend on it."""

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
            f"device='cuda' needs the package numba-cuda, which is not installed. {_INSTALL}. {_ELSEWHERE}."
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
    if SIMULATED:
        return Limits(2, threads=8)
    count = _count(module)
    if not count:
        raise RuntimeError(
            f"device='cuda' needs an NVIDIA GPU, and the driver sees none. Check nvidia-smi and CUDA_VISIBLE_DEVICES. "
            f"{_ELSEWHERE}."
        )
    if number >= count:
        raise RuntimeError(
            f"device='cuda:{number}' needs GPU number {number}, and the driver sees {count}, counted from 0. Choose "
            f"one of them. {_ELSEWHERE}."
        )
    device = module.gpus[number]
    if tuple(device.compute_capability) < OLDEST:
        raise RuntimeError(
            f"device='cuda' needs a GPU of compute capability {_version(OLDEST)} or later, and GPU {number} has "
            f"{_version(device.compute_capability)}. Use device='cpu' or another GPU."
        )
    return Limits(int(device.MULTIPROCESSOR_COUNT), most_shared(device))


def _count(module: Any) -> int:
    """Return the number of GPUs."""
    try:
        return len(module.gpus)
    except Exception as error:  # its class is in a private module, and depends on what is missing
        reason = " ".join(str(error).split())[:200]
        raise RuntimeError(
            f"device='cuda' needs NVIDIA's driver, which could not be used ({reason}). Install it; its libraries come "
            f"with {_INSTALL}. {_ELSEWHERE}."
        ) from error


def _version(capability: Any) -> str:
    return ".".join(map(str, capability))


class Streams(NamedTuple):
    """What a GPU does in turn: kernels, of all networks, since blocks that wait must all run; beside them, copies."""

    runs: Any
    copies: Any


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


# -- memory -----------------------------------------------------------------------------------------------------------


def memory() -> tuple[int, int]:
    """Return the current GPU's free and total bytes."""
    free, total = cuda().current_context().get_memory_info()
    return free, total


class Array(NamedTuple):
    """An array on a GPU."""

    holder: Any  # while it lives, so does the memory
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
        If there is not so much memory.
    """
    try:
        holder = cuda().device_array(size, dtype)
    except Exception as error:  # its class is in a private module
        if "OUT_OF_MEMORY" in str(error):
            raise MemoryError from error
        raise
    if SIMULATED:
        return Array(holder, 0, size, dtype.name, 0)
    address = holder.__cuda_array_interface__["data"][0]
    return Array(holder, address, size, dtype.name, cuda().get_current_device().id)


def pinned(size: int, dtype: np.dtype) -> np.ndarray:
    """Return an array of the host that the GPU can read while both work."""
    array: np.ndarray = cuda().pinned_array(size, dtype)
    return array


def send(target: Array, source: np.ndarray, size: int, stream: Any) -> None:
    """Copy the first elements of an array of the host to where another begins."""
    if SIMULATED and size:
        target.holder[:size].copy_to_device(source[:size])
    elif size:
        do(
            "cuMemcpyHtoDAsync",
            target.address,
            source.ctypes.data,
            size * source.itemsize,
            int(stream),
        )


def move(
    target: Array, place: int, source: Array, begin: int, size: int, itemsize: int, stream: Any
) -> None:
    """Copy elements from a place in an array to one in another."""
    if SIMULATED and size:
        target.holder[place : place + size].copy_to_device(source.holder[begin : begin + size])
    elif size:
        to, of = target.address + place * itemsize, source.address + begin * itemsize
        do("cuMemcpyDtoDAsync", to, of, size * itemsize, int(stream))


def fetch(target: np.ndarray, source: Array, place: int, stream: Any) -> None:
    """Copy elements to the host; if its memory is pinned, this returns at once."""
    if SIMULATED and len(target):
        source.holder[place : place + len(target)].copy_to_host(target)
    elif len(target):
        start = source.address + place * target.itemsize
        do("cuMemcpyDtoHAsync", target.ctypes.data, start, target.nbytes, int(stream))


@cache
def bindings() -> Any:
    """Return NVIDIA's own bindings of the driver, on which numba-cuda stands."""
    from cuda.bindings import driver

    return driver


def do(name: str, *arguments: Any) -> Any:
    """Call the driver itself and return what it returns."""
    status, *results = getattr(bindings(), name)(*arguments)
    if status:
        raise RuntimeError(
            f"device='cuda' failed: the driver's {name} returned {status.name}. Use device='cpu'."
        )
    return results[0] if results else None


def most_shared(device: Any) -> int:
    """Return how many bytes of shared memory a block can have."""
    return int(device.MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)
