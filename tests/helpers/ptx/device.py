"""A GPU that is the machine: what stands in for the module numba.cuda and for NVIDIA's driver.

Work is queued by stream and done when somebody waits for it, in any order that streams and events
leave open. Memory that has been allocated holds NaN until it is written.
"""

import ctypes
from collections import deque
from types import SimpleNamespace

import numpy as np

from . import shadow
from .interpreter import run
from .parse import parse
from .state import Global, Shape, Shared, Threads, registers

ARENA = 1 << 25  # words of global memory, of which the first is never allocated
GUARD = 64  # words between allocations, and what their beginnings are a multiple of
QUANTA = (3, 40, 1000)  # most instructions of a turn, one of which is drawn for a launch
MOST = 100_000_000


class GpuError(AssertionError):
    """A kernel that does what it must not."""


class Holder:
    """An array in global memory, which is given back with the object."""

    def __init__(self, device, first, size):
        self.device = device
        self.first = first
        self.size = size
        self.__cuda_array_interface__ = {"data": (4 * first, False)}

    def __del__(self):
        self.device.words[self.first : self.first + self.size, shadow.STATE] = shadow.FREE
        self.device.held.pop(self.first, None)


class Stream:
    """A queue of work."""

    def __init__(self, device):
        self.device = device
        self.waiting = deque()
        device.streams.append(self)
        self.number = len(device.streams) - 1

    def __int__(self):
        return self.number

    def synchronize(self):
        """Return once all work in the queue is done."""
        self.device.work(lambda: not self.waiting)


class Event:
    """A point in a stream, for which others wait."""

    def __init__(self, device):
        self.device = device
        self.recorded = 0
        self.passed = 0

    def record(self, stream):
        """Be passed when all work is done that is in the stream now."""
        self.recorded += 1
        number = self.recorded
        stream.waiting.append((lambda: True, lambda: setattr(self, "passed", number)))

    def wait(self, stream):
        """Let later work in a stream wait for what was recorded last."""
        number = self.recorded
        stream.waiting.append((lambda: self.passed >= number, lambda: None))

    def synchronize(self):
        """Return once what was recorded last is passed."""
        number = self.recorded
        self.device.work(lambda: self.passed >= number)


