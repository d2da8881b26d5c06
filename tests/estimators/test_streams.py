"""A stream says, to the last bit, what the estimator says of the whole sequence so far."""

import copy
import pickle
import tracemalloc
from decimal import Decimal

import numpy as np
import pytest
from helpers.strategies import CELLS, DTYPES, POOLINGS
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor

QUICK = {"max_iter": 1, "learning_rate": "cosine", "random_state": 0, "window": 4}


def data(n=6, T=7, F=3):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, T, F)), rng.normal(size=(n, 2))


def same(got, want):
    kinds = np.asarray(got).dtype, np.asarray(want).dtype
    return np.array_equal(got, want) and (
        kinds[0] == kinds[1] or kinds[0].kind == kinds[1].kind == "U"
    )


@settings(max_examples=30)
@given(
    cell=st.sampled_from(CELLS),
    dtype=st.sampled_from(DTYPES),
    sizes=st.lists(st.integers(1, 20), min_size=1, max_size=3).map(tuple),
    F=st.integers(1, 5),
    kind=st.sampled_from(["label", "multilabel", "number", "numbers"]),
    pooling=st.sampled_from(["step", *POOLINGS]),
)
def test_every_step_is_the_prediction_for_the_sequence_so_far(cell, dtype, sizes, F, kind, pooling):
    target = "sequence"
    if pooling == "step":
        target, pooling = pooling, "last"
    X, Y = data(F=F)
    y = {
        "label": np.array(["no", "yes"] * 3),
        "multilabel": (Y > 0).astype(int),
        "number": Y[:, 0],
        "numbers": Y,
    }[kind]
    if target == "step":
        y = [np.repeat(np.asarray(row)[None], 7, axis=0) for row in y]
    estimator = RNNRegressor if kind.startswith("number") else RNNClassifier
    options = {"dtype": dtype, "target": target, "pooling": pooling}
    model = estimator(cell, sizes, **options, **QUICK).fit(X, y)
    methods = ["predict", "transform"] + ["predict_proba"] * (estimator is RNNClassifier)
    for method in methods:
        one, many = model.stream(method=method), model.stream(3, method=method)
        for t in range(7):
            whole = getattr(model, method)([x[: t + 1] for x in X[:3]])
            want = [rows[-1] for rows in whole] if target == "step" else whole
            assert same(one.step(X[0, t]), want[0])
            assert same(many.step(X[:3, t]), np.array(want))


@pytest.mark.parametrize(
    "options", [{}, {"tie_weights": True, "embedding_size": 6}, {"output": "adaptive"}]
)
@pytest.mark.parametrize("cell", CELLS)
def test_language_models_stream_tokens(cell, options):
    text = "to be or not to be"
    model = RNNLanguageModel(cell, (6,), max_iter=1, random_state=0, window=3, **options).fit(
        [text] * 3
    )
    stream = model.stream()
    for _ in range(2):
        for t in range(1, 5):
            assert same(stream.step(text[t - 1]), model.predict_proba([text[:t]])[0])
        stream.reset()


def test_tokens_and_categories():
    X = [["a", "b", "c"], ["c", "b"]] * 3
    model = RNNClassifier("gru", (4,), **QUICK).fit(X, [0, 1] * 3)
    one, many = model.stream(), model.stream(2)
    for t in range(2):
        assert same(one.step(X[0][t]), model.predict([X[0][: t + 1]])[0])
        assert same(
            many.step([X[0][t], "unseen"]), model.predict([X[0][: t + 1], ["unseen"] * (t + 1)])
        )
    numbers = [[3, 1, 2], [2, 1]] * 3
    model = RNNClassifier("gru", (4,), tokens="category", **QUICK).fit(numbers, [0, 1] * 3)
    by_number = model.stream(method="predict_proba")
    for t, token in enumerate([3, np.int64(1), 2]):
        assert same(by_number.step(token), model.predict_proba([numbers[0][: t + 1]])[0])
    with pytest.raises(TypeError, match="x must be a token, str or integer, got"):
        one.step(1.5)
    for bad in (["a"], 3, "ab"):
        with pytest.raises(ValueError, match="x must be 2 tokens, got"):
            many.step(bad)
    words = (
        RNNClassifier("gru", (4,), tokens="word", **QUICK)
        .fit(["to be", "not to be"] * 3, [0, 1] * 3)
        .stream()
    )
    with pytest.raises(ValueError, match="x must be one word, got 'to be'"):
        words.step("to be")
    with pytest.raises(TypeError, match="x must be a token, str, got 7"):
        words.step(7)


