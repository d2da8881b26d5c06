"""The machine that runs PTX finds what is wrong with a kernel, and computes what a GPU does."""

import doctest
import inspect
import re

import numpy as np
import pytest

BLOCKS = 3
THREADS = 40  # of a block: a whole warp and part of another


@pytest.fixture
def machine(compilers):
    """A function that compiles a kernel, changes its text, runs it and returns its numbers."""
    from helpers.ptx.device import Device

    def run(kernel, floats, ints, *, changes=(), seed=0, together=True, shared=4 * THREADS):
        device = Device(seed=seed)
        text = device.ptx(kernel)
        for old, new in changes:
            changed = re.sub(old, new, text)
            assert changed != text
            text = changed
        held = device.array(floats, "float32")
        ints = device.array(ints, "int64")
        grid = {"blocks": BLOCKS, "threads": THREADS, "shared": shared}
        device.launch(text, held, ints, **grid, together=together)
        return held.read("float32")

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
    with pytest.raises(AssertionError, match=message) as caught:
        machine(rotated(), NUMBERS, [0], changes=changes)
    names_where(caught.value, rotated())


def names_where(error, kernel):
    """Check that an error names kernel, line, thread, block and address."""
    assert kernel.__name__ in error.kernel and error.kind in str(error)
    assert 0 <= error.thread < THREADS and 0 <= error.block < BLOCKS
    lines, first = inspect.getsourcelines(kernel)
    files, numbers = zip(*(place.rsplit(":", 1) for place in error.places), strict=True)
    assert files[-1] == __file__ and first <= int(numbers[-1]) < first + len(lines)
    text = lines[int(numbers[-1]) - first].strip()
    assert f"{error.places[-1]}: {text}" in str(error)
    assert error.instruction in str(error) and error.address % 4 == 0


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

    monkeypatch.setattr(device, "IDLE", 20000)
    floats = NUMBERS[: BLOCKS * THREADS] if fault == "outside" else NUMBERS
    with pytest.raises(AssertionError, match=MESSAGES[fault]) as caught:
        machine(planted(fault), floats, [0])
    names_where(caught.value, planted(fault))


def test_a_kernel_without_lines_is_compiled_again_for_those_of_its_fault(compilers):
    from helpers.ptx.device import Device
    from helpers.ptx.faults import GpuError
    from helpers.ptx.parse import parse

    device = Device()
    text = re.sub(FENCE, "", device.ptx(rotated(), lines=False))
    program = parse(text)
    assert not any(program.places)
    device.kernels[program.name] = rotated(), "float32"
    arrays = device.array(NUMBERS, "float32"), device.array([0], "int64")
    grid = {"blocks": BLOCKS, "threads": THREADS, "shared": 4 * THREADS}
    with pytest.raises(GpuError, match="races") as caught:
        device.launch(text, *arrays, **grid, together=True)
    names_where(caught.value, rotated())
    assert device.faults == [str(caught.value)]


def test_the_example_of_the_machine_runs(compilers):
    from helpers.ptx import device

    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    (test,) = doctest.DocTestFinder(recurse=False).find(
        device.Device, "Device", globs=vars(device).copy()
    )
    assert runner.run(test).failed == 0


def test_more_counters_than_there_is_room_for_are_named(machine):
    from helpers.ptx import shadow
    from numba import cuda

    from lightrnn.cuda.intrinsics import add

    def many(floats, ints, at):
        for i in range(cuda.threadIdx.x, 3000, cuda.blockDim.x):
            add(ints, i, 1)

    with pytest.raises(AssertionError, match=f"more counters than {shadow.COUNTERS // 2}"):
        machine(many, NUMBERS, np.zeros(3000))


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
