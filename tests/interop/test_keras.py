"""Keras's networks give the same outputs here; layers that are not computed are refused by name."""

import copy
import io
import json
import os
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor, from_keras, load
from lightrnn.interop.keras_config import describe

h5py = pytest.importorskip("h5py", reason="reads Keras's files")

# The tests of `check` are about this warning.
pytestmark = pytest.mark.filterwarnings("ignore:A .weights.h5 file holds arrays alone:UserWarning")

GOLDEN = Path(__file__).parent.parent / "golden"


def golden():
    with np.load(GOLDEN / "keras.npz") as file:
        arrays = dict(file)
    ends = np.cumsum(arrays["lengths"])[:-1]
    return arrays | {name: np.split(arrays[name], ends) for name in ("numbers", "codes")}


# -- what Keras computed ---------------------------------------------------------------------------


def test_golden_lstm():
    files = golden()
    model = from_keras(GOLDEN / "lstm.keras", RNNClassifier(target="step"), classes=["a", "c", "b"])
    assert model.target == "sequence" and model.classes_.tolist() == ["a", "b", "c"]
    assert np.allclose(
        model.predict_proba(files["numbers"]), files["lstm"][:, [0, 2, 1]], rtol=0, atol=1e-6
    )


def test_golden_of_layers_that_change_no_prediction():
    files = golden()
    model = from_keras(GOLDEN / "noisy.keras", RNNClassifier())
    assert np.allclose(model.predict_proba(files["numbers"]), files["lstm"], rtol=0, atol=1e-6)


def test_golden_gru():
    files = golden()
    model = from_keras(str(GOLDEN / "gru.weights.h5"), RNNRegressor(target="step"))
    assert model.hidden_layer_sizes == (4, 2) and model.bidirectional
    assert np.allclose(
        np.concatenate(model.predict(files["numbers"])), files["gru"], rtol=0, atol=1e-6
    )


def test_golden_rnn():
    files = golden()
    model = from_keras(GOLDEN / "rnn.keras", RNNClassifier())
    assert np.allclose(model.predict_proba(files["codes"])[:, 1:], files["rnn"], rtol=0, atol=1e-6)
    model.partial_fit(files["codes"], [0, 1, 0, 1])


def test_padding_is_no_token(tmp_path):
    """Of an Embedding with mask_zero; Keras leaves it out, also where outputs are compared."""
    files = golden()
    filled = np.zeros((4, 12), np.int64)
    for row, codes in zip(filled, files["codes"], strict=True):
        row[2 : 2 + len(codes)] = codes
    model = from_keras(GOLDEN / "rnn.keras", RNNClassifier(), check=(filled, files["rnn"]))
    assert model.vocabulary_.tolist() == ["<unknown>", 1, 2, 3, 4, 5, 6]
    model.save(tmp_path / "model")
    with pytest.raises(ValueError, match="X must hold no padding, got 0 at step 0"):
        load(tmp_path / "model").predict(filled.tolist())


@pytest.mark.parametrize(("name", "pooling"), [("Average", "mean"), ("Max", "max")])
def test_a_global_pooling_is_read(name, pooling, tmp_path):
    pooled = with_layer("lstm", 2, f"Global{name}Pooling1D", {"keepdims": False})
    path = rewritten("lstm.keras", tmp_path, pooled)
    with pytest.raises(ValueError, match=f"class 'Global{name}Pooling1D' over another axis than"):
        from_keras(path, RNNClassifier())
    pooled["config"]["layers"][1]["config"]["return_sequences"] = True
    model = from_keras(rewritten("lstm.keras", tmp_path, pooled), RNNClassifier())
    assert model.pooling == pooling and model.target == "sequence"


@pytest.mark.parametrize("name", ["reset_before.keras", "reset_before.weights.h5"])
def test_reset_before_is_refused(name):
    with pytest.raises(ValueError, match="reset_after=False"):
        from_keras(GOLDEN / name, RNNRegressor())


# -- Keras itself ----------------------------------------------------------------------------------