@pytest.mark.parametrize("cell", CELLS)
def test_streams_begin_anew_one_by_one(cell):
    X, Y = data()
    model = RNNRegressor(cell, (5, 4), **QUICK).fit(X, Y[:, 0])
    stream = model.stream(6)
    for t in range(4):
        stream.step(X[:, t])
    stream.reset(2)
    answers = stream.step(X[:, 4])
    whole = model.predict(X[:, :5])
    whole[2] = model.predict(X[2:3, 4:5])[0]
    assert np.array_equal(answers, whole)
    stream.reset()
    assert np.array_equal(stream.step(X[:, 0]), model.predict(X[:, :1]))
    with pytest.raises(ValueError, match="index must be an integer from 0 to 5, got 6"):
        stream.reset(6)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("n_streams", [None, 2])
def test_states_are_read_set_and_restored(cell, n_streams):
    X, Y = data()
    pooling = "last" if n_streams is None else "attention"
    model = RNNRegressor(cell, (5, 4), pooling=pooling, **QUICK).fit(X, Y)
    stream = model.stream(n_streams)
    inputs = X[0] if n_streams is None else X[:2].transpose(1, 0, 2)
    for x in inputs[:3]:
        stream.step(x)
    state, snapshot = stream.state, stream.snapshot()
    names = {"lstm": ["layer0.h", "layer0.c", "layer1.h", "layer1.c"], "ffnn": ["inputs"]}
    pooled = ["pooling.h", "pooling.weight", "pooling.score"] if n_streams else []
    assert list(state) == names.get(cell, ["layer0.h", "layer1.h"]) + pooled
    shallow = RNNRegressor(cell, (5, 4), pooling=pooling, **QUICK).fit(X, Y)
    features = stream_features(shallow, inputs[:3], n_streams)
    if pooled:
        assert np.array_equal(state["pooling.h"], features)
        assert state["pooling.weight"].shape == state["pooling.score"].shape == (n_streams, 1)
    elif cell != "ffnn":
        assert np.array_equal(state["layer1.h"], features)
    answers = [np.array(stream.step(x)) for x in inputs[3:]]
    stream.restore(snapshot)
    assert np.array_equal(answers, [stream.step(x) for x in inputs[3:]])
    other = model.stream(n_streams)
    other.state = state
    assert np.array_equal(answers, [other.step(x) for x in inputs[3:]])
    state[next(iter(state))][:] = 9
    assert not np.array_equal(other.state[next(iter(state))], state[next(iter(state))])


def stream_features(model, inputs, n_streams):
    stream = model.stream(n_streams, method="transform")
    return [stream.step(x).copy() for x in inputs][-1]


