"""Values per step are pooled and split again without loss."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn.data.ragged import as_values, check_finite, pool
from lightrnn.utils.indexing import split


@settings(deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=9), st.integers(1, 3))
def test_split_undoes_pool(lengths, k):
    lengths = np.array(lengths)
    rows = np.arange(lengths.sum() * k).reshape(-1, k)
    items = split(rows, lengths)
    assert [len(item) for item in items] == lengths.tolist()
    assert all(np.shares_memory(item, rows) for item in items)
    np.testing.assert_array_equal(pool(items), rows)
    np.testing.assert_array_equal(as_values(items, lengths, step=True), rows)


def test_pool_of_an_array_is_the_array():
    rows = np.zeros(3)
    assert pool(rows) is rows


def test_values_keep_their_type():
    assert as_values(["a", "b"], np.array([4, 5]), step=False).dtype.kind == "U"
    assert as_values([[True], [False, True]], np.array([1, 2]), step=True).dtype == bool


def test_a_bad_value_is_named_by_its_row():
    check_finite(np.empty(0), np.float32, "y")
    with pytest.raises(
        ValueError, match=r"Input y contains NaN: it must be finite, got NaN in row 2\. Fill in"
    ):
        check_finite(np.array([[0.0, 1], [2, 3], [4, np.nan]]), np.float32, "y")
    with pytest.raises(ValueError, match="Input y contains infinity or a value too large"):
        check_finite(np.array([1e39]), np.float32, "y")