# Keras itself warns on NumPy 2.
KERAS = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def keras():
    pytest.importorskip("torch", reason="Keras computes with torch here")
    os.environ["KERAS_BACKEND"] = "torch"
    return pytest.importorskip("keras", reason="Keras is an optional peer")


def model_of(keras, kind, sizes, both, step, biased=True, tokens=0):
    layers = keras.layers
    chain = [keras.Input((None,) if tokens else (None, 3))]
    chain += [layers.Embedding(tokens, 3)] if tokens else []
    for i, units in enumerate(sizes):
        layer = getattr(layers, kind)(
            units, return_sequences=step or i < len(sizes) - 1, use_bias=biased
        )
        chain.append(layers.Bidirectional(layer) if both else layer)
    model = keras.Sequential([*chain, layers.Dense(2, use_bias=biased)])
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(0, 0.5, array.shape) for array in model.get_weights()])
    return model


@KERAS
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize(
    ("sizes", "step", "biased", "tokens"),
    [((5,), False, True, 0), ((3, 4), True, True, 0), ((3, 17, 2), False, False, 5)],
)
def test_keras_gives_the_same(keras, kind, both, sizes, step, biased, tokens, tmp_path):
    theirs = model_of(keras, kind, sizes, both, step, biased, tokens)
    theirs.save(tmp_path / "model.keras")
    theirs.save_weights(tmp_path / "model.weights.h5")
    rng = np.random.default_rng(1)
    X = rng.integers(0, tokens, (3, 6)) if tokens else rng.normal(size=(3, 6, 3)).astype(np.float32)
    expected = np.asarray(keras.ops.convert_to_numpy(theirs(X)))
    estimator = RNNRegressor(target="step" if step else "sequence")
    from_keras(theirs, estimator)
    for name in ("model.keras", "model.weights.h5"):
        if name.endswith("h5") and kind == "GRU" and not biased:
            with pytest.raises(
                ValueError, match=r"must say whether the GRU .* has reset_after=True"
            ):
                from_keras(tmp_path / name, estimator)
            continue
        model = from_keras(tmp_path / name, estimator, check=(X, expected))
        assert np.allclose(np.array(model.predict(list(X))), expected, rtol=0, atol=2e-6)


@KERAS
def test_other_ways_to_write_a_model(keras, tmp_path):
    layers = keras.layers
    inputs = keras.Input((None, 3))
    rows = layers.LSTM(4, return_sequences=True)(layers.Masking()(inputs))
    rows = layers.TimeDistributed(layers.Dense(3))(layers.Dropout(0.2)(rows))
    step = keras.Model(inputs, layers.Activation("sigmoid")(rows))
    step.save(tmp_path / "step.keras")
    with pytest.warns(UserWarning, match="has a Masking layer, which leaves padded steps out"):
        model = from_keras(tmp_path / "step.keras", RNNClassifier())
    assert model.target == "step" and model.classes_.tolist() == [0, 1, 2]
    X = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    expected = keras.ops.convert_to_numpy(step(X))
    from_keras(tmp_path / "step.keras", RNNClassifier(), check=(X, expected))
    filled = X * (np.arange(5) < 3)[:, None]
    with pytest.raises(ValueError, match="They begin at sequence 0, step 3"):
        from_keras(tmp_path / "step.keras", RNNClassifier(), check=(filled, step(filled)))
    assert np.allclose(np.array(model.predict_proba(list(X))), expected, rtol=0, atol=1e-6)

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.table = layers.Embedding(6, 3)
            self.low = layers.GRU(4, return_sequences=True)
            self.high = layers.GRU(4, return_sequences=True)
            self.out = layers.Dense(6)

        def call(self, x):
            return self.out(self.high(self.low(self.table(x))))

    own = Own()
    text = np.array([[2, 3, 4, 0, 1]])
    expected = keras.ops.softmax(own(text))
    own.save_weights(tmp_path / "own.weights.h5")
    vocabulary = ["<unknown>", "a", "<end>", "b", "c", "d"]
    keywords = {"vocabulary": vocabulary, "recurrent": ["layers/gru", "high"]}
    model = from_keras(tmp_path / "own.weights.h5", RNNLanguageModel(), **keywords)
    found = model.predict_proba(["bc?a"])[0]
    order = [vocabulary.index(token) for token in model.vocabulary_]
    assert np.allclose(found, keras.ops.convert_to_numpy(expected)[0, -1][order], rtol=0, atol=1e-6)


