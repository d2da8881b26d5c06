"""Forecasts and backtests drawn: the curves are those that were computed, at their dates."""

from dataclasses import replace

import numpy as np
import pytest
from plotting.test_plotting import _close, rendered  # noqa: F401

from lightrnn import RNNForecaster, RNNRegressor
from lightrnn.plotting import BacktestDisplay, ForecastDisplay, LearningCurveDisplay

pytest.importorskip("matplotlib").use("Agg")

OPTIONS = {"horizon": 4, "season": 6, "hidden_layer_sizes": 4, "max_iter": 1, "random_state": 0}
Y = [5 + np.arange(40) % 6.0, 9 - np.arange(50) % 6.0]


@pytest.fixture(scope="module")
def fitted():
    return RNNForecaster(**OPTIONS).fit(Y)


def raised(result):
    """Return a backtest with greater errors."""
    return replace(result, **{n: getattr(result, n) + 9 for n in ("mase", "smape", "pinball")})


def dates_on(ax):
    """Return the dates that are written at an axis, with the one at its end."""
    ax.figure.canvas.draw()
    ticks = [tick.get_text() for tick in ax.get_xticklabels()]
    return " ".join([*ticks, ax.xaxis.get_offset_text().get_text()])


def test_a_forecast_is_drawn_behind_the_end_of_its_history(fitted):
    future = np.array([1.0, 2.0])
    display = rendered(ForecastDisplay.from_estimator(fitted, series=1, truth=[Y[0], future]))
    found = fitted.predict(level=(80, 95))
    assert display.history.tolist() == Y[1][-24:].tolist()
    assert display.line_.get_xdata().tolist() == list(range(49, 54))
    assert display.line_.get_ydata().tolist() == [Y[1][-1], *found["lightrnn"][1]]
    assert list(display.intervals) == [95, 80] and list(display.bands_) == [95, 80]
    for level, (low, high) in display.intervals.items():
        assert np.array_equal(low, found[f"lightrnn-lo-{level:g}"][1])
        assert np.array_equal(high, found[f"lightrnn-hi-{level:g}"][1])
    assert np.array_equal(display.truth, [1, 2, np.nan, np.nan], equal_nan=True)
    names = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert names == ["history", "95 %", "80 %", "forecast", "truth"]
    assert (display.ax_.get_xlabel(), display.ax_.get_title("right")) == ("step", "1")


def test_one_new_series_and_the_levels_and_steps_that_are_wanted(fitted):
    display = ForecastDisplay.from_estimator(fitted, Y[0], level=50, n_history=7)
    rendered(display)
    assert len(display.history) == 7 and list(display.intervals) == [50]
    assert display.ax_.get_title("right") == "" and display.truth is None
    rendered(ForecastDisplay.from_estimator(fitted, Y[0][:3], level=()))
    rendered(ForecastDisplay(Y[0], np.ones(1), label="$a_{$").plot())


@pytest.mark.parametrize("form", ["series", "zone", "wide", "long"])
def test_dates_stand_on_the_axis_and_find_the_truth(form):
    pandas = pytest.importorskip("pandas")
    zone = "Europe/Paris" if form == "zone" else None
    index = pandas.date_range("2024-03-01", periods=50, freq="D", tz=zone, name="ds")
    whole = pandas.DataFrame({"a": np.arange(50) % 6, "b": 9.0 - np.arange(50) % 6}, index)
    past = whole[:46]
    if form in ("series", "zone"):
        whole, past = whole["b"], past["b"]
    elif form == "long":
        whole, past = (
            part.melt(ignore_index=False, var_name="unique_id", value_name="y").reset_index()
            for part in (whole, past)
        )
    model = RNNForecaster(**OPTIONS).fit(past)
    series = None if form in ("series", "zone") else "b"
    display = rendered(ForecastDisplay.from_estimator(model, truth=whole, series=series))
    assert display.truth.tolist() == (9 - np.arange(46, 50) % 6).tolist()
    assert display.steps[-1] == np.datetime64("2024-04-19") and "Apr" in dates_on(display.ax_)
    assert display.ax_.get_title("right") == "b"
    with pytest.raises(ValueError, match="truth must have steps from 2024-04-16"):
        ForecastDisplay.from_estimator(model, truth=past, series=series)


@pytest.mark.parametrize("measure", ["mase", "smape", "pinball", "coverage"])
def test_a_backtest_is_drawn_by_step_of_the_horizon(measure):
    model = RNNForecaster(**OPTIONS)
    ax = None
    for label, y in (("one", Y[0]), ("two", Y)):
        display = BacktestDisplay.from_estimator(
            model, y, windows=2, measure=measure, label=label, ax=ax
        )
        ax = rendered(display).ax_
        result = display.backtest
        errors = result.coverage[95] if measure == "coverage" else getattr(result, measure)
        line = display.lines_[0]
        assert line.get_xdata().tolist() == [1, 2, 3, 4]
        factor = 100 if measure == "coverage" else 1
        np.testing.assert_allclose(line.get_ydata(), factor * errors.mean(axis=(0, 1)))
    # A later curve is not cut off, as it would be by limits that are those of the first.
    later = BacktestDisplay(raised(result), measure).plot(
        BacktestDisplay(result, measure).plot().ax_
    )
    top = max(np.max(line.get_ydata()) for line in later.lines_)
    assert later.ax_.get_ylim()[1] >= top
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    levels = [", 95 %", ", 80 %"] if measure == "coverage" else [""]
    expected = [f"{label}{level}" for label in ("one", "two") for level in levels]
    if measure == "mase":
        expected.insert(1, "season before")
    assert names == expected
    assert not model.__sklearn_is_fitted__() and ax.get_xlabel() == "step of the horizon"


def test_what_displays_of_forecasts_refuse(fitted):
    for display in (ForecastDisplay, BacktestDisplay):
        with pytest.raises(TypeError, match="estimator must be an RNNForecaster, got RNNRegressor"):
            display.from_estimator(RNNRegressor(), Y)
    with pytest.raises(ValueError, match="not fitted"):
        ForecastDisplay.from_estimator(RNNForecaster(4))
    with pytest.raises(ValueError, match="series must be the name of one, such as 0, or a number"):
        ForecastDisplay.from_estimator(fitted, series="b")
    with pytest.raises(ValueError, match="truth must hold at least one series"):
        ForecastDisplay.from_estimator(fitted, truth=[])
    with pytest.raises(ValueError, match="n_history must be"):
        ForecastDisplay.from_estimator(fitted, n_history=0)
    with pytest.raises(ValueError, match="measure must be one of"):
        BacktestDisplay.from_estimator(fitted, Y, measure="r2")
    with pytest.raises(TypeError, match="or one of a forecaster's nets_"):
        LearningCurveDisplay.from_estimator(fitted)
    rendered(LearningCurveDisplay.from_estimator(fitted.nets_[0]))
