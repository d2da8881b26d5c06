"""Every accepted form of X becomes the same sequences without copies; others are errors."""

import math
import pickle
import warnings

import numpy as np
import pytest
from helpers.junk import Foreign, junk, object_array
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from lightrnn.data.moments import standardization_of
from lightrnn.data.sequences import (
    Sequences,
    as_sequences,
    feature_names,
)

A = np.arange(6.0).reshape(3, 2)
B = np.arange(10.0).reshape(5, 2)


def assert_same(found, expected):
    assert len(found) == len(found.items) == len(expected)
    for item, array in zip(found.items, expected, strict=True):
        np.testing.assert_array_equal(item, array)
        assert item.ndim == 2 and item.dtype.kind in "fiub"
    assert found.lengths.dtype == np.int64 and found.lengths.tolist() == [
        len(array) for array in expected
    ]
    assert found.n_features == expected[0].shape[1]


@pytest.mark.parametrize("form", [list, tuple, object_array, lambda x: [a.tolist() for a in x]])
def test_a_collection_of_arrays_holds_one_sequence_per_item(form):
    X = as_sequences(form([A, B]))
    assert_same(X, [A, B])
    assert not X.is_table


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f8", "g", "i1", "i8", "u2", "u8", "?"])
def test_items_keep_dtype_and_memory(dtype):
    item = np.ones((4, 3), dtype)
    found = as_sequences([item]).items[0]
    assert found.dtype == item.dtype and np.shares_memory(found, item)


def test_one_axis_is_one_feature_and_frames_are_flattened():
    assert_same(
        as_sequences([np.arange(3), np.arange(5)[:, None]]),
        [np.arange(3)[:, None], np.arange(5)[:, None]],
    )
    video = np.arange(2 * 3 * 4 * 5 * 2.0).reshape(2, 3, 4, 5, 2)
    assert_same(as_sequences(video), list(video.reshape(2, 3, 40)))
    assert_same(as_sequences(list(video)), list(video.reshape(2, 3, 40)))
    assert_same(as_sequences(video[..., 0]), list(video[..., 0].reshape(2, 3, 20)))
    assert_same(
        as_sequences([video[0, ..., 0], video[1, :1, ..., 0]]),
        [video[0, ..., 0].reshape(3, 20), video[1, :1, ..., 0].reshape(1, 20)],
    )


def test_an_array_holds_views():
    X = np.arange(24.0).reshape(2, 3, 4)
    found = as_sequences(X)
    assert_same(found, list(X))
    assert all(np.shares_memory(item, X) for item in found.items)


@pytest.mark.parametrize(
    ("table", "is_table"),
    [
        (np.arange(6).reshape(2, 3), True),
        ([[0, 1, 2], [3, 4, 5]], True),
        (((0, 1, 2), (3, 4, 5)), True),
        (np.arange(6).reshape(2, 3).astype(object), True),
        (np.arange(6).reshape(2, 3).view(np.matrix), True),
        ([np.arange(3), np.arange(3, 6)], False),
        ([[[0], [1], [2]], [[3], [4], [5]]], False),
        (np.arange(6).reshape(2, 3, 1), False),
    ],
)
def test_only_a_table_is_a_table(table, is_table):
    X = as_sequences(table)
    assert_same(X, [np.arange(3)[:, None], np.arange(3, 6)[:, None]])
    assert X.is_table is is_table


def test_ragged_lists_of_numbers_are_sequences_of_one_feature():
    X = as_sequences([[1, 2, 3], [4.5]])
    assert_same(X, [np.array([[1], [2], [3]]), np.array([[4.5]])])
    assert not X.is_table


def test_a_memory_map_stays_one(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.arange(8, dtype=np.float32).reshape(4, 2))
    mapped = np.load(path, mmap_mode="r")
    item = as_sequences([mapped, mapped[1:]]).items[1]
    assert isinstance(item, np.memmap) and np.shares_memory(item, mapped)


def test_sequences_pass_as_they_are():
    X = as_sequences([A, B, A])
    assert as_sequences(X) is X
    assert_same(pickle.loads(pickle.dumps(X)), [A, B, A])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_a_bad_value_is_named_by_sequence_step_and_feature(value, dtype):
    bad = np.ones((10000, 3), dtype)
    bad[9000, 2] = value
    shown = "NaN" if np.isnan(value) else str(value)
    for X in ([np.ones((4, 3)), bad], np.stack([np.ones((10000, 3), dtype), bad])):
        with pytest.raises(
            ValueError, match=rf"^X\[1\] must be finite, got {shown} at step 9000, feature 2\. \w"
        ):
            as_sequences(X)
    with pytest.raises(
        ValueError, match="Fill in or drop" if shown == "NaN" else "Replace infinities"
    ):
        as_sequences([bad])


