"""Latency: `predict` of one sequence, compared with the bare forward pass of torch's layer."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lightrnn import RNNClassifier

from . import peers
from .report import Row, Run, Table, shown, times_faster, verdict
from .timing import alternate, median, ratio

T = 100
F = 8
H = 32
BAR = 2.0  # half of torch's time


def sides(cell: str, threads: int) -> dict[str, Callable[[], Any]]:
    """Return the call of `predict` for lightrnn, and that of the bare layer for torch."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, T, F)).astype(np.float32)
    model = RNNClassifier(cell, (H,), patch=1, max_iter=1, n_jobs=threads, random_state=0)
    model.fit(X, rng.integers(0, 9, 40))
    one = [X[0]]  # a single sequence (T, F)
    calls: dict[str, Callable[[], Any]] = {"lightrnn": lambda: model.predict(one)}
    if peers.HAS_TORCH:
        import torch

        from .pytorch import LAYERS

        layer = LAYERS[cell](F, H, batch_first=True).eval()
        x = torch.from_numpy(X[:1])

        def forward() -> Any:
            with torch.no_grad():
                return layer(x)

        calls["torch"] = forward
    return calls


def _rows(run: Run) -> Iterator[Row]:
    for threads in run.threads:
        for cell in ("lstm", "gru", "rnn"):
            with peers.limited(threads):
                times = alternate(sides(cell, threads), quick=run.quick, most=201)
            faster = ratio(times, "torch")
            seconds = (shown(1e6 * median(times, name), "{:.0f}") for name in ("lightrnn", "torch"))
            yield (
                cell,
                str(threads),
                *seconds,
                times_faster(faster),
                *verdict(faster, BAR if cell == "lstm" else None),
            )


PREDICT = Table(
    "predict",
    f"`predict` of one sequence, T{T} F{F} H{H}, microseconds",
    ("cell", "threads", "lightrnn", "torch", "torch / lightrnn", "bar", "reached"),
    _rows,
    "lightrnn: the whole call, with input checks, output layer and labels. torch: the bare layer "
    "under no_grad, on a tensor that is ready. A bar of 2 means half of torch's time. Not shown: "
    "many sequences at once.",
)
