"""`RNNForecaster`: what it learns, its forms of y, its intervals, its laws."""

import copy
import pickle

import numpy as np
import pytest

from lightrnn import RNNForecaster, load
from lightrnn.utils import archive

SMALL = {"hidden_layer_sizes": 8, "max_iter": 3, "batch_size": 64, "random_state": 0}


def waves(n=3, T=60, season=6, seed=0):
    """Return series of one shape, at levels and with amplitudes of their own."""
    rng = np.random.default_rng(seed)
    shape = np.sin(np.arange(T + n) * 2 * np.pi / season)
    return [
        10.0 ** rng.integers(0, 4) * (2 + shape[i : i + T] + 0.1 * rng.normal(size=T))
        for i in range(n)
    ]


@pytest.fixture(scope="module")
def fitted():
    return RNNForecaster(4, 6, **SMALL).fit(waves())


def test_it_beats_the_season_before_and_its_intervals_hold():
    """The season repeats itself up to noise, of which the last one holds a sample."""
    y = waves(40, 80)
    model = RNNForecaster(6, 6, hidden_layer_sizes=32, max_iter=60, random_state=0)
    model.fit([series[:-6] for series in y])
    truth = np.array([series[-6:] for series in y])
    scale = np.array([[series.std()] for series in y])
    naive = np.array([series[-12:-6] for series in y])
    found = model.predict(level=80)
    error = np.abs((found["lightrnn"] - truth) / scale).mean()
    assert error < 0.85 * np.abs((naive - truth) / scale).mean()
    inside = (found["lightrnn-lo-80"] <= truth) & (truth <= found["lightrnn-hi-80"])
    assert 0.7 < inside.mean() < 0.9


@pytest.mark.parametrize("cell", ["ffnn", "rnn", "gru"])
@pytest.mark.parametrize("scale", ["standard", "mean", None])
def test_every_cell_and_every_scale(cell, scale):
    y = waves(2, 30)
    found = RNNForecaster(7, 6, cell=cell, scale=scale, **SMALL).fit(y).predict(level=95)
    ends = [found[f"lightrnn{part}"] for part in ("-lo-95", "", "-hi-95")]
    assert all(end.shape == (2, 7) and np.isfinite(end).all() for end in ends)
    assert (np.diff(ends, axis=0) >= 0).all()


def test_a_forecast_does_not_depend_on_other_series_threads_or_copies(fitted):
    y = waves()
    everything = fitted.predict(quantiles=(0.1, 0.5, 0.975))
    alone = fitted.predict(y[1], quantiles=(0.1, 0.5, 0.975))
    assert all((alone[name] == part[1]).all() for name, part in everything.items())
    threaded = RNNForecaster(4, 6, **SMALL, n_jobs=2).fit(y)
    copied = pickle.loads(pickle.dumps(fitted))
    for other in (threaded, copied):
        assert (other.predict() == everything["lightrnn-ql0.5"]).all()


def test_several_nets_are_the_mean_of_fits_with_the_seeds_that_follow():
    """Of a single quantile, where neither scale nor order stands between the two means."""
    y = waves(2)
    options = SMALL | {"quantiles": (0.5,), "scale": None}
    both = RNNForecaster(4, 6, n_nets=2, **options).fit(y).predict()
    ones = [RNNForecaster(4, 6, **options | {"random_state": i}).fit(y).predict() for i in (0, 1)]
    assert np.allclose(both, np.mean(ones, axis=0))


@pytest.mark.parametrize(
    "series",
    [
        np.full(40, 5.0),
        np.zeros(40),
        np.arange(3.0),
        np.where(np.arange(60) % 5 == 0, np.nan, np.arange(60) % 6 + 1.0),
        np.arange(50) % 6,
    ],
    ids=["constant", "zero", "shorter than a season", "missing values", "counts"],
)
def test_series_of_every_kind(series):
    model = RNNForecaster(4, 6, scale="standard", **SMALL).fit([series, *waves(1)])
    assert np.isfinite(model.predict(level=80)["lightrnn-hi-80"]).all()
    if not np.ptp(series):
        assert np.allclose(model.predict()[0], series[0], atol=0.2)


def test_a_missing_target_costs_nothing(fitted):
    """A gap in the series that is to be forecast is carried over; one in the fit is marked."""
    y = waves()
    gap = [np.where(np.arange(60) == 30, np.nan, series) for series in y]
    assert np.isfinite(fitted.predict(gap)).all()
    marked = RNNForecaster(4, 6, **SMALL).fit(gap)
    assert marked.nets_[0].n_features_in_ == 3 * 6 + 2
    assert np.isfinite(marked.nets_[0].loss_curve_).all()