def test_a_stream_is_not_changed_by_further_fitting():
    X, Y = data()
    model = RNNRegressor("lstm", (5,), **QUICK).fit(X, Y)
    stream, before = model.stream(), model.predict(X[:1, :2])[0]
    stream.step(X[0, 0])
    model.partial_fit(X, Y)
    assert np.array_equal(stream.step(X[0, 1]), before) and not np.array_equal(
        model.predict(X[:1, :2])[0], before
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_streams", [None, 2])
def test_answers_and_states_are_not_overwritten_later(dtype, n_streams):
    X, Y = data()
    model = RNNRegressor("lstm", (5,), dtype=dtype, **QUICK).fit(X, Y.astype(dtype))
    for method in ("predict", "transform"):
        stream = model.stream(n_streams, method=method)
        first = stream.step(X[0, 0] if n_streams is None else X[:2, 0])
        kept = first.copy()
        stream.step(X[0, 1] if n_streams is None else X[:2, 1])
        assert np.array_equal(first, kept)


def test_memory_does_not_grow():
    X, Y = data()
    stream = RNNRegressor("gru", (5,), **QUICK).fit(X, Y).stream()
    for x in X[0]:
        stream.step(x)
    tracemalloc.start()
    for _ in range(2000):
        stream.step(X[0, 0])
    assert tracemalloc.get_traced_memory()[0] < 2000
    tracemalloc.stop()


@pytest.mark.parametrize("cell", CELLS)
def test_a_refused_step_leaves_the_stream_where_it_was(cell):
    X, Y = data()
    model = RNNRegressor(cell, (5,), **QUICK).fit(X, Y)
    stream, other = model.stream(), model.stream()
    for s in (stream, other):
        s.step(X[0, 0])
    for bad, error, message in (
        (np.array([1, np.nan, 0]), ValueError, "x must be finite in float32, got nan"),
        (np.array([1, 1e300, 0]), ValueError, "x must be finite in float32, got inf"),
        (np.zeros(2), ValueError, r"x must have the shape \(3,\), got an array of shape \(2,\)"),
        (np.zeros((1, 3)), ValueError, "predict takes whole sequences"),
        ("abc", TypeError, "x must be numbers, got 'abc'"),
        (None, TypeError, "x must be numbers, got None"),
    ):
        with pytest.raises(error, match=message):
            stream.step(bad)
    assert np.array_equal(stream.step(X[0, 1]), other.step(X[0, 1]))
    assert np.array_equal(stream.step([1, 2.5, False]), other.step(np.array([1, 2.5, 0])))


def test_a_row_of_a_data_frame_is_held_to_the_columns_of_fit():
    pandas = pytest.importorskip("pandas", reason="pandas is optional")
    X, y = data(F=2)
    frames = [pandas.DataFrame(x, columns=["u", "v"]) for x in X]
    model = RNNRegressor("rnn", (3,), **QUICK).fit(frames, y[:, 0])
    (_, row), *_ = frames[0].iterrows()
    want = model.stream().step(X[0, 0])
    for x in (row, row.astype(object), row.astype("Float64"), row.to_list()):
        assert model.stream().step(x) == want
    stream = model.stream()
    many = model.stream(2)
    for refused, x in ((stream.step, row[["v", "u"]]), (many.step, frames[0][["v", "u"]][:2])):
        with pytest.raises(ValueError, match=r"same order .*\n.*\['u', 'v'\]"):
            refused(x)
    with pytest.raises(ValueError, match="unseen at fit time"):
        stream.step(row.rename({"v": "w"}))
    # The columns of a table are steps.
    table = pandas.DataFrame(X[..., 0], columns=list("abcdefg"))
    assert np.isfinite(RNNRegressor("rnn", (3,), **QUICK).fit(table, y[:, 0]).stream().step(1.0))


@pytest.mark.parametrize("x", [[Decimal("1.5"), 2], np.array([1.5, 2], object), [1.5, np.int8(2)]])
def test_numbers_of_any_type_are_numbers(x):
    X, y = data(F=2)
    model = RNNRegressor("rnn", (3,), **QUICK).fit(X, y)
    assert np.array_equal(model.stream().step(x), model.stream().step([1.5, 2.0]))


@pytest.mark.parametrize("x", [np.ma.array([1, -9999], mask=[0, 1]), [1.5, None]])
def test_a_missing_value_is_no_number(x):
    X, y = data(F=2)
    with pytest.raises(ValueError, match="x must be finite in float32, got nan"):
        RNNRegressor("rnn", (3,), **QUICK).fit(X, y).stream().step(x)


@pytest.mark.parametrize("x", [1.5, Decimal("1.5"), np.array(1.5), [1.5], None, np.nan])
def test_a_number_by_itself_is_a_step_of_one_feature(x):
    X, y = data(F=1)
    X[0, 1] = np.nan
    model = RNNRegressor("rnn", (3,), missing="mask", **QUICK).fit(X, y)
    step = [np.nan if x is None else float(np.ravel(x)[0])]
    assert np.array_equal(model.stream().step(x), model.stream().step(step))
    with pytest.raises(ValueError, match=r"got inf\. Rescale it, or leave the step out"):
        model.stream().step(np.inf)


@pytest.mark.parametrize("twice", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_stream_is_not_copied_but_its_snapshot_is(twice):
    """A copy would answer with the state of the stream that it was made of."""
    X, y = data()
    model = RNNRegressor("gru", (3,), **QUICK).fit(X, y)
    stream = model.stream()
    stream.step(X[0, 0])
    with pytest.raises(TypeError, match="cannot be copied or pickled"):
        twice(stream)
    other = model.stream()
    other.restore(pickle.loads(pickle.dumps(stream.snapshot())))
    assert same(other.step(X[0, 1]), stream.step(X[0, 1]))


def test_what_cannot_stream_is_refused():
    X, Y = data()
    with pytest.raises(ValueError, match="not fitted"):
        RNNRegressor().stream()
    model = RNNRegressor("gru", (4,), bidirectional=True, **QUICK).fit(X, Y)
    with pytest.raises(ValueError, match="bidirectional must be False for a stream"):
        model.stream()
    model = RNNRegressor("gru", (4,), **QUICK).fit(X, Y)
    with pytest.raises(
        ValueError, match="method must be one of 'predict', 'transform', got 'predict_proba'"
    ):
        model.stream(method="predict_proba")
    with pytest.raises(ValueError, match="n_streams must be an integer of at least 1, got 0"):
        model.stream(0)
    stream = model.stream()
    with pytest.raises(ValueError, match=r"state must hold layer0\.h"):
        stream.state = {"h": np.zeros(4)}
    with pytest.raises(
        ValueError, match=r"state\['layer0.h'\] must be finite numbers of shape \(4,\)"
    ):
        stream.state = {"layer0.h": np.zeros(5)}
    with pytest.raises(
        ValueError, match=r"state\['layer0.h'\] must be finite numbers of shape \(4,\)"
    ):
        stream.state = {"layer0.h": "abc"}
    with pytest.raises(ValueError, match=r"state must hold layer0\.h, got 3"):
        stream.state = 3
    for bad in (model.stream(2).snapshot(), None, ([[0.0] * 4],), (["a", [1]],)):
        with pytest.raises(ValueError, match="snapshot must be one of this network's streams"):
            stream.restore(bad)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("n_streams", [None, 2])
def test_a_step_on_which_the_network_overflows_leaves_the_stream_where_it_was(cell, n_streams):
    X, Y = data()
    model = RNNRegressor(cell, (5, 20), **QUICK).fit(X, Y)
    x = 9 * X[0, 0] if n_streams is None else 9 * X[:2, 0]
    hidden = model.stream(n_streams, method="transform")
    state = {name: array + 0.5 for name, array in hidden.state.items()}
    hidden.state = state
    features = np.atleast_2d(hidden.step(x))[-1]
    network = model._model.network
    # Every product is finite, but not their sum.
    W = np.repeat(3e38 * np.sign(features)[:, None], 2, axis=1)
    network.assign(network.arrays() | {"head.W": W})
    stream = model.stream(n_streams)
    stream.state = state
    with pytest.raises(ValueError, match="x must give finite outputs, but its values, up to"):
        stream.step(x)
    assert all(np.array_equal(stream.state[name], array) for name, array in state.items())


@pytest.mark.parametrize("cell", ["ffnn", "lstm"])
@pytest.mark.parametrize("n_streams", [None, 2])
def test_a_state_that_is_not_finite_numbers_is_refused_before_any_part_is_set(cell, n_streams):
    X, Y = data()
    stream = RNNRegressor(cell, (5,), **QUICK).fit(X, Y).stream(n_streams)
    state, snapshot = stream.state, stream.snapshot()
    for bad in (np.nan, np.inf, 1e300, "7", None, 1j, "2020-01-01"):
        wrong = {name: np.full_like(array, 0.5) for name, array in state.items()}
        last = list(wrong)[-1]
        wrong[last] = np.full(state[last].shape, bad)
        if bad == "2020-01-01":
            wrong[last] = wrong[last].astype("M8[s]")
        with pytest.raises(ValueError, match=r"must be finite numbers of shape .* in float32, got"):
            stream.state = wrong
        parts = tuple(np.full(part.shape, bad) for part in snapshot)
        with pytest.raises(ValueError, match=r"snapshot\[0\] must be finite numbers of shape"):
            stream.restore(parts)
        assert all(np.array_equal(stream.state[name], array) for name, array in state.items())
    # What float32 can hold is taken from any type of numbers.
    stream.state = {name: np.ones(array.shape, int) for name, array in state.items()}
    assert all((array == 1).all() for array in stream.state.values())


@settings(max_examples=20)
@given(
    cell=st.sampled_from(CELLS),
    dtype=st.sampled_from(DTYPES),
    standardize=st.booleans(),
    p=st.integers(2, 4),
    F=st.integers(1, 3),
    resets=st.lists(st.tuples(st.integers(1, 12), st.integers(0, 2)), max_size=3),
    pooling=st.sampled_from(POOLINGS),
)
def test_patches_are_answered_when_they_are_whole(cell, dtype, standardize, p, F, resets, pooling):
    X, Y = data(T=13, F=F)
    options = {"patch": p, "dtype": dtype, "standardize": standardize, "pooling": pooling}
    model = RNNRegressor(cell, (5, 4), **options, **QUICK).fit(10 * X + 3, Y)
    X = 10 * X[:3] + 3
    for method in ("predict", "transform"):
        predict = getattr(model, method)
        one, many = model.stream(method=method), model.stream(3, method=method)
        begun = [0, 0, 0]  # the step with which each of many sequences has begun
        for t in range(13):
            for at, index in resets:
                if at == t:
                    many.reset(index)
                    begun[index] = t
            # As a saved state goes on, too.
            other = model.stream(3, method=method)
            other.state = many.state
            answers = many.step(X[:, t])
            again = other.step(X[:, t])
            whole = [(t + 1 - start) % p == 0 for start in begun]
            wanted = [predict(x[None, start : t + 1])[0] for x, start in zip(X, begun, strict=True)]
            if not any(whole):
                assert answers is None and again is None
            for i in np.flatnonzero(whole):
                assert same(answers[i], wanted[i]) and same(again[i], wanted[i])
            if any(whole) and not all(whole):
                assert [answer is not None for answer in answers] == whole
            answer = one.step(X[0, t])
            if (t + 1) % p:
                assert answer is None
            else:
                assert same(answer, predict(X[:1, : t + 1])[0])


def test_a_patch_is_part_of_the_state():
    X, Y = data()
    model = RNNRegressor("gru", (5,), patch=3, **QUICK).fit(X, Y)
    stream = model.stream()
    rest = stream.state
    for x in X[0, :2]:
        assert stream.step(x) is None
    state, snapshot = stream.state, stream.snapshot()
    assert list(state) == ["layer0.h", "patch", "patch_steps"] and state["patch_steps"] == 2
    # A step that is refused, the last of a patch as well, changes nothing.
    for bad in (np.full(3, np.nan), np.full(3, 1e39), [1.0, 2.0], "ab"):
        with pytest.raises((ValueError, TypeError), match="x must"):
            stream.step(bad)
    answer = stream.step(X[0, 2])
    assert same(answer, model.predict(X[:1, :3])[0])
    stream.restore(snapshot)
    assert same(stream.step(X[0, 2]), answer)
    for count in (3, -1, 0.5, np.nan, "a"):
        with pytest.raises(ValueError, match=r"state\['patch_steps'\] must"):
            stream.state = state | {"patch_steps": np.array([count])}
    stream.state = state
    assert same(stream.step(X[0, 2]), answer)
    stream.step(X[0, 0])
    stream.reset()
    assert all(np.array_equal(rest[name], value) for name, value in stream.state.items())
