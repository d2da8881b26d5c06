"""Data ten times the memory of a worker: computed partitions go to files, maps are let go."""

import os
import threading
import time

import numpy as np
import pytest

from lightrnn.distributed import DaskRNNRegressor

distributed = pytest.importorskip("distributed")
dask = pytest.importorskip("dask")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

LIMIT = 360 << 20  # bytes, of which an idle worker that has imported everything takes a half
SHAPE = (96, 1000, 64)  # of a partition, 23 MiB
PARTITIONS = 10 * LIMIT // (4 * int(np.prod(SHAPE)))


def computed(path, number):
    return np.random.default_rng(number).random(SHAPE, np.float32)


def mapped(path, number):
    return np.memmap(path, np.float32, "r", number * 4 * int(np.prod(SHAPE)), SHAPE)


def watch(dask_worker):
    """Keep the most memory that the process has had."""
    import psutil  # dask has it

    process = psutil.Process()
    dask_worker.peak = 0

    def look():
        while True:
            dask_worker.peak = max(dask_worker.peak, process.memory_info().rss)
            time.sleep(0.01)

    threading.Thread(target=look, daemon=True).start()


@pytest.mark.parametrize("partition", [computed, mapped])
def test_no_worker_exceeds_its_limit(partition, tmp_path):
    path = tmp_path / "steps"
    with open(path, "wb") as file:
        file.truncate(10 * LIMIT)  # a file of holes
    X = [dask.delayed(partition, pure=False)(path, number) for number in range(PARTITIONS)]
    y = np.arange(PARTITIONS * SHAPE[0]) % 5
    arguments = {"cell": "rnn", "hidden_layer_sizes": (2,), "max_iter": 1, "batch_size": 1024}
    arguments |= {"patch": 100, "random_state": 0, "dropout": 0.0, "bidirectional": False}
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, memory_limit=LIMIT, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.run(watch)
        pids = client.run(os.getpid)
        DaskRNNRegressor(**arguments, early_stopping=True).fit(X, y)
        assert client.run(os.getpid) == pids, "no worker was restarted"
        peaks = client.run(lambda dask_worker: dask_worker.peak)
    assert max(peaks.values()) < LIMIT
