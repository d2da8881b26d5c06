"""Calibrated quantiles: values fall below them as often as they should, at every step."""

from statistics import NormalDist

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn.cpu import series
from lightrnn.cpu.series import Options
from lightrnn.forecasting.calibration import (
    blended,
    calibrated,
    calibration,
    places,
    share_of,
    small_sample,
    summed,
    widths,
)
from lightrnn.forecasting.fitted import Fitted

QUANTILES = (0.05, 0.5, 0.95)


def options(n_nets):
    """Return the options of kernels for the mean of some networks."""
    return np.array(Options(0, 1, 1, 4, -1, median=1, n_nets=n_nets))


def kernel_factor(share, factor, width=0.0):
    """Return what kernels calibrate by."""
    width = np.full(len(factor), width)
    return Fitted((), None, None, QUANTILES, share, width, factor, None).kernel_factor()


def test_quantiles_between_learned_ones_never_cross():
    rng = np.random.default_rng(0)
    first = rng.uniform(0.1, 1, (1, 2000))
    learned = np.vstack([first, first, first + 1e-16 * rng.integers(0, 5, first.shape)])
    wanted = np.array([0, *np.sort(rng.uniform(0, 2, 9)), 2])
    options = np.array(Options(0, 1, 1, first.size, -1, median=1))
    steps = np.zeros((1, series.WIDTH))
    steps[0, series.STEP.spread] = 1
    found = np.empty((1, len(wanted) * first.size))
    no_linear = np.empty((1, 0), np.float32)
    series.restore(found, learned.reshape(1, -1), wanted, steps, np.array([0]), no_linear, options)
    found = found.reshape(len(wanted), -1)
    assert np.array_equal(found[[0, -1]], learned[[0, 2]])
    assert (np.diff(found, axis=0) >= 0).all()


@settings(max_examples=10, deadline=None)
@given(factor=st.floats(0.1, 5), seed=st.integers(0, 99))
def test_intervals_of_any_width_come_to_hold(factor, seed):
    """Widths differ by window; predicted ones are all wrong by one factor."""
    rng = np.random.default_rng(seed)

    def windows(m):
        width = rng.lognormal(size=(m, 4, 1))
        return width * [-factor, 0.0, factor], rng.normal(size=(m, 4)) * width[..., 0]

    predicted, truth = windows(2000)
    found = calibration(predicted, truth, QUANTILES, 2000)
    fresh, values = windows(20_000)
    low, _, high = np.moveaxis(calibrated(fresh, kernel_factor(1.0, found), options(1)), 2, 0)
    inside = ((low <= values) & (values <= high)).mean(axis=0)
    assert (0.87 < inside).all() and (inside < 0.93).all()


def test_few_windows_share_a_factor_and_fewer_have_none():
    predicted = np.tile([-1.0, 0.0, 1.0], (12, 2, 1))
    truth = np.arange(24.0).reshape(12, 2)
    shared = calibration(predicted, truth, QUANTILES, 6)
    assert (shared[0] == shared[1]).all() and shared[0, 2] > 20
    wider = small_sample(0.95, 2)
    few = calibration(predicted[:3], truth[:3], QUANTILES, 2)
    np.testing.assert_array_equal(few, np.tile([wider, 1, wider], (2, 1)))
    assert (calibration(predicted[:0], truth[:0], QUANTILES, 0) == 1).all()
    truth[::2] = np.nan
    assert np.isfinite(calibration(predicted, truth, QUANTILES, 6)).all()


@settings(max_examples=5, deadline=None)
@given(n=st.integers(2, 30), tail=st.sampled_from([0.8, 0.975]))
def test_a_few_normal_numbers_say_where_the_next_one_falls(n, tail):
    numbers = np.random.default_rng(n).normal(size=(20_000, n + 1))
    past, following = numbers[:, :n], numbers[:, n]
    end = np.sqrt((past**2).mean(axis=1)) * NormalDist().inv_cdf(tail)
    error = following - past.mean(axis=1)
    assert (error <= end).mean() < tail - 0.005
    assert abs((error <= end * small_sample(tail, n)).mean() - tail) < 0.015


def test_outputs_ascend_and_places_between_them_are_linear():
    outputs = [np.array([[3.0, 1.0, 2.0, 5.0]]), np.array([[0.0, 1.0, 4.0, 2.0]])]
    assert summed(outputs, 2).tolist() == [[[1, 4], [4, 9]]]
    assert np.allclose(places((0.5, 0.7, 0.9), (0.5, 0.9)), [0, 0.5, 1])


@given(seed=st.integers(0, 99), share=st.sampled_from([0.0, 0.25, 1.0]))
def test_calibrated_quantiles_are_those_of_the_formula(seed, share):
    rng = np.random.default_rng(seed)
    raw = rng.normal(size=(2, 3, 4 * 3))
    factor = rng.uniform(0, 3, size=(4, 3))
    factor[:, 1] = 1
    mean = np.sort(raw.reshape(2, 3, 4, 3), axis=3).mean(axis=0)
    mean = blended(mean, share, np.full(4, 0.7), QUANTILES)
    median = mean[..., [1]]
    expected = np.sort(median + factor * (mean - median), axis=2)
    found = calibrated(summed(list(raw), 4), kernel_factor(share, factor, 0.7), options(2))
    assert np.allclose(found, expected)


def test_a_median_that_is_off_is_left_out_and_so_are_its_intervals():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(200, 3))
    apart = np.array([-1.0, 0.0, 1.0])
    right = truth[..., None] + apart
    wrong = rng.normal(size=(200, 3, 1)) + apart
    assert share_of(right, truth, QUANTILES) == 1 and share_of(wrong, truth, QUANTILES) == 0
    assert share_of(right[:0], truth[:0], QUANTILES) == 1
    plain = blended(wrong, 0.0, np.full(3, 2.0), QUANTILES)
    assert np.allclose(plain, 2 * np.sqrt(np.pi / 2) * 1.644854 * apart)
    # Widths that are noise, of which a factor would make an interval wide that is not.
    noise = np.abs(rng.normal(size=(200, 3, 1))) * apart
    width = widths(truth)
    factor = calibration(blended(noise, 0.0, width, QUANTILES), truth, QUANTILES, 200)
    found = calibrated(noise.copy(), kernel_factor(0.0, factor, width.mean()), options(1))
    assert np.ptp(found, axis=0).max() < 1e-12 and (abs(found[..., 2]) < 2.5).all()
    gone = np.full((4, 3), np.nan)
    assert (widths(gone) == 0).all()
