"""Streams of forecasts: what `predict` says of the series so far, to the last bit."""

import functools
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn import RNNForecaster

SMALL = {"hidden_layer_sizes": (5, 4), "max_iter": 1, "batch_size": 64, "random_state": 0}
SEASON = 4
CELLS = ("ffnn", "rnn", "gru", "lstm")


def series(T, seed, missing=0.0, level=50.0):
    """Return a positive series (T,), some of whose values are missing."""
    rng = np.random.default_rng(seed)
    y = level + np.sin(np.arange(T) * 2 * np.pi / SEASON) + 0.3 * rng.normal(size=T)
    y[rng.random(T) < missing] = np.nan
    return y


@functools.cache
def fitted(cell, scale, n_nets, marks, ahead, season=SEASON):
    """Return a forecaster that has covariates unless `ahead` is None."""
    y = series(60, 0, 0.2 if marks else 0.0)
    y[20] = 50.0
    X = None
    if ahead is not None:
        X = np.random.default_rng(1).normal(size=(60 + (3 if ahead == "always" else 0), 2))
    options = SMALL | {"dtype": "float64" if cell == "rnn" else "float32"}
    model = RNNForecaster(3, season, cell=cell, scale=scale, n_nets=n_nets, **options)
    return model.fit(y, X)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_stream_forecasts_what_predict_says_of_the_series_so_far(data):
    """For every cell, scale, number of nets, missing values, covariates and length."""
    draw = data.draw
    ahead = draw(st.sampled_from([None, "sometimes", "always"]))
    model = fitted(
        draw(st.sampled_from(CELLS)),
        draw(st.sampled_from(["log", "mean", "standard", None])),
        draw(st.sampled_from([1, 2])),
        draw(st.booleans()),
        ahead,
        draw(st.sampled_from([1, SEASON])),
    )
    known = ahead == "always" or (ahead == "sometimes" and draw(st.booleans()))
    T = draw(st.sampled_from([1, 2, 3, 4, 5, 8, 9, 70]))
    y = series(T, draw(st.integers(0, 9)), draw(st.sampled_from([0.0, 0.4])))
    X = np.random.default_rng(T).normal(size=(T + 3, 2))
    if ahead == "always" or not known:
        X[draw(st.integers(0, T + 2))] = np.nan
    begun = draw(st.integers(0, T - 1))
    first = int(np.isfinite(y).argmax()) if np.isfinite(y).any() else T

    def covariates(start, stop):
        return None if ahead is None else X[start : stop + (3 if known else 0)]

    stream = model.stream(quantiles=(0.1, 0.5, 0.9))
    if begun > first:
        past = covariates(0, begun)
        stream = model.stream(y[:begun], past, quantiles=(0.1, 0.5, 0.9))
    else:
        begun = 0
    for t in range(begun, T):
        found = stream.step(y[t], covariates(t, t + 1))
        if t < first:
            assert all(np.isnan(column).all() for column in found.values())
        elif t > T - 3:
            whole = model.predict(y[: t + 1], covariates(0, t + 1), quantiles=(0.1, 0.5, 0.9))
            assert all((found[name] == column).all() for name, column in whole.items())


def test_a_long_stream_moves_its_buffer():
    """Also where it is restored, and where the value before was refused."""
    model = fitted("gru", "log", 1, False, None)
    y = series(700, 3)
    stream = model.stream()
    for value in y[:-1].tolist():
        stream.step(value)
    before = stream.snapshot()
    for bad in (math.inf, -1.0, 0, "text", [1.0], None):
        with pytest.raises((ValueError, TypeError), match="value must be"):
            stream.step(bad) if bad is not None else stream.step(-math.inf)
    found = stream.step(y[-1])
    assert (found == model.predict(y)).all()
    stream.restore(before)
    assert (stream.step(np.float32(y[-1])) == model.predict([*y[:-1], np.float32(y[-1])])).all()
    other = model.stream(y[:-1])
    other.step(7.0)
    other.reset()
    assert (other.step(y[-1]) == found).all()
    for bad in (before[:-1], list(before), 5, (np.zeros(4, int), *before[1:])):
        with pytest.raises(ValueError, match="snapshot must be one of this forecaster's streams"):
            stream.restore(bad)


