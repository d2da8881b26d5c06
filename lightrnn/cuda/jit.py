"""Kernels: how they are compiled, kept on disk and launched, and how they read their arguments.

Every kernel has the arguments ``(floats, ints, at)``: one array holds all numbers, of the network's
dtype, one all indices, and `at` is where among the indices the kernel's own arguments begin. Their
names and order are a NamedTuple: the host packs one (`flattened`) and the kernel reads the same one
(`reader`). Arrays are given as pointers: a launch costs less, and Numba, which for an array takes a
negative index to count from the end, compiles no such case. No ``fastmath``: it would make tanh
wrong in the fourth digit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import version
from itertools import accumulate
from typing import Annotated, Any, NamedTuple, get_type_hints

import numpy as np
from numba import types
from numba.extending import register_jitable

from ..cpu import cache as disk
from ..cpu.compiling import STOPWATCH
from . import driver
from .driver import Array, bindings, most_shared
from .registers import short, tuple_of

Shape = tuple[int, int, int]
Int32 = Annotated[int, 32]  # an argument that a kernel computes with as a number of 32 bits


# -- arguments -------------------------------------------------------------------------------------


def flattened(arguments: Any) -> Iterator[int]:
    """Yield the numbers of a NamedTuple of arguments, those of the NamedTuples in it included."""
    for value in arguments:
        yield from flattened(value) if isinstance(value, tuple) else (value,)


@cache
def reader(names: Any) -> Callable[..., Any]:
    """Build the function from ``(ints, at)`` to a NamedTuple that `flattened` has packed.

    Parameters
    ----------
    names : type of NamedTuple
        Fields are indices (int), short ones (`Int32`), or NamedTuples of these.
    """
    kinds = list(get_type_hints(names, include_extras=True).values())
    offsets = list(accumulate(map(_length, kinds), initial=0))
    values = tuple_of(lambda k: _field(kinds[k], offsets[k]), len(kinds))

    @register_jitable
    def read(ints, at):
        return names(*values(ints, at))

    return read


@cache
def _field(kind: Any, offset: int) -> Callable[..., Any]:
    """Build the function that reads the field `offset` numbers after the first."""
    read = _READ[kind] if kind in _READ else reader(kind)

    @register_jitable
    def field(ints, at):
        return read(ints, at + offset)

    return field


def _length(kind: Any) -> int:
    """Return how many numbers a field has."""
    if kind in _READ:
        return 1
    return sum(map(_length, get_type_hints(kind, include_extras=True).values()))


@register_jitable
def _read_long(ints, at):
    return ints[at]


@register_jitable
def _read_short(ints, at):
    return short(ints[at])


_READ: dict[Any, Callable[..., Any]] = {int: _read_long, Int32: _read_short}


class Arguments:
    """The three arguments of every kernel, where the driver reads them."""

    def __init__(self, floats: Array, ints: Array) -> None:
        self.arrays = floats, ints
        self.values = np.array([floats.address, ints.address, 0], np.int64)
        # The driver takes an array of pointers, one to each argument.
        self._pointers = self.values.ctypes.data + 8 * np.arange(3)
        self.address = self._pointers.ctypes.data


# -- what kernels are built of ---------------------------------------------------------------------


def kernel(*made_of: Any) -> Callable[[Callable[..., Any]], Kernel]:
    """Let a function, made of something, be a `Kernel`."""
    return lambda function: Kernel(function, made_of)


def signature(dtype: str) -> Any:
    """Return the types of a kernel's arguments ``(floats, ints, at)``."""
    floats = types.CPointer(getattr(types, dtype))
    return types.void(floats, types.CPointer(types.int64), types.int64)


class Grid(NamedTuple):
    """How many blocks of how many threads a kernel has."""

    blocks: Shape
    threads: Shape
    shared: int = 0  # elements of shared memory of a block
    together: bool = False  # whether all blocks must run at the same time, as those that wait must


class Kernel:
    """A kernel, compiled for a dtype when it is first launched, and kept on disk.

    Parameters
    ----------
    function : callable
        Of ``(floats, ints, at)``.
    made_of : tuple
        Arguments of the factory that made the function; kernels of one source differ by these, and
        so does the name by which the code on disk is found.
    """

    _known: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, function: Callable[..., Any], made_of: tuple[Any, ...]) -> None:
        self.py_func = function
        name = f"{function.__module__.removeprefix('lightrnn.')}.{function.__name__}"
        self.name = "-".join([name, *map(str, made_of)])
        if self._known.setdefault(self.name, function.__code__) is not function.__code__:
            raise RuntimeError(
                f"{self.name} must be the name of one kernel, got two. "
                "They would be given one's code."
            )
        self._loaded: dict[tuple[str, int], Any] = {}

    def launch(self, arguments: Arguments, at: int, grid: Grid, stream: Any) -> None:
        """Let the kernel run after those before in the stream."""
        floats, _ = arguments.arrays
        key = floats.name, floats.device
        if key not in self._loaded:
            self._loaded[key] = load_kernel(self, floats.name)
        arguments.values[2] = at
        shared = grid.shared * np.dtype(floats.name).itemsize
        launch_kernel(self._loaded[key], arguments, grid, shared, stream)

    def code(self, dtype: str, capability: tuple[int, ...]) -> bytes:
        """Return the name in machine code and, after a zero, the code: from disk, or compiled."""
        versions = (version(package) for package in ("numba-cuda", "cuda-core"))
        architecture = f"sm_{capability[0]}{capability[1]}"
        file = f"{self.name}-{dtype}-{architecture}-{'-'.join(versions)}.code"
        found = disk.read(file)
        if found is None:
            STOPWATCH.start()
            try:
                ptx = self.ptx(dtype, capability)
                entry = re.search(r"\.entry\s+(\w+)", ptx)
                assert entry
                found = entry[1].encode() + b"\0" + _linked(ptx, architecture)
            finally:
                STOPWATCH.stop()
            disk.write(file, found)
        return found

    def ptx(self, dtype: str, capability: tuple[int, ...]) -> str:
        """Compile to PTX, which the assembler turns into machine code of one architecture."""
        text: str = driver.cuda().compile_ptx(self.py_func, signature(dtype), cc=capability[:2])[0]
        return text


def load_kernel(kernel: Kernel, dtype: str) -> Any:
    """Load a kernel to the current GPU, and let a block have as much shared memory as there is."""
    device = driver.cuda().get_current_device()
    entry, _, code = kernel.code(dtype, tuple(device.compute_capability)).partition(b"\0")
    function = driver.call("cuModuleGetFunction", driver.call("cuModuleLoadData", code), entry)
    attribute = bindings().CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    driver.call("cuFuncSetAttribute", function, attribute, most_shared(device))
    return function


def launch_kernel(
    function: Any, arguments: Arguments, grid: Grid, shared: int, stream: Any
) -> None:
    """Launch a kernel with `shared` bytes of shared memory for a block.

    The driver is called directly, since a launch by numba.cuda takes ten times as long.
    """
    shape = *grid.blocks, *grid.threads, shared, int(stream), arguments.address
    if grid.together:
        driver.call("cuLaunchCooperativeKernel", function, *shape)
    else:
        driver.call("cuLaunchKernel", function, *shape, 0)


def _linked(ptx: str, architecture: str) -> bytes:
    """Return machine code, made by the toolkit: the driver may be too old to assemble the PTX."""
    from cuda.core import Linker, LinkerOptions, ObjectCode

    options = LinkerOptions(arch=architecture)
    linker = Linker(ObjectCode.from_ptx(ptx.encode()), options=options)
    code: bytes = linker.link("cubin").code
    return code
