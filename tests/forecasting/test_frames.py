"""Series and DataFrames: their dates, their order, what is missing, and covariates beside them."""

import numpy as np
import pytest

from lightrnn import RNNForecaster, load
from lightrnn.forecasting.covariates import Covariates
from lightrnn.forecasting.series import read_panel
from lightrnn.inspection import describe

pandas = pytest.importorskip("pandas", reason="reads and returns its DataFrames")
SMALL = {"hidden_layer_sizes": 4, "max_iter": 1, "random_state": 0}


def dated(frequency, T=40, **options):
    """Return a Series with dates."""
    index = pandas.date_range("2024-01-29", periods=T, freq=frequency, **options)
    return pandas.Series(np.sin(np.arange(T)) + 3, index, name="load")


def long_frame():
    """Return two series of other lengths, the rows in no order."""
    parts = [
        pandas.DataFrame({"unique_id": name, "ds": y.index, "y": y.to_numpy()})
        for name, y in (("a", dated("h")), ("b", dated("h", 30)[5:]))
    ]
    return pandas.concat(parts).sample(frac=1, random_state=0, ignore_index=True)


@pytest.mark.parametrize(
    "frequency", ["15min", "h", "D", "B", "W-SUN", "MS", "ME", "QE-DEC", "YS-JAN"]
)
def test_the_dates_that_follow(frequency):
    y = dated(frequency)
    found = RNNForecaster(3, 4, **SMALL).fit(y).predict()
    assert list(found.index) == list(pandas.date_range(y.index[-1], periods=4, freq=frequency)[1:])
    assert found.name == "load"
    shuffled = read_panel(y.sample(frac=1, random_state=0))
    assert np.array_equal(shuffled.values[0], y)
    gap = read_panel(y.drop(y.index[[11, 12]]))
    assert len(gap.values[0]) == 40 and np.isnan(gap.values[0][[11, 12]]).all()


def test_time_zones_and_periods():
    zoned = RNNForecaster(3, 4, **SMALL).fit(dated("h", 24 * 63 - 2, tz="Europe/Paris")).predict()
    assert [date.hour for date in zoned.index] == [23, 0, 1]  # the clock was set forward
    assert str(zoned.index.tz) == "Europe/Paris"
    y = dated("MS").to_period("M")
    assert RNNForecaster(2, 4, **SMALL).fit(y).predict().index[0] == y.index[-1] + 1


@pytest.mark.parametrize("form", ["wide", "long", "index", "instances", "numbers"])
def test_forecasts_come_in_the_form_of_the_series(form, tmp_path):
    y = long_frame()
    if form == "wide":
        y = y.pivot(index="ds", columns="unique_id", values="y")
    elif form == "index":
        y = y.set_index("unique_id")
    elif form == "instances":
        y = y.set_index(["unique_id", "ds"])["y"]
    elif form == "numbers":
        y["ds"] = (y.ds - y.ds.min()) // pandas.Timedelta(hours=1) + 7
    model = RNNForecaster(3, 4, **SMALL).fit(y)
    found = model.predict(level=80)
    model.save(tmp_path / "model.npz")
    pandas.testing.assert_frame_equal(load(tmp_path / "model.npz").predict(level=80), found)
    surprise = model.surprise(y)
    assert len(surprise) == (40 if form == "wide" else 65)
    if form == "wide":
        assert found.shape == (3, 6) and model.predict().columns.tolist() == ["a", "b"]
        return
    names = ["lightrnn", "lightrnn-lo-80", "lightrnn-hi-80"]
    assert found.columns.tolist() == ["unique_id", "ds", *names]
    ends = long_frame().groupby("unique_id").ds.max() + pandas.Timedelta(hours=1)
    first = found.groupby("unique_id").ds.min()
    assert form == "numbers" or first.to_dict() == ends.to_dict()


def test_a_long_frame_gives_what_arrays_give():
    y = long_frame()
    arrays = [y[y.unique_id == name].sort_values("ds").y.to_numpy() for name in ("a", "b")]
    numbered = y.assign(ds=(y.ds - y.ds.min()) // pandas.Timedelta(hours=1)).sort_values(
        ["unique_id", "ds"]
    )
    options = {"horizon": 3, "season": 4, **SMALL}
    found = RNNForecaster(**options).fit(numbered).predict().lightrnn
    assert np.array_equal(found, np.ravel(RNNForecaster(**options).fit(arrays).predict()))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda y: pandas.concat([y, y[:1]]), "must have one row for each date"),
        (
            lambda y: y.set_axis([*y.index[:-1], y.index[-1] + pandas.Timedelta("7min")]),
            "frequency",
        ),
        (lambda y: y.set_axis(["x"] * len(y)), "must have dates or integers"),
        (lambda y: y[:0], "at least one number"),
    ],
)
def test_dates_that_are_refused(change, match):
    with pytest.raises((ValueError, TypeError), match=match):
        RNNForecaster(3, 4, **SMALL).fit(change(dated("h")))


