"""Training steps on sequences of unequal length, compared with torch's packing and with padding."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import ours, peers
from .report import Row, Run, Table
from .timing import alternate, compared

CELLS = ("lstm", "gru", "rnn")
SHAPES = ((32, 32, 64), (64, 128, 128))
BATCHES = 20  # enough minibatches, each with its own lengths, that no cache remembers them
BARS = {"packed": 5, "padded": 2}

Batch = tuple[list[np.ndarray], np.ndarray]


def make_batches(B: int, F: int) -> list[Batch]:
    """Return minibatches of B sequences with 10 to 200 steps."""
    rng = np.random.default_rng(0)
    batches = []
    for _ in range(BATCHES):
        lengths = rng.integers(10, 201, B)
        X = [rng.standard_normal((T, F)).astype(np.float32) for T in lengths]
        batches.append((X, rng.integers(0, 9, B)))
    return batches


def sides(
    cell: str, F: int, H: int, threads: int, batches: list[Batch]
) -> dict[str, Callable[[], Any]]:
    """Return a training step for each side; each cycles through the minibatches in order."""
    step = ours.Training(cell, F, H, 9, threads).step
    weights = np.ones(len(batches[0][0]))
    turn = itertools.cycle(batches)
    calls: dict[str, Callable[[], Any]] = {"lightrnn": lambda: step(*next(turn), weights)}
    if peers.HAS_TORCH:
        import torch

        from . import pytorch

        ready = [(pytorch.padded(X), torch.from_numpy(y)) for X, y in batches]
        for name in BARS:
            training = pytorch.Training(cell, F, H, 9)
            calls[name] = _torch_step(training.step, name == "packed", itertools.cycle(ready))
    return calls


def _torch_step(step: Callable[..., float], pack: bool, turn: Iterator[Any]) -> Callable[[], float]:
    from . import pytorch

    def call() -> float:
        (X, last), y = next(turn)
        return step(pytorch.packed(X, last), y) if pack else step(X, y, last)

    return call


def _rows(run: Run) -> Iterator[Row]:
    for threads, (B, F, H), cell in itertools.product(run.threads, SHAPES, CELLS):
        batches = make_batches(B, F)
        with peers.limited(threads):
            times = alternate(sides(cell, F, H, threads, batches), quick=run.quick, least=11)
        for name, bar in BARS.items():
            yield cell, f"B{B} F{F} H{H}", str(threads), name, *compared(times, bar, name)


RAGGED = Table(
    "ragged",
    "Training step on sequences of 10 to 200 steps, lengths drawn uniformly, ms",
    (
        "cell",
        "shape",
        "threads",
        "torch's data",
        "lightrnn",
        "torch",
        "torch / lightrnn",
        "bar",
        "reached",
    ),
    _rows,
    "Minibatches are drawn without regard to length. For torch, they are padded before the clock "
    "starts; `pack_padded_sequence` (enforce_sorted=False) is part of the step, as it is in "
    "training, and so is lightrnn's packing. Twenty minibatches take turns, so that no step finds "
    "the lengths of the previous one again. Not shown: minibatches of similar lengths, where "
    "padding costs less.",
)
