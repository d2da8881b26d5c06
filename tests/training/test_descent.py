"""L-BFGS minimises the penalised loss, and a loss that is not finite is traced to a parameter."""

import numpy as np
import pytest
from helpers.training import QUICK, options, sums

from lightrnn import RNNRegressor
from lightrnn.data.samples import Samples
from lightrnn.estimators.model import build_network
from lightrnn.losses import make_loss
from lightrnn.training.history import STOP, History
from lightrnn.training.lbfgs import Lbfgs
from lightrnn.training.minibatches import Minibatches
from lightrnn.training.monitor import Monitor
from lightrnn.training.progress import Progress


def test_the_error_of_an_overflow_names_epoch_batch_and_parameter():
    X, y = sums()
    X[3][:] = 3e38
    model = RNNRegressor("ffnn", (4,), random_state=0, batch_size=40, clip_norm=None, window=1)
    model.set_params(standardize=False)
    where = r"got (inf|nan) in epoch 1, batch 1; the first parameter "
    with pytest.raises(ValueError, match=where + r".*learning_rate_init \(it is 0.01\)"):
        model.fit(X, y)
    assert not hasattr(model, "loss_curve_")


def test_lbfgs_reaches_a_minimum():
    X, y = sums()
    records = []
    model = RNNRegressor(**QUICK, dtype="float64", solver="lbfgs", callbacks=records.append)
    model.set_params(max_iter=3000, tol=1e-3, n_iter_no_change=3000).fit(X, y)
    assert records[-1].gradient_norm < 1e-3 * model.n_parameters_**0.5
    assert records[-1].learning_rate is None
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
    samples = Samples(X, lengths, y[:, None], np.arange(1.0, 8.0))
    batches = Minibatches(samples, 4, True, None, np.random.default_rng(0))
    loss = make_loss("squared_error")

    def objective(alpha):
        progress = Progress(0, 1, 1)
        watch = Monitor(network, options(alpha=alpha), History(), None, progress)
        return Lbfgs(loss, batches, watch)._objective

    penalised = objective(alpha=0.3)
    point = network.parameters.astype(float)
    direction = np.where(point != 0, np.random.default_rng(1).normal(size=len(point)), 0.0)
    _, gradient = penalised(point)
    step = 1e-6
    forward, _ = penalised(point + step * direction)
    backward, _ = penalised(point - step * direction)
    assert np.isclose(gradient @ direction, (forward - backward) / (2 * step), rtol=1e-6)
    plain, _ = objective(alpha=0.0)(point)
    assert np.isclose(penalised(point)[0] - 0.15 * point @ point, plain)


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
                callbacks=lambda r: STOP if r.epoch == 5 else None,
            ).fit(X, y)
        )
    assert np.allclose(models[0].loss_curve_, models[1].loss_curve_, rtol=1e-9)
