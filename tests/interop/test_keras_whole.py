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


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_model_is_run(monkeypatch):
    pytest.importorskip("torch", reason="Keras computes with torch here")
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "torch"))
    keras = pytest.importorskip("keras", reason="Keras is an optional peer")
    layers = keras.layers
    model = keras.Sequential([keras.Input((4, 3)), layers.LSTM(3), layers.Dense(2)])
    found = from_keras(model, RNNRegressor())
    X = np.ones((1, 4, 3), np.float32)
    assert np.allclose(found.predict(X), model.predict(X, verbose=0), rtol=0, atol=1e-5)
    # Its forward pass is another than its configuration says.
    call = model.predict
    monkeypatch.setattr(model, "predict", lambda *args, **keywords: 1 + call(*args, **keywords))
    with pytest.raises(ValueError, match="source must give the outputs of its layers"):
        from_keras(model, RNNRegressor())
