"""SequenceScaler standardises every form of sequences in any batches; make_windows cuts series."""

import pickle
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightrnn.exceptions import NotFittedError
from lightrnn.preprocessing import SequenceScaler, make_windows

LENGTHS = st.lists(st.integers(1, 30), min_size=1, max_size=8)
SEEDS = st.integers(0, 2**32 - 1)


def ragged(lengths, n_features, seed, dtype=np.float64):
    """Sequences whose features differ in place and scale by orders of magnitude."""
    rng = np.random.default_rng(seed)
    place, scale = 10.0 ** rng.integers(-3, 4, (2, n_features))
    return [(place + scale * rng.standard_normal((T, n_features))).astype(dtype) for T in lengths]


def same_moments(a, b, rtol):
    assert a.n_steps_seen_ == b.n_steps_seen_
    np.testing.assert_allclose(a.mean_, b.mean_, rtol=rtol)
    np.testing.assert_allclose(a.scale_, b.scale_, rtol=rtol)


@given(lengths=LENGTHS, n_features=st.integers(1, 5), seed=SEEDS)
def test_transformed_steps_have_mean_zero_and_deviation_one(lengths, n_features, seed):
    X = ragged(lengths, n_features, seed)
    scaled = np.concatenate(SequenceScaler().fit_transform(X))
    assert np.allclose(scaled.mean(axis=0), 0, atol=1e-7)
    assert np.allclose(scaled.std(axis=0), 1 if len(scaled) > 1 else 0, atol=1e-7)


@given(lengths=LENGTHS, n_features=st.integers(1, 5), seed=SEEDS, cut=st.integers(0, 8))
def test_partial_fit_in_batches_equals_fit_on_all(lengths, n_features, seed, cut):
    X = ragged(lengths, n_features, seed)
    batches = SequenceScaler()
    for batch in (X[:cut], X[cut:]):
        if batch:
            assert batches.partial_fit(batch) is batches
    same_moments(batches, SequenceScaler().fit(X), rtol=1e-9)


@given(lengths=LENGTHS, n_features=st.integers(1, 5), seed=SEEDS)
def test_inverse_transform_gives_the_data_back(lengths, n_features, seed):
    X = ragged(lengths, n_features, seed)
    scaler = SequenceScaler().fit(X)
    for x, back in zip(X, scaler.inverse_transform(scaler.transform(X)), strict=True):
        np.testing.assert_allclose(back, x, rtol=1e-12, atol=1e-12 * np.abs(x).max())


