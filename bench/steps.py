"""A training step, compared with torch's and with the machine's best matrix product."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from . import ours, peers
from .report import Row, Run, Table, shown, verdict
from .timing import alternate, compared, median

OUTPUTS = 9
GATES = {"lstm": 4, "gru": 3, "rnn": 1}
ON_TWO_THREADS = 0.9  # the bar on two threads, as a share of that on one
GEMM_SIZES = (512, 768, 1024)


class Shape(NamedTuple):
    """The sizes of a minibatch and a layer: batch, steps, features, units."""

    B: int
    T: int
    F: int
    H: int

    def __str__(self) -> str:
        return " ".join(f"{name}{size}" for name, size in zip("BTFH", self, strict=True))


SHAPES = (
    Shape(4, 100, 16, 64),
    Shape(32, 50, 1, 32),
    Shape(32, 100, 32, 64),
    Shape(64, 100, 128, 128),
    Shape(20, 35, 200, 200),
    Shape(20, 35, 650, 650),
)
# For each of SHAPES, how many times as fast as torch on one thread.
BARS = {
    "lstm": (3, 3, 1.9, 1.6, 1.45, 1.3),
    "gru": (15, 10, 4, 1.7, 1.9, 1.7),
    "rnn": (15, 10, 4, 1.8, 2, 1.4),
}
# Percent of the best GEMM, by cell, shape and threads.
SHARES = {
    ("lstm", SHAPES[3], 1): 85,
    ("lstm", SHAPES[5], 1): 76,
    ("lstm", SHAPES[3], 2): 75,
    ("lstm", SHAPES[1], 1): 75,
    ("gru", SHAPES[1], 1): 72,
    ("rnn", SHAPES[1], 1): 60,
    ("lstm", SHAPES[4], 2): 80,
    ("rnn", SHAPES[4], 2): 75,
    ("rnn", SHAPES[2], 2): 70,
}


def flops(cell: str, shape: Shape) -> float:
    """Return the FLOPs of a step: three products with W_hh, two with W_ih (X needs no gradient)."""
    B, T, F, H = shape
    return 2.0 * B * T * GATES[cell] * H * (2 * F + 3 * H)


def sides(cell: str, shape: Shape, threads: int) -> dict[str, Callable[[], Any]]:
    """Return a training step for each side, on the same minibatch."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((shape.B, shape.T, shape.F)).astype(np.float32)
    y = rng.integers(0, OUTPUTS, shape.B)
    training = ours.Training(cell, shape.F, shape.H, OUTPUTS, threads)
    calls = {"lightrnn": partial(training.step, list(X), y, np.ones(shape.B))}
    if peers.HAS_TORCH:
        import torch

        from . import pytorch

        step = pytorch.Training(cell, shape.F, shape.H, OUTPUTS).step
        calls["torch"] = partial(step, torch.from_numpy(X), torch.from_numpy(y))
    return calls


def gemms() -> dict[str, Callable[[], Any]]:
    """Return square float32 products by each library whose number of threads can be set."""
    calls: dict[str, Callable[[], Any]] = {}
    for size in GEMM_SIZES:
        A = np.random.default_rng(0).standard_normal((size, size)).astype(np.float32)
        C = np.empty_like(A)
        if peers.HAS_SKLEARN:  # threadpoolctl, which comes with it, limits NumPy's threads
            calls[f"numpy {size}"] = partial(np.matmul, A, A, out=C)
        if peers.HAS_TORCH:
            import torch

            a = torch.from_numpy(A)
            c = torch.from_numpy(C)
            calls[f"torch {size}"] = partial(torch.mm, a, a, out=c)
    return calls


def _step_rows(run: Run) -> Iterator[Row]:
    for threads, (cell, bars) in itertools.product(run.threads, BARS.items()):
        for shape, bar in zip(SHAPES, bars, strict=True):
            if threads > 1 and shape.B < 20:
                continue  # a batch of 4 is not divided among threads
            with peers.limited(threads):
                times = alternate(sides(cell, shape, threads), quick=run.quick)
            target = bar if threads == 1 else round(ON_TWO_THREADS * bar, 3)
            yield cell, str(shape), str(threads), *compared(times, target)


def _share_rows(run: Run) -> Iterator[Row]:
    if not gemms():
        return
    for threads, cell, shape in itertools.product(run.threads, GATES, SHAPES):
        if threads == 1 or shape.B >= 20:
            yield _share_row(run, threads, cell, shape)


def _share_row(run: Run, threads: int, cell: str, shape: Shape) -> Row:
    """Measure steps, then products; the product with the best median sets the standard.

    OpenBLAS's threads look for work for some time after a product. In turns with products a step
    of 2 ms on two threads took a third longer.
    """
    with peers.limited(threads):
        times = alternate(sides(cell, shape, threads), quick=run.quick)
        times |= alternate(gemms(), quick=run.quick)
    # GFLOP/s of the products, whose names end with their size.
    rates = {
        name: 2e-9 * int(name.split()[1]) ** 3 / median(times, name)
        for name in times
        if " " in name
    }
    best = max(rates, key=rates.__getitem__)
    rate = {name: 1e-9 * flops(cell, shape) / median(times, name) for name in ("lightrnn", "torch")}
    share = {name: 100 * value / rates[best] for name, value in rate.items()}
    bar = SHARES.get((cell, shape, threads))
    return (
        cell,
        str(shape),
        str(threads),
        f"{rate['lightrnn']:.0f}",
        f"{rates[best]:.0f}",
        best,
        f"{share['lightrnn']:.0f} %",
        shown(share["torch"], "{:.0f} %"),
        *verdict(share["lightrnn"], bar, "{:g} %"),
    )


STEPS = Table(
    "steps",
    "Training step, ms: forward, loss, backpropagation through time, clipping, Adam; float32",
    ("cell", "shape", "threads", "lightrnn", "torch", "torch / lightrnn", "bar", "reached"),
    _step_rows,
    "All sequences have the same length; there are nine classes; every step takes the same "
    "minibatch. lightrnn packs the minibatch in every step, while torch's tensor is ready before. "
    "torch: nn.LSTM, nn.GRU or nn.RNN, Linear, CrossEntropyLoss, clip_grad_norm_ and Adam with "
    "their defaults, without compilation. On two threads the bar is 0.9 times that on one. Not "
    "shown: several layers, bidirectional layers.",
)
SHARE = Table(
    "share",
    "Training step, GFLOP/s, and its share of the machine's best float32 GEMM",
    (
        "cell",
        "shape",
        "threads",
        "lightrnn",
        "best GEMM",
        "which",
        "share",
        "torch's share",
        "bar",
        "reached",
    ),
    _share_rows,
    "Only the products with W_ih and W_hh count as work: gates, loss and Adam take time, but add "
    f"no FLOPs. The GEMM multiplies square matrices ({', '.join(map(str, GEMM_SIZES))}) with NumPy "
    "or torch, whichever has the best median, on the same number of threads, after the steps.",
)
