"""Devices: which are refused and how, and that nothing is lost."""

from types import SimpleNamespace

import numpy as np
import pytest
from helpers.networks import weight_bits

from lightrnn import RNNClassifier, cuda, devices
from lightrnn.nn.network import Network

X, Y = [np.ones((T, 2)) * T for T in (2, 3, 4, 2)], [0, 1, 0, 1]
QUICK = {"hidden_layer_sizes": (2,), "max_iter": 1, "learning_rate": "cosine", "random_state": 0}


class NoDriver:
    def __len__(self):
        raise OSError("no libcuda.so\n anywhere")


def module(gpus, capability=(9, 0)):
    """A machine as numba.cuda shows it."""
    device = SimpleNamespace(compute_capability=capability, MULTIPROCESSOR_COUNT=132)
    return SimpleNamespace(gpus=[device for _ in gpus] if isinstance(gpus, list) else gpus)


MACHINES = {
    "no driver": (
        module(NoDriver()),
        "cuda",
        r"driver, which could not be used \(no libcuda.so anywhere\). Install it;",
    ),
    "no gpu": (
        module([]),
        "cuda",
        r"needs an NVIDIA GPU, and the driver sees none. Check nvidia-smi",
    ),
    "one gpu": (
        module([0]),
        "cuda:1",
        r"needs GPU number 1, and the driver sees 1, counted from 0. Choose",
    ),
    "an old gpu": (
        module([0], (6, 1)),
        "cuda",
        r"compute capability 7.5 or later, and GPU 0 has 6.1. Use device='cpu'",
    ),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_a_gpu_that_cannot_be_used_is_an_error_and_changes_nothing(machine, monkeypatch):
    there, device, message = MACHINES[machine]
    monkeypatch.setattr(cuda.driver, "cuda", lambda: there)
    for estimator in (RNNClassifier(**QUICK), RNNClassifier(**QUICK).fit(X, Y)):
        before = vars(estimator.set_params(device=device)).copy()
        with pytest.raises(RuntimeError, match=message):
            estimator.fit(X, Y)
        assert vars(estimator) == before
        if hasattr(estimator, "classes_"):
            with pytest.raises(RuntimeError, match=message):
                estimator.predict(X)
            estimator.set_params(device="cpu").predict(X)


def test_a_missing_package_is_an_error(monkeypatch):
    monkeypatch.setattr(cuda.driver, "find_spec", lambda name: None)
    with pytest.raises(
        RuntimeError, match=r"numba-cuda, which is not installed. pip install 'numba-cuda\[cu12\]'"
    ):
        RNNClassifier(device="cuda", **QUICK).fit(X, Y)


@pytest.mark.parametrize("gpus", [NoDriver(), []])
def test_auto_takes_the_cpu_where_there_is_no_gpu(gpus, monkeypatch):
    monkeypatch.setattr(cuda.driver, "cuda", lambda: module(gpus))
    monkeypatch.setattr(devices, "_WORTH", 0.0)
    auto, cpu = (RNNClassifier(device=device, **QUICK).fit(X, Y) for device in ("auto", "cpu"))
    assert auto.device_ == "cpu"
    assert weight_bits(auto) == weight_bits(cpu)


def test_auto_looks_for_a_gpu_only_if_there_is_much_to_do(monkeypatch):
    asked = []
    monkeypatch.setattr(cuda.driver, "present", lambda: asked.append(True))
    network = Network("lstm", 2, (3,), 1)
    for work in (1e6, 1e13):
        with devices.placed(network, "auto", work) as chosen:
            assert chosen is network
    assert asked == [True]
    steps = 10**6
    assert (
        devices.training_work(network, steps) == 3 * devices.prediction_work(network, steps) > 1e8
    )


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:-1", "CUDA", "cuda:1.0", ""])
def test_other_names_are_refused(device):
    with pytest.raises(
        ValueError,
        match=r"device must be 'cpu', 'cuda', 'cuda:1' or another number, or 'auto', got",
    ):
        RNNClassifier(device=device).fit(X, Y)
    with pytest.raises(TypeError, match="device must be"):
        RNNClassifier(device=1).fit(X, Y)
