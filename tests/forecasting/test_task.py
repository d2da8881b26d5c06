"""The choices of a fit: windows to hold out, the scale, a longer period, and the linear part."""

import numpy as np
import pytest

from lightrnn import RNNForecaster
from lightrnn.cpu.series import CHANGE, INPUT
from lightrnn.forecasting.alignment import with_covariates
from lightrnn.forecasting.holdout import hold_out, stops
from lightrnn.forecasting.linear import add_linear, solved
from lightrnn.forecasting.series import read_panel
from lightrnn.forecasting.task import Task
from lightrnn.forecasting.windows import Encoding, Windows

QUANTILES = (0.1, 0.5, 0.9)


def task(y, horizon, season, scale="auto"):
    panel = read_panel(y)
    return Task.of(panel, Encoding.candidates(panel, horizon, season, scale), QUANTILES)


@pytest.mark.parametrize(("n", "length", "season"), [(1, 60, 1), (1, 97, 4), (3, 50, 7)])
def test_each_origin_of_the_last_part_is_held_out_once(n, length, season):
    rng = np.random.default_rng(0)
    panel = read_panel([rng.normal(size=length + i) for i in range(n)])
    encoding = Encoding.candidates(panel, 3, season, "standard")[0]
    kept = stops(panel.lengths, encoding)
    windows = Windows(panel, encoding)
    held_out = hold_out(windows, panel, kept)
    assert sum(held_out.counts) == len(held_out.origins) == int((panel.lengths - kept - 2).sum())
    expected = [
        np.arange(last - (steps - stop), last - 2)
        for last, steps, stop in zip(windows.last, panel.lengths, kept, strict=True)
    ]
    np.testing.assert_array_equal(np.sort(held_out.origins), np.concatenate(expected))
    assert np.isfinite(held_out.targets).all()


def test_a_week_of_hours_is_read_where_days_differ():
    rng = np.random.default_rng(0)
    days = rng.normal(size=(7, 6))  # six values a day
    weekly = np.tile(days.ravel(), 12) + 0.1 * rng.normal(size=504)
    found = task(weekly, 6, 6)
    assert found.whole.encoding.longer == 42
    origins = found.held_out.origins
    targets = found.held_out.targets
    # The linear part alone is nearly right; the season before is not.
    assert np.abs(targets).mean() < 0.2
    found.held_out.windows.linear = None
    assert np.abs(found.held_out.windows.targets(origins)).mean() > 0.5


def test_a_longer_period_is_that_of_the_season_before_where_a_series_is_not_that_old():
    panel = read_panel(np.arange(100.0))
    encoding = Encoding.candidates(panel, 2, 3, "standard")[-1]
    assert encoding.longer == 21
    windows = Windows(panel, encoding)
    young, old = windows.inputs(np.array([10, 60]))[:, 5:7]
    np.testing.assert_array_equal(young, [0, 0])
    assert (old < -1e-3).all()


def test_the_linear_part_learns_from_windows_in_which_values_are_missing():
    t = np.arange(400)
    y = 10 + np.sin(t / 3) + 0.01 * t
    y[t % 8 > 4] = np.nan  # no window of eight steps is complete
    panel = read_panel(y)
    windows = Windows(panel, Encoding.candidates(panel, 8, 8, "standard")[0])
    before = np.nanmean(np.abs(windows.targets(windows.sample(None))))
    add_linear(windows, solved(windows, (1e-3,))[0])
    assert np.nanmean(np.abs(windows.targets(windows.sample(None)))) < 0.5 * before


