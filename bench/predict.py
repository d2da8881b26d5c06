"""Prediction: of one sequence beside torch's bare layer, and of many beside its whole network."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lightrnn import RNNClassifier

from . import peers
from .report import Row, Run, Table, shown, times_faster, verdict
from .timing import alternate, median, ratio

T = 100
CASES = ((1, 8, 32), (512, 16, 64))  # sequences, features, units
# Times as fast as torch on one thread, by cell and number of sequences. Of one: on two, too.
BARS = {("lstm", 1): 2.0, ("lstm", 512): 2.0, ("gru", 512): 2.2}


def sides(cell: str, case: tuple[int, int, int], threads: int) -> dict[str, Callable[[], Any]]:
    """Return the call of `predict`, or of `predict_proba` for many, for each side."""
    n, F, H = case
    rng = np.random.default_rng(0)
    X = rng.standard_normal((max(n, 40), T, F)).astype(np.float32)
    model = RNNClassifier(cell, (H,), patch=1, max_iter=1, n_jobs=threads, random_state=0)
    model.fit(X[:40], np.arange(40) % 9)
    given = list(X[:n])
    method = model.predict if n == 1 else model.predict_proba
    calls: dict[str, Callable[[], Any]] = {"lightrnn": lambda: method(given)}
    if peers.HAS_TORCH:
        import torch

        from .pytorch import Net

        net = Net(cell, F, H, 9).eval()
        x = torch.from_numpy(X[:n])

        def forward() -> Any:
            with torch.no_grad():
                return net.recurrent(x) if n == 1 else net(x).softmax(1)

        calls["torch"] = forward
    return calls


def _rows(run: Run) -> Iterator[Row]:
    for threads in run.threads:
        for case in CASES:
            for cell in ("lstm", "gru", "rnn"):
                yield _row(run, threads, case, cell)


def _row(run: Run, threads: int, case: tuple[int, int, int], cell: str) -> Row:
    n, F, H = case
    with peers.limited(threads):
        times = alternate(sides(cell, case, threads), quick=run.quick, most=201)
    faster = ratio(times, "torch")
    bar = BARS.get((cell, n)) if threads == 1 or n == 1 else None
    return (
        cell,
        f"{n} x T{T} F{F} H{H}",
        str(threads),
        *(shown(1e6 * median(times, name), "{:.0f}") for name in ("lightrnn", "torch")),
        times_faster(faster),
        *verdict(faster, bar),
    )


PREDICT = Table(
    "predict",
    "Predictions, microseconds",
    ("cell", "sequences", "threads", "lightrnn", "torch", "torch / lightrnn", "bar", "reached"),
    _rows,
    "Of one sequence: `predict`, the whole call, with input checks, output layer and labels, "
    "beside torch's bare layer. Of 512: `predict_proba` beside layer, nn.Linear and softmax. torch "
    "runs under no_grad, on a tensor that is ready. A bar of 2 means half of torch's time.",
)
