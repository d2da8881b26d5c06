"""Every form of y is encoded for the losses and decoded again; anything else is an error."""

import warnings

import numpy as np
import pytest
from helpers.junk import Foreign, junk, object_array
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn.data.labels import ClassTargets, MultilabelTargets, read_labels
from lightrnn.data.ragged import as_values
from lightrnn.data.targets import RealTargets, read_numbers
from lightrnn.exceptions import DataConversionWarning
from lightrnn.utils.indexing import split

N = np.array([2, 3, 1])
LABELS = [
    np.array([3, 1, 3]),
    np.array([3.0, 1.0, 3.0]),
    np.array([True, False, True]),
    np.array(["b", "a", "b"]),
    np.array([b"b", b"a", b"b"]),
    np.array(["b", "a", "b"], dtype=object),
    np.array([3, 1, 3], dtype=object),
    np.array(["b", "a", "b"], dtype=np.dtypes.StringDType()),
    ["b", "a", "b"],
    (3, 1, 3),
    [2**70, 1, 2**70],
]


def one_hot(codes, k=2):
    return np.eye(k)[codes]


@pytest.mark.parametrize("y", LABELS, ids=str)
def test_labels_of_any_kind_return_as_they_came(y):
    targets, codes = read_labels(y, N)
    assert np.array_equal(targets.read(y, N), codes)
    assert codes.tolist() == [1, 0, 1] and codes.dtype == np.intp
    assert targets.n_outputs == 2 and not targets.is_multilabel
    assert targets.decode(one_hot(codes)).tolist() == list(y)


@pytest.mark.parametrize("form", [list, tuple, object_array])
def test_labels_of_every_step(form):
    y = form([np.array(["b", "a"]), np.array(["a", "a", "c"]), np.array(["b"])])
    targets, codes = read_labels(y, N, step=True)
    assert [c.tolist() for c in codes] == [[1, 0], [0, 0, 2], [1]]
    decoded = targets.decode(one_hot(np.concatenate(codes), 3))
    np.testing.assert_array_equal(decoded, np.concatenate(list(y)))


def test_steps_may_come_in_one_array():
    y = np.arange(6).reshape(2, 3) % 2
    _, codes = read_labels(y, np.array([3, 3]), step=True)
    assert [c.tolist() for c in codes] == y.tolist()


def test_indicators_are_multilabel():
    y = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1]])
    targets, _ = read_labels(y, N)
    assert (
        isinstance(targets, MultilabelTargets) and targets.is_multilabel and targets.n_outputs == 3
    )
    assert targets.classes_.tolist() == [0, 1, 2]
    rows = targets.read(y.astype(bool), N)
    np.testing.assert_array_equal(rows, y)
    assert rows.dtype.kind == "f"
    np.testing.assert_array_equal(targets.decode(rows - 0.5), y)
    steps = split(np.eye(6, 2, dtype=int), N)
    by_step, encoded = read_labels(steps, N, step=True)
    decoded = by_step.decode(np.concatenate(encoded))
    np.testing.assert_array_equal(decoded, np.concatenate(steps))


def test_classes_may_be_fixed_beforehand():
    targets, _ = read_labels(["b", "b", "a"], N, classes=["c", "b", "a", "a"])
    assert targets.classes_.tolist() == ["a", "b", "c"]
    assert targets.read(["c", "c", "c"], N).tolist() == [2, 2, 2]
    assert read_labels([1, 1, 1], N, classes=[0, 1])[0].n_outputs == 2
    with pytest.raises(
        ValueError, match=r"y must hold labels of the classes \['a', 'b'\], got 'z' in row 1"
    ):
        read_labels(["a", "z", "b"], N, classes=["a", "b"])
    with pytest.raises(
        ValueError, match=r"y_val must hold labels of the classes \['a', 'b', 'c'\], got numbers"
    ):
        targets.read([1, 2, 3], N, name="y_val")
    with pytest.raises(ValueError, match="classes must hold at least two classes, got 1 class"):
        read_labels([1, 1, 1], N, classes=[1])
    with pytest.raises(ValueError, match="classes must hold at least two classes, got 0 class"):
        read_labels([1, 1, 1], N, classes=[])


