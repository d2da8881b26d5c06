"""The doors of a forecaster: what it takes, what it refuses, and that nothing is lost."""

import numpy as np
import pytest

from lightrnn import RNNForecaster
from lightrnn.forecasting.alignment import with_covariates
from lightrnn.forecasting.covariates import Covariates
from lightrnn.forecasting.series import read_panel

SMALL = {"hidden_layer_sizes": 4, "max_iter": 1, "random_state": 0}
Y = 3 + np.sin(np.arange(60) * np.pi / 2) + 0.1 * np.cos(np.arange(60.0))
X = np.cos(np.arange(63.0))


def forecaster(**options):
    return RNNForecaster(**{"horizon": 3, "season": 4} | SMALL | options)


@pytest.fixture(scope="module")
def fitted():
    return forecaster(scale="log").fit(Y, X[:60])


def learned(X, y=Y):
    """Return what is known of the columns of X."""
    return Covariates.of(with_covariates(read_panel(y), X, 3), 3)


# -- y --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "single", "lengths"),
    [
        (Y[:, None], True, [60]),
        (Y[None], False, [60]),
        (np.stack([Y, Y]), False, [60, 60]),
        ([Y[:, None], Y[:9]], False, [60, 9]),
        (np.array([Y, Y[:9]], object), False, [60, 9]),
        (np.array([1, None, 3] * 20, object), True, [60]),
        (np.ma.array(Y, mask=np.arange(60) < 5), True, [55]),
        (range(9), True, [9]),
        ([None, np.nan, 1, 2], True, [2]),
        (Y > 3, True, [60]),
    ],
)
def test_forms_of_arrays(y, single, lengths):
    panel = read_panel(y)
    assert panel.form.single == single and panel.lengths.tolist() == lengths


@pytest.mark.parametrize(
    ("horizon", "season", "y", "reason"),
    [
        (1, 1, [1.0, 2.0], r"has 2 steps, .* a horizon \(3\)"),
        (1, 1, [np.nan, 1.0, 2.0, np.nan], r"has 3 steps, .* a horizon \(3\)"),
        (100, 4, Y, r"has 60 steps, .* a horizon \(108\)"),
        (3, 59, Y, "has 60 steps, too few"),
        (3, 4, [Y[:5], Y[:1]], "has 5 steps, too few"),
        (3, 4, Y[:13], "has 13 steps, too few"),
        (3, 4, np.where(np.arange(60) < 6, Y, np.nan), "which are held out, are all missing"),
    ],
)
def test_series_of_which_no_window_can_be_held_out(horizon, season, y, reason):
    with pytest.warns(UserWarning, match=f"not to be trusted: .*{reason}"):
        model = RNNForecaster(horizon, season, **SMALL).fit(y)
    for forecast in model.predict(level=80).values():
        assert np.shape(forecast)[-1] == horizon and np.isfinite(forecast).all()
    assert np.isfinite(model.predict(Y, quantiles=(0.1, 0.9))["lightrnn-ql0.1"]).all()


def test_one_step_more_can_be_held_out():
    RNNForecaster(3, 4, **SMALL).fit(Y[:14])  # two seasons and two horizons


