"""A cluster of two workers, each a process of one thread, for the tests of a module."""

import time

import numpy as np
import pytest


def equal(one, other):
    """Whether two dicts of weights hold the same bits."""
    return all(np.array_equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    dask = pytest.importorskip("dask")
    with (
        # Dask gives a worker up that is missing this long after it was lost, if for another loss.
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1 hour"}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
    ):
        yield cluster


@pytest.fixture
def client(cluster):
    distributed = pytest.importorskip("distributed")
    with distributed.Client(cluster) as client:
        client.wait_for_workers(2)
        yield client
        assert left_behind(client) == {}, "a fit leaves no replica, task or file behind"


def left_behind(client):
    """Return what each worker still holds after a moment, in which dask lets go; empty ones out."""
    for _ in range(100):
        found = client.run(_held, on_error="return")
        # A worker that was killed just now cannot answer.
        left = {k: f for k, f in found.items() if isinstance(f, OSError) or any(f.values())}
        if not left:
            break
        time.sleep(0.05)
    return left


def _held(dask_worker):
    """Return numbers of actors, tasks, and files that the process has open but not by name."""
    import os

    folder = "/proc/self/fd"
    links = []
    for number in os.listdir(folder) if os.path.isdir(folder) else []:
        try:
            links.append(os.readlink(f"{folder}/{number}"))
        except OSError:
            continue  # the listing's own
    files = [link for link in links if link.endswith(" (deleted)") and "worker" in link]
    state = dask_worker.state
    tasks = [key for key in state.tasks if not str(key).startswith("ndarray")]
    return {"actors": len(state.actors), "tasks": len(tasks), "files": len(files)}
