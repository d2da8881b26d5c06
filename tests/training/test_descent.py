"""L-BFGS minimises what it says, and a loss that is not finite is traced to its place."""

from types import SimpleNamespace

import numpy as np
import pytest

from lightrnn import RNNRegressor
from lightrnn.data.samples import Samples
from lightrnn.estimators.model import build_network
from lightrnn.losses import make_loss
from lightrnn.training.history import History, TrainingOptions
from lightrnn.training.lbfgs import Lbfgs
from lightrnn.training.minibatches import Minibatches
from lightrnn.training.monitor import Monitor
from lightrnn.training.progress import Progress


def options(**changes):
    defaults = {
        "solver": "adam",
        "learning_rate": "constant",
        "learning_rate_init": 0.1,
        "alpha": 0.0,
        "batch_size": 4,
        "max_iter": 100,
        "truncate": None,
        "clip_norm": 1.0,
        "shuffle": True,
        "tol": 0.0,
        "n_iter_no_change": 3,
        "early_stopping": False,
        "callbacks": (),
        "threads": 1,
        "verbose": 0,
    }
    return TrainingOptions(**defaults | changes)


def monitor(options, scores=None):
    """A monitor of a network whose single parameter is the number of epochs it was trained for."""
    network = SimpleNamespace(parameters=np.zeros(1))
    validate = None if scores is None else lambda: scores[int(network.parameters[0]) - 1]
    return Monitor(network, options, History(), validate, Progress(0, options.max_iter, 1))


def sums(n=40, F=2, seed=0):
    """Sequences of numbers and the sum of their first feature."""
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(length, F)) for length in rng.integers(2, 7, n)]
    return X, np.array([x[:, 0].sum() for x in X])


QUICK = {"cell": "rnn", "hidden_layer_sizes": (4,), "random_state": 0}


def test_the_error_of_an_overflow_names_its_place():
    X, y = sums()
    X[3][:] = 3e38
    model = RNNRegressor("ffnn", (4,), random_state=0, batch_size=40, clip_norm=None, window=1)
    with pytest.raises(
        ValueError,
        match=r"got (inf|nan) in epoch 1, batch 1; the first parameter .*learning_rate_init \(it is 0.003\)",
    ):
        model.fit(X, y)
    assert not hasattr(model, "loss_curve_")


def test_lbfgs_reaches_a_minimum():
    X, y = sums()
    model = RNNRegressor(
        **QUICK, dtype="float64", solver="lbfgs", max_iter=3000, tol=1e-3, n_iter_no_change=3000
    )
    records = []
    model.set_params(callbacks=records.append).fit(X, y)
    assert (
        records[-1].gradient_norm < 1e-3 * model.n_parameters_**0.5
        and records[-1].learning_rate is None
    )
    assert model.score(X, y) > 0.99
    assert np.all(np.diff(model.loss_curve_) <= 0)


def test_lbfgs_gradient_includes_the_penalty():
    X, y = sums(n=7)
    arguments = {
        "n_features": 2,
        "n_outputs": 1,
        "hidden_layer_sizes": (3,),
        "cell": "gru",
        "target": "sequence",
    }
    network = build_network(
        arguments | {"bidirectional": False, "window": 1, "dropout": 0.0, "dtype": "float64"}
    )
    network.initialize(np.random.default_rng(0))
    lengths = np.array([len(x) for x in X])
    feed = Minibatches(
        Samples(X, lengths, y[:, None], np.arange(1.0, 8.0)),
        4,
        True,
        None,
        np.random.default_rng(0),
    )
    objective = Lbfgs(
        network, make_loss("squared_error"), options(alpha=0.3), feed, monitor(options())
    )._objective
    point = network.parameters.astype(float)
    direction = np.where(point != 0, np.random.default_rng(1).normal(size=len(point)), 0.0)
    _, gradient = objective(point)
    step = 1e-6
    difference = (
        objective(point + step * direction)[0] - objective(point - step * direction)[0]
    ) / (2 * step)
    assert np.isclose(gradient @ direction, difference, rtol=1e-6)
    assert np.isclose(
        objective(point)[0] - 0.15 * point @ point,
        Lbfgs(network, make_loss("squared_error"), options(), feed, monitor(options()))._objective(
            point
        )[0],
    )


def test_lbfgs_sums_its_batches(monkeypatch):
    X, y = sums(n=23)
    models = []
    for size in (256, 5):
        monkeypatch.setattr("lightrnn.training.lbfgs.LBFGS_BATCH", size)
        models.append(
            RNNRegressor(
                **QUICK,
                dtype="float64",
                solver="lbfgs",
                max_iter=5,
                callbacks=lambda r: r.epoch == 5,
            ).fit(X, y)
        )
    assert np.allclose(models[0].loss_curve_, models[1].loss_curve_, rtol=1e-9)