# -- covariates and the calendar ------------------------------------------------------------------


def driven(T=400, season=6, seed=0):
    """Return a series that follows a covariate, which is a horizon longer."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=T + season)
    y = 10 + 3 * x[:T] + np.sin(np.arange(T) * 2 * np.pi / season)
    truth = 10 + 3 * x[T:] + np.sin(np.arange(T, T + season) * 2 * np.pi / season)
    return y, x, truth


def test_a_covariate_that_is_known_ahead_helps():
    y, x, truth = driven()
    options = {"hidden_layer_sizes": 16, "max_iter": 20, "random_state": 0}
    error = abs(RNNForecaster(6, 6, **options).fit(y).predict() - truth).mean()
    always = RNNForecaster(6, 6, **options).fit(y, x)
    assert abs(always.predict() - truth).mean() < error / 2
    with pytest.raises(ValueError, match="X must have 6 rows more than y"):
        always.predict(y, x[:-6])
    # X as long as y: it may be given ahead, or not.
    longer = options | {"hidden_layer_sizes": 32, "max_iter": 100}
    sometimes = RNNForecaster(6, 6, **longer).fit(y, x[:-6])
    known = sometimes.predict(X=x[-6:])
    assert abs(known - truth).mean() < error / 2
    assert np.array_equal(sometimes.predict(y, x), known)
    assert not np.array_equal(sometimes.predict(), known)


@pytest.mark.parametrize(
    ("frequency", "cycles"),
    [("YS", ()), ("QS", ("year",)), ("12h", ("day", "week")), ("B", ("week",))],
)
def test_a_cycle_may_be_read_if_steps_show_two_times_of_it(frequency, cycles):
    index = pandas.date_range("1990-01-01", periods=40, freq=frequency)
    panel = read_panel(pandas.Series(np.arange(40.0) % 3, index))
    assert Covariates.of(panel, 1).cycles == cycles


@pytest.mark.parametrize(("late", "cycles"), [(1.0, ("day", "week")), (-2.5, ())])
def test_the_calendar_is_left_out_where_it_misleads(late, cycles):
    hours = np.arange(960)
    size = np.where(hours < 880, 1.0, late)
    y = 10 + size * np.sin(hours * 2 * np.pi / 24) + np.random.default_rng(0).normal(size=960)
    series = pandas.Series(y, pandas.date_range("2024-01-01", periods=960, freq="h"))
    model = RNNForecaster(1, 1, **SMALL).fit(series)
    assert model._state.encoding.covariates.cycles == cycles
    said = "time of day, day of the week, chosen" if cycles else "none"
    assert f"calendar {said}" in " ".join(describe(model).split())


def test_covariates_in_frames_are_found_by_date_and_name():
    y, x, _ = driven(100)
    index = pandas.date_range("2024-01-01", periods=106, freq="h")
    series = pandas.Series(y, index[:100])
    X = pandas.DataFrame({"temperature": x, "place": 2.0}, index)
    # Enough training for the network, which alone reads them, to be of use.
    options = SMALL | {"hidden_layer_sizes": 16, "max_iter": 30}
    model = RNNForecaster(6, 6, **options).fit(series, X[:100])
    covariates = model._state.encoding.covariates
    assert covariates.static == (False, True) and covariates.cycles == ("day",)
    found = model.predict(X=X.sample(frac=1, random_state=0))
    assert found.equals(model.predict(X=X[100:])) and not found.equals(model.predict())
    frame = series.rename("y").rename_axis("ds").reset_index().assign(temperature=x[:100], place=2)
    ahead = X[100:].rename_axis("ds").reset_index()
    long = RNNForecaster(6, 6, **options).fit(frame)
    assert np.allclose(long.predict(X=ahead).lightrnn, found, rtol=1e-6)
    with pytest.raises(ValueError, match="X must have the columns"):
        model.predict(X=X.rename(columns={"place": "other"}))


@pytest.mark.parametrize(
    ("X", "match"),
    [
        (np.zeros(59), "X\\[0\\] must have as many rows as the series, 60, or 64"),
        (np.array(["text"] * 60), "X\\[0\\] must hold numbers"),
    ],
)
def test_covariates_that_are_refused(X, match):
    with pytest.raises((ValueError, TypeError), match=match):
        RNNForecaster(4, 6, **SMALL).fit(np.arange(60.0), X)
