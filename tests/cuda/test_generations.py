"""Generations of GPUs: kernels compiled for each are run, a fit for every way to tile a loop."""

import numpy as np
import pytest

from lightrnn import RNNClassifier

# Units of the layer; then the GPU's multiprocessors, threads of a block, and whether W_hh is read
# in every step.
REGIMES = {
    "registers": (5, 1, 32, False),
    "registers and shared memory": (9, 1, 4, False),
    "several blocks": (9, 4, 2, False),
    "streamed": (13, 1, 8, True),
}
CAPABILITIES = [(7, 5), (9, 0)]  # all other tests run those of 8.0
X = [np.linspace(-1, 1, 2 * T).reshape(T, 2) * (-1) ** T for T in (2, 3, 2, 4)]
Y = [0, 1, 0, 0]
OPTIONS = {"max_iter": 1, "batch_size": 4, "dtype": "float64", "learning_rate": "cosine"}


@pytest.mark.parametrize("name", REGIMES)
@pytest.mark.parametrize("capability", CAPABILITIES)
def test_a_fit_of_every_regime(compilers, monkeypatch, capability, name):
    from helpers.ptx.device import Device, installed

    from lightrnn.cuda import forward
    from lightrnn.cuda.driver import Limits
    from lightrnn.cuda.recurrence import tiling

    H, multiprocessors, threads, streamed = REGIMES[name]
    limits = Limits(multiprocessors, 40000, threads=threads)
    original = tiling.choose.__wrapped__
    used = []

    def choose(*sizes, back):
        used.append(original(*sizes[:-1], limits, back=back))
        return used[-1]

    monkeypatch.setattr(forward, "choose", choose)
    if streamed:
        monkeypatch.setattr(tiling._Search, "resident", lambda self: None)
    options = OPTIONS | {"hidden_layer_sizes": (H,), "random_state": 0}
    device = Device(capability)
    with installed(device):
        there = RNNClassifier("rnn", device="cuda", **options).fit(X, Y)
        probabilities = there.predict_proba(X)
    here = RNNClassifier("rnn", device="cpu", **options).fit(X, Y)
    assert not device.faults
    assert np.allclose(probabilities, here.predict_proba(X), rtol=1e-12, atol=1e-12)
    for key, array in here.weights_.items():
        assert np.allclose(there.weights_[key], array, rtol=1e-12, atol=1e-12), key
    assert all((each.resident == 0) == streamed for each in used)
    assert any(each.blocks > 1 for each in used) == (name == "several blocks")
    stored = name in ("registers and shared memory", "several blocks")
    assert any(each.stored > 0 for each in used) == stored