class Device:
    """The one GPU of the machine.

    Parameters
    ----------
    capability : tuple of int
        Compute capability, for which kernels are compiled.
    multiprocessors : int
        Number of them, which is how many blocks that wait for each other may be.
    seed : int
        Seed of the order in which threads, blocks and streams go on.
    """

    id = 0
    MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 101376

    def __init__(self, capability=(8, 0), multiprocessors=4, seed=0):
        self.compute_capability = capability
        self.MULTIPROCESSOR_COUNT = multiprocessors
        self.memory = np.zeros(ARENA, np.uint32)
        self.words = np.zeros((ARENA, shadow.FIELDS), np.int64)
        self.held = {}  # first words of allocations, and the words behind their last
        self.streams = []
        self.functions = []
        self.launches = 0
        self.executed = {}  # arrays (2, instructions) of a program's name
        self.faults = []
        self.rng = np.random.default_rng(seed)
        self.random = self.rng.integers(1, 2**63, 1).astype(np.uint64)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def work(self, done):
        """Do work of streams, in any order that they allow, until a condition holds."""
        while not done():
            ready = [s for s in self.streams if s.waiting and s.waiting[0][0]()]
            if not ready:
                raise GpuError("streams wait for each other for ever")
            ready[self.rng.integers(len(ready))].waiting.popleft()[1]()

    # -- the driver --------------------------------------------------------------------------------

    def call(self, name, *arguments):
        """Do what a function of NVIDIA's driver does."""
        return getattr(self, name)(*arguments)

    def cuModuleLoadData(self, code):
        return code

    def cuModuleGetFunction(self, module, entry):
        program = parse(module.decode())
        assert program.name.encode() == entry
        return program

    def cuFuncSetAttribute(self, function, attribute, value):
        assert value <= self.MAX_SHARED_MEMORY_PER_BLOCK_OPTIN

    def cuMemcpyHtoDAsync(self, target, source, size, stream):
        at = self.memory.ctypes.data + target
        self._queue(stream, lambda: (self._wrote(target, size), ctypes.memmove(at, source, size)))

    def cuMemcpyDtoDAsync(self, target, source, size, stream):
        base = self.memory.ctypes.data

        def copy():
            self._held(source, size)
            self._wrote(target, size)
            ctypes.memmove(base + target, base + source, size)
            to, of, count = (x // 4 for x in (target, source, size))
            state = self.words[of : of + count, shadow.STATE].copy()
            self.words[to : to + count, shadow.STATE] = state

        self._queue(stream, copy)

    def cuMemcpyDtoHAsync(self, target, source, size, stream):
        at = self.memory.ctypes.data + source
        self._queue(stream, lambda: (self._held(source, size), ctypes.memmove(target, at, size)))

    def cuLaunchKernel(self, function, *rest):
        self._launch(function, rest[:8], rest[8], together=False)

    def cuLaunchCooperativeKernel(self, function, *rest):
        self._launch(function, rest[:8], rest[8], together=True)

    def _queue(self, stream, action):
        self.streams[stream].waiting.append((lambda: True, action))

    def _held(self, address, size):
        """Raise an error unless memory is allocated."""
        part = self.words[address // 4 : (address + size) // 4, shadow.STATE]
        if address % 4 or size % 4 or (part == shadow.FREE).any():
            self._fail("a copy touches memory that nobody has allocated")

    def _wrote(self, address, size):
        self._held(address, size)
        self.words[address // 4 : (address + size) // 4, shadow.STATE] = shadow.WRITTEN

    def _fail(self, message):
        self.faults.append(message)
        raise GpuError(message)

    # -- launches ----------------------------------------------------------------------------------

    def _launch(self, program, shape, pointers, *, together):
        """Queue a launch; its arguments are read now, as the driver does."""
        *sizes, shared, stream = shape
        addresses = (ctypes.c_void_p * 3).from_address(pointers)
        values = [ctypes.c_int64.from_address(address).value for address in addresses]
        arguments = np.array(values, np.int64)
        blocks, block = tuple(sizes[:3]), tuple(sizes[3:])
        if together:
            assert np.prod(blocks) <= self.MULTIPROCESSOR_COUNT, blocks
        assert shared <= self.MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
        self._queue(
            stream, lambda: self.run(program, arguments, blocks, block, shared, together=together)
        )

    def run(self, program, arguments, blocks, block, shared, *, together):
        """Run a launch."""
        self.launches += 1
        count = int(np.prod(blocks))
        threads = int(np.prod(block))
        warps = -(-threads // 32)
        slots = count if together else min(count, int(self.rng.integers(1, 5)))
        shape = Shape(
            self.launches, blocks, block, threads, warps, slots, program.rows, shared, MOST
        )
        top = max(self.held.values(), default=0)
        readers = np.zeros((top, count), np.int64)
        state = Threads(
            *(np.zeros((slots, 32 * warps), np.int64) for _ in range(2)),
            *(np.zeros(slots, np.int64) for _ in range(5)),
        )
        in_use = Global(
            self.memory,
            self.words[:top],
            readers,
            shadow.order(count, threads, together),
            np.zeros(1, np.int64),
        )
        here = Shared(
            np.zeros((slots, shared // 4), np.uint32), np.zeros((slots, shared // 4, 2), np.int64)
        )
        executed = self.executed.setdefault(
            program.name, np.zeros((2, len(program.lines)), np.int64)
        )
        fault = run(
            program.table,
            program.numbers,
            program.constants,
            arguments,
            registers(slots * warps, program.rows),
            in_use,
            here,
            state,
            shape,
            self.random,
            QUANTA[self.rng.integers(len(QUANTA))],
            executed,
        )
        if fault.kind:
            self._fail(
                f"{program.name}, thread {fault.thread} of block {fault.block}, "
                f"{shadow.MEANINGS[fault.kind]}, at address {fault.address}, in instruction "
                f"{fault.line}: {program.lines[fault.line]}"
            )

    # -- numba.cuda --------------------------------------------------------------------------------

    def allocate(self, size, dtype):
        """Return an array in global memory, full of NaN that nobody has written."""
        words = -(-size * np.dtype(dtype).itemsize // 4)
        first = GUARD
        for begin, end in sorted(self.held.items()):
            if first + words + GUARD <= begin:
                break
            first = -(-(end + GUARD) // GUARD) * GUARD
        if first + words > ARENA:
            raise RuntimeError("CUDA_ERROR_OUT_OF_MEMORY")
        self.held[first] = first + words
        self.memory[first : first + words] = 0xFFFFFFFF
        self.words[first : first + words] = shadow.NONE
        self.words[first : first + words, shadow.STATE] = shadow.UNWRITTEN
        return Holder(self, first, words)

    def module(self, compile_ptx):
        """Return what stands in for the module numba.cuda, but for its compiler."""
        free = 4 * ARENA
        return SimpleNamespace(
            gpus=[self],
            get_current_device=lambda: self,
            current_context=lambda: SimpleNamespace(get_memory_info=lambda: (free, free)),
            stream=lambda: Stream(self),
            event=lambda: Event(self),
            device_array=self.allocate,
            pinned_array=np.empty,
            compile_ptx=compile_ptx,
        )


def install(patch, device):
    """Let lightrnn use the machine in place of a GPU."""
    from numba import cuda
    from numba.cuda import dispatcher

    from lightrnn.cpu import cache as disk
    from lightrnn.cuda import driver, jit

    module = device.module(cuda.compile_ptx)
    patch.setattr(dispatcher, "get_current_device", lambda: device)
    patch.setattr(driver, "cuda", lambda: module)
    patch.setattr(driver, "call", device.call)
    patch.setattr(driver, "_streams", {})

    def code(kernel, dtype, capability):
        """Return a kernel as PTX: there is no assembler for this machine."""
        file = f"{kernel.name}-{dtype}-{capability[0]}{capability[1]}.ptx"
        found = disk.read(file)
        if found is None:
            found = kernel.ptx(dtype, capability).encode()
            disk.write(file, found)
        return found.split(b".entry")[1].split(b"(")[0].strip() + b"\0" + found

    patch.setattr(jit.Kernel, "code", code)