@pytest.mark.parametrize(
    ("options", "y", "match"),
    [
        ({"horizon": 0}, None, "horizon must be an integer of at least 1"),
        ({"scale": "box"}, None, "scale must be one of"),
        ({"scale": "log"}, [[1.0, -2.0] * 20], "scale must be 'standard', 'mean' or None"),
        ({"quantiles": (0.1, 0.9)}, None, "quantiles must ascend and have 0.5 among them"),
        ({"quantiles": 0.5}, None, "quantiles must be a tuple of numbers"),
        ({"solver": "lbfgs"}, None, "solver must be one of 'adam', 'sgd', 'rmsprop'"),
        ({}, [], "y must hold at least one series"),
        ({}, [[1.0] * 6], "y must have a series longer than the season, 6, got 6 steps. Give more"),
        ({}, np.ones((60, 2)), "got 2 steps. .* give y.T"),
        ({}, [np.full(9, np.nan)], r"y\[0\] must hold at least one number"),
        ({}, [[1.0, np.inf]], r"y\[0\] must be finite or missing, got inf at step 1"),
        ({}, np.zeros((2, 3, 4)), "y must be one series"),
        ({}, ["text"], "y\\[0\\] must"),
    ],
)
def test_bad_input_is_refused(options, y, match):
    with pytest.raises((ValueError, TypeError), match=match):
        RNNForecaster(**{"horizon": 4, "season": 6} | SMALL | options).fit(
            waves(1) if y is None else y
        )


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"level": 99}, "level must lie within the quantiles that were learned, .*, got 99"),
        ({"level": 101}, "level must be a number in"),
        ({"level": 0.95}, "level must be a percentage of at least 1, got 0.95. Write 95."),
        ({"quantiles": 0.01}, "quantiles must lie within"),
        ({"level": 80, "quantiles": 0.5}, "quantiles must be None where level is given"),
    ],
)
def test_bad_levels_are_refused(fitted, options, match):
    with pytest.raises((ValueError, TypeError), match=match):
        fitted.predict(**options)


# -- errors by backtest, and files -----------------------------------------------------------------


def test_a_backtest_is_a_fit_before_each_window():
    y = waves(2, 50)
    model = RNNForecaster(3, 6, **SMALL)
    result = model.backtest(y, windows=2, step=4, refit=True)
    assert not model.__sklearn_is_fitted__()
    for window, back in enumerate((7, 3)):
        past = [series[: len(series) - back] for series in y]
        forecast = RNNForecaster(3, 6, **SMALL).fit(past).predict()
        assert np.array_equal(result.forecast[window], forecast)
        for i, series in enumerate(past):
            naive = np.abs(series[6:] - series[:-6]).mean()
            truth = y[i][len(series) :][:3]
            assert np.allclose(result.mase[window, i], abs(truth - forecast[i]) / naive)
    assert result.mean(axis=(0, 1))["mase"].shape == (3,)
    assert set(result.coverage) == {80, 95} and str(result).splitlines()[4].startswith("all")
    once = model.backtest(y, windows=2, step=4)
    assert np.array_equal(once.forecast[0], result.forecast[0])
    with pytest.raises(ValueError, match="y must have more than the 60 steps"):
        model.backtest(y, windows=20)


def test_score_is_the_error_of_the_last_steps(fitted):
    y = waves()
    past = [series[:-4] for series in y]
    errors = np.abs(fitted.predict(past) - np.array([series[-4:] for series in y])).mean(axis=1)
    naive = [np.abs(series[6:] - series[:-6]).mean() for series in past]
    assert np.isclose(fitted.score(y), -(errors / naive).mean())


def test_a_file_has_everything(fitted, tmp_path):
    path = tmp_path / "model.npz"
    fitted.save(path)
    loaded = load(path)
    assert repr(loaded) == repr(fitted)
    assert np.array_equal(
        loaded.predict(level=95)["lightrnn-lo-95"], fitted.predict(level=95)["lightrnn-lo-95"]
    )
    content = archive.read(path)
    for key, value in {"factor": np.zeros((4, 4)), "quantiles": (0.5, 0.1), "nets": []}.items():
        damaged = copy.deepcopy(content)
        damaged["state"]["fitted"][key] = value
        archive.write(path, damaged)
        with pytest.raises(ValueError, match="incomplete or does not fit together"):
            load(path)


def test_surprise_is_the_place_of_a_value_in_its_forecast(fitted):
    y = waves()
    places = fitted.surprise(y)
    assert [np.isnan(part).sum() for part in places] == [6, 6, 6]
    for step in (6, 30, 59):
        found = fitted.predict([series[:step] for series in y], quantiles=fitted.quantiles)
        scale, values = fitted.scale_, np.array(list(found.values()))[:, :, 0]
        for i, series in enumerate(y):
            known, value = values[:, i], series[step]
            if scale == "log":
                known, value = np.log(known), np.log(value)
            ends = 2 * known[0] - known[2], 2 * known[-1] - known[2]
            place = np.interp(value, [ends[0], *known, ends[1]], [0, *fitted.quantiles, 1])
            assert np.isclose(places[i][step], place, atol=1e-4)
    y[1][40] = 1e9
    assert fitted.surprise(y)[1][40] == 1
    assert np.array_equal(fitted.surprise(y[0]), places[0], equal_nan=True)


def test_scikit_learn_searches_its_arguments():
    selection = pytest.importorskip("sklearn.model_selection")
    search = selection.GridSearchCV(
        RNNForecaster(3, 6, **SMALL), {"cell": ["gru", "rnn"]}, cv=selection.TimeSeriesSplit(2)
    )
    search.fit(waves(1, 90)[0])
    assert search.best_estimator_.predict().shape == (3,)
