"""When training stops, which weights it keeps, its step sizes, callbacks and warnings."""

import math
import pickle
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.networks import weight_bits
from helpers.training import QUICK, options, sums
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn import RNNClassifier, RNNRegressor, load
from lightrnn.data.sample_weight import of_mean_one
from lightrnn.data.samples import Samples
from lightrnn.exceptions import ConvergenceWarning
from lightrnn.losses import make_loss
from lightrnn.nn.network import Network
from lightrnn.training.history import STOP, Epoch, History, StopTraining
from lightrnn.training.minibatches import Minibatches
from lightrnn.training.monitor import Monitor
from lightrnn.training.progress import Progress

CONSTANT = {"learning_rate": "constant"}


def monitor(options, scores=None):
    """Return a monitor of a network whose one parameter is the number of its epochs so far."""
    network = SimpleNamespace(parameters=np.zeros(1))
    validate = None if scores is None else lambda: scores[int(network.parameters[0]) - 1]
    return Monitor(network, options, History(), validate, Progress(0, options.max_iter, 1))


def run(monitor, losses):
    """Report losses until the monitor stops; return the number of epochs."""
    for epoch, loss in enumerate(losses, 1):
        monitor.network.parameters[0] = epoch
        if monitor.end_epoch(loss, 1.0, 0.1):
            return epoch
    return None


LOSSES = st.lists(st.integers(0, 20).map(float), min_size=1, max_size=30)


@given(losses=LOSSES, tol=st.sampled_from([0.0, 0.5, 2.0]), patience=st.integers(1, 4))
def test_training_stops_after_epochs_without_improvement(losses, tol, patience):
    def stale(epoch):
        """Return the epochs since the last whose loss was lower than all before by tol."""
        for last in range(epoch, 0, -1):
            if losses[last] <= min(losses[:last]) - max(tol, 1e-9):
                return epoch - last
        return epoch

    expected = next((epoch + 1 for epoch in range(len(losses)) if stale(epoch) >= patience), None)
    assert run(monitor(options(tol=tol, n_iter_no_change=patience)), losses) == expected


@given(losses=LOSSES)
def test_the_best_weights_come_back(losses):
    watch = monitor(options(n_iter_no_change=100))
    run(watch, losses)
    watch.restore()
    assert watch.network.parameters[0] == 1 + losses.index(min(losses))


@given(losses=LOSSES, scores=st.lists(st.floats(0, 1), min_size=30, max_size=30))
def test_early_stopping_watches_the_score(losses, scores):
    watch = monitor(options(n_iter_no_change=100, early_stopping=True), scores)
    run(watch, losses)
    watch.restore()
    seen = scores[: len(losses)]
    assert watch.network.parameters[0] == 1 + seen.index(max(seen))
    assert watch.history.scores == seen


def test_scores_alone_stop_nothing():
    watch = monitor(options(n_iter_no_change=3), scores=[0.5] * 10)
    assert run(watch, [10.0 - epoch for epoch in range(10)]) is None
    watch = monitor(options(early_stopping=True), scores=[0.5] * 10)
    assert run(watch, [10.0 - epoch for epoch in range(10)]) == 4


def test_adaptive_rate_is_cut_four_times_before_the_end():
    settings = options(learning_rate="adaptive", n_iter_no_change=2)
    watch = monitor(settings)
    rates = []
    for _ in range(50):
        rates.append(watch.history.learning_rate(settings, 0.0))
        if watch.end_epoch(1.0, 1.0, rates[-1]):
            break
    assert np.allclose(rates, np.repeat(0.1 / 5.0 ** np.arange(5), [3, 2, 2, 2, 2]))


def test_cosine_falls_to_zero_and_starts_anew():
    settings = options(learning_rate="cosine", max_iter=4)
    rates = [History(losses=[1.0] * epoch).learning_rate(settings, 0.0) for epoch in range(6)]
    root = math.sqrt(0.5)
    expected = np.array([1.0, (1 + root) / 2, 0.5, (1 - root) / 2, 1.0, (1 + root) / 2])
    assert np.allclose(rates, 0.1 * expected)
    first, middle, last = (
        History(losses=[1.0]).learning_rate(settings, done) for done in (0.0, 0.5, 0.999999)
    )
    assert rates[1] == first > middle > last
    assert np.isclose(last, rates[2], rtol=1e-4)


def test_the_training_loss_does_not_end_a_schedule_that_ends_by_itself():
    cosine = {"learning_rate": "cosine", "max_iter": 50}
    assert run(monitor(options(**cosine)), [1.0] * 50) is None
    # Not the schedule of L-BFGS, and a validation score may say that it is enough.
    assert run(monitor(options(**cosine, solver="lbfgs")), [1.0] * 50) == 4
    assert run(monitor(options(**cosine, early_stopping=True), [0.5] * 50), [1.0] * 50) == 4