@pytest.mark.parametrize("batch", [1, 7, 1000, 5000])
def test_a_small_deviation_on_a_large_mean_is_not_lost(batch):
    # The textbook formula, mean of squares less square of the mean, has no digit right here.
    noise = np.random.default_rng(0).standard_normal((5000, 1)).round(3)
    steps = 1e9 + noise
    scaler = SequenceScaler()
    for start in range(0, len(steps), batch):
        scaler.partial_fit([steps[start : start + batch]])
    seen = steps - 1e9
    np.testing.assert_allclose(scaler.mean_, 1e9 + seen.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(scaler.scale_, seen.std(axis=0), rtol=1e-7)


def test_float32_data_is_summed_in_float64():
    steps = np.full((1_000_000, 1), 0.1, dtype=np.float32)
    steps[::2] += np.float32(1e-3)
    scaler = SequenceScaler().fit([steps])
    np.testing.assert_allclose(scaler.mean_, steps.astype(np.float64).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(scaler.scale_, steps.astype(np.float64).std(axis=0), rtol=1e-9)


@given(value=st.floats(-1e12, 1e12), lengths=st.lists(st.integers(1, 5000), min_size=1, max_size=4))
def test_a_constant_feature_is_only_centred(value, lengths):
    X = [np.full((T, 1), value) for T in lengths]
    scaler = SequenceScaler().fit(X)
    for x in X:
        scaler.partial_fit([x])
    assert scaler.scale_.tolist() == [1.0]
    assert not np.concatenate(scaler.transform(X)).any()


def as_object(items):
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


RNG = np.random.default_rng(0)
FORMS = {
    "list": [RNG.random((3, 2)), RNG.random((5, 2))],
    "tuple": (RNG.random((3, 2)), RNG.random((5, 2))),
    "object array": as_object([RNG.random((3, 2)), RNG.random((5, 2))]),
    "one feature": [RNG.random(3), RNG.random(5)],
    "array": RNG.random((4, 5, 3)),
    "frames": RNG.random((4, 5, 2, 3)),
    "colour frames": RNG.random((4, 5, 2, 3, 3)),
    "ragged frames": [RNG.random((3, 2, 4)), RNG.random((5, 2, 4))],
    "table": RNG.random((6, 4)),
    "integers": RNG.integers(0, 9, (4, 5, 3)),
    "flags": RNG.random((4, 5, 3)) < 0.5,
    "float32": [RNG.random((3, 2), dtype=np.float32), RNG.random((5, 2), dtype=np.float32)],
    "float32 array": RNG.random((4, 5, 3), dtype=np.float32),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_in_are_forms_out(form):
    X = FORMS[form]
    scaler = SequenceScaler().fit(X)
    Z = scaler.transform(X)
    back = scaler.inverse_transform(Z)
    assert type(Z) is type(back) is type(X) and len(Z) == len(X)
    for x, z, b in zip(X, Z, back, strict=True):
        assert z.shape == b.shape == x.shape
        assert z.dtype == b.dtype == (np.float32 if x.dtype == np.float32 else np.float64)
        np.testing.assert_allclose(b, x, rtol=1e-6, atol=1e-7)
        assert not np.shares_memory(z, x)
    if form != "tuple" and isinstance(X, np.ndarray) and X.dtype != object:
        assert Z.shape == X.shape


def test_frames_are_scaled_pixel_by_pixel_and_tables_as_one_feature():
    frames, table = FORMS["frames"], FORMS["table"]
    scaler = SequenceScaler().fit(frames)
    assert scaler.n_features_in_ == 6
    np.testing.assert_allclose(scaler.mean_, frames.mean(axis=(0, 1)).ravel())
    scaler.fit(table)
    assert scaler.n_features_in_ == 4
    np.testing.assert_allclose((scaler.mean_, scaler.scale_), [[table.mean()], [table.std()]])


def test_nested_lists_are_read_as_the_estimators_read_them():
    scaler = SequenceScaler()
    assert [z.shape for z in scaler.fit_transform([[1, 2, 3], [4, 5]])] == [(3,), (2,)]
    assert scaler.fit_transform([[1, 2, 3], [4, 5, 6]]).shape == (2, 3)
    assert [z.shape for z in scaler.fit_transform([[[1, 2], [3, 4]], [[5, 6]]])] == [(2, 2), (1, 2)]


def test_memory_maps_are_read_and_left_alone(tmp_path):
    items = []
    for i, T in enumerate((40_000, 3)):
        item = np.lib.format.open_memmap(
            tmp_path / f"{i}.npy", mode="w+", dtype=np.float32, shape=(T, 3)
        )
        item[:] = RNG.random((T, 3))
        items.append(item)
    copies = [np.array(item) for item in items]
    scaler = SequenceScaler().fit(items)
    same_moments(scaler, SequenceScaler().fit(copies), rtol=0)
    for z, item, copy in zip(scaler.transform(items), items, copies, strict=True):
        assert z.dtype == np.float32 and np.array_equal(item, copy)


def test_floats_of_another_byte_order_keep_their_precision():
    X = RNG.random((4, 5, 3)).astype(">f4")
    assert SequenceScaler().fit_transform(X).dtype == np.float32
    assert SequenceScaler().fit_transform(list(X))[0].dtype == np.float32


def test_fit_forgets_and_partial_fit_does_not():
    a, b = [np.zeros((4, 2))], [np.ones((4, 2))]
    assert SequenceScaler().fit(a).fit(b).mean_.tolist() == [1, 1]
    assert SequenceScaler().fit(a).partial_fit(b).mean_.tolist() == [0.5, 0.5]


def test_an_error_leaves_the_scaler_as_it_was():
    scaler = SequenceScaler().fit([np.arange(6.0).reshape(3, 2)])
    before = pickle.dumps(vars(scaler))
    for bad in (
        [np.full((3, 2), np.nan)],
        [np.ones((3, 5))],
        [],
        [np.array([[1e300, 0], [-1e300, 0]])],
    ):
        for method in (
            scaler.partial_fit,
            scaler.fit if np.shape(bad) != (1, 3, 5) else scaler.transform,
        ):
            with pytest.raises(ValueError, match="X"):
                method(bad)
    assert pickle.dumps(vars(scaler)) == before


def test_errors_name_their_cause():
    scaler = SequenceScaler()
    for method in (scaler.transform, scaler.inverse_transform, scaler.get_feature_names_out):
        with pytest.raises(NotFittedError, match="SequenceScaler instance is not fitted yet"):
            method(*([] if method == scaler.get_feature_names_out else [FORMS["list"]]))
    with pytest.raises(ValueError, match=r"X\[1\] must be finite, got NaN at step 2, feature 1"):
        scaler.fit([np.zeros((3, 2)), np.array([[0, 0], [0, 0], [0, np.nan]])])
    with pytest.raises(
        ValueError, match="X has 3 features, but SequenceScaler is expecting 2 features"
    ):
        scaler.fit(FORMS["list"]).transform(FORMS["array"])
    with pytest.raises(
        ValueError, match="variance that float64 can hold, got an overflow in feature 1"
    ):
        scaler.fit([np.array([[0, 1e200], [0, -1e200]])])


def test_pickle_changes_nothing():
    X = FORMS["list"]
    scaler = SequenceScaler().fit(X)
    again = pickle.loads(pickle.dumps(scaler))
    assert all(
        np.array_equal(a, b) for a, b in zip(scaler.transform(X), again.transform(X), strict=True)
    )


def test_dataframes_give_arrays_and_names():
    pandas = pytest.importorskip("pandas", reason="pandas is optional")
    frames = [pandas.DataFrame(x, columns=["left", "right"]) for x in FORMS["list"]]
    scaler = SequenceScaler().fit(frames)
    Z = scaler.transform(frames)
    assert [type(z) for z in Z] == [np.ndarray, np.ndarray]
    assert scaler.get_feature_names_out().tolist() == ["left", "right"]
    np.testing.assert_allclose(scaler.inverse_transform(Z)[1], frames[1])
    with pytest.raises(ValueError, match="feature names should match"):
        scaler.transform([frame[["right", "left"]] for frame in frames])


def test_scikit_learn_accepts_it():
    pytest.importorskip("sklearn", reason="scikit-learn is optional")
    from sklearn.utils.estimator_checks import check_estimator

    results = check_estimator(SequenceScaler(), on_skip=None)
    assert sum(result["status"] == "passed" for result in results) > 40


@pytest.mark.parametrize("form", ["list", "array", "frames", "table"])
def test_it_stands_in_a_pipeline(form):
    pytest.importorskip("sklearn", reason="scikit-learn is optional")
    from sklearn.base import clone
    from sklearn.dummy import DummyClassifier
    from sklearn.pipeline import make_pipeline

    X = list(FORMS[form]) * 4 if form == "list" else np.repeat(FORMS[form], 4, axis=0)
    y = np.arange(len(X)) % 2
    pipeline = clone(make_pipeline(SequenceScaler(), DummyClassifier())).fit(X, y)
    assert pipeline.predict(X).shape == y.shape
    assert not hasattr(clone(pipeline)[0], "mean_")


@given(
    T=st.integers(2, 40),
    F=st.integers(0, 3),
    length=st.integers(1, 10),
    horizon=st.integers(1, 10),
    seed=SEEDS,
)
def test_windows_and_the_steps_that_follow(T, F, length, horizon, seed):
    series = np.random.default_rng(seed).random((T, F) if F else T)
    if T < length + horizon:
        with pytest.raises(ValueError, match="series must have at least length"):
            make_windows(series, length, horizon)
        return
    X, y = make_windows(series, length, horizon)
    n, width = T - length - horizon + 1, max(F, 1)
    assert X.shape == (n, length, width)
    assert y.shape == ((n,) if horizon * width == 1 else (n, horizon * width))
    for i in range(n):
        assert np.array_equal(X[i], series[i : i + length].reshape(length, width))
        assert np.array_equal(np.ravel(y[i]), series[i + length : i + length + horizon].ravel())


def test_windows_are_views_and_targets_are_not():
    series = np.arange(10.0)
    X, y = make_windows(series, 3)
    assert np.shares_memory(X, series) and not X.flags.writeable
    assert not np.shares_memory(y, series) and y.flags.writeable


def test_windows_of_a_data_frame():
    pandas = pytest.importorskip("pandas", reason="pandas is optional")
    frame = pandas.DataFrame({"a": [1, 2, 3, 4], "b": [5, 6, 7, 8]})
    X, y = make_windows(frame, 2)
    assert X.tolist() == [[[1, 5], [2, 6]], [[2, 6], [3, 7]]] and y.tolist() == [[3, 7], [4, 8]]


@pytest.mark.parametrize(
    "series",
    [np.arange(5).astype(object), [Decimal(t) for t in range(5)], np.ma.arange(5)],
    ids=["objects", "decimals", "masked"],
)
def test_windows_of_numbers_of_any_type(series):
    X, y = make_windows(series, 3)
    assert X[..., 0].tolist() == [[0, 1, 2], [1, 2, 3]] and y.tolist() == [3, 4]


@pytest.mark.parametrize(
    "series", [np.ma.array([1, 2, -9999, 4], mask=[0, 0, 1, 0]), [1, 2, None, 4], [1, 2, np.nan, 4]]
)
def test_windows_hold_no_missing_value(series):
    with pytest.raises(ValueError, match="series must be finite, got NaN at step 2, feature 0"):
        make_windows(series, 2)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((np.zeros(5), 0), "length"),
        ((np.zeros(5), 2.5), "length"),
        ((np.zeros(5), 2, 0), "horizon"),
        ((np.zeros(5), 2, True), "horizon"),
        ((np.zeros((2, 2, 2)), 1), r"series must be \(T,\) or \(T, F\), got shape \(2, 2, 2\)"),
        ((np.float64(3), 1), "series"),
        ((["a", "b", "c"], 1), "series must hold real numbers"),
        (([], 1), r"series must have steps and features, got shape \(0,\)"),
        ((np.ones((5, 0)), 1), "series must have steps and features"),
        ((np.zeros(5, dtype=complex), 1), "series must hold real numbers"),
    ],
)
def test_bad_series_are_refused(arguments, text):
    with pytest.raises((TypeError, ValueError), match=text):
        make_windows(*arguments)


@pytest.mark.parametrize("level", [0.3, 1e9, -7e-12])
def test_a_feature_that_is_constant_up_to_rounding_is_only_centred(level):
    rounded = np.nextafter(level, np.inf)
    X = [np.full((3, 1), level), np.full((4, 1), rounded)]
    scaler = SequenceScaler().fit(X)
    assert scaler.scale_.tolist() == [1.0]
    assert np.abs(np.concatenate(scaler.transform(X))).max() <= abs(rounded - level)
