"""Clusters that lose and gain workers, clients that leave, fits side by side: the same bits."""

import os
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from lightrnn import RNNClassifier
from lightrnn.distributed import (
    DaskRNNClassifier,
    DaskRNNLanguageModel,
    DaskRNNRegressor,
    replicas,
)

from .conftest import equal, left_behind

distributed = pytest.importorskip("distributed")
dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array", exc_type=ImportError)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

SMALL = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0, "batch_size": 16}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 6, 2)).astype(np.float32)
X[3, -2:] = np.nan  # a sequence of fewer steps
Y = np.nan_to_num(X).sum((1, 2))
PARTS = da.from_array(X, chunks=(5, 6, 2))  # 8 partitions
LENGTHS = [4 if i == 3 else 6 for i in range(40)]
STEPS = [x[:T, 0] for x, T in zip(X, LENGTHS, strict=True)]
TEXTS = ["to be or not to be", "that is the question", "whether tis nobler", "in the mind"] * 6


# A fit that does not end, by a client in a process of its own.
CHILD = """
import time
from distributed import Client
from tests.distributed.test_failures import FITS

def wait(record):
    if record.epoch == 2:
        print("in the second epoch", flush=True)
        time.sleep(600)

def fit(address):
    with Client(address) as client:
        FITS["classifier"](callbacks=wait)
"""


def delayed(values):
    """Return values in 8 partitions."""
    return [dask.delayed(list(values[i::8])) for i in range(8)]


FITS = {
    "classifier": lambda **more: DaskRNNClassifier(**SMALL, dropout=0.2, **more).fit(PARTS, Y > 0),
    "regressor": lambda **more: DaskRNNRegressor(**SMALL, cell="gru", **more).fit(PARTS, Y),
    "steps": lambda **more: DaskRNNRegressor(**SMALL, target="step", truncate=4, **more).fit(
        PARTS, STEPS
    ),
    "texts": lambda **more: DaskRNNLanguageModel(**SMALL, embedding_size=3, truncate=5, **more).fit(
        delayed(TEXTS)
    ),
}


def test_bits_depend_on_neither_the_number_of_workers_nor_a_killed_one(client, cluster):
    def kill(record):
        if record.epoch == 2:
            os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)

    two = {name: fit().weights_ for name, fit in FITS.items()}
    cluster.scale(3)
    client.wait_for_workers(3, timeout=60)
    for name, fit in FITS.items():
        assert equal(fit().weights_, two[name]), f"{name}, three workers"
    for name, fit in FITS.items():
        assert equal(fit(callbacks=kill).weights_, two[name]), f"{name}, after a kill"
    cluster.scale(1)
    for name, fit in FITS.items():
        assert equal(fit().weights_, two[name]), f"{name}, one worker"
    cluster.scale(2)
    client.wait_for_workers(2, timeout=60)