def test_dates_of_a_stream_are_those_of_the_series():
    """They come from the past, or from the date of the first step."""
    pandas = pytest.importorskip("pandas")
    dates = pandas.date_range("2024-03-01", periods=1600, freq="6h", tz="Europe/Berlin")
    y = pandas.Series(series(1600, 4), dates)
    model = RNNForecaster(3, SEASON, scale="standard", **SMALL).fit(y[:400])
    assert model._fitted().encoding.covariates.cycles == ("day", "week")
    whole = model.predict(y).to_numpy()
    started = model.stream(start="2024-03-01")
    for value in y:
        found = started.step(value)
    assert (found == whole).all()
    assert (model.stream(y[:-1]).step(y.iloc[-1]) == whole).all()
    past = model.stream(y.to_numpy()[:-1], start="2024-03-01")
    assert (past.step(y.iloc[-1]) == whole).all()
    for start, reason in (
        (5, "be a date, got 5. Give it as"),
        ("junk", "be a date, got 'junk'. Write"),
    ):
        with pytest.raises((TypeError, ValueError), match=f"start must {reason}"):
            model.stream(start=start)
    with pytest.raises(ValueError, match="start must be None where y has dates, got '2024-01-01'"):
        model.stream(y, start="2024-01-01")
    with pytest.raises(ValueError, match="start must be the date of the first value"):
        model.stream()


def test_covariates_that_were_given_ahead_need_not_be_given_again():
    model = fitted("gru", "standard", 1, False, "always")
    y = series(20, 5)
    X = np.random.default_rng(2).normal(size=(26, 2))
    stream = model.stream(y, X[:23])
    with pytest.raises(ValueError, match="x must be the 2 covariates"):
        stream.step(50.0)
    with pytest.raises(ValueError, match="x must have 4 rows, got 1"):
        stream.step(50.0, X[20])
    found = stream.step(50.0, X[20:24])
    assert (found == model.predict([*y, 50.0], X[:24])).all()
    past = fitted("gru", "standard", 1, False, "sometimes").stream()
    past.step(50.0, X[:4])
    past.step(51.0)
    past.step(52.0, x=X[2])


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"y": [[1.0, 2.0], [3.0, 4.0]]}, "y must be one series, got 2"),
        ({"X": [1.0]}, "X must be None without y"),
        ({"level": 120}, "level"),
        ({"start": "2024-01-01"}, "start must be None"),
    ],
)
def test_bad_arguments_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        fitted("gru", "standard", 1, False, None).stream(**arguments)


def test_no_covariates_no_x():
    with pytest.raises(ValueError, match="x must be None"):
        fitted("gru", "standard", 1, False, None).stream().step(1.0, [2.0])


def test_numbers_that_predict_refuses_are_refused():
    """The stream is then as it was."""
    model = fitted("gru", "standard", 1, False, "always")
    y, X = series(20, 5), np.zeros((24, 2))
    stream = model.stream(y, X[:23])
    for bad in (1e200, -1e200, np.inf):
        with pytest.raises(ValueError, match=r"value must be .* got -?(1e\+200|inf)"):
            stream.step(bad, X[20:])
    assert (stream.step(50.0, X[20:]) == model.predict([*y, 50.0], X)).all()


def test_a_stream_is_not_pickled_but_its_snapshot_is():
    """Machine code has another address in another process."""
    model = fitted("gru", "standard", 1, False, None)
    stream = model.stream(series(20, 5))
    with pytest.raises(TypeError, match="Pickle the forecaster and a snapshot"):
        pickle.dumps(stream)
    other = model.stream()
    other.restore(pickle.loads(pickle.dumps(stream.snapshot())))
    assert (other.step(50.0) == stream.step(50.0)).all()


@pytest.mark.parametrize("order", ["C", "F"])
def test_covariates_of_any_order_and_kind_are_read(order):
    """The kernel that writes them is compiled for one of each."""
    model = fitted("gru", "standard", 1, False, "always")
    y = series(20, 5)
    X = np.random.default_rng(2).integers(-3, 3, (24, 2)).astype(np.float32)
    stream = model.stream(y, X[:23])
    rows = np.array(X[20:], order=order)
    rows.flags.writeable = False
    assert (stream.step(50.0, rows) == model.predict([*y, 50.0], X)).all()


def test_what_a_masked_array_holds_in_a_missing_place_is_missing():
    model = fitted("gru", "standard", 1, False, None)
    y = np.ma.array(series(20, 5), mask=np.arange(20) % 5 == 2)
    stream = model.stream()
    for value in y:
        found = stream.step(value)
    assert (found == model.predict(y)).all()


def test_a_single_covariate_may_be_a_number():
    X = np.cos(np.arange(60.0))
    model = RNNForecaster(3, SEASON, hidden_layer_sizes=4, max_iter=1, random_state=0)
    stream = model.fit(series(60, 0), X).stream(series(60, 0), X)
    before = stream.snapshot()
    for x in (0.5, np.float32(0.5), [0.5]):
        stream.restore(before)
        assert (stream.step(50.0, x) == model.predict([*series(60, 0), 50.0], [*X, 0.5])).all()