# -- refusals --------------------------------------------------------------------------------------


def config_of(name):
    with zipfile.ZipFile(GOLDEN / f"{name}.keras") as file:
        return json.loads(file.read("config.json"))


def set_in(name, number, **settings):
    model = config_of(name)
    model["config"]["layers"][number]["config"] |= settings
    return model


def with_layer(name, number, class_name, config=None):
    model = config_of(name)
    layer = {"class_name": class_name, "config": {"name": "new"} | (config or {})}
    model["config"]["layers"].insert(number, layer)
    return model


LSTM = config_of("lstm")["config"]["layers"][1]
OTHER_CELL = {"class_name": "RNN", "config": {"name": "r"}}
BOTH = {"layer": LSTM, "merge_mode": "concat"}
MODELS = {
    "activation": (
        set_in("lstm", 1, activation="relu"),
        "'lstm' of class 'LSTM' with activation='relu'",
    ),
    "gates": (
        set_in("lstm", 1, recurrent_activation="hard_sigmoid"),
        "recurrent_activation='hard_sigmoid'",
    ),
    "own activation": (
        set_in("lstm", 1, activation={"class_name": "mine"}),
        "with activation={'class_name': 'mine'}",
    ),
    "backwards": (set_in("lstm", 1, go_backwards=True), "with go_backwards=True"),
    "reset": (config_of("reset_before"), "of class 'GRU' with reset_after=False"),
    "head": (set_in("lstm", 2, activation="relu"), "of class 'Dense' with the activation 'relu'"),
    "two activations": (
        with_layer("lstm", 3, "Activation", {"activation": "softmax"}),
        "'softmax' and 'softmax'",
    ),
    "unknown": (with_layer("lstm", 1, "Conv1D"), "the layer 'new' of class 'Conv1D'"),
    "normalised": (with_layer("lstm", 2, "LayerNormalization"), "class 'LayerNormalization'"),
    "order": (
        with_layer("lstm", 2, "Embedding"),
        "class 'Embedding', 'dense' of class 'Dense', in this order",
    ),
    "a relu": (
        with_layer("lstm", 1, "Dense", {"activation": "relu"}),
        "'new' of class 'Dense' with the activation 'relu'",
    ),
    "an axis": (
        with_layer("lstm", 1, "BatchNormalization", {"axis": 1}),
        "'new' of class 'BatchNormalization' with axis=1",
    ),
    "cut short": (
        with_layer("lstm", 2, "LSTM"),
        "'lstm' of class 'LSTM' before another, with return_sequences",
    ),
    "merge": (
        with_layer("lstm", 2, "Bidirectional", BOTH | {"merge_mode": "sum"}),
        "with merge_mode='sum'",
    ),
    "around": (
        with_layer("lstm", 1, "Bidirectional", BOTH | {"layer": OTHER_CELL}),
        "'new' of class 'Bidirectional' around 'r' of class 'RNN'",
    ),
    "forward twice": (
        with_layer("lstm", 1, "Bidirectional", BOTH | {"backward_layer": LSTM}),
        "go_backwards=False",
    ),
    "a class of its own": ({"class_name": "Mine", "config": {}}, "a model of the class 'Mine'"),
}


