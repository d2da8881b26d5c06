"""Containers of other libraries are read as they are meant, or say which line of code does it."""

import collections
import re

import numpy as np
import pytest

import lightrnn
from lightrnn import RNNClassifier, RNNRegressor
from lightrnn.data.containers import unwrapped
from lightrnn.data.ragged import as_values
from lightrnn.data.sequences import as_sequences
from lightrnn.preprocessing import SequenceScaler

LENGTHS = (3, 5, 1, 4)
ITEMS = [np.random.default_rng(T).normal(size=(T, 2)) for T in LENGTHS]
QUICK = {"hidden_layer_sizes": (3,), "max_iter": 1, "learning_rate": "cosine", "random_state": 0}


def same(X, items=ITEMS):
    found = as_sequences(X).items
    return len(found) == len(items) and all(map(np.array_equal, found, items))


# -- PyTorch ---------------------------------------------------------------------------------------


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="reads tensors")


def test_tensors_are_read_wherever_they_stand(torch):
    cube = np.ones((4, 3, 2), np.float32)
    for grad in (False, True):
        tensors = [torch.tensor(item, requires_grad=grad) for item in ITEMS]
        assert same(tensors) and same([list(tensor) for tensor in tensors])
        assert same(torch.tensor(cube, requires_grad=grad), cube)
        model = RNNRegressor("rnn", **QUICK).fit(tensors, torch.arange(4.0, requires_grad=grad))
        assert np.array_equal(model.predict(tensors), model.predict(ITEMS))
        step = torch.ones(2, requires_grad=grad)
        assert model.stream().step(step) == model.stream().step([1, 1])
    assert same(torch.tensor(cube).bfloat16(), cube)
    with pytest.raises(TypeError, match=r"Sparse data was passed for X.*\.to_dense\(\)"):
        as_sequences(torch.tensor(cube[0]).to_sparse())
    assert same([torch.tensor([[1, 2]])], [[[1, 2]]])


@pytest.mark.parametrize("enforce_sorted", [False, True])
def test_packed_sequences_come_back_in_their_order(torch, enforce_sorted):
    items = sorted(ITEMS, key=len, reverse=True) if enforce_sorted else ITEMS
    packed = torch.nn.utils.rnn.pack_sequence(
        [torch.tensor(item, requires_grad=True) for item in items], enforce_sorted
    )
    assert same(packed, items)
    scaled = SequenceScaler().fit_transform(packed)
    assert [len(item) for item in scaled] == [len(item) for item in items]


# -- pandas ----------------------------------------------------------------------------------------


@pytest.fixture
def pandas():
    return pytest.importorskip("pandas", reason="reads DataFrames")


def long_frame(pandas, items=ITEMS):
    """A DataFrame with the index (instance, time), instances in no order of their own."""
    index = [(name, 10 * t) for name, x in zip("dbca", items, strict=True) for t in range(len(x))]
    names = pandas.MultiIndex.from_tuples(index, names=["instance", "time"])
    return pandas.DataFrame(np.concatenate(items), index=names, columns=["u", "v"])


def test_an_index_of_instance_and_time_means_one_sequence_per_instance(pandas):
    frame = long_frame(pandas)
    found = as_sequences(frame)
    assert same(frame) and found.feature_names.tolist() == ["u", "v"] and not found.is_table
    assert same(frame["u"], [item[:, :1] for item in ITEMS])
    nested = pandas.concat({"x": frame, "y": frame})  # (group, instance, time)
    assert same(nested, ITEMS + ITEMS)
    model = RNNRegressor("rnn", **QUICK).fit(frame, [1.0, 2, 3, 4])
    assert model.n_features_in_ == 2 and model.predict(frame.loc[["d", "b"]]).shape == (2,)
    with pytest.raises(ValueError, match="Feature names must be in the same order"):
        model.predict(frame[["v", "u"]])
    steps = frame["u"] + 1  # a target for each step has the same index
    tagger = RNNRegressor("rnn", target="step", **QUICK).fit(frame, steps)
    assert np.isfinite(tagger.score(frame, steps))
    assert [len(part) for part in tagger.predict(frame)] == list(LENGTHS)
    tokens = pandas.DataFrame({"word": list("abcabcabcabca")}, index=frame.index)
    model = RNNClassifier("rnn", **QUICK).fit(tokens, [0, 1, 0, 1])
    assert model.vocabulary_.tolist() == ["<unknown>", "a", "b", "c"]
    assert model.predict(tokens).shape == (4,)


@pytest.mark.parametrize(
    "disturbed", [lambda frame: frame.iloc[::-1], lambda frame: frame.iloc[[0, 1, 1, 2]]]
)
def test_steps_must_be_in_the_order_of_time(pandas, disturbed):
    frame = disturbed(long_frame(pandas))
    with pytest.raises(ValueError, match=r"X must have the steps .*X\.sort_index\(\)"):
        as_sequences(frame)


def test_a_nested_frame_has_a_series_in_each_cell(pandas):
    columns = {name: [pandas.Series(x[:, i]) for x in ITEMS] for i, name in enumerate("uv")}
    nested = pandas.DataFrame(columns)
    assert same(nested) and as_sequences(nested).feature_names.tolist() == ["u", "v"]
    assert same(nested[["u"]], [item[:, :1] for item in ITEMS])
    nested.loc[1, "v"] = ITEMS[0][:, 1]
    nested = nested.map(np.asarray)
    nested.at[1, "v"] = np.ones(2)
    with pytest.raises(ValueError, match=r"X must have series of one length .* in row 1"):
        as_sequences(nested)


