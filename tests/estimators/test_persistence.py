"""Saving, loading, pickling and copying change neither predictions nor further training."""

import copy
import enum
import fractions
import pickle
import sys

import numpy as np
import pytest

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor, load
from lightrnn.exceptions import NotFittedError
from lightrnn.utils import archive

RNG = np.random.default_rng(0)
X = [RNG.normal(size=(length, 3)) for length in RNG.integers(1, 9, 20)]
SUMS = np.array([x[:, 0].sum() for x in X])
STEPS = [np.cumsum(x[:, 0]) for x in X]
BRIEF = {
    "hidden_layer_sizes": (5, 4),
    "max_iter": 2,
    "learning_rate": "cosine",
    "learning_rate_init": 0.01,
    "random_state": 0,
}


def by_file(model, tmp_path):
    model.save(tmp_path / "model")
    return load(tmp_path / "model")


def by_pickle(model, tmp_path):
    return pickle.loads(pickle.dumps(model))


def by_copy(model, tmp_path):
    return copy.deepcopy(model)


WAYS = pytest.mark.parametrize("way", [by_file, by_pickle, by_copy])


def assert_same(a, b):
    """Assert that two estimators hold the same, bit for bit."""
    assert type(a) is type(b)
    assert repr(a.get_params()) == repr(b.get_params())
    assert vars(a).keys() == vars(b).keys()
    for name, value in vars(a).items():
        if name != "_model":
            assert type(value) is type(vars(b)[name])
            assert np.array_equal(value, vars(b)[name]) or repr(value) == repr(vars(b)[name])
    weights = b.weights_
    assert all(weights[name].tobytes() == array.tobytes() for name, array in a.weights_.items())
    assert a.weights_.keys() == weights.keys()


@WAYS
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", ["ffnn", "rnn", "gru", "lstm"])
@pytest.mark.parametrize("target", ["sequence", "step"])
def test_predictions_stay(way, cell, dtype, target, tmp_path):
    y = SUMS if target == "sequence" else STEPS
    options = {"pooling": "attention"} if target == "sequence" else {"target": target}
    model = RNNRegressor(cell, **BRIEF, **options, dtype=dtype, bidirectional=cell != "ffnn").fit(
        X, y
    )
    back = way(model, tmp_path)
    assert_same(model, back)
    for method in ("predict", "transform"):
        assert all(map(np.array_equal, getattr(model, method)(X), getattr(back, method)(X)))


@WAYS
@pytest.mark.parametrize("solver", ["adam", "sgd", "rmsprop"])
@pytest.mark.parametrize("learning_rate", ["constant", "cosine", "adaptive"])
def test_training_goes_on_as_if_nothing_had_happened(way, solver, learning_rate, tmp_path):
    arguments = BRIEF | {
        "solver": solver,
        "learning_rate": learning_rate,
        "dropout": 0.2,
        "max_iter": 7,
        "n_iter_no_change": 2,
    }
    for kind, y in ((RNNClassifier, SUMS > 0), (RNNRegressor, SUMS)):
        model = kind("gru", **arguments, tol=0.3).partial_fit(X, y).partial_fit(X[:9], y[:9])
        back = way(model, tmp_path)
        for _ in range(4):
            model.partial_fit(X, y)
            back.partial_fit(X, y)
        assert_same(model, back)
        assert back.n_iter_ == 6


def test_copies_share_nothing(tmp_path):
    model = RNNRegressor(**BRIEF).fit(X, SUMS)
    before = model.predict(X)
    for way in (by_file, by_pickle, by_copy, lambda model, _: copy.copy(model)):
        way(model, tmp_path).partial_fit(X, SUMS)
    assert np.array_equal(model.predict(X), before)


@WAYS
@pytest.mark.parametrize(
    "labels",
    [
        np.where(SUMS > 0, "süß", "b"),
        np.where(SUMS > 0, "a", "b").astype(object),
        (SUMS > 0).astype(np.int16) - 7,
        SUMS > 0,
        np.column_stack([SUMS > 0, SUMS > 1]).astype(int),
        np.where(SUMS > 0, b"a", b"b"),
    ],
    ids=lambda labels: f"{labels.dtype}{labels.ndim}",
)
def test_labels_stay(way, labels, tmp_path):
    model = RNNClassifier(**BRIEF).fit(X, labels)
    back = way(model, tmp_path)
    assert_same(model, back)
    assert back.classes_.dtype == model.classes_.dtype
    assert back.predict(X).dtype == model.predict(X).dtype
    assert np.array_equal(back.predict(X), model.predict(X))
    assert np.array_equal(back.predict_proba(X), model.predict_proba(X))


