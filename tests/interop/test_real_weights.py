"""Weights that packages of others ship agree with what they compute; skipped where none is there.

They need: pip install --no-deps resemblyzer silero-vad g2p_en
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from lightrnn import RNNRegressor, from_torch
from lightrnn.interop.tensor_files import read_tensors
from lightrnn.losses import sigmoid

RNG = np.random.default_rng(0)


def file_of(package, *names):
    """Return the path of a package's file; the package is not imported."""
    spec = find_spec(package)
    if spec is None:
        pytest.skip(f"{package} is not installed")
    return Path(spec.submodule_search_locations[0]).joinpath(*names)


def identity(width):
    """Return an output layer that gives the states themselves."""
    return {"head.weight": np.eye(width), "head.bias": np.zeros(width)}


def test_resemblyzers_speaker_encoder(tmp_path):
    """Its file is older than torch 1.6; the message has the line that converts it."""
    torch = pytest.importorskip("torch", reason="converts the file and computes")
    path = file_of("resemblyzer", "pretrained.pt")
    with pytest.raises(
        ValueError, match=r"before 1.6. .*torch.save\(torch.load\(path, weights_only"
    ):
        from_torch(path, RNNRegressor())
    torch.save(torch.load(path, weights_only=True, map_location="cpu"), tmp_path / "weights.pt")
    state = torch.load(path, weights_only=True, map_location="cpu")["model_state"]
    lstm = torch.nn.LSTM(40, 256, 3, batch_first=True)
    linear = torch.nn.Linear(256, 256)
    for name, module in (("lstm", lstm), ("linear", linear)):
        keys = [key for key in state if key.startswith(f"{name}.")]
        module.load_state_dict({key[len(name) + 1 :]: state[key] for key in keys})
    X = RNG.normal(size=(2, 20, 40)).astype(np.float32)
    with torch.no_grad():
        expected = linear(lstm(torch.tensor(X))[1][0][-1]).numpy()
    options = {"ignore": "similarity_*", "state_dict": "model_state", "check": (X, expected)}
    model = from_torch(tmp_path / "weights.pt", RNNRegressor(), **options)
    assert np.allclose(model.predict(X), expected, rtol=0, atol=1e-5)


def test_sileros_cell():
    torch = pytest.importorskip("torch", reason="computes")
    state = read_tensors(file_of("silero_vad", "data", "silero_vad_16k.safetensors"))
    ends = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    arrays = {end: array for end in ends for name, array in state.items() if name.endswith(end)}
    H = arrays["weight_hh"].shape[1]
    cell = torch.nn.LSTMCell(arrays["weight_ih"].shape[1], H)
    cell.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})
    X = RNG.normal(size=(1, 9, cell.input_size)).astype(np.float32)
    states = None
    with torch.no_grad():
        for x in torch.tensor(X[0]):
            states = cell(x[None], states)
    source = {f"rnn.{name}": array for name, array in arrays.items()} | identity(H)
    model = from_torch(source, RNNRegressor(), check=(X, states[0]))
    assert np.allclose(model.predict(X), states[0].numpy(), rtol=0, atol=1e-5)


def test_g2p_ens_encoder():
    with np.load(file_of("g2p_en", "checkpoint20.npz")) as file:
        W_ih, W_hh, b_ih, b_hh, table = (
            file[f"enc_{name}"] for name in ("w_ih", "w_hh", "b_ih", "b_hh", "emb")
        )
    H = W_hh.shape[1]
    codes = RNG.integers(0, len(table), (1, 8))
    h = np.zeros(H)
    for x in table[codes[0]]:  # as g2p_en's grucell
        r_ih, z_ih, n_ih = np.split(x @ W_ih.T + b_ih, 3)
        r_hh, z_hh, n_hh = np.split(h @ W_hh.T + b_hh, 3)
        z = sigmoid(z_ih + z_hh)
        h = (1 - z) * np.tanh(n_ih + sigmoid(r_ih + r_hh) * n_hh) + z * h
    arrays = {"weight_ih": W_ih, "weight_hh": W_hh, "bias_ih": b_ih, "bias_hh": b_hh}
    source = {f"rnn.{name}_l0": array for name, array in arrays.items()}
    source |= {"embedding.weight": table} | identity(H)
    model = from_torch(source, RNNRegressor(), check=(codes, h[None]))
    assert np.allclose(model.predict(codes), h[None], rtol=0, atol=1e-5)
