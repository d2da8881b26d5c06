"""Whatever `save` writes `load` gives back, and what `load` would refuse `save` does not write."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from bench import fuzz_npz
from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor, load
from lightrnn.utils import archive

RNG = np.random.default_rng(0)
X = [RNG.normal(size=(length, 2)) for length in (3, 1, 4, 2, 5, 2)]
BRIEF = {"max_iter": 1, "learning_rate": "cosine", "random_state": 0}
TEXTS = ["to be or not", "be", "not to be"]


# -- what save accepts load gives back -------------------------------------------------------------

# Labels as NumPy has them, in either byte order, and as objects.
ARRAYS = npst.arrays(
    st.one_of(
        npst.integer_dtypes(endianness="?"),
        npst.unsigned_integer_dtypes(endianness="?"),
        npst.unicode_string_dtypes(endianness="?", max_len=4),
        npst.byte_string_dtypes(max_len=4),
        npst.boolean_dtypes(),
    ),
    st.integers(2, 4),
    unique=True,
)
FLOATS = npst.arrays(
    npst.floating_dtypes(endianness="?"),
    st.integers(2, 4),
    elements=st.integers(-9, 9).map(float),
    unique=True,
)
TEXT = st.text(max_size=4)
HUGE = st.integers(-(2**80), 2**80)
OBJECTS = st.one_of(
    *(
        st.lists(items, min_size=2, max_size=4, unique=True).map(lambda x: np.array(x, object))
        for items in (TEXT, TEXT.map(np.str_), HUGE, HUGE | st.booleans(), st.integers(-9, 9))
    )
)
LABELS = ARRAYS | FLOATS | OBJECTS | OBJECTS.map(np.ndarray.tolist)
SEEDS = st.one_of(
    st.none(),
    st.integers(0, 9),
    st.integers(0, 9).map(np.int64),
    st.builds(
        lambda make, kind: make(getattr(np.random, kind)(3)),
        st.sampled_from((np.random.Generator, np.random.RandomState)),
        st.sampled_from(("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")),
    ),
)


@st.composite
def classifiers(draw):
    """Draw a fitted classifier with labels, class weights and a seed of any kind."""
    labels = draw(LABELS)
    named = draw(st.lists(st.sampled_from([*labels]), unique=True))
    weights = draw(st.none() | st.just("balanced") | st.just(dict.fromkeys(named, 2.0)))
    # By index: a list may hold what an array of text cannot, a zero character at its end.
    y = [labels[i % len(labels)] for i in range(len(X))]
    if isinstance(labels, np.ndarray):
        y = labels[np.arange(len(X)) % len(labels)]
    seed = draw(SEEDS)
    model = RNNClassifier("rnn", (2,), **BRIEF | {"random_state": seed}, class_weight=weights)
    try:
        return model.fit(X, y)
    except (TypeError, ValueError):  # the same label twice, or one that fit does not take
        assume(False)


def state_of(seed):
    """Return what decides the numbers that a source of randomness gives."""
    if isinstance(seed, np.random.Generator):
        return type(seed), repr(seed.bit_generator.state)
    return type(seed), repr(seed.get_state(legacy=False) if hasattr(seed, "get_state") else seed)


@settings(max_examples=60)
@given(model=classifiers())
def test_labels_weights_and_seeds_of_every_kind_come_back(model, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "model"
    model.save(path)
    back = load(path)
    assert back.classes_.dtype == model.classes_.dtype
    assert list(map(type, back.classes_)) == list(map(type, model.classes_))
    assert back.classes_.tolist() == model.classes_.tolist()
    assert back.predict(X).tolist() == model.predict(X).tolist()
    assert back.class_weight == model.class_weight
    assert state_of(back.random_state) == state_of(model.random_state)


def test_labels_that_are_bytes_may_have_weights(tmp_path):
    model = RNNClassifier("rnn", (2,), **BRIEF, class_weight={b"a": 2.0, b"\xff": 3.0})
    model.fit(X, [b"a", b"\xff"] * 3).save(tmp_path / "model")
    assert load(tmp_path / "model").class_weight == {b"a": 2.0, b"\xff": 3.0}


def test_attributes_of_the_users_own_are_left_out(tmp_path):
    model = RNNRegressor("rnn", (2,), **BRIEF).fit(X, np.arange(6.0))
    model.note_, model.weights_by_hand_, model.labels__ = object(), {"a": print}, {1, 2}
    model.save(tmp_path / "model")
    back = load(tmp_path / "model")
    assert not {"note_", "weights_by_hand_", "labels__"} & vars(back).keys()
    assert np.array_equal(back.predict(X), model.predict(X))


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        (
            RNNRegressor("gru", (3, 2), **BRIEF),
            {"cell": "lstm", "hidden_layer_sizes": (9,), "target": "step", "bidirectional": True}
            | {"dtype": "float64", "window": 3, "dropout": 0.5, "tokens": "word", "patch": 2},
        ),
        (
            RNNLanguageModel("ffnn", (4,), **BRIEF, embedding_size=3, window=2),
            {"cell": "rnn", "window": 9, "embedding_size": 5, "tie_weights": True}
            | {"output": "adaptive", "tokens": "word", "hidden_layer_sizes": "nonsense"},
        ),
    ],
)
def test_the_network_is_saved_with_the_arguments_of_its_fit(model, changes, tmp_path):
    data = (TEXTS,) if isinstance(model, RNNLanguageModel) else (X, np.arange(6.0))
    model.fit(*data)
    fitted = model.get_params()
    results = np.array(model.predict_proba(TEXTS) if len(data) == 1 else model.predict(X))
    model.set_params(**changes, verbose=2).save(tmp_path / "model")
    back = load(tmp_path / "model")
    assert back.verbose == 2 and model.cell == changes["cell"]
    kept = {name: value for name, value in back.get_params().items() if name in changes}
    for name, value in kept.items():
        assert value == fitted[name] or fitted[name] == "auto" or name == "hidden_layer_sizes"
    again = np.array(back.predict_proba(TEXTS) if len(data) == 1 else back.predict(X))
    assert np.array_equal(results, again)
    back.partial_fit(*data)


# -- what load refuses -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return the files of a classifier and of a language model."""
    folder = tmp_path_factory.mktemp("saved")
    RNNClassifier("gru", (3, 2), **BRIEF).fit(X, ["a", "b", "a"] * 2).save(folder / "classifier")
    RNNLanguageModel("ffnn", (4,), **BRIEF, embedding_size=4, window=2).fit(TEXTS).save(
        folder / "language"
    )
    return folder


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("classifier", "cell", "lstm"),
        ("classifier", "hidden_layer_sizes", (3,)),
        ("classifier", "hidden_layer_sizes", (3, 2.5)),
        ("classifier", "target", "step"),
        ("classifier", "bidirectional", True),
        ("classifier", "pooling", "mean"),
        ("classifier", "window", 3),
        ("classifier", "patch", 2),
        ("classifier", "dropout", 0.5),
        ("classifier", "dtype", "float64"),
        ("classifier", "tokens", "char"),
        ("language", "cell", "gru"),
        ("language", "window", 10**9),
        ("language", "embedding_size", 5),
        ("language", "tie_weights", True),
        ("language", "tokens", "word"),
    ],
)
def test_arguments_that_are_not_those_of_the_network_are_refused(
    kind, name, value, saved, tmp_path
):
    tree = archive.read(saved / kind)
    tree["state"][name] = value
    archive.write(tmp_path / "model", tree)
    with pytest.raises(ValueError, match=rf"{name} must be that of the network, .*, got "):
        load(tmp_path / "model")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["layer0.W_ih", "head.b"])