@WAYS
def test_arguments_stay(way, tmp_path):
    arguments = {
        "hidden_layer_sizes": [3, np.int64(4)],
        "random_state": np.random.RandomState(5),
        "class_weight": {"a": 2.0, "b": np.float32(1.5)},
        "alpha": np.float64(0.25),
        "clip_norm": None,
        "n_jobs": 1,
    }
    model = RNNClassifier("rnn", **BRIEF | arguments).fit(X, np.where(SUMS > 0, "a", "b"))
    back = way(model, tmp_path)
    assert back.class_weight == arguments["class_weight"] and back.hidden_layer_sizes == [3, 4]
    assert type(back.hidden_layer_sizes) is list and type(back.alpha) is np.float64
    assert np.array_equal(back.random_state.random_sample(4), model.random_state.random_sample(4))


@WAYS
def test_a_generator_stays(way, tmp_path):
    model = RNNRegressor(**BRIEF | {"random_state": np.random.default_rng(3)}).fit(X, SUMS)
    back = way(model, tmp_path)
    assert np.array_equal(
        back.partial_fit(X, SUMS).predict(X), model.partial_fit(X, SUMS).predict(X)
    )


@WAYS
def test_column_names_stay(way, tmp_path):
    pandas = pytest.importorskip("pandas", reason="reads DataFrames")
    frames = [pandas.DataFrame(x, columns=["a", "b", "c"]) for x in X]
    back = way(RNNRegressor(**BRIEF).fit(frames, SUMS), tmp_path)
    assert back.feature_names_in_.tolist() == ["a", "b", "c"]
    back.predict(frames)


def test_callbacks_are_not_saved(tmp_path):
    model = RNNRegressor(**BRIEF, callbacks=lambda record: False).fit(X, SUMS)
    assert by_file(model, tmp_path).callbacks is None and model.callbacks is not None


class Derived(RNNRegressor):
    """Somebody's own."""


def test_what_is_not_ours_is_left_out_or_refused_before_a_file_is_there(tmp_path):
    model = RNNRegressor("gru", (3,), max_iter=1, learning_rate="cosine").fit(X, np.arange(20.0))
    model.note, model._mine = "x", object()
    model.save(tmp_path / "model")
    assert (
        np.array_equal(load(tmp_path / "model").predict(X), model.predict(X)) and model.note == "x"
    )
    own = Derived("gru", (3,), max_iter=1, learning_rate="cosine").fit(X, np.arange(20.0))
    with pytest.raises(
        TypeError, match="save must be called of a class of lightrnn's own, got Derived"
    ):
        own.save(tmp_path / "own")
    assert not (tmp_path / "own").exists()


def test_later_arguments_do_not_matter(tmp_path):
    model = (
        RNNRegressor(**BRIEF)
        .fit(X, SUMS)
        .set_params(hidden_layer_sizes=(99,), cell="gru", dtype="float64")
    )
    for way in (by_file, by_pickle, by_copy):
        assert np.array_equal(way(model, tmp_path).predict(X), model.predict(X))


def test_an_unfitted_estimator_can_be_pickled_but_not_saved(tmp_path):
    model = RNNClassifier(**BRIEF)
    assert repr(by_pickle(model, tmp_path)) == repr(model)
    with pytest.raises(ValueError, match="not fitted yet"):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_metadata_requests_stay(tmp_path):
    pytest.importorskip("sklearn", reason="scikit-learn reads metadata requests")
    model = RNNRegressor(**BRIEF).set_fit_request(sample_weight=True).fit(X, SUMS)
    for way in (by_file, by_pickle, by_copy):
        back = way(model, tmp_path)
        assert back.get_metadata_routing().fit.requests["sample_weight"] is True
        back.set_fit_request(sample_weight=False)
        assert model.get_metadata_routing().fit.requests["sample_weight"] is True