@pytest.mark.parametrize("index", [0, 511, 512, 999])
@pytest.mark.parametrize("shape", [(4, 4), (1025, 8)])  # checked 512 at once, and one by one
def test_short_sequences_are_checked_together_and_named_one_by_one(index, shape):
    X = [np.full(shape, 1e30, np.float32)] * 1000  # whose squares overflow
    assert as_sequences(X).items == X
    X[index] = X[index].copy()
    X[index][2, 3] = -np.inf
    with pytest.raises(ValueError, match=rf"^X\[{index}\] must be finite, got -inf at step 2, fea"):
        as_sequences(X)


def test_a_value_must_be_finite_in_the_networks_dtype():
    X = [np.array([[1.0, 1e300]])]
    assert as_sequences(X, np.float64).n_features == 2
    with pytest.raises(
        ValueError,
        match=r"X\[0\] must be finite, got 1e\+300 at step 0, feature 1. It overflows .*float32",
    ):
        as_sequences(X)
    limit = np.finfo(np.float32).max
    assert len(as_sequences([np.array([limit, -limit], dtype=np.float64)])) == 1


@pytest.mark.parametrize("missing", [None, np.nan, np.ma.masked])
def test_missing_values_count_as_nan(missing):
    X = (
        np.ma.masked_array([[1.0, 2.0, 3.0]], mask=[[False, True, False]])
        if missing is np.ma.masked
        else [[1.0, missing, 3.0]]
    )
    with pytest.raises(ValueError, match=r"X\[0\] must be finite, got NaN at step 1"):
        as_sequences(X)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (None, TypeError, "X must be an array, a DataFrame or a list, got None"),
        (3, TypeError, "X must be an array, a DataFrame or a list, got 3"),
        ({}, TypeError, r"X must be an array, a DataFrame or a list, got \{\}"),
        ((x for x in ()), TypeError, "X must be an array, a DataFrame or a list, got <generator"),
        ("text", TypeError, "X must hold numbers, got text: 'text'. Encode it"),
        (["text", "more"], TypeError, r"X\[0\] must hold numbers, got text: 'text'"),
        ([["a", "b"]], TypeError, r"X\[0\] must hold numbers, got text: 'a'"),
        ([[1, "b"]], TypeError, r"X\[0\] must hold numbers, got text"),
        (np.array([["1", "2"]]), TypeError, "X must hold numbers, got text: '1'"),
        (np.array([["1", 2]], dtype=object), TypeError, "X must hold numbers, got text: '1'"),
        (np.array([[{}, 2]], dtype=object), TypeError, "argument must be .* string.* number"),
        ([], ValueError, r"X must hold at least one sequence, got an empty list"),
        (
            np.empty((0, 3)),
            ValueError,
            r"X must hold at least one sequence, got 0 sample\(s\) \(shape=\(0, 3\)\)",
        ),
        (
            np.empty((3, 0)),
            ValueError,
            r"0 feature\(s\) \(shape=\(3, 0\)\) while a minimum of 1 is required.",
        ),
        (np.empty((3, 2, 0)), ValueError, r"0 feature\(s\) \(shape=\(3, 2, 0\)\)"),
        ([A, np.empty((3, 0))], ValueError, r"X\[1\] must have features, got 0 feature\(s\)"),
        ([A, np.empty((0, 2))], ValueError, r"X\[1\] must have at least one step, got 0"),
        ([[1.0], []], ValueError, r"X\[1\] must have at least one step, got 0"),
        (
            [A, np.ones((4, 3))],
            ValueError,
            r"X\[1\] must have 2 features like X\[0\], got 3\. Give",
        ),
        ([A, np.ones(4)], ValueError, r"X\[1\] must have 2 features like X\[0\], got 1"),
        (np.arange(4.0), ValueError, "Reshape your data"),
        ([1.0, 2.0], ValueError, "Reshape your data"),
        (np.array(4.0), ValueError, "X must be a list of sequences or an array"),
        (
            np.ones((1,) * 6),
            ValueError,
            "X must be a list of sequences or an array with 2 to 5 axes",
        ),
        ([np.ones((1,) * 5)], ValueError, r"X\[0\] must be \(T, F\), \(T,\) or frames"),
        ([np.array(1.0)], ValueError, r"X\[0\] must be \(T, F\)"),
        ([A, None], TypeError, r"X\[1\] must be an array, a DataFrame or a list, got None"),
        ([A, 3.0], TypeError, r"X\[1\] must be an array"),
        ([[[1, 2], [3]]], ValueError, r"X\[0\] must be rectangular"),
        (A + 1j, ValueError, "Complex data not supported: X must"),
        ([A + 1j], ValueError, r"Complex data not supported: X\[0\] must"),
        ([[1j, None]], ValueError, r"Complex data not supported: X\[0\] must"),
        (np.zeros((2, 2), "M8[s]"), TypeError, "X must hold numbers, got dtype datetime64"),
        (np.zeros((2, 2), "i4,f4"), TypeError, "X must hold numbers, got dtype"),
        ([[10**400]], ValueError, r"X\[0\] must be finite, got inf"),
    ],
)
def test_bad_input_is_an_error_that_names_the_place(X, error, message):
    with pytest.raises(error, match=message):
        as_sequences(X)