def test_a_restless_series_does_not_spoil_the_linear_forecast_of_quiet_ones():
    rng = np.random.default_rng(0)

    def series(phi, size):
        z = np.zeros(120)
        for step in range(1, 120):
            z[step] = phi * z[step - 1] + size * rng.normal() * (1 + 20 * (step % 13 == 0))
        return z + 50

    quiet = [50 + np.sin(np.arange(120) * 0.9 + i) for i in range(5)]
    panel = read_panel([*quiet, *(series(-0.9, 3) for _ in range(5))])
    windows = Windows(panel, Encoding.candidates(panel, 1, 1, "standard")[0])
    add_linear(windows, solved(windows, (1e-3,))[0])
    origins = windows.sample(None)
    errors = np.abs(windows.targets(origins)[:, 0])
    of_quiet = errors[(windows.series(origins) < 5)]
    assert np.nanmedian(of_quiet) < 0.1


def test_the_scale_is_chosen_by_the_held_out_windows():
    t = np.arange(160)
    grows = np.exp(0.05 * t + 0.5 * np.sin(t * np.pi / 2))
    assert task(grows, 4, 4).whole.encoding.scale in ("log", "mean")
    rng = np.random.default_rng(0)
    stays = 100 + np.sin(t * np.pi / 2) + 0.1 * rng.normal(size=160)
    assert task(stays, 4, 4).whole.encoding.scale == "standard"


def test_no_forecast_of_counts_is_negative():
    rng = np.random.default_rng(0)
    counts = np.where(rng.random(120) < 0.4, rng.poisson(3, 120), 0)
    model = RNNForecaster(4, 1, hidden_layer_sizes=4, max_iter=1, random_state=0).fit(counts)
    found = model.predict(level=95)
    assert found["lightrnn-lo-95"].min() == 0
    assert (found["lightrnn"] >= 0).all()
    shifted = RNNForecaster(4, 1, hidden_layer_sizes=4, max_iter=1, random_state=0).fit(counts - 1)
    assert shifted.predict(level=95)["lightrnn-lo-95"].min() < 0


def test_two_of_a_longer_period_are_better_than_one():
    rng = np.random.default_rng(0)
    pattern = rng.normal(size=42)
    noisy = np.tile(pattern, 20) + 0.5 * rng.normal(size=840)
    chosen = task(noisy, 6, 6)
    table = chosen.whole.encoding.linear_table()
    change = table[table[:, INPUT.kind] == CHANGE][:, INPUT.offset]
    np.testing.assert_array_equal(change, [*range(-41, -35), *range(-83, -77)])
    weights = np.abs(chosen.linear[:-1][table[:, INPUT.kind] == CHANGE])
    # Each step is weighed with its own, a period ago and two.
    one, two = weights[:6].diagonal(), weights[6:].diagonal()
    assert (two > 0.4 * one).all() and (two > 0.2).all()
    # Of few of them one is read.
    assert (chosen.whole.encoding.depth, task(noisy[:210], 6, 6).whole.encoding.depth) == (2, 1)


def test_the_linear_part_leaves_out_what_is_not_always_known_ahead():
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    # The last value is repeated in part, and the covariate of the same step counts.
    y = np.zeros(300)
    for step in range(1, 300):
        y[step] = 0.8 * y[step - 1] + x[step]

    def linear(X):
        panel = with_covariates(read_panel(y), X, 2)
        candidates = Encoding.candidates(panel, 2, 1, "standard")
        return Task.of(panel, candidates, QUANTILES)

    sometimes = linear(x)
    hidden = sometimes.whole.encoding.sometimes_known()
    assert len(hidden) == 3  # two steps, and whether they are known
    assert (sometimes.linear[hidden] == 0).all()
    assert np.abs(sometimes.linear).max() > 0.1
    always = linear(np.append(x, [0.0, 0.0]))
    assert len(always.whole.encoding.sometimes_known()) == 0


@pytest.mark.filterwarnings("error")
def test_windows_without_a_value_are_not_held_out():
    y = 10 + np.sin(np.arange(120.0))
    y[-24:] = np.nan
    assert not task(y, 4, 4).held_out.runs
    model = RNNForecaster(4, 4, hidden_layer_sizes=4, max_iter=1, random_state=0)
    with pytest.warns(UserWarning, match="are all missing"):
        model.fit(y)
    assert np.isfinite(model.predict(level=95)["lightrnn-lo-95"]).all()
