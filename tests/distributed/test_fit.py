"""Fits on real clusters: the same bits for any number of workers, and after one was killed."""

import warnings

import numpy as np
import pytest

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor
from lightrnn.distributed import DaskRNNClassifier, DaskRNNLanguageModel, DaskRNNRegressor

from .conftest import equal

distributed = pytest.importorskip("distributed")
da = pytest.importorskip("dask.array", exc_type=ImportError)
dask = pytest.importorskip("dask")

# Dask leaves sockets open for a moment, and says when a worker was lost.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

N, T, F = 40, 6, 2
SMALL = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0, "batch_size": 16}


def data(seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, T, F)).astype(np.float32)
    return X, X.sum((1, 2))


def partitioned(X, chunk=10):
    return da.from_array(X, chunks=(chunk, *X.shape[1:]))


CASES = {
    "classes": (DaskRNNClassifier, {"cell": "lstm", "dropout": 0.2}, lambda y: y > 0),
    "numbers": (DaskRNNRegressor, {"cell": "gru", "loss": "huber"}, lambda y: y),
    "held out": (
        DaskRNNRegressor,
        {"early_stopping": True, "pooling": "mean", "head_layer_sizes": (5,)},
        lambda y: y,
    ),
    "patches": (DaskRNNClassifier, {"patch": 2, "class_weight": "balanced"}, lambda y: y > 1),
    "quantiles": (
        DaskRNNRegressor,
        {"loss": "quantile", "quantile": (0.2, 0.8), "calibrate": True, "validation_fraction": 0.4},
        lambda y: y,
    ),
    "lbfgs": (DaskRNNRegressor, {"solver": "lbfgs", "dropout": 0.0, "cell": "rnn"}, lambda y: y),
}