# -- whole fits ------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["returned", "raised", "a copy"])
def test_callbacks_see_every_epoch_and_may_stop(ending):
    X, y = sums()
    seen = []

    def stop(record):
        if record.epoch == 4:
            if ending == "raised":
                raise StopTraining
            # Workers of joblib get their callbacks by pickle.
            return STOP if ending == "returned" else pickle.loads(pickle.dumps(STOP))
        return None

    callbacks = [stop, seen.append]
    model = RNNRegressor(**QUICK, **CONSTANT, callbacks=callbacks).fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) == 4
    assert [record.epoch for record in seen] == [1, 2, 3, 4]
    assert [record.loss for record in seen] == model.loss_curve_
    for record in seen:
        assert type(record) is Epoch
        assert record.seconds > 0
        assert record.gradient_norm > 0
        assert record.learning_rate == model.learning_rate_init
        assert record.validation_score is None
    assert model.validation_scores_ is None


@pytest.mark.parametrize("result", [True, 1, "no", [0], StopTraining, np.ones(3)], ids=str)
def test_no_other_result_of_a_callback_ends_training(result):
    X, y = sums()
    model = RNNRegressor(**QUICK, max_iter=3, learning_rate="cosine", callbacks=lambda _: result)
    assert model.fit(X, y).n_iter_ == 3


def test_callbacks_see_the_validation_score():
    X, y = sums()
    seen = []
    model = RNNRegressor(
        **QUICK, learning_rate="cosine", max_iter=5, early_stopping=True, callbacks=seen.append
    ).fit(X, y)
    assert [record.validation_score for record in seen] == model.validation_scores_


def test_interruption_keeps_the_best_weights():
    X, y = sums()
    losses = []

    def interrupt(record):
        losses.append(record.loss)
        if record.epoch == 6:
            raise KeyboardInterrupt

    unstable = QUICK | CONSTANT | {"solver": "sgd", "learning_rate_init": 5.0, "batch_size": 32}
    model = RNNRegressor(**unstable, callbacks=interrupt)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X, y)
    assert model.loss_curve_ == losses
    assert (model.n_iter_, model.stop_reason_) == (6, "interrupted")
    best = 1 + losses.index(min(losses))
    assert model.best_epoch_ == best
    assert best < 6, "the case is meant to have its best epoch before the last"
    again = RNNRegressor(
        **unstable, callbacks=lambda record: STOP if record.epoch == best else None
    ).fit(X, y)
    assert weight_bits(again) == weight_bits(model)


def test_interruption_in_the_first_epoch():
    X, y = sums()

    def validate(*_):
        raise KeyboardInterrupt

    model = RNNRegressor(**QUICK, early_stopping=True, scoring=validate)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X, y)
    assert np.isfinite(model.predict(X)).all()


def test_an_interruption_before_anything_is_learned_ends_the_program(monkeypatch):
    """As while kernels are compiled: there is no model to be kept."""

    def learn(*_):
        raise KeyboardInterrupt

    X, y = sums()
    monkeypatch.setattr(Network, "learn", learn)
    model = RNNRegressor(**QUICK)
    before = dict(vars(model))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert vars(model) == before


def test_other_exceptions_leave_the_estimator_alone():
    X, y = sums()

    def fail(record):
        raise RuntimeError("mine")

    model = RNNRegressor(**QUICK, callbacks=fail)
    before = dict(vars(model))
    with pytest.raises(RuntimeError, match="mine"):
        model.fit(X, y)
    assert vars(model) == before


def test_running_out_of_epochs_warns():
    X, y = sums()
    remedy = r"Maximum iterations \(2\) reached .* Raise max_iter, or set learning_rate='cosine'"
    with pytest.warns(ConvergenceWarning, match=remedy):
        RNNRegressor(**QUICK, **CONSTANT, max_iter=2).fit(X, y)
    RNNRegressor(**QUICK, max_iter=2).fit(X, y)
    RNNRegressor(**QUICK, **CONSTANT, max_iter=50, tol=10.0, n_iter_no_change=2).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="Raise max_iter, or tol"):
        RNNRegressor(**QUICK, max_iter=2, solver="lbfgs").fit(X, y)


COSINE = {"learning_rate": "cosine", "max_iter": 5}
ENDS = {
    "all epochs": (COSINE, "max_iter", 5, 5),
    "no lower loss": (CONSTANT | {"tol": 100.0, "n_iter_no_change": 3}, "n_iter_no_change", 4, 4),
    "no better score": (
        {"tol": 100.0, "n_iter_no_change": 3, "early_stopping": True, "learning_rate_init": 1e-30},
        "n_iter_no_change",
        4,
        1,
    ),
    "a callback": ({"callbacks": lambda record: STOP} | COSINE, "callback", 1, 1),
    "convergence": ({"solver": "lbfgs", "alpha": 10.0, "tol": 1.0}, "tol", None, None),
}


