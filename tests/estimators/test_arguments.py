"""Bad arguments and calls in a wrong order are refused, and the estimator stays as it was."""

import re
import warnings
from contextlib import nullcontext

import numpy as np
import pytest
from helpers.refusal import QUICK, STEPS, X, Y, refuses, state
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lightrnn import RNNClassifier, RNNRegressor, load


@pytest.fixture(params=[RNNClassifier, RNNRegressor])
def estimator(request):
    return request.param(**QUICK)


# -- the constructor's arguments -------------------------------------------------------------------

BAD = [
    ("cell", "lsmt", "'ffnn', 'rnn', 'gru', 'lstm', got 'lsmt'. Did you mean 'lstm'?"),
    ("cell", "LSTM", "got 'LSTM'. Did you mean 'lstm'?"),
    ("cell", "linear", "cell must be one of"),
    ("cell", None, "cell must be one of"),
    ("cell", 3, "cell must be one of"),
    ("hidden_layer_sizes", 0, "hidden_layer_sizes[0] must be an integer of at least 1, got 0"),
    ("hidden_layer_sizes", (4, 0), "hidden_layer_sizes[1] must be an integer of at least 1, got 0"),
    (
        "hidden_layer_sizes",
        (2.5,),
        "hidden_layer_sizes[0] must be an integer of at least 1, got 2.5",
    ),
    ("hidden_layer_sizes", 2.5, "hidden_layer_sizes must be a tuple of integers"),
    ("hidden_layer_sizes", (), "hidden_layer_sizes must have at least one layer"),
    ("hidden_layer_sizes", "64", "hidden_layer_sizes must be a tuple of integers"),
    ("hidden_layer_sizes", None, "hidden_layer_sizes must be a tuple of integers"),
    ("hidden_layer_sizes", (True,), "hidden_layer_sizes[0] must be an integer"),
    ("target", "steps", "target must be one of 'sequence', 'step', got 'steps'"),
    ("bidirectional", "yes", "without quotes. Or write bidirectional='auto'."),
    ("pooling", "average", "pooling must be one of 'last', 'mean', 'max', 'attention'"),
    ("pooling", None, "pooling must be one of"),
    ("window", 0, "window must be an integer of at least 1, got 0"),
    ("window", 1.5, "window must be an integer"),
    ("forget_bias", "crono", "forget_bias must be one of 'auto', 'chrono', got 'crono'. Did"),
    ("forget_bias", "0.5", "got '0.5'. Or give a number."),
    ("forget_bias", None, "forget_bias must be a number in [-100, 100], got None"),
    ("forget_bias", True, "forget_bias must be a number"),
    ("forget_bias", np.inf, "forget_bias must be a number in [-100, 100], got inf"),
    ("missing", "drop", "missing must be one of 'error', 'mask', got 'drop'"),
    ("patch", 0, "patch must be an integer of at least 1, got 0"),
    ("patch", 2.5, "patch must be an integer of at least 1, got 2.5"),
    (
        "patch",
        "automatic",
        "got 'automatic'. Give a whole number, without a decimal point or quotes. "
        "Or write patch='auto'.",
    ),
    ("dropout", 1.5, "dropout must be a number in [0, 1), got 1.5"),
    ("dropout", 1.0, "dropout must be a number in [0, 1)"),
    ("dropout", -0.1, "dropout must be a number in [0, 1)"),
    ("dropout", "0.5", "dropout must be a number"),
    ("token_dropout", 1.0, "token_dropout must be a number in [0, 1)"),
    ("solver", "adamw", "solver must be one of 'adam', 'sgd', 'rmsprop', 'lbfgs'"),
    (
        "learning_rate",
        0.01,
        "learning_rate must be one of 'constant', 'cosine', 'adaptive', got 0.01. "
        "Write learning_rate_init=0.01.",
    ),
    ("learning_rate", np.float32(0.5), "got 0.5. Write learning_rate_init=0.5."),
    ("learning_rate", 1, "got 1. Write learning_rate_init=1."),
    ("learning_rate", "invscaling", "got 'invscaling'. Give one of these names."),
    ("learning_rate_init", -1e-3, "learning_rate_init must be a number in (0, inf)"),
    ("learning_rate_init", 0, "learning_rate_init must be a number in (0, inf)"),
    ("learning_rate_init", np.nan, "learning_rate_init must be a number in (0, inf)"),
    ("learning_rate_init", np.inf, "learning_rate_init must be a number in (0, inf)"),
    ("momentum", 1.0, "momentum must be a number in [0, 1)"),
    ("alpha", -1.0, "alpha must be a number in [0, inf)"),
    ("batch_size", 0, "batch_size must be an integer of at least 1"),
    ("batch_size", "all", "or quotes. Or write batch_size='auto'."),
    ("max_iter", 0, "max_iter must be an integer of at least 1"),
    ("max_iter", 1e3, "max_iter must be an integer"),
    ("truncate", 0, "truncate must be an integer of at least 1"),
    ("clip_norm", 0.0, "clip_norm must be a number in (0, inf)"),
    ("clip_norm", np.nan, "clip_norm must be a number"),
    ("shuffle", 1, "shuffle must be True or False"),
    ("tol", -1.0, "tol must be a number in [0, inf)"),
    ("n_iter_no_change", 0, "n_iter_no_change must be an integer of at least 1"),
    ("early_stopping", None, "early_stopping must be True or False"),
    ("validation_fraction", 0.0, "validation_fraction must be a number in (0, 1)"),
    ("validation_fraction", 1.0, "validation_fraction must be a number in (0, 1)"),
    ("warm_start", "no", "warm_start must be True or False"),
    (
        "device",
        "gpu",
        "device must be 'cpu', 'cuda', 'cuda:1' or another number, or 'auto', got 'gpu'",
    ),
    ("dtype", "float16", "dtype must be one of 'float32', 'float64', got 'float16'"),
    ("n_jobs", 0, "n_jobs must be None or an integer other than 0, got 0"),
    ("n_jobs", 10**6, "n_jobs must be an integer from -1024 to 1024"),
    ("n_jobs", 1.5, "n_jobs must be an integer"),
    ("random_state", "seed", "random_state must be None, an integer"),
    ("random_state", -1, "random_state must be"),
    ("random_state", 1.5, "random_state must be"),
    ("verbose", -1, "verbose must be an integer of at least 0"),
    ("verbose", "yes", "verbose must be an integer"),
    ("callbacks", 3, "callbacks must be None, a function or a list of functions"),
    ("callbacks", [print, 3], "callbacks must be None, a function or a list of functions"),
]


