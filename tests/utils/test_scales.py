"""Centre and scale of columns: outliers, equal numbers and rounding do not lead them astray."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lightrnn.utils.scales import median_and_deviation, weighted_median

rows = st.lists(
    st.tuples(st.integers(-9, 9), st.integers(-9, 9), st.integers(0, 3)), min_size=1, max_size=12
)


@given(rows)
def test_weights_of_a_median_count_like_copies(rows):
    table = np.array(rows, float)
    values, weights = table[:, :2], table[:, 2] + (table[:, 2].sum() == 0)
    copies = np.repeat(values, weights.astype(int), axis=0)
    assert np.array_equal(weighted_median(values, weights), np.median(copies, axis=0))


def test_the_deviation_is_that_of_normal_numbers_and_resists_outliers():
    values = np.random.default_rng(0).normal(5, 2, (4001, 1))
    median, scale = median_and_deviation(values, np.ones(4001))
    assert np.isclose(median, 5, atol=0.1) and np.isclose(scale, 2, rtol=0.05)
    for size in (1e2, 1e6, 1e300):
        spoilt = values.copy()
        spoilt[:80] += size
        found = median_and_deviation(spoilt, np.ones(4001))
        assert np.allclose(found, (median, scale), rtol=0.05)


def test_where_most_numbers_are_equal_the_others_give_the_scale():
    zeros = np.zeros(60)
    others = np.random.default_rng(0).exponential(size=38)
    far = [1e9, -1e9]
    _, scale = median_and_deviation(np.concatenate([zeros, others, far])[:, None], np.ones(100))
    assert 0.3 < scale[0] < 3


def test_a_column_that_is_constant_up_to_rounding_has_no_scale():
    values = np.array([[0.3, 7.0], [0.1 + 0.2, 7.0], [0.3, 7.0]])
    assert median_and_deviation(values, np.ones(3))[1].tolist() == [0, 0]
    # What has no weight does not count.
    values = np.array([[1.0], [1.0], [1e9]])
    assert median_and_deviation(values, np.array([1.0, 1.0, 0.0]))[1].tolist() == [0]