@pytest.mark.parametrize("end", ENDS)
def test_what_ended_a_fit_and_whose_weights_stayed(end, tmp_path, capsys):
    arguments, reason, epochs, best = ENDS[end]
    X, y = sums()
    model = RNNRegressor(**QUICK, **arguments, verbose=1).fit(X, y)
    assert model.stop_reason_ == reason
    assert model.n_iter_ == (epochs or model.n_iter_)
    assert model.best_epoch_ == (best or model.n_iter_)
    shown = "".join(capsys.readouterr())
    assert (f"ended by {reason}; the weights are those of epoch" in shown) == (reason != "max_iter")
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert (again.stop_reason_, again.best_epoch_) == (model.stop_reason_, model.best_epoch_)


@pytest.mark.parametrize("solver", ["adam", "sgd", "rmsprop"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_weights_that_are_not_finite_after_the_last_step_are_an_error(solver, early_stopping):
    X, y = sums()
    model = RNNRegressor(**QUICK, solver=solver, early_stopping=early_stopping, max_iter=1)
    model.set_params(learning_rate="cosine", batch_size=100)
    before = dict(vars(model.set_params(learning_rate_init=1e39)))
    with pytest.raises(ValueError, match=r"parameters must stay finite.*Lower learning_rate_init"):
        model.fit(X, y)
    assert vars(model) == before
    model.set_params(learning_rate_init=1e-3).fit(X, y).set_params(learning_rate_init=1e39)
    kept = weight_bits(model)
    if not early_stopping:
        with pytest.raises(ValueError, match="parameters must stay finite"):
            model.partial_fit(X, y)
    assert kept == weight_bits(model)


@pytest.mark.parametrize("kind", [RNNRegressor, RNNClassifier])
def test_a_validation_score_that_is_not_finite_is_an_error(kind):
    X, y = sums()
    y = y > 0 if kind is RNNClassifier else y
    model = kind("ffnn", (4,), window=2, random_state=0, early_stopping=True)
    huge = [np.full((3, 2), 3e38)]  # the outputs overflow
    with pytest.raises(ValueError, match=r"validation score must be finite, got .* in epoch 1"):
        model.fit(X, y, X_val=huge, y_val=y[:1])
    assert not hasattr(model, "weights_")


def exploding(**options):
    """Return a fitted net whose gradient grows by half at every step back, and its data."""
    rng = np.random.default_rng(0)
    X = 1e-3 * rng.normal(size=(64, 100, 3))
    y = rng.normal(size=64)
    fixed = {"patch": 1, "batch_size": 32, "max_iter": 3, "random_state": 0}
    options = {"learning_rate_init": 3e-3} | options | fixed
    model = RNNRegressor("rnn", (64,), **options).fit(X[:4], y[:4])
    weights = model.weights_
    weights["layer0.W_hh"] *= 1.5
    weights["layer0.W_ih"] *= 1e-3
    model._model.network.assign(weights)
    return model.set_params(warm_start=True), X, y


def test_one_warning_of_a_gradient_that_explodes():
    model, X, y = exploding()
    remedy = r"norm reached \d.* in epoch 1.* set truncate"
    with pytest.warns(ConvergenceWarning, match=remedy) as caught:
        model.fit(X, y)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    model, X, y = exploding(clip_norm=None, learning_rate_init=1e-9)
    remedy = r"learning_rate_init \(it is 1e-09\), or set clip_norm=1.0"
    with pytest.warns(ConvergenceWarning, match=remedy):
        model.fit(X, y)


# -- data ------------------------------------------------------------------------------------------


def test_memory_maps_are_never_copied_whole(tmp_path):
    T = 2000
    n = 40
    maps = [np.memmap(tmp_path / f"{i}", np.float64, "w+", shape=(T, 16)) for i in range(n)]
    for i, item in enumerate(maps):
        item[:] = i / n
    y = np.arange(n, dtype=float)
    arguments = {"batch_size": 1, "max_iter": 1, "learning_rate": "cosine", "random_state": 0}
    model = RNNRegressor("rnn", (2,), **arguments)
    model.fit(maps[:2], y[:2])
    tracemalloc.start()
    model.fit(maps, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < sum(item.nbytes for item in maps) / 4


@settings(max_examples=20, deadline=None)
@given(batch_size=st.integers(1, 9), truncate=st.none() | st.integers(1, 5), seed=st.integers(0, 3))
def test_the_mean_gradient_of_an_epoch_is_the_weighted_one(batch_size, truncate, seed):
    rng = np.random.default_rng(seed)
    network = Network("rnn", 2, (3,), 1, target="step", dtype="float64")
    network.initialize(rng)
    X, _ = sums(n=9)
    lengths = np.array([len(x) for x in X])
    # States are carried from chunk to chunk but gradients are not: without the recurrent weights
    # truncation changes no gradient of the other ones.
    network.assign(network.arrays() | {"layer0.W_hh": np.zeros((3, 3))})
    weights = [rng.exponential(size=T) * (rng.random(T) < 0.7) for T in lengths]
    weights[0][0] = 5.0
    samples = Samples(X, lengths, [x[:, :1] for x in X], of_mean_one(weights))
    loss = make_loss("squared_error")

    def mean_gradient(batch_size, truncate):
        batches = Minibatches(samples, batch_size, True, truncate, rng)
        total = 0.0
        for _, batch in batches.epoch(network):
            network.loss_and_gradient(batch, loss)
            total = total + batch.n_targets * network.gradient / batches.n_targets
        return {name: array for name, array in network.named(total).items() if "hh" not in name}

    whole = mean_gradient(9, None)
    for name, array in mean_gradient(batch_size, truncate).items():
        assert np.allclose(array, whole[name], rtol=1e-9, atol=1e-12), name


@pytest.mark.parametrize("batch_size", [1, 4, 40])
@pytest.mark.parametrize("by_class", [True, False])
@pytest.mark.filterwarnings("ignore:Nothing was learned")  # X says nothing
def test_weights_count_whatever_the_batch_size(batch_size, by_class):
    X = np.zeros((40, 1, 1))
    y = np.arange(40) % 8 == 0
    # Clipping would take part of the weight from the gradient of one heavy sequence.
    model = RNNClassifier(**QUICK, batch_size=batch_size, learning_rate="cosine", clip_norm=None)
    if by_class:
        model.set_params(class_weight="balanced").fit(X, y)
    else:
        model.fit(X, y, np.where(y, 7.0, 1.0))
    assert np.allclose(model.predict_proba(X[:1]), 0.5, atol=0.02)


@pytest.mark.parametrize("kind", [RNNClassifier, RNNRegressor])
@pytest.mark.parametrize("factor", [2.0**-1070, 3.0, 2.0**1020])
def test_only_the_ratios_of_weights_count(kind, factor):
    X, y = sums(n=12)
    y = y > 0 if kind is RNNClassifier else y
    weights = np.arange(12) % 3 + 1.0
    arguments = QUICK | {"max_iter": 3, "learning_rate": "cosine", "early_stopping": True}
    model = kind(**arguments).fit(X, y, weights)
    scaled = kind(**arguments).fit(X, y, weights * factor)
    for name, array in scaled.weights_.items():
        assert np.allclose(array, model.weights_[name], rtol=1e-5, atol=1e-7), name
    assert np.allclose(scaled.validation_scores_, model.validation_scores_)
    assert np.isclose(model.score(X, y, weights * factor), model.score(X, y, weights))


def test_partial_fit_takes_weights_as_they_are():
    X, _ = sums(n=8)

    def step(weight):
        model = RNNClassifier(**QUICK, solver="sgd", momentum=0.0, clip_norm=None, dtype="float64")
        before = model.partial_fit(X[:1], [0], [0, 1], sample_weight=[1e-300]).weights_
        after = model.partial_fit(X[:1], [1], sample_weight=[weight]).weights_
        return after["head.b"] - before["head.b"]

    assert np.allclose(step(3.0), 3.0 * step(1.0))
    with pytest.raises(ValueError, match=r"sample_weight must be at most 1e\+12 for partial_fit"):
        step(1e308)


@settings(max_examples=20, deadline=None)
@given(batch_size=st.integers(1, 50), shuffle=st.booleans(), seed=st.integers(0, 3))
def test_the_loss_of_an_epoch_is_the_mean_over_sequences(batch_size, shuffle, seed):
    X, y = sums(n=17)
    labels = (y > 0).astype(int)
    weights = np.random.default_rng(seed).random(17)
    # So small a step leaves the weights of the first batch to the last.
    frozen = {"max_iter": 1, "learning_rate": "cosine", "learning_rate_init": 1e-15}
    model = RNNClassifier("rnn", (3,), dtype="float64", **frozen)
    model.set_params(batch_size=batch_size, shuffle=shuffle, random_state=seed)
    model.fit(X, labels, weights)
    likelihood = -model.predict_log_proba(X)[np.arange(17), labels]
    assert np.isclose(model.loss_curve_[0], np.average(likelihood, weights=weights))
