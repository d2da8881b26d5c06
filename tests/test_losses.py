"""Losses: the textbook's value row by row, and a gradient that is its derivative."""

import numpy as np
import pytest
from helpers import naive
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn.losses import LOSSES, log_softmax, make_loss, sigmoid, softmax


def rows(name, N, k, seed=0, dtype="float64"):
    """Raw outputs, targets and weights."""
    rng = np.random.default_rng(seed)
    raw, weight = rng.normal(0, 2, (N, k)).astype(dtype), rng.uniform(0, 2, N).astype(dtype)
    if name == "softmax":
        return raw, rng.integers(0, k, N), weight
    if name == "sigmoid":
        return raw, rng.integers(0, 2, (N, k)).astype(dtype), weight
    return raw, rng.normal(0, 2, (N, k)).astype(dtype), weight


def options(name, constant):
    return {"huber": {"delta": 2 * constant}, "quantile": {"quantile": constant}}.get(name, {})


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=30)
@given(
    N=st.integers(1, 8),
    k=st.integers(1, 5),
    constant=st.floats(0.05, 0.95),
    seed=st.integers(0, 999),
)
def test_the_value_is_the_textbooks_and_the_gradient_its_derivative(name, N, k, constant, seed):
    loss = make_loss(name, **options(name, constant))
    raw, target, weight = rows(name, N, k, seed)
    value, gradient = loss(raw, target, weight)
    want = sum(
        w * naive.row_loss(name, r, t, **options(name, constant))
        for r, t, w in zip(raw, target, weight, strict=True)
    )
    assert np.isclose(value, want, rtol=1e-12, atol=1e-13) and type(value) is float
    direction = np.random.default_rng(seed + 1).normal(size=raw.shape)
    plus, minus = (loss(raw + step * direction, target, weight)[0] for step in (1e-6, -1e-6))
    assert np.isclose((gradient * direction).sum(), (plus - minus) / 2e-6, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", LOSSES)
def test_float32_stays_float32_and_arguments_stay_as_they_are(name):
    raw, target, weight = rows(name, 5, 3, dtype="float32")
    copies = raw.copy(), target.copy(), weight.copy()
    value, gradient = make_loss(name, **options(name, 0.3))(raw, target, weight)
    assert gradient.dtype == np.float32 and gradient.shape == raw.shape
    assert make_loss(name).link(raw).dtype == np.float32
    assert all(np.array_equal(a, b) for a, b in zip(copies, (raw, target, weight), strict=True))
    wide = make_loss(name, **options(name, 0.3))(raw.astype(float), target, weight.astype(float))
    assert np.isclose(value, wide[0], rtol=1e-5) and np.allclose(
        gradient, wide[1], rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("name", ["squared_error", "absolute_error", "huber", "quantile"])
def test_targets_of_one_output_may_lack_the_axis(name):
    raw, target, weight = rows(name, 6, 1)
    for a, b in zip(
        make_loss(name)(raw, target[:, 0], weight),
        make_loss(name)(raw, target, weight),
        strict=True,
    ):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("size", [1e4, 700.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_outputs_do_not_overflow(size, dtype):
    raw = np.array([[size, -size], [-size, size]], dtype)
    weight = np.ones(2, dtype)
    value, gradient = make_loss("softmax")(raw, np.array([0, 0]), weight)
    assert value == 2 * size and np.array_equal(gradient, np.array([[0, 0], [-1, 1]], dtype))
    value, gradient = make_loss("sigmoid")(raw, np.array([[1, 0], [1, 0]], dtype), weight)
    assert value == size and np.allclose(gradient, [[0, 0], [-0.5, 0.5]], rtol=0, atol=1e-34)
    assert np.array_equal(softmax(raw), np.eye(2)) and np.allclose(
        sigmoid(raw), np.eye(2), rtol=0, atol=1e-300
    )


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_that_is_not_finite_stays_so(name):
    raw, target, weight = rows(name, 3, 2)
    raw[1, 0] = np.nan
    with np.errstate(invalid="ignore"):
        assert np.isnan(make_loss(name)(raw, target, weight)[0])


def test_links():
    raw = np.random.default_rng(0).normal(0, 3, (7, 4))
    assert np.allclose(
        make_loss("softmax").link(raw), np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    )
    assert np.allclose(make_loss("sigmoid").link(raw), 1 / (1 + np.exp(-raw)))
    for name in ("squared_error", "absolute_error", "huber", "quantile"):
        assert np.array_equal(make_loss(name).link(raw), raw)


@settings(max_examples=8)
@given(quantile=st.floats(0.02, 0.98), seed=st.integers(0, 99))
def test_what_a_loss_estimates(quantile, seed):
    """The constant of least cost is the quantile, the median, the mean."""
    values = np.random.default_rng(seed).exponential(size=41)
    grid = np.linspace(0, values.max(), 501)

    def best(loss):
        return grid[np.argmin([loss(np.full((41, 1), c), values, np.ones(41))[0] for c in grid])]

    want = np.quantile(values, quantile, method="inverted_cdf")
    below = np.mean(values <= best(make_loss("quantile", quantile=quantile)) + values.max() / 500)
    assert below >= quantile - 1 / 41
    assert abs(best(make_loss("quantile", quantile=quantile)) - want) < np.ptp(values) / 2
    assert abs(best(make_loss("absolute_error")) - np.median(values)) <= values.max() / 500
    assert abs(best(make_loss("squared_error")) - values.mean()) <= values.max() / 500


def test_every_loss_has_its_name():
    assert [make_loss(name).name for name in LOSSES] == list(LOSSES)
    with pytest.raises(KeyError):
        make_loss("hinge")


def test_links_underflow_whatever_numpy_is_set_to():
    """A user may run with `np.seterr(all="raise")` to find faults of their own."""
    raw = np.array([[-800.0, 0.0], [0.0, 800.0]])
    with np.errstate(all="raise"):
        assert softmax(raw).tolist() == [[0, 1], [0, 1]]
        assert log_softmax(raw).tolist() == [[-800, 0], [-800, 0]]
        assert sigmoid(raw).tolist() == [[0, 0.5], [0.5, 1]]


def test_each_output_may_have_its_own_quantile():
    raw, target, weight = rows("quantile", 6, 3)
    whole = make_loss("quantile", quantile=(0.1, 0.5, 0.9))(raw, target, weight)
    alone = [
        make_loss("quantile", quantile=q)(raw[:, [j]], target[:, [j]], weight)
        for j, q in enumerate((0.1, 0.5, 0.9))
    ]
    assert np.isclose(whole[0], np.mean([loss for loss, _ in alone]))
    assert np.allclose(whole[1], np.hstack([slope for _, slope in alone]) / 3)


@pytest.mark.parametrize("name", ["squared_error", "absolute_error", "huber", "quantile"])
def test_a_missing_number_costs_nothing(name):
    raw, target, weight = rows(name, 4, 2)
    gaps = target.copy()
    gaps[1, 0] = np.nan
    whole = make_loss(name)(raw, target, weight)
    loss, slope = make_loss(name)(raw, gaps, weight)
    there = np.isfinite(gaps)
    alone = make_loss(name)(raw[1:2, :1], target[1:2, :1], weight[1:2] / 2)[0]
    assert np.isclose(loss, whole[0] - alone)
    assert slope[1, 0] == 0 and np.array_equal(slope[there], whole[1][there])