def test_what_is_missing_before_the_first_value_is_left_out():
    late = [Y, np.append(np.full(7, np.nan), Y)]
    found = forecaster().fit(late)
    assert np.array_equal(found.predict(), forecaster().fit([Y, Y]).predict())
    assert [len(part) for part in found.surprise(late)] == [60, 67]
    assert not found._state.encoding.marks


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda f: f.fit(np.array(3.0)), "y must be one series"),
        (lambda f: f.fit(Y * 1e200), "y must be at most 1e\\+140"),
        (lambda f: f.predict(Y - 10, X[:60]), "y must be positive where scale is"),
        (lambda f: f.predict(Y), "X must have the columns of fit, 1, got None"),
        (lambda f: f.predict(X=X[:62]), "X\\[0\\] must have as many rows as the series"),
        (lambda f: f.predict(X=np.ones((3, 2))), "X must have the columns of the fit, 1, got 2"),
        (lambda f: f.predict(quantiles=[]), "quantiles must be one at least"),
        (lambda f: f.score(Y[:3], X[:3]), "y must have more than the 3 steps that are forecast"),
        (
            lambda f: f.score(np.append(Y, [np.nan] * 3), X),
            "y must have a value in the 3 steps that are forecast",
        ),
        (lambda f: f.backtest([Y, Y[:4]], windows=2), "got 4 in series 1"),
        (lambda f: f.fit(Y, np.full(60, np.nan)), "X must hold at least one number in each column"),
        (lambda f: f.fit(Y, np.full(60, np.inf)), "X\\[0\\] must be finite or missing"),
        (
            lambda f: f.fit(Y, np.ones((60, 2, 2))),
            "X\\[0\\] must be an array",
        ),
        (lambda f: f.fit([Y, Y], [X[:60], np.ones((60, 2))]), "X must have the same columns"),
        (lambda f: f.fit([Y, Y], [X[:60]]), "X must have one item for each series"),
        (
            lambda f: f.fit(Y, np.arange(60).astype("M8[D]")),
            "X\\[0\\] must hold numbers, got dates",
        ),
        (lambda f: f.fit(np.arange(60).astype("M8[D]"), Y), "y must hold .* got dates. Call fit"),
        (lambda f: f.fit(Y, []), "X must have the same columns for each series, one at least"),
    ],
)
def test_what_is_refused_changes_nothing(fitted, call, match):
    before = fitted.predict()
    with pytest.raises((ValueError, TypeError), match=match):
        call(fitted)
    assert np.array_equal(fitted.predict(), before)


def test_forecasts_without_covariates_take_none():
    with pytest.raises(ValueError, match="X must be None, as in fit"):
        forecaster().fit(Y).predict(X=X[60:])


def test_intervals_come_by_name_however_many():
    found = forecaster().fit(Y)
    assert list(found.predict(quantiles=0.9)) == ["lightrnn-ql0.9"]
    assert list(found.predict(level=np.array(80)))[1:] == ["lightrnn-lo-80", "lightrnn-hi-80"]
    assert found.predict(level=[]).shape == (3,)


def test_a_seed_of_numpy_is_the_same_seed():
    seeds = [0, np.int64(0)]
    one, other = (forecaster(random_state=seed).fit(Y).predict() for seed in seeds)
    assert np.array_equal(one, other)


# -- X --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "ahead", "static", "past"),
    [
        (X[:60], "sometimes", (False,), (False,)),
        (X, "always", (False,), (False,)),
        (np.ones(60), "never", (True,), (False,)),
        (np.column_stack([X, np.ones(63)]), "always", (False, True), (False, False)),
        (
            np.column_stack([X, np.append(X[:60], [np.nan] * 3)]),
            "always",
            (False, False),
            (False, True),
        ),
    ],
)
def test_what_is_known_of_covariates_shows_in_their_rows(X, ahead, static, past):
    found = learned(X)
    assert (found.ahead, found.static, found.past) == (ahead, static, past)


@pytest.mark.parametrize(
    "X", [np.arange(6.0).reshape(3, 2), [[0, 1], [2, 3], [4, 5]], np.arange(3)]
)
def test_one_row_for_each_series_does_not_change(X):
    assert all(learned(X, [Y, Y, Y]).static)


def test_columns_that_are_known_of_the_past_alone():
    both = np.column_stack([X, np.append(X[:60], [np.nan] * 3)])
    model = forecaster().fit(Y, both)
    assert np.isfinite(model.predict(Y[:50], both[:53])).all()
    for read in (model.predict, model.stream):
        with pytest.raises(ValueError, match=r"X must have 3 rows more than y, .* got 0, with"):
            read(Y[:50], both[:50])
    sometimes = forecaster().fit(Y, both[:60])
    with pytest.raises(ValueError, match="X must have all columns behind y or none, got 1 of 2"):
        sometimes.predict(X=both[60:])
    assert model.score(Y, both[:60]) == model.score(Y, both)