def test_the_file_can_be_read_without_lightrnn(tmp_path):
    model = RNNClassifier(**BRIEF).fit(X, SUMS > 0)
    model.save(tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz", allow_pickle=False) as file:
        arrays = {name.split("/")[-1]: file[name] for name in file.files if "/network/" in name}
    assert arrays.keys() == model.weights_.keys()
    assert all(np.array_equal(arrays[name], array) for name, array in model.weights_.items())


def test_a_model_of_another_program_is_refused(tmp_path):
    path = tmp_path / "model"
    for content in (
        {"estimator": "Other", "state": {}},
        {"state": {}},
        {"estimator": "RNNClassifier", "state": 3},
        {},
    ):
        archive.write(path, content)
        with pytest.raises(ValueError, match=r"path must be a file written by save, got .*model"):
            load(path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "absent")


def changed(tree, path, value):
    """The tree with another value in one place; `...` leaves it out."""
    tree = copy.deepcopy(tree)
    *above, last = path.split("/")
    holder = tree
    for name in above:
        holder = holder[name]
    if value is ...:
        del holder[last]
    else:
        holder[last] = value
    return tree


HOSTILE = {
    "": {
        "estimator": ["RNNRegressor", "Pipeline", 3],
        "state/a_new_argument": [1],
        "state/fit": [None],
        "state/__class__": [None],
        "state/_model": [None, {}, ...],
        "state/n_features_in_": [3],
        "state/classes_": [np.array([False, True])],
        "state/_metadata_request": [{"fit": {"X": True}}, {"nothing": {}}, 3],
    },
    "state/_model/": {
        "solver": ["lbfgs", "sgd", None],
        "rng": [None, 3],
        "network": [{}, None],
        "vocabulary": [{"kind": "char", "tokens": np.array(["a"], object), "n_special": 1}],
        "targets": [None, {"kind": "RealTargets", "mean": np.zeros(2), "scale": np.ones(2)}],
        "targets/kind": ["MultilabelTargets", "Targets"],
        "targets/step": [True, 0],
        "form": [None, {}, ...],
        "loss": [None, {"loss": "huber", "delta": 1.0, "quantile": 0.5}, ...],
        "form/n_features_in": [2, 4, "3", ...],
        "form/is_table": [True, None],
        "form/fill": [np.ones(1), np.array([np.nan]), "mean"],
        "form/patch": [2, 0, 1.0, "auto", None],
        "form/feature_names": [np.array(["a", "b"], object), np.ones(3), ["a", "b", "c"]],
        "targets/classes_": [np.arange(3), np.eye(2), [0, 1], np.array([[], {}], object)],
        "moments/steps": [-1, 0.5, ...],
        "moments/mean": [3, {}, ...],
        "history/losses": [[None], 3],
        "history/best": [None],
        "history/stale": [-1],
        "history/dropped": [-1, None],
        "history/stop_reason": ["luck", 3],
        "history/best_epoch": [-1, 10**6, "1"],
        "history/more": [0],
        "architecture/cell": ["lstm", "linear", "elman"],
        "architecture/n_features": [0, 4, 2**70, 3.0, True],
        "architecture/n_outputs": [1, 3, 2**62],
        "architecture/n_tokens": [-1, 5],
        "architecture/hidden_layer_sizes": [(), (5,), (5, 10**9), [5, 4], (5, 4, 1), (1,) * 99],
        "architecture/target": ["step", "both"],
        "architecture/bidirectional": [True, 0],
        "architecture/pooling": ["mean", "attention", "sum", None],
        "architecture/window": [0],
        "architecture/dropout": [1.0, -1],
        "architecture/dtype": ["float64", "float16"],
        "architecture/head": ["tied", "adaptive", "deep"],
        "architecture/more": [1],
        "architecture/dropout_": [0],
    },
}
CASES = [
    (start + path, value)
    for start, paths in HOSTILE.items()
    for path, values in paths.items()
    for value in values
]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model"
    RNNClassifier("gru", **BRIEF).fit(X, SUMS > 0).save(path)
    return path


@pytest.mark.parametrize(("place", "value"), CASES, ids=str)
def test_what_does_not_fit_together_is_refused(saved, place, value, tmp_path):
    archive.write(tmp_path / "model", changed(archive.read(saved), place, value))
    with pytest.raises(ValueError, match=r"path must be a file written by save, got .*model"):
        load(tmp_path / "model")


@pytest.mark.parametrize(
    "name", [f"layer0.{name}" for name in ("W_ih", "W_hh", "b_ih", "b_hh")] + ["head.W", "head.b"]
)
def test_a_misshapen_weight_is_named(saved, name, tmp_path):
    arrays = archive.read(saved)["state"]["_model"]["network"]
    for wrong in (
        arrays[name][:-1],
        arrays[name][None],
        arrays[name].astype(np.float64),
        arrays[name].tolist(),
    ):
        tree = archive.read(saved)
        tree["state"]["_model"]["network"][name] = wrong
        archive.write(tmp_path / "model", tree)
        with pytest.raises(
            ValueError, match=rf"network/{name} must be an array of shape .* and dtype float32, got"
        ):
            load(tmp_path / "model")


def test_a_network_of_a_hostile_size_is_never_made(saved, tmp_path):
    import tracemalloc

    tree = archive.read(saved)
    tree["state"]["_model"]["architecture"]["hidden_layer_sizes"] = (10_000, 4)
    archive.write(tmp_path / "model", tree)
    tracemalloc.start()
    with pytest.raises(ValueError, match="network/layer0"):
        load(tmp_path / "model")
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def test_arguments_that_are_new_have_their_defaults(saved, tmp_path):
    tree = archive.read(saved)
    del tree["state"]["momentum"], tree["state"]["window"]
    archive.write(tmp_path / "model", tree)
    model = load(tmp_path / "model")
    assert (model.momentum, model.window) == (0.9, 20)
    assert np.array_equal(model.predict(X), load(saved).predict(X))


def test_joblib_keeps_everything(tmp_path):
    joblib = pytest.importorskip("joblib", reason="joblib is an optional peer")
    model = RNNClassifier(**BRIEF).fit(X, SUMS > 0)
    joblib.dump(model, tmp_path / "model")
    back = joblib.load(tmp_path / "model")
    assert_same(model, back)
    assert np.array_equal(model.predict_proba(X), back.predict_proba(X))


def test_a_loaded_model_is_warm_before_its_first_prediction(tmp_path):
    import subprocess

    RNNClassifier(**BRIEF).fit(X, SUMS > 0).save(tmp_path / "model")
    code = """
import sys
import numpy as np
from lightrnn import load
from lightrnn.cpu.cache import KernelCache
model = load(sys.argv[1], warm=True)
loaded = len(KernelCache.log)
model.predict_proba([np.ones((T, 3)) for T in range(1, 40)])
model.transform(np.ones((3, 4, 3)))
assert 0 < loaded == len(KernelCache.log), KernelCache.log[loaded:]
assert not {"sklearn", "pandas", "torch"} & {*sys.modules}
"""
    subprocess.run([sys.executable, "-c", code, tmp_path / "model"], check=True)


def test_every_estimator_can_be_warmed():
    for model in (
        RNNRegressor("ffnn", **BRIEF).fit(X, SUMS),
        RNNClassifier(**BRIEF, patch=2).fit(X, SUMS > 0),
        RNNClassifier(**BRIEF, tokens="char").fit(["ab", "b"], [0, 1]),
        RNNLanguageModel(**BRIEF).fit(["ab", "b"]),
    ):
        assert model.warm() is model
    with pytest.raises(NotFittedError, match="RNNRegressor instance is not fitted"):
        RNNRegressor().warm()


def test_what_was_loaded_is_saved_as_the_same_bytes(tmp_path):
    """So a hash of the file tells whether a model has changed."""
    model = RNNClassifier(**BRIEF).fit(X, SUMS > 0)
    by_file(by_file(model, tmp_path), tmp_path)
    again = (tmp_path / "model").read_bytes()
    model.save(tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == again


@pytest.mark.parametrize(
    ("name", "value", "plain"),
    [
        ("cell", enum.StrEnum("Cell", ["gru"]).gru, "gru"),
        ("hidden_layer_sizes", range(3, 5), (3, 4)),
        ("max_iter", enum.IntEnum("Epochs", ["one", "two"]).two, 2),
        ("alpha", fractions.Fraction(1, 2), 0.5),
    ],
)
def test_arguments_of_foreign_types_are_saved_as_what_they_mean(name, value, plain, tmp_path):
    model = RNNClassifier(**BRIEF | {name: value}).fit(X, SUMS > 0)
    back = by_file(model, tmp_path)
    assert getattr(model, name) is value and repr(getattr(back, name)) == repr(plain)
    assert np.array_equal(model.predict_proba(X), back.predict_proba(X))
