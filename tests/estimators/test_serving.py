"""Serving: many threads, forks and workers, and memory that does not grow with the calls."""

import multiprocessing
import os
import threading
import tracemalloc
import warnings

import numpy as np
import pytest

from lightrnn import RNNClassifier, RNNLanguageModel, RNNRegressor
from lightrnn.nn import network as network_module
from lightrnn.nn import packing
from lightrnn.nn.network import Network

RNG = np.random.default_rng(0)
X = [RNG.normal(size=(T, 3)) for T in RNG.integers(1, 40, 60)]
SUMS = np.array([x[:, 0].sum() for x in X])
TEXTS = ["to be or not to be", "that is the question", "to die, to sleep", "no more"] * 3
BRIEF = {"max_iter": 2, "learning_rate": "cosine", "random_state": 0}


def classifier():
    model = RNNClassifier("lstm", (9, 5), bidirectional=True, n_jobs=2, **BRIEF).fit(X, SUMS > 0)
    return [
        lambda: model.predict_proba(X),
        lambda: model.transform(X[:7]),
        lambda: model.predict(X[9:12]),
    ]


def regressor():
    model = RNNRegressor("ffnn", (9,), target="step", window=4, **BRIEF).fit(
        X, [x[:, 0] for x in X]
    )
    return [lambda: np.concatenate(model.predict(X)), lambda: model.predict(X[5:6])[0]]


def language_model():
    model = RNNLanguageModel(
        "gru", (9,), embedding_size=9, tie_weights=True, truncate=5, batch_size=3, **BRIEF
    )
    model.fit(TEXTS)
    calls = [lambda: model.score(TEXTS), lambda: model.generate("to ", 20, random_state=1)]
    return [
        *calls,
        lambda: model.predict_proba(TEXTS),
        lambda: model.perplexity(TEXTS[:3]),
        lambda: model.weights_,
    ]


def bits(result):
    if isinstance(result, dict):
        return [bits(value) for value in result.values()]
    return result.tobytes() if isinstance(result, np.ndarray) else result