@pytest.mark.parametrize(("name", "value", "match"), BAD, ids=lambda value: str(value)[:20])
def test_arguments_out_of_range(estimator, name, value, match):
    estimator.set_params(**{name: value})
    refuses(estimator, "fit", X, Y, error=(ValueError, TypeError), match=re.escape(match))
    refuses(estimator, "partial_fit", X, Y, error=(ValueError, TypeError), match=re.escape(match))


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        (
            "loss",
            "mse",
            "loss must be one of 'squared_error', 'absolute_error', 'huber', 'quantile', got 'mse'",
        ),
        ("quantile", 0.0, "quantile must be a number in (0, 1)"),
        ("quantile", 1.0, "quantile must be a number in (0, 1)"),
        ("quantile", {0.1, 0.9}, "quantile must be a number in (0, 1)"),
        ("delta", 0.0, "delta must be a number in (0, inf)"),
    ],
    ids=str,
)
def test_arguments_of_the_regressor(name, value, match):
    model = RNNRegressor(**QUICK, **{name: value})
    refuses(model, "fit", X, Y, error=(ValueError, TypeError), match=re.escape(match))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"cell": "ffnn", "bidirectional": True}, "bidirectional must be False with cell='ffnn'"),
        ({"cell": "ffnn", "truncate": 3}, "truncate must be None with cell='ffnn'"),
        ({"truncate": 3, "bidirectional": True}, "truncate must be None with bidirectional=True"),
        ({"target": "step", "pooling": "mean"}, "pooling must be 'last' with target='step'"),
        ({"solver": "lbfgs", "dropout": 0.5}, "dropout must be 0 with solver='lbfgs'"),
        ({"solver": "lbfgs", "token_dropout": 0.5}, "token_dropout must be 0 with solver='lbfgs'"),
        ({"solver": "lbfgs", "truncate": 3}, "truncate must be None with solver='lbfgs'"),
    ],
    ids=str,
)
def test_arguments_that_exclude_each_other(estimator, arguments, match):
    refuses(estimator.set_params(**arguments), "fit", X, Y, match=match)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"early_stopping": True}, "early_stopping must be False for partial_fit"),
        ({"solver": "lbfgs"}, "solver must be 'adam', 'sgd' or 'rmsprop' for partial_fit"),
    ],
    ids=str,
)
def test_arguments_that_exclude_partial_fit(estimator, arguments, match):
    refuses(estimator.set_params(**arguments), "partial_fit", X, Y, match=match)


