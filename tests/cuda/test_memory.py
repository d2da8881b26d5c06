"""The GPU's memory: what does not fit is said, and nothing stays behind."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.networks import weight_bits

from lightrnn import RNNClassifier, devices
from lightrnn.training import STOP

X = [np.ones((T, 2)) * T for T in (2, 3, 4, 2)]
Y = [0, 1, 0, 1]
QUICK = {"hidden_layer_sizes": (2,), "max_iter": 1, "learning_rate": "cosine", "random_state": 0}


@pytest.fixture
def gpu_networks(gpu, monkeypatch):
    """Every network on the GPU that is made."""
    made = []
    original = gpu.CudaNetwork.__init__

    def remember(self, *arguments):
        original(self, *arguments)
        made.append(self)

    monkeypatch.setattr(gpu.CudaNetwork, "__init__", remember)
    return made


def held(gpu_networks):
    return [gpu_network.memory.bytes_held for gpu_network in gpu_networks]


def test_a_fit_and_a_prediction_give_the_memory_back(gpu_networks):
    RNNClassifier(device="cuda", **QUICK).fit(X, Y).predict(X)
    assert held(gpu_networks) == [0, 0]


def test_too_little_memory_is_said_with_what_would_fit(gpu_networks, monkeypatch):
    from lightrnn.cuda import driver

    estimator = RNNClassifier(device="cuda", **QUICK)
    before = vars(estimator).copy()
    long = [np.ones((300, 50))] * 40

    def refused(free):
        def allocate(size, dtype):
            raise MemoryError

        monkeypatch.setattr(driver, "allocate", allocate)
        monkeypatch.setattr(driver, "memory", lambda: (free, 2**40))
        with pytest.raises(
            RuntimeError, match=r"device='cuda:0' must have .* MiB of memory free for 40 seq"
        ) as caught:
            estimator.set_params(batch_size=40).fit(long, 10 * Y)
        return str(caught.value)

    message = refused(100)
    assert message.endswith(
        "Not even one sequence fits: lower hidden_layer_sizes, set truncate, or use device='cpu'."
    )
    needed = float(re.search(r"must have ([\d.]+) MiB", message)[1]) * 2**20
    assert 20 < int(re.search(r"batch_size=(\d+) would fit", refused(0.8 * needed))[1]) < 40
    assert vars(estimator.set_params(batch_size="auto")) == before and set(held(gpu_networks)) == {
        0
    }


def test_a_prediction_that_does_not_fit_is_told_what_helps(gpu_networks, monkeypatch):
    from lightrnn.cuda import driver

    def allocate(size, dtype):
        raise MemoryError

    estimator = RNNClassifier(**QUICK).fit(X, Y).set_params(device="cuda")
    monkeypatch.setattr(driver, "allocate", allocate)
    with pytest.raises(RuntimeError, match=r"free for 1 sequence, got .*") as caught:
        estimator.predict(X[:1])
    remedy = "Predict on the CPU, which reads long sequences in pieces: set_params(device='cpu')."
    assert str(caught.value).endswith(remedy)
    estimator.set_params(device="cpu").predict(X[:1])


def test_an_error_in_training_frees_the_memory(gpu_networks):
    def fail(record):
        raise KeyError("a callback's own")

    estimator = RNNClassifier(device="cuda", callbacks=fail, **QUICK)
    with pytest.raises(KeyError):
        estimator.fit(X, Y)
    assert held(gpu_networks) == [0] and not hasattr(estimator, "classes_")


def test_a_loss_that_is_not_finite_is_named_as_on_the_cpu(gpu_networks):
    estimator = RNNClassifier(
        "lstm",
        device="cuda",
        **QUICK | {"learning_rate_init": 1e30, "max_iter": 5, "clip_norm": None},
    )
    estimator.set_params(standardize=False)
    with pytest.raises(ValueError, match="The loss or its gradient must stay finite"):
        estimator.fit([1e30 * x for x in X], Y)
    assert held(gpu_networks) == [0]


def test_auto_takes_the_gpu_where_there_is_much_to_do(gpu_networks, monkeypatch):
    monkeypatch.setattr(devices, "_WORTH", 100.0)
    model = RNNClassifier(device="auto", **QUICK).fit(X, Y)
    assert model.device_ == "cuda:0" and len(gpu_networks) == 1


def test_room_grows_and_keeps_what_is_kept(gpu):
    from lightrnn.cuda import driver
    from lightrnn.cuda.memory import Store

    store = Store("float32", driver.streams(0))
    store.reserve(64)
    store.send((0, [np.arange(64.0)]))
    store.kept = 32
    store.reserve(32)
    assert 64 <= store.size < 100
    store.reserve(1000)
    assert store.size >= 1000 and np.array_equal(store.fetch(0, 32), np.arange(32))
    store.send((64, [np.ones(3), np.full(2, 2.0)]), (320, [np.full(70, 3.0)]))
    sent = store.fetch(64, 400)
    assert (
        list(sent[:3]) == [1] * 3
        and list(sent[64:66]) == [2] * 2
        and list(sent[256:326]) == [3] * 70
    )
    store.free()
    assert store.size == 0


def test_room_grows_where_old_and_new_do_not_fit_side_by_side(gpu, monkeypatch):
    from lightrnn.cuda import driver, memory

    store = memory.Store("float64", driver.streams(0))
    store.reserve(128)
    store.send((0, [np.arange(100.0)]))
    store.kept = 100
    allocate = driver.allocate

    def one_at_a_time(size, dtype):
        if size > 500 and store.size:
            raise MemoryError
        return allocate(size, dtype)

    monkeypatch.setattr(driver, "allocate", one_at_a_time)
    monkeypatch.setattr(memory, "PIECE", 17)
    store.reserve(1000)
    assert store.size == 1000 and np.array_equal(store.fetch(0, 100), np.arange(100.0))
    monkeypatch.setattr(
        driver, "allocate", lambda size, dtype: refuse() if size > 500 else allocate(size, dtype)
    )
    with pytest.raises(MemoryError):
        store.reserve(2000)
    assert np.array_equal(store.fetch(0, 100), np.arange(100.0))


def refuse():
    raise MemoryError


def test_sequences_for_which_there_is_no_room_are_sent_a_minibatch_at_a_time(
    gpu_networks, monkeypatch
):
    from lightrnn.cuda import memory

    reserve = memory.Store.reserve

    def little(store, size):
        if store.kept > 1000:
            raise MemoryError
        reserve(store, size)

    kept = []
    for refused in (False, True):
        if refused:
            monkeypatch.setattr(memory.Store, "reserve", little)
        model = RNNClassifier(device="cuda", batch_size=200, **QUICK).fit(40 * X, 40 * Y)
        kept.append(weight_bits(model))
    assert [gpu_network.cached is None for gpu_network in gpu_networks] == [False, True]
    assert kept[0] == kept[1]


def test_what_a_solver_has_gathered_outlives_a_late_start_on_the_gpu(gpu_networks, monkeypatch):
    from lightrnn.cuda import memory

    frees = iter([0] + 100 * [2**30])
    monkeypatch.setattr(memory.driver, "memory", lambda: (next(frees), 2**30))
    options = QUICK | {"max_iter": 2, "dtype": "float64", "solver": "adam", "tol": 0.0}
    here, there = (RNNClassifier(device=device, **options).fit(X, Y) for device in ("cpu", "cuda"))
    assert gpu_networks[0].cached is not None
    for name, array in here.weights_.items():
        assert np.allclose(there.weights_[name], array, rtol=1e-12, atol=1e-12), name


def test_a_twin_works_on_its_own_gpu_whatever_the_current_one_is(gpu, monkeypatch):
    from contextlib import nullcontext

    from lightrnn.cuda import driver

    asked = []
    monkeypatch.setattr(driver, "current", lambda number: asked.append(number) or nullcontext())
    RNNClassifier(device="cuda", **QUICK).fit(X, Y).predict(X)
    assert len(asked) > 8 and set(asked) == {0}


@pytest.mark.parametrize(
    "options",
    [{}, {"truncate": 2}, {"cell": "ffnn", "window": 3}, {"solver": "lbfgs", "max_iter": 1}],
)
@pytest.mark.parametrize("tokens", [False, True])
def test_sequences_on_the_gpu_are_those_that_are_sent(
    gpu, gpu_networks, monkeypatch, options, tokens
):
    from lightrnn.cuda import memory

    monkeypatch.setattr(memory, "PIECE", 5)
    data = ["abca", "bb", "cab", "ab"] if tokens else X
    quick = (
        QUICK
        | ({"embedding_size": 2} if tokens else {})
        | {"batch_size": 3, "max_iter": 2, "dtype": "float64", "tol": 100.0, "target": "step"}
        | options
    )
    y = [np.arange(len(x)) % 2 for x in data]
    fits = []
    for share in (0.0, 0.8):
        monkeypatch.setattr(gpu, "_SHARE", share)
        monkeypatch.setattr(memory.driver, "memory", lambda: (2**30, 2**30))
        ends = {"callbacks": lambda record: STOP if record.epoch == 2 else None}
        fits.append(RNNClassifier(device="cuda", **ends, **quick).fit(data, y))
    assert [gpu_network.cached is not None for gpu_network in gpu_networks] == [False, True]
    assert weight_bits(fits[0]) == weight_bits(fits[1])


def test_only_a_lack_of_memory_is_called_so(monkeypatch):
    from lightrnn.cuda import driver

    def failing(message):
        def device_array(size, dtype):
            raise OSError(message)

        return lambda: SimpleNamespace(device_array=device_array)

    monkeypatch.setattr(
        driver, "cuda", failing("Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY")
    )
    with pytest.raises(MemoryError):
        driver.allocate(1, "float32")
    monkeypatch.setattr(driver, "cuda", failing("CUDA_ERROR_ILLEGAL_ADDRESS"))
    with pytest.raises(OSError, match="ILLEGAL"):
        driver.allocate(1, "float32")
