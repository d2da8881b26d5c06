"""Whole models of Keras 2 and 3, and the layers in them that others take in."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from lightrnn import RNNClassifier, RNNRegressor, from_keras

h5py = pytest.importorskip("h5py", reason="reads Keras's files")

GOLDEN = Path(__file__).parent.parent / "golden"
FILES = ["nested2.h5", "nested3.h5", "chain2.h5", "chain2.keras", "chain3.h5"]


def estimator_of(name):
    return RNNClassifier() if name.startswith("nested") else RNNRegressor()


@pytest.mark.parametrize("name", FILES)
def test_golden(name):
    """Models with a model within, normalisations, a Dense before the layers, and a Softmax."""
    with np.load(GOLDEN / "whole.npz") as file:
        check = file["X"], file[name.partition(".")[0]]
    model = from_keras(GOLDEN / name, estimator_of(name), check=check)
    assert model.pooling == ("last" if name.startswith("nested") else "mean")


def changed(tmp_path, name, change):
    """Return a copy of a golden file after a change of it."""
    path = tmp_path / name
    shutil.copy(GOLDEN / name, path)
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def without(file):
    del file["model_weights/inner"]


def shortened(file):
    names = file["model_weights/inner"].attrs["weight_names"]
    file["model_weights/inner"].attrs["weight_names"] = names[:-1]


def renamed(file):
    names = [str(name) for name in file["model_weights/inner"].attrs["weight_names"]]
    names[0] = "../../x"
    file["model_weights/inner"].attrs["weight_names"] = [name.encode() for name in names]


def unread(file):
    file.attrs["model_config"] = "[" * 10**5


CHANGES = {
    "missing": (without, "0 arrays of the layer 'inner', not 10"),
    "one less": (shortened, "9 arrays of the layer 'inner', not 10"),
    "another name": (renamed, "It is damaged"),
    "no configuration": (unread, "It is damaged"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_damage_is_named(case, tmp_path):
    change, message = CHANGES[case]
    with pytest.raises(ValueError, match=message):
        from_keras(changed(tmp_path, "nested2.h5", change), RNNClassifier())


def configured(tmp_path, name, change):
    """Return a copy of a golden file after a change of its configuration."""

    def change_attribute(file):
        model = json.loads(file.attrs["model_config"])
        change(model["config"]["layers"])
        file.attrs["model_config"] = json.dumps(model)

    return changed(tmp_path, name, change_attribute)


def old_gru(layers):
    """As Keras wrote it before there was a choice."""
    bidirectional = next(one for one in layers if one["class_name"] == "Bidirectional")
    del bidirectional["config"]["layer"]["config"]["reset_after"]


def with_maximum(layers):
    for layer in layers:
        if layer["class_name"] == "GlobalAveragePooling1D":
            layer["class_name"] = "GlobalMaxPooling1D"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (old_gru, "of class 'GRU' with reset_after=False"),
        (with_maximum, "of class 'BatchNormalization' before a maximum"),
    ],
)
def test_what_is_another_function_is_refused(change, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        from_keras(configured(tmp_path, "chain2.h5", change), RNNRegressor())


# -- models at hand --------------------------------------------------------------------------------

KERAS = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def keras():
    pytest.importorskip("torch", reason="Keras computes with torch here")
    os.environ["KERAS_BACKEND"] = "torch"
    return pytest.importorskip("keras", reason="Keras is an optional peer")


def chain(keras, *parts):
    """Return a model of these layers with random weights."""
    model = keras.Sequential([keras.Input((4, 3)), *parts])
    rng = np.random.default_rng(0)
    model.set_weights(
        [rng.uniform(0.2, 1, w.shape) - 0.3 * (w.ndim > 1) for w in model.get_weights()]
    )
    return model


TAKEN_IN = {
    "constants": lambda layers: [layers.Rescaling([1.0, 2, 3], 0.5), layers.GRU(2)],
    "before a relu": lambda layers: [
        layers.LSTM(3),
        layers.Dense(4),
        layers.BatchNormalization(),
        layers.BatchNormalization(scale=False),
        layers.ReLU(),
        layers.BatchNormalization(center=False),
    ],
    "after a relu": lambda layers: [
        layers.LSTM(3),
        layers.Dense(4, activation="relu"),
        layers.BatchNormalization(),
    ],
}


@KERAS
@pytest.mark.parametrize("case", TAKEN_IN)
def test_layers_are_put_into_those_around_them(case, keras):
    """A model that is at hand compares itself."""
    layers = keras.layers
    end = [layers.Dense(2), layers.BatchNormalization()]
    from_keras(chain(keras, *TAKEN_IN[case](layers), *end), RNNRegressor())


@KERAS
def test_what_no_layer_takes_in_is_refused(keras):
    layers = keras.layers
    end = [layers.Dense(2, activation="softmax"), layers.BatchNormalization()]
    with pytest.raises(ValueError, match=r"'batch_normalization.*' of class .* at the end"):
        from_keras(chain(keras, layers.LSTM(3), *end), RNNClassifier())


@KERAS
def test_functional_models_that_are_no_chain_are_refused(keras):
    layers = keras.layers
    inputs = keras.Input((4, 3))
    rows = layers.LSTM(3, return_sequences=True, name="rows")(inputs)
    dense = layers.Dense(2, name="dense")
    for outputs, message in (
        ([rows, dense(rows)], "functional model with the outputs of 'rows' and 'dense'"),
        (dense(layers.Add(name="sum")([rows, inputs])), "'sum' of class 'Add', which does not"),
    ):
        with pytest.raises(ValueError, match=message):
            from_keras(keras.Model(inputs, outputs), RNNRegressor())


@KERAS
def test_a_mask_is_warned_of_though_the_model_is_at_hand(keras):
    layers = keras.layers
    model = chain(keras, layers.Masking(), layers.LSTM(3), layers.Dense(2))
    with pytest.warns(UserWarning, match="a Masking layer, which leaves padded steps out"):
        from_keras(model, RNNRegressor())


@KERAS
def test_a_model_is_run(keras, monkeypatch):
    layers = keras.layers
    model = chain(keras, layers.LSTM(3), layers.Dense(2))
    found = from_keras(model, RNNRegressor())
    X = np.ones((1, 4, 3), np.float32)
    assert np.allclose(found.predict(X), model.predict(X, verbose=0), rtol=0, atol=1e-5)
    policy = {"dtype": "mixed_bfloat16"}  # what rounds at every step is not compared
    from_keras(chain(keras, layers.LSTM(3, **policy), layers.Dense(2)), RNNRegressor())
    with pytest.raises(ValueError, match=r"got the model '.*' with '.*' of class 'GRU' with reset"):
        from_keras(chain(keras, layers.GRU(3, reset_after=False), layers.Dense(2)), RNNRegressor())
    # Its forward pass is another than its configuration says.
    call = model.predict
    monkeypatch.setattr(model, "predict", lambda *args, **keywords: 1 + call(*args, **keywords))
    with pytest.raises(ValueError, match="source must give the outputs of its layers"):
        from_keras(model, RNNRegressor())