@pytest.mark.parametrize("case", CASES)
def test_one_partition_is_a_local_fit_bit_for_bit_and_several_are_one_up_to_rounding(client, case):
    kind, arguments, target = CASES[case]
    X, y = data()
    y = target(y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        local = kind._local(**SMALL | arguments).fit(X, y)
        one = kind(**SMALL | arguments).fit(partitioned(X, N), y)
        four = kind(**SMALL | arguments).fit(partitioned(X), da.from_array(y, chunks=10))
    assert equal(local.weights_, one.weights_)
    assert one.loss_curve_ == local.loss_curve_
    assert one.validation_scores_ == local.validation_scores_
    for name, value in local.weights_.items():
        np.testing.assert_allclose(four.weights_[name], value, rtol=0, atol=2e-4)
    assert equal(four.to_local().weights_, four.weights_)


def test_predictions_of_partitions_are_lazy_and_those_of_the_local_estimator(client):
    X, y = data()
    model = DaskRNNClassifier(**SMALL).fit(partitioned(X), y > 0)
    local = model.to_local()
    assert type(local) is RNNClassifier
    for method in ("predict", "predict_proba", "transform"):
        lazy = getattr(model, method)(partitioned(X))
        assert isinstance(lazy, da.Array)
        expected = getattr(local, method)(X)
        assert lazy.dtype == expected.dtype
        np.testing.assert_array_equal(lazy.compute(), expected)
        np.testing.assert_array_equal(getattr(model, method)(X), expected)
    parts = model.predict([dask.delayed(list)(X[:10]), dask.delayed(list)(X[10:])])
    np.testing.assert_array_equal(np.concatenate(dask.compute(*parts)), local.predict(X))
    y = da.from_array(y > 0, chunks=10)
    assert model.score(partitioned(X), y) == local.score(X, np.asarray(y))


def test_lists_of_delayed_and_of_futures_are_partitions_of_any_lengths(client):
    rng = np.random.default_rng(0)
    parts = [[rng.normal(size=(n, F)) for n in rng.integers(2, 9, 10)] for _ in range(3)]
    X = [x for part in parts for x in part]
    y = np.array([x.sum() for x in X])
    weights = rng.integers(0, 3, len(X))
    arguments = SMALL | {"cell": "gru"}
    delayed = DaskRNNRegressor(**arguments).fit(
        [dask.delayed(part) for part in parts],
        [dask.delayed(part) for part in np.split(y, 3)],
        da.from_array(weights, chunks=10),
    )
    futures = [client.scatter([part])[0] for part in parts]
    scattered = DaskRNNRegressor(**arguments).fit(futures, y, weights)
    assert equal(delayed.weights_, scattered.weights_)
    local = RNNRegressor(**arguments).fit(X, y, weights)
    for name, value in local.weights_.items():
        np.testing.assert_allclose(delayed.weights_[name], value, rtol=0, atol=2e-4)
    step = SMALL | {"target": "step", "truncate": 3}
    steps = [x.cumsum(axis=0) for x in X]
    local_steps = RNNRegressor(**step).fit(X, steps)
    model = DaskRNNRegressor(**step).fit([dask.delayed(X)], [dask.delayed(steps)])
    assert equal(model.weights_, local_steps.weights_)


def test_errors_name_what_is_wrong_and_leave_the_estimator_as_it_was(client):
    X, y = data()
    bad = X.copy()
    bad[25, 2, 1] = np.inf
    model = DaskRNNRegressor(**SMALL)
    for arguments, message in (
        ((X, y), "X must be a collection of dask, or a list of Delayed"),
        ((partitioned(bad), y), r"In partition 2: X\[5\] must be finite"),
        ((partitioned(X), da.from_array(y, chunks=20)), "y must have 4 partitions"),
        (([dask.delayed(X), dask.delayed(X[:, :, :1])], y), "same features a step in every part"),
        (([dask.delayed(X), dask.delayed(dict)(3)], y), "'int' object is not iterable"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            model.fit(*arguments)
        assert not hasattr(model, "weights_")
    with pytest.raises(ValueError, match="device must be 'cpu'"):
        DaskRNNRegressor(device="auto").fit(partitioned(X), y)


def test_a_closed_client_and_a_cluster_without_workers_are_clear_errors():
    X, y = data()
    with distributed.LocalCluster(n_workers=0, dashboard_address=None) as cluster:
        with distributed.Client(cluster) as client:
            with pytest.raises(RuntimeError, match="The cluster must have a worker, got none"):
                DaskRNNRegressor(client=client).fit(partitioned(X), y)
        with pytest.raises(ValueError, match="client must be connected, got one that is closed"):
            DaskRNNRegressor(client=client).fit(partitioned(X), y)
    with pytest.raises(TypeError, match=r"client must be a distributed\.Client or None, got 'tcp:"):
        DaskRNNRegressor(client="tcp://a").fit(partitioned(X), y)
    with pytest.raises(ValueError, match="client must be given, or be the current one, got None"):
        DaskRNNRegressor().fit(partitioned(X), y)


@pytest.mark.parametrize("cell", ["gru", "ffnn"])
def test_texts_in_partitions_are_learned_as_texts_in_memory(client, cell):
    texts = ["to be or not to be", "that is the question", "", "whether tis nobler", "in the mind"]
    arguments = {"cell": cell, "hidden_layer_sizes": (4,), "embedding_size": 3, "window": 3}
    arguments |= {"max_iter": 2, "batch_size": 4, "truncate": 5, "random_state": 0}
    local = RNNLanguageModel(**arguments).fit(texts, texts_val=texts[:2])
    bag = pytest.importorskip("dask.bag", exc_type=ImportError)
    one = DaskRNNLanguageModel(**arguments)
    one.fit(bag.from_sequence(texts, npartitions=1), texts_val=texts[:2])
    assert equal(one.weights_, local.weights_)
    assert one.loss_curve_ == local.loss_curve_
    assert one.validation_scores_ == local.validation_scores_
    parts = [dask.delayed(texts[:2]), dask.delayed(texts[2:])]
    two = DaskRNNLanguageModel(**arguments).fit(parts)
    assert two.vocabulary_.tolist() == local.vocabulary_.tolist()
    for name, value in local.weights_.items():
        np.testing.assert_allclose(two.weights_[name], value, rtol=0, atol=2e-4)
    two.partial_fit(parts)
    assert two.n_iter_ == 3
    assert two.score(parts) == two.to_local().score(texts)


def test_a_client_that_is_not_the_current_one_fits(cluster):
    X, y = data()
    with distributed.Client(cluster, set_as_default=False) as client:
        model = DaskRNNRegressor(client=client, **SMALL).fit(partitioned(X), y)
        assert np.isfinite(model.score(partitioned(X), da.from_array(y, chunks=10)))


def test_workers_without_a_partition_are_not_idle_in_silence(client):
    X, y = data()
    with pytest.warns(UserWarning, match=r"1 of 2 workers hold the 1 partition"):
        DaskRNNRegressor(**SMALL).fit(partitioned(X, N), y)


def test_a_later_fit_goes_on_from_an_earlier_one(client):
    X, y = data()
    local = RNNClassifier(**SMALL).partial_fit(X, y > 0).partial_fit(X, y > 0)
    model = DaskRNNClassifier(**SMALL)
    for _ in range(2):
        model.partial_fit(partitioned(X, N), y > 0, classes=[False, True])
    assert equal(model.weights_, local.weights_)
    local = RNNRegressor(**SMALL, warm_start=True).fit(X, y).fit(X, 2 * y)
    model = DaskRNNRegressor(**SMALL, warm_start=True)
    model.fit(partitioned(X, N), y).fit(partitioned(X, N), 2 * y)
    assert equal(model.weights_, local.weights_)