@pytest.mark.parametrize("value", [-5, 0, 2, 9, 1.5])
def test_a_label_outside_the_classes_is_refused_wherever_it_sorts(value):
    targets = ClassTargets(np.array([-3, 1, 4]))
    with pytest.raises(ValueError, match=f"got {value}|Unknown label type: continuous.*1.5"):
        targets.read([1, value, 4], N)


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (None, ValueError, "requires y to be passed, but the target y is None"),
        ([1, 2], ValueError, "X has 3 sequences but y has 2"),
        ([1, 1, 1], ValueError, r"y must hold at least two classes, got 1 class: \[1\]"),
        ([0.5, 1.0, 2.0], ValueError, "Unknown label type: continuous"),
        ([[1, 2], [0, 1], [2, 2]], ValueError, "Unknown label type: multiclass-multioutput"),
        ([["a", "b"]] * 3, ValueError, "Unknown label type"),
        ([1, "a", 2], TypeError, r"y must be all text or all numbers, got \['int', 'str'\]"),
        ([b"a", "a", "b"], TypeError, "y must be all text or all numbers"),
        (
            object_array([1, "a", 2]),
            ValueError,
            "Unknown label type: y must be all integers or all text",
        ),
        (object_array([{}, "a", 2]), ValueError, "Unknown label type"),
        ([1, None, 2], ValueError, "y must have no missing labels, got None in row 1"),
        (
            object_array(["a", np.nan, "b"]),
            ValueError,
            "y must have no missing labels, got nan in row 1",
        ),
        ([1.0, np.nan, 2.0], ValueError, "Input y contains NaN: .* in row 1"),
        ([1.0, np.inf, 2.0], ValueError, "Input y contains infinity"),
        ([1j, 2, 3], ValueError, "Complex data not supported"),
        (np.zeros(3, "M8[s]"), ValueError, "Unknown label type"),
        ([[1, 2], [1, 2, 3], [2]], ValueError, "y must be rectangular.*target='step'"),
        (
            object_array([np.ones(2), np.ones(3), np.ones(1)]),
            ValueError,
            "Unknown label type: .*ndarray",
        ),
        (np.ones((3, 2, 2)), ValueError, "y must have one or two axes"),
        (np.ones((3, 0)), ValueError, "y must have one or two axes and no empty one"),
        (5, TypeError, "y must be an array"),
        (np.array(5), ValueError, "y must be an array or list"),
        ("abc", TypeError, "y must be an array"),
        (Foreign(), ValueError, "y must be rectangular"),
    ],
)
def test_bad_labels_are_errors(y, error, message):
    with pytest.raises(error, match=message):
        read_labels(y, N)


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        ([1, 0, 1], TypeError, r"y\[0\] must be an array"),
        (
            np.array([1, 0, 1]),
            ValueError,
            r"y\[0\] must be an array or list, got 1.*use target='sequence'",
        ),
        ([[1, 0], [1, 0, 1]], ValueError, "X has 3 sequences but y has 2"),
        (
            [[1, 0], [1, 0], [1]],
            ValueError,
            r"y\[1\] must have 3 entries, one for each step of X\[1\], got 2",
        ),
        ([[1, 0], [[1, 0]] * 3, [1]], ValueError, r"y\[1\] must have the columns of y\[0\]"),
        ([[1, 0], ["a"] * 3, [1]], TypeError, "y must be all text or all numbers, got both"),
        (
            [[1, 0], [1, 0, None], [1]],
            ValueError,
            "y must have no missing labels, got None in row 4",
        ),
        ([[1, 0], [1, [0], 1], [1]], ValueError, r"y\[1\] must be rectangular"),
    ],
)
def test_bad_labels_of_steps_are_errors(y, error, message):
    with pytest.raises(error, match=message):
        read_labels(y, N, step=True)


def test_a_column_is_taken_flat_with_a_warning():
    with pytest.warns(
        DataConversionWarning, match="A column-vector y was passed when a 1d array was expected"
    ):
        targets, _ = read_labels([["a"], ["b"], ["a"]], N)
    assert targets.classes_.tolist() == ["a", "b"]
    assert targets.read(np.array([["a"], ["b"], ["a"]]), N).tolist() == [0, 1, 0]
    with pytest.warns(DataConversionWarning):
        assert read_numbers([[1.0], [2.0], [3.0]], N)[0].n_outputs == 1


def test_other_indicators_than_fitted_are_refused():
    targets = MultilabelTargets(2)
    for y in ([[1, 0, 1]] * 3, [[1, 2]] * 3, [1, 0, 1]):
        with pytest.raises(
            ValueError, match="Unknown label type: y must be 0/1 indicators with 2 columns"
        ):
            targets.read(y, N)


finite = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))


@settings(deadline=None)
@given(st.lists(st.tuples(finite, finite, st.integers(0, 3)), min_size=2, max_size=20))
def test_standardised_rows_have_weighted_mean_0_and_scale_1(rows):
    values = np.array(rows)
    y, weights = values[:, :2], values[:, 2] + (values[:, 2].sum() == 0)
    n = np.full(len(y), 4)
    targets, encoded = read_numbers(y, n, weights=weights, dtype=np.float64)
    repeated = np.repeat(y, weights.astype(int), axis=0)
    np.testing.assert_allclose(targets.mean, repeated.mean(axis=0), atol=1e-6)
    kept = weights > 0
    np.testing.assert_allclose(targets.decode(encoded)[kept], y[kept], atol=1e-8)
    for column, scale in zip(repeated.T, targets.scale, strict=True):
        assert (
            scale == 0
            if np.ptp(column) == 0
            else np.isclose(scale, column.std(), rtol=1e-6, atol=1e-9)
        )