def test_values_of_covariates_ahead_may_be_missing():
    """Of some series, or within a backtest, where they are not asked for as in `predict`."""
    whole = np.column_stack([X, X**2])
    gaps = whole.copy()
    gaps[60:, 1] = np.nan
    assert np.isfinite(forecaster().fit([Y, Y], [whole, gaps]).predict()).all()
    gaps = whole.copy()
    gaps[54:57, 1] = np.nan
    for end in (60, 63):
        assert np.isfinite(forecaster().backtest(Y, gaps[:end], windows=2).mean()["mase"])
    with pytest.raises(ValueError, match=r"3 rows more than y, .* got 0 in series 1, with"):
        forecaster().fit([Y, Y], [whole, whole]).predict([Y, Y], [whole, whole[:60]])


@pytest.mark.filterwarnings("ignore:The forecast and its intervals")
@pytest.mark.parametrize("more", [0, 3])
def test_surprise_of_a_prefix_is_a_prefix_of_surprise(more):
    model = forecaster().fit(Y[:20], X[:20])
    model._replace_results(_state=model._state._replace(share=1.0))  # the network alone reads X
    whole = model.surprise(Y[:20], X[: 20 + more])
    for T in range(8, 20):
        found = model.surprise(Y[:T], X[: T + more])
        assert np.array_equal(found, whole[:T], equal_nan=True)


# -- DataFrames -----------------------------------------------------------------------------------

pandas = pytest.importorskip("pandas", reason="reads and returns its DataFrames")


def test_dates_of_a_list_are_not_passed_over():
    dated = pandas.Series(Y, pandas.date_range("2024-01-01", periods=60))
    for item in (dated, dated.to_frame(), dated.to_period("D")):
        with pytest.raises(TypeError, match=r"y\[1\] must be an array, got a .* with dates. Make"):
            forecaster().fit([Y, item])
    joined = pandas.concat({"a": dated, "b": dated[:50]})
    assert list(forecaster().fit(joined).predict().ds[::3]) == [
        dated.index[-1] + dated.index.freq,
        dated.index[50],
    ]
    assert read_panel([dated.reset_index(drop=True)]).lengths.tolist() == [60]


def long(frequency="h", name="a", T=60, **options):
    dates = pandas.date_range("2024-03-01", periods=T, freq=frequency, **options)
    return pandas.DataFrame({"unique_id": name, "ds": dates, "y": np.resize(Y, T)})


def test_a_part_of_the_horizon_is_refused_for_each_series():
    """Otherwise the part that one series has would be passed over."""
    y = pandas.concat([long("D", name).assign(x=X[:60]) for name in "ab"])
    ahead = pandas.concat([long("D", name, 63).assign(x=X)[60:] for name in "ab"])
    model = forecaster().fit(y)
    ahead = ahead.drop(columns="y")
    with pytest.raises(ValueError, match="3 steps of the horizon or for none, got 2 of 'b'"):
        model.predict(X=ahead[:-1])
    assert len(model.predict(X=ahead[:-3])) == 6


@pytest.mark.parametrize(
    "steps",
    [np.arange(60) * 3, pandas.period_range("2024", periods=60, freq="2M")],
    ids=["integers", "periods"],
)
def test_one_step_is_followed_as_in_the_fit(steps):
    series = pandas.Series(Y, steps)
    model = forecaster().fit(series)
    for end in (1, 2, 9):
        assert list(model.predict(series[:end]).index) == list(series.index[end : end + 3])
    gaps = series[:9].drop(series.index[[1, 3, 4]])
    assert list(model.predict(gaps).index) == list(series.index[9:12])


@pytest.mark.parametrize("kind", ["timestamp[ns]", "date32[day]"])
def test_dates_of_arrow_are_dates(kind):
    pytest.importorskip("pyarrow", reason="pyarrow is optional")
    y = long("D")
    expected = forecaster().fit(y).predict()
    found = forecaster().fit(y.assign(ds=y.ds.astype(f"{kind}[pyarrow]"))).predict()
    assert found.astype(expected.dtypes).equals(expected)


