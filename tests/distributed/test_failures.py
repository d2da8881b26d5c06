"""Clusters that lose and gain workers, clients that leave, fits side by side: the same bits."""

import os
import signal
import threading

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

    def grow(record):
        cluster.scale(3)

    two = {name: fit().weights_ for name, fit in FITS.items()}
    assert equal(FITS["classifier"](callbacks=grow).weights_, two["classifier"])
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


@pytest.fixture
def single():
    """Return a cluster of one worker, which may be lost, and its client."""
    with (
        distributed.LocalCluster(1, threads_per_worker=1, dashboard_address=":0") as cluster,
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
