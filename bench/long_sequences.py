"""Memory and time of a step on long sequences: all gates kept, and in segments.

    python -m bench.long_sequences SEQUENCES STEPS (whole | segments) KIND

prints the figures of one child process as JSON.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from .child import peak_megabytes
from .report import Row, Run, Table, verdict

# Sequences, steps, kind of network; most memory and most time in relation to all gates at once.
CASES = (
    (4, 50_000, "sequence", 1 / 8, 1.35),
    (1, 1_000_000, "sequence", 1 / 50, 1.35),
    (4, 50_000, "step", None, None),
    (4, 50_000, "both ways", None, None),
    (4, 50_000, "both ways, two layers", None, None),
)


def main(sequences: str, steps: str, way: str, kind: str) -> None:
    """Print how much memory one step takes, and the fewest seconds of the two after it."""
    from lightrnn.losses import make_loss
    from lightrnn.nn.network import Network

    target = "step" if kind == "step" else "sequence"
    sizes = (64, 64) if "two" in kind else (64,)
    network = Network("lstm", 1, sizes, 2, target=target, bidirectional="both" in kind)
    network.initialize(np.random.default_rng(0))
    loss = make_loss("softmax")
    # Machine code of both ways is loaded before the memory is measured.
    for network.available in (0, np.inf):
        network.loss_and_gradient(_batch(int(sequences), 50, target), loss)
    network.available = 0 if way == "segments" else np.inf
    batch = _batch(int(sequences), int(steps), target)
    before = peak_megabytes()
    network.loss_and_gradient(batch, loss)
    grown = peak_megabytes() - before
    seconds = []
    for _ in range(2):
        start = time.process_time()
        network.loss_and_gradient(batch, loss)
        seconds.append(time.process_time() - start)
    print(json.dumps({"grown": grown, "seconds": min(seconds)}))


def _batch(sequences: int, steps: int, target: str) -> Any:
    """Return sequences of one feature with classes."""
    from lightrnn.nn.batches import Batch

    rng = np.random.default_rng(0)
    X = list(rng.standard_normal((sequences, steps, 1), dtype=np.float32))
    shape = (sequences, steps) if target == "step" else (sequences,)
    y = rng.integers(0, 2, shape)
    weights = np.ones(shape)
    if target == "step":
        return Batch.of(X, list(y), list(weights))
    return Batch.of(X, y, weights)


def _child(*arguments: Any) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.long_sequences", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _rows(run: Run) -> Iterator[Row]:
    """Measure both ways in turns; the lowest of three rounds is what each needs."""
    for sequences, steps, kind, memory, seconds in CASES[:1] if run.quick else CASES:
        steps = steps // 10 if run.quick else steps
        rounds = [
            [_child(sequences, steps, way, kind) for way in ("whole", "segments")]
            for _ in range(1 if run.quick else 3)
        ]
        whole, segments = (
            {name: min(figures[name] for figures in side) for name in ("grown", "seconds")}
            for side in zip(*rounds, strict=True)
        )
        share = segments["grown"] / whole["grown"]
        slower = segments["seconds"] / whole["seconds"]
        yield (
            f"{sequences} x {steps:,}, {kind}",
            f"{whole['grown']:.0f}",
            f"{segments['grown']:.1f}",
            f"1/{1 / share:.0f}",
            *verdict(share, memory, "{:.3f}", at_most=True),
            f"{slower:.2f}",
            *verdict(slower, seconds, at_most=True),
        )


LONG = Table(
    "long",
    "A step on long sequences, LSTM 64: all gates kept, and in segments",
    (
        "sequences x steps, read",
        "whole, MB",
        "segments, MB",
        "share",
        "bar",
        "reached",
        "time",
        "bar",
        "reached",
    ),
    _rows,
    "The resident memory by which a process grows when it computes the loss and the gradient of "
    "one batch, one feature a step, and the processor time of the same in relation to all gates "
    "kept, once the memory is there. Where a batch would need more than a quarter of the memory "
    "there is, it is run in segments by itself: both ways give the same bits. Several layers of "
    "two directions keep their outputs for every step.",
)

if __name__ == "__main__":
    main(*sys.argv[1:])
