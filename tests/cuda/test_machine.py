"""The machine that runs PTX finds what is wrong with a kernel, and computes what a GPU does."""

import re

import numpy as np
import pytest

BLOCKS = 3
THREADS = 40  # of a block: a whole warp and part of another


@pytest.fixture
def machine(compilers, monkeypatch):
    """A function that compiles a kernel, changes its text, runs it and returns its numbers."""
    import numba.cuda.dispatcher as dispatcher
    from helpers.ptx import shadow
    from helpers.ptx.device import Device
    from helpers.ptx.parse import parse

    from lightrnn.cuda.jit import signature

    def run(kernel, floats, ints, *, changes=(), seed=0, together=True, shared=4 * THREADS):
        device = Device(seed=seed)
        monkeypatch.setattr(dispatcher, "get_current_device", lambda: device)
        text = compilers.compile_ptx(kernel, signature("float32"), cc=(8, 0))[0]
        for old, new in changes:
            changed = re.sub(old, new, text)
            assert changed != text
            text = changed
        arrays = [np.array(floats, np.float32), np.array(ints, np.int64)]
        held = [device.allocate(a.size, a.dtype) for a in arrays]
        for there, array in zip(held, arrays, strict=True):
            written = ~np.isnan(array) if array.dtype == np.float32 else np.ones(array.size, bool)
            states = np.repeat(written, array.itemsize // 4)
            part = slice(there.first, there.first + there.size)
            device.memory[part] = array.view(np.uint32)
            device.words[part, shadow.STATE] += states
        addresses = [4 * there.first for there in held]
        grid = (BLOCKS, 1, 1), (THREADS, 1, 1)
        arguments = np.array([*addresses, 0])
        device.run(parse(text), arguments, *grid, shared, together=together)
        first = held[0].first
        return device.memory[first : first + arrays[0].size].view(np.float32).copy()

    return run


def rotated():
    """A kernel: each block writes numbers, all wait, and each adds another's to the results."""
    from numba import cuda

    from lightrnn.cuda.intrinsics import load_uncached, shared_memory
    from lightrnn.cuda.recurrence.barrier import arrive_and_wait

    memory = shared_memory("float32")

    def kernel(floats, ints, at):
        shared = memory()
        thread = cuda.threadIdx.x
        threads = cuda.blockDim.x
        block = cuda.blockIdx.x
        blocks = cuda.gridDim.x
        for step in range(2):
            shared[thread] = np.float32(100 * step + block)
            cuda.syncthreads()
            floats[block * threads + thread] = shared[threads - 1 - thread] + np.float32(thread)
            cuda.syncthreads()
            if thread == 0:
                arrive_and_wait(ints, at, blocks, 2 * step + 1)
            cuda.syncthreads()
            other = (block + 1) % blocks
            place = (blocks + block) * threads + thread
            floats[place] += load_uncached(floats, other * threads + thread)
            cuda.syncthreads()
            if thread == 0:
                arrive_and_wait(ints, at, blocks, 2 * step + 2)
            cuda.syncthreads()

    return kernel


NUMBERS = [np.nan] * (BLOCKS * THREADS) + [0.0] * (BLOCKS * THREADS)
FENCE = r"fence\.acq_rel\.gpu;"
FAULTS = {
    "a fence is missing": ([(FENCE, "")], "races"),
    "a counter is read without an order": ([(r"ld\.acquire\.gpu", "ld.relaxed.gpu")], "races"),
    "the first cache is read": ([(r"ld\.global\.cg\.f32", "ld.global.f32")], "the first cache"),
    "no thread waits for its block": ([(r"bar\.sync\s+0;", "")], "races|nobody has written"),
    "half of the block waits": (
        [(r"bar\.sync\s+0;", "setp.lt.s32 %p999, %r999, 20; @%p999 bar.sync 0;")],
        "races|waits at a|nobody has written",
    ),
}


def test_a_kernel_that_is_right_computes_the_same_with_any_seed(machine):
    thread = np.arange(THREADS)
    other = (np.arange(BLOCKS) + 1) % BLOCKS
    wanted = 100 + 2 * other[:, None] + 2 * thread
    for seed in range(40):
        found = machine(rotated(), NUMBERS, [0], seed=seed)
        assert np.array_equal(found.reshape(2, BLOCKS, THREADS)[1], wanted)


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_planted_in_its_text_is_found(machine, name):
    changes, message = FAULTS[name]
    if "half" in name:
        changes = [*changes, (r"(ld\.param\.u64)", r"mov.u32 %r999, %tid.x; \1")]
    with pytest.raises(AssertionError, match=message):
        machine(rotated(), NUMBERS, [0], changes=changes)


def planted(fault):
    """A kernel with one fault."""
    from numba import cuda

    from lightrnn.cuda.intrinsics import acquire, load4, shared_memory

    memory = shared_memory("float32")

    def outside(floats, ints, at):
        floats[cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x + 1] = np.float32(1)

    def unwritten(floats, ints, at):
        i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        floats[i] = floats[i] + np.float32(1)

    def one_place(floats, ints, at):
        floats[cuda.threadIdx.x] = np.float32(1)

    def neighbour(floats, ints, at):
        shared = memory()
        i = cuda.threadIdx.x
        shared[i] = np.float32(i)
        floats[cuda.blockIdx.x * cuda.blockDim.x + i] = shared[i ^ 1]

    def too_large(floats, ints, at):
        memory()[cuda.threadIdx.x + 1] = np.float32(1)

    def crooked(floats, ints, at):
        floats[cuda.blockIdx.x] = load4(floats, cuda.blockIdx.x + 121)[0]

    def endless(floats, ints, at):
        while acquire(ints, at) < 1:
            pass

    def apart(floats, ints, at):
        if cuda.threadIdx.x < 20:
            cuda.syncthreads()
        else:
            memory()[cuda.threadIdx.x] = floats[BLOCKS * THREADS]
            cuda.syncthreads()

    def plain_counter(floats, ints, at):
        ints[at] = ints[at] + cuda.threadIdx.x

    return locals()[fault]


MESSAGES = {
    "outside": "nobody has allocated",
    "unwritten": "nobody has written",
    "one_place": "races",
    "neighbour": "races",
    "too_large": "nobody has allocated",
    "crooked": "multiple of their size",
    "endless": "goes on for ever",
    "apart": "at another barrier",
    "plain_counter": "races",
}


@pytest.mark.parametrize("fault", MESSAGES)
def test_what_is_planted_in_python_is_found(machine, monkeypatch, fault):
    from helpers.ptx import device

    monkeypatch.setattr(device, "MOST", 20000)
    floats = NUMBERS[: BLOCKS * THREADS] if fault == "outside" else NUMBERS
    with pytest.raises(AssertionError, match=MESSAGES[fault]):
        machine(planted(fault), floats, [0])


def test_blocks_that_wait_must_run_together(machine):
    with pytest.raises(AssertionError, match="need not run at the same time"):
        machine(rotated(), NUMBERS, [0], together=False)


def test_an_instruction_it_does_not_know_is_named(machine):
    with pytest.raises(NotImplementedError, match=r"does not know the instruction: popc\.b32"):
        machine(rotated(), NUMBERS, [0], changes=[(r"(bar\.sync)", r"popc.b32 %r1, %r1; \1")])


OPERATIONS = {
    "quotient": [(7, 2, 3), (-7, 2, -3), (7, -2, -3), (-7, -2, 3), (-(2**63), -1, -(2**63))],
    "remainder": [(7, 2, 1), (-7, 2, -1), (7, -2, 1), (-7, -2, -1)],
    "high_product": [
        (2**62, 4, 1),
        (-(2**62), 4, -1),
        (-3, 5, -1),
        (2**63 - 1, 2**63 - 1, 2**62 - 1),
    ],
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_integer_operations_are_those_of_the_isa(name):
    from helpers.ptx import rules

    operation = getattr(rules, name)
    for a, b, wanted in OPERATIONS[name]:
        assert operation(np.int64(a), np.int64(b)) == wanted


def test_operations_on_floats_are_rounded_as_the_isa_says():
    from helpers.ptx.rules import towards_zero, upper_reciprocal

    tiny = np.float32(1e-20)
    assert towards_zero(np.float32(1), tiny) == 1
    assert towards_zero(np.float32(1), -tiny) == np.nextafter(np.float32(1), np.float32(0))
    assert towards_zero(np.float32(-1), tiny) == np.nextafter(np.float32(-1), np.float32(0))
    found = np.array([upper_reciprocal(3.0)])
    assert found.view(np.uint64)[0] % 2**32 == 0 and abs(3 * found[0] - 1) < 2**-19
