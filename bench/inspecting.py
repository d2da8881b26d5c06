"""The time that `gradient_flow` takes: norms of every step of every sequence."""

from collections.abc import Iterator

import numpy as np

from lightrnn import RNNRegressor
from lightrnn.inspection import gradient_flow

from .report import Row, Run, Table, verdict
from .timing import alternate, median

N = 100
T = 200
F = 4
H = 64
BAR = 1.0  # seconds


def _rows(run: Run) -> Iterator[Row]:
    X = np.random.default_rng(0).standard_normal((N, T, F)).astype(np.float32)
    for threads in run.threads:
        for cell in ("lstm", "gru", "rnn"):
            # What the network has learned does not matter for the time, so it learns little.
            model = RNNRegressor(cell, (H,), patch=1, max_iter=1, n_jobs=threads, random_state=0)
            model.fit(X[:8], np.arange(8.0))
            sides = {
                "exact": lambda m=model: gradient_flow(m, X),
                "spectral": lambda m=model: gradient_flow(m, X, spectral=True),
            }
            times = alternate(sides, quick=run.quick, most=11, least=5)
            seconds = median(times, "exact")
            spectral = f"{median(times, 'spectral'):.2f}"
            yield (
                cell,
                str(threads),
                f"{seconds:.2f}",
                spectral,
                *verdict(seconds, BAR, at_most=True),
            )


INSPECTION = Table(
    "inspection",
    f"`gradient_flow` of {N} sequences of {T} steps, {H} units, seconds",
    ("cell", "threads", "seconds", "with spectral norms", "bar", "reached"),
    _rows,
    "Gradients for every state and input, and the Frobenius norm of the derivative of the last "
    "state with respect to every state, in float32; spectral norms of 16 sequences by power "
    "iteration.",
)
