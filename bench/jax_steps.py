"""A training step, compared with JAX's and with that of Keras on JAX, on one CPU."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from . import ours, peers
from .report import Row, Run, Table, milliseconds, times_faster
from .steps import GATES, OUTPUTS, SHAPES, Shape
from .timing import alternate, median, ratio

SIDES = ("jax", "keras")


@contextmanager
def on_one_cpu() -> Iterator[None]:
    """Keep this process, and what threads it starts, on one CPU: XLA cannot be told otherwise."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def sides(cell: str, shape: Shape) -> dict[str, Callable[[], Any]]:
    """Return a training step for each side, on the same minibatch."""
    import jax

    from . import jax_peer

    B, T, F, H = shape
    rng = np.random.default_rng(0)
    X = rng.standard_normal((B, T, F)).astype(np.float32)
    y = rng.integers(0, OUTPUTS, B)
    training = ours.Training(cell, F, H, OUTPUTS, 1)
    peer = jax_peer.Training(cell, GATES[cell], F, H, OUTPUTS)
    return {
        "lightrnn": partial(training.step, list(X), y, np.ones(B)),
        "jax": partial(peer.step, jax.numpy.asarray(X), jax.numpy.asarray(y)),
        "keras": jax_peer.keras_step(cell, X, y, H, OUTPUTS),
    }


def _rows(run: Run) -> Iterator[Row]:
    if not peers.HAS_JAX:
        return
    with on_one_cpu():
        for cell in GATES:
            for shape in SHAPES[:2] if run.quick else SHAPES:
                times = alternate(sides(cell, shape), quick=run.quick)
                yield (
                    cell,
                    str(shape),
                    *(milliseconds(median(times, name)) for name in ("lightrnn", *SIDES)),
                    *(times_faster(ratio(times, name)) for name in SIDES),
                )


JAX_STEPS = Table(
    "jax",
    "Training step beside JAX and Keras on JAX, ms, one CPU; float32",
    ("cell", "shape", "lightrnn", "JAX", "Keras", "JAX / lightrnn", "Keras / lightrnn"),
    _rows,
    "As in the table of training steps: forward, loss, backpropagation through time, clipping to "
    "norm 1, Adam, with nine classes, on the same minibatch, which JAX's arrays hold before. JAX: "
    "the products with X for all steps at once, then `lax.scan` over time, all of the step in one "
    "`jit`. Keras: `train_on_batch` of LSTM, GRU or SimpleRNN and Dense, which copies the "
    "minibatch. Not shown: the seconds that XLA compiles each shape, two threads, GPUs.",
)
