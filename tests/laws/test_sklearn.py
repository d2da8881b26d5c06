"""The estimators pass scikit-learn's own checks and work in its tools."""

import os
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
from helpers.networks import weight_bits

os.environ.setdefault("SCIPY_ARRAY_API", "1")  # without it, one of the checks is skipped

sklearn = pytest.importorskip("sklearn", reason="tests against scikit-learn")

from sklearn.base import clone, is_classifier, is_regressor  # noqa: E402
from sklearn.exceptions import ConvergenceWarning, NotFittedError  # noqa: E402
from sklearn.model_selection import (  # noqa: E402
    GridSearchCV,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    learning_curve,
)
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.utils.estimator_checks import estimator_checks_generator  # noqa: E402

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor  # noqa: E402
from lightrnn.preprocessing import SequenceScaler  # noqa: E402
from lightrnn.utils.indexing import object_array  # noqa: E402

KINDS = (RNNClassifier, RNNRegressor)
RNG = np.random.default_rng(0)
X = [RNG.normal(size=(length, 3)) for length in RNG.integers(1, 9, 48)]
SUMS = np.array([x[:, 0].sum() for x in X])
LABELS = np.where(SUMS > 0, "up", "down")
BRIEF = {"hidden_layer_sizes": (4,), "max_iter": 3, "learning_rate": "cosine", "random_state": 0}
# The only check that does not pass by default, and why: samples that are there twice fall into
# other minibatches than one sample of weight 2, and where one batch holds all of them Adam
# amplifies the rounding of sums in another order.
FAILING_IN_FLOAT32 = {
    "check_sample_weight_equivalence_on_dense_data": "minibatches differ; Adam amplifies rounding"
}


def checks(failing, **arguments):
    """Return every check of scikit-learn for both estimators, as parameters of a test."""
    return [
        pair
        for kind in KINDS
        for pair in estimator_checks_generator(
            kind(**arguments), expected_failed_checks=failing, mark="xfail", xfail_strict=True
        )
    ]


def name_of(value):
    """Return the name of a test's parameter."""
    return getattr(getattr(value, "func", value), "__name__", type(value).__name__)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("estimator", "check"), checks(FAILING_IN_FLOAT32), ids=name_of)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        (estimator, check)
        for estimator, check in checks({}, dtype="float64", max_iter=50, batch_size=100)
        if check.func.__name__ in FAILING_IN_FLOAT32
    ],
    ids=name_of,
)
def test_the_check_that_fails_in_float32_passes_in_float64(estimator, check):
    check(estimator)


def test_kinds():
    assert is_classifier(RNNClassifier()) and is_regressor(RNNRegressor())


def test_clone_takes_arguments_and_leaves_the_rest():
    model = RNNClassifier(**BRIEF).set_fit_request(sample_weight=True).fit(X, LABELS)
    copy = clone(model)
    assert repr(copy) == repr(model) and not hasattr(copy, "classes_")
    again = copy.fit(X, LABELS)
    assert weight_bits(model) == weight_bits(again)


def test_errors_and_warnings_are_scikit_learns():
    with pytest.raises(NotFittedError):
        RNNClassifier().predict(X)
    with pytest.warns(ConvergenceWarning):
        RNNClassifier(max_iter=1, learning_rate="constant").fit(X, LABELS)


def test_pipeline():
    model = make_pipeline(SequenceScaler(), RNNClassifier(**BRIEF)).fit(X, LABELS)
    assert model.predict(X).shape == (48,) and 0 <= model.score(X, LABELS) <= 1


def test_states_feed_another_estimator():
    linear = pytest.importorskip("sklearn.linear_model")
    model = make_pipeline(
        RNNRegressor(
            "gru",
            (8,),
            max_iter=30,
            learning_rate_init=0.03,
            learning_rate="cosine",
            random_state=0,
        ),
        linear.Ridge(),
    )
    assert model.fit(X, SUMS).score(X, SUMS) > 0.5


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_grid_search_over_cells(n_jobs):
    # Each worker loads the kernels of every cell that it is given, for every size anew.
    sizes = [(3,), (2, 2)] if n_jobs is None else [(2, 2)]
    grid = {"cell": ["ffnn", "rnn", "gru", "lstm"], "hidden_layer_sizes": sizes}
    model = RNNClassifier(**BRIEF)
    search = GridSearchCV(model, grid, cv=2, n_jobs=n_jobs, error_score="raise").fit(X, LABELS)
    assert len(search.cv_results_["mean_test_score"]) == 4 * len(sizes)
    assert search.best_params_["cell"] in grid["cell"]
    assert search.predict(X).shape == (48,)


@pytest.mark.parametrize("form", [list, tuple], ids=["list", "tuple"])
def test_cross_validation(form):
    scores = cross_val_score(RNNClassifier(**BRIEF), form(X), LABELS, cv=3)
    assert scores.shape == (3,) and np.isfinite(scores).all()
    scoring = "neg_mean_absolute_error"
    errors = cross_val_score(RNNRegressor(**BRIEF), form(X), SUMS, cv=3, scoring=scoring)
    assert errors.shape == (3,)
    model = RNNClassifier(**BRIEF)
    probabilities = cross_val_predict(model, form(X), LABELS, cv=3, method="predict_proba")
    assert probabilities.shape == (48, 2)


