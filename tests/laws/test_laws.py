"""Laws of the estimators: determinism, sample weights, and continued training."""

from contextlib import nullcontext

import numpy as np
import pytest
from helpers.networks import weight_bits
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn import RNNClassifier, RNNRegressor
from lightrnn.training import STOP

CELLS = ("ffnn", "rnn", "gru", "lstm")
BRIEF = {"hidden_layer_sizes": (4,), "max_iter": 3, "learning_rate": "cosine", "random_state": 0}


def data(n=24, F=3, seed=0, longest=9):
    """Return ragged sequences, (T, F) each, and the sum of the first feature of each."""
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(length, F)) for length in rng.integers(1, longest, n)]
    return X, np.array([x[:, 0].sum() for x in X])


X, SUMS = data()
LABELS = np.where(SUMS > 0, "up", "down")
STEP_LABELS = [(x[:, 0] > 0).astype(int) for x in X]
STEP_SUMS = [np.cumsum(x[:, 0]) for x in X]


def same_weights(a, b):
    """Return whether two estimators have the same weights, bit for bit."""
    return weight_bits(a) == weight_bits(b)


# -- determinism and weights -----------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    cell=st.sampled_from(CELLS),
    target=st.sampled_from(["sequence", "step"]),
    dtype=st.sampled_from(["float32", "float64"]),
    order=st.permutations(range(24)),
    kept=st.integers(1, 24),
    n_jobs=st.integers(1, 3),
)
def test_a_prediction_does_not_depend_on_the_others(cell, target, dtype, order, kept, n_jobs):
    y = STEP_SUMS if target == "step" else SUMS
    model = RNNRegressor(
        cell,
        (5, 3),
        window=3,
        target=target,
        dtype=dtype,
        max_iter=1,
        learning_rate="cosine",
        random_state=0,
    )
    whole = model.fit(X, y).predict(X)
    states = model.transform(X)
    some = model.set_params(n_jobs=n_jobs).predict([X[i] for i in order[:kept]])
    some_states = model.transform([X[i] for i in order[:kept]])
    for position, i in enumerate(order[:kept]):
        assert np.array_equal(some[position], whole[i])
        assert np.array_equal(some_states[position], states[i])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "options",
    [{}, {"dropout": 0.4, "early_stopping": True}, {"hidden_layer_sizes": (5, 4)}],
    ids=str,
)
def test_a_seed_means_the_same_weights_at_any_n_jobs(cell, options):
    arguments = BRIEF | {"batch_size": 20, "window": 3} | options
    first, *others = (
        RNNRegressor(cell, **arguments, n_jobs=n_jobs).fit(X, SUMS)
        for n_jobs in (1, 2, 3, None, -1)
    )
    assert all(same_weights(first, other) for other in others)
    other_seed = RNNRegressor(cell, **arguments | {"random_state": 1}).fit(X, SUMS)
    assert not same_weights(first, other_seed)


@pytest.mark.parametrize("make", [np.random.RandomState, np.random.default_rng])
def test_random_states_of_numpy(make):
    first, second = (
        RNNRegressor(**BRIEF | {"random_state": make(3)}).fit(X, SUMS) for _ in range(2)
    )
    assert same_weights(first, second)


