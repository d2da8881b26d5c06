"""A GPU that is the machine: what stands in for the module numba.cuda and for NVIDIA's driver.

Work is queued by stream and done when somebody waits for it, in any order that streams and events
leave open. Memory that has been allocated holds NaN until it is written.
"""

import ctypes
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np

from . import shadow
from .faults import GpuError, error
from .interpreter import run
from .lines import compiled, moved
from .parse import parse
from .queues import Event, Holder, Stream
from .state import Global, Shape, Shared, Threads, registers

ARENA = 1 << 25  # words of global memory, of which the first is never allocated
GUARD = 64  # words between allocations, and what their beginnings are a multiple of
QUANTA = (3, 40, 1000)  # most instructions of a turn, one of which is drawn for a launch
MOST = 1_000_000_000  # instructions of a launch
IDLE = 5_000_000  # in which no thread does anything that others could wait for
FAR = 2**40  # more instructions than any turn has


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
    lockstep : bool
        Whether threads of a warp stay together as far as they can, as on a GPU, and transfers of
        memory are counted in `executed`; else their order is drawn.

    Examples
    --------
    A kernel of the arguments ``(floats, ints, at)``, in which neighbours touch one number:

    >>> from numba import cuda
    >>> def shift(floats, ints, at):
    ...     i = cuda.threadIdx.x
    ...     floats[i] = floats[i + 1]
    >>> device = Device(seed=1)
    >>> floats = device.array([1, 2, 3, 4, 5], "float32")
    >>> device.launch(shift, floats, device.array([0], "int64"), blocks=1, threads=4)
    Traceback (most recent call last):
    ...
    helpers.ptx.faults.GpuError: helpers.ptx.device.shift: thread 1 of block 0 races
      at address 260, byte 4 of an array of 20, read by thread 0 of block 0
      in instruction 6: st.global.f32 ...
      ...:3: ...

    The error's attributes `kernel`, `kind`, `places`, `thread`, `block` and `address` say the same.
    `ptx` returns the kernel as text, in which an instruction can be changed before `launch`.
    """

    kernels = {}  # noqa: RUF012  functions and dtypes by names in PTX, for all devices
    MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 101376

    def __init__(self, capability=(8, 0), multiprocessors=4, seed=0, lockstep=False):
        self.compute_capability = capability
        # Kernels that are loaded for one device are not those of another generation.
        self.id = 10 * capability[0] + capability[1]
        self.MULTIPROCESSOR_COUNT = multiprocessors
        self.memory = np.zeros(ARENA, np.uint32)
        self.words = np.zeros((ARENA, shadow.FIELDS), np.int64)
        self.held = {}  # first words of allocations, and the words behind their last
        self.streams = []
        self.functions = []
        self.launches = 0
        self.executed = []  # programs, with arrays (4, instructions); see `interpreter.run`
        self.faults = []
        self.lockstep = lockstep
        self.reseed(seed)

    def reseed(self, seed):
        """Begin anew to draw orders."""
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

    def _fail(self, failure):
        self.faults.append(str(failure))
        raise failure if isinstance(failure, GpuError) else GpuError(failure)

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
        shape = blocks, block, shared
        self._queue(stream, lambda: self.run(program, arguments, shape, together=together))

    def ptx(self, kernel, dtype="float32", *, lines=True):
        """Return a function of ``(floats, ints, at)`` as PTX, with its lines of Python or not."""
        function = getattr(kernel, "py_func", kernel)
        return compiled(function, dtype, self.compute_capability, lines=lines)

    def launch(
        self, kernel, floats, ints, at=0, *, blocks, threads, shared=0, dtype="float32", **how
    ):
        """Run a kernel.

        Parameters
        ----------
        kernel : callable or str
            A function of ``(floats, ints, at)``, a `Kernel` of lightrnn, or its text in PTX.
        floats, ints, at : Holder, Holder, int
            Its arguments; see `array` and `allocate`.
        blocks, threads : int
            Blocks, and threads of each.
        shared : int
            Bytes of shared memory of each block.
        dtype : str
            Of `floats`.
        together : bool
            Whether all blocks run at the same time, as those that wait for each other must.

        Raises
        ------
        GpuError
            If it races, waits for ever, or touches memory that it must not.
        """
        program = parse(kernel if isinstance(kernel, str) else self.ptx(kernel, dtype))
        arguments = np.array([4 * floats.first, 4 * ints.first, at])
        self.run(program, arguments, ((blocks, 1, 1), (threads, 1, 1), shared), **how)

    def run(self, program, arguments, shape, *, together=False):
        """Run a launch of blocks and threads along x, y and z, with bytes of shared memory."""
        blocks, block, shared = shape
        self.launches += 1
        count = int(np.prod(blocks))
        threads = int(np.prod(block))
        warps = -(-threads // 32)
        slots = count if together else min(count, int(self.rng.integers(1, 5)))
        shape = Shape(
            launch=self.launches,
            blocks=blocks,
            block=block,
            threads=threads,
            warps=warps,
            slots=slots,
            rows=program.rows,
            shared=shared,
            most=MOST,
            idle=IDLE,
            lockstep=self.lockstep,
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
        executed = np.zeros((4, len(program.lines)), np.int64)
        if self.lockstep:
            self.executed.append((program, executed))
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
            FAR if self.lockstep else QUANTA[self.rng.integers(len(QUANTA))],
            executed,
        )
        if fault.kind:
            places = self._places(program)[fault.line]
            self._fail(error(self, program, fault, places, state, here))

    def _places(self, program):
        """Return the lines of Python of a program's instructions; compile it anew for them."""
        if any(program.places) or program.name not in self.kernels:
            return program.places
        return moved(program, parse(self.ptx(*self.kernels[program.name])))

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

    def array(self, values, dtype):
        """Return an array in global memory; NaN stands for what nobody has written."""
        array = np.array(values, dtype)
        held = self.allocate(array.size, dtype)
        part = slice(held.first, held.first + held.size)
        self.memory[part] = array.view(np.uint32)
        written = np.where(array == array, shadow.WRITTEN, shadow.UNWRITTEN)
        self.words[part, shadow.STATE] = np.repeat(written, array.itemsize // 4)
        return held

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


@contextmanager
def installed(device):
    """Let lightrnn use the machine in place of a GPU, as long as the context lasts."""
    from numba import cuda
    from numba.cuda import dispatcher

    from lightrnn.cpu import cache as disk
    from lightrnn.cuda import driver, jit

    def code(kernel, dtype, capability):
        """Return a kernel as PTX: there is no assembler for this machine."""
        file = f"{kernel.name}-{dtype}-{capability[0]}{capability[1]}.ptx"
        found = disk.read(file)
        if found is None:
            found = kernel.ptx(dtype, capability).encode()
            disk.write(file, found)
        entry = found.split(b".entry")[1].split(b"(")[0].strip()
        device.kernels[entry.decode()] = kernel, dtype
        return entry + b"\0" + found

    module = device.module(cuda.compile_ptx)
    with ExitStack() as stack:
        for target, name, new in (
            (dispatcher, "get_current_device", lambda: device),
            (driver, "cuda", lambda: module),
            (driver, "call", device.call),
            (driver, "_streams", {}),
            (jit.Kernel, "code", code),
        ):
            stack.enter_context(patch.object(target, name, new))
        yield
