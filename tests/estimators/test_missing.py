"""With `missing="mask"`, NaN are missing values, as if their columns had been made by hand."""

import numpy as np
import pytest
from helpers.strategies import CELLS, DTYPES
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn import RNNClassifier, RNNRegressor, load
from lightrnn.inspection import attribution

QUICK = {"hidden_layer_sizes": (4,), "max_iter": 2, "learning_rate": "cosine", "random_state": 0}
MASK = QUICK | {"missing": "mask"}


def with_gaps(rng, lengths, F=2, share=0.4):
    """Return sequences with NaN in them."""
    X = [3 * rng.normal(size=(T, F)) + 7 for T in lengths]
    for x in X:
        x[rng.random(x.shape) < share] = np.nan
    return X


def by_hand(x, fill):
    """Return values with the last one carried, marks, and steps since, column by column."""
    values, marks, since = (np.zeros_like(x) for _ in range(3))
    for column, start in enumerate(fill):
        last, elapsed = start, 0
        for t, value in enumerate(x[:, column]):
            there = not np.isnan(value)
            last, elapsed = (value, 0) if there else (last, elapsed + 1)
            values[t, column] = last
            marks[t, column] = there
            since[t, column] = elapsed
    return np.hstack([values, marks, since])


def same_weights(one, other):
    return all(np.array_equal(array, other.weights_[name]) for name, array in one.weights_.items())


RNG = np.random.default_rng(0)
X = with_gaps(RNG, range(1, 15))
Y = np.arange(14) % 2


