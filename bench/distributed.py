"""Steps of fits on dask, and what they would gain on 2 to 128 workers."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np

from lightrnn import RNNClassifier
from lightrnn.distributed import DaskRNNClassifier

from .report import Row, Run, Table

UNITS = (16, 128, 512)
T, F = 50, 32
BATCH = 256
STEPS = 4  # in an epoch
TINY = 8  # sequences of a minibatch that takes hardly any time
SMALL_STEPS = 16
SMALL_UNITS = (8, 64, 152, 352, 1100)
WORKERS = (2, 8, 32, 128)
# A link between machines: seconds until a message is there, and bytes in a second (10 Gbit/s).
LATENCY = 2e-4
BANDWIDTH = 1.25e9


def seconds(model: Any, X: Any, y: Any, steps: int) -> float:
    """Return the seconds of a step, in the fastest epoch but the first."""
    epochs: list[float] = []
    model.set_params(callbacks=lambda record: epochs.append(record.seconds)).fit(X, y)
    return min(epochs[1:]) / steps


def predicted(compute: float, overhead: float, size: int, workers: int) -> float:
    """Return how many times faster steps are, by workers that are a link away.

    Parameters
    ----------
    compute : float
        Seconds of the gradient of a minibatch by one worker.
    overhead : float
        Seconds that a message to a worker and its answer take the client, without a link.
    size : int
        Bytes of the parameters, which travel to each worker, and as many back.
    workers : int
        Number of workers.
    """
    # The client sends to and hears from one worker after the other.
    link = 2 * LATENCY + workers * 2 * size / BANDWIDTH
    return compute / (compute / workers + workers * overhead + link)


def _rows(run: Run) -> Iterator[Row]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((STEPS * BATCH, T, F)).astype(np.float32)
    y = X[:, :, 0].sum(axis=1) > 0
    few = slice(STEPS * TINY)
    for units in UNITS[:2] if run.quick else UNITS:
        times = _times(units, BATCH, X, y)
        if not times:
            return
        # The same network on steps that take hardly any time: what is left are messages.
        tiny = _times(units, TINY, X[few, :2], y[few])
        overhead = max(tiny[1] - tiny[0], 0.0)
        size = 4 * times.pop(-1)
        yield (
            f"{size // 4:,}",
            *(f"{1e3 * times[workers]:.1f}" for workers in (0, 1, 2)),
            f"{1e3 * overhead:.1f}",
            f"{times[0] / times[2]:.2f}",
            *(f"{times[0] / (times[0] / workers + workers * overhead):.2f}" for workers in (1, 2)),
            " / ".join(f"{predicted(times[0], overhead, size, w):.1f}" for w in WORKERS),
        )


def _small_rows(run: Run) -> Iterator[Row]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((SMALL_STEPS * TINY, 4, 8)).astype(np.float32)
    y = X[:, :, 0].sum(axis=1) > 0
    for units in SMALL_UNITS[:3] if run.quick else SMALL_UNITS:
        times = _times(units, TINY, X, y)
        if not times:
            return
        seconds_of = (f"{1e3 * times[workers]:.2f}" for workers in (0, 1, 2))
        yield f"{times[-1]:,}", *seconds_of, f"{1e3 * (times[2] - times[0]):.2f}"


def _times(units: int, batch_size: int, X: Any, y: Any) -> dict[int, float]:
    """Return the seconds of a step by number of workers, 0 for local, and parameters as -1."""
    try:
        import dask.array as da
        from distributed import Client, LocalCluster
    except ImportError:
        return {}
    chunks = da.from_array(X, chunks=(len(X) // 4, *X.shape[1:]))
    common: dict[str, Any] = {"cell": "lstm", "hidden_layer_sizes": (units,), "n_jobs": 1}
    common |= {"batch_size": batch_size, "max_iter": 4, "random_state": 0, "patch": 1}
    common |= {"bidirectional": False, "dropout": 0.0}
    steps = len(X) // batch_size
    with ExitStack() as stack:
        sides: dict[int, tuple[Any, Any]] = {0: (RNNClassifier(**common), X)}
        for workers in (1, 2):
            cluster = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0")
            client = Client(stack.enter_context(cluster), set_as_default=False)
            stack.enter_context(client)
            sides[workers] = DaskRNNClassifier(client=client, **common), chunks
        rounds = [{w: seconds(*side, y, steps) for w, side in sides.items()} for _ in range(4)]
    # The first one compiles.
    times = {w: min(times[w] for times in rounds[1:]) for w in sides}
    return times | {-1: sides[0][0].n_parameters_}


DISTRIBUTED = Table(
    "distributed",
    f"A step on dask, ms: LSTM, {T} steps, {F} features, minibatches of {BATCH}, one thread each",
    (
        "parameters",
        "local",
        "1 worker",
        "2 workers",
        "message",
        "times faster by 2",
        "predicted for 1",
        "predicted for 2",
        "predicted for " + " / ".join(map(str, WORKERS)) + " machines",
    ),
    _rows,
    "Workers are processes of this machine, with the same 4 partitions. A message and its answer "
    f"are measured with minibatches of {TINY} sequences of two steps; the client sends one to each "
    "worker and step, one after the other. The prediction adds them to the gradient's time divided "
    f"by the number of workers; for 2 to 128 machines also a link of {1e3 * LATENCY:g} ms and "
    f"{8 * BANDWIDTH / 1e9:g} Gbit/s.",
)

SMALL_STEPS_ON_DASK = Table(
    "distributed_small",
    f"A small step on dask, ms: LSTM, 4 steps, 8 features, minibatches of {TINY}, one thread each",
    ("parameters", "local", "1 worker", "2 workers", "2 workers - local"),
    _small_rows,
    "The gradient takes little here: what is left is what a step costs on two workers, by the "
    "number of parameters, which travel to each worker and as gradients back.",
)
