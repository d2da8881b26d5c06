"""Heads of several linear layers come from PyTorch, Keras and ONNX with what is between them."""

import os

import numpy as np
import pytest

from lightrnn import RNNClassifier, RNNRegressor, from_keras, from_onnx, from_torch
from lightrnn.cells import HEAD_CELLS
from lightrnn.interop.head_layers import chain

MODULES = {"relu": "ReLU", "tanh": "Tanh", "sigmoid": "Sigmoid", "gelu": "GELU"}


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="torch is an optional peer")


def module_of(torch, between, read, both=False, features=2, outputs=2):
    """A module whose sizes let its linear layers be taken for one before the recurrent one."""
    nn = torch.nn

    class Module(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(features, 4, batch_first=True, bidirectional=both)
            self.head = nn.Sequential(
                nn.Linear(4 * (1 + both), features),
                between(),
                nn.Dropout(0.5),
                nn.Linear(features, 3),
                between(),
                nn.Linear(3, outputs),
            )

        def forward(self, x):
            out = self.rnn(x)[0]
            states = {"step": out, "last": out[:, -1], "mean": out.mean(1)}
            return self.head(states[read])

    torch.manual_seed(1)
    return Module().eval()


CASES = [
    ("relu", "last", True),
    ("tanh", "step", False),
    ("sigmoid", "mean", True),
    ("gelu", "last", False),
]


@pytest.mark.parametrize(("activation", "read", "both"), CASES)
def test_a_module_shows_what_stands_between_its_layers(torch, activation, read, both):
    module = module_of(torch, getattr(torch.nn, MODULES[activation]), read, both)
    model = from_torch(module, RNNRegressor(head_activation="relu"))
    assert model.head_layer_sizes == (2, 3) and model.head_activation == activation
    assert model.target == ("step" if read == "step" else "sequence")
    X = np.random.default_rng(0).normal(size=(3, 6, 2)).astype(np.float32)
    with torch.no_grad():
        expected = module(torch.from_numpy(X)).numpy()
    assert np.allclose(np.array(model.predict(list(X))), expected, atol=1e-6)


def test_layers_without_a_function_between_them_are_one(torch):
    module = module_of(torch, torch.nn.Identity, "last")
    model = from_torch(module, RNNClassifier())
    assert model.head_layer_sizes == () and model.weights_["head.W"].shape == (4, 2)


def test_weights_alone_take_the_estimators_activation(torch):
    module = module_of(torch, torch.nn.Tanh, "last")
    weights = module.state_dict()
    X = np.ones((1, 5, 2), np.float32)
    with torch.no_grad():
        check = X, module(torch.from_numpy(X)).numpy()
    with pytest.warns(UserWarning, match="between its linear layers: 'relu' is taken"):
        assert from_torch(weights, RNNRegressor()).head_activation == "relu"
    with pytest.raises(ValueError, match="With head_activation='tanh' of the estimator they agree"):
        from_torch(weights, RNNRegressor(), check=check)
    model = from_torch(weights, RNNRegressor(head_activation="tanh"), check=check)
    assert model.head_activation == "tanh"
    # What was converted is written so that PyTorch loads it again, names aside.
    back = from_torch(model.to_torch(), RNNRegressor(head_activation="tanh"), check=check)
    assert np.array_equal(back.predict(X), model.predict(X))


def test_functions_that_are_not_computed_are_refused_by_name(torch):
    nn = torch.nn
    with pytest.raises(ValueError, match=r"got 'head\.1' of class LeakyReLU"):
        from_torch(module_of(torch, nn.LeakyReLU, "last"), RNNClassifier())
    with pytest.raises(ValueError, match=r"exact GELU, got 'head\.1' with approximate='tanh'"):
        from_torch(module_of(torch, lambda: nn.GELU("tanh"), "last"), RNNClassifier())
    alone = nn.Sequential(nn.LSTM(2, 3), nn.ReLU(), nn.Linear(3, 2))
    with pytest.raises(ValueError, match="got '1' of class ReLU"):
        from_torch(alone, RNNClassifier())


def test_a_chain_is_found_by_sizes_and_order():
    shapes = {"a": (4, 4), "b": (4, 4), "c": (4, 2)}
    assert chain(shapes, 4, None) == ["a", "b", "c"]
    assert chain({"c": (4, 2), "a": (4, 4)}, 4, "c") == ["a", "c"]
    assert chain({"c": (4, 2), "a": (4, 4)}, 4, None) == []
    assert chain(shapes | {"d": (7, 3)}, 4, None) == [] == chain(shapes, 5, "c")


@pytest.fixture(scope="module")
def keras(torch):
    pytest.importorskip("h5py", reason="reads HDF5")
    os.environ["KERAS_BACKEND"] = "torch"
    return pytest.importorskip("keras", reason="Keras is an optional peer")


def saved(keras, folder, *dense):
    """Save a model whose Dense layers these are; return it and its path."""
    model = keras.Sequential([keras.Input((None, 2)), keras.layers.GRU(4), *dense])
    path = folder / "model.keras"
    model.save(path)
    return model, path


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own
@pytest.mark.parametrize("activation", HEAD_CELLS)
def test_keras_says_what_stands_between(keras, activation, tmp_path):
    layers = keras.layers
    function = layers.ReLU() if activation == "relu" else layers.Activation(activation)
    rest = [layers.Dropout(0.5), layers.Dense(4, activation), layers.Dense(1, "sigmoid")]
    model, path = saved(keras, tmp_path, layers.Dense(4), function, *rest)
    X = np.random.default_rng(0).normal(size=(3, 6, 2)).astype(np.float32)
    check = X, keras.ops.convert_to_numpy(model(X))
    converted = from_keras(path, RNNClassifier(), check=check)
    assert converted.head_layer_sizes == (4, 4) and converted.head_activation == activation


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_functions_between_dense_layers_are_refused_by_name(keras, tmp_path):
    Dense = keras.layers.Dense
    _, path = saved(keras, tmp_path, Dense(3, "tanh"), Dense(3, "relu"), Dense(2))
    with pytest.raises(ValueError, match="the activations 'tanh' and 'relu' between Dense layers"):
        from_keras(path, RNNClassifier())
    _, path = saved(keras, tmp_path, Dense(3, "elu"), Dense(2))
    with pytest.raises(ValueError, match="of class 'Dense' with the activation 'elu'"):
        from_keras(path, RNNClassifier())
    # Without a function two layers are one.
    _, path = saved(keras, tmp_path, Dense(3), Dense(2))
    assert from_keras(path, RNNClassifier()).head_layer_sizes == ()


@pytest.mark.parametrize("activation", HEAD_CELLS)
@pytest.mark.filterwarnings("ignore")  # of the exporter, about its age
def test_graphs_of_torch_are_followed(torch, activation, tmp_path):
    pytest.importorskip("onnx", reason="reads ONNX models")
    module = module_of(torch, getattr(torch.nn, MODULES[activation]), "last", both=True)
    X = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 6, 2)).astype(np.float32))
    with torch.no_grad():
        check = X.numpy(), module(X).numpy()
    for opset in (17, 20)[: 1 + (activation == "gelu")]:  # one operator then, before it several
        path = str(tmp_path / "model.onnx")
        torch.onnx.export(module, X, path, opset_version=opset, dynamo=False)
        model = from_onnx(path, RNNRegressor(), check=check)
        assert model.head_layer_sizes == (2, 3) and model.head_activation == activation