def test_partial_fit_is_there_where_the_solver_takes_parts(estimator):
    assert hasattr(estimator, "partial_fit") and hasattr(type(estimator), "partial_fit")
    assert not hasattr(estimator.set_params(solver="lbfgs"), "partial_fit")


def test_training_may_never_stop_early(estimator, tmp_path):
    estimator.set_params(n_iter_no_change=np.inf, tol=1e9, max_iter=12, learning_rate="constant")
    with pytest.warns(UserWarning, match="Maximum iterations|Nothing was learned"):
        assert estimator.fit(X, Y).n_iter_ == 12
    estimator.save(tmp_path / "model")
    assert load(tmp_path / "model").n_iter_no_change == np.inf
    with pytest.raises(TypeError, match="n_iter_no_change must be an integer of at least 1"):
        estimator.set_params(n_iter_no_change=-np.inf).fit(X, Y)


@pytest.mark.parametrize("arguments", [{"alpha": 1e300}, {"alpha": 0.6, "learning_rate_init": 2}])
@pytest.mark.parametrize("solver", ["adam", "sgd", "rmsprop"])
def test_a_decay_of_more_than_the_weights(estimator, arguments, solver):
    match = r"alpha must be at most 1 / learning_rate_init = [\d.]+, got .*lower one of the two"
    refuses(estimator.set_params(**arguments, solver=solver), "fit", X, Y, match=match)
    refuses(
        estimator.set_params(**arguments, solver=solver), "partial_fit", X, Y, match="alpha must"
    )


@pytest.mark.parametrize("alpha", [1e300, 1.7e308])
def test_a_penalty_that_overflows(estimator, alpha):
    match = r"alpha must leave the penalty and its gradient finite, got 1.*Lower alpha"
    refuses(estimator.set_params(alpha=alpha, solver="lbfgs"), "fit", X, Y, match=match)


@pytest.mark.parametrize("weight", [5e-324, 1e-310, 1e308])
def test_weights_of_any_size_are_weights(estimator, weight):
    weighted = estimator.fit(X, Y, np.full(6, weight)).weights_
    plain = type(estimator)(**QUICK).fit(X, Y).weights_
    assert all(np.array_equal(array, plain[name]) for name, array in weighted.items())
    assert estimator.score(X, Y, np.full(6, weight)) == estimator.score(X, Y)
    if weight > 1:
        match = "sample_weight must be at most"
        refuses(estimator, "partial_fit", X, Y, match=match, sample_weight=np.full(6, weight))


def test_balanced_needs_all_data():
    match = r"class_weight must be .* for partial_fit, got 'balanced'.* compute_class_weight\("
    refuses(RNNClassifier(**QUICK, class_weight="balanced"), "partial_fit", X, Y, match=match)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_class_weights_that_leave_nothing(method):
    model = RNNClassifier(**QUICK, class_weight={0: 0, 1: 0})
    refuses(model, method, X, Y, match="class_weight must leave a positive weight")


@pytest.mark.parametrize("sizes", [(10**6,), (10**12,), (300_000, 300_000)], ids=str)
def test_network_too_large_for_memory(estimator, sizes):
    match = r"must make a network that fits into memory, got .* parameters, [\d,.]+ GiB"
    refuses(estimator.set_params(hidden_layer_sizes=sizes), "fit", X, Y, match=match)


