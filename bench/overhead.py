"""Measure what a fit does beside its steps: reading, drawing minibatches, validation, records."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from unittest import mock

import numpy as np

from lightrnn import RNNClassifier
from lightrnn.estimators import estimator
from lightrnn.nn.network import Network
from lightrnn.training.monitor import Monitor

from . import mlp, vowels
from .report import Row, Run, Table, verdict

MOST = 5.0  # percent of a fit
PARTS = ("train", "steps", "validation")  # seconds that are measured, one within the other


def _classifier(cell: str, units: int, epochs: int, **arguments: Any) -> RNNClassifier:
    """Return an estimator that trains for all epochs on one thread."""
    common = {"max_iter": epochs, "n_iter_no_change": epochs, "n_jobs": 1, "random_state": 0}
    return RNNClassifier(cell, (units,), patch=1, **common, **arguments)


def cases() -> dict[str, Callable[[], RNNClassifier]]:
    """Return fits by name."""
    X, y = vowels.load("train")
    tiny, tiny_y = mlp.make_data(400, 4, 0)
    table, table_y = mlp.make_data(2000, 8, 0)
    rng = np.random.default_rng(0)
    long = rng.standard_normal((2000, 100, 16)).astype(np.float32)
    positive = long.sum(axis=(1, 2)) > 0
    model = _classifier("lstm", 16, 10, batch_size=8)
    net = _classifier("ffnn", 64, 10, batch_size=200, window=mlp.WINDOW)
    held = _classifier("lstm", 64, 10, batch_size=32, early_stopping=True)
    return {
        "JapaneseVowels, LSTM 64, 30 epochs of 9 minibatches": lambda: vowels.make_classifier(
            1
        ).fit(X, y),
        "LSTM B8 T20 F4 H16, 10 epochs of 50": lambda: model.fit(tiny, tiny_y),
        "ffnn, n 2000, F 8, batch 200, 10 epochs of 10": lambda: net.fit(table, table_y),
        "LSTM B32 T100 F16 H64, early stopping, 10 epochs of 57": lambda: held.fit(long, positive),
    }


def measured(fit: Callable[[], Any]) -> dict[str, float]:
    """Return the CPU seconds of a fit, and of its parts."""
    seconds = dict.fromkeys(PARTS, 0.0)

    def timed(owner: Any, name: str, part: str) -> Any:
        function = getattr(owner, name)

        def call(*arguments: Any, **options: Any) -> Any:
            start = time.thread_time()
            try:
                return function(*arguments, **options)
            finally:
                seconds[part] += time.thread_time() - start

        return mock.patch.object(owner, name, call)

    with ExitStack() as stack:
        stack.enter_context(timed(estimator, "train", "train"))
        stack.enter_context(timed(Network, "learn", "steps"))
        stack.enter_context(timed(Monitor, "_score", "validation"))
        start = time.thread_time()
        fit()
        seconds["fit"] = time.thread_time() - start
    return seconds


def _rows(run: Run) -> Iterator[Row]:
    for name, fit in cases().items():
        fit()  # compiles
        rounds = [measured(fit) for _ in range(1 if run.quick else 7)]
        seconds = min(rounds, key=lambda found: found["fit"])
        train, steps, validation = (seconds[part] for part in PARTS)
        parts = (seconds["fit"] - train, train - steps - validation, validation)
        share = 100 * (1 - steps / seconds["fit"])
        yield (
            name,
            f"{1e3 * seconds['fit']:.1f}",
            f"{1e3 * steps:.1f}",
            *(f"{1e3 * part:.1f}" for part in parts),
            f"{share:.0f} %",
            *verdict(share, MOST, "{:g} %", at_most=True),
        )


OVERHEAD = Table(
    "overhead",
    "A whole fit and what it does beside its steps, ms of CPU time, one thread",
    (
        "fit",
        "all",
        "steps",
        "reading",
        "drawing, records",
        "validation",
        "beside the steps",
        "bar",
        "reached",
    ),
    _rows,
    "The quickest of seven fits. Steps: from packing a minibatch to Adam, with their Python. "
    "Reading: checks of arguments, X and y, the standardisation, initial weights; once in a fit, "
    "however many epochs it has. Drawing, records: the order of an epoch, the selection of each "
    "minibatch, losses, norms, the learning rate. Validation computes outputs of a tenth of the "
    "sequences.",
)