def test_no_random_state_means_another_network_each_time():
    first, second = (RNNRegressor(**BRIEF | {"random_state": None}).fit(X, SUMS) for _ in range(2))
    assert not same_weights(first, second)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 99),
    target=st.sampled_from(["sequence", "step"]),
    solver=st.sampled_from(["adam", "lbfgs"]),
)
def test_a_weight_counts_like_copies(seed, target, solver):
    copies = np.random.default_rng(seed).integers(0, 4, 24)
    copies[:2] = 1
    y = STEP_LABELS
    if target == "sequence":
        y = SUMS > np.median(SUMS[:2])
        y[:2] = [False, True]  # both classes are left, whatever the other weights are
    many = np.repeat(np.arange(24), copies)
    arguments = BRIEF | {"dtype": "float64", "batch_size": 999, "target": target, "solver": solver}
    arguments["callbacks"] = lambda record: STOP if record.epoch == 3 else None
    weighted = RNNClassifier("rnn", **arguments).fit(X, y, copies)
    copied = RNNClassifier("rnn", **arguments).fit([X[i] for i in many], [y[i] for i in many])
    assert np.allclose(weighted.loss_curve_, copied.loss_curve_, rtol=1e-6)
    for name, array in weighted.weights_.items():
        assert np.allclose(array, copied.weights_[name], atol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_weight_of_zero_means_absent(dtype):
    kept = np.arange(24) % 3 > 0
    marked = np.where(kept, SUMS, 1e30)
    texts = [f"{'b' if keep else 'a'} {label}" for keep, label in zip(kept, LABELS, strict=True)]
    for kind, X_, y in (
        (RNNRegressor, X, marked),
        (RNNClassifier, X, LABELS),
        (RNNClassifier, texts, LABELS),
    ):
        arguments = BRIEF | {"early_stopping": True, "dtype": dtype}
        weighted = kind(**arguments).fit(X_, y, kept.astype(float))
        present = [x for x, keep in zip(X_, kept, strict=True) if keep]
        absent = kind(**arguments).fit(present, y[kept])
        assert same_weights(weighted, absent)
        assert weighted.score(X_, y, kept) == absent.score(present, y[kept])
    assert "a" not in weighted.vocabulary_.tolist()
    left_out = np.where(kept, LABELS, "other")
    factors = {"down": 1, "up": 1, "other": 0}
    by_class = RNNClassifier(**arguments, class_weight=factors).fit(texts, left_out)
    assert by_class.vocabulary_.tolist() == weighted.vocabulary_.tolist()


def test_step_weights_mask_steps():
    weights = [np.ones(len(x)) for x in X]
    wrong = [labels.copy() for labels in STEP_LABELS]
    for w, labels in zip(weights[::2], wrong[::2], strict=True):
        w[0] = 0.0
        labels[0] = 1 - labels[0]
    clean = RNNClassifier(**BRIEF, target="step").fit(X, STEP_LABELS, weights)
    assert same_weights(clean, RNNClassifier(**BRIEF, target="step").fit(X, wrong, weights))


@pytest.mark.parametrize("train", ["fit", "partial_fit"])
def test_steps_without_weight_may_hold_a_mark_of_missing_values(train):
    """The one of netCDF overflows when it is squared in float32."""
    weights = [np.arange(len(x)) > 0.0 for x in X]
    marked = [np.where(w, sums, 9.96921e36) for w, sums in zip(weights, STEP_SUMS, strict=True)]
    zeros = [np.where(w, sums, 0.0) for w, sums in zip(weights, STEP_SUMS, strict=True)]
    first, second = (RNNRegressor(**BRIEF, target="step") for _ in range(2))
    for _ in range(2):
        getattr(first, train)(X, marked, weights)
        getattr(second, train)(X, zeros, weights)
    assert same_weights(first, second)
    assert first.score(X, marked, weights) == second.score(X, zeros, weights)


def test_balanced_classes():
    uneven = np.where(SUMS > np.sort(SUMS)[5], "many", "few")
    by_name = RNNClassifier(**BRIEF, class_weight="balanced").fit(X, uneven)
    factors = {label: 24 / (2 * np.sum(uneven == label)) for label in ("few", "many")}
    assert same_weights(by_name, RNNClassifier(**BRIEF, class_weight=factors).fit(X, uneven))
    by_hand = np.array([factors[label] for label in uneven])
    assert same_weights(by_name, RNNClassifier(**BRIEF).fit(X, uneven, by_hand))
    assert not same_weights(by_name, RNNClassifier(**BRIEF).fit(X, uneven))


# -- continued training ----------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "sgd", "rmsprop"])
@pytest.mark.parametrize(
    "options", [{}, {"learning_rate": "constant"}, {"dropout": 0.3, "alpha": 0.1}], ids=str
)
def test_partial_fit_is_one_epoch_of_fit(solver, options):
    arguments = {
        "solver": solver,
        "hidden_layer_sizes": (4,),
        "random_state": 0,
        "max_iter": 4,
        "learning_rate_init": 0.01,
    }
    with pytest.warns(UserWarning) if "learning_rate" in options else nullcontext():
        whole = RNNClassifier("gru", **arguments | options).fit(X, LABELS)
    parts = RNNClassifier("gru", **arguments | options)
    for epoch in range(1, 5):
        parts.partial_fit(X, LABELS)
        assert parts.n_iter_ == epoch
    assert same_weights(whole, parts) and whole.loss_curve_ == parts.loss_curve_


def test_partial_fit_of_a_regressor_standardises_as_fit_does():
    arguments = {
        "hidden_layer_sizes": (4,),
        "random_state": 0,
        "max_iter": 4,
        "learning_rate": "cosine",
        "dtype": "float64",
    }
    whole = RNNRegressor("gru", **arguments).fit(X, 1e4 + SUMS)
    parts = RNNRegressor("gru", **arguments)
    for _ in range(4):
        parts.partial_fit(X, 1e4 + SUMS)
    assert np.allclose(whole.predict(X), parts.predict(X), rtol=1e-9)
    assert np.allclose(whole.loss_curve_, parts.loss_curve_, rtol=1e-9)
    assert np.allclose(whole.y_scale_, parts.y_scale_) and np.allclose(whole.y_mean_, parts.y_mean_)


def test_partial_fit_knows_classes_it_has_not_seen():
    model = RNNClassifier(**BRIEF).partial_fit(X[:3], ["a"] * 3, classes=["c", "a", "b"])
    assert model.classes_.tolist() == ["a", "b", "c"] and model.predict_proba(X).shape == (24, 3)
    model.partial_fit(X[3:6], ["b"] * 3).partial_fit(X[6:9], ["c"] * 3, classes=["a", "b", "c"])
    assert model.n_iter_ == 3


def test_warm_start_keeps_the_weights_and_nothing_else():
    arguments = BRIEF | {"learning_rate_init": 1e-30}
    for kind, y in ((RNNClassifier, LABELS), (RNNRegressor, SUMS)):
        first = kind(**BRIEF).fit(X, y)
        before = first.predict(X), first.transform(X)
        warm = first.set_params(**arguments, warm_start=True).fit(X, y)
        assert warm.n_iter_ == 3 and len(warm.loss_curve_) == 3
        assert np.array_equal(warm.transform(X), before[1])
        cold = kind(**arguments).fit(X, y)
        assert not np.array_equal(cold.transform(X), before[1])
    assert np.allclose(warm.predict(X), before[0], rtol=1e-5)


def test_warm_start_restarts_the_solver():
    models = [RNNClassifier(**BRIEF, warm_start=True).fit(X, LABELS) for _ in range(2)]
    models[1]._model.moments = None
    assert same_weights(*(model.fit(X, LABELS) for model in models))


def test_a_failed_call_leaves_no_trace():
    def fail(record):
        raise RuntimeError

    arguments = BRIEF | {"dropout": 0.3}
    plain = RNNClassifier(**arguments).partial_fit(X, LABELS).partial_fit(X, LABELS)
    tried = RNNClassifier(**arguments).partial_fit(X, LABELS).set_params(callbacks=fail)
    with pytest.raises(RuntimeError):
        tried.partial_fit(X, LABELS)
    tried.set_params(callbacks=None).partial_fit(X, LABELS)
    assert same_weights(plain, tried) and plain.loss_curve_ == tried.loss_curve_


def test_warm_start_follows_the_scale_of_new_targets():
    model = RNNRegressor(**BRIEF, warm_start=True).fit(X, SUMS)
    before = model.predict(X)
    model.set_params(learning_rate_init=1e-30).fit(X, 1000 * SUMS)
    assert np.allclose(model.predict(X), before, rtol=1e-4, atol=1e-4)


def test_refitting_forgets():
    model = RNNRegressor(**BRIEF).fit(X, SUMS)
    weights = RNNRegressor(**BRIEF).fit(X, SUMS)
    assert same_weights(model.fit(X, SUMS), weights)


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_recurrent_cells_remember_what_a_window_cannot(cell):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 12, 1)).astype(np.float32)
    y = (X[:, 0, 0] > 0).astype(int)
    arguments = {
        "hidden_layer_sizes": (24,),
        "max_iter": 60,
        "learning_rate": "cosine",
        "learning_rate_init": 0.01,
    }
    model = RNNClassifier(cell, **arguments, random_state=0).fit(X[:500], y[:500])
    window = RNNClassifier("ffnn", **arguments, window=8, random_state=0).fit(X[:500], y[:500])
    assert model.score(X[500:], y[500:]) > 0.9
    assert window.score(X[500:], y[500:]) < 0.65
