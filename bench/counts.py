"""Count what the GPU's time loops execute, by the tests' machine for PTX: no clock, no GPU."""

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from lightrnn.losses import make_loss
from lightrnn.nn.batches import Batch
from lightrnn.nn.network import Network

from .report import Row, Run, Table
from .steps import GATES

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

SHAPES = (("lstm", 64, 16), ("gru", 64, 16), ("lstm", 64, 128), ("lstm", 128, 16), ("lstm", 256, 1))
STEPS = (2, 3)  # the difference is one step, without the beginning of the kernel
# Those of an H200.
CAPABILITY = (9, 0)
MULTIPROCESSORS = 132
SHARED = 232_448  # bytes of a block
BLOCK_WARPS = 8  # of a time loop


def executed(device: Any, cell: str, H: int, B: int, T: int) -> dict[str, Any]:
    """Return the time loops' programs and what they executed in one gradient, by pass."""
    from helpers.ptx.device import installed
    from helpers.ptx.faults import readable

    from lightrnn.cuda.network import CudaNetwork

    rng = np.random.default_rng(0)
    network = Network(cell, 16, (H,), 9)
    network.initialize(rng)
    X = [rng.standard_normal((T, 16)).astype(np.float32) for _ in range(B)]
    batch = Batch.of(X, rng.integers(0, 9, B), np.ones(B))
    device.executed.clear()
    with installed(device):
        on_gpu = CudaNetwork(network, 0)
        on_gpu.loss_and_gradient(batch, make_loss("softmax"))
        on_gpu.close()
    named = ((readable(each[0].name).split("."), each) for each in device.executed)
    return {name[-1]: each for name, each in named if "loops" in name}


def _rows(run: Run) -> Iterator[Row]:
    if find_spec("numba_cuda") is None:
        run.progress("counts: numba-cuda is missing, which compiles the kernels")
        return
    from helpers.ptx.counts import counts_of
    from helpers.ptx.device import Device

    device = Device(CAPABILITY, MULTIPROCESSORS, lockstep=True)
    device.MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = SHARED
    for cell, H, B in SHAPES[:1] if run.quick else SHAPES:
        few, more = (executed(device, cell, H, B, T) for T in STEPS)
        for name in ("forward", "backward"):
            program, of_more = more[name]
            found = counts_of(program, of_more - few[name][1], BLOCK_WARPS)
            floor = B * GATES[cell] * H * H
            yield (
                cell,
                f"H{H} B{B}",
                name,
                f"{found.multiply_adds / floor:.2f}",
                f"{32 * found.instructions / floor:.2f}",
                *(f"{100 * count / found.instructions:.0f}" for count in found.warps.values()),
                f"{found.shared_words / found.multiply_adds:.2f}",
                f"{100 * (found.transfers / found.least - 1):.0f}",
                f"{found.global_bytes / 1024:.1f}",
                f"{found.l2_bytes / 1024:.1f}",
                f"{found.barriers / _blocks(program, of_more):.0f}",
                f"{found.arrivals / _blocks(program, of_more):.0f}",
            )


def _blocks(program: Any, counts: np.ndarray) -> int:
    """Return the blocks of a launch: every warp of them ran the first instruction once."""
    return int(counts[1, 0]) // BLOCK_WARPS


COUNTS = Table(
    "counts",
    "Counted, not timed: a step of the GPU's time loops, float32, kernels for an H200",
    (
        "cell",
        "shape",
        "pass",
        "multiply-adds / floor",
        "instructions / floor",
        "multiply-add %",
        "other float %",
        "integer %",
        "memory %",
        "control %",
        "shared words a multiply-add",
        "bank conflicts %",
        "KiB through L1",
        "KiB past L1",
        "block barriers",
        "group barriers",
    ),
    _rows,
    "No GPU has run these kernels, and no time follows from the counts: they are instructions of "
    "PTX, which an assembler turns into others, as the tests' machine executes them. The floor is "
    "the product with W_hh, B G H H multiply-adds; instructions are those of a warp times 32. KiB "
    "are sectors of 32 bytes of all blocks, barriers those of one block. Bank conflicts are "
    "transfers of shared memory above the fewest that its 32 banks of 4 bytes allow.",
)
