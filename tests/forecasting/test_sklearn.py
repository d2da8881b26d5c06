"""scikit-learn's contract: its checks that make sense for a forecaster, and its tools."""

import copy
import warnings

import numpy as np
import pytest

from lightrnn import RNNForecaster

sklearn = pytest.importorskip("sklearn", reason="tests against scikit-learn")

from sklearn.base import clone, is_classifier, is_regressor  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.model_selection import (  # noqa: E402
    GridSearchCV,
    KFold,
    RandomizedSearchCV,
    TimeSeriesSplit,
    cross_val_score,
    cross_validate,
)
from sklearn.utils.estimator_checks import estimator_checks_generator  # noqa: E402

SMALL = {"hidden_layer_sizes": 4, "max_iter": 1, "random_state": 0}
Y = 3 + np.sin(np.arange(90) * np.pi / 2) + 0.1 * np.cos(np.arange(90.0))
LIST = [Y + level for level in range(6)]


class OfTables(RNNForecaster):
    """A forecaster that takes arguments as scikit-learn's checks give them.

    The rows of their X are series, and their y, which says something else of each row, is left out.
    """

    def fit(self, X, y=None):
        return super().fit(X)

    def predict(self, X):
        return super().predict(X)

    def score(self, X, y=None):
        return super().score(X)


OTHERWISE = {
    "check_fit1d": "one dimension is one series",
    "check_fit2d_predict1d": "one dimension is one series",
    "check_n_features_in": "series have lengths, and n_features_in_ counts covariates",
    "check_n_features_in_after_fitting": "series of any other length are forecast",
    "check_estimators_empty_data_messages": "the message names series, not features",
}


def checks():
    """Return scikit-learn's checks, as parameters of a test."""
    with warnings.catch_warnings():
        # It does without scikit-learn's base class on purpose.
        warnings.filterwarnings("ignore", "Estimator .* does not inherit")
        return list(
            estimator_checks_generator(
                OfTables(**SMALL), expected_failed_checks=OTHERWISE, mark="xfail", xfail_strict=True
            )
        )


def name_of(value):
    """Return the name of a test's parameter."""
    return getattr(getattr(value, "func", value), "__name__", type(value).__name__)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("estimator", "check"), checks(), ids=name_of)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


def test_what_it_is_to_scikit_learn():
    model = RNNForecaster(3, 4, **SMALL)
    assert repr(model) == (
        "RNNForecaster(horizon=3, season=4, hidden_layer_sizes=4, max_iter=1, random_state=0)"
    )
    assert not is_classifier(model) and not is_regressor(model)
    tags = model.__sklearn_tags__()
    assert tags.estimator_type == "forecaster" and tags.input_tags.allow_nan
    assert model.set_params(season=5).get_params()["season"] == 5
    with pytest.raises(ValueError, match="Invalid parameter 'seasons'"):
        model.set_params(seasons=5)
    fitted = model.fit(Y)
    assert fitted is model and not hasattr(clone(model), "nets_")
    again = clone(model).fit(Y)
    assert np.array_equal(again.predict(), model.predict())
    assert np.array_equal(model.fit(LIST).fit(Y).predict(), again.predict())


@pytest.mark.parametrize(
    "method",
    [
        lambda f: f.predict(),
        lambda f: f.predict(Y),
        lambda f: f.score(Y),
        lambda f: f.surprise(Y),
        lambda f: f.stream(),
        lambda f: f.save("nowhere"),
        lambda f: f.nets_,
        lambda f: f.n_features_in_,
    ],
)
def test_what_needs_a_fit_says_so(method):
    with pytest.raises(NotFittedError, match="This RNNForecaster instance is not fitted yet"):
        method(RNNForecaster(3, 4))


def test_covariates_are_the_features():
    model = RNNForecaster(3, 4, **SMALL)
    assert not hasattr(model, "n_features_in_") and not hasattr(model, "feature_names_in_")
    assert model.fit(Y).n_features_in_ == 0
    assert model.fit(Y, np.ones((90, 2))).n_features_in_ == 2
    assert not hasattr(model, "feature_names_in_")
    pandas = pytest.importorskip("pandas")
    dates = pandas.date_range("2024-01-01", periods=90, freq="D")
    frame = pandas.DataFrame({"ds": dates, "y": Y, "price": Y, "rain": Y})
    assert model.fit(frame).feature_names_in_.tolist() == ["price", "rain"]


def test_arguments_of_a_fit_stay_and_a_later_horizon_is_refused():
    model = RNNForecaster(3, 4, **SMALL).fit(Y)
    model.set_params(season=9, max_iter=0)
    assert model.predict().shape == (3,)
    model.set_params(horizon=5)
    for call in (model.predict, model.stream, model.score, model.surprise):
        with pytest.raises(ValueError, match="horizon must be 3, as in fit, got 5"):
            call(Y)


@pytest.mark.parametrize("form", ["list", "array", "frame"])
def test_input_never_changes(form):
    y, X = [part.copy() for part in LIST], [np.cos(part) for part in LIST]
    y[0][5:8] = np.nan
    X[1][3] = np.nan
    if form == "array":
        y, X = np.array(y), X
        y.setflags(write=False)
    if form == "frame":
        pandas = pytest.importorskip("pandas")
        dates = pandas.date_range("2024-01-01", periods=90, freq="D")[::-1]
        y, X = (pandas.DataFrame(np.transpose(part), dates) for part in (y, X))
    before = copy.deepcopy((y, X))
    model = RNNForecaster(3, 4, **SMALL).fit(y, X)
    model.predict(y, X, level=80)
    model.score(y, X)
    model.surprise(y, X)
    RNNForecaster(3, 4, **SMALL).backtest(y, X, windows=2)
    for given, copied in zip((y, X), before, strict=True):
        np.testing.assert_array_equal(given, copied)
        if form == "frame":
            pandas.testing.assert_frame_equal(given, copied)


# -- scikit-learn's tools -------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["array", "column", "series"])
def test_cross_validation_in_time_of_one_series(form):
    y = Y[:, None] if form == "column" else Y
    if form == "series":
        pandas = pytest.importorskip("pandas")
        y = pandas.Series(Y, pandas.date_range("2024-01-01", periods=90, freq="D"))
    model = RNNForecaster(3, 4, **SMALL)
    split = TimeSeriesSplit(3, test_size=12)
    scores = cross_val_score(model, y, cv=split, error_score="raise")
    for score, (train, test) in zip(scores, split.split(y), strict=True):
        parts = (y.iloc[train], y.iloc[test]) if form == "series" else (y[train], y[test])
        assert score == clone(model).fit(parts[0]).score(parts[1])


def test_cross_validation_over_series():
    X = [np.cos(part) for part in LIST]
    model = RNNForecaster(3, 4, **SMALL)
    found = cross_validate(model, LIST, X, cv=KFold(3), error_score="raise", return_estimator=True)
    first, fitted = found["test_score"][0], found["estimator"][0]
    assert first == model.fit(LIST[2:], X[2:]).score(LIST[:2], X[:2])
    assert fitted.n_features_in_ == 1 and len(found["test_score"]) == 3


def test_searches():
    model = RNNForecaster(3, 4, **SMALL)
    in_time = {"cv": TimeSeriesSplit(2, test_size=12), "error_score": "raise"}
    search = GridSearchCV(model, {"scale": ["standard", "log"]}, **in_time).fit(Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.predict().shape == (3,) and search.n_features_in_ == 0
    search = RandomizedSearchCV(model, {"season": [4, 8]}, n_iter=2, cv=2, error_score="raise")
    assert search.fit(LIST).predict(LIST[:2]).shape == (2, 3)