def test_weights_that_are_not_finite_are_neither_saved_nor_loaded(name, value, saved, tmp_path):
    tree = archive.read(saved / "classifier")
    tree["state"]["_model"]["network"][name].flat[-1] = value
    archive.write(tmp_path / "model", tree)
    with pytest.raises(ValueError, match=rf"network/{name} must be finite, got infinity or NaN"):
        load(tmp_path / "model")
    model = load(saved / "classifier")
    arrays = model.weights_
    arrays[name].flat[-1] = value
    model._model.network.assign(arrays)
    before = (tmp_path / "model").read_bytes()
    with pytest.raises(ValueError, match=rf"save must be called of .*network/{name} must be finit"):
        model.save(tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == before


@pytest.mark.parametrize("name", ["mean", "scale"])
def test_units_that_are_not_finite_are_refused(name, tmp_path):
    RNNRegressor("rnn", (2,), **BRIEF).fit(X, np.arange(6.0)).save(tmp_path / "model")
    tree = archive.read(tmp_path / "model")
    tree["state"]["_model"]["targets"][name][:] = np.nan
    archive.write(tmp_path / "model", tree)
    with pytest.raises(ValueError, match=f"targets/{name} must be finite"):
        load(tmp_path / "model")


def test_save_makes_the_checks_of_load(saved, tmp_path):
    """Whatever may be wrong within an estimator: nothing is written."""
    for change in ("n_outputs", "vocabulary", "history"):
        model = load(saved / "classifier")
        if change == "n_outputs":
            model._model.targets.classes_ = np.arange(3)
        elif change == "vocabulary":
            model._model.vocabulary = load(saved / "language")._model.vocabulary
        else:
            model._model.history.losses = ["low"]
        with pytest.raises(ValueError, match="save must be called of an estimator that load would"):
            model.save(tmp_path / "model")
    model = load(saved / "classifier").set_params(class_weight={"a": object()})
    with pytest.raises(TypeError, match="state/class_weight/a must be a number, a string"):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


# -- files that would take all memory --------------------------------------------------------------

LIMITED = """
import resource, sys
import lightrnn, lightrnn.estimators.saved_state, lightrnn.nn.network, numba
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
limit = used + 512 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for path in sys.argv[1:]:
    try:
        print(lightrnn.load(path))
    except ValueError as error:
        print("refused" if "more memory" not in str(error) else error)
"""


def with_state(members, **values):
    """Return a file whose header has other attributes of the estimator, or of its model."""
    tree = fuzz_npz.header_of(members)
    state = tree["content"]["state"]
    for name, value in values.items():
        (state["_model"] if name in state["_model"] else state)[name] = value
    return fuzz_npz.sealed(members, json.dumps(tree).encode())


def bombs(whole):
    """Yield files that would take much more memory, or time, than they have bytes."""
    members = fuzz_npz.members_of(whole)
    name = next(name for name in members if "layer0" in name)
    for array in (
        fuzz_npz.npy("<U0", "(1000000000,)"),
        fuzz_npz.npy("|S0", "(1000000000, 2)"),
        fuzz_npz.npy("<f8", "(1000000000, 0)"),
        fuzz_npz.npy("<f8", "(100000000000,)"),
        fuzz_npz.npy("<f8", f"({'9' * 4000}, {'9' * 4000},)"),
    ):
        yield fuzz_npz.sealed(members | {name: array})
    keys = [number * (2**61 - 1) for number in range(200_000)]
    yield with_state(members, class_weight={"!dict": [[key, 1] for key in keys]})
    yield with_state(members, class_weight={"!dict": [[key, 1] for key in keys[:5000]]})
    tokens = {"kind": "category", "n_special": 1, "tokens": {"!object": [[len(keys)], keys]}}
    yield with_state(members, vocabulary=tokens)
    for unit in ("[[]]", "{}", '"\u0100"', "[" * 500 + "]" * 500):
        text = f"[{','.join([unit] * (9_000_000 // len(unit)))}]"
        header = json.dumps(fuzz_npz.header_of(members) | {"library": "@"})
        yield fuzz_npz.sealed(members, header.replace('"@"', text).replace("content", "c").encode())
    # 4 MB for each of 200 layers, all of which name one array.
    members[name] = fuzz_npz.npy("<f4", "(1000, 1000)", bytes(4_000_000))
    model = fuzz_npz.header_of(members)["content"]["state"]["_model"]
    network = {f"layer{n}.W_hh": {"!array": name.removesuffix(".npy")} for n in range(200)}
    sizes = model["architecture"] | {"hidden_layer_sizes": {"!tuple": [1000] * 200}}
    yield with_state(members, network=network, architecture=sizes)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited by a call of Linux")
def test_no_file_takes_more_memory_than_a_small_multiple_of_its_size(saved, tmp_path):
    """Nor does a MemoryError escape."""
    paths = []
    for number, content in enumerate(bombs((saved / "classifier").read_bytes())):
        paths.append(tmp_path / f"{number}")
        paths[-1].write_bytes(content)
    call = [sys.executable, "-c", LIMITED, *paths]
    done = subprocess.run(call, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n") == ["refused"] * len(paths) + [""]