def long_table(pandas, kind):
    names = np.repeat([0, 1, 2, 3] if kind == "number" else list("dbca"), LENGTHS)
    return pandas.DataFrame({"name": names, "u": np.arange(13.0), "v": 1.0})


@pytest.mark.parametrize("kind", ["number", "text"])
def test_a_column_that_names_the_sequence_is_seen(pandas, kind):
    frame = long_table(pandas, kind)
    with pytest.raises((TypeError, ValueError), match=r"X\.groupby") as caught:
        RNNRegressor(**QUICK).fit(frame, [1.0, 2, 3, 4])
    line = str(caught.value).rsplit(": X = ", 1)[1].removesuffix(".")
    X = eval(line, {"X": frame})
    assert tuple(map(len, X)) == LENGTHS and list(X[0]) == ["u", "v"]
    line = re.search(r"X = (lightrnn\S+\(.*?\))", str(caught.value))[1]
    line = line.replace("<the column of the time>", "'u'")
    found = eval(line, {"lightrnn": lightrnn, "X": frame})
    assert all(np.array_equal(x, steps[["v"]]) for x, steps in zip(found, X, strict=True))
    RNNRegressor("rnn", **QUICK).fit(X, [1.0, 2, 3, 4])
    with pytest.raises((TypeError, ValueError), match=r"X\.groupby"):
        RNNRegressor(**QUICK).fit(frame.sample(frac=1, random_state=0), [1.0, 2, 3, 4])


@pytest.mark.parametrize("estimator", [RNNClassifier, RNNRegressor])
@pytest.mark.parametrize("form", [list, lambda y: [*map(list, y)]])
def test_a_list_with_an_entry_per_step_needs_a_target(estimator, form):
    X = [np.ones((3, 2))] * 4
    y = form(np.array([[0, 1, 1], [1, 0, 0]] * 2))
    with pytest.raises(ValueError, match=r"target='step' for one per step, or np\.array\(y\)"):
        estimator("rnn", **QUICK).fit(X, y)
    assert estimator("rnn", target="step", **QUICK).fit(X, y).predict(X)[0].shape == (3,)
    # Other numbers of columns are outputs of the sequence.
    assert estimator("rnn", **QUICK).fit([x[:2] for x in X], y).predict(X).shape == (4, 3)


def test_labels_per_step_in_an_array_name_the_target():
    X = np.ones((4, 3, 2))
    y = np.array([[0, 1, 1], [1, 0, 0]] * 2)
    with pytest.raises(ValueError, match=r"multiclass-multioutput.*target='step'"):
        RNNClassifier("rnn", **QUICK).fit(X, y + np.arange(3))
    with pytest.warns(UserWarning, match=r"as many columns as X has steps.*target='step'"):
        assert RNNClassifier("rnn", **QUICK).fit(X, y).predict(X).shape == (4, 3)
    assert RNNRegressor("rnn", **QUICK).fit(X, y).predict(X).shape == (4, 3)
    with pytest.raises(ValueError, match=r"X has 4 sequences but y has 1.*in a list, \[X\]"):
        RNNRegressor("rnn", **QUICK).fit(X[0].repeat(2, 0)[:4], [1.0])


# -- what leaves something open --------------------------------------------------------------------


def remedied(X, message):
    """Run the line of code at the end of a message."""
    return eval(message.rsplit(": ", 1)[1].removesuffix("."), {"X": X})


def test_the_remedy_for_a_collection_makes_a_list_of_it():
    named = dict(zip("dbca", ITEMS, strict=True))
    for X in (named, collections.OrderedDict(named), named.values(), iter(ITEMS), map(abs, ITEMS)):
        with pytest.raises(TypeError, match="X must be an array, a DataFrame or a list") as caught:
            RNNRegressor(**QUICK).fit(X, [1.0, 2, 3, 4])
        assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)
        assert len(remedied(X, str(caught.value))) == 4


def test_the_remedy_for_groups_makes_a_list_of_them(pandas):
    groups = long_table(pandas, "text").groupby("name", sort=False)
    for X in (groups, groups["u"], groups[["u", "v"]], list(groups)):
        with pytest.raises(TypeError, match=r"x.* for _, x in X\]") as caught:
            RNNRegressor(**QUICK).fit(X, [1.0, 2, 3, 4])
        assert tuple(map(len, remedied(X, str(caught.value)))) == LENGTHS


def test_lists_and_arrays_stay_what_they_are():
    for X in (ITEMS, tuple(ITEMS), np.ones((2, 3)), "text", None, [()], [("a", "b")]):
        assert unwrapped(X) is X


def test_arrays_and_tables_of_pyarrow():
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is optional")
    series = [[1.0, 2.0, None], [3.0, 4.0]]
    found = as_sequences(pyarrow.array(series), missing=True)
    assert [item.ravel()[:2].tolist() for item in found.items] == [[1, 2], [3, 4]]
    tables = [pyarrow.table({"a": row[:2], "b": row[1::-1]}) for row in series]
    found = as_sequences(tables)
    assert found.feature_names.tolist() == ["a", "b"]
    assert found.items[1].tolist() == [[3, 4], [4, 3]]
    assert as_sequences(tables[0]).feature_names.tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="must have the columns of"):
        as_sequences([tables[0], tables[1].rename_columns(["a", "c"])])
    for y in (["up", "down"], [True, False], [1, 2]):
        assert as_values(pyarrow.array(y), np.array([3, 2]), step=False).tolist() == y
    for text in (["ab", "ba"] * 4, [["a", "b"], ["b", "a"]] * 4):
        models = [RNNClassifier(**QUICK).fit(X, [0, 1] * 4) for X in (text, pyarrow.array(text))]
        assert np.array_equal(*(model.predict_proba(text) for model in models))