def test_batch_too_large_for_memory(estimator):
    long = np.lib.stride_tricks.as_strided(np.zeros(1), (6, 10**10, 2), (0, 0, 0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lightrnn.estimators.model.memory", lambda: 10**6)
        refuses(estimator, "fit", long[:, : 10**5], Y, match="fits into memory")
        refuses(estimator, "partial_fit", long[:, : 10**5], Y, match="fits into memory")
        refuses(
            estimator.set_params(warm_start=True, patch=1),
            "fit",
            long[:, : 10**5],
            Y,
            match=r"train on 6 sequences of 600,000 steps in all",
        )


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_one_long_sequence_among_short_ones_fits_into_memory(method, monkeypatch):
    """A batch needs memory for its own steps, not for as many as its longest sequence has each."""
    monkeypatch.setattr("lightrnn.estimators.model.memory", lambda: 2**28)
    monkeypatch.setattr("lightrnn.estimators.estimator.train", lambda *_, **__: None)
    long = np.lib.stride_tricks.as_strided(np.zeros(1), (10**5, 1), (0, 0))
    short = [np.zeros((50, 1))] * 255
    labels = np.arange(256) % 2
    # Two levels of two directions keep their outputs for every step.
    model = RNNClassifier("rnn", (16, 16), bidirectional=True, patch=1, batch_size=32)
    getattr(model, method)([long, *short], labels)
    with pytest.raises(ValueError, match="fits into memory"):
        getattr(RNNClassifier(**model.get_params()), method)([long] * 64, labels[:64])
    getattr(model, method)([long, *short], labels)
    # A GPU has a memory of its own.
    monkeypatch.setattr("lightrnn.devices.placed", lambda network, *_: nullcontext(network))
    there = RNNClassifier(**model.get_params() | {"device": "cuda"})
    getattr(there, method)([long] * 64, labels[:64])


# -- continued training ----------------------------------------------------------------------------


def test_nothing_works_before_fit(estimator, tmp_path):
    methods = ["predict", "transform"] + ["predict_proba", "predict_log_proba"] * isinstance(
        estimator, RNNClassifier
    )
    for error in (ValueError, AttributeError):
        for method in methods:
            with pytest.raises(error, match="not fitted yet"):
                getattr(estimator, method)(X)
        with pytest.raises(error, match="not fitted yet"):
            estimator.score(X, Y)
        with pytest.raises(error, match="not fitted yet"):
            estimator.save(tmp_path / "model.npz")
        with pytest.raises(error, match="not fitted yet"):
            _ = estimator.get_feature_names_out()
    assert not hasattr(estimator, "weights_")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_layer_sizes", (3,)),
        ("cell", "lstm"),
        ("dtype", "float64"),
        ("bidirectional", True),
        ("pooling", "max"),
    ],
    ids=str,
)
def test_another_network_while_training_goes_on(estimator, name, value):
    fitted = estimator.fit(X, Y).set_params(**{name: value})
    before = state(fitted)
    with pytest.raises(ValueError, match=f"{name} must stay .* while training goes on"):
        fitted.partial_fit(X, Y)
    with pytest.raises(ValueError, match=f"{name} must stay .* while training goes on"):
        fitted.set_params(warm_start=True).fit(X, Y)
    fitted.set_params(warm_start=False)
    assert state(fitted) == before


def test_other_classes_with_warm_start():
    fitted = RNNClassifier(**QUICK, warm_start=True).fit(X, Y)
    before = state(fitted)
    with pytest.raises(
        ValueError, match="warm_start can only be used where y has the same classes"
    ):
        fitted.fit(X, [0, 2, 0, 2, 0, 2])
    with pytest.raises(
        ValueError,
        match=r"warm_start can only be used where y has the same classes|n_outputs must stay",
    ):
        fitted.fit(X, [0, 1, 2, 1, 0, 1])
    assert state(fitted) == before


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_loss_that_overflows(estimator, method):
    fitted = estimator.fit(X, Y)
    fitted.set_params(
        learning_rate="constant",
        learning_rate_init=1e38,
        clip_norm=None,
        solver="sgd",
        max_iter=50,
        warm_start=True,
    )
    before = state(fitted)
    with pytest.raises(
        ValueError, match=r"epoch \d+, batch \d+; the first parameter .*Lower learning_rate_init"
    ):
        for _ in range(50):
            getattr(fitted, method)(X, Y)
            before = state(fitted)
    assert state(fitted) == before


# -- anything at all -------------------------------------------------------------------------------

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 5),
    st.floats(),
    st.text(max_size=3),
    st.complex_numbers(),
)
ARGUMENTS = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=2),
    st.sampled_from(["rnn", "gru", "ffnn", "step", "lbfgs", "sgd"]),
)
NAMES = sorted(set(RNNClassifier().get_params()) - {"verbose", "callbacks"})


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(arguments=st.dictionaries(st.sampled_from(NAMES), ARGUMENTS, min_size=1, max_size=3))
def test_no_argument_crashes(arguments):
    model = RNNClassifier(**{"cell": "rnn", **QUICK, **arguments})
    before = state(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model.fit(X, STEPS if model.target == "step" else Y)
        except (ValueError, TypeError):
            assert state(model) == before


@pytest.mark.parametrize("method", ["predict", "transform"])
@pytest.mark.parametrize(("n_jobs", "error"), [(0, ValueError), (1.5, TypeError), ("2", TypeError)])
def test_n_jobs_is_checked_where_it_is_used(method, n_jobs, error):
    """A file may have any, and so may an attribute that was set after the fit."""
    model = RNNRegressor("rnn", (2,), max_iter=1, learning_rate="cosine").fit(X, Y)
    model.n_jobs = n_jobs
    with pytest.raises(error, match="n_jobs must be"):
        getattr(model, method)(X)