@pytest.mark.parametrize("frequency", ["M", "Q-NOV", "W-WED", "W", "D", "h"])
def test_periods_stay_what_they_are(frequency):
    periods = pandas.period_range("2024-01", periods=20, freq=frequency)
    model = forecaster().fit(pandas.Series(Y[:20], periods))
    assert list(model.predict().index) == [periods[-1] + 1 + step for step in range(3)]
    one = pandas.Series([3.0], periods[:1])
    assert model.predict(one).index[0] == periods[1]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda y: y.assign(ds=y.ds.where(y.index != 3)), "y\\['ds'\\] must have a date in each"),
        (
            lambda y: y.assign(unique_id=y.unique_id.where(y.index != 3)),
            "must name a series",
        ),
        (lambda y: y.drop(columns="ds"), "y must have the columns 'unique_id', 'ds' and 'y'"),
        (lambda y: pandas.concat([y, y[["y"]]], axis=1), "must have one column of each name"),
        (lambda y: y.assign(kind="text"), "y\\['kind'\\] must hold numbers"),
        (lambda y: pandas.concat([y, long("D", "b", 20)]), "y must have dates of one frequency"),
        (lambda y: pandas.concat([y, y[:1]]), "y\\['a'\\] must have one row for each date"),
        (lambda y: y.assign(ds=np.arange(60) / 2), "y\\['ds'\\] must have dates or integers"),
        (lambda y: y.assign(ds=y.ds.where(y.index != 3, pandas.Timestamp("2124-01-01"))), "dates"),
        (lambda y: y.assign(y=np.nan), "y\\['a'\\] must hold at least one number"),
        (lambda y: y.rename(columns={"unique_id": "id"}), "got text: 'a'. If it names the series"),
        (
            lambda y: pandas.concat([y, y]).drop(columns="unique_id"),
            "Name series in a column 'unique_id'",
        ),
        (
            lambda y: y[["ds", "y"]].astype({"ds": str}).rename(columns={"ds": "t", "y": "a"}),
            "index",
        ),
        (
            lambda y: y.assign(ds=[f"{1 + i % 28:02}/0{1 + i // 28}/2024" for i in range(60)]),
            "format",
        ),
        (lambda y: y.assign(ds=[(2018 + i // 12) * 100 + i % 12 + 1 for i in range(60)]), "%Y%m'"),
        (
            lambda y: y.assign(ds=[20240100 + i // 28 * 100 + i % 28 + 1 for i in range(60)]),
            "%Y%m%d",
        ),
        (
            lambda y: y.assign(ds=[f"{2018 + i // 12}-{i % 12 + 1:02}-15" for i in range(60)]),
            "to_period",
        ),
        (lambda y: y.y.rename(None).where(y.index > 60), "y must hold at least one number"),
        (lambda y: y[:0], "y must hold at least one number"),
        (lambda y: pandas.DataFrame(), "y must hold at least one number"),
        (lambda y: y.y.reset_index(drop=True)[:0], "y must hold at least one number"),
        (
            lambda y: y.assign(ds=pandas.date_range("1500-01-01", periods=60, freq="D", unit="s")),
            "from 1678 to 2261",
        ),
    ],
)
def test_frames_that_are_refused(change, match):
    with pytest.raises((ValueError, TypeError), match=match):
        read_panel(change(long()))


def test_series_to_forecast_have_the_dates_of_the_fit():
    model = forecaster().fit(long(T=60))
    assert model.predict(long(name="b", T=1)).ds[0] == pandas.Timestamp("2024-03-01 01:00")
    for y, match in ((long("D"), "one frequency"), (long("5min"), "y must have the frequency")):
        with pytest.raises(ValueError, match=match):
            model.predict(y)
    with pytest.raises(ValueError, match="y must have dates, as in fit"):
        model.predict(Y)


def test_covariates_of_frames_by_column_and_name():
    y = long().assign(t=X[:60], place=2.0)
    dates = pandas.date_range(y.ds.iloc[-1], periods=4, freq="h")[1:]
    ahead = pandas.DataFrame({"ds": dates, "t": X[60:], "unique_id": "a"})
    model = forecaster().fit(y)
    found = model.predict(X=ahead)
    assert model._state.encoding.covariates.static == (False, True)
    whole = ahead.assign(place=2.0)[["place", "unique_id", "t", "ds"]]
    assert model.predict(X=whole).equals(found)
    for rows in (ahead, whole):
        read = model._panel(model._state, None, rows).covariates[0]
        assert np.array_equal(read[:, 0], X)
    static = pandas.DataFrame({"unique_id": ["a"], "place": [2.0]})
    split = forecaster().fit(y.drop(columns="place"), static).predict(X=ahead)
    assert np.allclose(split.lightrnn, found.lightrnn)
    for wrong, match in (
        (ahead[:2], "X must have a row for each of the 3 steps"),
        (ahead.assign(unique_id="b"), "X must have rows at the dates of y"),
        (ahead[:0], "X must have rows at the dates of y"),
        (pandas.concat([ahead, ahead[:1]]), "X must have one row for each date"),
        (ahead.assign(other=1.0), "X must have the columns of fit, \\('t', 'place'\\)"),
    ):
        with pytest.raises(ValueError, match=match):
            model.predict(X=wrong)


@pytest.mark.parametrize("form", ["array", "wide", "long", "period"])
def test_a_backtest_as_a_frame_has_a_row_for_each_value(form):
    frame = pandas.concat([long(T=60, tz="Europe/Paris"), long(name="b", T=40, tz="Europe/Paris")])
    y, starts = frame, [58, 38]
    if form == "wide":
        y, starts = frame.pivot(index="ds", columns="unique_id", values="y").ffill(), [58, 58]
    elif form == "period":
        y = pandas.Series(Y, pandas.period_range("2024-01", periods=60, freq="M"), name="a")
    elif form == "array":
        y = [np.append([np.nan] * 3, Y[:57]), Y[:40]]
    result = forecaster(horizon=1).backtest(y, windows=2)
    found = result.frame()
    assert list(found.columns[:6]) == ["unique_id", "ds", "cutoff", "step", "y", "lightrnn"]
    assert len(found) == result.truth.size and (found.step == 1).all()
    values = {"array": Y[:57], "wide": Y}.get(form, Y)
    assert found.y.to_list()[:2] == values[-2:].tolist()
    by_name = found.groupby("unique_id", sort=False)[["mase", "coverage-95"]].mean()
    assert np.allclose(by_name.mase, result.mean(axis=(0, 2))["mase"])
    if form == "array":
        assert found.ds.tolist() == [58, 59, 38, 39] and found.unique_id.tolist() == [0, 0, 1, 1]
    elif form == "period":
        assert [str(date) for date in found.cutoff] == ["2028-10", "2028-11"]
    else:
        hours = (found.ds - pandas.Timestamp("2024-03-01", tz="Europe/Paris")).dt.total_seconds()
        assert (hours / 3600).tolist() == [start + k for start in starts for k in (0, 1)]
        assert found.unique_id.tolist() == ["a", "a", "b", "b"]
        assert str(result).splitlines()[5].split()[0] == "a"


def test_a_printed_backtest_has_the_worst_series():
    y = [Y[:30], *(Y[:30] + 0.1 * np.arange(30) ** level for level in range(1, 12))]
    result = forecaster(horizon=1).backtest(y, windows=1)
    lines = str(result).splitlines()
    assert lines[4].startswith("worst 10 of 12") and len(lines) == 15
    assert int(lines[5].split()[0]) == np.argmax(result.mase)


def test_polars_frames_are_answered_in_kind():
    polars = pytest.importorskip("polars", reason="reads and returns its DataFrames")
    y = long(T=48, tz="Europe/Paris")
    expected = forecaster().fit(y).predict(level=80)
    given = polars.DataFrame(
        [
            polars.Series("unique_id", y.unique_id.tolist()),
            polars.Series("ds", y.ds.dt.tz_localize(None).to_numpy()).dt.replace_time_zone(
                "Europe/Paris"
            ),
            polars.Series("y", y.y.to_numpy()),
        ]
    )
    found = forecaster().fit(given).predict(level=80)
    assert found.columns == list(expected.columns)
    assert found["ds"].dtype.time_zone == "Europe/Paris"
    assert np.array_equal(found["lightrnn-hi-80"].to_numpy(), expected["lightrnn-hi-80"])
    wide = given.select("ds", a="y", b="y")
    assert forecaster().fit(wide).predict(level=80).columns[:3] == ["ds", "a", "a-lo-80"]
    assert isinstance(forecaster().fit(given["y"]).predict(), polars.Series)
    assert isinstance(forecaster().backtest(given, windows=1).frame(), polars.DataFrame)
    with pytest.raises(TypeError, match="got a LazyFrame"):
        forecaster().fit(given.lazy())
