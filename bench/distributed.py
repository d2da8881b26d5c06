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
WORKERS = (2, 8, 32, 128)
# A link between machines: seconds until a message is there, and bytes in a second (10 Gbit/s).
LATENCY = 2e-4
BANDWIDTH = 1.25e9


def seconds(model: Any, X: Any, y: Any) -> float:
    """Return the seconds of a step, in the fastest epoch but the first."""
    epochs: list[float] = []
    model.set_params(callbacks=lambda record: epochs.append(record.seconds)).fit(X, y)
    return min(epochs[1:]) / STEPS


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
    try:
        import dask.array as da
        from distributed import Client, LocalCluster
    except ImportError:
        return
    rng = np.random.default_rng(0)
    X = rng.standard_normal((STEPS * BATCH, T, F)).astype(np.float32)
    y = X[:, :, 0].sum(axis=1) > 0
    chunks = da.from_array(X, chunks=(STEPS * BATCH // 4, T, F))
    for units in UNITS[:2] if run.quick else UNITS:
        common: dict[str, Any] = {"cell": "lstm", "hidden_layer_sizes": (units,), "n_jobs": 1}
        common |= {"batch_size": BATCH, "max_iter": 4, "random_state": 0, "patch": 1}
        common |= {"bidirectional": False, "dropout": 0.0}
        with ExitStack() as stack:
            sides: dict[int, tuple[Any, Any]] = {0: (RNNClassifier(**common), X)}
            for workers in (1, 2):
                cluster = LocalCluster(workers, threads_per_worker=1, dashboard_address=":0")
                client = Client(stack.enter_context(cluster), set_as_default=False)
                stack.enter_context(client)
                sides[workers] = DaskRNNClassifier(client=client, **common), chunks
            rounds = [{w: seconds(*side, y) for w, side in sides.items()} for _ in range(4)]
            # The first one compiles.
            times = {w: min(times[w] for times in rounds[1:]) for w in sides}
            model = sides[2][0]
        size = 4 * model.n_parameters_
        overhead = max(times[1] - times[0], 0.0)
        two = times[0] / (times[0] / 2 + 2 * overhead)
        yield (
            f"{model.n_parameters_:,}",
            *(f"{1e3 * times[workers]:.1f}" for workers in (0, 1, 2)),
            f"{times[0] / times[2]:.2f}",
            f"{two:.2f}",
            " / ".join(f"{predicted(times[0], overhead, size, w):.1f}" for w in WORKERS),
        )


DISTRIBUTED = Table(
    "distributed",
    f"A step on dask, ms: LSTM, {T} steps, {F} features, minibatches of {BATCH}, one thread each",
    (
        "parameters",
        "local",
        "1 worker",
        "2 workers",
        "times faster by 2",
        "predicted",
        "predicted for " + " / ".join(map(str, WORKERS)),
    ),
    _rows,
    "Workers are processes of this machine, with the same 4 partitions. The difference between one "
    "worker and a local step is the cost of a message and its answer; the client sends them one "
    "after the other. The prediction adds these to the gradient's time divided by the number of "
    f"workers; for 2 to 128 machines also a link of {1e3 * LATENCY:g} ms and "
    f"{8 * BANDWIDTH / 1e9:g} Gbit/s.",
)