def test_messages_use_the_given_name():
    with pytest.raises(ValueError, match=r"^X_val\[0\] must be finite"):
        as_sequences([[np.nan]], name="X_val")


def test_sparse_input_is_a_type_error():
    sparse = pytest.importorskip("scipy.sparse")
    for X in (sparse.eye_array(3), sparse.csr_matrix(A), [A, sparse.csr_matrix(A)]):
        with pytest.raises(
            TypeError, match=r"Sparse data was passed for X.*, but dense data is required"
        ):
            as_sequences(X)


def test_an_unreadable_foreign_array_is_a_value_error():
    for X in (Foreign(), [A, Foreign()]):
        with pytest.raises(ValueError, match="must be rectangular"):
            as_sequences(X)


def test_frames_of_pandas():
    pandas = pytest.importorskip("pandas", reason="pandas is optional")
    a, b = pandas.DataFrame(A, columns=["u", "v"]), pandas.DataFrame(B, columns=["u", "v"])
    X = as_sequences([a, b])
    assert_same(X, [A, B])
    assert X.feature_names.tolist() == ["u", "v"] and X.feature_names.dtype == object
    assert as_sequences([a, B]).feature_names is None
    assert_same(as_sequences([a["u"], b["v"]]), [A[:, :1], B[:, 1:]])
    assert_same(as_sequences(pandas.Series([A, B], index=[7, 8])), [A, B])
    table = as_sequences(a)
    assert table.is_table and table.feature_names.tolist() == ["u", "v"]
    assert_same(table, list(A[:, :, None]))
    for other in (b.rename(columns={"v": "w"}), b[["v", "u"]]):
        with pytest.raises(
            ValueError, match=r"X\[1\] must have the columns of X\[0\], \['u', 'v'\], got"
        ):
            as_sequences([a, other])


def test_missing_values_of_pandas():
    pandas = pytest.importorskip("pandas", reason="pandas is optional")
    frame = pandas.DataFrame({"u": pandas.array([1, None, 3], dtype="Int64"), "v": [1.0, 2.0, 3.0]})
    with pytest.raises(ValueError, match=r"X\[1\] must be finite, got NaN at step 1, feature 0"):
        as_sequences([frame.dropna(), frame])
    assert_same(as_sequences([frame.dropna()]), [np.array([[1.0, 1], [3, 3]])])
    with pytest.raises(TypeError, match="X must hold numbers, got text"):
        as_sequences(pandas.DataFrame({"u": ["a", "b"]}))
    with pytest.raises(TypeError, match="Feature names are only supported if all"):
        as_sequences(pandas.DataFrame(A, columns=["u", 1]))
    assert feature_names(pandas.DataFrame(A)) is None


@pytest.mark.parametrize("dtype", [np.float32, np.int16, object])
@pytest.mark.parametrize(
    "form", [lambda a: a, lambda a: [a], lambda a: [[*a]], lambda a: object_array([a]), np.ma.stack]
)
def test_masked_values_are_never_data(dtype, form):
    masked = np.ma.array([[-9999, 1], [2, 3]], mask=[[1, 0], [0, 0]], dtype=dtype)
    X = form([masked] if form is np.ma.stack else masked)
    with pytest.raises(ValueError, match=r"got NaN at step .*masked arrays have \.filled\(value\)"):
        as_sequences(X)
    whole = np.ma.array([[1, 2]], mask=False, dtype=np.float32)
    assert as_sequences([whole]).items[0].dtype == np.float32


UNEQUAL = [np.arange(5.0), np.arange(3.0), np.arange(1.0)]


