"""Kernels: how they are compiled, kept on disk and launched.

Every kernel has the arguments ``(floats, ints, at)``: one array holds all numbers, of the network's dtype, one all
indices, and `at` says where among the indices the kernel's own arguments begin. Arrays are given as pointers: a launch
costs less, and an index is never taken to be counted from the end. No ``fastmath``: it would make tanh wrong in the
fourth digit.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from numba import types
from numba.extending import register_jitable

from ..cpu import cache as disk
from .driver import SIMULATED, Array, bindings, cuda, do, most_shared

Shape = tuple[int, int, int]


def signature(dtype: str) -> Any:
    """Return the types of a kernel's arguments: where the numbers and the indices are, and a place among the latter."""
    return types.void(
        types.CPointer(getattr(types, dtype)), types.CPointer(types.int64), types.int64
    )


class Arguments:
    """What kernels are given: numbers, indices, and where among the latter their own arguments begin, the last set."""

    def __init__(self, floats: Array, ints: Array) -> None:
        self.arrays = floats, ints
        self.values = np.array([floats.address, ints.address, 0], np.int64)
        self._pointers = self.values.ctypes.data + 8 * np.arange(3)
        self.address = self._pointers.ctypes.data


class Kernel:
    """A kernel, compiled for a dtype when it is first launched, and kept on disk.

    Parameters
    ----------
    function : callable
        Of ``(floats, ints, at)``.
    made_of : tuple
        What a factory that makes several of one source has made it of; it is in the name, by which all are told apart.
    """

    _known: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, function: Callable[..., Any], made_of: tuple[Any, ...]) -> None:
        self.py_func = function
        name = f"{function.__module__.removeprefix('lightrnn.')}.{function.__name__}"
        self.name = "-".join([name, *map(str, made_of)])
        if self._known.setdefault(self.name, function.__code__) is not function.__code__:
            raise RuntimeError(
                f"{self.name} must be the name of one kernel, got two. They would be given one's code."
            )
        self._loaded: dict[tuple[str, int], Any] = {}

    def launch(
        self,
        arguments: Arguments,
        at: int,
        grid: Shape,
        block: Shape,
        shared: int,
        stream: Any,
        together: bool = False,
    ) -> None:
        """Let it run, all blocks together or not; a block has `shared` bytes of shared memory."""
        floats, ints = arguments.arrays
        key = floats.name, floats.device
        if key not in self._loaded:
            self._loaded[key] = cuda().jit(self.py_func) if SIMULATED else self._load(floats.name)
        if SIMULATED:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what is not finite: a GPU does not warn
                self._loaded[key][grid, block, stream, shared](floats.holder, ints.holder, at)
            return
        arguments.values[2] = at
        # numba.cuda would do it too, but takes ten times as long.
        shape = *grid, *block, shared, int(stream), arguments.address
        if together:
            do("cuLaunchCooperativeKernel", self._loaded[key], *shape)
        else:
            do("cuLaunchKernel", self._loaded[key], *shape, 0)

    def _load(self, dtype: str) -> Any:
        """Load it to the current GPU, and let a block have as much shared memory as there is."""
        device = cuda().get_current_device()
        entry, _, code = self.code(dtype, tuple(device.compute_capability)).partition(b"\0")
        function = do("cuModuleGetFunction", do("cuModuleLoadData", code), entry)
        attribute = bindings().CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        do("cuFuncSetAttribute", function, attribute, most_shared(device))
        return function

    def code(self, dtype: str, capability: tuple[int, ...]) -> bytes:
        """Return its name in machine code and, after a zero, the code; from the cache on disk, or compiled for it."""
        versions = (version(package) for package in ("numba-cuda", "cuda-core"))
        architecture = f"sm_{capability[0]}{capability[1]}"
        file = f"{self.name}-{dtype}-{architecture}-{'-'.join(versions)}.code"
        found = disk.read(file)
        if found is None:
            ptx = self.ptx(dtype, capability)
            entry = re.search(r"\.entry\s+(\w+)", ptx)
            assert entry
            found = entry[1].encode() + b"\0" + _linked(ptx, architecture)
            disk.write(file, found)
        return found

    def ptx(self, dtype: str, capability: tuple[int, ...]) -> str:
        """Compile it as far as the part that all GPUs of a generation and later ones understand."""
        text: str = cuda().compile_ptx(self.py_func, signature(dtype), cc=capability[:2])[0]
        return text


def kernel(*made_of: Any) -> Callable[[Callable[..., Any]], Kernel]:
    """Let a function, made of something, be a `Kernel`."""
    return lambda function: Kernel(function, made_of)


def device_function(function: Callable[..., Any]) -> Any:
    """Let kernels of other modules call a function that uses the thread's own index.

    The simulator sets the index in the globals of the kernel's module alone, unless it is told of a device function.
    """
    return cuda().jit(device=True)(function) if SIMULATED else register_jitable(function)


def _linked(ptx: str, architecture: str) -> bytes:
    """Return machine code; by the toolkit's assembler, since the driver may be older than the PTX."""
    from cuda.core import Linker, LinkerOptions, ObjectCode

    code: bytes = (
        Linker(ObjectCode.from_ptx(ptx.encode()), options=LinkerOptions(arch=architecture))
        .link("cubin")
        .code
    )
    return code