def hammer(calls, threads=8, rounds=6):
    """Call from many threads at once; return what differed from what a single one gets."""
    wanted, wrong, barrier = [bits(call()) for call in calls], [], threading.Barrier(threads)

    def caller(number):
        try:
            barrier.wait(20)
            for turn in range(rounds * len(calls)):
                i = (number + turn) % len(calls)
                if bits(calls[i]()) != wanted[i]:
                    wrong.append(i)
        except BaseException as error:
            wrong.append(error)

    callers = [threading.Thread(target=caller, args=(number,)) for number in range(threads)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join(60)
    return wrong


@pytest.mark.parametrize("make", [classifier, regressor, language_model])
def test_many_threads_get_what_one_gets(make):
    assert hammer(make()) == []


def test_threads_predict_while_another_fits():
    stop, fits = threading.Event(), []

    def fit():
        while not stop.is_set():
            fits.append(
                RNNClassifier("lstm", (9, 5), bidirectional=True, n_jobs=2, **BRIEF)
                .fit(X, SUMS > 0)
                .weights_
            )

    fitter = threading.Thread(target=fit)
    fitter.start()
    try:
        assert hammer(classifier(), threads=4) == []
    finally:
        stop.set()
        fitter.join(60)
    assert len({tuple(array.tobytes() for array in weights.values()) for weights in fits}) == 1


def test_threads_predict_while_the_same_estimator_goes_on_training():
    """Each prediction is that of the model before an epoch or after it, of nothing between."""
    model = RNNRegressor("gru", (9,), **BRIEF).fit(X, SUMS)
    states, seen, stop = [model.predict(X).tobytes()], set(), threading.Event()

    def caller():
        while not stop.is_set():
            seen.add(model.predict(X).tobytes())

    callers = [threading.Thread(target=caller) for _ in range(3)]
    for thread in callers:
        thread.start()
    for _ in range(10):
        states.append(model.partial_fit(X, SUMS).predict(X).tobytes())
    stop.set()
    for thread in callers:
        thread.join(60)
    assert seen and seen <= set(states) and len(set(states)) == 11


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_fork_goes_on_predicting():
    """A server answers with threads, then forks workers that have threads of their own."""
    calls = classifier()
    hammer(calls, rounds=1)
    before, context = [bits(call()) for call in calls], multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(
        target=lambda: sender.send([bits(call()) for call in calls] + hammer(calls, rounds=1))
    )
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # that forks and threads do not mix is what is tested
        child.start()
    try:
        assert receiver.poll(60), "the child hangs"
        assert receiver.recv() == before
    finally:
        child.kill()
        child.join(10)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_workers_of_joblib(backend):
    joblib = pytest.importorskip("joblib", reason="joblib is an optional peer")
    model = RNNClassifier("lstm", (9, 5), bidirectional=True, **BRIEF).fit(X, SUMS > 0)
    parts = [X[start : start + 15] for start in range(0, len(X), 15)]
    done = joblib.Parallel(n_jobs=2, backend=backend)(
        joblib.delayed(model.predict_proba)(part) for part in parts
    )
    assert np.array_equal(np.concatenate(done), model.predict_proba(X))


# -- memory ----------------------------------------------------------------------------------------


def peak(call):
    """The most memory that a call holds beside what there was, and beside its result."""
    result = call()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        result = call()
        return tracemalloc.get_traced_memory()[1] - before, result
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("cell", ["lstm", "ffnn"])
@pytest.mark.parametrize("target", ["sequence", "step"])
def test_memory_does_not_grow_with_the_sequences(cell, target):
    """Beside the outputs, of which there may be three copies, and the index of the sequences."""
    network = Network(cell, 2, (64,), 1, target=target, window=3)
    network.initialize(np.random.default_rng(0))
    x = np.zeros((40, 2), np.float32)
    few, many = ([x] * n for n in (200, 4000))
    (least, _), (most, outputs) = (peak(lambda X=X: network.outputs(X)) for X in (few, many))
    size = sum(map(np.size, outputs)) * outputs[0].itemsize
    assert most - least < 3 * size + 400 * len(many)
    assert 40 * 64 * 4 * len(many) > 10 * (most - least)  # the states alone, were they all held


@pytest.mark.parametrize("target", ["sequence", "step"])
@pytest.mark.parametrize("cell", ["lstm", "ffnn"])
def test_memory_does_not_grow_with_the_length_but_for_outputs(cell, target):
    network = Network(cell, 2, (64,), 1, target=target, window=3)
    network.initialize(np.random.default_rng(0))
    short, long = np.zeros((20_000, 2), np.float32), np.zeros((200_000, 2), np.float32)
    (least, _), (most, _) = (peak(lambda x=x: network.outputs([x])) for x in (short, long))
    assert most - least < 3 * 4 * len(long)


@pytest.mark.parametrize("target", ["sequence", "step"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "ffnn"])
@pytest.mark.parametrize("tokens", [0, 5])
def test_a_long_sequence_in_pieces_is_the_whole(cell, target, tokens, monkeypatch):
    network = Network(cell, 3, (17, 5), 2, target=target, window=4, n_tokens=tokens)
    network.initialize(np.random.default_rng(0))
    rng = np.random.default_rng(1)
    X = [
        rng.integers(0, tokens, T) if tokens else rng.normal(size=(T, 3))
        for T in (1, 90, 33, 34, 7)
    ]
    reads = [network.outputs, network.states] + [network.final_outputs] * (target == "step")
    whole = [read(X) for read in reads]
    for rows in (1, 3, 33, 50):
        monkeypatch.setattr(network_module, "_PREDICTED_ROWS", rows)
        for read, wanted in zip(reads, whole, strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(read(X), wanted, strict=True))


def held(network):
    """Bytes of the workspaces that a network keeps."""
    levels = [level for workspace in network._workspaces for level in workspace.levels]
    layers = [buffers for level in levels for buffers in level]
    return sum(buffers.state.nbytes + buffers.slots.nbytes for buffers in layers)


def test_workspaces_are_few_and_small_after_a_crowd_and_a_giant():
    network = Network("lstm", 2, (16,), 1, bidirectional=True)
    network.initialize(np.random.default_rng(0))
    threads = [
        threading.Thread(target=network.outputs, args=([np.zeros((50, 2))] * 100,))
        for _ in range(40)
    ]
    for thread in threads:
        thread.start()
    network.outputs([np.zeros((100_000, 2))])
    for thread in threads:
        thread.join(60)
    rows = 2 * network_module._PREDICTED_ROWS
    assert len(network._workspaces) <= 8 and held(network) <= 8 * rows * 2 * (4 + 2) * 16 * 4
    kept = packing._steps.cache_info().currsize
    network.outputs([np.zeros((packing._KEPT_ROWS, 2))])
    assert packing._steps.cache_info().currsize == kept


def test_what_training_needs_is_given_back():
    model = RNNClassifier("lstm", (8,), **BRIEF).fit(X, SUMS > 0)
    network = model._model.network
    assert (
        not network._workspaces
        and not network._gradients
        and not any(layer._transpositions for layer in network.layers)
    )
    model.predict(X)
    assert len(network._workspaces) <= 8
    model.partial_fit(X, SUMS > 0)
