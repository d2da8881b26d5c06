"""Every layout of another library becomes the same list of sequences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightrnn.preprocessing import as_sequences


def equal(found, expected):
    return len(found) == len(expected) and all(map(np.array_equal, found, expected))


@pytest.mark.filterwarnings("ignore:data is read as:UserWarning")
@given(
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    F=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_layouts_hold_the_same_sequences(lengths, F, seed):
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(T, F)) for T in lengths]
    assert equal(as_sequences([x.T for x in X], form="aeon"), X)
    filled = np.full((len(X), max(lengths) + 1, F), np.nan)
    for row, x in zip(filled, X, strict=True):
        row[: len(x)] = x
    assert equal(as_sequences(filled, form="tslearn"), X)
    joined = np.concatenate(X)
    assert equal(as_sequences(joined, form="hmmlearn", lengths=lengths), X)
    pandas = pytest.importorskip("pandas", reason="makes DataFrames")
    names = np.repeat([f"s{-i}" for i in range(len(X))], lengths)
    times = np.concatenate([np.arange(T) for T in lengths])
    values = {f"x{j}": joined[:, j] for j in range(F)}
    frame = pandas.DataFrame({"id": names, "time": times, **values})
    assert equal(as_sequences(frame.set_index(["id", "time"]), form="sktime"), X)
    mixed = frame.iloc[rng.permutation(len(frame))]
    order = list(dict.fromkeys(mixed["id"]))
    expected = [X[-int(name[1:])] for name in order]
    assert equal(as_sequences(mixed, form="long"), expected)
    # Wherever the columns stand, once they are named.
    named = mixed[[*values, "time", "id"]]
    assert equal(as_sequences(named, form="long", sequence="id", time="time"), expected)
    assert equal(as_sequences(named[["time", "id", *values]], form="long", time="time"), expected)


def test_arrays_of_channels():
    X = np.arange(24.0).reshape(2, 3, 4)
    for form in ("aeon", "sktime"):
        assert equal(as_sequences(X, form=form), list(X.swapaxes(1, 2)))


REFUSED = {
    "form": (np.ones((2, 3, 4)), {"form": "sktim"}, "Did you mean 'sktime'"),
    "axes": (np.ones((2, 3)), {"form": "aeon"}, r"data must have the shape \(n, channels, time\)"),
    "flat": ([np.ones(3)], {"form": "aeon"}, r"data\[0\] must have the shape \(channels, time\)"),
    "nothing": (np.full((1, 2, 1), np.nan), {"form": "tslearn"}, r"data\[0\] must have at least"),
    "no lengths": (np.ones((4, 1)), {"form": "hmmlearn"}, "lengths must be given for form='hmm"),
    "lengths": (np.ones((4, 1)), {"form": "aeon", "lengths": [4]}, "lengths must be given for"),
    "sum": (np.ones((4, 1)), {"form": "hmmlearn", "lengths": [1, 2]}, "with the sum 4"),
    "column": (np.ones((2, 3, 4)), {"form": "aeon", "time": "t"}, "time must be None for form"),
    "no frame": (np.ones((4, 3)), {"form": "long"}, "must be a DataFrame with a row for each step"),
}


def test_text_is_refused_as_text():
    with pytest.raises(TypeError, match="data must hold numbers, got text"):
        as_sequences(np.full((2, 3, 1), "a"), form="tslearn")


@pytest.mark.parametrize("case", REFUSED)
def test_other_data_are_refused(case):
    data, options, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        as_sequences(data, **options)


def test_a_time_that_occurs_twice_is_refused():
    pandas = pytest.importorskip("pandas", reason="makes DataFrames")
    frame = pandas.DataFrame({"id": ["a", "a"], "t": [1, 1], "x": [1.0, 2.0]})
    with pytest.raises(ValueError, match="one row for each time of a sequence, got 1 twice for 'a"):
        as_sequences(frame, form="long")
    with pytest.raises(ValueError, match=r"must have an index \(instance, time\)"):
        as_sequences(frame[["t", "x"]], form="sktime")


LONG = {"id": [7, 7, 8], "time": [0, 1, 0], "x": [1.0, 2.0, 3.0]}


@pytest.mark.parametrize(
    "label",
    [
        ["a", "a", "b"],
        [0.5, None, "b"],
        np.array(["2026-01-01"] * 3, "M8[ns]"),
        np.zeros(3, "m8[s]"),
    ],
    ids=["text", "some text", "dates", "durations"],
)
def test_a_column_of_features_that_holds_no_numbers_is_named(label):
    pandas = pytest.importorskip("pandas", reason="makes DataFrames")
    frame = pandas.DataFrame({**LONG, "label": label})
    with pytest.raises(TypeError, match=r"'label'\. Leave it out: data\.drop\(columns='label'\)"):
        as_sequences(frame, form="long")
    assert list(map(len, as_sequences(frame.drop(columns="label"), form="long"))) == [2, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sequence": "window"}, "sequence must be a column of data, got 'window'"),
        ({"time": 0}, "time must be a column of data, got 0"),
        ({"sequence": "id", "time": "id"}, "must be two columns of data"),
    ],
    ids=str,
)
def test_other_columns_are_refused(options, message):
    pandas = pytest.importorskip("pandas", reason="makes DataFrames")
    with pytest.raises(ValueError, match=message):
        as_sequences(pandas.DataFrame(LONG), form="long", **options)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"id": ["a", None, "a"]}, ValueError, "got a missing value in column 'id'"),
        ({"id": [1.0, np.nan, 2.0]}, ValueError, "got a missing value in column 'id'"),
        ({"time": np.array(["2026", "NaT", "2026"], "M8[ns]")}, ValueError, "in column 'time'"),
        ({"time": ["noon", 1, 2]}, TypeError, "data must have times of one type"),
    ],
    ids=["no name", "nan", "no time", "mixed times"],
)
def test_names_and_times_that_say_nothing_are_refused(changed, error, message):
    pandas = pytest.importorskip("pandas", reason="makes DataFrames")
    with pytest.raises(error, match=message):
        as_sequences(pandas.DataFrame(LONG | changed), form="long")


def test_columns_of_one_name_and_no_rows_are_refused():
    pandas = pytest.importorskip("pandas", reason="makes DataFrames")
    frame = pandas.DataFrame(LONG)
    with pytest.raises(ValueError, match="must have columns of different names"):
        as_sequences(frame.set_axis(["id", "time", "time"], axis=1), form="long")
    with pytest.raises(ValueError, match="with a row for each step"):
        as_sequences(frame[:0], form="long")


def test_names_of_any_kind_name_sequences():
    pandas = pytest.importorskip("pandas", reason="makes DataFrames")
    frame = pandas.DataFrame(LONG | {"id": ["a", "a", 8]})
    assert [x.ravel().tolist() for x in as_sequences(frame, form="long")] == [[1, 2], [3]]


def test_names_that_occur_once_each_give_a_warning():
    pandas = pytest.importorskip("pandas", reason="makes DataFrames")
    frame = pandas.DataFrame(LONG)[["x", "time", "id"]]
    with pytest.warns(UserWarning, match="as 3 sequences of one step, .* in column 'x'"):
        as_sequences(frame, form="long")
    as_sequences(frame[:1], form="long")  # one sequence of one step is one