WITHOUT_EFFECT = {
    "stateful": set_in("lstm", 1, stateful=True),
    "noise": with_layer("lstm", 1, "GaussianNoise", {"stddev": 0.1}),
    "dropout": with_layer("lstm", 2, "GaussianDropout", {"rate": 0.1}),
    "linear": with_layer("lstm", 2, "Activation", {"activation": "linear"}),
    "the same in every step": with_layer(
        "lstm", 1, "TimeDistributed", {"layer": {"class_name": "Dropout", "config": {}}}
    ),
}


@pytest.mark.parametrize("case", WITHOUT_EFFECT)
def test_layers_without_effect_are_passed_over(case, tmp_path):
    path = rewritten("lstm.keras", tmp_path, WITHOUT_EFFECT[case])
    found = from_keras(path, RNNClassifier()).predict_proba(golden()["numbers"])
    assert np.array_equal(
        found, from_keras(GOLDEN / "lstm.keras", RNNClassifier()).predict_proba(golden()["numbers"])
    )


def test_a_softmax_is_applied_once(tmp_path):
    """A Softmax layer is the activation of a linear Dense; another one cannot have two."""
    model = set_in("lstm", 2, activation="linear")
    softmax = {"class_name": "Softmax", "config": {"name": "s", "axis": -1}}
    model["config"]["layers"].append(softmax)
    found = from_keras(rewritten("lstm.keras", tmp_path, model), RNNClassifier())
    assert np.allclose(
        found.predict_proba(golden()["numbers"]), golden()["lstm"], rtol=0, atol=1e-6
    )
    softmax["config"]["axis"] = 1
    with pytest.raises(ValueError, match="'s' of class 'Softmax' with axis=1"):
        from_keras(rewritten("lstm.keras", tmp_path, model), RNNClassifier())
    twice = with_layer("lstm", 3, "Softmax", {"axis": -1})
    with pytest.raises(ValueError, match="'softmax' and 'softmax'"):
        from_keras(rewritten("lstm.keras", tmp_path, twice), RNNClassifier())


@pytest.mark.parametrize("case", MODELS)
def test_models_are_refused_by_name(case, tmp_path):
    model, message = MODELS[case]
    path = rewritten("lstm.keras", tmp_path, model)
    with pytest.raises(ValueError, match=f"source must be a chain of layers .*{message}"):
        from_keras(path, RNNClassifier())


def rewritten(name, folder, model):
    """A golden file with another configuration."""
    path = folder / name
    with zipfile.ZipFile(GOLDEN / name) as old, zipfile.ZipFile(path, "w") as new:
        new.writestr("config.json", json.dumps(model))
        new.writestr("model.weights.h5", old.read("model.weights.h5"))
    return path


# -- Keras 2 ---------------------------------------------------------------------------------------


def keras2(model):
    """The configuration as Keras 2.13 to 2.15 write it: nodes are lists, masks are not layers."""
    model = copy.deepcopy(model)
    layers = model["config"]["layers"]
    model["config"]["layers"] = [
        layer for layer in layers if layer["class_name"] not in ("NotEqual", "Any")
    ]
    for layer in model["config"]["layers"]:
        nodes = layer.get("inbound_nodes") or []
        histories = [node["args"][0]["config"]["keras_history"] for node in nodes]
        layer["inbound_nodes"] = [[[*history, {}]] for history in histories]
    return model


def test_functional_models_of_keras_2(tmp_path):
    """Arrays stand in a folder of another name, which is that of a container in Keras 2."""
    path = tmp_path / "two.keras"
    with h5py.File(GOLDEN.parent / "nothing", "w", driver="core", backing_store=False) as file:
        with zipfile.ZipFile(GOLDEN / "rnn.keras") as old:
            with h5py.File(io.BytesIO(old.read("model.weights.h5"))) as theirs:
                theirs.copy("layers", file, "_layer_checkpoint_dependencies")
        file.flush()
        content = file.id.get_file_image()
    model = keras2(config_of("rnn"))
    with zipfile.ZipFile(path, "w") as new:
        new.writestr("config.json", json.dumps(model))
        new.writestr("metadata.json", json.dumps({"keras_version": "2.15.0"}))
        new.writestr("model.weights.h5", content)
    found = from_keras(path, RNNClassifier())
    proba = found.predict_proba(golden()["codes"])[:, 1:]
    assert np.allclose(proba, golden()["rnn"], rtol=0, atol=1e-6)
    for node in (["elsewhere", 0, 0, {}], [*model["config"]["layers"][0]["name"], 0, 1, {}]):
        model["config"]["layers"][1]["inbound_nodes"] = [[node]]
        with pytest.raises(ValueError):
            describe(model)