def test_cross_validation_of_steps():
    y = [(x[:, 0] > 0).astype(int) for x in X]
    scores = cross_val_score(RNNClassifier(**BRIEF, target="step"), X, y, cv=3)
    assert scores.shape == (3,) and np.isfinite(scores).all()


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_predictions_of_steps_are_joined_over_folds(kind, scaled):
    """X and y are object arrays, which scikit-learn can index and concatenate."""
    y = [(x[:, 0] > 0).astype(int) for x in X]
    model = kind(**BRIEF, target="step")
    model = make_pipeline(SequenceScaler(), model) if scaled else model
    found = cross_val_predict(model, object_array(X), object_array(y), cv=3)
    assert found.dtype == object and [len(part) for part in found] == [len(x) for x in X]
    first_fold = model.fit(X[16:], y[16:]).predict(X[:16])
    assert all(map(np.array_equal, found[:16], first_fold))


def test_object_arrays():
    array = object_array(X)
    from_array = RNNClassifier(**BRIEF).fit(array, LABELS).predict(array)
    from_list = RNNClassifier(**BRIEF).fit(X, LABELS).predict(X)
    assert np.array_equal(from_array, from_list)
    scores = cross_val_score(RNNClassifier(**BRIEF), array, LABELS, cv=StratifiedKFold(3))
    assert scores.shape == (3,)


def test_learning_curve():
    _, training, testing = learning_curve(
        RNNRegressor(**BRIEF), X, SUMS, cv=2, train_sizes=[0.5, 1.0]
    )
    assert training.shape == testing.shape == (2, 2)


def test_voting_and_calibration():
    ensemble = pytest.importorskip("sklearn.ensemble")
    calibration = pytest.importorskip("sklearn.calibration")
    table = RNG.normal(size=(48, 6))
    members = [("a", RNNClassifier("rnn", **BRIEF)), ("b", RNNClassifier("gru", **BRIEF))]
    voting = ensemble.VotingClassifier(members, voting="soft").fit(table, LABELS)
    assert voting.predict(table).shape == (48,)
    calibrated = calibration.CalibratedClassifierCV(RNNClassifier(**BRIEF), cv=2).fit(table, LABELS)
    assert calibrated.predict_proba(table).shape == (48, 2)


def test_sample_weight_is_routed():
    seen = []

    class Spy(RNNRegressor):
        def fit(self, X, y, sample_weight=None, X_val=None, y_val=None):
            seen.append(sample_weight)
            return super().fit(X, y, sample_weight, X_val, y_val)

    weights = np.ones(48)
    grid = {"cell": ["rnn"]}
    with sklearn.config_context(enable_metadata_routing=True):
        model = Spy(**BRIEF).set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        GridSearchCV(model, grid, cv=2).fit(X, SUMS, sample_weight=weights)
        with pytest.raises(ValueError, match="sample_weight"):
            GridSearchCV(RNNRegressor(**BRIEF), grid, cv=2).fit(X, SUMS, sample_weight=weights)
    assert [len(received) for received in seen] == [24, 24, 48]  # two folds, and the refit


def test_set_output():
    pandas = pytest.importorskip("pandas", reason="makes DataFrames")
    model = RNNRegressor(**BRIEF).set_output(transform="pandas").fit(X, SUMS)
    frame = model.transform(X)
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == list(model.get_feature_names_out())


def test_notebooks_show_scikit_learns_diagram():
    model = RNNClassifier(cell="lstm")
    assert "sk-top-container" in model._repr_html_()
    assert "sk-top-container" in make_pipeline(SequenceScaler(), model)._repr_html_()
    with sklearn.config_context(display="text"):
        assert model._repr_mimebundle_() == {"text/plain": repr(model)}
    assert set(model._repr_mimebundle_(include=None)) == {"text/plain", "text/html"}


def test_texts_are_the_language_models_input():
    tags = RNNLanguageModel().__sklearn_tags__().input_tags
    assert tags.string and not (tags.two_d_array or tags.three_d_array)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Can't test estimator")  # those that need numbers
        for estimator, check in estimator_checks_generator(RNNLanguageModel(**BRIEF)):
            check(estimator)


@pytest.mark.parametrize(
    ("kind", "mixin"),
    [
        (RNNClassifier, "ClassifierMixin"),
        (RNNRegressor, "RegressorMixin"),
        (SequenceScaler, "TransformerMixin"),
        (RNNLanguageModel, None),
    ],
)
def test_estimators_are_scikit_learns_once_it_is_loaded(kind, mixin):
    mixins = ["ClassifierMixin", "RegressorMixin", "TransformerMixin"]
    found = [name for name in mixins if issubclass(kind, getattr(sklearn.base, name))]
    assert found == [mixin] * (mixin is not None)
    assert isinstance(kind(), sklearn.base.BaseEstimator)
    # Nothing comes from there that is defined here, nor into a pickle.
    for name in ("get_params", "__sklearn_tags__", "fit", "__repr__"):
        assert getattr(kind, name).__module__.startswith("lightrnn")
    assert b"sklearn" not in pickle.dumps(kind())


def test_estimators_made_before_scikit_learn_is_loaded_are_its_too():
    code = """
import sys
from lightrnn import RNNClassifier, RNNRegressor
model = RNNClassifier()
class Mine(RNNRegressor):
    pass
assert "sklearn" not in sys.modules
import sklearn.base
assert isinstance(model, sklearn.base.ClassifierMixin)
assert isinstance(model, sklearn.base.BaseEstimator)
assert issubclass(Mine, sklearn.base.RegressorMixin)
assert type(sys.meta_path[0]).__module__ != "lightrnn.utils.kinship"
assert sklearn.base.clone(model).score.__module__.startswith("lightrnn")
"""
    subprocess.run([sys.executable, "-c", code], check=True)