@settings(max_examples=15)
@given(
    cell=st.sampled_from(CELLS),
    dtype=st.sampled_from(DTYPES),
    standardize=st.booleans(),
    table=st.booleans(),
    weighted=st.booleans(),
    p=st.integers(1, 3),
    F=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_it_is_the_network_of_columns(cell, dtype, standardize, table, weighted, p, F, seed):
    rng = np.random.default_rng(seed)
    data = with_gaps(rng, range(2, 10), 1 if table else F)
    weights = rng.integers(1, 4, 8) if weighted else np.ones(8)
    given = data
    if table:
        for x in data:
            x[-1] = 5.0  # NaN would end a row
        given = np.full((8, 9), np.nan)
        for row, x in zip(given, data, strict=True):
            row[: len(x)] = x[:, 0]
    y = rng.normal(size=8)
    options = {"cell": cell, "dtype": dtype, "window": 3, "patch": p}
    model = RNNRegressor(**MASK | options, standardize=standardize).fit(given, y, weights)
    steps = np.concatenate(data)
    w = np.repeat(weights, [len(x) for x in data])[:, None] * ~np.isnan(steps)
    fill = np.nansum(w * steps, axis=0) / np.maximum(w.sum(axis=0), 1)
    columns = [by_hand(x, fill) for x in data]
    assert np.allclose(model._model.form.fill, fill)
    columns = [by_hand(x, model._model.form.fill) for x in data]
    if standardize:
        variance = np.nansum(w * (steps - fill) ** 2, axis=0) / np.maximum(w.sum(axis=0), 1)
        scale = np.where(variance > 1e-20, np.sqrt(variance), 1)
        assert np.allclose(model.X_mean_, fill) and np.allclose(model.X_scale_, scale)
        standardization = model._model.standardization
        together, repeated = np.concatenate(columns), np.repeat(weights, [len(x) for x in data])
        average = np.average(together, axis=0, weights=repeated)
        assert np.allclose(standardization.mean[len(fill) :], average[len(fill) :])
        columns = [standardization.applied(x, np.dtype(dtype)) for x in columns]
    plain = RNNRegressor(**QUICK | options, standardize=False).fit(columns, y, weights)
    assert same_weights(model, plain)
    assert np.array_equal(model.predict(given), plain.predict(columns))


@pytest.mark.parametrize("patch", [1, 3])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_a_stream_is_the_whole_sequence(cell, standardize, patch):
    model = RNNRegressor(cell, window=3, patch=patch, standardize=standardize, **MASK).fit(X, Y)
    one = model.stream()
    for x in (X[5], X[11]):  # whole patches
        one.reset()
        answers = [one.step(row) for row in x]
        assert answers[-1] == model.predict([x])[0]
    both = model.stream(2)
    for rows in zip(X[11][:4], X[5][:4], strict=True):
        both.step(np.array(rows))
    state = both.state
    both.reset(1)
    assert not both.state["elapsed"][1].any() and np.array_equal(
        both.state["last_value"][1], model._model.form.fill
    )
    both.state = state
    with pytest.raises(ValueError, match="x must be finite in float32, got inf"):
        both.step([[np.inf, 1], [np.nan, 2]])
    assert all(np.array_equal(part, state[name]) for name, part in both.state.items())
    for rows in zip(X[11][4:6], X[5][4:6], strict=True):
        answer = both.step(np.array(rows))
    assert np.array_equal(answer, model.predict([X[11][:6], X[5]]))
    assert one.step([None, 1.0]) is None if patch > 1 else np.isfinite(one.step([None, 1.0]))


def test_a_third_missing_is_better_than_filled_by_zero():
    rng = np.random.default_rng(0)
    level = np.cumsum(rng.normal(size=(400, 12)), axis=1)
    y = level[:, -1]
    gaps = [np.where(rng.random((12, 1)) < 0.3, np.nan, x[:, None]) for x in level]
    options = {"cell": "gru", "hidden_layer_sizes": (16,), "max_iter": 25, "random_state": 0}
    options |= {"learning_rate": "cosine", "learning_rate_init": 0.01}
    masked = RNNRegressor(missing="mask", **options).fit(gaps[:200], y[:200])
    zeros = [np.nan_to_num(x) for x in gaps]
    filled = RNNRegressor(**options).fit(zeros[:200], y[:200])
    scores = masked.score(gaps[200:], y[200:]), filled.score(zeros[200:], y[200:])
    assert scores[0] > scores[1] + 0.02 and scores[0] > 0.9


def test_it_is_saved_and_goes_on(tmp_path):
    model = RNNClassifier("gru", **MASK).fit(X, Y, X_val=X[:4], y_val=Y[:4])
    assert model.n_features_in_ == 2 and model.X_mean_.shape == (2,)
    model.save(tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert loaded.missing == "mask"
    assert np.array_equal(loaded.predict_proba(X), model.predict_proba(X))
    fill = loaded._model.form.fill
    shifted = [x + 100 for x in X]
    for going_on in (loaded.partial_fit, loaded.set_params(warm_start=True).fit):
        assert np.array_equal(going_on(shifted, Y)._model.form.fill, fill)
    loaded.set_params(missing="error")
    for going_on in (loaded.partial_fit, loaded.fit):
        with pytest.raises(ValueError, match="missing must stay 'mask' while training goes on"):
            going_on([np.ones((2, 2))] * 14, Y)
    first, *parts = np.array_split(np.arange(14), 4)
    by_parts = RNNClassifier("gru", **MASK)
    for part in (first, *parts):
        by_parts.partial_fit([X[i] for i in part], Y[part], classes=[0, 1])
    assert np.isfinite(by_parts.predict_proba(X)).all()


def test_without_missing_values_the_marks_say_nothing():
    whole = [np.nan_to_num(x) for x in X]
    model = RNNRegressor("rnn", **MASK).fit(whole, Y)
    (columns,) = model._model.form.encoded(model._read_steps(model._model, whole[:1])).items
    assert np.array_equal(columns, np.hstack([whole[0], [[1, 1, 0, 0]]]))
    # A feature that was never there, and sequences without any value.
    never = [np.where([True, False], np.nan, x) for x in X]
    assert np.isfinite(RNNRegressor("rnn", **MASK).fit(never, Y).predict(never)).all()


def test_what_is_refused():
    for bad, shown in ((np.inf, "inf"), (1e300, r"1e\+300")):
        data = [x.copy() for x in X]
        data[3][1, 0] = bad
        with pytest.raises(ValueError, match=rf"X\[3\] must be finite, got {shown} at step 1"):
            RNNRegressor(**MASK).fit(data, Y)
    with pytest.raises(ValueError, match="missing must be 'error' for tokens, got 'mask'"):
        RNNClassifier(**MASK).fit(["ab", "ba"], [0, 1])
    with pytest.raises(ValueError, match="take them with missing='mask'"):
        RNNClassifier(**QUICK).fit(X, Y)
    table = np.ones((4, 3))
    table[1] = np.nan
    with pytest.raises(ValueError, match=r"X\[1\] must be finite, got NaN at every step"):
        RNNClassifier(**MASK).fit(table, Y[:4])


def test_memory_maps_stay_on_disk(tmp_path):
    maps = []
    for i, x in enumerate(X[6:12]):
        maps.append(np.memmap(tmp_path / f"{i}", np.float64, "w+", shape=x.shape))
        maps[-1][:] = x
    for options in ({"target": "step", "truncate": 3}, {"patch": 4}):
        y = [np.arange(len(x)) % 2 for x in maps] if "truncate" in options else Y[:6]
        model = RNNClassifier("rnn", **MASK, **options).fit(maps, y)
        items = model._read_sequences(model._model, maps)
        assert not any(isinstance(x, np.ndarray) for x in items)
        assert same_weights(model, RNNClassifier("rnn", **MASK, **options).fit(X[6:12], y))
        for a, b in zip(model.predict_proba(maps), model.predict_proba(X[6:12]), strict=True):
            assert np.array_equal(a, b)


@pytest.mark.parametrize("method", ["occlusion", "gradient"])
def test_steps_are_attributed(method):
    model = RNNRegressor("gru", **MASK).fit(X, Y)
    found = attribution(model, X, method=method)
    assert [len(steps) for steps in found] == [len(x) for x in X]
    # A step that is missing already is not missed.
    alone = np.array([[1.0, 2.0], [np.nan, np.nan], [3.0, 4.0]])
    assert method == "gradient" or attribution(model, [alone], method=method)[0][1] == 0


def test_scikit_learn_knows():
    checks = pytest.importorskip("sklearn.utils", reason="reads the tags")
    for missing in ("error", "mask"):
        tags = checks.get_tags(RNNClassifier(missing=missing))
        assert tags.input_tags.allow_nan is (missing == "mask")
