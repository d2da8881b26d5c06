"""Every form of X and y that partitions may have: long frames, pairs, tokens, bags, tables."""

import numpy as np
import pytest

from lightrnn import RNNClassifier, RNNRegressor
from lightrnn.distributed import DaskRNNClassifier, DaskRNNLanguageModel, DaskRNNRegressor

from .conftest import equal

distributed = pytest.importorskip("distributed")
dask = pytest.importorskip("dask")
Delayed = pytest.importorskip("dask.delayed").Delayed
bag = pytest.importorskip("dask.bag", exc_type=ImportError)
array = pytest.importorskip("dask.array", exc_type=ImportError)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

SMALL = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0, "batch_size": 8}
RNG = np.random.default_rng(0)
LENGTHS = RNG.integers(2, 9, 20)
X = [RNG.normal(size=(n, 2)) for n in LENGTHS]
Y = np.array([x.sum() for x in X])
NAMES = RNG.permutation(100)[:20]
TEXTS = ["a good film of all", "bad thing here", "very good", "so bad a film"] * 5
LABELS = ["up", "down"] * 10


@pytest.fixture(scope="module")
def frames():
    return pytest.importorskip("dask.dataframe", exc_type=ImportError)


@pytest.fixture(scope="module")
def rows():
    """Return all steps as a long DataFrame."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(np.concatenate(X), columns=["a", "b"])
    frame.insert(0, "id", np.repeat(NAMES, LENGTHS))
    return frame


@pytest.fixture(scope="module")
def items(rows):
    """Return the same as a list of DataFrames."""
    return [steps[["a", "b"]] for _, steps in rows.groupby("id", sort=False)]


def test_a_long_frame_in_one_partition_is_the_list_of_its_sequences_bit_for_bit(
    client, frames, rows, items
):
    local = RNNRegressor(**SMALL).fit(items, Y)
    frame = frames.from_pandas(rows, npartitions=1, sort=False)
    model = DaskRNNRegressor(**SMALL).fit(frame, Y, sequence="id")
    assert equal(model.weights_, local.weights_)
    assert model.feature_names_in_.tolist() == ["a", "b"]
    predicted = model.predict(frame)
    assert isinstance(predicted, frames.Series)
    assert predicted.compute().index.tolist() == NAMES.tolist()
    np.testing.assert_array_equal(predicted.compute(), local.predict(items))
    assert model.score(frame, Y) == local.score(items, Y)


def test_sequences_that_span_partitions_are_read_whole_and_targets_find_them(
    client, frames, rows, items
):
    pandas = pytest.importorskip("pandas")
    frame = frames.from_pandas(rows, npartitions=3, sort=False)
    of_rows = frames.from_pandas(rows, npartitions=3, sort=False)["id"].map_partitions(
        lambda names: names.map(dict(zip(NAMES, Y, strict=True))), meta=("y", "f8")
    )
    by_name = pandas.Series(Y, NAMES).sort_index()
    given = {"rows": of_rows, "order": Y, "names": by_name}
    found = {
        key: DaskRNNRegressor(**SMALL, sequence="id").fit(frame, y) for key, y in given.items()
    }
    assert equal(found["rows"].weights_, found["order"].weights_)
    assert equal(found["names"].weights_, found["order"].weights_)
    model = found["rows"]
    expected = model.to_local().predict(items)
    np.testing.assert_array_equal(model.predict(frame).compute().loc[NAMES], expected)
    assert model.score(frame, of_rows) == pytest.approx(model.to_local().score(items, Y))
    # Rows in the order of time: every sequence is in every partition.
    steps = rows.groupby("id").cumcount().to_numpy()
    mixed = frames.from_pandas(
        rows.iloc[np.lexsort((rows["id"], steps))].reset_index(drop=True), 4, sort=False
    )
    model = DaskRNNClassifier(**SMALL).fit(mixed, by_name > 0, sequence="id")
    shares = model.predict_proba(mixed).compute()
    assert shares.columns.tolist() == [False, True]
    np.testing.assert_array_equal(shares.loc[NAMES], model.to_local().predict_proba(items))
    # By the index, with a target for each step.
    indexed = frames.from_pandas(rows.set_index("id").sort_index(kind="stable"), 3)
    step = DaskRNNRegressor(**SMALL, target="step", sequence="id").fit(indexed, indexed["a"])
    assert len(step.predict(indexed).compute()) == len(rows)
    assert step.score(indexed, indexed["a"]) > -1


def test_lists_of_long_frames_are_the_frame_of_their_rows(client, frames, rows):
    # Sequences are cut, and the last partition is empty.
    parts = [rows[:31], rows[31:70], rows[70:], rows[:0]]
    whole = frames.from_delayed([dask.delayed(part) for part in parts], verify_meta=False)
    expected = DaskRNNRegressor(**SMALL).fit(whole, Y, sequence="id")
    for given in ([dask.delayed(part) for part in parts], client.scatter(parts)):
        model = DaskRNNRegressor(**SMALL, sequence="id").fit(given, Y)
        assert equal(model.weights_, expected.weights_)
        found = model.predict(given)
        assert len(found) == 4 and all(map(dask.is_dask_collection, found))
        pandas = pytest.importorskip("pandas")
        found = pandas.concat(dask.compute(*found))
        pandas.testing.assert_series_equal(found, expected.predict(whole).compute())
        assert model.score(given, Y) == expected.score(whole, Y)


def test_errors_of_long_frames_say_what_is_wrong(client, frames, rows):
    frame = frames.from_pandas(rows, npartitions=2, sort=False)
    nameless = rows.assign(id=[None, *rows["id"].tolist()[1:]])
    for given, y, sequence, message in (
        (frame, Y, "nope", "sequence must be a column of X or the name of its index, got 'nope'"),
        (frame, Y[:5], "id", "y must have 20 entries, one for each sequence of X, or"),
        (frame, np.arange(len(rows)), "id", "y must have one value for each sequence, got 0 and"),
        (frame, Y, None, r"X has .* sequences but y has 20: each row of a DataFrame is one"),
        (frames.from_pandas(nameless, 2), Y, "id", "X must name the sequence of each row in 'id'"),
        ([dask.delayed(X)], Y, "id", "X must be a dask.dataframe, or a list .* got list"),
        ([dask.delayed(rows)], Y, "nope", "sequence must be a column of X or the name of its"),
        (bag.from_sequence(X), Y, "id", "X must be a dask.dataframe, or a list .* got Bag"),
        (frame, Y, ["id", "a"], "sequence must be the name of one column, got"),
        ([dask.delayed(X), X], Y, None, r"X\[1\] must be a Delayed or Future"),
        (X, Y, None, r"Cut it, as in dask\.bag\.from_sequence\(X\)"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            DaskRNNRegressor(**SMALL).fit(given, y, sequence=sequence)


def test_pairs_of_sequences_and_targets_are_x_and_y(client):
    pairs = list(zip(X, Y, strict=True))
    given = [
        bag.from_sequence(pairs, npartitions=2),
        [dask.delayed((X[:10], Y[:10])), dask.delayed((X[10:], Y[10:]))],
        [dask.delayed(pairs[:10]), dask.delayed(pairs[10:])],
        client.scatter([pairs[:10], pairs[10:]]),
    ]
    apart = DaskRNNRegressor(**SMALL).fit([dask.delayed(X[:10]), dask.delayed(X[10:])], Y)
    for both in given:
        model = DaskRNNRegressor(**SMALL).fit(both)
        assert equal(model.weights_, apart.weights_)
        assert model.score(both) == apart.score(both) == apart.to_local().score(X, Y)


def test_what_is_no_pair_is_named(client):
    with pytest.raises(ValueError, match=r"In partition 0: X\[0\] must be a pair \(sequence"):
        DaskRNNRegressor(**SMALL).fit(bag.from_sequence(X, npartitions=2))
    with pytest.raises(ValueError, match="In partition 0: y must have 20 entries"):
        DaskRNNRegressor(**SMALL).fit([dask.delayed((X, Y[:3]))])


@pytest.mark.parametrize(
    "kind, given, y, arguments",
    [
        (DaskRNNClassifier, TEXTS, LABELS, {}),
        (DaskRNNClassifier, TEXTS, LABELS, {"tokens": "char", "min_count": 2}),
        (DaskRNNRegressor, [[3, 1], [2]] * 10, Y, {"tokens": "category"}),
        (
            DaskRNNClassifier,
            [text.split() for text in TEXTS],
            [["x"] * len(text.split()) for text in TEXTS[:-1]] + [["y"] * 4],
            {"target": "step", "truncate": 2},
        ),
    ],
)
def test_tokens_in_partitions_are_learned_as_in_memory(client, kind, given, y, arguments):
    arguments = SMALL | {"cell": "gru", "embedding_size": 3} | arguments
    local = kind._local(**arguments).fit(given, y)
    one = kind(**arguments).fit(bag.from_sequence(given, npartitions=1), y)
    assert one.tokens_ == local.tokens_
    assert equal(one.weights_, local.weights_)
    three = kind(**arguments).fit(bag.from_sequence(zip(given, y, strict=True), npartitions=3))
    assert three.vocabulary_.tolist() == local.vocabulary_.tolist()
    for name, value in local.weights_.items():
        np.testing.assert_allclose(three.weights_[name], value, rtol=0, atol=2e-4)
    parts = bag.from_sequence(given, npartitions=3)
    assert three.score(parts, y) == three.to_local().score(given, y)
    with pytest.raises(TypeError, match="X must hold one kind of tokens in every partition"):
        kind().fit([dask.delayed(["a text"]), dask.delayed(X)], y)


def test_texts_without_weight_teach_no_word(client):
    given = [*TEXTS, "nobody weighs this"]
    weights = [*[1.0] * len(TEXTS), 0.0]
    arguments = SMALL | {"embedding_size": 3}
    labels = [*LABELS, LABELS[0]]
    local = RNNClassifier(**arguments).fit(given, labels, weights)
    assert "weighs" not in local.vocabulary_
    one = DaskRNNClassifier(**arguments)
    one.fit(bag.from_sequence(given, npartitions=1), labels, weights)
    assert equal(one.weights_, local.weights_)
    two = DaskRNNClassifier(**arguments)
    two.fit([dask.delayed(given[:5]), dask.delayed(given[5:])], labels, weights)
    assert two.vocabulary_.tolist() == local.vocabulary_.tolist()


def test_bags_hold_a_sequence_in_each_item_and_dataframes_in_each_row(client):
    y = Y > 0
    model = DaskRNNClassifier(**SMALL)
    model.fit(bag.from_sequence(X, npartitions=2), bag.from_sequence(y.tolist(), npartitions=2))
    delayed = DaskRNNClassifier(**SMALL).fit([dask.delayed(X[:10]), dask.delayed(X[10:])], y)
    assert equal(model.weights_, delayed.weights_)
    frames = pytest.importorskip("dask.dataframe", exc_type=ImportError)
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(RNG.normal(size=(20, 4)), columns=list("abcd"))
    model.fit(frames.from_pandas(table, npartitions=1), y)
    assert model.feature_names_in_.tolist() == list("abcd")
    assert equal(model.weights_, RNNClassifier(**SMALL).fit(table, y).weights_)


def test_empty_partitions_change_nothing(client):
    parts = [dask.delayed(X[:10]), dask.delayed([]), dask.delayed(X[10:])]
    model = DaskRNNRegressor(**SMALL).fit(parts, Y)
    assert list(map(len, dask.compute(*model.predict(parts)))) == [10, 0, 10]
    assert model.score(parts, Y) == pytest.approx(model.to_local().score(X, Y))


def _object_array(items):
    array = np.empty(len(items), object)
    array[:] = items
    return array


def test_predictions_have_the_form_of_x_and_are_lazy(client, frames):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(RNG.normal(size=(20, 4)), columns=list("abcd"), index=NAMES)
    texts = pandas.Series(TEXTS, index=NAMES)
    numbers = array.Array, array.Array
    tables = frames.Series, frames.DataFrame
    given = [
        (bag.from_sequence(X, npartitions=2), X, (bag.Bag, bag.Bag)),
        (frames.from_pandas(table, npartitions=2, sort=False), table, tables),
        (frames.from_pandas(texts, npartitions=2, sort=False), texts, tables),
        (array.from_array(_object_array(X), chunks=8), X, numbers),
        (array.from_array(np.array(TEXTS), chunks=8), TEXTS, numbers),
        (array.from_array(np.array([["a", "b"], ["c", "d"]] * 10), chunks=(8, 1)), None, numbers),
        (dask.delayed(X), X, (Delayed, Delayed)),
    ]
    model = DaskRNNClassifier(**SMALL)
    for lazy, whole, kinds in given:
        local = model.fit(lazy, LABELS).to_local()
        for method, kind in zip(("predict", "predict_proba"), kinds, strict=True):
            found = getattr(model, method)(lazy)
            assert isinstance(found, kind)
            computed = found.compute()
            expected = getattr(local, method)(lazy.compute() if whole is None else whole)
            np.testing.assert_array_equal(np.array(computed), expected)
            if kind is array.Array:
                assert found.dtype == computed.dtype and found.chunks[0] == (8, 8, 4)
            if kind in tables:
                assert computed.index.tolist() == NAMES.tolist()
                assert found._meta.iloc[:0].equals(computed.iloc[:0])


def test_validation_data_may_be_in_partitions(client, frames, rows):
    pandas = pytest.importorskip("pandas")
    parts = [dask.delayed(X[:10]), dask.delayed(X[10:])]
    expected = DaskRNNRegressor(**SMALL).fit(parts, Y, None, X, Y).validation_scores_
    frame = frames.from_pandas(rows, npartitions=3, sort=False)
    by_name = pandas.Series(Y, NAMES).sort_index()
    pairs = bag.from_sequence(zip(X, Y, strict=True), npartitions=2)
    for data, y in ((parts, array.from_array(Y, chunks=7)), (pairs, None)):
        model = DaskRNNRegressor(**SMALL).fit(parts, Y, X_val=data, y_val=y)
        assert model.validation_scores_ == expected
    long = DaskRNNRegressor(**SMALL, scoring="r2").fit(
        frame, by_name, X_val=frame, y_val=by_name, sequence="id"
    )
    assert len(long.validation_scores_) == 2
    texts = bag.from_sequence(TEXTS, npartitions=2)
    model = DaskRNNLanguageModel(**SMALL).fit(texts, texts_val=texts)
    assert model.validation_scores_ == (
        DaskRNNLanguageModel(**SMALL).fit(texts, texts_val=TEXTS).validation_scores_
    )


def test_parts_of_the_data_may_be_pairs_and_long_frames(client, frames, rows):
    model = DaskRNNRegressor(**SMALL).partial_fit(bag.from_sequence(zip(X, Y, strict=True)))
    frame = frames.from_pandas(rows, npartitions=3, sort=False)
    named = DaskRNNRegressor(**SMALL, sequence="id").partial_fit(frame, Y)
    given = DaskRNNRegressor(**SMALL).partial_fit(frame, Y, sequence="id")
    assert equal(named.weights_, given.weights_)
    assert model.n_iter_ == 1
