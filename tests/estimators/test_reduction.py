"""`RNNRegressor` in libraries that make forecasts of regressors: windows come oldest step first."""

import numpy as np
import pytest

from lightrnn import RNNRegressor

pytestmark = pytest.mark.filterwarnings("ignore")
HORIZON = 3
LAGS = 6
# Series that grow, so that a row whose values ascend has its oldest step first.
Y = np.arange(40.0)
SEEN = []


class Spy(RNNRegressor):
    """A regressor that notes the windows it is fitted to."""

    def fit(self, X, y, **arguments):
        SEEN.append(np.asarray(X))
        return super().fit(X, y, **arguments)


@pytest.fixture
def regressor():
    SEEN.clear()
    return Spy("gru", 4, max_iter=1, patch=1, random_state=0)


def flipped(regressor):
    """Return a regressor that reads columns from the last to the first."""
    pipeline = pytest.importorskip("sklearn.pipeline")
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    return pipeline.make_pipeline(preprocessing.FunctionTransformer(np.fliplr), regressor)


def check(forecast):
    """Check that windows were read from their oldest step on, and that there is a forecast."""
    assert SEEN and all(X.shape[1] == LAGS for X in SEEN)
    assert all((np.diff(X, axis=1) > 0).all() for X in SEEN)
    assert np.shape(forecast) == (HORIZON,) and np.isfinite(forecast).all()


@pytest.mark.parametrize("kind", ["recursive", "direct"])
def test_skforecast(kind, regressor):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("skforecast")
    from skforecast.direct import ForecasterDirect
    from skforecast.recursive import ForecasterRecursive

    # Its first lag is the newest value.
    model = flipped(regressor)
    if kind == "recursive":
        forecaster = ForecasterRecursive(estimator=model, lags=LAGS)
    else:
        forecaster = ForecasterDirect(estimator=model, lags=LAGS, steps=HORIZON)
    forecaster.fit(y=pandas.Series(Y, name="y"))
    check(forecaster.predict(steps=HORIZON))


def test_mlforecast(regressor):
    pandas = pytest.importorskip("pandas")
    mlforecast = pytest.importorskip("mlforecast")
    frame = pandas.DataFrame({"unique_id": "a", "ds": range(len(Y)), "y": Y})
    # Its columns have the order of the lags that it is given.
    model = mlforecast.MLForecast({"lightrnn": regressor}, freq=1, lags=range(LAGS, 0, -1))
    check(model.fit(frame).predict(HORIZON).lightrnn)


@pytest.mark.parametrize("strategy", ["recursive", "direct", "multioutput"])
def test_sktime(strategy, regressor):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("sktime")
    from sktime.forecasting.compose import make_reduction

    forecaster = make_reduction(regressor, strategy, window_length=LAGS)
    forecaster.fit(pandas.Series(Y), fh=range(1, HORIZON + 1))
    check(forecaster.predict())