class Killer:
    """Kills a worker soon after some of the messages that a fit sends to the workers.

    Parameters
    ----------
    cluster : distributed.LocalCluster
        Of workers that are processes, which their nannies start again.
    monkeypatch : pytest.MonkeyPatch
        It lets fits be watched.
    """

    def __init__(self, cluster, monkeypatch):
        self._cluster = cluster
        self._random = random.Random(0)
        gather = replicas.Replicas.gather
        enter = replicas.Replicas.__enter__

        def noted_gather(found, method, *arguments):
            self._note(method)
            return gather(found, method, *arguments)

        def noted_enter(found):
            self._note("read")
            return enter(found)

        monkeypatch.setattr(replicas.Replicas, "gather", noted_gather)
        monkeypatch.setattr(replicas.Replicas, "__enter__", noted_enter)

    def watched(self, fit, arguments, fatal=()):
        """Return the weights of a fit and its messages, of which those of some numbers kill."""
        self._messages = []
        self._fatal = fatal
        self._timers = []
        weights = fit(**arguments).weights_
        for timer in self._timers:
            timer.join()
        assert len(self._timers) == len(fatal)
        return weights, self._messages

    def moments(self, messages):
        """Draw five: while data are read and set up, two in steps, in validation, at the end."""
        steps = [i for i, message in enumerate(messages) if message == "gradient"]
        validations = sorted(set(range(steps[0], len(messages))).difference(steps))
        last = range(steps[-(len(steps) // SMALL["max_iter"])], len(messages))
        drawn = set()
        for part in (range(steps[0]), steps[: len(steps) // 2], steps, validations or steps, last):
            drawn.add(self._random.choice([i for i in part if i not in drawn]))
        return drawn

    def _note(self, message):
        if len(self._messages) in self._fatal:
            # Before the message, while workers compute, or while they answer.
            timer = threading.Timer(self._random.uniform(0, 0.005), self._kill)
            self._timers.append(timer)
            timer.start()
        self._messages.append(message)

    def _kill(self):
        while not (pids := self._pids()):
            time.sleep(0.01)  # until a nanny has started another
        os.kill(self._random.choice(pids), signal.SIGKILL)

    def _pids(self):
        """Return the processes of the workers that the scheduler knows."""
        known = self._cluster.scheduler.workers
        nannies = [w for w in self._cluster.workers.values() if w.worker_address in known]
        return [pid for nanny in nannies if (pid := nanny.pid)]


def test_a_worker_killed_at_any_of_twenty_random_moments_changes_no_bit(
    client, cluster, monkeypatch
):
    killer = Killer(cluster, monkeypatch)
    for name, fit in FITS.items():
        # Texts that are held out are in memory, so that their losses are no messages.
        held_out = {} if name == "texts" else {"early_stopping": True}
        weights, messages = killer.watched(fit, held_out)
        moments = killer.moments(messages)
        client.wait_for_workers(2, timeout=60)
        after, others = killer.watched(fit, held_out, moments)
        assert equal(after, weights), f"{name}, killed at {sorted(moments)}"
        assert others == messages
    client.wait_for_workers(2, timeout=60)


def test_two_fits_at_once_do_not_disturb_each_other(client, cluster):
    found = {}

    def fit(name):
        with distributed.Client(cluster, set_as_default=False) as own:
            found[name] = FITS[name](client=own).weights_

    threads = [threading.Thread(target=fit, args=(name,)) for name in ("classifier", "steps")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, weights in found.items():
        assert equal(weights, FITS[name]().weights_)
    assert len(found) == 2


def test_a_client_that_leaves_ends_the_fit_and_leaves_nothing_behind(client, cluster):
    own = distributed.Client(cluster, set_as_default=False)
    model = DaskRNNRegressor(**SMALL, client=own, callbacks=lambda record: own.close())
    with pytest.raises(RuntimeError, match="client must stay connected during a fit, got one that"):
        model.fit(PARTS, Y)
    assert not hasattr(model, "weights_")
    assert left_behind(client) == {}


def test_a_client_whose_process_is_killed_leaves_nothing_behind(client, cluster):
    def held(dask_scheduler):
        return len(dask_scheduler.clients), len(dask_scheduler.tasks)

    before = client.run_on_scheduler(held)
    command = [sys.executable, "-c", f"{CHILD}\nfit({cluster.scheduler_address!r})"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "in the second epoch\n"
        assert client.run_on_scheduler(held) > before
        child.kill()
    for _ in range(100):
        if client.run_on_scheduler(held) == before:
            break
        time.sleep(0.05)
    assert client.run_on_scheduler(held) == before
    assert left_behind(client) == {}
    assert equal(FITS["regressor"](client=client).weights_, FITS["regressor"]().weights_)


def test_bits_do_not_change_where_a_cluster_grows_in_a_fit(client):
    expected = {name: fit().weights_ for name, fit in FITS.items()}
    with (
        # In this process, as other workers would take a second each to start.
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as growing,
        distributed.Client(growing, set_as_default=False) as own,
    ):

        def grow(record):
            if record.epoch == 1:
                workers = len(growing.workers) + 1
                growing.scale(workers)
                own.wait_for_workers(workers, timeout=60)

        for name, fit in FITS.items():
            assert equal(fit(client=own, callbacks=grow).weights_, expected[name]), name
        assert len(growing.workers) == 5


def test_an_adaptive_cluster_grows_for_a_fit(client):
    with (
        distributed.LocalCluster(
            n_workers=0, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as adaptive,
        distributed.Client(adaptive, set_as_default=False) as own,
    ):
        adaptive.adapt(maximum=1, interval="50ms")
        model = DaskRNNRegressor(**SMALL, client=own).fit([dask.delayed(X)], Y)
        here = DaskRNNRegressor(**SMALL).fit([dask.delayed(X)], Y)
    assert equal(model.weights_, here.weights_)


@pytest.fixture
def single():
    """Return a cluster of one worker, which may be lost, and its client."""
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield cluster, client


def test_a_cluster_that_loses_all_workers_is_an_error_within_seconds(single, monkeypatch):
    monkeypatch.setattr(replicas, "_PATIENCE", 1.0)
    monkeypatch.setattr(replicas, "_WATCH", 0.2)
    cluster, client = single
    model = DaskRNNRegressor(**SMALL, client=client, callbacks=lambda record: cluster.scale(0))
    with pytest.raises(RuntimeError, match="must have a worker that computes, got none for 1"):
        model.fit(PARTS, Y)


def test_what_was_scattered_and_is_lost_is_named(single):
    _, client = single
    futures = client.scatter([X[:20], X[20:]])

    def kill(record):
        os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)

    with pytest.raises(RuntimeError, match="of X must be there or computable, got one that was"):
        DaskRNNRegressor(**SMALL, client=client, callbacks=kill).fit(futures, Y)


def test_a_fit_goes_on_after_all_workers_were_restarted(client, cluster):
    def restart(record):
        if record.epoch == 1:
            client.restart()

    assert equal(FITS["steps"](callbacks=restart).weights_, FITS["steps"]().weights_)


def test_a_partition_that_workers_die_of_is_named(client, cluster, monkeypatch):
    monkeypatch.setattr(replicas, "_READINGS", 1)
    parts = [dask.delayed(X), dask.delayed(os._exit)(1)]
    with pytest.raises(RuntimeError, match=r"Partition \d of X must be readable, got 1 losses of"):
        DaskRNNRegressor(**SMALL).fit(parts, Y)
    client.wait_for_workers(2, timeout=60)


def test_fits_inside_of_tasks_do_not_wait_for_the_workers_that_they_keep_busy(client):
    def fit(cell):
        return DaskRNNRegressor(**SMALL | {"cell": cell}).fit([dask.delayed(X)], Y).weights_

    # As many as there are threads.
    tasks = client.map(fit, ["rnn", "gru"], pure=False)
    for found, cell in zip(client.gather(tasks), ["rnn", "gru"], strict=True):
        assert equal(found, fit(cell))


def test_an_interruption_keeps_what_was_learned(client):
    def interrupt(record):
        if record.epoch == 2:
            raise KeyboardInterrupt

    model = DaskRNNRegressor(**SMALL, callbacks=interrupt).fit(PARTS, Y)
    assert model.stop_reason_ == "interrupted"
    assert model.n_iter_ == 2


def test_a_grid_is_searched_by_the_workers_of_a_cluster(client):
    search = pytest.importorskip("sklearn.model_selection").GridSearchCV
    joblib = pytest.importorskip("joblib")
    grid = search(RNNClassifier(**SMALL), {"cell": ["rnn", "gru"]}, cv=2)
    whole = np.nan_to_num(X)
    local = grid.fit(whole, Y > 0).cv_results_["mean_test_score"]
    with joblib.parallel_backend("dask"):
        spread = grid.fit(whole, Y > 0).cv_results_["mean_test_score"]
    assert spread.tolist() == local.tolist()
