"""Array-likes become arrays of numbers; the first bad value is found at any place."""

import decimal
import fractions

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn.data import arrays


def test_an_array_is_not_copied(tmp_path):
    plain = np.zeros((2, 3))
    mapped = np.memmap(tmp_path / "x", np.float32, "w+", shape=(2, 3))
    for array in (plain, mapped):
        assert arrays.as_numbers(arrays.as_array(array, "X", ""), "X") is array
    assert type(arrays.as_array(plain.view(np.recarray), "X", "")) is np.ndarray


def test_objects_become_floats():
    values = [
        True,
        2,
        np.int8(3),
        4.5,
        np.float32(5.5),
        decimal.Decimal("6.5"),
        fractions.Fraction(15, 2),
        10**400,
    ]
    found = arrays.as_numbers(np.array(values, dtype=object).reshape(2, 4), "X")
    np.testing.assert_array_equal(found, [[1, 2, 3, 4.5], [5.5, 6.5, 7.5, np.inf]])


@pytest.mark.parametrize("value", [None, np.nan, np.float32("nan")])
def test_missing_objects_become_nan(value):
    assert arrays.is_missing(value)
    assert np.isnan(arrays.as_numbers(np.array([value], dtype=object), "X")).all()


@settings(deadline=None)
@given(
    st.integers(1, 3 * arrays._BLOCK),
    st.integers(1, 2),
    st.data(),
    st.sampled_from([np.nan, np.inf, -np.inf, 1e39, -1e300]),
)
def test_the_first_bad_value_is_found(rows, columns, data, value):
    row, column = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
    array = np.ones((rows, columns))
    array[row:, column] = value
    assert arrays.first_not_finite([np.ones(2), array, array], np.float32) == 1
    assert arrays.first_bad(array, np.float32)[0] == (row, column)
    assert arrays.first_not_finite([array], np.float64) == (None if np.isfinite(value) else 0)


def test_numbers_without_an_infinity_are_finite():
    assert (
        arrays.first_not_finite([np.array([2**63], np.uint64), np.array([True])], np.float32)
        is None
    )