def test_branches_are_refused():
    model = config_of("rnn")
    told = describe(model)
    assert told[:6] == ("sigmoid", None, "sequence", "last", True, False)
    for layer in model["config"]["layers"]:
        changed = copy.deepcopy(model)
        index = model["config"]["layers"].index(layer)
        if layer["class_name"] in ("InputLayer", "NotEqual"):
            continue
        node = changed["config"]["layers"][index]["inbound_nodes"][0]
        node["args"][0]["config"]["keras_history"][0] = "elsewhere"
        with pytest.raises(ValueError, match=f"'{layer['config']['name']}' .* does not follow"):
            describe(changed)


@given(st.data())
def test_any_change_of_a_configuration_is_survived(data):
    model = data.draw(st.sampled_from([config_of("lstm"), config_of("rnn")]))
    place = model
    while isinstance(place, (dict, list)) and place:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        parent = place
        place = place[key]
        if data.draw(st.booleans()):
            break
    parent[key] = data.draw(st.sampled_from([None, 3, "x", [], {}, [None], {"class_name": "LSTM"}]))
    try:
        describe(model)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        pass


def h5(path, **arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return path


def weights(path, **changes):
    with h5py.File(GOLDEN / "gru.weights.h5") as file:
        found = {}
        file.visititems(
            lambda name, item: (
                found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return h5(
        path, **{name: array for name, array in (found | changes).items() if array is not None}
    )


FIRST = "layers/bidirectional/forward_layer/cell/vars/"
CHANGES = {
    "missing": ({f"{FIRST}0": None}, f"must hold the weight '{FIRST}0'"),
    "misshapen": ({f"{FIRST}1": np.ones((4, 9))}, "recurrent matrix of an LSTM"),
    "misshapen bias": ({f"{FIRST}2": np.ones((2, 9))}, r"must have shape \(2, 12\), got \(2, 9\)"),
    "one bias": (
        {f"{FIRST}2": np.ones(12)},
        "must have GRUs with reset_after=True, got .* with one bias",
    ),
    "extra": ({f"{FIRST}3": np.ones(3)}, f"got also '{FIRST}3'"),
    "two heads": (
        {"layers/dense_1/vars/1": np.ones(3)},
        "can be the head, got 'layers/dense', 'layers/dense_1'",
    ),
    "another layer": (
        {"layers/embedding/vars/0": np.ones((5, 2))},
        r"must have shape \(any, 3\), got \(5, 2\)",
    ),
    "a stack of cells": ({"layers/rnn/cell/cells/lstm_cell/vars/0": np.ones((3, 4))}, "must have"),
    "not a number": ({f"{FIRST}0": np.full((3, 12), np.nan)}, "must be finite"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_weights_are_refused_by_name(case, tmp_path):
    changes, message = CHANGES[case]
    with pytest.raises(ValueError, match=message):
        from_keras(weights(tmp_path / "w.h5", **changes), RNNRegressor())


def test_the_optimizer_is_no_part_of_the_network(tmp_path):
    path = weights(
        tmp_path / "w.h5",
        **{"optimizer/vars/0": np.ones(2), "layers/d/seed_generator/vars/0": np.ones(2)},
    )
    from_keras(path, RNNRegressor(target="step"))


def test_an_activation_must_fit_the_estimator():
    with pytest.raises(
        ValueError, match="source must end without an activation for RNNRegressor, got softmax"
    ):
        from_keras(GOLDEN / "lstm.keras", RNNRegressor())
    with pytest.raises(
        ValueError, match=r"source must end with a sigmoid .* multilabel=True, got a softmax"
    ):
        from_keras(GOLDEN / "lstm.keras", RNNClassifier(), multilabel=True)
    with pytest.raises(ValueError, match="an output for every step to be an RNNLanguageModel"):
        from_keras(GOLDEN / "rnn.keras", RNNLanguageModel())


def test_hostile_files_are_refused(tmp_path):
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset(f"{FIRST}0", (2**40, 2**10), "f4", chunks=(1, 1))
    with pytest.raises(ValueError, match="is not stored plainly in the file"):
        from_keras(path, RNNRegressor())
    with h5py.File(path, "w") as file:
        file.create_dataset(f"{FIRST}0", (4, 4), "f4", external=[("/etc/passwd", 0, 64)])
    with pytest.raises(ValueError, match="is not stored plainly in the file"):
        from_keras(path, RNNRegressor())
    # A chunk larger than its array, of as many compressed bytes as the array has.
    for chunk in range(10**5, 10**6, 997):
        with h5py.File(path, "w") as file:
            bomb = file.create_dataset(
                f"{FIRST}0", (9,), "f4", chunks=(chunk,), maxshape=(None,), compression="gzip"
            )
            bomb[:] = 0
            file.flush()
            bomb.resize((bomb.id.get_storage_size() // 4,))
            if bomb.id.get_storage_size() == bomb.nbytes:
                break
    with pytest.raises(ValueError, match="is not stored plainly in the file"):
        from_keras(path, RNNRegressor())
    with h5py.File(path, "w") as file:
        file["a"] = h5py.SoftLink("/a")
        file["b"] = h5py.ExternalLink("/etc/passwd", "/")
        file["c"] = file  # a group within itself
    with pytest.raises(ValueError, match="groups as deep"):
        from_keras(path, RNNRegressor())
    with h5py.File(path, "w") as file:
        file[f"{FIRST}0"] = "text"
    with pytest.raises(ValueError, match="It is damaged"):
        from_keras(path, RNNRegressor())
    for content in (
        b"",
        b"rubbish",
        b"PK\x03\x04rubbish",
        (GOLDEN / "gru.weights.h5").read_bytes()[:3000],
    ):
        path.write_bytes(content)
        with pytest.raises(
            ValueError, match=r"source must be a \.keras or \.weights\.h5 file, got .*w.h5"
        ):
            from_keras(path, RNNRegressor())
    with pytest.raises(ValueError, match="the format of Keras 2"):
        from_keras(h5(path, **{"model_weights/lstm/kernel": np.ones((3, 4))}), RNNRegressor())
    with pytest.raises(ValueError, match="the format of Keras 2"):
        from_keras(h5(path, **{"lstm/lstm/lstm_cell/kernel:0": np.ones((3, 4))}), RNNRegressor())
    with pytest.raises(TypeError, match=r"source must be a path or a Keras model, got \{\}"):
        from_keras({}, RNNRegressor())
    with pytest.raises(FileNotFoundError):
        from_keras(tmp_path / "absent.keras", RNNRegressor())


@given(seed=st.integers(0, 2**32))
def test_damage_is_found_before_hdf5_is_read(tmp_path_factory, seed):
    """A ``.keras`` file is an archive with checksums."""
    content = bytearray((GOLDEN / "lstm.keras").read_bytes())
    rng = np.random.default_rng(seed)
    with zipfile.ZipFile(GOLDEN / "lstm.keras") as file:
        info = file.getinfo("model.weights.h5")
    start = info.header_offset + 30 + len(info.filename)  # of the member's bytes
    content[start + rng.integers(info.file_size)] ^= 1 << rng.integers(8)
    path = tmp_path_factory.mktemp("keras", numbered=True) / "w.keras"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="It is damaged"):
        from_keras(path, RNNClassifier())


def test_without_h5py(monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"h5py must be installed .* pip install h5py"):
        from_keras(GOLDEN / "lstm.keras", RNNClassifier())
