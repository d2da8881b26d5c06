"""The GPU and the package numba-cuda: whether they are there, what they can do, and how kernels are compiled.

Every kernel has the arguments ``(floats, ints, at)``: one array holds all numbers, of the network's dtype, one all
indices, and `at` says where among the indices the kernel's own arguments begin. A launch costs some microseconds for
every array that it is given. No ``fastmath``: it would make tanh wrong in the fourth digit.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, NamedTuple

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")
THREADS = 4 if SIMULATED else 256  # of a block, unless a kernel says otherwise; a power of two
OLDEST = (7, 5)  # compute capability; older ones lack what the barrier between blocks needs, or are not tested
_INSTALL = "pip install 'lightrnn[cuda12]' or 'lightrnn[cuda13]', for the driver's version of CUDA"
_ELSEWHERE = "Use device='cpu' where there is no GPU; the weights are the same"


class Limits(NamedTuple):
    """What a GPU has, as far as kernels depend on it."""

    multiprocessors: int
    shared_bytes: int = 48 * 1024  # of a block, without asking for more
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
    """Make a GPU this thread's current one and return its limits.

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
    module.select_device(number)
    device = module.get_current_device()
    if tuple(device.compute_capability) < OLDEST:
        raise RuntimeError(
            f"device='cuda' needs a GPU of compute capability {_version(OLDEST)} or later, and GPU {number} has "
            f"{_version(device.compute_capability)}. Use device='cpu' or another GPU."
        )
    return Limits(int(device.MULTIPROCESSOR_COUNT))


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


def memory() -> tuple[int, int]:
    """Return the current GPU's free and total bytes."""
    free, total = cuda().current_context().get_memory_info()
    return free, total


def allocate(size: int, dtype: Any) -> Any:
    """Return an array on the current GPU.

    Raises
    ------
    MemoryError
        If there is not so much memory.
    """
    try:
        return cuda().device_array(size, dtype)
    except Exception as error:  # its class is in a private module
        if "OUT_OF_MEMORY" in str(error):
            raise MemoryError from error
        raise


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a kernel when it is first launched."""
    compiled: Callable[..., Any] = cuda().jit(function)
    return compiled