def test_a_constant_target_is_only_centred():
    for value in (0.0, 0.1, 1e30):
        targets, encoded = read_numbers([value] * 3, N)
        assert targets.scale == 0 and abs(encoded).max() <= 1e-15 * max(value, 1)
        # Whatever the network's output is, the prediction is the constant.
        assert targets.decode(np.array([[3.0], [-2.0]])).tolist() == [targets.mean[0]] * 2


def test_numbers_return_in_their_form():
    flat, encoded = read_numbers([1, 2, 4], N)
    assert encoded.shape == (3, 1) and flat.decode(np.ones((3, 1))).shape == (3,)
    wide, encoded = read_numbers(np.arange(6).reshape(3, 2), N)
    assert encoded.dtype == np.float32 and wide.decode(np.ones((3, 2))).shape == (3, 2)
    steps = split(np.arange(6.0), N)
    weights = split(np.ones(6), N)
    targets, encoded = read_numbers(steps, N, step=True, weights=weights, dtype=np.float64)
    assert isinstance(targets, RealTargets) and targets.mean == 2.5
    assert [item.shape for item in encoded] == [(2, 1), (3, 1), (1, 1)]
    assert targets.decode(np.concatenate(encoded)).shape == (6,)


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (None, ValueError, "requires y to be passed"),
        (
            ["a", "b", "c"],
            TypeError,
            "y must hold numbers, got text: 'a'. Encode it as numbers, or use RNNClassifier",
        ),
        ([1, 2], ValueError, "X has 3 sequences but y has 2"),
        ([1.0, np.nan, 2.0], ValueError, "Input y contains NaN: .* row 1"),
        ([1.0, None, 2.0], ValueError, "Input y contains NaN"),
        ([1.0, -np.inf, 2.0], ValueError, "Input y contains infinity"),
        (
            [1.0, 1e300, 2.0],
            ValueError,
            "Input y contains infinity or a value too large: .*float32",
        ),
        ([1j, 2, 3], ValueError, "Complex data not supported"),
        (np.ones((3, 2, 2)), ValueError, "y must have one or two axes"),
    ],
)
def test_bad_numbers_are_errors(y, error, message):
    with pytest.raises(error, match=message):
        read_numbers(y, N)


@pytest.mark.parametrize("robust", [False, True])
@pytest.mark.parametrize("factor", [2.0**1000, 2.0**-1000])
def test_numbers_whose_squares_over_or_underflow_have_a_scale(factor, robust):
    y = np.array([1.0, 5.0, -3.0])
    (large, a), (plain, b) = (
        read_numbers(f * y, N, dtype=np.float64, robust=robust) for f in (factor, 1.0)
    )
    assert large.scale == factor * plain.scale and large.mean == factor * plain.mean
    assert np.array_equal(a, b)


def test_other_columns_than_fitted_are_refused():
    with pytest.raises(ValueError, match="y_val must have 1 outputs as in fit, got 2"):
        read_numbers([1, 2, 3], N)[0].read(np.ones((3, 2)), N, name="y_val")


def test_pandas_targets():
    pandas = pytest.importorskip("pandas", reason="pandas is optional")
    for y in (
        pandas.Series(["b", "a", "b"], index=[5, 6, 7]),
        pandas.Series(["b", "a", "b"], dtype="category"),
    ):
        targets, codes = read_labels(y, N)
        assert targets.decode(one_hot(codes)).tolist() == ["b", "a", "b"]
    targets, _ = read_labels(pandas.Series([1, 2, 1], dtype="Int64"), N)
    assert targets.classes_.tolist() == [1, 2]
    with pytest.raises(ValueError, match=r"y must have no missing labels|y contains NaN"):
        read_labels(pandas.Series([1, None, 1], dtype="Int64"), N)
    targets, _ = read_numbers(pandas.DataFrame({"u": [1, 2, 3], "v": [1.0, 2, 3]}), N)
    assert targets.n_outputs == 2


def test_sparse_targets_are_refused():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match="Sparse data was passed for y"):
        read_labels(sparse.eye_array(3), N)


@settings(max_examples=200, deadline=None)
@given(junk | st.lists(junk, min_size=3, max_size=3), st.booleans())
def test_whatever_y_is_the_door_answers_with_targets_or_an_error(y, step):
    # To draw y takes longer than to read it.
    for learn in (read_labels, read_numbers):
        check_what_is_learned(learn, y, step)


def check_what_is_learned(learn, y, step):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DataConversionWarning)
        try:
            targets, encoded = learn(y, N, step=step)
            again = targets.read(y, N)
        except (ValueError, TypeError) as error:
            assert len(str(error)) < 1000
            return
    assert [len(item) for item in encoded] == N.tolist() if step else len(encoded) == 3
    for part, other in zip(encoded, again, strict=True):
        np.testing.assert_array_equal(part, other)
    assert targets.n_outputs >= 1
    assert len(as_values(y, N, step)) == (6 if step else 3)
