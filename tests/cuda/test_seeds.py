"""Kernels in thousands of orders: no order of threads and blocks changes a bit, or races.

``python -m pytest tests/cuda/test_seeds.py --seeds 1000`` runs each launch with 1,000 seeds.
"""

from typing import NamedTuple

import numpy as np
import pytest
from helpers.strategies import Problem


class Pattern(NamedTuple):
    """A network whose kernels wait for each other in one way, and the GPU that it is tiled for."""

    cell: str = "rnn"
    H: int = 9
    multiprocessors: int = 4
    threads: int = 2
    streamed: bool = False


PATTERNS = {
    "barriers of a block: sums, losses, products": Pattern("ffnn"),
    "barriers of a block: a time loop": Pattern(H=5, multiprocessors=1, threads=8),
    "a barrier between blocks, by release and acquire": Pattern(),
    "a barrier between blocks, W_hh read in every step": Pattern(threads=4, streamed=True),
}


@pytest.fixture(scope="module")
def seeds(request):
    """The number of seeds of each launch."""
    return request.config.getoption("--seeds", default=None) or 5


@pytest.fixture
def record(gpu, monkeypatch):
    """A function that computes a gradient and returns the machine and all launches."""
    from helpers.ptx.device import Device, installed

    from lightrnn.cuda import forward
    from lightrnn.cuda.driver import Limits
    from lightrnn.cuda.recurrence import tiling

    device = Device()
    launches = []
    original = device.run
    choose = tiling.choose.__wrapped__

    def run(*launch, **options):
        top = max(device.held.values())
        before = device.memory[:top].copy(), device.words[:top].copy()
        original(*launch, **options)
        launches.append((launch, options, before, device.memory[:top].copy()))

    def recorded(pattern):
        problem = Problem(pattern.cell, (pattern.H,), window=2, target="step", lengths=(3, 1, 2))
        limits = Limits(pattern.multiprocessors, 40000, threads=pattern.threads)
        monkeypatch.setattr(
            forward, "choose", lambda *sizes, back: choose(*sizes[:-1], limits, back=back)
        )
        if pattern.streamed:
            monkeypatch.setattr(tiling._Search, "resident", lambda self: None)
        monkeypatch.setattr(device, "run", run)
        network = problem.network()
        with installed(device):
            on_gpu = gpu.CudaNetwork(network, 0)
            on_gpu.loss_and_gradient(problem.batch(network), problem.make_loss())
        monkeypatch.setattr(device, "run", original)
        return device, launches, on_gpu  # whose memory is held as long as it lives

    return recorded


@pytest.mark.parametrize("name", PATTERNS)
def test_no_order_changes_a_bit(record, seeds, name):
    device, launches, _on_gpu = record(PATTERNS[name])
    together = "between blocks" in name
    found = {}  # one launch of each kernel that waits so
    for each in launches:
        program = each[0][0]
        if each[1]["together"] == together and any("bar.sync" in line for line in program.lines):
            found[program.name] = each
    if name != "barriers of a block: sums, losses, products":
        found = {kernel: each for kernel, each in found.items() if "loops" in kernel}
    assert found
    for launch, options, (memory, words), after in found.values():
        for seed in range(seeds):
            device.reseed(seed)
            device.memory[: len(memory)] = memory
            device.words[: len(words)] = words
            device.run(*launch, **options)
            assert np.array_equal(device.memory[: len(after)], after), (launch[0].name, seed)


def test_a_message_behind_a_flag_arrives_in_any_order(compilers, seeds):
    """One block writes and raises a flag, another waits for it and reads."""
    from helpers.ptx.device import Device
    from helpers.ptx.faults import GpuError
    from numba import cuda

    from lightrnn.cuda.intrinsics import acquire, add, fence, load_uncached

    def handed(floats, ints, at):
        if cuda.blockIdx.x == 0:
            floats[0] = np.float32(7)
            fence()
            add(ints, at, 1)
        else:
            while acquire(ints, at) < 1:
                pass
            floats[1] = load_uncached(floats, 0)

    device = Device()
    grid = {"blocks": 2, "threads": 1, "together": True}
    text = device.ptx(handed)
    for seed in range(seeds):
        device.reseed(seed)
        floats, ints = device.array([np.nan, np.nan], "float32"), device.array([0], "int64")
        device.launch(text, floats, ints, **grid)
        assert floats.read("float32").tolist() == [7, 7]
        # Without the fence every order is a race, also one in which the reader finds the number.
        with pytest.raises(GpuError, match="races"):
            device.launch(text.replace("fence.acq_rel.gpu;", ""), floats, ints, **grid)