def filled_up(items, *features):
    """Return sequences as an array (n, T, ...) that NaN fill up."""
    array = np.full((len(items), max(map(len, items)), *features), np.nan)
    for row, item in zip(array, items, strict=True):
        row[: len(item)] = item.reshape(-1, *(1 for _ in features))
    return array


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f8", "g", "O"])
def test_nan_at_the_end_of_a_row_is_the_end_of_its_sequence(dtype):
    table = filled_up(UNEQUAL).astype(dtype)
    columns = [item[:, None] for item in UNEQUAL]
    for form in (
        table,
        table.tolist(),
        np.ma.masked_invalid(table.astype(float)),
        np.asfortranarray(table),
    ):
        X = as_sequences(form)
        assert_same(X, columns)
        assert X.is_table and X.width == 5
    for features in ((1,), (3,), (2, 2)):
        X = as_sequences(filled_up(UNEQUAL, *features).astype(dtype))
        assert_same(X, [np.repeat(item, math.prod(features), axis=1) for item in columns])
        assert not X.is_table and X.width == 5
    # In a list, each item ends where it ends.
    with pytest.raises(ValueError, match=r"X\[1\] must be finite, got NaN at step 3"):
        as_sequences(list(table))


def test_views_are_cut_and_a_memory_map_stays_one(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, filled_up(UNEQUAL, 2))
    mapped = np.load(path, mmap_mode="r")
    for item in as_sequences(mapped).items:
        assert np.shares_memory(item, mapped)


def test_missing_values_of_pandas_end_a_row():
    pandas = pytest.importorskip("pandas", reason="pandas is optional")
    table = pandas.DataFrame(filled_up(UNEQUAL))
    for frame in (table, table.astype("Float64"), table.astype(object)):
        assert_same(as_sequences(frame), [item[:, None] for item in UNEQUAL])


@pytest.mark.parametrize("features", [(), (2,)])
def test_other_nan_of_an_array_are_missing_values(features):
    first = filled_up(UNEQUAL, *features)
    first[1, 0] = np.nan
    with pytest.raises(ValueError, match=r"X\[1\] must be finite, got NaN at step 0.* missing"):
        as_sequences(first)
    empty = filled_up(UNEQUAL, *features)
    empty[1] = np.nan
    with pytest.raises(ValueError, match=r"^X\[1\] must be finite, got NaN at every step"):
        as_sequences(empty)
    one = filled_up(UNEQUAL, 2)
    one[1, 2, 1] = np.nan
    with pytest.raises(ValueError, match=r"X\[1\] must be finite, got NaN at step 2, feature 1"):
        as_sequences(one)


def test_arrays_of_other_libraries_have_a_remedy():
    """sktime and aeon have (n, F, T), and lists of (F, T)."""
    swapped = filled_up(UNEQUAL, 2).swapaxes(1, 2)
    with pytest.raises(ValueError, match=r"NaN at step 0, feature 3.*X\.swapaxes\(1, 2\)"):
        as_sequences(swapped)
    with pytest.raises(ValueError, match=r"X\[1\] must have 5 features .*\[x\.T for x in X\]"):
        as_sequences([np.ones((2, len(item))) for item in UNEQUAL])


def test_the_remedy_for_padding_in_a_list_cuts_it_off():
    for features in ((), (2,)):
        X = list(filled_up(UNEQUAL, *features))
        with pytest.raises(ValueError, match=r"X\[1\] must be finite, got NaN at step 3") as caught:
            as_sequences(X)
        remedy = str(caught.value).rsplit("X = ", 1)[1].removesuffix(".")
        assert as_sequences(eval(remedy, {"X": X, "np": np})).lengths.tolist() == [5, 3, 1]


finite = st.floats(allow_nan=False, allow_infinity=False, width=32)
dtypes = st.sampled_from([np.float32, np.float64])
items = npst.arrays(dtypes, st.tuples(st.integers(1, 5), st.just(3)), elements=finite)


@settings(deadline=None)
@given(st.lists(items, min_size=1, max_size=5))
def test_items_come_back_as_they_went_in(arrays):
    assert_same(as_sequences(arrays), arrays)
    assert_same(as_sequences([array.tolist() for array in arrays]), arrays)


@settings(max_examples=600, deadline=None)
@given(junk, dtypes)
def test_any_input_gives_sequences_or_an_error(X, dtype):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found = as_sequences(X, dtype)
        except (ValueError, TypeError) as error:
            assert len(str(error)) < 1000
            return
    assert isinstance(found, Sequences) and len(found) >= 1
    for item, length in zip(found.items, found.lengths, strict=True):
        assert item.shape == (length, found.n_features) and item.size > 0
        assert np.isfinite(item.astype(dtype)).all()


def test_moments_do_not_depend_on_the_memory_order():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(T, 3)) for T in (5, 9, 40)]
    found, other = (
        standardization_of(as_sequences([np.array(x, order=order) for x in X])) for order in "CF"
    )
    assert found.mean.tobytes() == other.mean.tobytes()
    assert found.variance.tobytes() == other.variance.tobytes()
