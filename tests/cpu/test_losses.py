"""The compiled loss of several quantiles: the formula of the heart, whatever is missing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn import cpu
from lightrnn.losses import make_loss


@settings(max_examples=20, deadline=None)
@given(
    dtype=st.sampled_from(["float32", "float64"]),
    rows=st.integers(0, 5),
    repeats=st.integers(1, 7),
    start=st.integers(0, 2),
    seed=st.integers(0, 99),
)
def test_gradients_are_those_of_the_formula_to_the_last_bit(dtype, rows, repeats, start, seed):
    quantiles = (0.1, 0.5, 0.9) * repeats
    k = len(quantiles)
    rng = np.random.default_rng(seed)
    raw = rng.normal(size=(start + rows, k + 2)).astype(dtype)
    targets = rng.normal(size=(rows, k)).astype(dtype)
    targets[rng.random(targets.shape) < 0.2] = np.nan
    weights = rng.random(rows).astype(dtype)
    constants = np.array(quantiles, dtype)
    gradient = np.zeros_like(raw)
    found = cpu.losses.quantile_loss(gradient, raw, start, targets, weights, constants)
    expected, slopes = make_loss("quantile", quantile=quantiles)(raw[start:, :k], targets, weights)
    assert (gradient[start:, :k] == slopes).all() and not gradient[:, k:].any()
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-12)
